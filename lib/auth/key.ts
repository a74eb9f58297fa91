/**
 * The key that a server and its clients share: reads and makes key files, and proves the key
 * without sending it.
 *
 * @module
 */

import { challengeText } from "../../protocol.ts";
import { explain, InletError } from "../errors.ts";
import type { Waiting } from "../body/pipe.ts";
import { quoted } from "../text.ts";

/** The environment variable that may hold the key. */
export const KEY_VARIABLE = "INLET_TOKEN";

/** Fewest characters of a key, against guessing. */
export const MIN_KEY_CHARACTERS = 16;

/** Bytes of a new key, and of a nonce. */
const RANDOM_BYTES = 32;

/**
 * Reads the key from its file, or from the environment if Deno permits that.
 *
 * @param file Path of the key file, which takes precedence over the environment.
 * @param waiting What happens while the file is a pipe that waits for its writer.
 * @returns The key without surrounding white space, or `undefined` if there is none.
 * @throws {InletError} `usage` if the file cannot be read, or the key is too short
 */
export async function readKey(
  file: string | undefined,
  waiting: Waiting = {},
): Promise<string | undefined> {
  if (file !== undefined) return checkKey(await readKeyFile(file, waiting), quoted(file));
  const key = readVariable();
  return key === undefined ? undefined : checkKey(key, KEY_VARIABLE);
}

/**
 * Returns a key without surrounding white space.
 *
 * @throws {InletError} `usage` if it is too short
 */
export function checkKey(text: string, where: string): string {
  const key = text.trim();
  if (key.length >= MIN_KEY_CHARACTERS) return key;
  throw new InletError(
    "usage",
    `Cannot use the key in ${where}: it is shorter than ${MIN_KEY_CHARACTERS} characters`,
  );
}

/**
 * Makes a key file that only its owner can read.
 *
 * @throws {InletError} `usage` if the file exists, or cannot be made
 */
export function makeKeyFile(path: string): void {
  try {
    using file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
    file.writeSync(new TextEncoder().encode(`${randomHex()}\n`));
  } catch (cause) {
    const what = `Cannot make the key file ${quoted(path)}`;
    const message = cause instanceof Deno.errors.AlreadyExists
      ? `${what}: it exists already, use it with --token-file`
      : explain(cause, what).message;
    throw new InletError("usage", message, { cause });
  }
}

/** Makes a random nonce for one challenge. */
export function makeNonce(): string {
  return randomHex();
}

/** Computes the answer to a challenge: 64 hexadecimal digits that prove the key. */
export async function answerChallenge(key: string, nonce: string): Promise<string> {
  const signature = await crypto.subtle.sign("HMAC", await hmacKey(key), challengeText(nonce));
  return new Uint8Array(signature).toHex();
}

/** Whether an answer proves the key. The comparison takes constant time. */
export async function isAnswer(key: string, nonce: string, digest: string): Promise<boolean> {
  const signature = Uint8Array.fromHex(digest);
  return await crypto.subtle.verify("HMAC", await hmacKey(key), signature, challengeText(nonce));
}

async function hmacKey(key: string): Promise<CryptoKey> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const bytes = new TextEncoder().encode(key);
  return await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign", "verify"]);
}

function randomHex(): string {
  return crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)).toHex();
}

async function readKeyFile(path: string, waiting: Waiting): Promise<string> {
  const { waitFor, waitText } = await import("../body/pipe.ts");
  try {
    return await waitFor(Deno.readTextFile(path), waitText(path), waiting);
  } catch (cause) {
    waiting.signal?.throwIfAborted();
    const { message } = explain(cause, `Cannot read the key file ${quoted(path)}`);
    throw new InletError("usage", message, { cause });
  }
}

/** Reads the variable only if permission was granted, without a prompt. */
function readVariable(): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: KEY_VARIABLE });
  return state === "granted" ? Deno.env.get(KEY_VARIABLE) : undefined;
}
