/**
 * A file of keys that is read again when it changes, so that keys can be replaced while the server
 * runs.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { decodeText } from "./key.ts";

/**
 * Milliseconds after a change in which a further one can leave the file looking the same: clocks of
 * file systems are coarse, and Deno tells the time of the last change of any kind in seconds.
 */
const RECENT_MS = 2000;

/** What is in a file, and the words for it. */
export interface FileKind<T> {
  /** The file, for messages: `key file`. */
  readonly what: string;
  /** What it holds, for messages: `key`. */
  readonly content: string;
  /** Largest file in bytes: reading a larger one would hold up every client. */
  readonly maxBytes: number;
  /**
   * Reads the file for the first time, as long as that may take.
   *
   * @throws {InletError} `usage`
   */
  open(path: string): Promise<T>;
  /**
   * Parses its text.
   *
   * @throws {InletError} `usage`
   */
  parse(text: string): T;
  /** Tells what is new, such as `a new key`; `undefined` if both contents mean the same. */
  newsOf(before: T, after: T): string | undefined;
}

/** Called with each line about the file, and whether it is one that a quiet log shows. */
export type OnNotice = (text: string, isWarning: boolean) => void;

/** A file and its content. */
export class WatchedFile<T> {
  readonly #path: string;
  readonly #kind: FileKind<T>;
  readonly #onNotice: OnNotice;
  #content: T;
  /** What the file looked like when it was last read; `undefined` if it is read once only. */
  #seen: Look | undefined;
  /** Why it could not be used then. */
  #failure: string | undefined;

  private constructor(path: string, kind: FileKind<T>, content: T, onNotice: OnNotice) {
    this.#path = path;
    this.#kind = kind;
    this.#content = content;
    this.#onNotice = onNotice;
  }

  /**
   * Reads a file. A pipe, such as the shell's `<(command)`, is read this once.
   *
   * @throws {InletError} `usage` if it cannot be read or used
   */
  static async open<T>(
    path: string,
    kind: FileKind<T>,
    onNotice: OnNotice,
  ): Promise<WatchedFile<T>> {
    // Looked at first: a change between the two is then seen later.
    const seen = look(path);
    const file = new WatchedFile(path, kind, await kind.open(path), onNotice);
    if (seen.isFile) file.#seen = seen;
    return file;
  }

  /** What holds now. While the file is missing, unreadable or broken, its last content does. */
  current(): T {
    if (this.#seen === undefined) return this.#content;
    const now = look(this.#path);
    const isSame = now.looks === this.#seen.looks;
    if (!isSame || now.isRecent) this.#read(now, { onlyNews: isSame });
    return this.#content;
  }

  /** Reads the file, whether it has changed or not. */
  reread(): void {
    if (this.#seen !== undefined) this.#read(look(this.#path), { onlyNews: false });
  }

  /** @param now What it looked like before: a change since then is seen the next time. */
  #read(now: Look, { onlyNews }: { onlyNews: boolean }): void {
    const { what, content, maxBytes, parse, newsOf } = this.#kind;
    const cannot = `Cannot read the ${what} ${quoted(this.#path)} again`;
    this.#seen = now;
    const failed = this.#failure;
    try {
      if (now.error) throw now.error;
      if (!now.isFile) throw new InletError("usage", `${cannot}: it is not a file`);
      if (now.size > maxBytes) throw new InletError("usage", `${cannot}: it is too large`);
      const read = parse(decodeText(Deno.readFileSync(this.#path), cannot));
      const news = newsOf(this.#content, read);
      if (news !== undefined) this.#content = read;
      this.#failure = undefined;
      if (onlyNews && news === undefined && failed === undefined) return;
      this.#onNotice(`read ${quoted(this.#path)} again: ${news ?? `the same ${content}`}`, false);
    } catch (error) {
      this.#failure = explain(error, cannot).message;
      if (onlyNews && this.#failure === failed) return;
      this.#onNotice(`${this.#failure}; the last ${content} stays`, true);
    }
  }
}

/** What a file looks like from outside. */
interface Look {
  /** Another text whenever it has changed, unless that was a moment ago. */
  readonly looks: string;
  /** Whether it has changed a moment ago. */
  readonly isRecent: boolean;
  readonly isFile: boolean;
  readonly size: number;
  readonly error?: unknown;
}

function look(path: string): Look {
  const now = Date.now();
  try {
    const { dev, ino, size, mtime, ctime, isFile } = Deno.statSync(path);
    const times = [mtime?.getTime() ?? 0, ctime?.getTime() ?? 0];
    const isRecent = times.some((time) => Math.abs(now - time) < RECENT_MS);
    return { looks: [dev, ino, size, ...times].join(), isRecent, isFile, size };
  } catch (error) {
    return { looks: "missing", isRecent: false, isFile: false, size: 0, error };
  }
}
