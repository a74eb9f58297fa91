/**
 * A published file of a directory store, open for reading.
 *
 * @module
 */

import { permissionsOf } from "../body/sources.ts";
import { LARGE_BUFFER_BYTES } from "../body/buffer_pool.ts";
import { bufferedStream, changeOf, type Tally } from "../body/streams.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { checksumOf, type OpenFile } from "./checksums.ts";
import type { DiskPace } from "./disk_pace.ts";
import { then } from "./maybe.ts";
import type { FileFacts, RegularFile } from "./regular_file.ts";
import type { RememberedSums } from "./remembered_sums.ts";
import type { Extent } from "../body/reading.ts";
import type { Asker, Maybe, StoredFile } from "./store.ts";
import { isSameFile } from "./temp_file.ts";

/** One version of a file. Reads fail if its size has changed since it was opened. */
export class DirectoryFile implements StoredFile, OpenFile {
  readonly size: number;
  readonly modified: Date;
  readonly mode: number | undefined;
  readonly #file: RegularFile;
  readonly #name: string;
  readonly #info: FileFacts;
  readonly #version: string;
  readonly #pace: DiskPace;
  readonly #sums: RememberedSums;
  readonly #reopen: () => DirectoryFile;
  /** Whether a change from now on will be seen. */
  #isSettled = false;
  #position = 0;
  #grew = false;

  /**
   * @param name Its name on disk.
   * @param info Its facts when it was opened.
   * @param pace That of its disk.
   * @param sums The checksums that are remembered.
   * @param reopen Opens the same name again, at its beginning.
   */
  constructor(
    file: RegularFile,
    name: string,
    info: FileFacts,
    pace: DiskPace,
    sums: RememberedSums,
    reopen: () => DirectoryFile,
  ) {
    const { dev, ino, size, mtime, ctime, mode } = info;
    this.#file = file;
    this.#info = info;
    this.#name = name;
    this.#version = [dev, ino, size, mtime?.getTime(), ctime?.getTime()].join(" ");
    this.#pace = pace;
    this.#sums = sums;
    this.#reopen = reopen;
    this.size = size;
    this.modified = mtime ?? new Date(0);
    this.mode = permissionsOf(mode);
  }

  get grew(): boolean {
    return this.#grew;
  }

  read(offset: number, into: Uint8Array): Maybe<number> {
    this.#position = offset;
    const go = (filled: number, read: number | null): Maybe<number> => {
      const now = filled + (read ?? 0);
      // A short read at the expected size is the end.
      this.#grew ||= offset + now > this.size;
      if (read === null || now === into.length || offset + now >= this.size) return now;
      return then(this.readNext(into.subarray(now)), (next) => go(now, next));
    };
    return then(this.readNext(into), (read) => go(0, read));
  }

  /** Reads from the current position. `null` at the end. */
  readNext(into: Uint8Array): Maybe<number | null> {
    const [file, at] = [this.#file, this.#position];
    const read = this.#pace.call(() => file.readSync(into, at), () => file.read(into, at));
    return then(read, (bytes) => {
      this.#position += bytes;
      return bytes === 0 ? null : bytes;
    });
  }

  stream(offset: number): ReadableStream<Uint8Array> {
    let left = this.size - offset;
    this.#position = offset;
    return bufferedStream(Math.min(Math.max(left, 1), LARGE_BUFFER_BYTES), (buffer) => {
      if (left === 0) return this.#atEnd();
      return then(this.readNext(buffer.subarray(0, Math.min(left, buffer.length))), (read) => {
        if (read === null) throw this.#changed();
        left -= read;
        return buffer.subarray(0, read);
      });
    });
  }

  async knownCrc(): Promise<number | undefined> {
    return await this.#sums.crcOf(this.#name, this.#info);
  }

  async beginning(bytes: number, asker?: Asker): Promise<Extent> {
    const { size } = this;
    const crc = bytes >= size ? await this.knownCrc() : undefined;
    if (crc !== undefined) return { bytes: size, crc };
    return await checksumOf(this.#version, bytes, () => this.#toSum(bytes), asker);
  }

  /** Remembers the checksum, if all of the file was read, and did not change meanwhile. */
  summed({ bytes, crc }: Tally): void {
    if (!this.#isSettled || bytes !== this.size) return;
    this.#sums.addRead(this.#name, this.#info, this.#file.statSync(), crc);
  }

  #toSum(bytes: number): DirectoryFile {
    const again = this.#again();
    const isWhole = bytes >= again.size && this.#sums.isWorthIt(again.size);
    again.#isSettled = isWhole && this.#sums.isSettled(again.#info);
    return again;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  /**
   * The same version, open once more: others may wait for what is read from it when this is closed.
   * A file that has grown since begins as it did.
   */
  #again(): DirectoryFile {
    const again = this.#reopen();
    const hasGrown = again.size > this.size && isSameFile(again.#info, this.#info);
    if (hasGrown || again.#version === this.#version) return again;
    again[Symbol.dispose]();
    throw this.#changed();
  }

  #atEnd(): null {
    const change = changeOf(this.#file, this.#info, this.size);
    if (change === "changed") throw this.#changed();
    this.#grew = change === "grew";
    return null;
  }

  #changed(): InletError {
    return new InletError("changed", `${quoted(this.#name)} changed while it was sent`);
  }
}
