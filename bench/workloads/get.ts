/**
 * One big file, got: inlet verifies it, socat does not.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { compare } from "../compare.ts";
import { inletGet, socatGet } from "../gets.ts";
import { inletReceiver, inletSender, transfer } from "../peers.ts";
import type { Section } from "../report.ts";
import type { Bench } from "./workload.ts";

const GET = "inlet get, verified";
const PUT = "inlet put, verified";
const SOCAT = "socat, 1 MiB blocks";

/** Time of one big file by native get, beside the same file the other way. */
export async function get({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  return await compare({
    name: "get",
    title: `get: one file of ${formatBytes(size)}`,
    runs,
    bytes: size,
    entrants: [{
      name: GET,
      needs: [],
      enter: (stack) => inletGet(workspace, stack, file),
    }, {
      name: PUT,
      needs: [],
      enter: async (stack) => transfer(await inletReceiver(workspace, stack), inletSender(), file),
    }, {
      name: SOCAT,
      needs: ["socat"],
      enter: () => Promise.resolve(socatGet(workspace, file)),
    }],
    goals: [
      { of: GET, against: PUT, atLeast: 0.9 },
      { of: GET, against: SOCAT, atLeast: 0.9 },
    ],
  });
}
