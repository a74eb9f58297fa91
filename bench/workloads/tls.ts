/**
 * One big file and many small ones over TLS, beside others who encrypt. socat verifies neither the
 * file nor the other side.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { compare } from "../compare.ts";
import { inletGet, scpGet, socatGet } from "../gets.ts";
import { makeKey, OPENSSL } from "../keys.ts";
import {
  inletFolderSender,
  inletReceiver,
  inletSender,
  transfer,
  transferFolder,
} from "../peers.ts";
import type { Section } from "../report.ts";
import { SSH_PROGRAMS, startSsh } from "../ssh.ts";
import { encrypted, socatReceiver, socatSender } from "../socat.ts";
import { SMALL_BYTES } from "./files.ts";
import type { Bench } from "./workload.ts";

const PUT = "inlet put over TLS";
const GET = "inlet get over TLS";
const SOCAT = "socat OPENSSL, 1 MiB blocks";
const SCP = "scp";
const RSYNC = "rsync -e ssh, whole files";
const NO_KEY = "inlet without a key";

const AGAINST_SOCAT = 0.75;
const AGAINST_SCP = 2.5;

/** Time of one big file by native put over TLS. */
export async function tlsPut({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  const { args } = await makeKey(workspace);
  return await compare({
    name: "tls-put",
    title: `tls-put: one file of ${formatBytes(size)}, encrypted`,
    runs,
    bytes: size,
    entrants: [{
      name: PUT,
      needs: [],
      enter: async (stack) =>
        transfer(await inletReceiver(workspace, stack, args), inletSender(args), file),
    }, {
      name: SOCAT,
      needs: ["socat", OPENSSL],
      async enter() {
        const wire = await encrypted(workspace);
        return transfer(socatReceiver(workspace, "file", wire), socatSender(wire), file);
      },
    }, {
      name: SCP,
      needs: SSH_PROGRAMS,
      async enter(stack) {
        const { receiver, sender } = await startSsh(workspace, stack);
        return transfer(receiver, sender, file);
      },
    }, {
      name: NO_KEY,
      needs: [],
      enter: async (stack) => transfer(await inletReceiver(workspace, stack), inletSender(), file),
    }],
    goals: [
      { of: PUT, against: SOCAT, atLeast: AGAINST_SOCAT },
      { of: PUT, against: SCP, atLeast: AGAINST_SCP },
    ],
  });
}

/** Time of one big file by native get over TLS. */
export async function tlsGet({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  const { args } = await makeKey(workspace);
  return await compare({
    name: "tls-get",
    title: `tls-get: one file of ${formatBytes(size)}, encrypted`,
    runs,
    bytes: size,
    entrants: [{
      name: GET,
      needs: [],
      enter: (stack) => inletGet(workspace, stack, file, args),
    }, {
      name: SOCAT,
      needs: ["socat", OPENSSL],
      enter: async () => socatGet(workspace, file, await encrypted(workspace)),
    }, {
      name: SCP,
      needs: SSH_PROGRAMS,
      enter: (stack) => scpGet(workspace, stack, file),
    }, {
      name: NO_KEY,
      needs: [],
      enter: (stack) => inletGet(workspace, stack, file),
    }],
    goals: [
      { of: GET, against: SOCAT, atLeast: AGAINST_SOCAT },
      { of: GET, against: SCP, atLeast: AGAINST_SCP },
    ],
  });
}

/** Time of a folder of small files over TLS. */
export async function tlsFiles({ workspace, runs, files }: Bench): Promise<Section> {
  const folder = workspace.folder(files, SMALL_BYTES);
  const { args } = await makeKey(workspace);
  const section = await compare({
    name: "tls-files",
    title: `tls-files: ${files.toLocaleString("en")} files of 4 KiB, one folder, encrypted`,
    runs,
    files,
    bytes: files * SMALL_BYTES,
    entrants: [{
      name: PUT,
      needs: [],
      enter: async (stack) =>
        transferFolder(
          await inletReceiver(workspace, stack, ["--quiet", ...args]),
          inletFolderSender(args),
          folder,
        ),
    }, {
      name: RSYNC,
      needs: ["rsync", ...SSH_PROGRAMS],
      async enter(stack) {
        const { receiver, rsync } = await startSsh(workspace, stack);
        return transferFolder(receiver, rsync, folder);
      },
    }, {
      name: NO_KEY,
      needs: [],
      enter: async (stack) =>
        transferFolder(
          await inletReceiver(workspace, stack, ["--quiet"]),
          inletFolderSender(),
          folder,
        ),
    }],
    goals: [{ of: PUT, against: RSYNC, atLeast: 3 }],
  });
  workspace.dropFolder(folder);
  return section;
}
