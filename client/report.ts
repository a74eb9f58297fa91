/**
 * The client's lines about files, folders and lists.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { formatCrc, type ListEntry } from "../protocol.ts";
import { errorLine } from "../lib/body/stderr.ts";
import { exitCode, type InletError } from "../lib/errors.ts";
import type { Progress } from "../lib/cli/progress.ts";
import { EVERYTHING } from "../lib/store/names.ts";
import type { FilesClient } from "../modes/files/client.ts";
import type { Failing, Outcome, Report } from "./report_forms.ts";
import {
  formatBytes,
  formatCount,
  formatLocalTime,
  measuredSpeed,
  printable,
  quoted,
} from "../lib/text.ts";

/** Number of failed files, and of renamed folders, that a folder's summary names. */
const MOST_NAMED = 10;

/** Bytes moved, and the time that took. */
interface Move {
  bytes: number;
  elapsedMs: number;
}

/** Such as `saved as "./a (2).txt"`, or `written to "/dev/null"`. */
export function savedAt(path: string, isStream = false): string {
  return `${isStream ? "written to" : "saved as"} ${quoted(path)}`;
}

/** The line for a transferred file: name, size, checksum and speed. */
function summary(
  { label, stored = {}, path, isStream, way }: Outcome,
  { bytes, elapsedMs }: Move,
): string {
  const facts: string[] = [];
  if (path !== undefined) facts.push(savedAt(path, isStream));
  else if (stored.name) facts.push(`stored as ${quoted(stored.name)}`);
  if (stored.size !== undefined) facts.push(formatBytes(stored.size));
  if (stored.crc !== undefined) facts.push(`CRC-32 ${formatCrc(stored.crc)}`);
  // Small files move in batches, so the bytes since the last result may be more or none.
  if (stored.size) {
    facts.push(...measuredSpeed(Math.min(bytes, stored.size) || stored.size, elapsedMs));
  }
  if (way !== undefined) facts.push(way);
  return `${printable(label)}: ${facts.join(", ")}`;
}

/** What a report uses of the progress. */
export type ReportedProgress = Pick<Progress, "moved" | "waitedMs" | "say" | "end">;

/** Options of a {@linkcode TextReport}. */
export interface ReportOptions {
  /**
   * Whether to print failures only.
   *
   * @default {false}
   */
  quiet?: boolean;
  /**
   * Whether the command names more than one file or folder.
   *
   * @default {false}
   */
  several?: boolean;
  /**
   * What is said of the files that were not tried.
   *
   * @default {"not sent"}
   */
  untried?: string;
}

/**
 * Prints the results of a transfer: one line for each file that was named in the command, one for
 * each failure, and a summary for each folder at the end.
 */
export class TextReport implements Report {
  readonly #progress: ReportedProgress;
  readonly #options: ReportOptions;
  readonly #folders = new Map<string, FolderReport>();
  #worstError: InletError | undefined;
  #lastReported = "";
  /** Files that were not tried, and are not of a folder. */
  readonly #untried: string[] = [];
  /** Reason of the previous file's failure; empty if it succeeded. */
  #reason = "";
  #since = performance.now();
  #movedBefore: number;
  #waitedBefore: number;

  /**
   * @param progress Prints the lines, and counts the bytes moved, less than the size of a file that
   * was resumed, and the time in which none could: that of a connection being made, for example.
   */
  constructor(progress: ReportedProgress, options: ReportOptions = {}) {
    this.#progress = progress;
    this.#movedBefore = progress.moved;
    this.#waitedBefore = progress.waitedMs;
    this.#options = options;
  }

  add(outcome: Outcome): void {
    const move = this.#moveSinceLast();
    const { label, folder, stored, same, error, untried } = outcome;
    const isRepeated = error !== undefined && (folder !== undefined || untried === true) &&
      this.#isTold(error);
    // The error of a lost connection does not name the file in transfer.
    const isWithin = this.#options.several && error && exitCode(error) === 4 && move.bytes > 0;
    if (error) this.fail(error, { isRepeated, ...(isWithin && { label }) });
    else this.#reason = "";
    if (folder !== undefined) this.#folder(folder).add(outcome, move, isRepeated);
    else if (untried) this.#untried.push(label);
    else if (same) this.#tell(`${printable(label)}: already there`);
    else if (stored) this.#tell(summary(outcome, move));
  }

