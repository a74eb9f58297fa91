/**
 * What a connection has read and nobody has taken yet. Its memory follows what comes: a kilobyte for
 * a connection that rests, more for one that fills what it has, up to its share of the budget.
 *
 * @module
 */

import { buffers } from "../body/buffer_pool.ts";

/** Size for a connection that says little. Ten thousand of them shall cost little. */
const RESTING_BYTES = 1024;

/** Size for a connection that gets no loan: a longest line, and enough for a body to go on. */
export const SMALL_BUFFER_BYTES = 16 * 1024;

/** Times the bytes of the last read that the next one gets room for. */
const GROWTH = 4;

/** Bytes in the order in which they came. What is taken is valid until there is room made for more. */
export class ReadBuffer {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #lent: Uint8Array<ArrayBuffer> | undefined;
  #abandoned = false;
  #resting = true;
  #start = 0;
  #end = 0;
  /** What the next read would fill, going by the ones before. */
  #wanted = RESTING_BYTES;
  #room = 0;

  /** How many bytes are there. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** The bytes that are there, left where they are. */
  get content(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** Where a byte stands behind the first so many, or -1. */
  indexOf(byte: number, from: number): number {
    const found = this.#bytes.subarray(0, this.#end).indexOf(byte, this.#start + from);
    return found < 0 ? -1 : found - this.#start;
  }

  /** Takes so many bytes out. */
  take(size: number): Uint8Array {
    this.#start += size;
    return this.#bytes.subarray(this.#start - size, this.#start);
  }

  /** Forgets what is there. */
  clear(): void {
    this.#start = this.#end = 0;
  }

  /**
   * Makes room for the next read. Tell with {@linkcode ReadBuffer.filled} what it brought.
   *
   * @param most Bytes that may be there then, or as many as the memory holds that is to be had.
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

  /** Notes that the room has so many more bytes in it. */
  filled(bytes: number): void {
    this.#end += bytes;
    this.#resting = false;
    const wanted = GROWTH * bytes;
    // Less than there was room for is all that there was.
    this.#wanted = bytes < this.#room ? wanted : Math.max(this.#wanted, wanted);
  }

  /**
   * Goes back to little memory until something comes. Only where nothing is left to take, and nothing
   * is read now.
   */
  rest(): void {
    this.#resting = true;
    if (this.#bytes.length > RESTING_BYTES) this.#resize(0);
  }

  /** Ends the loan, although somebody may still use the memory, and all borrowing. */
  abandon(): void {
    if (this.#lent) buffers.forget(this.#lent);
    this.#lent = undefined;
    this.#abandoned = true;
  }

  /** Whether it is more than its share by now, or far more than what comes. */
  get #isTooLarge(): boolean {
    const { length } = this.#bytes;
    return this.#lent !== undefined &&
      (length > buffers.shareBytes || length > GROWTH * this.#wanted);
  }

  /** Changes its memory, unless what is there would not fit or none is to be had. */
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
