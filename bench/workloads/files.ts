/**
 * A folder of many small files: inlet, an rsync daemon and scp.
 *
 * @module
 */

import { compare } from "../compare.ts";
import { inletFolderSender, inletReceiver, transferFolder } from "../peers.ts";
import type { Section } from "../report.ts";
import { rsyncReceiver, rsyncSender } from "../rsync.ts";
import { SSH_PROGRAMS, startSsh } from "../ssh.ts";
import type { Bench } from "./workload.ts";

const INLET = "inlet put, verified";
const RSYNC = "rsync daemon, whole files";
const SCP = "scp -r, encrypted";

/** Size of each file in bytes. */
export const SMALL_BYTES = 4096;

/** Time of a folder of small files. */
export async function files({ workspace, runs, files }: Bench): Promise<Section> {
  const folder = workspace.folder(files, SMALL_BYTES);
  const section = await compare({
    name: "files",
    title: `files: ${files.toLocaleString("en")} files of 4 KiB, one folder`,
    runs,
    files,
    bytes: files * SMALL_BYTES,
    entrants: [{
      name: INLET,
      needs: [],
      // Like the others it does not log each file.
      enter: async (stack) =>
        transferFolder(
          await inletReceiver(workspace, stack, ["--quiet"]),
          inletFolderSender(),
          folder,
        ),
    }, {
      name: RSYNC,
      needs: ["rsync"],
      enter: async (stack) =>
        transferFolder(await rsyncReceiver(workspace, stack), rsyncSender, folder),
    }, {
      name: SCP,
      needs: SSH_PROGRAMS,
      async enter(stack) {
        const { receiver, sender } = await startSsh(workspace, stack);
        return transferFolder(receiver, sender, folder);
      },
    }],
    goals: [
      { of: INLET, against: RSYNC, atLeast: 1 },
      { of: INLET, against: SCP, atLeast: 8 },
    ],
  });
  workspace.dropFolder(folder);
  return section;
}