  /** A folder gets a summary even if it is empty. */
  begin(folder: string, into: string): void {
    this.#folder(folder).into = into;
  }

  leftOut(folder: string, count: number): void {
    this.#folder(folder).leftOut = count;
  }

  fail(error: InletError, how: Failing = {}): void {
    this.#worstError = worse(this.#worstError, error);
    const what = how.label === undefined ? "" : `${how.label}: `;
    if (!how.isRepeated) this.#progress.say(errorLine(what + error.message));
    this.#lastReported = error.message;
    this.#reason = reasonOf(error);
  }

  endTransfer(): void {
    this.#progress.end({ isComplete: this.#worstError === undefined });
  }

  /** Prints the folder summaries. Returns the failure with the highest exit code. */
  end(): InletError | undefined {
    const { several, untried = "not sent" } = this.#options;
    this.endTransfer();
    this.#folders.forEach((folder) => this.#tell(folder.summary(untried)));
    // The only file of a command has its error.
    const files = this.#untried.length;
    if (several && files > 0) {
      const what = `${formatCount(files)} ${files === 1 ? "file" : "files"} ${untried}`;
      this.#tell(`${what}: ${listOf(this.#untried).join(", ")}`);
    }
    return this.#worstError;
  }

  #moveSinceLast(): Move {
    const { moved, waitedMs } = this.#progress;
    const now = performance.now();
    const elapsedMs = now - this.#since - (waitedMs - this.#waitedBefore);
    const move = { bytes: moved - this.#movedBefore, elapsedMs };
    this.#movedBefore = moved;
    this.#waitedBefore = waitedMs;
    this.#since = now;
    return move;
  }

  #isTold(error: InletError): boolean {
    return error.message === this.#lastReported || reasonOf(error) === this.#reason;
  }

  #folder(label: string): FolderReport {
    const folder = this.#folders.get(label) ?? new FolderReport(label);
    this.#folders.set(label, folder);
    return folder;
  }

  #tell(line: string): void {
    if (!this.#options.quiet) this.#progress.say(line);
  }
}

/** Of two failures, the one with the higher exit code: the first one if it is the same. */
export function worse(one: InletError | undefined, other: InletError): InletError {
  return !one || exitCode(other) > exitCode(one) ? other : one;
}

/** The message without the file's name, for errors that may concern every file of a folder. */
function reasonOf({ code, message }: InletError): string {
  const mayConcernAll = code === "denied" || code === "no-space" || code === "local-disk";
  if (!mayConcernAll) return message;
  return message.replace(/ ".*": /s, ": ").replace(/it needs .* free/, "there is no room");
}

class FolderReport {
  /** Number of entries that were excluded. */
  leftOut = 0;
  /** The folder on this machine that it is downloaded into. */
  into: string | undefined;
  readonly #label: string;
  readonly #failed: string[] = [];
  #files = 0;
  #bytes = 0;
  #same = 0;
  #links = 0;
  #renamed = 0;
  readonly #renamedFolders = new Set<string>();
  #sameReason = 0;
  #untried = 0;
  #way: string | undefined;
  readonly #move: Move = { bytes: 0, elapsedMs: 0 };

  constructor(label: string) {
    this.#label = label;
  }

