/**
 * The client half of `diff`: finds out which files, folders and links the server has, a folder at a
 * time. serve_diff.ts has the server half.
 *
 * 1. C: `diff 2 photos` and two entries, then the same for the next folder. S: `ok =.` for each, while
 *    the client still looks at its own disk.
 * 2. C: the same for each file with a `?`, with its CRC-32. S: `ok =` or `ok !`.
 *
 * A module of its own, because most transfers compare nothing.
 *
 * @module
 */

import {
  type DiffFlag,
  encodeLines,
  encodeRequest,
  type Fields,
  formatDiffEntry,
  MAX_DIFF_ENTRIES,
  parseDiffFlags,
  ProtocolError,
  type Reply,
} from "../../protocol.ts";
import { Reading } from "../../lib/body/reading.ts";
import type { OnBytes } from "../../lib/body/streams.ts";
import type { ClientContext } from "../../lib/cli/client_context.ts";
import { explain, InletError } from "../../lib/errors.ts";
import { localError } from "../../lib/local_errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { EVERYTHING } from "../../lib/store/names.ts";
import { quoted } from "../../lib/text.ts";
import { isTurnDue, takeTurns } from "../../lib/turns.ts";
import { decodeOk } from "./answers.ts";
import { checkName } from "./batch.ts";
import { Pipeline } from "./pipeline.ts";
import type { Requester } from "./requester.ts";

/** Entries that are collected before they are sent, so that those of one folder go together. */
const COLLECTED_ENTRIES = 2000;

/** Most characters of the entries of one request. Each takes at most three bytes. */
const MAX_CHARACTERS = 64 * 1024;

/** Most bytes of files whose content is compared by one request. */
const MAX_READ_BYTES = 8 * 1024 * 1024;

/** What the client has, to be compared with what the server has. */
export interface Diffed {
  /** Name for messages. */
  readonly label: string;
  /** Name on the server. */
  readonly name: string;
  /** In bytes; `null` for a folder or a link. */
  readonly size: number | null;
  /** Permission bits, if it has any. */
  readonly mode?: number | undefined;
  /** What a link points to. */
  readonly to?: string | undefined;
  /** Time of the last change. */
  readonly modified: Date;
  /** Reads the whole file for its CRC-32. */
  crc?(onBytes: OnBytes): Promise<number>;
}

/** What the server has instead: the same, nothing, or something else; or why that is not known. */
export type DiffAnswer = "same" | "new" | "changed" | InletError;

/** Called once for each item, with the answer. */
export type OnDiff<T> = (item: T, answer: DiffAnswer) => void;

/** Options of {@linkcode FolderDiffs}. */
export interface DiffsOptions<T> {
  /** Whether the content of files is compared, whatever their times say. */
  byContent: boolean;
  onAnswer: OnDiff<T>;
}

/** Entries of one folder. */
interface Group<T> {
  readonly folder: string;
  readonly items: T[];
  readonly lines: string[];
  characters: number;
  /** Bytes that the server may have to read. */
  bytes: number;
}

/** Compares items on one connection. Nothing else may be in flight on it. */
export class FolderDiffs<T extends Diffed> {
  readonly #connection: Connection;
  readonly #context: ClientContext;
  readonly #requester: Requester;
  readonly #pipeline: Pipeline;
  readonly #options: DiffsOptions<T>;
  readonly #fields: { fields?: Fields };
  #groups: Group<T>[] = [];
  /** The group of each folder that has room. */
  readonly #open = new Map<string, Group<T>>();
  /** The folder of the item before, which most often is that of the next one. */
  #folder = EVERYTHING;
  #collected = 0;
  /** Files that only their content can tell. */
  readonly #unsure: T[] = [];
  /** Why the server compares nothing. */
  #refusal: InletError | undefined;
  #isFirst = true;

  constructor(
    connection: Connection,
    context: ClientContext,
    requester: Requester,
    options: DiffsOptions<T>,
  ) {
    this.#connection = connection;
    this.#context = context;
    this.#requester = requester;
    this.#pipeline = new Pipeline(requester);
    this.#options = options;
    this.#fields = options.byContent ? { fields: { check: "crc" } } : {};
  }

