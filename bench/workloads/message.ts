/**
 * One big message, from a file on the client's stdin to a file on the server's stdout.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { compare } from "../compare.ts";
import { inletMessageReceiver, inletMessageSender, transfer } from "../peers.ts";
import type { Section } from "../report.ts";
import { socatMessageSender, socatReceiver } from "../socat.ts";
import type { Bench } from "./workload.ts";

const INLET = "inlet to inlet";
const SERVER = "inlet server, socat client";
const SOCAT = "socat to socat";

/** Time of one big message. */
export async function message({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  return await compare({
    name: "message",
    title: `message: ${formatBytes(size)} from stdin to stdout`,
    runs,
    bytes: size,
    entrants: [{
      name: INLET,
      needs: [],
      enter: async (stack) =>
        transfer(await inletMessageReceiver(workspace, stack), inletMessageSender(), file),
    }, {
      name: SERVER,
      needs: ["socat"],
      enter: async (stack) =>
        transfer(await inletMessageReceiver(workspace, stack), socatMessageSender, file),
    }, {
      name: SOCAT,
      needs: ["socat"],
      enter: () =>
        Promise.resolve(transfer(socatReceiver(workspace, "stdout"), socatMessageSender, file)),
    }],
    goals: [
      { of: INLET, against: SOCAT, atLeast: 0.8 },
      { of: SERVER, against: SOCAT, atLeast: 0.8 },
    ],
  });
}
