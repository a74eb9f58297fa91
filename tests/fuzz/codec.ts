/**
 * Properties of the decoders of protocol.ts, whatever they are fed.
 *
 * @module
 */

import { assert } from "@std/assert";
import fc from "fast-check";
import {
  decodeBodyLine,
  decodeReply,
  decodeRequest,
  decodeUploadSize,
  decodeUtf8,
  encodeBodyLine,
  encodeLine,
  encodeReply,
  encodeRequest,
  formatDiffEntry,
  formatListEntry,
  formatStored,
  MAX_LINE_BYTES,
  parseDiffEntry,
  parseListEntry,
  parseStored,
  ProtocolError,
} from "../../protocol.ts";
import {
  decodePeopleRequest,
  decodeUnasked,
  encodePeopleRequest,
  encodeUnasked,
} from "../../protocol/people_lines.ts";
import { lookOf, openingOf } from "../../modes/first_bytes.ts";
import {
  anyBodyLine,
  anyDiffEntry,
  anyLine,
  anyListEntry,
  anyPeopleRequest,
  anyReply,
  anyRequest,
  anyStored,
  anyUnasked,
  lineOf,
} from "./messages.ts";

/** Longest time that one line may take, in milliseconds: far over what any needs. */
const LONGEST_MS = 1000;

/** One direction of the codec and the other, as functions of text. */
interface Pair {
  name: string;
  decode(line: string): unknown;
  encode(message: never): string;
}

const PAIRS: readonly Pair[] = [
  { name: "request", decode: decodeRequest, encode: (it) => lineOf(encodeRequest(it)) },
  { name: "reply", decode: decodeReply, encode: (it) => lineOf(encodeReply(it)) },
  { name: "body line", decode: decodeBodyLine, encode: (it) => lineOf(encodeBodyLine(it)) },
  { name: "stored", decode: parseStored, encode: (it) => lineOf(encodeLine(formatStored(it))) },
  {
    name: "list entry",
    decode: parseListEntry,
    encode: (it) => lineOf(encodeLine(formatListEntry(it))),
  },
  {
    name: "diff entry",
    decode: parseDiffEntry,
    encode: (it) => lineOf(encodeLine(formatDiffEntry(it))),
  },
  {
    name: "people request",
    decode: decodePeopleRequest,
    encode: (it) => lineOf(encodePeopleRequest(it)),
  },
  { name: "unasked line", decode: decodeUnasked, encode: (it) => lineOf(encodeUnasked(it)) },
];

/** What comes of it, or `undefined` where it is refused as it should be. */
function attempt<T>(what: string, action: () => T): T | undefined {
  const started = performance.now();
  try {
    return action();
  } catch (error) {
    assert(error instanceof ProtocolError, `${what} is not refused but broken: ${error}`);
    return undefined;
  } finally {
    assert(performance.now() - started < LONGEST_MS || !isSlow(action), `${what} takes too long`);
  }
}

/** Whether an action takes too long each time: once it may have waited for a processor. */
function isSlow(action: () => unknown): boolean {
  for (let time = 0; time < 5; time++) {
    const started = performance.now();
    try {
      action();
    } catch {
      // Why it fails is known.
    }
    if (performance.now() - started < LONGEST_MS) return false;
  }
  return true;
}

/** A line is refused or taken, and what is taken stays what it is from then on. */
function checkLine(line: string): void {
  for (const { name, decode, encode } of PAIRS) {
    const message = attempt(name, () => decode(line));
    if (message === undefined) continue;
    // A line within a text, or a text that is too long, cannot be sent on.
    const once = attempt(name, () => encode(message as never));
    if (once === undefined) continue;
    assert(!/[\r\n]/.test(once), `${name} has become two lines`);
    const again = attempt(name, () => decode(once));
    assert(again !== undefined, `${name} cannot read back ${JSON.stringify(once)}`);
    same(`${name} twice`, encode(again as never), once);
  }
}

/** What one side encodes the other decodes to the same. */
function checkMessage(index: number, message: unknown): void {
  const { name, decode, encode } = PAIRS[index]!;
  const line = encode(message as never);
  assert(new TextEncoder().encode(line).length < MAX_LINE_BYTES);
  same(name, decode(line), message);
}

function checkBytes(bytes: Uint8Array): void {
  checkBeginning(bytes);
  attempt("UTF-8", () => decodeUtf8(bytes));
  if (bytes.length < 8) return;
  const size = attempt("upload size", () => decodeUploadSize(bytes));
  assert(size === undefined || (Number.isSafeInteger(size) && size >= 0));
}

/** What decides at some byte is not changed by what follows, however it is cut. */
function checkBeginning(bytes: Uint8Array): void {
  for (const decide of [openingOf, lookOf]) {
    let known: string | undefined;
    for (let length = 0; length <= bytes.length; length++) {
      const found = attempt(decide.name, () => decide(bytes.subarray(0, length)));
      known ??= found;
      assert(found === known, `${decide.name} is of two minds: ${known}, ${found}`);
    }
  }
}

/** Beginnings of several wires, cut and joined. */
const anyBeginning = fc.array(
  fc.oneof(
    fc.constantFrom("hello", " ", "1", ";", "GET", "P", "/", "HTTP/", "\r\n", "\x16", "\x03", "\0"),
    fc.string({ unit: "binary", maxLength: 4 }),
    fc.constantFrom("x".repeat(250), "é"),
  ),
  { maxLength: 6 },
).map((parts) => new TextEncoder().encode(parts.join("")));

function same(what: string, actual: unknown, expected: unknown): void {
  const [one, other] = [actual, expected].map((it) => JSON.stringify(it, sortedKeys));
  assert(one === other, `${what}: ${one} is not ${other}`);
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}

/** Tries so many lines, messages and bytes. */
export function fuzzCodec(cases: number, seed: number): void {
  const messages = [
    ...[anyRequest, anyReply, anyBodyLine, anyStored, anyListEntry, anyDiffEntry],
    ...[anyPeopleRequest, anyUnasked],
  ] as const;
  const checks = fc.oneof(
    { weight: 4, arbitrary: anyLine.map((line) => ({ line })) },
    {
      weight: 2,
      arbitrary: fc.oneof(
        ...messages.map((any, index) =>
          (any as fc.Arbitrary<unknown>).map((message) => ({ index, message }))
        ),
      ),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ bytes })) },
    { weight: 1, arbitrary: anyBeginning.map((beginning) => ({ beginning })) },
  );
  fc.assert(
    fc.property(checks, (it) => {
      if ("line" in it) checkLine(it.line);
      else if ("bytes" in it) checkBytes(it.bytes);
      else if ("beginning" in it) checkBeginning(it.beginning);
      else checkMessage(it.index, it.message);
    }),
    { numRuns: cases, seed },
  );
}
