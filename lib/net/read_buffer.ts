/**
 * The bytes that a connection has read and not consumed. The memory follows the traffic: a kilobyte
 * for an idle connection, more for one that fills its buffer, up to its share of the pool.
 *
 * @module
 */

import { buffers } from "../body/buffer_pool.ts";

/** Size for an idle connection: ten thousand of them must stay cheap. */
const RESTING_BYTES = 1024;

/** Size for a connection without a loan: holds the longest line, and keeps a body moving. */
export const SMALL_BUFFER_BYTES = 16 * 1024;

/** Room for the next read, as a multiple of the last one. */
const GROWTH = 4;

/** A queue of bytes. Taken bytes stay valid until `room` is called. */
export class ReadBuffer {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #lent: Uint8Array<ArrayBuffer> | undefined;
  #abandoned = false;
  #resting = true;
  #start = 0;
  #end = 0;
  /** Expected size of the next read in bytes, going by the earlier ones. */
  #wanted = RESTING_BYTES;
  #room = 0;

  /** Number of bytes in the buffer. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** The bytes in the buffer, not taken out. */
  get content(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** Index of the first such byte at or after `from`, or -1. */
  indexOf(byte: number, from: number): number {
    const found = this.#bytes.subarray(0, this.#end).indexOf(byte, this.#start + from);
    return found < 0 ? -1 : found - this.#start;
  }

  /** Takes out the first `size` bytes. */
  take(size: number): Uint8Array {
    this.#start += size;
    return this.#bytes.subarray(this.#start - size, this.#start);
  }

  /** Discards all bytes. */
  clear(): void {
    this.#start = this.#end = 0;
  }

  /**
   * Returns room for the next read. Call {@linkcode ReadBuffer.filled} after it.
   *
   * @param most Bytes that the buffer may hold afterwards. Less memory may be available.
   */
  room(most: number): Uint8Array<ArrayBuffer> {
    const least = this.length + 1;
    const wanted = this.#resting ? RESTING_BYTES : this.#wanted;
    const size = Math.max(least, Math.min(most, wanted));
    if (size > this.#bytes.length || (least === 1 && this.#isTooLarge)) this.#resize(size);
    if (this.#start > 0) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    const room = this.#bytes.subarray(this.#end, Math.max(least, most));
    this.#room = room.length;
    return room;
  }

  /** Records that `bytes` bytes were read into the room. */
  filled(bytes: number): void {
    this.#end += bytes;
    this.#resting = false;
    const wanted = GROWTH * bytes;
    // A read that did not fill its room took all that was available.
    this.#wanted = bytes < this.#room ? wanted : Math.max(this.#wanted, wanted);
  }

  /**
   * Shrinks to the idle size until data arrives. The buffer must be empty, and no read under way.
   */
  rest(): void {
    this.#resting = true;
    if (this.#bytes.length > RESTING_BYTES) this.#resize(0);
  }

  /** Ends the loan without reusing its memory, which may still be in use, and borrows no more. */
  abandon(): void {
    if (this.#lent) buffers.forget(this.#lent);
    this.#lent = undefined;
    this.#abandoned = true;
  }

  /** Whether the loan exceeds the share, or far exceeds the expected reads. */
  get #isTooLarge(): boolean {
    const { length } = this.#bytes;
    return this.#lent !== undefined &&
      (length > buffers.shareBytes || length > GROWTH * this.#wanted);
  }

  /** Changes the size of the memory, unless the content would not fit or none is available. */
  #resize(size: number): void {
    const { content } = this;
    const before = this.#lent;
    const borrows = size > RESTING_BYTES && !this.#abandoned;
    const lent = borrows ? buffers.borrow(size, before) : undefined;
    if (lent && lent === before) return;
    const length = lent?.length ?? (size > RESTING_BYTES ? SMALL_BUFFER_BYTES : RESTING_BYTES);
    if (length > content.length && (before || length !== this.#bytes.length)) {
      this.#bytes = lent ?? new Uint8Array(length);
      this.#bytes.set(content);
      this.#lent = lent;
      this.#start = 0;
      this.#end = content.length;
      if (before) buffers.giveBack(before);
    } else if (lent) {
      buffers.giveBack(lent);
    }
  }
}
