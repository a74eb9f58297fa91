/**
 * Reads ranges of one version of an object. Reads that follow one another share an answer.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";
import type { Bucket, ObjectHead } from "../s3/bucket.ts";
import { quoted } from "../text.ts";

/**
 * Bytes that are asked for at once by a read that follows another, if nobody tells how many come; twice as
 * many each time. What is not read then costs the connection.
 */
const AHEAD_BYTES = 8 * 1024 * 1024;

/** An answer that is being read. */
interface Answer {
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  /** What has been received of it and not been read. */
  rest: Uint8Array;
  /** Where in the object that begins. */
  at: number;
  /** Where the answer ends. */
  readonly end: number;
}

/** Reads one version of an object. One read at a time. */
export class ObjectReader implements Disposable {
  readonly #bucket: Bucket;
  readonly #key: string;
  readonly #version: Pick<ObjectHead, "size" | "etag">;
  readonly #name: string;
  #answer: Answer | undefined;
  /** Where the last read ended. */
  #at = -1;
  #aheadBytes = AHEAD_BYTES;
  #isOver = false;

  /** @param name For messages. */
  constructor(
    bucket: Bucket,
    key: string,
    version: Pick<ObjectHead, "size" | "etag">,
    name: string,
  ) {
    this.#bucket = bucket;
    this.#key = key;
    this.#version = version;
    this.#name = name;
  }

  /**
   * Reads until the buffer is full.
   *
   * @param into Not longer than the rest of the object.
   * @param end Where the reads end that follow this one, if that is known.
   * @returns Its length.
   * @throws {InletError} `changed` if the object is another one by now
   */
  async read(offset: number, into: Uint8Array, end?: number): Promise<number> {
    try {
      for (let filled = 0; filled < into.length;) {
        filled += await this.#readSome(offset + filled, into.subarray(filled), end);
        this.#at = offset + filled;
      }
    } catch (error) {
      this.#drop();
      throw explain(error).code === "changed" ? changed(this.#name) : error;
    }
    return into.length;
  }

  /** Reads what there is. */
  async #readSome(at: number, into: Uint8Array, end: number | undefined): Promise<number> {
    const answer = await this.#answerAt(at, into.length, end);
    if (answer.rest.length === 0) {
      const { value } = await answer.reader.read();
      if (!value) throw new Error("The file was closed while it was read");
      answer.rest = value;
    }
    const some = answer.rest.subarray(0, into.length);
    into.set(some);
    answer.rest = answer.rest.subarray(some.length);
    answer.at += some.length;
    if (answer.at === answer.end) this.#drop();
    return some.length;
  }

  /** The answer that goes on at an offset. */
  async #answerAt(at: number, bytes: number, end: number | undefined): Promise<Answer> {
    if (this.#answer?.at === at) return this.#answer;
    this.#drop();
    const { size, etag } = this.#version;
    const isNext = at === this.#at;
    const until = end ?? Math.min(size, at + Math.max(bytes, isNext ? this.#aheadBytes : 0));
    if (isNext) this.#aheadBytes *= 2;
    const range = { offset: at, bytes: until - at };
    const object = await this.#bucket.get(this.#key, { range, etag, lent: true });
    if (!object) throw changed(this.#name);
    const reader = object.body.getReader();
    const answer = this.#answer = { reader, rest: new Uint8Array(), at, end: until };
    if (this.#isOver) this.#drop();
    return answer;
  }

  #drop(): void {
    this.#answer?.reader.cancel().catch(() => {});
    this.#answer = undefined;
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#drop();
  }
}

/** The error of a file that another program has replaced or removed. */
export function changed(name: string): InletError {
  return new InletError("changed", `${quoted(name)} changed while it was sent`);
}
