/**
 * What a server says on a wire on which it has nothing to say: a refusal of ours, which ends the
 * transfer, or the words of another program, which are shown.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { ERROR_CODES } from "../protocol.ts";
import type { WireContext } from "../lib/cli/client_context.ts";
import type { Connection } from "../lib/net/connection.ts";
import { AwakeTimer } from "../lib/net/awake.ts";
import { DEFAULT_TIMEOUT_MS } from "../lib/net/whole_line.ts";
import { InletError, refusalInLine } from "../lib/errors.ts";
import { formatBytes, formatSeconds, quoted } from "../lib/text.ts";
import { likelyServer, otherServer } from "./files/first_answer.ts";

/** Words that refusals of ours begin with. */
const REFUSALS = ["error", "busy"];

/** Most bytes of other words. */
const MAX_WORDS_BYTES = 1024 * 1024;

/** Most bytes of other words that are shown at once, and most times. */
const MAX_SHOWN_BYTES = 4096;
const MAX_SHOWN = 5;

/** Milliseconds after which words without a line ending are shown. */
const PAUSE_MS = 200;

/** The longest time of a timer, in milliseconds. */
const FOREVER_MS = 2 ** 31 - 1;

const LF = 0x0a;

/** Something that a server said. */
interface Words {
  /** Bytes on the wire. */
  readonly size: number;
  readonly text: string;
  /** Set if it is a refusal of ours. */
  readonly refusal: InletError | undefined;
}

/** How much a server has said. */
export interface Heard {
  bytes: number;
}

/**
 * Listens until the server ends its bytes.
 *
 * @param heard Counts what the server says that is no refusal.
 * @returns The server's refusal, if that is what it said.
 * @throws {InletError} `checksum` if it does not stop talking; `lost`
 */
export async function listenForRefusal(
  connection: Connection,
  { timeoutMs, onNotice }: WireContext,
  heard: Heard,
): Promise<InletError | undefined> {
  let shown = 0;
  for (;;) {
    const words = await hear(connection, timeoutMs);
    if (!words || words.refusal) return words?.refusal;
    heard.bytes += words.size;
    if (heard.bytes > MAX_WORDS_BYTES) {
      const much = formatBytes(MAX_WORDS_BYTES);
      throw new InletError("checksum", `Cannot go on: the server talks without end, over ${much}`);
    }
    if (words.text === "" || shown >= MAX_SHOWN) continue;
    const hint = shown++ === 0 ? hintAt(words.text) : "";
    onNotice(`The server says ${quoted(words.text)}${hint}`);
  }
}

/** What to do about words of a server that should say nothing. */
function hintAt(words: string): string {
  const likely = likelyServer(words);
  if (likely !== undefined) return `, ${likely}`;
  return "; if it waits for an answer, see --dialogue, --mode talk or --mode reverse";
}

/**
 * Hears what a server says next: a line, or what arrives before a pause. `null` at the end.
 *
 * @param timeoutMs Milliseconds in which a refusal has to be complete.
 */
export async function hear(
  connection: Connection,
  timeoutMs: number = DEFAULT_TIMEOUT_MS,
): Promise<Words | null> {
  if (await connection.peek() === null) return null;
  const isRefusal = (): boolean => mayRefuse(textOf(connection.buffered));
  const isWhole = (): boolean =>
    connection.buffered.includes(LF) || connection.buffered.length >= MAX_SHOWN_BYTES;
  let isLate = false;
  using _ = new AwakeTimer(timeoutMs, () => {
    isLate = true;
    const late = `No complete line within ${formatSeconds(timeoutMs)} s`;
    if (!isWhole() && isRefusal()) connection.abort(new InletError("timeout", late));
  });
  while (!isWhole() && !isLate) {
    // A refusal of ours is awaited whole, however slowly it comes.
    if (!await connection.moreWithin(isRefusal() ? FOREVER_MS : PAUSE_MS)) break;
  }
  const { buffered } = connection;
  const size = Math.min(buffered.indexOf(LF) + 1 || buffered.length, MAX_SHOWN_BYTES);
  const text = textOf(buffered.subarray(0, size)).trimEnd();
  connection.skip(size);
  return { size, text, refusal: refusalInLine(text) };
}

/**
 * The refusal of a full server, or what tells of a server of another mode, if that is what has come
 * in place of an answer. It consumes nothing further.
 *
 * @param pieces What has come.
 */
export async function refusalIn(
  connection: Connection,
  pieces: readonly Uint8Array[],
): Promise<InletError | undefined> {
  const come = (): string =>
    textOf(concat([...pieces, connection.buffered]).subarray(0, MAX_SHOWN_BYTES));
  while (!come().includes("\n") && mayRefuse(come())) {
    if (!await connection.moreWithin(PAUSE_MS)) break;
  }
  const [line] = come().split(/\r?\n/) as [string];
  return refusalInLine(line) ?? otherServer(line);
}

/** Whether a text is a refusal of ours, or may become one. */
function mayRefuse(text: string): boolean {
  if (REFUSALS.some((word) => word.startsWith(text))) return true;
  if (/^busy(?: (?:\d+(?: (?:of?|of \d+)?)?)?)?\r?\n?$/.test(text)) return true;
  const [, code, rest] = /^error(?: ([a-z-]*)( .*)?)?$/s.exec(text) ?? [];
  if (code === undefined) return text === "error";
  if (rest !== undefined) return Object.hasOwn(ERROR_CODES, code);
  return Object.keys(ERROR_CODES).some((known) => known.startsWith(code));
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
