/**
 * Clients that break off after every byte of a put that can be continued, and come back.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import { decodeReply, formatCrc } from "../../protocol.ts";
import { proofOf, type Prove, reputLine } from "../resuming.ts";
import { contentOf, nameOf } from "./content.ts";
import {
  type Conversation,
  lengthOf,
  play,
  proofOf as challenged,
  resumable,
  SIZE,
} from "./conversations.ts";
import { offsetsUpTo } from "./cuts.ts";
import { inTurns } from "./in_turns.ts";
import { Peer, type Way } from "./peer.ts";
import { isAlone, type ServerOnTrial, type Trial, withClient } from "./trial.ts";

/** A put, and after how many of its bytes it is cut. */
interface BrokenPut {
  number: number;
  conversation: Conversation;
  bytes: number;
}

/**
 * Cuts the conversation after every byte of the client's, and then goes on with each.
 *
 * @param step As for {@linkcode cutEverywhere}.
 * @returns How many connections were cut.
 */
export async function cutAndResumeEverywhere(
  server: ServerOnTrial,
  trial: Trial,
  way: Way,
  step = 1,
): Promise<number> {
  const length = lengthOf(resumable(trial.seed, 0, server));
  const puts = offsetsUpTo(length, trial, step).map((bytes) => {
    const number = trial.take(1);
    return { number, conversation: resumable(trial.seed, number, server), bytes };
  });
  const peers = await inTurns(puts, async ({ conversation, bytes }) => {
    const peer = await Peer.dial(server);
    await play(peer, conversation, bytes);
    return peer;
  });
  await Promise.all(peers.map((peer) => peer.cut(way)));
  await withClient(server, isAlone);
  await inTurns(puts, (put) => goOn(server, trial, put));
  await trial.assertSound(server);
  return puts.length;
}

async function goOn(server: ServerOnTrial, trial: Trial, put: BrokenPut): Promise<void> {
  const [{ name, after }] = put.conversation.stores as [{ name: string; after: number }];
  assertEquals(name, nameOf(put.number, SIZE));
  trial.acknowledged.add(name);
  if (put.bytes >= after) return;
  const content = contentOf(trial.seed, put.number, SIZE);
  const peer = await Peer.dial(server);
  const say = (text: string): Promise<void> => peer.write(new TextEncoder().encode(text));
  await say(`hello 1 fault\n`);
  if (peer.credential) {
    assert(await peer.answered(/^challenge \w+\n/), peer.answers);
    await peer.write(await challenged(peer));
  }
  await peer.write(reputLine(content, { size: SIZE, name }));
  assert(await peer.answered(/(prove .*|go;\S* \d+)\n$/), peer.answers);
  const [, question] = /^(prove .*)\n/m.exec(peer.answers) ?? [];
  if (question !== undefined) {
    await say(`proof ${proofOf(content, decodeReply(question) as Prove)}\n`);
    assert(await peer.answered(/go;\S* \d+\n$/), peer.answers);
  }
  const [, offset] = /go;\S* (\d+)\n$/.exec(peer.answers)!;
  // Something is kept where a byte of the body had come.
  assertEquals(question !== undefined, Number(offset) > 0);
  await peer.write(content.subarray(Number(offset)));
  await say(`end ${formatCrc(crc32(content))}\n`);
  assert(await peer.answered(new RegExp(`ok ${SIZE} [0-9a-f]{8} ${name}\n$`)), peer.answers);
  await peer.cut("end");
}