  /** @param isRepeated Whether it failed for a reason that was printed already. */
  add(
    { label, name, stored, same, error, untried, isLink, way }: Outcome,
    move: Move,
    isRepeated: boolean,
  ): void {
    if (name !== undefined && stored?.name) {
      renamedFolders(name, stored.name, stored.size === undefined && !isLink)
        .forEach((folder) => this.#renamedFolders.add(folder));
    }
    this.#way = way;
    this.#move.bytes += move.bytes;
    this.#move.elapsedMs += move.elapsedMs;
    if (untried) this.#untried++;
    else if (isRepeated) this.#sameReason++;
    else if (error) this.#failed.push(label);
    else if (isLink && !same) this.#links++;
    else if (isLink) this.#same++;
    // An empty folder has no size.
    else if (stored?.size === undefined) return;
    else if (same) this.#same++;
    else {
      this.#files++;
      this.#bytes += stored.size;
      if (stored.name && basename(stored.name) !== basename(label)) this.#renamed++;
    }
  }

  /** Such as `photos: 10,000 files, 39 MiB, 12 MB/s; 1 failed: "photos/a.temp"; 7 not sent`. */
  summary(untried: string): string {
    const into = this.into === undefined ? "" : ` into ${quoted(this.into)}`;
    const facts = [`${formatCount(this.#files)} ${this.#files === 1 ? "file" : "files"}${into}`];
    facts.push(formatBytes(this.#bytes));
    const { bytes, elapsedMs } = this.#move;
    if (this.#bytes > 0) facts.push(...measuredSpeed(bytes, elapsedMs));
    if (this.#bytes > 0 && this.#way !== undefined) facts.push(this.#way);
    if (this.#links > 0) {
      facts.push(`${formatCount(this.#links)} symbolic ${this.#links === 1 ? "link" : "links"}`);
    }
    if (this.#same > 0) facts.push(`${formatCount(this.#same)} already there`);
    if (this.#renamed > 0) facts.push(`${formatCount(this.#renamed)} under another name`);
    if (this.leftOut > 0) facts.push(`${formatCount(this.leftOut)} left out`);
    const renamed = [...this.#renamedFolders].filter((name) => !this.into?.endsWith(`/${name}`));
    const { length } = renamed;
    if (length > 0) {
      const what = `${formatCount(length)} ${
        length === 1 ? "folder" : "folders"
      } under another name`;
      facts.push(`${what}: ${listOf(renamed).join(", ")}`);
    }
    const left = this.#untried > 0 ? `; ${formatCount(this.#untried)} ${untried}` : "";
    return `${printable(this.#label)}: ${facts.join(", ")}${this.#failures()}${left}`;
  }

  #failures(): string {
    const failed = this.#failed.length + this.#sameReason;
    if (failed === 0) return "";
    const those = listOf(this.#failed);
    if (this.#sameReason > 0) {
      those.push(`and ${formatCount(this.#sameReason)} more for the same reason`);
    }
    return `; ${formatCount(failed)} failed: ${those.join(", ")}`;
  }
}

/** Names for a line: the first ones, and how many there are besides. */
function listOf(names: readonly string[]): string[] {
  const named = names.slice(0, MOST_NAMED).map(quoted);
  const others = names.length - named.length;
  return others > 0 ? [...named, `and ${formatCount(others)} more`] : named;
}

/** The folders of a stored name that have another name than was asked for. */
function renamedFolders(asked: string, stored: string, isFolder: boolean): string[] {
  if (stored === asked) return [];
  const names = asked.split("/");
  const parts = stored.split("/");
  return parts.slice(0, isFolder ? parts.length : -1)
    .map((part, at) => part === names[at] ? "" : parts.slice(0, at + 1).join("/"))
    .filter((folder) => folder !== "");
}

/** The notice that a transfer continues a partial file, or starts over. */
export function resumption(label: string, offset: number, size: number): string {
  return offset > 0
    ? `${printable(label)}: resuming at ${formatBytes(offset)} of ${formatBytes(size)}`
    : `${printable(label)}: starting over, the partial file does not match`;
}

/** One line of a list. */
export function formatEntry({ size, modified, name }: ListEntry): string {
  return `${String(size).padStart(13)}  ${formatLocalTime(modified)}  ${printable(name)}`;
}

/** The lines of `status`, with control characters escaped. */
export async function* statusLines(client: Pick<FilesClient, "status">): AsyncGenerator<string[]> {
  for await (const page of client.status()) yield page.map(printable);
}

/**
 * The lines of a list: of every file, or of those in one folder.
 *
 * @param name A folder or a file; without it, everything.
 */
export async function* listLines(
  client: Pick<FilesClient, "list" | "tree">,
  name = EVERYTHING,
): AsyncGenerator<string[]> {
  for await (const page of name === EVERYTHING ? client.list() : client.tree(name)) {
    const files = page.filter(({ size }) => size !== null);
    if (files.length > 0) yield files.map(formatEntry);
  }
}
