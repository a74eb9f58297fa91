/**
 * Two streams of bytes in memory, each the other's peer, for tests of what stands on a stream: it
 * comes in pieces of any size, waits, ends and breaks as the test says.
 *
 * @module
 */

import type { ByteStream } from "../lib/net/byte_stream.ts";

/** How many bytes go in one piece. */
export type Pieces = () => number;

/** How many bytes wait to be read before a write waits for their reader. */
const ROOM_BYTES = 64 * 1024;

/** One direction. One reader and one writer at a time. */
class Channel {
  readonly #pieces: Pieces;
  readonly #chunks: Uint8Array[] = [];
  #waiting = 0;
  #over: "end" | Error | undefined;
  #wakes: (() => void)[] = [];
  /** Bytes that were written and read. */
  written = 0;
  taken = 0;
  /** Bytes that are taken from the writer before it has to wait for ever. */
  limit = Infinity;

  constructor(pieces: Pieces) {
    this.#pieces = pieces;
  }

  async write(bytes: Uint8Array): Promise<number> {
    while (this.#waiting >= ROOM_BYTES || this.written >= this.limit) {
      if (this.#over) break;
      await this.changed();
    }
    if (this.#over) throw this.#over === "end" ? new Deno.errors.BrokenPipe() : this.#over;
    const part = bytes.slice(0, Math.min(this.#pieces(), this.limit - this.written));
    this.#chunks.push(part);
    this.#waiting += part.length;
    this.written += part.length;
    this.wake();
    return part.length;
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#waiting === 0 || this.#over instanceof Error) {
      if (this.#over === "end") return null;
      if (this.#over) throw this.#over;
      await this.changed();
    }
    const chunk = this.#chunks[0]!;
    const part = chunk.subarray(0, Math.min(into.length, this.#pieces()));
    into.set(part);
    if (part.length === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(part.length);
    this.#waiting -= part.length;
    this.taken += part.length;
    this.wake();
    return part.length;
  }

  end(why: "end" | Error): void {
    if (!this.#over || why !== "end") this.#over = why;
    this.wake();
  }

  get failure(): Error | undefined {
    return this.#over instanceof Error ? this.#over : undefined;
  }

  /** Settles when something has been written or read, or it is over. */
  async changed(): Promise<void> {
    await new Promise<void>((resolve) => this.#wakes.push(resolve));
  }

  wake(): void {
    this.#wakes.splice(0).forEach((wake) => wake());
  }
}

/** One side of a pair. */
export class MemoryStream implements ByteStream {
  readonly remote = "memory:1";
  readonly incoming: Channel;
  readonly outgoing: Channel;
  /** Whether it was closed, and reset. */
  isClosed = false;
  isReset = false;

  constructor(incoming: Channel, outgoing: Channel) {
    this.incoming = incoming;
    this.outgoing = outgoing;
  }

  async read(into: Uint8Array): Promise<number | null> {
    return await this.incoming.read(into);
  }

  async write(bytes: Uint8Array): Promise<number> {
    return await this.outgoing.write(bytes);
  }

  async touch(): Promise<void> {
    if (this.outgoing.failure) await Promise.reject(this.outgoing.failure);
  }

  async closeWrite(): Promise<void> {
    await this.touch();
    this.outgoing.end("end");
  }

  close(): void {
    this.isClosed = true;
    this.incoming.end(new Deno.errors.Interrupted("closed here"));
    this.outgoing.end("end");
  }

  reset(): void {
    this.isReset = true;
    this.incoming.end(new Deno.errors.Interrupted("reset here"));
    this.outgoing.end(new Deno.errors.ConnectionReset("reset by the peer"));
  }
}

/** Makes both sides. */
export function memoryPair(pieces: Pieces = () => Infinity): [MemoryStream, MemoryStream] {
  const [one, other] = [new Channel(pieces), new Channel(pieces)];
  return [new MemoryStream(one, other), new MemoryStream(other, one)];
}
