/**
 * Receives a file in mode talk. Servers differ in how they tell its end; the client takes what comes:
 *
 * 1. `get a.txt ACK` in front is skipped, and its line ending too if the server has ended what it said
 *    before with one: otherwise that would be the first byte of the file. If nothing follows, the server
 *    has taken the request for talk, and there is no file.
 * 2. `FILE a.txt 6` LF, with the name that was asked for: the size, and then so many bytes.
 * 3. `FILESIZE 6`: the size. If nothing follows it, the client sends `READY`. Then so many bytes.
 * 4. Anything else is the file itself. It ends with the marker (`EOF`, `--get-marker`) in front of a
 *    pause (`--line-gap`), or else with a pause or the end of the connection.
 *
 * A server that has welcomed the client with the words of PROTOCOL.md puts nothing in front of a file.
 * There a file that begins like 1, 2 or 3 is itself.
 *
 * An end without a size and a marker is not proved: a lost part looks the same. Such a file is refused,
 * unless `--accept-unproved` is given. Before it is refused the client waits for ten pauses: a slow server
 * may still send the marker. Behind a size nothing may follow, except for the marker.
 *
 * A server that drips is given up: each `--timeout` of waiting has to bring at least 1 KiB.
 *
 * A refusal is told apart from a file only as far as it shows. A single line of at most 512 bytes without
 * a size and a marker is one if it is an error of inlet's, or has a word such as `error` or `not found`
 * in it, even with `--accept-unproved`. A server's error text with a marker behind it is a file.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { endsWith } from "@std/bytes/ends-with";
import { startsWith } from "@std/bytes/starts-with";
import { ACK } from "../../protocol.ts";
import type { WireContext } from "../../lib/cli/client_context.ts";
import { InletError } from "../../lib/errors.ts";
import { awakeNow } from "../../lib/net/awake.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { DEFAULT_TIMEOUT_MS } from "../../lib/net/whole_line.ts";
import type { Upload } from "../../lib/store/store.ts";
import { formatBytes, formatCount, quoted } from "../../lib/text.ts";
import { encodeMessage } from "./messages.ts";
import { Drip, nextWithin } from "./pauses.ts";
import { MAX_REFUSAL_BYTES, refusedGet } from "./words.ts";

/** Target of a download: an upload of a store, or any object that accepts bytes. */
export type Target = Pick<Upload, "write">;

/** What was received. */
export interface Received {
  /** In bytes. */
  readonly size: number;
  /** What told the end of the file: `the marker "EOF"`. */
  readonly endedBy: string;
  /** Whether that proves that the file is complete. */
  readonly proved: boolean;
}

/** What bounds the receipt of a file. */
export interface ReceiveLimits {
  /** Pauses to wait for the end of a file that would be refused without one. */
  readonly patientGaps: number;
  /** Most bytes of a file whose size was not announced: nothing else ends a server that spins. */
  readonly mostUnsizedBytes: number;
  /** Bytes that have to come in each limit on silence: fewer are a drip. */
  readonly leastBytes: number;
}

/** The limits that PROTOCOL.md tells. */
export const RECEIVE_LIMITS: ReceiveLimits = {
  patientGaps: 10,
  mostUnsizedBytes: 1024 ** 3,
  leastBytes: 1024,
};

/** A file that was requested. */
export interface Requested {
  readonly name: string;
  /** The message that requested it. */
  readonly request: string;
  readonly target: Target;
  readonly context: WireContext;
  /** Whether the server ends what it says with line endings. */
  readonly endsLines: boolean;
  /** Whether the server is known to put nothing in front of a file. */
  readonly isBare: boolean;
  /**
   * For tests.
   *
   * @default {RECEIVE_LIMITS}
   */
  readonly limits?: ReceiveLimits;
}

/** A file that is received. */
interface Receipt extends Required<Requested> {
  readonly drip: Drip;
}

/** Longest header in front of a file, in bytes. */
const MAX_HEADER_BYTES = 1100;

/** What may follow a marker or an acknowledgement. */
const ENDINGS = ["\r\n", "\n", ""].map((ending) => new TextEncoder().encode(ending));

/**
 * Receives a file, from its first byte, which has arrived.
 *
 * @throws {InletError} as the head of this file tells
 */
export async function receiveFile(
  connection: Connection,
  { limits = RECEIVE_LIMITS, ...requested }: Requested,
): Promise<Received> {
  const { name, context: { timeoutMs = DEFAULT_TIMEOUT_MS } } = requested;
  const { leastBytes } = limits;
  const drip = new Drip({ windowMs: timeoutMs, leastBytes }, () => {
    const slow = `fewer than ${formatCount(leastBytes)} bytes came in ${timeoutMs / 1000} s`;
    return new InletError("timeout", `Cannot get ${quoted(name)}: ${slow}`);
  });
  const asked = { ...requested, limits, drip };
  if (requested.isBare) return await receiveUnsized(connection, asked);
  await skipAcknowledgement(connection, asked);
  const size = await readSize(connection, asked);
  return size === undefined
    ? await receiveUnsized(connection, asked)
    : await receiveSized(connection, asked, size);
}

