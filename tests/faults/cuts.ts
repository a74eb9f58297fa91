/**
 * Clients that break off after every byte of what they say.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { names } from "../helpers.ts";
import {
  type Conversation,
  conversationsOf,
  lengthOf,
  NUMBERS,
  play,
  rawContent,
  SIZE,
} from "./conversations.ts";
import { inTurns } from "./in_turns.ts";
import { Peer, type Way } from "./peer.ts";
import { givesBack, holdingsOf, type ServerOnTrial, type Trial, withClient } from "./trial.ts";

/** Connections that are cut at the same time. */
const BATCH = 50;

/** A conversation, and after how many of its bytes it is cut. */
interface Cut {
  conversation: Conversation;
  bytes: number;
}

/**
 * Cuts every conversation of the default mode after every byte of the client's, and looks after each
 * batch whether all is well; after silences, which end together, at the end. What was said to its
 * end is stored, and nothing else is.
 *
 * @param step The distance from one byte to the next: where it is not 1, the seed tells the first.
 * @returns How many connections were cut.
 */
export async function cutEverywhere(
  server: ServerOnTrial,
  trial: Trial,
  way: Way,
  step = 1,
): Promise<number> {
  const known = await withClient(server, (client) => trial.useHonestly(client, SIZE));
  const cuts = Object.entries(conversationsOf(server)).flatMap(([kind, script]) => {
    const make = (): Conversation =>
      script(trial.seed, kind === "get" ? known : trial.take(NUMBERS));
    const length = lengthOf(make());
    return offsetsUpTo(length, trial, step).map((bytes) => ({ conversation: make(), bytes }));
  });
  const silences: Promise<void>[] = [];
  for (let first = 0; first < cuts.length; first += BATCH) {
    const batch = cuts.slice(first, first + BATCH);
    const peers = await inTurns(batch, (cut) => begin(server, cut));
    const over = peers.map((peer) => peer.cut(way));
    for (const { conversation, bytes } of batch) {
      for (const { name, after } of conversation.stores) {
        if (bytes >= after) trial.acknowledged.add(name);
      }
    }
    if (way === "silence") silences.push(...over);
    else await Promise.all(over).then(() => trial.assertSound(server));
  }
  await Promise.all(silences);
  await trial.assertSound(server);
  return cuts.length;
}

/** How many bytes are said before a cut: all numbers up to that length, or a sample of them. */
export function offsetsUpTo(length: number, { seed }: Trial, step: number): number[] {
  const all = Array.from({ length: length + 1 }, (_, bytes) => bytes);
  return all.filter((bytes) => (bytes + seed) % step === 0);
}

async function begin(server: ServerOnTrial, { conversation, bytes }: Cut): Promise<Peer> {
  const peer = await Peer.dial(server);
  await play(peer, conversation, bytes);
  return peer;
}

/**
 * Cuts the one conversation of a raw server after every byte of it. There an end is the end of the
 * file, wherever it comes; nothing else stores anything.
 *
 * @param stored What the server has stored so far. What comes to it is added.
 * @returns How many connections were cut.
 */
export async function cutRawEverywhere(
  server: ServerOnTrial,
  trial: Trial,
  way: Way,
  stored: string[],
): Promise<number> {
  const sendWhole = async (): Promise<void> => {
    const content = rawContent(trial.seed, trial.take(1));
    await sendRaw(server, content, "end");
    stored.push(latin1.decode(content));
  };
  // Before anybody is connected.
  const before = holdingsOf(server);
  await sendWhole();
  const { length } = rawContent(trial.seed, 0);
  const cuts = Array.from(
    { length: length + 1 },
    (_, bytes) => rawContent(trial.seed, trial.take(1)).subarray(0, bytes),
  );
  await Promise.all(cuts.map((content) => sendRaw(server, content, way)));
  // Of a connection that sends nothing, nothing is stored.
  const [, ...begun] = cuts;
  if (way === "end") begun.forEach((content) => stored.push(latin1.decode(content)));
  await sendWhole();
  await givesBack(server, before);
  const files = names(server.dir);
  assertEquals(files.filter((name) => !/^\d+\.file$/.test(name)), []);
  const contents = files.map((name) => latin1.decode(Deno.readFileSync(`${server.dir}/${name}`)));
  assertEquals(contents.sort(), stored.sort());
  return cuts.length;
}

async function sendRaw(server: ServerOnTrial, content: Uint8Array, way: Way): Promise<void> {
  const peer = await Peer.dial(server);
  await peer.write(content);
  await peer.cut(way);
}

const latin1 = new TextDecoder("latin1");
