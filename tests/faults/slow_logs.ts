/**
 * A server under load whose stderr is a pipe that is read only now and then, as by a pager.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { ROOT } from "../helpers.ts";
import type { Dice } from "./content.ts";
import { Crowd, type Deeds } from "./crowd.ts";
import { givesBack, holdingsOf, type ServerOnTrial, type Trial } from "./trial.ts";

/** Clients at once. */
const CLIENTS = 8;

/** Most milliseconds between two looks at the log. */
const PAUSE_MS = 400;

/** Bytes that are read then. A server under load says more. */
const READ_BYTES = 512;

/** Loads such a server for so long, and looks at all of it then. */
export async function blockLog(
  durationMs: number,
  { dir, trial, dice }: { dir: string; trial: Trial; dice: Dice },
): Promise<Deeds & { reads: number }> {
  await using server = await startUnread(dir);
  const before = holdingsOf(server);
  const started = performance.now();
  let isDone = false;
  const isOver = (): boolean => performance.now() - started > durationMs;
  const crowd = new Crowd({
    server,
    trial,
    dice,
    pick: () => trial.acknowledged.values().next().value,
  });
  const reading = readNowAndThen(server, dice, () => isDone);
  await crowd.run(CLIENTS, isOver).finally(() => isDone = true);
  await trial.assertSound(server);
  await givesBack(server, before);
  return { ...crowd.deeds, reads: await reading };
}

/** A server of whose log a chunk is read when asked. */
interface UnreadServer extends ServerOnTrial, AsyncDisposable {
  readLog(): Promise<void>;
}

async function startUnread(dir: string): Promise<UnreadServer> {
  const limits = ["--max-clients", "1000", "--backlog", "1000"];
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "server.ts", "0", "--dir", dir, ...limits],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const chunks = process.stderr.getReader({ mode: "byob" });
  const decoder = new TextDecoder();
  const running = { log: "" };
  const readLog = async (): Promise<void> => {
    const { value } = await chunks.read(new Uint8Array(READ_BYTES));
    running.log += decoder.decode(value, { stream: true });
  };
  let port: string | undefined;
  while (port === undefined) {
    await readLog();
    port = /listening on \S+:(\d+)\b.*\n/.exec(running.log)?.[1];
  }
  return {
    port: Number(port),
    dir,
    pid: process.pid,
    running,
    readLog,
    async [Symbol.asyncDispose]() {
      // It ends although nobody reads its last lines.
      process.kill("SIGTERM");
      await process.status;
      await chunks.cancel();
    },
  };
}

/** Reads a piece of the log at random moments. Gives how many. */
async function readNowAndThen(
  server: UnreadServer,
  dice: Dice,
  isOver: () => boolean,
): Promise<number> {
  let reads = 0;
  for (; !isOver(); reads++) {
    await delay(dice.below(PAUSE_MS));
    await server.readLog();
  }
  return reads;
}