async function skipAcknowledgement(
  connection: Connection,
  { name, request, context, endsLines, limits, drip }: Receipt,
): Promise<void> {
  const { lineGapMs } = context.wire;
  const expected = new TextEncoder().encode(request + ACK);
  while (!startsWith(connection.buffered, expected)) {
    if (!startsWith(expected, connection.buffered)) return;
    if (!await more(connection, lineGapMs, drip)) return;
  }
  const rest = connection.buffered.subarray(expected.length);
  const ending = endsLines ? ENDINGS.find((ending) => startsWith(rest, ending)) : undefined;
  connection.skip(expected.length + (ending?.length ?? 0));
  if (await nextWithin(connection, limits.patientGaps * lineGapMs) === "bytes") return;
  const reason = `the server answered ${quoted(request + ACK)} and sent no file`;
  throw new InletError("denied", `Cannot get ${quoted(name)}: ${reason}`);
}

/** A size in front of a file. */
interface Announced {
  readonly size: number;
  /** `FILE` or `FILESIZE`. */
  readonly word: string;
  /** Bytes of the header. */
  readonly length: number;
  /** Whether nothing has come behind it, so that the server may wait for `READY`. */
  readonly mayWait: boolean;
}

/** Reads a header with the size of the file, if there is one, and sends `READY` where it is awaited. */
async function readSize(
  connection: Connection,
  { name, context: { wire }, drip }: Receipt,
): Promise<Announced | undefined> {
  for (;;) {
    const head = decode(connection.buffered.subarray(0, MAX_HEADER_BYTES));
    const announced = announcedIn(head, name);
    if (!announced && !mayBecomeHeader(head)) return undefined;
    const goesOn = !announced || announced.mayWait;
    if (goesOn && await more(connection, wire.lineGapMs, drip)) continue;
    if (!announced) return undefined;
    connection.skip(announced.length);
    if (announced.mayWait) await connection.write(encodeMessage("READY", wire));
    return announced;
  }
}

function announcedIn(head: string, name: string): Announced | undefined {
  const [line, size = ""] = /^FILESIZE (\d{1,15})(?:\r?\n|$)/.exec(head) ?? [];
  if (line !== undefined) {
    const mayWait = line.length === head.length;
    return { size: Number(size), word: "FILESIZE", length: line.length, mayWait };
  }
  // A file may begin with such words, too: it has to be the name that was asked for.
  for (const asked of [name, name.slice(name.lastIndexOf("/") + 1)]) {
    const beginning = `FILE ${asked} `;
    if (!head.startsWith(beginning)) continue;
    const [line, size] = /^(\d{1,15})\r?\n/.exec(head.slice(beginning.length)) ?? [];
    if (line === undefined) continue;
    const { length } = new TextEncoder().encode(beginning + line);
    return { size: Number(size), word: "FILE", length, mayWait: false };
  }
  return undefined;
}

function mayBecomeHeader(head: string): boolean {
  return ["FILE ", "FILESIZE "].some((word) => word.startsWith(head)) ||
    /^FILE(SIZE)? [^\n]*$/.test(head) && head.length < MAX_HEADER_BYTES;
}

async function receiveSized(
  connection: Connection,
  { name, target, context: { progress, wire }, drip }: Receipt,
  { size, word }: Announced,
): Promise<Received> {
  progress.expect(size);
  let asked = awakeNow();
  for await (const chunk of connection.body(size)) {
    drip.count(chunk.length, awakeNow() - asked);
    progress.add(chunk.length);
    await writeTo(connection, target, chunk);
    asked = awakeNow();
  }
  await skipMarker(connection, wire, drip);
  if (connection.buffered.length > 0) {
    const reason = `the server sent more than the ${formatCount(size)} bytes that it announced`;
    throw new InletError("checksum", `Cannot get ${quoted(name)}: ${reason}`);
  }
  return { size, endedBy: `the size in front of it, ${word}`, proved: true };
}

/** Skips the marker and its ending, if nothing else comes before a pause. */
async function skipMarker(
  connection: Connection,
  { getMarker, lineGapMs }: WireContext["wire"],
  drip: Drip,
): Promise<void> {
  const markers = markersOf(getMarker);
  const isMarker = (text: Uint8Array): boolean =>
    markers.some((marker) => startsWith(marker, text));
  do if (!isMarker(connection.buffered)) return; while (await more(connection, lineGapMs, drip));
  const { length } = connection.buffered;
  if (markers.some((marker) => marker.length === length)) connection.skip(length);
}

