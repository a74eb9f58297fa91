/**
 * A folder of many small files, sent, got back, and synced to a disk: inlet, an rsync daemon and scp.
 *
 * @module
 */

import { compare, type Entrant } from "../compare.ts";
import {
  ALL,
  clientCommand,
  inletFolderSender,
  inletReceiver,
  type Receiver,
  type Sender,
  serverCommand,
  transferFolder,
} from "../peers.ts";
import { permitted, README } from "../permitted.ts";
import { run, startServer } from "../processes.ts";
import type { Section } from "../report.ts";
import { rsyncReceiver, rsyncSender, rsyncTreeGetter, rsyncTreeSender } from "../rsync.ts";
import { SSH_PROGRAMS, startSsh } from "../ssh.ts";
import { type SourceFolder, verifyFolder, Workspace } from "../workspace.ts";
import { entrants, getting, goals } from "./trees.ts";
import type { Bench } from "./workload.ts";

const INLET = "inlet put, verified";
const README_INLET = "inlet, the README's permissions";
const RSYNC = "rsync daemon, whole files";
const SCP = "scp -r, encrypted";

/** Size of each file in bytes. */
export const SMALL_BYTES = 4096;

/** Time of a folder of small files. */
export async function files({ workspace, runs, files }: Bench): Promise<Section> {
  const folder = workspace.folder(files, SMALL_BYTES);
  // Like the others it does not log each file.
  const inlet = (permissions: readonly string[]): Entrant["enter"] => async (stack) =>
    transferFolder(
      await inletReceiver(workspace, stack, ["--quiet"], permissions),
      inletFolderSender([], permissions),
      folder,
    );
  const section = await compare({
    name: "files",
    title: `files: ${files.toLocaleString("en")} files of 4 KiB, one folder`,
    runs,
    files,
    bytes: files * SMALL_BYTES,
    entrants: [{
      name: INLET,
      needs: [],
      enter: inlet(ALL),
    }, {
      name: README_INLET,
      needs: [],
      enter: permitted(workspace, inlet(README)),
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
      { of: INLET, against: RSYNC, atLeast: 1.3 },
      { of: README_INLET, against: RSYNC, atLeast: 0.9 },
      { of: INLET, against: SCP, atLeast: 8 },
    ],
  });
  workspace.dropFolder(folder);
  return section;
}

/** The same in the other direction. */
export async function filesGet(bench: Bench): Promise<Section> {
  const { workspace, runs, files } = bench;
  const folder = workspace.folder(files, SMALL_BYTES);
  const parent = workspace.directory();
  Deno.renameSync(folder.path, `${parent}/${folder.name}`);
  const contents = byPath(folder);
  const inlet = (permissions: readonly string[]): Entrant["enter"] => async (stack) => {
    const command = serverCommand(parent, ["--quiet", "--read-only"], permissions);
    const { port, pid } = stack.use(await startServer(command));
    const asked = ["--get", `${folder.name}/`, "--quiet", "--output"];
    return getting(
      bench,
      contents,
      [pid],
      (into) => run(clientCommand(port, [...asked, into], permissions)),
    );
  };
  const section = await compare({
    name: "files-get",
    title: `files-get: ${files.toLocaleString("en")} files of 4 KiB, one folder`,
    runs,
    files,
    bytes: files * SMALL_BYTES,
    entrants: entrants(bench, inlet, async (stack) => {
      const receiver = await rsyncReceiver(workspace, stack, parent);
      const port = await receiver.listen();
      return getting(
        bench,
        contents,
        receiver.pids,
        (into) => rsyncTreeGetter(port, folder.name, into),
      );
    }),
    goals: goals(1.3, 0.9),
  });
  Deno.renameSync(`${parent}/${folder.name}`, folder.path);
  workspace.dropFolder(folder);
  return section;
}

/** What a fifth of the folder takes if each file has to be on a disk before it counts. */
export async function filesFsync(bench: Bench): Promise<Section> {
  const { runs } = bench;
  const count = Math.ceil(bench.files / 5);
  using workspace = new Workspace({ onDisk: true });
  const onDisk = { ...bench, workspace };
  const folder = workspace.folder(count, SMALL_BYTES);
  const inlet = (permissions: readonly string[]): Entrant["enter"] => async (stack) =>
    intoNew(
      folder,
      await inletReceiver(workspace, stack, ["--quiet", "--fsync"], permissions),
      (into) => inletFolderSender(["--as", `${into}/`], permissions),
    );
  return await compare({
    name: "files-fsync",
    title: `files-fsync: ${count.toLocaleString("en")} files of 4 KiB, on a disk, synced`,
    runs,
    files: count,
    entrants: entrants(onDisk, inlet, async (stack) => {
      const receiver = await rsyncReceiver(workspace, stack);
      return intoNew(folder, receiver, (into) => {
        Deno.mkdirSync(`${receiver.directory}/${into}`);
        return rsyncTreeSender(["--fsync"], into);
      });
    }),
    goals: goals(1.8, 1.5),
  });
}

/**
 * A folder that is sent into another new folder each time. Nothing is removed between two runs: what
 * some disks make right after they have removed thousands of files takes them many times as long.
 */
function intoNew(
  folder: SourceFolder,
  receiver: Receiver,
  senderInto: (into: string) => Sender,
): Awaited<ReturnType<Entrant["enter"]>> {
  let number = 0;
  return {
    pids: receiver.pids,
    clear: () => Promise.resolve(),
    async ready() {
      const port = await receiver.listen();
      const sender = senderInto(String(++number));
      return () => sender(port, folder.path);
    },
    check: async () =>
      await Promise.resolve(
        verifyFolder(`${receiver.directory}/${number}/${folder.name}`, folder),
      ),
  };
}

/** What a folder has, by the paths that a tree would have. */
function byPath({ name, files }: SourceFolder): Pick<SourceFolder, "name" | "files"> {
  return { name, files: new Map(files.entries().map(([name, content]) => [`/${name}`, content])) };
}
