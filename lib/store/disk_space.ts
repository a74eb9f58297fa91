/**
 * The free space of disks, so that a file whose size is announced is refused before its first byte,
 * and not once it has filled the disk.
 *
 * What a disk tells of itself can be wrong, and a refusal must not be. So nothing is refused for a
 * disk that tells nothing, or that may compress what it stores. What cannot be seen, such as the
 * quota of a user, is found when it is written, as on a disk that is not asked.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { formatBytes } from "../text.ts";

/** What a file system tells of itself, as `statfs` of node:fs has it. */
export interface FileSystemFacts {
  /** The number by which the system knows this kind of file system. */
  readonly type: number;
  /** Size of a block in bytes. */
  readonly bsize: number;
  readonly blocks: number;
  /** Blocks that are free for this user. */
  readonly bavail: number;
}

/** Kinds that may store a file in less than its size: btrfs, ZFS, bcachefs, and two of NTFS. */
const COMPRESSING: readonly number[] = [
  0x9123683e,
  0x2fc12fc1,
  0xca451a4e,
  0x5346544e,
  0x7366746e,
];

/** The margin for other programs: this part of the disk, and at most so many bytes. */
const MARGIN_PART = 0.01;
const MOST_MARGIN_BYTES = 64 * 1024 * 1024;

/** An upload of which the rest is still to come. */
interface Coming {
  /** The action, for messages: `Cannot store "a.txt"`. */
  readonly what: string;
  /** Path of its file. */
  readonly path: string;
  /** Bytes that are written. */
  readonly bytes: number;
  close(): void;
}

/** Measures the free space of disks, and remembers what uploads are still going to take of it. */
export class DiskSpace {
  readonly #statFs: (path: string) => FileSystemFacts;
  readonly #coming = new Map<Coming, { size: number; dev: number }>();

  constructor(statFs: (path: string) => FileSystemFacts) {
    this.#statFs = statFs;
  }

  /** Returns `undefined` if Deno was not started with `--allow-sys=statfs`: nobody is asked for it. */
  static async ifPermitted(): Promise<DiskSpace | undefined> {
    const { state } = await Deno.permissions.query({ name: "sys", kind: "statfs" });
    if (state !== "granted") return undefined;
    const { statfsSync } = await import("node:fs");
    return new DiskSpace(statfsSync);
  }

  /**
   * Sets the rest of an upload aside, until {@linkcode DiskSpace.forget}.
   *
   * @param size Bytes of the whole file.
   * @param hidesDisk Whether the error does not tell how much is free.
   * @throws {InletError} `no-space`, after closing the upload, if there is no room for it
   */
  expect(upload: Coming, size: number, hidesDisk = false): void {
    const dev = deviceOf(upload.path);
    if (dev === undefined) return;
    const why = this.shortage(upload.path, size - upload.bytes, dev);
    if (why === undefined) return void this.#coming.set(upload, { size, dev });
    upload.close();
    const told = hidesDisk ? "the disk has no room for it" : why;
    throw new InletError("no-space", `${upload.what}: ${told}`);
  }

  /** Ends what {@linkcode DiskSpace.expect} began. */
  forget(upload: Coming): void {
    this.#coming.delete(upload);
  }

  /**
   * Why there is no room for so many bytes on the disk of a path: `it needs 28 MiB, and the disk has
   * 20 MiB free`. A margin stays free for others, but no more than the bytes themselves: a small file
   * is not refused for the sake of a large margin.
   *
   * @param dev The device of the path, if that is known.
   * @returns `undefined` if there is room, or if that is not known.
   */
  shortage(path: string, bytes: number, dev = deviceOf(path)): string | undefined {
    // What others have announced is no matter of a file that needs nothing.
    if (bytes <= 0) return undefined;
    const facts = this.#factsOf(path);
    if (!facts || facts.blocks === 0 || COMPRESSING.includes(facts.type)) return undefined;
    const { bsize, blocks, bavail } = facts;
    const free = bsize * bavail;
    const others = this.#comingTo(dev);
    const margin = Math.min(blocks * bsize * MARGIN_PART, MOST_MARGIN_BYTES, bytes);
    if (bytes + others + margin <= free) return undefined;
    const needed = bytes > free ? "" : ` besides ${formatBytes(others + margin)} for others`;
    return `it needs ${formatBytes(bytes)}${needed}, and the disk has ${formatBytes(free)} free`;
  }

  /** Bytes that are free on the disk of a path for this user; `undefined` if that is not known. */
  free(path: string): number | undefined {
    const facts = this.#factsOf(path);
    return facts && facts.bsize * facts.bavail;
  }

  #factsOf(path: string): FileSystemFacts | undefined {
    try {
      return this.#statFs(path);
    } catch {
      return undefined;
    }
  }

  /** Bytes that the uploads to one disk are still going to take. */
  #comingTo(dev: number | undefined): number {
    let bytes = 0;
    for (const [upload, { size, dev: itsDev }] of this.#coming) {
      if (itsDev === dev) bytes += Math.max(0, size - upload.bytes);
    }
    return bytes;
  }
}

function deviceOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).dev;
  } catch {
    return undefined;
  }
}
