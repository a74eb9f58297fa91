/**
 * The bodies that a program hands to the library: bytes in memory, and streams, of which the program
 * tells the size or does not.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { formatCount, quoted } from "../text.ts";
import type { Facts } from "./file_facts.ts";
import { type Change, type FileBody, type OnBytes, Tally } from "./streams.ts";

/** Most bytes that are sent with one write. */
const PIECE_BYTES = 256 * 1024;

/** What is known of a body beside its bytes. */
export type BodyFacts = Pick<Facts, "modified" | "mode">;

/** Bytes in memory. A program that takes them away meanwhile (`transfer()`, `resize()`) has changed them. */
export class ContentSource {
  readonly label: string;
  readonly name: string;
  readonly size: number;
  readonly modified: Date | undefined;
  readonly mode: number | undefined;
  readonly folder = undefined;
  readonly #content: Uint8Array;

  constructor(name: string, content: Uint8Array, { modified, mode }: BodyFacts = {}) {
    this.label = this.name = name;
    this.size = content.length;
    this.modified = modified;
    this.mode = mode;
    this.#content = content;
  }

  /** The number of bytes that were given. */
  measure(): number {
    return this.size;
  }

  /**
   * Copies all bytes.
   *
   * @returns Whether they are others than were given. Missing bytes become zeros.
   */
  read(room: Uint8Array): Change | undefined {
    const change = this.#change();
    if (change) room.fill(0, 0, this.size);
    else room.set(this.#content);
    return change;
  }

  /** Streams the bytes. */
  open(onBytes: OnBytes): FileBody & Disposable {
    const tally = new Tally();
    let change: Change | undefined;
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller): void => {
        const { bytes } = tally;
        if (bytes === this.size) return controller.close();
        change ??= this.#change();
        const end = Math.min(bytes + PIECE_BYTES, this.size);
        const piece = change ? new Uint8Array(end - bytes) : this.#content.subarray(bytes, end);
        tally.add(piece);
        onBytes(piece.length);
        controller.enqueue(piece);
      },
    }, { highWaterMark: 0 });
    return { stream, tally, change: () => change, [Symbol.dispose]: () => {} };
  }

  /** Computes the CRC-32 of all bytes. */
  crc(): Promise<number> {
    const tally = new Tally();
    tally.add(this.#content);
    return Promise.resolve(tally.crc);
  }

  #change(): Change | undefined {
    return this.#content.length === this.size ? undefined : "changed";
  }
}

/** A stream of a program, which is read once, or a Blob, which can be read again. */
export class GivenStream {
  readonly label: string;
  readonly name: string;
  readonly size: number | null;
  readonly modified: Date | undefined;
  readonly mode: number | undefined;
  readonly folder = undefined;
  /** Why the body could not be sent, if that was the fault of the stream. */
  failure: InletError | undefined;
  /** Whether something was read that cannot be read again. */
  isSpent = false;
  readonly #given: ReadableStream<Uint8Array> | Blob;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #isReleased = false;
  /** What is left of a chunk that is sent in pieces. */
  #rest: Uint8Array | undefined;

  /** @param size In bytes; `null` if it is not known. */
  constructor(
    name: string,
    given: ReadableStream<Uint8Array> | Blob,
    size: number | null,
    { modified, mode }: BodyFacts = {},
  ) {
    this.label = this.name = name;
    this.size = size;
    this.modified = modified;
    this.mode = mode;
    this.#given = given;
  }

  /**
   * Opens the body. A body of unknown size that fails ends early, and is told to have changed: so the
   * wire can abort it, and the connection stays. One of a known size fails, and ends the connection.
   * The stream of the program is not cancelled: {@linkcode GivenStream.release} tells it why.
   */
  open(onBytes: OnBytes): FileBody & Disposable {
    const tally = new Tally();
    const given = this.#given;
    const reader = this.#reader ??= (given instanceof Blob ? given.stream() : given).getReader();
    const stream = new ReadableStream<Uint8Array>({
      pull: async (controller): Promise<void> => {
        const whole = this.#rest ?? await this.#next(reader, tally);
        const chunk = whole?.subarray(0, PIECE_BYTES);
        this.#rest = whole && whole.length > PIECE_BYTES ? whole.subarray(PIECE_BYTES) : undefined;
        if (!chunk && this.failure && this.size !== null) return controller.error(this.failure);
        if (!chunk) return controller.close();
        tally.add(chunk);
        onBytes(chunk.length);
        controller.enqueue(chunk);
      },
    }, { highWaterMark: 0 });
    const change = (): Change | undefined => this.failure && "changed";
    const close = (): void => {
      if (!(given instanceof Blob)) return;
      this.release(undefined);
      this.#reader = this.#rest = undefined;
      this.#isReleased = false;
    };
    return { stream, tally, change, [Symbol.dispose]: close };
  }

  /** Cancels the stream, if it has not ended. That is not waited for: it is another program's. */
  release(reason: unknown): void {
    this.#isReleased = true;
    const stream = this.#reader ?? (this.#given instanceof Blob ? undefined : this.#given);
    stream?.cancel(reason).catch(() => {});
  }

  /** The next chunk that is not empty; `undefined` at the end, or after a failure. */
  async #next(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    { bytes }: Tally,
  ): Promise<Uint8Array | undefined> {
    const size = this.size ?? Infinity;
    try {
      for (;;) {
        const { value } = await reader.read();
        this.#spend();
        if (this.#isReleased) return undefined;
        if (value === undefined) {
          if (this.size !== null && bytes !== size) this.#fail(`it ended after ${of(bytes, size)}`);
          return undefined;
        }
        if (!(value instanceof Uint8Array)) return this.#fail("its chunks are no Uint8Array");
        if (bytes + value.length > size) return this.#fail(`it has more than ${of(size)}`);
        if (value.length > 0) return value;
      }
    } catch (cause) {
      this.#spend();
      const why = cause instanceof Error ? cause.message : String(cause);
      this.failure ??= this.#error("aborted", `its body failed: ${why}`, cause);
      return undefined;
    }
  }

  #spend(): void {
    this.isSpent = !(this.#given instanceof Blob);
  }

  #fail(why: string): undefined {
    this.failure = this.#error("changed", why);
    this.release(this.failure);
  }

  #error(code: "aborted" | "changed", why: string, cause?: unknown): InletError {
    const what = this.label === "" ? "the message" : quoted(this.label);
    return new InletError(
      code,
      `Cannot send ${what}: ${why}`,
      cause === undefined ? {} : { cause },
    );
  }
}

function of(bytes: number, size?: number): string {
  const all = size === undefined ? "" : ` of ${formatCount(size)}`;
  return `${formatCount(bytes)}${all} bytes`;
}
