/**
 * A real tree: sent, got back, and sent once more unchanged; inlet with two sets of permissions, and
 * rsync with its daemon.
 *
 * @module
 */

import { compare, type Entrant } from "../compare.ts";
import type { Candidate } from "../measure.ts";
import {
  ALL,
  clientCommand,
  inletFolderSender,
  inletReceiver,
  type Receiver,
  type Sender,
  serverCommand,
} from "../peers.ts";
import { permitted, README } from "../permitted.ts";
import { run, startServer } from "../processes.ts";
import type { Section } from "../report.ts";
import { rsyncReceiver, rsyncTreeGetter, rsyncTreeSender } from "../rsync.ts";
import { type Tree, treeOf, verifyTree } from "../tree.ts";
import { empty } from "../workspace.ts";
import type { Bench } from "./workload.ts";

const ALL_PERMITTED = "inlet, all permissions";
const README_PERMITTED = "inlet, the README's permissions";
const RSYNC = "rsync -a, its daemon";

/** Time to send a tree. */
export async function treePut(bench: Bench): Promise<Section> {
  return await putting(bench, { name: "tree-put", title: "put", all: 1.3, readme: 0.9 });
}

/** Time to send a tree that is there already, and has not changed. */
export async function treeAgain(bench: Bench): Promise<Section> {
  const title = "put once more, nothing changed";
  const again = { isAgain: true, args: ["--skip-same"] };
  return await putting(bench, { name: "tree-again", title, all: 0.75, readme: 0.65, ...again });
}

/** Time to get a tree. */
export async function treeGet(bench: Bench): Promise<Section> {
  const { workspace, runs } = bench;
  const tree = treeOf(workspace, bench.tree);
  const inlet = (permissions: readonly string[]): Entrant["enter"] => async (stack) => {
    const command = serverCommand(tree.parent, ["--quiet", "--read-only"], permissions);
    const { port, pid } = stack.use(await startServer(command));
    const asked = ["--get", `${tree.name}/`, "--quiet", "--output"];
    return getting(
      bench,
      tree,
      [pid],
      (into) => run(clientCommand(port, [...asked, into], permissions)),
    );
  };
  return await compare({
    name: "tree-get",
    title: titleOf(tree, "got"),
    runs,
    files: tree.files.size,
    bytes: tree.bytes,
    entrants: entrants(bench, inlet, async (stack) => {
      const receiver = await rsyncReceiver(workspace, stack, tree.parent);
      const port = await receiver.listen();
      return getting(bench, tree, receiver.pids, (into) => rsyncTreeGetter(port, tree.name, into));
    }),
    goals: goals(1.3, 0.9),
  });
}

interface Putting {
  name: string;
  title: string;
  /** What is hoped for with all permissions, and with the README's, against rsync. */
  all: number;
  readme: number;
  /** Whether what is there stays for the next run. The first run is not counted. */
  isAgain?: boolean;
  /** Further options of the client. */
  args?: readonly string[];
}

async function putting(
  bench: Bench,
  { name, title, all, readme, isAgain = false, args = [] }: Putting,
): Promise<Section> {
  const { workspace, runs } = bench;
  const tree = treeOf(workspace, bench.tree);
  const sending = (receiver: Receiver, sender: Sender, stack: AsyncDisposableStack) => {
    stack.defer(() => receiver.clear());
    return {
      pids: receiver.pids,
      clear: async () => isAgain ? undefined : await receiver.clear(),
      async ready() {
        const port = await receiver.listen();
        return () => sender(port, tree.path);
      },
      check: async () =>
        await Promise.resolve(verifyTree(`${receiver.directory}/${tree.name}`, tree)),
    };
  };
  const inlet = (permissions: readonly string[]): Entrant["enter"] => async (stack) => {
    const receiver = await inletReceiver(workspace, stack, ["--quiet"], permissions);
    return sending(receiver, inletFolderSender(args, permissions), stack);
  };
  return await compare({
    name,
    title: titleOf(tree, title),
    runs,
    files: tree.files.size,
    ...!isAgain && { bytes: tree.bytes },
    entrants: entrants(
      bench,
      inlet,
      async (stack) => sending(await rsyncReceiver(workspace, stack), rsyncTreeSender(), stack),
    ),
    goals: goals(all, readme),
  });
}

function titleOf({ name, files }: Tree, what: string): string {
  return `a real tree, ${name} with ${files.size.toLocaleString("en")} files, ${what}`;
}

/** inlet with all permissions and with the README's, and rsync. */
export function entrants(
  { workspace }: Bench,
  inlet: (permissions: readonly string[]) => Entrant["enter"],
  rsync: Entrant["enter"],
): Entrant[] {
  return [
    { name: ALL_PERMITTED, needs: [], enter: inlet(ALL) },
    { name: README_PERMITTED, needs: [], enter: permitted(workspace, inlet(README)) },
    { name: RSYNC, needs: ["rsync"], enter: rsync },
  ];
}

/** What is hoped for of speed against rsync. */
export function goals(
  all: number,
  readme: number,
): { of: string; against: string; atLeast: number }[] {
  return [
    { of: ALL_PERMITTED, against: RSYNC, atLeast: all },
    { of: README_PERMITTED, against: RSYNC, atLeast: readme },
  ];
}

/** A folder that is got into a directory, which is emptied before the next run. */
export function getting(
  { workspace }: Bench,
  { name, files, facts }: Pick<Tree, "name" | "files" | "facts">,
  pids: readonly number[],
  get: (into: string) => Promise<void>,
): Omit<Candidate, "name"> {
  const into = workspace.directory();
  return {
    pids,
    ready: () => Promise.resolve(() => get(into)),
    clear: async () => await Promise.resolve(empty(into)),
    check: async () => await Promise.resolve(verifyTree(`${into}/${name}`, { files, facts })),
  };
}
