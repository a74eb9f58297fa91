/**
 * The checksums of large files that a store remembers, so that it does not read a file again to
 * answer a question about it.
 *
 * A checksum belongs to a name, and to what the disk tells of the file: inode, size, time of last
 * change (in milliseconds) and time of last change of status (ctime, in seconds: Deno tells no
 * more). It counts as long as all of them are the same, which takes one look at the file.
 *
 * - A file that was read is remembered if the second of its ctime was over before the reading began,
 *   and if the disk told the same at the end. A later change then moves the ctime on.
 * - A file that was received is remembered from when it is published.
 *
 * What this does not see: a change within the second in which the file was published, by a program
 * that puts the time of last change back; and what a program writes through a memory map, for which
 * the system may change no time at all. CRC-32 is no protection against intent in any case.
 *
 * The checksums may be lost at any time. A log (sums_log.ts) keeps them for the next run.
 *
 * @module
 */

import type { DirectoryOptions } from "./directory_options.ts";
import type { Folders } from "./folders.ts";
import type { LoggedSum, SumsLog } from "./sums_log.ts";
import type { Workspaces } from "./workspaces.ts";

/** A smaller file is read in about a millisecond, and is not remembered. */
const LEAST_BYTES = 1024 * 1024;

/** Most memory of all that is remembered, in bytes, about. That is 50,000 files. */
const MOST_BYTES = 16 * 1024 * 1024;

/** Memory of one entry without its name, in bytes, about. */
const ENTRY_BYTES = 250;

/** Milliseconds after a second in which the system may still stamp files with it. */
const CLOCK_TICK_MS = 20;

/** Milliseconds by which the clocks of this machine and of a disk are taken to differ at most. */
const MOST_SKEW_MS = 3_600_000;

/**
 * Milliseconds after its last change from which on the content of a file is on the disk, and not only
 * in memory: before, a power failure could leave its size and times with other content.
 */
const WRITTEN_BACK_MS = 300_000;

/** Milliseconds between two writes to the log. */
const FLUSH_EVERY_MS = 60_000;

/** Time of an entry that is in the log. */
const LOGGED = -1;

/** What tells whether a file has changed. */
export type Version = Pick<Deno.FileInfo, "dev" | "ino" | "size" | "mtime" | "ctime">;

/** What is remembered of one file. */
interface Entry {
  readonly dev: number;
  readonly facts: string;
  readonly crc: number;
  /** The time from which on it may be logged. */
  readonly loggableAt: number;
}

/** Options of {@linkcode RememberedSums}. */
export interface RememberedSumsOptions {
  /** Makes the log, when it is needed first; missing if nothing is kept on disk. */
  log?: (() => Promise<SumsLog>) | undefined;
  /** The time by the clock of the disk, in milliseconds. */
  now(): number;
  /** Whether files are flushed to disk before they are published. */
  fsync: boolean;
}

/** The checksums that a store in a directory remembers. A client's downloads are not read twice. */
export function rememberedSums(
  folders: Folders,
  workspaces: Workspaces,
  { downloads = false, readOnly = false, fsync = false }: DirectoryOptions,
): RememberedSums {
  if (downloads || readOnly) return new RememberedSums({ fsync, now: Date.now });
  const { disk, pace } = folders;
  return new RememberedSums({
    fsync,
    now: () => workspaces.root.now(),
    log: async () => {
      const { SumsLog } = await import("./sums_log.ts");
      const warn = (message: string): void => folders.warnOnce(message);
      return new SumsLog({ workspace: () => workspaces.root, disk, pace, warn });
    },
  });
}

/** The checksums of large files that one store remembers. */
export class RememberedSums {
  readonly #options: RememberedSumsOptions;
  /** The one used last is last. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  /** Names of files whose entries are not in the log. */
  readonly #unlogged = new Set<string>();
  #log: SumsLog | undefined;
  #opening: Promise<SumsLog | undefined> | undefined;
  #reading: Promise<void> | undefined;
  #flushing: Promise<void> | undefined;
  #flushedAt = performance.now();

  constructor(options: RememberedSumsOptions) {
    this.#options = options;
  }

  /** Whether a file is large enough to be remembered. */
  isWorthIt(bytes: number): boolean {
    return bytes >= LEAST_BYTES;
  }

