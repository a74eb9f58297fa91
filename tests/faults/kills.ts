/**
 * Servers and clients that are killed in the midst of their work.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  anHourPasses,
  startClient,
  startServer,
  tempDir,
  type TestServer,
  uploadGrows,
} from "../helpers.ts";
import { relayTo } from "../relay.ts";
import { contentOf, type Dice, inspect, nameOf } from "./content.ts";
import { Crowd, isLost } from "./crowd.ts";
import { isAlone, type Trial, withClient } from "./trial.ts";

/** Clients that a server has when it is killed. */
const CLIENTS = 8;

/** What a server is killed after, at most: files that it acknowledged, or bytes on their way to it. */
const MOST_FILES = 100;
const MOST_BYTES = 4 * 2 ** 20;

/** Above this many stored files a directory is emptied, so that looking at it takes no time. */
const MANY_FILES = 500;

const ARGS = ["--max-clients", "1000", "--backlog", "1000"];

/**
 * Kills servers on one directory, each at its own moment, and starts the next one there. What was
 * acknowledged has survived, nothing is partial, and what was in flight goes an hour later.
 */
export async function killServers(
  dir: string,
  { kills, trial, dice, key }: {
    kills: number;
    trial: Trial;
    dice: Dice;
    key?: string | undefined;
  },
): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    anHourPasses(dir);
    await using server = await startServer({ dir, args: ARGS, key });
    await trial.look(dir);
    if (trial.acknowledged.size > MANY_FILES) trial.clear(server);
    await killUnderLoad(server, trial, dice);
  }
  anHourPasses(dir);
  await using _last = await startServer({ dir, args: ARGS, key });
  await trial.look(dir);
}

async function killUnderLoad(server: TestServer, trial: Trial, dice: Dice): Promise<void> {
  let [files, bytes] = dice.below(2) === 0
    ? [1 + dice.below(MOST_FILES), Infinity]
    : [Infinity, 1 + dice.below(MOST_BYTES)];
  let isOver = false;
  const killWhenDue = (): void => {
    if (isOver || (files > 0 && bytes > 0)) return;
    isOver = true;
    server.running.process.kill("SIGKILL");
  };
  const crowd = new Crowd({
    server,
    trial,
    dice,
    pick: () => trial.acknowledged.values().next().value,
    onFile: () => (files--, killWhenDue()),
    onBytes: (count) => (bytes -= count, killWhenDue()),
  });
  const ends = await Promise.allSettled(
    Array.from({ length: CLIENTS }, () => crowd.run(1, () => isOver)),
  );
  for (const end of ends) {
    if (end.status === "rejected") assert(isOver && isLost(end.reason), Deno.inspect(end.reason));
  }
  assert((await server.running.ended()).signal === "SIGKILL");
}

/** Kills clients of one server: some that send files, some that send a stream, some that get one. */
export async function killClients(
  server: TestServer,
  { kills, trial, dice }: { kills: number; trial: Trial; dice: Dice },
): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    await using local = await tempDir();
    const killing = KILLINGS[kill % KILLINGS.length]!;
    const acknowledged = await killing(server, local.path, trial, dice);
    await withClient(server, isAlone);
    for (const name of acknowledged) trial.acknowledged.add(name);
    await trial.look(server.dir);
    const { partial } = await inspect(local.path, trial.seed, []);
    assertEquals(partial, []);
  }
}

/**
 * Starts a client and kills it.
 *
 * @param local A directory for it.
 * @returns The names of the files that it was told are stored.
 */
export type Killing = (
  server: TestServer,
  local: string,
  trial: Trial,
  dice: Dice,
) => Promise<string[]>;

const sendFiles: Killing = async (server, local, trial, dice) => {
  const names = Array.from({ length: 20 }, () => makeFile(local, trial, 1 + dice.below(100_000)));
  await using client = startClient(server, names.map((name) => `${local}/${name}`));
  await client.says(/ stored as /, 1 + dice.below(names.length - 1));
  await client.stop("SIGKILL");
  return [...client.log.matchAll(/ stored as "([^"]+)"/g)].map(([, name]) => name!);
};

const sendStream: Killing = async (server, local, trial, dice) => {
  const name = makeFile(local, trial, 500_000);
  await using client = startClient(server, ["--as", name]);
  const content = Deno.readFileSync(`${local}/${name}`).subarray(0, 1 + dice.below(499_999));
  await client.process.stdin.getWriter().write(content);
  await uploadGrows(server.dir, 1);
  await client.stop("SIGKILL");
  // It never came to its end.
  trial.possible.delete(name);
  return [];
};

/** Bytes of which the client writes something: those that are encrypted come up to 16 KiB at a time. */
const SOME_BYTES = 40_000;

const getFile: Killing = async (server, local, trial, dice) => {
  const size = 1_000_000;
  const number = await withClient(server, (client) => trial.useHonestly(client, size));
  const name = nameOf(number, size);
  // The rest never comes, so that it is killed within the body.
  const bytes = SOME_BYTES + dice.below(size - SOME_BYTES);
  using stalled = await relayTo(server, { direction: "down", bytes, way: "silence" });
  await using client = startClient(stalled, ["--get", name, "--output", `${local}/${name}`]);
  await uploadGrows(local, 1);
  await client.stop("SIGKILL");
  return [name];
};

/** One of each kind. */
export const KILLINGS: readonly Killing[] = [sendFiles, sendStream, getFile];

function makeFile(local: string, trial: Trial, size: number): string {
  const number = trial.take(1);
  const name = nameOf(number, size);
  trial.possible.add(name);
  Deno.writeFileSync(`${local}/${name}`, contentOf(trial.seed, number, size));
  return name;
}