  /** Adds an item. Returns something to wait for when enough were collected to be sent. */
  add(item: T): void | Promise<void> {
    if (this.#refusal) return this.#options.onAnswer(item, this.#refusal);
    this.#collect(item);
    if (this.#isFirst || this.#collected >= COLLECTED_ENTRIES) return this.#flush();
  }

  /**
   * Waits for all answers, and reads the files that only their content can tell.
   *
   * @throws {InletError} what ended the session
   */
  async end(): Promise<void> {
    await this.#flush();
    await this.#settle();
    if (this.#unsure.length > 0) await this.#askForContent(this.#unsure.splice(0));
  }

  #collect(item: T, crc?: number): void {
    const { name } = item;
    const slash = name.lastIndexOf("/");
    if (slash !== this.#folder.length || !name.startsWith(this.#folder)) {
      this.#folder = slash < 0 ? EVERYTHING : name.slice(0, slash);
    }
    const folder = this.#folder;
    let line: string;
    try {
      checkName(item);
      const { size, mode, to, modified } = item;
      line = formatDiffEntry({ size, mode, to, crc, modified, name: name.slice(slash + 1) });
    } catch (error) {
      return this.#options.onAnswer(item, failureOf(item, error));
    }
    let group = this.#open.get(folder);
    const isFull = group && (group.items.length >= MAX_DIFF_ENTRIES ||
      group.characters + line.length > MAX_CHARACTERS);
    if (!group || isFull) {
      group = { folder, items: [], lines: [], characters: 0, bytes: 0 };
      this.#open.set(folder, group);
      this.#groups.push(group);
    }
    group.items.push(item);
    group.lines.push(line);
    group.characters += line.length;
    if (crc !== undefined) group.bytes += item.size ?? 0;
    this.#collected++;
  }

  /** Sends what was collected. The first request alone: a server that compares nothing is asked once. */
  async #flush(): Promise<void> {
    const groups = this.#groups;
    this.#groups = [];
    this.#open.clear();
    this.#collected = 0;
    for (const group of groups) await this.#ask(group);
    await this.#pipeline.send();
    if (this.#isFirst) await this.#pipeline.settle();
    this.#isFirst = false;
    if (this.#requester.end) throw this.#requester.end;
    // The walk and the encoding wait for nobody.
    if (isTurnDue()) await takeTurns();
  }

  async #ask({ folder, items, lines, bytes }: Group<T>): Promise<void> {
    const head = { type: "diff" as const, count: items.length, name: folder };
    const request = encodeRequest({ ...head, ...this.#fields });
    const entries = encodeLines(lines);
    const room = await this.#pipeline.room(request.length + entries.length);
    room.set(request);
    room.set(entries, request.length);
    this.#pipeline.add(request.length + entries.length, (answer) => {
      this.#take(items, answer, bytes > 0);
    }, bytes);
  }

  /** @param isLast Whether the entries had their CRC-32, so that no flag may ask for it. */
  #take(items: readonly T[], answer: Reply | InletError, isLast: boolean): void {
    let flags: DiffFlag[] | InletError;
    try {
      flags = answer instanceof InletError
        ? answer
        : parseDiffFlags(decodeOk(answer), items.length);
    } catch (error) {
      // After an answer that is none, the next one cannot be told from it.
      flags = error instanceof ProtocolError ? this.#requester.giveUp(error) : explain(error);
    }
    if (flags instanceof InletError) {
      if (refusesAll(flags)) this.#refusal = flags;
      const failure = flags;
      return items.forEach((item) => this.#options.onAnswer(item, failure));
    }
    for (let index = 0; index < items.length; index++) {
      const item = items[index]!;
      const flag = flags[index] as DiffFlag;
      if (flag !== "?") this.#options.onAnswer(item, ANSWERS[flag]);
      else if (isLast || !item.crc) this.#options.onAnswer(item, "changed");
      else this.#unsure.push(item);
    }
  }

  /** Reads files, and sends their CRC-32. The server reads its own meanwhile. */
  async #askForContent(items: readonly T[]): Promise<void> {
    const { progress } = this.#context;
    const total = items.reduce((sum, { size }) => sum + (size ?? 0), 0);
    const reading = new Reading(total);
    let label = "";
    progress.doing(() => `checking ${label}: ${reading}`);
    let collectedBytes = 0;
    for (const item of items) {
      label = item.label;
      try {
        const crc = await this.#connection.unwatched(item.crc!((bytes) => reading.add(bytes)));
        this.#collect(item, crc);
      } catch (error) {
        this.#options.onAnswer(item, failureOf(item, error));
      }
      collectedBytes += item.size ?? 0;
      if (collectedBytes < MAX_READ_BYTES && this.#collected < COLLECTED_ENTRIES) continue;
      collectedBytes = 0;
      await this.#flush();
    }
    await this.#flush();
    progress.doing("waiting until the server has read its own files");
    await this.#settle();
    progress.doing(undefined);
  }

  async #settle(): Promise<void> {
    await this.#pipeline.settle();
    if (this.#requester.end) throw this.#requester.end;
  }
}

const ANSWERS = { "=": "same", ".": "new", "!": "changed" } as const;

/** Whether the server compares nothing at all. A folder behind a link is denied in other words. */
function refusesAll({ code, message }: InletError): boolean {
  return code === "denied" && message.startsWith("Cannot compare ");
}

function failureOf({ label }: Diffed, error: unknown): InletError {
  return localError(error, `Cannot send ${quoted(label)}`);
}
