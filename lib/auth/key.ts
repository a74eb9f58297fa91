/**
 * The text of a key: where it is read from, what it must be, and how a new one is made. secret.ts and
 * credential.ts say what is derived from it.
 *
 * @module
 */

import type { Waiting } from "../body/pipe.ts";
import { variable } from "../environment.ts";
import { explain, InletError } from "../errors.ts";
import { printable, quoted } from "../text.ts";

/** The environment variable that may hold the key. */
export const KEY_VARIABLE = "INLET_TOKEN";

/** Fewest characters of a key, against guessing. */
export const MIN_KEY_CHARACTERS = 16;

/** How the token of a user begins: never as a key does. */
export const USER_TOKEN = "inlet-user ";

/** The line of a token in the file that it comes in. */
const TOKEN_LINE = new RegExp(`^(?:# )?(${USER_TOKEN}.*)`);

/** What decoding makes of bytes that are not UTF-8: different keys would become the same. */
const REPLACEMENT = "\ufffd";

/** What a server without a key says to a client with one, which knows it by that. */
export const WITHOUT_A_KEY = "this is an inlet server without a key";

/** Bytes of a new key, and of a nonce. */
const RANDOM_BYTES = 32;

/** Permission bits of group and others. */
const OF_OTHERS = 0o077;

/** What is done while a key is read, and with what it looks like. */
export interface KeyReading extends Waiting {
  /** Called with a warning for the owner of the file. */
  onWarning?: ((text: string) => void) | undefined;
}

/**
 * Reads the key from its file, or from the environment if Deno permits that.
 *
 * @param file Path of the key file, which takes precedence over the environment.
 * @returns The key without surrounding white space, or `undefined` if there is none.
 * @throws {InletError} `usage` if the file cannot be read, or holds no key
 */
export async function readKey(
  file: string | undefined,
  reading: KeyReading = {},
): Promise<string | undefined> {
  if (file !== undefined) {
    return checkKey(await readSecretFile(file, "key file", reading), quoted(file));
  }
  const key = variable(KEY_VARIABLE);
  return key === undefined ? undefined : checkKey(key, KEY_VARIABLE);
}

/**
 * Returns a key without the white space or the byte order mark around it; of the file of a user's
 * token, the token.
 *
 * @throws {InletError} `usage` if it is none, or can be guessed at once
 */
export function checkKey(text: string, where: string): string {
  const given = text.trim();
  const key = TOKEN_LINE.exec(given)?.[1]?.trim() ?? given;
  const why = key === ""
    ? "it is empty; server.ts --generate-token makes one"
    : key.length < MIN_KEY_CHARACTERS
    ? `it is shorter than ${MIN_KEY_CHARACTERS} characters`
    : key.includes(REPLACEMENT)
    ? "it is not text in UTF-8"
    : /^(.)\1*$/su.test(key)
    ? "it is one character again and again"
    : undefined;
  if (why === undefined) return key;
  throw new InletError("usage", `Cannot use the key in ${where}: ${why}`);
}

/**
 * Returns a key for a server, as {@linkcode checkKey} does.
 *
 * @throws {InletError} `usage`, also for the token of a user
 */
export function checkServerKey(text: string, where: string): string {
  const key = checkKey(text, where);
  if (!key.startsWith(USER_TOKEN)) return key;
  throw new InletError(
    "usage",
    `Cannot use ${where} as the key of a server: it is the token of a user, for client.ts`,
  );
}

/**
 * Reads a file that only its owner may read.
 *
 * @param what The file, for messages: `key file`.
 * @throws {InletError} `usage` if it cannot be read
 */
export async function readSecretFile(
  path: string,
  what: string,
  reading: KeyReading,
): Promise<string> {
  const { waitFor, waitText } = await import("../body/pipe.ts");
  const cannot = `Cannot read the ${what} ${quoted(path)}`;
  try {
    const bytes = await waitFor(Deno.readFile(path), waitText(path), reading);
    const text = decodeText(bytes, cannot);
    const warning = warningOf(path, what, Deno.statSync(path));
    if (warning !== undefined) reading.onWarning?.(warning);
    return text;
  } catch (cause) {
    reading.signal?.throwIfAborted();
    const { message } = explain(cause, cannot);
    throw new InletError("usage", message, { cause });
  }
}

/** What to say of a file that others can read; `undefined` if there is nothing to say. */
function warningOf(
  path: string,
  what: string,
  { isFile, mode, uid, gid }: Deno.FileInfo,
): string | undefined {
  if (!isFile || mode === null || (mode & OF_OTHERS) === 0) return undefined;
  // A credential of systemd: its group only seems to read it, as the bits are the mask of an ACL.
  if (uid === 0 && gid === 0 && (mode & 0o777) === 0o440) return undefined;
  return `the ${what} ${quoted(path)} can be read by others on this machine: chmod 600 ${
    printable(path)
  }`;
}

/** Path of the file with the secret of a server with users. */
export function identityPath(users: string): string {
  return `${users}.identity`;
}

/**
 * Makes a file that only its owner can read, and writes a text into it.
 *
 * @param what The file, for the message: `the key file`.
 * @param hint What to do if it exists already.
 * @throws {InletError} `usage` if it exists, or cannot be made
 */
export function makeSecretFile(path: string, text: string, what: string, hint: string): void {
  try {
    using file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
    file.writeSync(new TextEncoder().encode(`${text}\n`));
  } catch (cause) {
    const cannot = `Cannot make ${what} ${quoted(path)}`;
    const message = cause instanceof Deno.errors.AlreadyExists
      ? `${cannot}: it exists already, ${hint}`
      : explain(cause, cannot).message;
    throw new InletError("usage", message, { cause });
  }
}

/**
 * Makes a key file that only its owner can read.
 *
 * @throws {InletError} `usage` if the file exists, or cannot be made
 */
export function makeKeyFile(path: string): void {
  makeSecretFile(path, randomHex(), "the key file", "use it with --token-file");
}

/** Makes a random nonce for one challenge. */
export function makeNonce(): string {
  return randomHex();
}

/** 32 random bytes in hexadecimal digits. */
export function randomHex(): string {
  return crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)).toHex();
}

/**
 * Decodes what a file holds. Of bytes that are no text, such as random ones, much would be lost.
 *
 * @param cannot The first half of the message.
 * @throws {InletError} `usage` if it is not UTF-8
 */
export function decodeText(bytes: Uint8Array, cannot: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new InletError("usage", `${cannot}: it is not text in UTF-8`, { cause });
  }
}

/** Whether the variable holds something, as far as Deno permits to see. */
export function hasKeyVariable(): boolean {
  return variable(KEY_VARIABLE) !== undefined;
}
