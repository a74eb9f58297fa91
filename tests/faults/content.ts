/**
 * Files that can be told from their names: the content follows from a seed and a number, so that
 * what is stored can be checked at any time, and nobody has to remember what was sent.
 *
 * @module
 */

import { walk } from "@std/fs/walk";
import { relative } from "@std/path/relative";
import { crc32 } from "node:zlib";

/** Pseudo-random numbers that are the same for the same seed: 0 or more, and below `limit`. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = scramble(seed);
  }

  /** A whole number from 0 up to `limit`, which is not among them. */
  below(limit: number): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    return scramble(this.#state) % limit;
  }

  /** One of these. */
  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}

/** Every bit of the result depends on every bit of the number (the finalizer of MurmurHash3). */
function scramble(number: number): number {
  let hash = number | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The name of a file of so many bytes. It is as long for every number and size. */
export function nameOf(number: number, size: number): string {
  return `f${String(number).padStart(8, "0")}-${String(size).padStart(8, "0")}.bin`;
}

/** The content of the file of that number and size. */
export function contentOf(seed: number, number: number, size: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = scramble(seed ^ scramble(number));
  for (let index = 0; index < words.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    words[index] = state ^ (state >>> 15);
  }
  return new Uint8Array(words.buffer, 0, size);
}

/** The CRC-32 of that content. */
export function crcOf(seed: number, number: number, size: number): number {
  return crc32(contentOf(seed, number, size));
}

/** What is wrong with stored files. Each list holds names. */
export interface Faults {
  /** Under a final name, and not byte for byte what was sent under it. */
  partial: string[];
  /** In flight, although nobody is sending. */
  temporary: string[];
  /** Acknowledged, and not there. */
  lost: string[];
}

/**
 * Looks at every file in a directory of received files.
 *
 * @param acknowledged The names that have to be there.
 */
export async function inspect(
  directory: string,
  seed: number,
  acknowledged: Iterable<string>,
): Promise<Faults & { names: Set<string> }> {
  const names = new Set<string>();
  const faults: Faults = { partial: [], temporary: [], lost: [] };
  for await (const { name, path, isFile, isInFlight } of storedIn(directory)) {
    if (isInFlight) faults.temporary.push(name);
    else if (!isFile || !isRight(path, name, seed)) faults.partial.push(name);
    else names.add(name);
  }
  for (const name of acknowledged) if (!names.has(name)) faults.lost.push(name);
  return { ...faults, names };
}

/** A folder that is not published yet, or that is being removed, and what is in it. */
const FOLDER_IN_FLIGHT =
  /^(?:.*\/)?\.inlet\/(?:get-)?(?:[0-9a-f]{32}\.tempdir|gone-[0-9a-f]{32})(\/.*)?$/;

/** Something in a directory of received files, by its name there. */
interface Stored {
  name: string;
  path: string;
  isFile: boolean;
  /** Whether it is an upload, or a folder with all that is in it, that has no final name. */
  isInFlight: boolean;
}

/** Everything in a directory of received files but its folders, and each folder in flight as one. */
export async function* storedIn(directory: string): AsyncGenerator<Stored> {
  for await (const { path, isFile, isDirectory } of walk(directory)) {
    const name = relative(directory, path);
    const [isInside, within] = FOLDER_IN_FLIGHT.exec(name) ?? [];
    if (isInside === undefined) {
      if (!isDirectory) yield { name, path, isFile, isInFlight: name.endsWith(".temp") };
    } else if (within === undefined) yield { name, path, isFile, isInFlight: true };
  }
}

/** Whether a file is, byte for byte, what its name says. */
export function isRight(path: string, name: string, seed: number): boolean {
  const [, number, size] = /^(?:.*\/)?f(\d{8})-(\d{8})\.bin$/.exec(name) ?? [];
  if (number === undefined) return false;
  const stored = Deno.readFileSync(path);
  return stored.length === Number(size) &&
    crc32(stored) === crcOf(seed, Number(number), stored.length);
}
