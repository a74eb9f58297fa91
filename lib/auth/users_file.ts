/**
 * The two files of a server with users.
 *
 * - `FILE` has a line for each: name, public key, and rights, with a space between them. It holds
 *   nothing secret. Lines that begin with `#`, and empty ones, mean nothing.
 * - `FILE.identity` holds the secret of the server. Whoever has it can pose as the server, and cannot
 *   pass for a user.
 *
 * Loaded on demand: a server without users needs none of it.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { Access } from "./access.ts";
import { type Identity, identityOf, parsePublicKey } from "./identity.ts";
import { decodeText, identityPath, type KeyReading, readSecretFile } from "./key.ts";
import { isWeak, secretOf } from "./secret.ts";
import { isUserName } from "./user_token.ts";
import type { FileKind } from "./watched_file.ts";

/** What a line permits, by its last word. */
export const RIGHTS = {
  "all": "all",
  "read": "read-only",
  "drop": "drop-only",
} as const satisfies Record<string, Access>;

/** The last word of a line. */
export type UserRights = keyof typeof RIGHTS;

/** What to do where the server's identity is lost. */
const ANEW = "put back a copy of it, or remove both files and add all users anew";

/** Most names of each kind in a line of the log. */
const MAX_NAMED = 10;

/** Largest users file in bytes. */
const MAX_BYTES = 1024 * 1024;

/** One line of the file. */
export interface Line {
  readonly name: string;
  readonly spki: Uint8Array<ArrayBuffer>;
  readonly access: Access;
}

/** A users file, as a server reads it. */
export function usersFile(path: string): FileKind<readonly Line[]> {
  const parse = (text: string): readonly Line[] => {
    // Whoever writes it may have emptied it first.
    if (text.trim() === "") throw cannotUse(path, "it is empty, add a user with --add-user NAME");
    return parseUsers(text, path);
  };
  return {
    what: "users file",
    content: "list of users",
    maxBytes: MAX_BYTES,
    open: async () => parse(await readUsers(path)),
    parse,
    newsOf,
  };
}

/**
 * Reads the server's identity.
 *
 * @throws {InletError} `usage` if it is missing or damaged
 */
export async function readIdentity(users: string, reading: KeyReading = {}): Promise<Identity> {
  const path = identityPath(users);
  if (isMissing(path)) throw noIdentity(users, "there is none");
  const secret = (await readSecretFile(path, "server's identity", reading)).trim();
  if (isWeak(secret)) throw noIdentity(users, "it is damaged");
  return await identityOf(await secretOf(secret));
}

/** The error where a users file has no identity, without which all tokens are worthless. */
export function noIdentity(users: string, why: string): InletError {
  const path = quoted(identityPath(users));
  return new InletError("usage", `Cannot use the server's identity ${path}: ${why}, ${ANEW}`);
}

/** Whether there is nothing under a path. */
export function isMissing(path: string): boolean {
  try {
    Deno.statSync(path);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

/** Writes the line of a user. */
export function formatUser({ name, spki, rights }: {
  name: string;
  spki: Uint8Array;
  rights: UserRights;
}): string {
  return `${name} ${spki.toBase64()} ${rights}`;
}

/**
 * Reads the lines of a users file.
 *
 * @throws {InletError} `usage`, with the number of the line, if one is broken
 */
export function parseUsers(text: string, path: string): readonly Line[] {
  const lines: Line[] = [];
  const numbers = new Map<string, number>();
  for (const [index, line] of text.split("\n").entries()) {
    // A carriage return is white space, and so is a byte order mark.
    const words = line.trim();
    if (words === "" || words.startsWith("#")) continue;
    const refuse = (why: string): InletError => cannotUse(path, `line ${index + 1}: ${why}`);
    const user = parseUser(words, refuse);
    for (const claim of [`name ${user.name}`, `key ${user.spki.toHex()}`]) {
      const earlier = numbers.get(claim);
      if (earlier !== undefined) {
        throw refuse(`line ${earlier} has this ${claim.split(" ")[0]} already`);
      }
      numbers.set(claim, index + 1);
    }
    lines.push(user);
  }
  return lines;
}

function parseUser(words: string, refuse: (why: string) => InletError): Line {
  const [name = "", key = "", rights = "", ...more] = words.split(/[ \t]+/);
  if (more.length > 0 || rights === "") throw refuse("give a name, a public key and rights");
  if (!isUserName(name)) throw refuse(`${quoted(name)} is no name of a user`);
  const spki = parsePublicKey(key);
  if (!spki) throw refuse("this is no public key of P-256");
  if (!Object.hasOwn(RIGHTS, rights)) {
    throw refuse(`the rights are ${Object.keys(RIGHTS).join(", ")}, not ${quoted(rights)}`);
  }
  return { name, spki, access: RIGHTS[rights as UserRights] };
}

async function readUsers(path: string): Promise<string> {
  try {
    return decodeText(await Deno.readFile(path), `Cannot use the users file ${quoted(path)}`);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw cannotUse(path, "there is none, make it with --add-user NAME");
  }
}

/** The error for a users file that cannot be used. */
export function cannotUse(path: string, why: string): InletError {
  return new InletError("usage", `Cannot use the users file ${quoted(path)}: ${why}`);
}

/** Tells which users are new, changed and gone. */
function newsOf(before: readonly Line[], after: readonly Line[]): string | undefined {
  const [last, next] = [before, after].map((lines) =>
    new Map(lines.map((line) => [line.name, line]))
  ) as [Map<string, Line>, Map<string, Line>];
  const isNewKey = ({ name, spki }: Line): boolean =>
    last.has(name) && last.get(name)!.spki.toHex() !== spki.toHex();
  const isNewRight = (line: Line): boolean =>
    last.has(line.name) && last.get(line.name)!.access !== line.access && !isNewKey(line);
  const news: [string, Line[]][] = [
    ["added", after.filter(({ name }) => !last.has(name))],
    ["removed", before.filter(({ name }) => !next.has(name))],
    ["another key for", after.filter(isNewKey)],
    ["other rights for", after.filter(isNewRight)],
  ];
  const told = news.filter(([, lines]) => lines.length > 0);
  return told.length === 0
    ? undefined
    : told.map(([what, lines]) => `${what} ${listed(lines)}`).join("; ");
}

function listed(lines: readonly Line[]): string {
  const shown = lines.slice(0, MAX_NAMED).map(({ name }) => quoted(name)).join(", ");
  return lines.length > MAX_NAMED ? `${shown} and ${lines.length - MAX_NAMED} more` : shown;
}