async function receiveUnsized(connection: Connection, asked: Receipt): Promise<Received> {
  const { name, context, limits, drip } = asked;
  const { getMarker, lineGapMs, acceptUnproved } = context.wire;
  const body = new UnsizedBody(connection, asked);
  const isMarked = (): boolean => body.marker.length > 0;
  const refused = (): InletError | undefined => body.start && refusedGet(name, body.start);
  const isPatient = getMarker.length > 0 && !acceptUnproved;
  const patienceMs = (): number =>
    isPatient && !isMarked() && !refused() ? limits.patientGaps * lineGapMs : lineGapMs;
  do await body.add(connection.takeBuffered().slice()); while (
    await drip.waiting(connection, () => nextWithin(connection, patienceMs())) === "bytes"
  );
  if (isMarked()) {
    const size = await body.end(body.marker.length);
    return { size, endedBy: `the marker ${quoted(decode(getMarker))}`, proved: true };
  }
  const no = refused();
  if (no) throw no;
  const isOver = await nextWithin(connection, 0) === "end";
  if (isOver && asked.isBare && getMarker.length > 0) {
    // A server that sends markers closes without one only when it fails.
    throw new InletError("lost", `Cannot get ${quoted(name)}: the server closed within the file`);
  }
  const endedBy = isOver ? "the end of the connection" : `a pause of ${lineGapMs} ms`;
  if (!acceptUnproved) {
    const reason = `${formatBytes(body.size)} came, and then ${endedBy}`;
    const way = "nothing proves that this is all; --accept-unproved takes it";
    throw new InletError("checksum", `Cannot get ${quoted(name)}: ${reason}: ${way}`);
  }
  return { size: await body.end(0), endedBy, proved: false };
}

/**
 * The bytes of a file of unknown size. The first are held back, as they may be a refusal; the last, as
 * they may be the marker.
 */
class UnsizedBody {
  readonly #connection: Connection;
  readonly #asked: Receipt;
  readonly #markers: readonly Uint8Array[];
  readonly #mostTail: number;
  #held: Uint8Array = new Uint8Array();
  #written = 0;

  constructor(connection: Connection, asked: Receipt) {
    this.#connection = connection;
    this.#asked = asked;
    const { getMarker } = asked.context.wire;
    this.#markers = getMarker.length === 0 ? [] : markersOf(getMarker);
    this.#mostTail = getMarker.length + 2;
  }

  /** Bytes that have come. */
  get size(): number {
    return this.#written + this.#held.length;
  }

  /** All of them, if they are few. */
  get start(): Uint8Array | undefined {
    return this.#written === 0 ? this.#held : undefined;
  }

  /** The marker that the bytes end with, and its line ending; empty if there is none. */
  get marker(): Uint8Array {
    return this.#markers.find((marker) => endsWith(this.#held, marker)) ?? new Uint8Array();
  }

  async add(piece: Uint8Array): Promise<void> {
    this.#held = concat([this.#held, piece]);
    const { name, limits: { mostUnsizedBytes } } = this.#asked;
    if (this.size > mostUnsizedBytes) {
      const limit = `it does not end within ${formatBytes(mostUnsizedBytes)}`;
      throw new InletError("checksum", `Cannot get ${quoted(name)}: ${limit}`);
    }
    const isStart = this.#written === 0 && this.#held.length <= MAX_REFUSAL_BYTES + this.#mostTail;
    if (!isStart) await this.#write(this.#held.length - this.#mostTail);
  }

  /** Writes what is held back, except for the marker. Returns the size of the file. */
  async end(markerBytes: number): Promise<number> {
    await this.#write(this.#held.length - markerBytes);
    return this.#written;
  }

  async #write(count: number): Promise<void> {
    if (count <= 0) return;
    const chunk = this.#held.slice(0, count);
    this.#held = this.#held.slice(count);
    this.#written += count;
    this.#asked.context.progress.add(count);
    await writeTo(this.#connection, this.#asked.target, chunk);
  }
}

/** The marker with each ending that may follow it. */
function markersOf(marker: Uint8Array): Uint8Array[] {
  return ENDINGS.map((ending) => concat([marker, ending]));
}

/** Waits until more data is buffered than now, at most this time. */
async function more(connection: Connection, milliseconds: number, drip: Drip): Promise<boolean> {
  const before = connection.buffered.length;
  return await drip.waiting(connection, () => connection.moreWithin(milliseconds)) ||
    connection.buffered.length > before;
}

/** Writes a chunk. A target that takes long, such as a pipe, is no silence of the server. */
async function writeTo(connection: Connection, target: Target, chunk: Uint8Array): Promise<void> {
  const writing = target.write(chunk);
  if (writing) await connection.unwatched(writing);
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}
