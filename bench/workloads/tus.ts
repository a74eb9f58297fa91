/**
 * One big file by tus-js-client, in one request and in many, beside npm's reference server.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { compare, type Entrant } from "../compare.ts";
import { inletReceiver, transfer } from "../peers.ts";
import type { Section } from "../report.ts";
import { TUS_PROGRAMS, TusClient, tusReferenceReceiver } from "../tus.ts";
import type { Bench } from "./workload.ts";

const INLET = "inlet, one request";
const INLET_CHUNKS = "inlet, requests of 8 MiB";
const REFERENCE = "@tus/server, one request";
const REFERENCE_CHUNKS = "@tus/server, requests of 8 MiB";

const CHUNK_BYTES = 8 * 1024 * 1024;

/** Bytes of a millisecond at the speed that is hoped for. */
const BYTES_A_MS = 200_000;

/** Time of one big file by tus, the client's start included. */
export async function tusPut({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  let client: Promise<TusClient> | undefined;
  const entrant = (name: string, receiver: typeof inletReceiver, chunkBytes: number): Entrant => ({
    name,
    needs: TUS_PROGRAMS,
    async enter(stack) {
      const sender = (await (client ??= TusClient.install(workspace))).sender(chunkBytes);
      return transfer(await receiver(workspace, stack), sender, file);
    },
  });
  return await compare({
    name: "tus-put",
    title: `tus-put: one file of ${formatBytes(size)} by tus-js-client`,
    runs,
    bytes: size,
    entrants: [
      entrant(INLET, inletReceiver, Infinity),
      entrant(INLET_CHUNKS, inletReceiver, CHUNK_BYTES),
      entrant(REFERENCE, tusReferenceReceiver, Infinity),
      entrant(REFERENCE_CHUNKS, tusReferenceReceiver, CHUNK_BYTES),
    ],
    goals: [
      { of: INLET, underMs: Math.round(size / BYTES_A_MS) },
      { of: INLET, against: REFERENCE, atLeast: 1 },
      { of: INLET_CHUNKS, against: REFERENCE_CHUNKS, atLeast: 1 },
    ],
  });
}
