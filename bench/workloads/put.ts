/**
 * One big file, stored: inlet verifies it, and so do rsync and scp in ways of their own; socat and
 * Python do not.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { compare } from "../compare.ts";
import { inletReceiver, inletSender, pythonReceiver, pythonSender, transfer } from "../peers.ts";
import type { Section } from "../report.ts";
import { rsyncReceiver, rsyncSender } from "../rsync.ts";
import { SSH_PROGRAMS, startSsh } from "../ssh.ts";
import { socatReceiver, socatSender } from "../socat.ts";
import type { Bench } from "./workload.ts";

const INLET = "inlet put, verified";
const SOCAT = "socat, 1 MiB blocks";
const RSYNC = "rsync daemon, whole files";
const SCP = "scp, encrypted";
const PYTHON = "Python, 1,024 bytes";

/** Time of one big file by native put. */
export async function put({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  return await compare({
    name: "put",
    title: `put: one file of ${formatBytes(size)}`,
    runs,
    bytes: size,
    entrants: [{
      name: INLET,
      needs: [],
      enter: async (stack) => transfer(await inletReceiver(workspace, stack), inletSender(), file),
    }, {
      name: SOCAT,
      needs: ["socat"],
      enter: () => Promise.resolve(transfer(socatReceiver(workspace, "file"), socatSender(), file)),
    }, {
      name: RSYNC,
      needs: ["rsync"],
      enter: async (stack) => transfer(await rsyncReceiver(workspace, stack), rsyncSender, file),
    }, {
      name: SCP,
      needs: SSH_PROGRAMS,
      async enter(stack) {
        const { receiver, sender } = await startSsh(workspace, stack);
        return transfer(receiver, sender, file);
      },
    }, {
      name: PYTHON,
      needs: ["python3"],
      enter: async (stack) =>
        transfer(
          await pythonReceiver("raw_server.py", workspace, stack),
          await pythonSender("raw_client.py"),
          file,
        ),
    }],
    goals: [
      { of: INLET, against: SOCAT, atLeast: 1 },
      { of: INLET, against: RSYNC, atLeast: 1.5 },
      { of: INLET, against: SCP, atLeast: 5 },
      { of: INLET, against: PYTHON, atLeast: 4 },
    ],
  });
}
