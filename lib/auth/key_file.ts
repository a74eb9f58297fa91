/**
 * A key file that is read again when it changes, so that a key can be replaced while the server
 * runs. Sessions that have begun go on; the next client has to prove the new key.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { checkKey, readKey } from "./key.ts";

/** Largest key file in bytes: a larger one is no key, and reading it would hold up every client. */
const MAX_KEY_BYTES = 65_536;

/**
 * Milliseconds after a change in which a further one can leave the file looking the same: clocks of
 * file systems are coarse, and Deno tells the time of the last change of any kind in seconds.
 */
const RECENT_MS = 2000;

/** Called with each line about the file, and whether it is one that a quiet log shows. */
export type OnKeyNotice = (text: string, isWarning: boolean) => void;

/** The key in a file. */
export class KeyFile {
  readonly #path: string;
  readonly #onNotice: OnKeyNotice;
  #key: string;
  /** What the file looked like when it was last read; `undefined` if it is read once only. */
  #seen: Look | undefined;
  /** Why it could not be used then. */
  #failure: string | undefined;

  private constructor(path: string, key: string, onNotice: OnKeyNotice) {
    this.#path = path;
    this.#key = key;
    this.#onNotice = onNotice;
  }

  /**
   * Reads a key file. A pipe, such as the shell's `<(command)`, is read this once.
   *
   * @throws {InletError} `usage` if the file cannot be read, or the key is too short
   */
  static async open(path: string, onNotice: OnKeyNotice): Promise<KeyFile> {
    // Looked at first: a change between the two is then seen later.
    const seen = look(path);
    const key = await readKey(path);
    const file = new KeyFile(path, key!, onNotice);
    if (seen.isFile) file.#seen = seen;
    return file;
  }

  /** The key that holds now. While its file is missing, unreadable or empty, the last one does. */
  current(): string {
    if (this.#seen === undefined) return this.#key;
    const now = look(this.#path);
    const isSame = now.looks === this.#seen.looks;
    if (!isSame || now.isRecent) this.#read(now, { onlyNews: isSame });
    return this.#key;
  }

  /** Reads the file, whether it has changed or not. */
  reread(): void {
    if (this.#seen !== undefined) this.#read(look(this.#path), { onlyNews: false });
  }

  /** @param now What it looked like before: a change since then is seen the next time. */
  #read(now: Look, { onlyNews }: { onlyNews: boolean }): void {
    const what = `Cannot read the key file ${quoted(this.#path)} again`;
    this.#seen = now;
    const failed = this.#failure;
    try {
      if (now.error) throw now.error;
      if (!now.isFile) throw new InletError("usage", `${what}: it is not a file`);
      if (now.size > MAX_KEY_BYTES) throw new InletError("usage", `${what}: it is too large`);
      const key = checkKey(Deno.readTextFileSync(this.#path), quoted(this.#path));
      const isNew = key !== this.#key;
      this.#key = key;
      this.#failure = undefined;
      const result = isNew ? "a new key" : "the same key";
      if (onlyNews && !isNew && failed === undefined) return;
      this.#onNotice(`read ${quoted(this.#path)} again: ${result}`, false);
    } catch (error) {
      this.#failure = explain(error, what).message;
      if (onlyNews && this.#failure === failed) return;
      this.#onNotice(`${this.#failure}; the last key stays`, true);
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