  /** The CRC-32 of a file, if it is remembered, and if the file has not changed since. */
  async crcOf(name: string, version: Version): Promise<number | undefined> {
    if (!this.isWorthIt(version.size)) return undefined;
    await (this.#reading ??= this.#readLog());
    const entry = this.#entries.get(name);
    if (!entry) return undefined;
    if (entry.facts !== factsOf(version) || entry.dev !== version.dev) {
      this.#forget(name);
      return undefined;
    }
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry.crc;
  }

  /**
   * Whether a file has not changed within the current second, so that a change from now on will be
   * seen. A file that is to be remembered has to be read after this call.
   */
  isSettled({ ctime }: Version): boolean {
    if (ctime === null) return false;
    const over = Math.floor(ctime.getTime() / 1000) * 1000 + 1000 + CLOCK_TICK_MS;
    if (Date.now() - over > MOST_SKEW_MS) return true;
    try {
      return this.#options.now() >= over;
    } catch {
      // The disk is full, for example.
      return false;
    }
  }

  /**
   * Remembers a file that was read as a whole.
   *
   * @param before The file before the reading, when it was settled.
   * @param after The file when it had been read.
   */
  addRead(name: string, before: Version, after: Version, crc: number): void {
    if (factsOf(before) === factsOf(after)) this.#add(name, after, crc, false);
  }

  /**
   * Remembers a file that was received.
   *
   * @param before The file before it was published, when nobody else knew its name.
   * @param after The published file.
   */
  addReceived(name: string, before: Version, after: Version, crc: number): void {
    if (contentFactsOf(before) !== contentFactsOf(after)) return;
    this.#add(name, after, crc, this.#options.fsync);
  }

  /** Writes to the log what may be logged by now. */
  flush(): Promise<void> {
    return this.#flushing ??= this.#flush().finally(() => this.#flushing = undefined);
  }

  /** The same without a wait, at the end of the run. */
  close(): void {
    if (this.#log) this.#log.close([...this.#takeDue(this.#log)]);
  }

  #add(name: string, version: Version, crc: number, isOnDisk: boolean): void {
    const facts = factsOf(version);
    if (facts === undefined || !this.isWorthIt(version.size)) return;
    const loggableAt = isOnDisk ? 0 : version.ctime!.getTime() + WRITTEN_BACK_MS;
    this.#set(name, { dev: version.dev, facts, crc, loggableAt });
    if (!this.#options.log) return;
    this.#unlogged.add(name);
    this.#opening ??= this.#open();
    if (performance.now() - this.#flushedAt >= FLUSH_EVERY_MS) this.flush();
  }

  #set(name: string, entry: Entry): void {
    this.#forget(name);
    this.#entries.set(name, entry);
    this.#bytes += costOf(name);
    while (this.#bytes > MOST_BYTES) this.#forget(this.#entries.keys().next().value!);
  }

  #forget(name: string): void {
    this.#unlogged.delete(name);
    if (this.#entries.delete(name)) this.#bytes -= costOf(name);
  }

  async #open(): Promise<SumsLog | undefined> {
    // Where there is no workspace, nothing can be received either, and the client is told.
    return this.#log = await this.#options.log?.().catch(() => undefined);
  }

  /** Reads what earlier runs and other servers have logged. */
  async #readLog(): Promise<void> {
    const log = await (this.#opening ??= this.#open());
    await log?.read(({ name, facts, crc }) => {
      const there = this.#entries.get(name);
      // What this run knows is newer.
      if (there && there.loggableAt !== LOGGED) return;
      this.#set(name, { dev: log.dev, facts, crc, loggableAt: LOGGED });
    });
  }

  async #flush(): Promise<void> {
    this.#flushedAt = performance.now();
    const now = Date.now();
    const isDue = (name: string): boolean => this.#entries.get(name)!.loggableAt <= now;
    if (![...this.#unlogged].some(isDue)) return;
    await (this.#reading ??= this.#readLog());
    const log = this.#log;
    await log?.append([...this.#takeDue(log)]);
    if (log?.isLarge) await log.rewrite(this.#logged());
  }

  /** What may be logged, and is not. It counts as logged then: if that fails, it is lost. */
  *#takeDue(log: SumsLog): Generator<LoggedSum> {
    const now = Date.now();
    for (const name of this.#unlogged) {
      const entry = this.#entries.get(name)!;
      if (entry.loggableAt > now) continue;
      this.#unlogged.delete(name);
      // The log does not tell which disk a file is on: it is that of the log.
      if (entry.dev !== log.dev) continue;
      this.#entries.set(name, { ...entry, loggableAt: LOGGED });
      yield { name, facts: entry.facts, crc: entry.crc };
    }
  }

  *#logged(): Generator<LoggedSum> {
    for (const [name, { facts, crc, loggableAt }] of this.#entries) {
      if (loggableAt === LOGGED) yield { name, facts, crc };
    }
  }
}

/** Everything that tells that a file has not changed; `undefined` where the system does not tell it. */
function factsOf(version: Version): string | undefined {
  const { ctime } = version;
  if (version.ino === null || version.mtime === null || ctime === null) return undefined;
  return `${contentFactsOf(version)} ${Math.floor(ctime.getTime() / 1000)}`;
}

/** The same without what a link or a removal of another name changes. */
function contentFactsOf({ ino, size, mtime }: Version): string {
  return `${ino} ${size} ${mtime?.getTime()}`;
}

function costOf(name: string): number {
  return ENTRY_BYTES + 2 * name.length;
}
