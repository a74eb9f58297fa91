/**
 * One big file by the raw conversation, each side of ours against socat on the other.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { compare } from "../compare.ts";
import { inletReceiver, inletSender, transfer } from "../peers.ts";
import type { Section } from "../report.ts";
import { socatReceiver, socatSender } from "../socat.ts";
import type { Bench } from "./workload.ts";

const SERVER = "inlet server, socat client";
const CLIENT = "socat server, inlet client";
const SOCAT = "socat to socat";

/** Time of one big file with no words around it. */
export async function raw({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  const args = ["--mode", "raw"];
  return await compare({
    name: "raw",
    title: `raw: one file of ${formatBytes(size)}`,
    runs,
    bytes: size,
    entrants: [{
      name: SERVER,
      needs: ["socat"],
      enter: async (stack) =>
        transfer(await inletReceiver(workspace, stack, args), socatSender(), file),
    }, {
      name: CLIENT,
      needs: ["socat"],
      enter: () =>
        Promise.resolve(transfer(socatReceiver(workspace, "file"), inletSender(args), file)),
    }, {
      name: SOCAT,
      needs: ["socat"],
      enter: () => Promise.resolve(transfer(socatReceiver(workspace, "file"), socatSender(), file)),
    }],
    goals: [
      { of: SERVER, against: SOCAT, atLeast: 0.9 },
      { of: CLIENT, against: SOCAT, atLeast: 0.9 },
    ],
  });
}
