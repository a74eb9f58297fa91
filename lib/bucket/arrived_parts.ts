/**
 * What has arrived of an upload, part by part, as its state tells it: parts can be stored in another
 * order than they are sent, but only the first ones without a gap count.
 *
 * @module
 */

import { combineCrc } from "../body/crc_combine.ts";
import { addSamples, cutSamples, takeSamples } from "./samples.ts";
import { type Arrived, bytesOf, type NotedPart, type NotedTail, type Sample } from "./state.ts";

/** What the state of an upload tells of it. */
export interface ArrivedState extends Arrived {
  /** Bytes of it. */
  readonly samples: readonly Sample[];
}

/** A part that is stored, and perhaps not those before it. */
interface StoredPart {
  readonly part: NotedPart;
  readonly samples: readonly Sample[];
}

/** The CRC-32 of what has arrived. */
export function crcOf({ parts, tail }: Arrived): number {
  const all = tail ? [...parts, tail] : parts;
  return all.reduce((sum, { crc, size }) => combineCrc(sum, crc, size), 0);
}

/** The parts of one upload that are stored, its tail, and samples of both. */
export class ArrivedParts {
  readonly #parts: NotedPart[];
  #tail: NotedTail | undefined;
  #samples: readonly Sample[];
  /** By number. */
  readonly #ahead = new Map<number, StoredPart>();
  /** Of the parts, in bytes. */
  #bytes: number;

  constructor({ parts, tail, samples }: ArrivedState) {
    this.#parts = [...parts];
    this.#tail = tail;
    this.#samples = samples;
    this.#bytes = bytesOf({ parts });
  }

  /** How many parts are stored, the first ones without a gap. */
  get count(): number {
    return this.#parts.length;
  }

  /** What follows them, if that is set aside. */
  get tail(): NotedTail | undefined {
    return this.#tail;
  }

  /** As it stands in the state. */
  get state(): ArrivedState {
    return { parts: [...this.#parts], tail: this.#tail, samples: this.#samples };
  }

  /**
   * Adds a part that is stored.
   *
   * @param offset Where it lies in the file.
   * @param content From one byte. It is not kept.
   */
  add(number: number, part: NotedPart, offset: number, content: Uint8Array): void {
    this.#ahead.set(number, { part, samples: takeSamples(offset, content) });
    for (let next; (next = this.#ahead.get(this.count + 1)); this.#parts.push(next.part)) {
      this.#ahead.delete(this.count + 1);
      this.#sample(next.samples, next.part.size);
      this.#tail = undefined;
      this.#bytes += next.part.size;
    }
  }

  /**
   * Sets the tail. All parts before it are stored.
   *
   * @param content From one byte. It is not kept.
   */
  setTail(tail: NotedTail, content: Uint8Array): void {
    this.#sample(takeSamples(this.#bytes, content), tail.size);
    this.#tail = tail;
  }

  /** Samples what follows the parts; with what was there of it already. */
  #sample(taken: readonly Sample[], bytes: number): void {
    const before = cutSamples(this.#samples, this.#bytes);
    this.#samples = addSamples(before, this.#bytes, taken, bytes);
  }
}
