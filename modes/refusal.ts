/**
 * What a server says on a wire on which it has nothing to say: a refusal of ours, which ends the
 * transfer, or the words of another program, which are shown.
 *
 * @module
 */

import type { WireContext } from "../lib/cli/client_context.ts";
import type { Connection } from "../lib/net/connection.ts";
import { readWholeLine } from "../lib/net/whole_line.ts";
import { InletError, refusalInLine } from "../lib/errors.ts";
import { formatBytes, quoted } from "../lib/text.ts";

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

/**
 * Listens until the server ends its bytes.
 *
 * @returns The server's refusal, if that is what it said.
 * @throws {InletError} `checksum` if it does not stop talking; `lost`
 */
export async function listenForRefusal(
  connection: Connection,
  { timeoutMs, onNotice }: WireContext,
): Promise<InletError | undefined> {
  let said = 0;
  let shown = 0;
  for (;;) {
    const words = await hear(connection, timeoutMs);
    if (!words || words.refusal) return words?.refusal;
    said += words.size;
    if (said > MAX_WORDS_BYTES) {
      const much = formatBytes(MAX_WORDS_BYTES);
      throw new InletError("checksum", `Cannot go on: the server talks without end, over ${much}`);
    }
    if (words.text !== "" && shown++ < MAX_SHOWN) onNotice(`The server says ${quoted(words.text)}`);
  }
}

/**
 * Hears what a server says next: a line, or what arrives before a pause. `null` at the end.
 *
 * @param timeoutMs Milliseconds in which a refusal has to be complete.
 */
export async function hear(
  connection: Connection,
  timeoutMs: number | undefined,
): Promise<Words | null> {
  if (await connection.peek() === null) return null;
  if (await mayRefuse(connection)) {
    const line = await readWholeLine(connection, timeoutMs) ?? "";
    return { size: line.length + 1, text: line, refusal: refusalInLine(line) };
  }
  while (!connection.buffered.includes(LF) && connection.buffered.length < MAX_SHOWN_BYTES) {
    if (!await connection.moreWithin(PAUSE_MS)) break;
  }
  const { buffered } = connection;
  const size = Math.min(buffered.indexOf(LF) + 1 || buffered.length, MAX_SHOWN_BYTES);
  const text = new TextDecoder().decode(buffered.subarray(0, size)).trimEnd();
  connection.skip(size);
  return { size, text, refusal: undefined };
}

/** Whether the next bytes begin a refusal of ours. It waits for as many as decide. */
async function mayRefuse(connection: Connection): Promise<boolean> {
  for (;;) {
    const text = new TextDecoder().decode(connection.buffered.subarray(0, 6));
    if (/^(?:error|busy)[ ;]/.test(text)) return true;
    const isOpen = REFUSALS.some((word) => word.startsWith(text));
    if (!isOpen || !await connection.moreWithin(FOREVER_MS)) return false;
  }
}
