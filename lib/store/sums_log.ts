/**
 * The log in which a store keeps the checksums that it remembers (remembered_sums.ts) for its next
 * run: `.inlet/sums-RUN.log`, where RUN is random. Each run writes a log of its own, so servers that
 * share a directory never write into one file.
 *
 * A line is `CHECK CRC INODE SIZE MTIME CTIME NAME`: the CRC-32 of the rest of the line, that of the
 * file, what the disk tells of the file (times in milliseconds and in seconds), and the name as a
 * string of JSON. The last line of a name counts. A line that was torn, by a crash or a full disk,
 * fails its check and is skipped.
 *
 * - A log is read only if it is a regular file of this user that no one else may write.
 * - A log is held with flock while its run lives. When a run rewrites its log without what is out of
 *   date, it takes in those of dead runs, and removes them. A lock that does not reach another
 *   machine costs that machine's run its log, and nothing else: a log may be lost at any time.
 * - There is none on a disk without hard links. Such disks number their files anew when they are
 *   mounted.
 * - A failure is told once, and nothing but the log suffers from it.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { writeAll, writeFully } from "../body/streams.ts";
import { explain } from "../errors.ts";
import { takeTurns } from "../turns.ts";
import { here } from "./current_folder.ts";
import type { Disk } from "./disk.ts";
import type { DiskPace } from "./disk_pace.ts";
import { lstatIfThere } from "./folders.ts";
import { newId } from "./folders_in_flight.ts";
import type { Maybe } from "./store.ts";
import { RegularFile } from "./regular_file.ts";
import { isSameFile, tryTo } from "./temp_file.ts";
import type { Workspace } from "./workspace.ts";

/** Most bytes of a log, and of all logs that are read. */
export const MOST_LOG_BYTES = 64 * 1024 * 1024;

/** A log is rewritten when it has grown to twice of what it was, and to this many bytes. */
const LEAST_REWRITTEN_BYTES = 1024 * 1024;

/** Bytes that are read or written at once. */
const PIECE_BYTES = 64 * 1024;

/** Most characters of a line. A name on disk has at most 4,096 bytes. */
const MOST_LINE_LENGTH = 32 * 1024;

const NAME = /^sums-[0-9a-f]{32}\.log$/;
const LINE = /^([0-9a-f]{8}) (([0-9a-f]{8}) (\d{1,20} \d{1,16} -?\d{1,16} -?\d{1,13}) (".*"))$/s;

/** A line of the log. */
export interface LoggedSum {
  readonly name: string;
  /** Inode, size, and both times. */
  readonly facts: string;
  readonly crc: number;
}

/** Options of {@linkcode SumsLog}. */
export interface SumsLogOptions {
  /** The folder of the log: another one, if a program has removed the first. */
  workspace(): Workspace;
  disk: Disk;
  pace: DiskPace;
  /** Tells the operator that nothing can be written. */
  warn(message: string): void;
}

/** A log that was read, as it was then. */
interface Seen {
  readonly path: string;
  readonly info: Deno.FileInfo;
}

/** The log that this run writes. */
interface OwnLog extends Seen {
  readonly file: Deno.FsFile;
}

/** The log of one run, and those of others. */
export class SumsLog {
  /** The device that it is on. */
  readonly dev: number;
  readonly #options: SumsLogOptions;
  #own: OwnLog | undefined;
  #bytes = 0;
  /** Its size when it was written anew, in bytes. */
  #rewrittenBytes = 0;
  #others: Seen[] = [];
  #hasLinks: boolean | undefined;

  constructor(options: SumsLogOptions) {
    this.#options = options;
    this.dev = options.workspace().info.dev;
  }

  /** Whether it should be rewritten: most of it is out of date, or others can be taken in. */
  get isLarge(): boolean {
    return this.#others.length > 0 ||
      this.#bytes > Math.max(LEAST_REWRITTEN_BYTES, 2 * this.#rewrittenBytes);
  }

