/**
 * The file with the key of a server. Sessions that have begun go on when it changes; the next client
 * has to prove the new key.
 *
 * @module
 */

import { quoted } from "../text.ts";
import { checkServerKey, type KeyReading, readKey } from "./key.ts";
import { type OnNotice, WatchedFile } from "./watched_file.ts";

/** Largest key file in bytes: a larger one is no key. */
const MAX_KEY_BYTES = 65_536;

/**
 * Opens a key file, which is read again when it changes.
 *
 * @throws {InletError} `usage` if the file cannot be read, or holds no key for a server
 */
export async function openKeyFile(
  path: string,
  onNotice: OnNotice,
  reading: KeyReading = {},
): Promise<WatchedFile<string>> {
  const parse = (text: string): string => checkServerKey(text, quoted(path));
  return await WatchedFile.open(path, {
    what: "key file",
    content: "key",
    maxBytes: MAX_KEY_BYTES,
    open: async () => parse((await readKey(path, reading))!),
    parse,
    newsOf: (before, after) => before === after ? undefined : "a new key",
  }, onNotice);
}
