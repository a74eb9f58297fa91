/**
 * Servers on a bucket that are killed while clients send, behind a balancer, at a store that misbehaves.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { sharedCeph } from "../ceph/shared.ts";
import { CEPH, integration } from "../helpers.ts";
import { tortureBucket } from "./bucket_torture.ts";

integration(
  "what clients of three servers on a bucket are told is true, whichever is killed",
  async () => {
    const { figures, wrong } = await tortureBucket(await sharedCeph(), {
      ...{ seed: 1, durationMs: 5000, killEveryMs: 1000, leastKills: 2 },
      clients: { small: 2, large: 2 },
    });
    const { lost, twice, partial, replaced } = figures;
    assertEquals({ lost, twice, partial, replaced, wrong }, {
      ...{ lost: 0, twice: 0, partial: 0, replaced: 0, wrong: [] },
    });
    assert(figures.files > 0 && figures.spoilt > 0 && figures.serverKills >= 2);
  },
  CEPH,
);
