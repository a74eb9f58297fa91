/**
 * Conversations as a client of each kind has them, written down: what it says, and what it waits for
 * before it goes on.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { encodeUploadHeader, formatCrc } from "../../protocol.ts";
import type { Reachable } from "../helpers.ts";
import { idOf } from "../resuming.ts";
import { contentOf, crcOf, nameOf } from "./content.ts";
import type { Peer } from "./peer.ts";

/** What a client says in one go, and the answers that it waits for then. */
interface Step {
  says: Uint8Array;
  /** Whether it says the proof of its key instead, which is as long. */
  proves?: boolean;
  /** What all answers so far have to match; missing where it does not wait. */
  answers?: RegExp;
}

/** A conversation. Those of one kind have the same length whatever their numbers are. */
export interface Conversation {
  readonly steps: readonly Step[];
  /** The names it stores, and how many bytes the client has to have said for each. */
  readonly stores: readonly { name: string; after: number }[];
}

const utf8 = new TextEncoder();

/** Bytes of each file that is sent or got. */
export const SIZE = 24;

/** How many numbers of files one conversation uses up. */
export const NUMBERS = 2;

/** Makes a conversation. */
export type Script = (seed: number, number: number) => Conversation;

/** Those that a server in its default mode serves, by name. */
export const CONVERSATIONS: Readonly<Record<string, Script>> = {
  put(seed, number) {
    const file = fileOf(seed, number);
    return recorded([
      say("hello 1 fault\n", /^welcome .*\n/),
      say(`put ${SIZE} ${file.name}\n`, /go 0\n$/),
      { ...say([file.content, `end ${file.crc}\n`], file.acknowledgement), stores: file.name },
      say("exit\n", /ok bye\n$/),
    ]);
  },
  /** Of the file of that number, which has to be there. */
  get(seed, number) {
    const file = fileOf(seed, number);
    return recorded([
      say("hello 1 fault\n", /^welcome .*\n/),
      say(`get ${file.name}\n`, new RegExp(`end\\S* ${file.crc}.*\n$`)),
      say("exit\n", /ok bye\n$/),
    ]);
  },
  upload(seed, number) {
    const file = fileOf(seed, number);
    return recorded([
      say([encodeUploadHeader(SIZE, file.name)], /^go ahead$/),
      { ...say([file.content]), stores: file.name },
    ]);
  },
  session(seed, number) {
    const first = fileOf(seed, number);
    const second = fileOf(seed, number + 1);
    const half = SIZE / 2;
    const chunk = `data ${half}\n`;
    const [head, tail] = [first.content.subarray(0, half), first.content.subarray(half)];
    return recorded([
      say("hello 1 fault\n", /^welcome .*\n/),
      say("list\n", /ok\n[^]*end \d+\n$/),
      say("Hello\n", /Hello ACK\n$/),
      say(`put - ${first.name}\n`, /go 0\n$/),
      {
        ...say([chunk, head, chunk, tail, `end ${first.crc}\n`], first.acknowledgement),
        stores: first.name,
      },
      {
        ...say(
          [`push ${SIZE} ${second.name}\n`, second.content, `end ${second.crc}\n`],
          second.acknowledgement,
        ),
        stores: second.name,
      },
      say("status\n", /client \d+ \|.*\n/),
      say("exit\n", /ok bye\n$/),
    ]);
  },
};

/** Those that a server serves, which has a key or not. */
export function conversationsOf({ key }: Reachable): Readonly<Record<string, Script>> {
  return key === undefined ? CONVERSATIONS : SECURED;
}

/** What a client says that proves its key. */
function answerOf(proof: string): Uint8Array {
  return utf8.encode(`answer ${proof}\n`);
}

/** What a server with a key says to a greeting. */
export const CHALLENGE = /^challenge \w+\n/;

const PROOF: Step = {
  says: answerOf("0".repeat(64)),
  proves: true,
  answers: /\nwelcome .*\n/,
};

/** The same with a proof of the key behind the greeting. */
function secured({ steps: [hello, ...others], stores }: Conversation): Conversation {
  return {
    steps: [{ says: hello!.says, answers: CHALLENGE }, PROOF, ...others],
    stores: stores.map(({ name, after }) => ({ name, after: after + PROOF.says.length })),
  };
}

/** All but that of the wire that knows no keys. */
const SECURED: Readonly<Record<string, Script>> = Object.fromEntries(
  Object.entries(CONVERSATIONS).filter(([kind]) => kind !== "upload").map((
    [kind, script],
  ) => [kind, (seed, number) => secured(script(seed, number))]),
);

/** A put that can be continued. */
export function resumable(seed: number, number: number, server: Reachable): Conversation {
  const plain = resumablePut(seed, number);
  return server.key === undefined ? plain : secured(plain);
}

function resumablePut(seed: number, number: number): Conversation {
  const file = fileOf(seed, number);
  return recorded([
    say("hello 1 fault\n", /^welcome .*\n/),
    say(`reput ${idOf(file.content)} ${SIZE} ${file.name}\n`, /go;ticket=\S+ 0\n$/),
    {
      ...say([file.content, `end ${file.crc}\n`], file.acknowledgement),
      stores: file.name,
    },
    say("exit\n", /ok bye\n$/),
  ]);
}

/** What a client of a raw server sends: the file of that number, which gets a number of its own. */
export function rawContent(seed: number, number: number): Uint8Array<ArrayBuffer> {
  return contentOf(seed, number, SIZE);
}

/** How many bytes the client says in all. */
export function lengthOf({ steps }: Conversation): number {
  return steps.reduce((sum, { says }) => sum + says.length, 0);
}

/**
 * Says the first so many bytes of a conversation, waiting for the answers wherever the client would.
 *
 * @throws {Error} if the server says no, or closes
 */
export async function play(peer: Peer, { steps }: Conversation, bytes: number): Promise<void> {
  let left = bytes;
  for (const { says, proves, answers } of steps) {
    const content = proves && left > 0 ? await proofOf(peer) : says;
    await peer.write(content.subarray(0, left));
    left -= says.length;
    if (left < 0) return;
    if (answers && !await peer.answered(answers)) {
      throw new Error(`the server has said ${JSON.stringify(peer.answers)}`);
    }
  }
}

/** The answer to the challenge that the server has sent. */
export async function proofOf({ answers, credential }: Peer): Promise<Uint8Array> {
  const [, nonce] = /^challenge (\w+)\n/.exec(answers)!;
  return answerOf(await credential!.prove(nonce!));
}

/** A file that conversations send or get. */
function fileOf(seed: number, number: number) {
  const name = nameOf(number, SIZE);
  const crc = formatCrc(crcOf(seed, number, SIZE));
  const acknowledgement = new RegExp(`ok ${SIZE} ${crc} ${name}\n$`);
  return { name, crc, content: contentOf(seed, number, SIZE), acknowledgement };
}

function say(what: string | (string | Uint8Array)[], answers?: RegExp): Step {
  const parts = typeof what === "string" ? [what] : what;
  const says = concat(parts.map((part) => typeof part === "string" ? utf8.encode(part) : part));
  return answers ? { says, answers } : { says };
}

function recorded(steps: (Step & { stores?: string })[]): Conversation {
  let after = 0;
  const stores = [];
  for (const step of steps) {
    after += step.says.length;
    if (step.stores !== undefined) stores.push({ name: step.stores, after });
  }
  return { steps, stores };
}
