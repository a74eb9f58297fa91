/**
 * A key file that is read again when it changes, so that a key can be replaced while the server
 * runs. Sessions that have begun go on; the next client has to prove the new key.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { checkKey, readKey } from "./key.ts";

/** Called with each line about the file, and whether it is one that a quiet log shows. */
export type OnKeyNotice = (text: string, isWarning: boolean) => void;

/** The key in a file. */
export class KeyFile {
  readonly #path: string;
  readonly #onNotice: OnKeyNotice;
  #key: string;
  /** What the file looked like when it was last read; `undefined` if it is read once only. */
  #seen: string | undefined;

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
    if (seen.isFile) file.#seen = seen.looks;
    return file;
  }

  /** The key that holds now. While its file is missing, unreadable or empty, the last one does. */
  current(): string {
    if (this.#seen !== undefined && look(this.#path).looks !== this.#seen) this.reread();
    return this.#key;
  }

  /** Reads the file, whether it has changed or not. */
  reread(): void {
    if (this.#seen === undefined) return;
    const what = `Cannot read the key file ${quoted(this.#path)} again`;
    const { looks, isFile, error } = look(this.#path);
    this.#seen = looks;
    try {
      if (error) throw error;
      if (!isFile) throw new InletError("usage", `${what}: it is not a file`);
      const key = checkKey(Deno.readTextFileSync(this.#path), quoted(this.#path));
      const isNew = key !== this.#key;
      this.#key = key;
      const result = isNew ? "a new key" : "the same key";
      this.#onNotice(`read ${quoted(this.#path)} again: ${result}`, false);
    } catch (error) {
      this.#onNotice(`${explain(error, what).message}; the last key stays`, true);
    }
  }
}

/** What a file looks like from outside, which is another thing whenever it has changed. */
function look(path: string): { looks: string; isFile: boolean; error?: unknown } {
  try {
    const { dev, ino, size, mtime, isFile } = Deno.statSync(path);
    return { looks: [dev, ino, size, mtime?.getTime()].join(), isFile };
  } catch (error) {
    return { looks: "missing", isFile: false, error };
  }
}
