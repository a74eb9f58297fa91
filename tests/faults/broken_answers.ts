/**
 * Our own client against a server that breaks off after any byte of its answers.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { send } from "../../client.ts";
import { connect } from "../../lib/net/connect.ts";
import { exitCode, InletError } from "../../lib/errors.ts";
import { Progress } from "../../lib/cli/progress.ts";
import { FilesClient } from "../../modes/files/client.ts";
import { getFile } from "../../client/get_file.ts";
import { allOf, resultsOf } from "../helpers.ts";
import { type Relay, relayTo } from "../relay.ts";
import { contentOf, inspect, nameOf } from "./content.ts";
import { inTurns } from "./in_turns.ts";
import type { Way } from "./peer.ts";
import { type ServerOnTrial, type Trial, withClient } from "./trial.ts";

/** Bytes of a file that is asked about first. */
const PUT_BYTES = 70_000;

/** Bytes of a file that is pushed, or got. */
const SMALL_BYTES = 24;

/** More bytes than any of the conversations has answers. */
const MOST_BYTES = 140;

/** Milliseconds after which a client gives a silent server up, and one that is only slow. */
const SILENCE_MS = 5000;
const TIMEOUT_MS = 30_000;

/** What the clients have at hand. */
interface Surroundings {
  trial: Trial;
  /** A directory of their own. */
  local: string;
  /** A file that the server has. */
  known: string;
  /** How long clients wait, in milliseconds. */
  timeoutMs: number;
}

/** One thing that a client does. It says what has to be true by what answers were passed on. */
type Action = (relay: Relay, around: Surroundings) => Promise<void>;

const list: Action = async (relay, { known, timeoutMs }) => {
  const listed = await attempt(relay, timeoutMs, (client) => allOf(client.list()));
  // What came of a list that broke off is no list.
  assertEquals(listed !== undefined, relay.passed.includes(`Z ${known}\nend 1\n`));
};

const get: Action = async (relay, { local, known, timeoutMs }) => {
  const directory = await Deno.makeTempDir({ dir: local });
  const got = await attempt(
    relay,
    timeoutMs,
    (client) => getFile(client, known, `${directory}/${known}`),
  );
  const isWhole = /end\S* [0-9a-f]{8}.*\n/.test(relay.passed);
  assertEquals(got !== undefined, isWhole);
  assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name), isWhole ? [known] : []);
};

const put: Action = (relay, around) => sendOne(relay, around, PUT_BYTES);

const push: Action = (relay, around) => sendOne(relay, around, SMALL_BYTES);

const upload: Action = async (relay, { trial, local, timeoutMs }) => {
  const { path, name } = await makeFile(trial, local, SMALL_BYTES);
  const [result] = await resultsOf(send(relay, [path], { mode: "upload", timeoutMs }));
  const { error } = result!;
  // On this wire an end after `go ahead` is the acknowledgement, whoever made it.
  if (error) assertLost(error);
  else assertEquals(relay.passed, "go ahead");
  // A busy server can be silent by itself.
  if (error && !relay.cut) assertEquals(error.code, "timeout");
  (error || relay.cut ? trial.possible : trial.acknowledged).add(name);
};

/** All of them; those of one group at the same time, and those first that need a short list. */
const GROUPS: readonly (readonly Action[])[] = [[list, get], [put, push, upload]];

/**
 * Cuts every action after every byte of the server's answers. A client that has the acknowledgement
 * says so, every other one ends with exit code 4, and neither side keeps anything partial.
 *
 * @param local A directory for the clients.
 * @returns How many connections were cut.
 */
export async function cutAnswersEverywhere(
  server: ServerOnTrial,
  trial: Trial,
  way: Way,
  local: string,
): Promise<number> {
  trial.clear(server);
  const number = await withClient(server, (client) => trial.useHonestly(client, SMALL_BYTES));
  const timeoutMs = way === "silence" ? SILENCE_MS : TIMEOUT_MS;
  const around = { trial, local, known: nameOf(number, SMALL_BYTES), timeoutMs };
  let cuts = 0;
  for (const group of GROUPS) {
    const counts = group.map((act) => cutAfterEvery(server, way, (relay) => act(relay, around)));
    cuts += (await Promise.all(counts)).reduce((sum, count) => sum + count);
  }
  await trial.assertSound(server);
  const { partial, temporary } = await inspect(local, trial.seed, []);
  assertEquals({ partial, temporary }, { partial: [], temporary: [] });
  return cuts;
}

async function cutAfterEvery(
  server: ServerOnTrial,
  way: Way,
  act: (relay: Relay) => Promise<void>,
): Promise<number> {
  const begun = await inTurns(Array(MOST_BYTES).keys(), async (bytes) => {
    const { promise: cut, resolve: onCut } = Promise.withResolvers<void>();
    const relay = await relayTo(server, { direction: "down", bytes, way, onCut });
    const over = act(relay).then(() => relay.cut).finally(() => relay[Symbol.dispose]());
    // The silences are waited for together.
    await Promise.race([cut, over]);
    return { over };
  });
  const cut = await Promise.all(begun.map(({ over }) => over));
  assert(!cut.at(-1), "there are answers behind the last cut");
  return cut.filter(Boolean).length;
}

async function sendOne(
  relay: Relay,
  { trial, local, timeoutMs }: Surroundings,
  size: number,
): Promise<void> {
  const { path, name } = await makeFile(trial, local, size);
  const [result] = await resultsOf(send(relay, [path], { timeoutMs }));
  const isAcknowledged = new RegExp(`^ok ${size} [0-9a-f]{8} ${name}\n`, "m").test(relay.passed);
  assertEquals(result!.stored !== undefined, isAcknowledged);
  if (result!.error) assertLost(result!.error);
  (isAcknowledged ? trial.acknowledged : trial.possible).add(name);
}

async function makeFile(
  trial: Trial,
  directory: string,
  size: number,
): Promise<{ path: string; name: string }> {
  const number = trial.take(1);
  const name = nameOf(number, size);
  const path = `${directory}/${name}`;
  await Deno.writeFile(path, contentOf(trial.seed, number, size));
  return { path, name };
}

/** What a client gets, or `undefined` if the connection was lost before it had it. */
async function attempt<T>(
  relay: Relay,
  timeoutMs: number,
  action: (client: FilesClient) => Promise<T>,
): Promise<T | undefined> {
  const { signal } = new AbortController();
  const context = { progress: new Progress(), output: () => Promise.resolve() };
  try {
    using connection = await connect(relay, { timeoutMs, signal });
    return await action(await FilesClient.greet(connection, "fault", context));
  } catch (error) {
    assertLost(error);
    return undefined;
  }
}

function assertLost(error: unknown): void {
  assert(error instanceof InletError, String(error));
  assertEquals(exitCode(error), 4, `${error.code}: ${error.message}`);
}
