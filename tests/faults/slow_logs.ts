/**
 * A server under load whose stderr is a pipe that is read only now and then, as by a pager.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { systemCode } from "../../lib/system_errors.ts";
import { ROOT } from "../helpers.ts";
import type { Dice } from "./content.ts";
import { Crowd, type Deeds } from "./crowd.ts";
import { givesBack, holdingsOf, isAtLeast, type ServerOnTrial, type Trial } from "./trial.ts";

/** Clients at once. */
const CLIENTS = 8;

/** Most milliseconds between two looks at the log. */
const PAUSE_MS = 400;

/** Bytes that are read then. A server under load says more. */
const READ_BYTES = 512;

/** What there was to see. */
export interface Unread extends Deeds {
  /** How often a piece of the log was read. */
  reads: number;
}

/** Where it happens. */
interface Around {
  dir: string;
  trial: Trial;
  dice: Dice;
  /** The least of what there has to be before it ends, however long that takes. */
  wanted?: Partial<Unread>;
}

/** Loads such a server for so long, and looks at all of it then. */
export async function blockLog(
  durationMs: number,
  { dir, trial, dice, wanted = {} }: Around,
): Promise<Unread> {
  await using server = await startUnread(dir);
  fillPipe(server);
  const before = holdingsOf(server);
  const started = performance.now();
  const reading = { reads: 0 };
  let isDone = false;
  const isEnough = (): boolean => isAtLeast(wanted, { ...crowd.deeds, ...reading });
  const isOver = (): boolean => performance.now() - started > durationMs && isEnough();
  const crowd = new Crowd({
    server,
    trial,
    dice,
    pick: () => trial.acknowledged.values().next().value,
  });
  const read = readNowAndThen(server, {
    ...{ dice, reading },
    deeds: crowd.deeds,
    isOver: () => isDone,
  });
  await crowd.run(CLIENTS, isOver).finally(() => isDone = true);
  await trial.assertSound(server);
  await givesBack(server, before);
  await read;
  return { ...crowd.deeds, ...reading };
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

/** Fills the pipe of a server's log, so that it takes no further line. */
function fillPipe({ pid }: ServerOnTrial): void {
  if (Deno.build.os !== "linux") return;
  const pipe = openSync(`/proc/${pid}/fd/2`, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    for (const line = "nobody reads this\n";;) writeSync(pipe, line);
  } catch (error) {
    if (systemCode(error) !== "EAGAIN") throw error;
  } finally {
    closeSync(pipe);
  }
}

/** Reads a piece of the log at random moments, each time after files were acknowledged without that. */
async function readNowAndThen(
  server: UnreadServer,
  { dice, deeds, reading, isOver }: {
    dice: Dice;
    deeds: Readonly<Deeds>;
    reading: { reads: number };
    isOver(): boolean;
  },
): Promise<void> {
  let files = 0;
  while (!isOver()) {
    await delay(dice.below(PAUSE_MS));
    if (deeds.files === files) continue;
    files = deeds.files;
    await server.readLog();
    reading.reads++;
  }
}
