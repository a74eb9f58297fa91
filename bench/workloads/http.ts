/**
 * One big file by curl, stored and got, beside nginx; and what the first request costs a server.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { compare, type Entrant } from "../compare.ts";
import { CURL, Curl } from "../curl.ts";
import { makeKey, OPENSSL } from "../keys.ts";
import type { Candidate } from "../measure.ts";
import { NGINX, startNginx } from "../nginx.ts";
import { inletReceiver, type Receiver, serverCommand, transfer } from "../peers.ts";
import { type ServerProcess, startServer } from "../processes.ts";
import type { Section } from "../report.ts";
import { empty, type SourceFile, verify, type Workspace } from "../workspace.ts";
import type { Bench, Workload } from "./workload.ts";

const INLET = "inlet";
const NAME = "big";
const SMALL_BYTES = 1024;

/** Milliseconds that the first request may take. */
const FIRST_MS = 60;
const FIRST_TLS_MS = 100;

/** Starts a server, and gives it with the curl that it wants. */
type Enter = (stack: AsyncDisposableStack) => Promise<{ receiver: Receiver; curl: Curl }>;

/** How a file goes from one to the other. */
type Moves = (
  workspace: Workspace,
  server: { receiver: Receiver; curl: Curl },
  file: SourceFile,
) => Promise<Omit<Candidate, "name">>;

/** Time of one big file that curl stores. */
export const httpPut: Workload = (bench) =>
  against(bench, { name: "http-put", atLeast: 0.9, encrypted: false, moves: storedByCurl });

/** Time of one big file that curl gets, and drops. */
export const httpGet: Workload = (bench) =>
  against(bench, { name: "http-get", atLeast: 0.75, encrypted: false, moves: gotByCurl });

/** The first over TLS. */
export const httpsPut: Workload = (bench) =>
  against(bench, { name: "https-put", atLeast: 0.55, encrypted: true, moves: storedByCurl });

/** The second over TLS. */
export const httpsGet: Workload = (bench) =>
  against(bench, { name: "https-get", atLeast: 0.65, encrypted: true, moves: gotByCurl });

/**
 * Time of a small file that curl gets of a server that was just started, as curl counts it, beside
 * that of the next one.
 */
export async function httpFirst({ workspace, runs }: Bench): Promise<Section> {
  const file = workspace.source(SMALL_BYTES);
  const key = await makeKey(workspace);
  const secure = new Curl({ encrypted: true, key: key.text });
  const plain = new Curl({ encrypted: false });
  const entrant = (name: string, curl: Curl, args: readonly string[], nth: number): Entrant => ({
    name,
    needs: [CURL],
    enter: () => Promise.resolve(freshly(workspace, file, { curl, args, nth })),
  });
  const [first, firstTls] = ["the first request", "the first request, over TLS"];
  return await compare({
    name: "http-first",
    title: "http-first: a file of 1 KiB by curl, from a server that was just started",
    runs,
    entrants: [
      entrant(first, plain, [], 1),
      entrant("the second request", plain, [], 2),
      entrant(firstTls, secure, key.args, 1),
      entrant("the second request, over TLS", secure, key.args, 2),
    ],
    goals: [{ of: first, underMs: FIRST_MS }, { of: firstTls, underMs: FIRST_TLS_MS }],
  });
}

async function against(
  { workspace, runs, size }: Bench,
  { name, atLeast, encrypted, moves }: {
    name: string;
    atLeast: number;
    encrypted: boolean;
    moves: Moves;
  },
): Promise<Section> {
  const file = workspace.source(size);
  const nginx = `nginx, one process${encrypted ? ", TLS 1.3" : ""}`;
  const enter = (start: Enter): Entrant["enter"] => async (stack) =>
    await moves(workspace, await start(stack), file);
  return await compare({
    name,
    title: `${name}: one file of ${formatBytes(size)} by curl${encrypted ? ", encrypted" : ""}`,
    runs,
    bytes: size,
    entrants: [{
      name: INLET,
      needs: [CURL],
      enter: enter(async (stack) => {
        const { text, args } = encrypted ? await makeKey(workspace) : { text: undefined, args: [] };
        const receiver = await inletReceiver(workspace, stack, args);
        return { receiver, curl: new Curl({ encrypted, key: text }) };
      }),
    }, {
      name: nginx,
      needs: [NGINX, CURL, ...encrypted ? [OPENSSL] : []],
      enter: enter(async (stack) => {
        const receiver = await startNginx(workspace, stack, { encrypted });
        return { receiver, curl: new Curl({ encrypted }) };
      }),
    }],
    goals: [{ of: INLET, against: nginx, atLeast }],
  });
}

const storedByCurl: Moves = (_, { receiver, curl }, file) =>
  Promise.resolve(transfer(receiver, curl.sender, file));

/** A file that nobody writes takes as long as its server does. It is got once more to be verified. */
const gotByCurl: Moves = async (workspace, { receiver, curl }, file) => {
  // A second name of the same file takes no memory.
  Deno.linkSync(file.path, `${receiver.directory}/${NAME}`);
  const port = await receiver.listen();
  const into = workspace.directory();
  return {
    pids: receiver.pids,
    ready: () => Promise.resolve(async () => void await curl.get(port, NAME, "/dev/null")),
    clear: async () => await Promise.resolve(empty(into)),
    async check() {
      await curl.get(port, NAME, `${into}/${NAME}`);
      verify(`${into}/${NAME}`, file);
    },
  };
};

/** A server for each run, of which a small file is got so many times. The last of them is measured. */
function freshly(
  workspace: Workspace,
  file: SourceFile,
  { curl, args, nth }: { curl: Curl; args: readonly string[]; nth: number },
): Omit<Candidate, "name"> {
  const [directory, into] = [workspace.directory(), workspace.directory()];
  Deno.linkSync(file.path, `${directory}/${NAME}`);
  const pids: number[] = [];
  let server: ServerProcess | undefined;
  return {
    pids,
    async ready() {
      const { port, pid } = server = await startServer(serverCommand(directory, args));
      pids.splice(0, 1, pid);
      const get = (): Promise<number> => curl.get(port, NAME, `${into}/${NAME}`);
      for (let request = 1; request < nth; request++) await get();
      return get;
    },
    async clear() {
      await server?.[Symbol.asyncDispose]();
      empty(into);
    },
    check: async () => await Promise.resolve(verify(`${into}/${NAME}`, file)),
  };
}