  /** Reads the logs of other runs, the oldest first, and calls back with each valid line. */
  async read(onSum: (sum: LoggedSum) => void): Promise<void> {
    if (!this.#isPossible()) return;
    try {
      let left = MOST_LOG_BYTES;
      const newest = this.#find().sort((one, other) => mtimeOf(other) - mtimeOf(one));
      this.#others = newest.filter(({ info }) => (left -= info.size) >= 0);
      for (const { path, info } of this.#others.toReversed()) {
        await this.#readOne(path, info, onSum);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Writes lines behind the others. */
  async append(sums: readonly LoggedSum[]): Promise<void> {
    if (sums.length === 0 || !this.#isPossible()) return;
    try {
      await this.#write(this.#ownLog(), sums);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Begins a new log with these lines in place of the own one, and of those of dead runs. */
  async rewrite(sums: Iterable<LoggedSum>): Promise<void> {
    const before = this.#own;
    const others = this.#others;
    this.#own = undefined;
    this.#others = [];
    try {
      const own = this.#ownLog();
      await this.#write(own, sums);
      this.#rewrittenBytes = this.#bytes;
      if (before) this.#remove(before);
      for (const other of others) this.#removeIfDead(other);
    } catch (error) {
      this.#fail(error);
      if (this.#own) this.#remove(this.#own);
      this.#own = undefined;
    } finally {
      before?.file.close();
    }
  }

  /** Writes lines behind the others, and closes the log. */
  close(sums: readonly LoggedSum[]): void {
    try {
      if (sums.length > 0 && this.#isPossible()) {
        const { file } = this.#ownLog();
        for (const piece of piecesOf(sums)) writeFully(file, piece);
      }
    } catch (error) {
      this.#fail(error);
    }
    // A program that this process is just starting holds the lock too, until it runs.
    tryTo(() => this.#own?.file.unlockSync());
    this.#own?.file.close();
    this.#own = undefined;
  }

  async #write({ file }: OwnLog, sums: Iterable<LoggedSum>): Promise<void> {
    for (const piece of piecesOf(sums)) {
      if (this.#bytes + piece.length > MOST_LOG_BYTES) return;
      this.#bytes += piece.length;
      await this.#options.pace.call<void>(
        () => writeFully(file, piece),
        () => writeAll(file, piece),
      );
      await takeTurns();
    }
  }

  async #readOne(
    path: string,
    seen: Deno.FileInfo,
    onSum: (sum: LoggedSum) => void,
  ): Promise<void> {
    const { workspace } = this.#options;
    const opened = workspace().inside(() => RegularFile.open(here(path), seen));
    if (!opened) return;
    using file = opened.file;
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(PIECE_BYTES);
    let rest = "";
    const next = (at: number): Maybe<number> =>
      this.#options.pace.call(() => file.readSync(buffer, at), () => file.read(buffer, at));
    for (let at = 0, read; at < seen.size && (read = await next(at)); at += read) {
      const lines = (rest + decoder.decode(buffer.subarray(0, read), { stream: true })).split("\n");
      rest = lines.pop()!;
      // No line is so long: whatever it is, its check fails.
      if (rest.length > MOST_LINE_LENGTH) rest = "-";
      for (const line of lines) {
        const sum = decodeSum(line);
        if (sum) onSum(sum);
      }
      await takeTurns();
    }
  }

  /** The own log, which is made if there is none, or if another program has removed it. */
  #ownLog(): OwnLog {
    const { disk } = this.#options;
    const workspace = this.#options.workspace();
    if (this.#own) {
      const there = lstatIfThere(this.#own.path);
      if (there && isSameFile(there, this.#own.info)) return this.#own;
      this.#own.file.close();
      this.#own = undefined;
    }
    const path = `${workspace.path}/sums-${newId()}.log`;
    const how = { append: true, createNew: true, mode: 0o600 };
    const file = workspace.inside(() => disk.openSync(here(path), how));
    try {
      file.tryLockSync(true);
      this.#bytes = 0;
      this.#rewrittenBytes = 0;
      return this.#own = { path, file, info: file.statSync() };
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The logs of others that may be read. */
  #find(): Seen[] {
    const workspace = this.#options.workspace();
    const found: Seen[] = [];
    for (const name of workspace.names()) {
      const path = `${workspace.path}/${name}`;
      if (!NAME.test(name) || path === this.#own?.path) continue;
      const info = lstatIfThere(path);
      if (info && isTrusted(info, workspace.info)) found.push({ path, info });
    }
    return found;
  }

  /** Removes the log of a run that has ended, unless it was written since it was read. */
  #removeIfDead(seen: Seen): void {
    tryTo(() => {
      const open = (): Deno.FsFile => Deno.openSync(here(seen.path), { read: true, write: true });
      using file = this.#options.workspace().inside(open);
      const { size } = file.statSync();
      if (size === seen.info.size && file.tryLockSync(true)) this.#remove(seen);
    });
  }

  #remove({ path, info }: Seen): void {
    const { disk, workspace } = this.#options;
    const removeSame = (): void => {
      if (isSameFile(disk.lstatSync(here(path)), info)) disk.removeSync(here(path));
    };
    tryTo(() => workspace().inside(removeSame));
  }

  /** Whether the disk numbers its files for good, as those do that have hard links. */
  #isPossible(): boolean {
    if (this.#hasLinks === undefined) {
      this.#hasLinks = false;
      tryTo(() => this.#hasLinks = this.#options.workspace().abilities.findLinks());
    }
    return this.#hasLinks;
  }

  #fail(error: unknown): void {
    this.#options.warn(explain(error, "Cannot keep checksums for the next run").message);
  }
}

/** Whether a file can only have been written by this user. */
function isTrusted(info: Deno.FileInfo, { uid }: Deno.FileInfo): boolean {
  const { isFile, size, nlink, mode } = info;
  const isPrivate = ((mode ?? 0) & 0o022) === 0 && (nlink ?? 1) === 1;
  return isFile && isPrivate && info.uid === uid && size <= MOST_LOG_BYTES;
}

function mtimeOf({ info }: Seen): number {
  return info.mtime?.getTime() ?? 0;
}

/** Lines in pieces, each of which begins a line of its own behind one that was torn. */
function* piecesOf(sums: Iterable<LoggedSum>): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  let text = "\n";
  for (const sum of sums) {
    text += encodeSum(sum);
    if (text.length < PIECE_BYTES) continue;
    yield encoder.encode(text);
    text = "\n";
  }
  if (text !== "\n") yield encoder.encode(text);
}

/** A line of the log, with its end. */
export function encodeSum({ name, facts, crc }: LoggedSum): string {
  const rest = `${hex(crc)} ${facts} ${JSON.stringify(name)}`;
  return `${hex(crc32(rest))} ${rest}\n`;
}

/** What a line of the log says; `undefined` for one that was torn. */
export function decodeSum(line: string): LoggedSum | undefined {
  const [, check, rest, crc, facts, name] = LINE.exec(line) ?? [];
  if (rest === undefined || hex(crc32(rest)) !== check) return undefined;
  try {
    return { name: JSON.parse(name!), facts: facts!, crc: parseInt(crc!, 16) };
  } catch {
    return undefined;
  }
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
