/**
 * The users of a server, each with a key and rights of its own.
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

import { isSignature, proofText } from "../../protocol.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { Access } from "./access.ts";
import type { Answer, Authenticator, User } from "./authenticator.ts";
import { type Identity, identityOf, isSignedBy, parsePublicKey } from "./identity.ts";
import { isWeak, secretOf } from "./secret.ts";
import { decodeText, type KeyReading, readKey } from "./key.ts";
import { isUserName } from "./user_token.ts";
import { type OnNotice, WatchedFile } from "./watched_file.ts";

/** What a line permits, by its last word. */
export const RIGHTS = {
  "all": "all",
  "read": "read-only",
  "drop": "drop-only",
} as const satisfies Record<string, Access>;

/** Largest users file in bytes. */
const MAX_BYTES = 16 * 1024 * 1024;

/** One line of the file. */
interface Line {
  readonly name: string;
  readonly spki: Uint8Array<ArrayBuffer>;
  readonly access: Access;
}

/** A user, whose line may change. */
interface KnownUser extends User {
  spki: Uint8Array<ArrayBuffer>;
  access: Access;
  isRevoked: boolean;
}

/** Admits the users in a file. */
export class Users implements Authenticator {
  readonly #file: WatchedFile<readonly Line[]>;
  readonly #identity: Identity;
  readonly #users = new Map<string, KnownUser>();
  #lines: readonly Line[] = [];
  /** Called when a user was revoked. */
  onRevoked: () => void = () => {};

  private constructor(file: WatchedFile<readonly Line[]>, identity: Identity) {
    this.#file = file;
    this.#identity = identity;
    this.refresh();
  }

  /**
   * Reads the users and the server's identity.
   *
   * @throws {InletError} `usage` if a file cannot be read, or a line is broken
   */
  static async open(path: string, onNotice: OnNotice, reading: KeyReading = {}): Promise<Users> {
    const parse = (text: string): readonly Line[] => parseUsers(text, path);
    const file = await WatchedFile.open(path, {
      what: "users file",
      content: "list of users",
      maxBytes: MAX_BYTES,
      open: async () => parse(await readUsers(path)),
      parse,
      isSame: (one, other) => JSON.stringify(one) === JSON.stringify(other),
    }, onNotice);
    const key = (await readKey(identityPath(path), reading))!;
    if (isWeak(key)) {
      throw new InletError("usage", `Cannot use ${quoted(identityPath(path))}: it is no identity`);
    }
    return new Users(file, await identityOf(await secretOf(key)));
  }

  identity(): Promise<Identity> {
    return Promise.resolve(this.#identity);
  }

  async verify({ nonce, name, proof }: Answer): Promise<User | false> {
    this.refresh();
    const user = this.#users.get(name);
    if (!isSignature(proof)) return false;
    const text = proofText(this.#identity.pin, nonce, name);
    // What has no user is verified too, so that the time does not tell which names there are.
    const { spki } = user ?? this.#identity;
    const isRight = await isSignedBy(spki, Uint8Array.fromHex(proof), text);
    return isRight && user !== undefined && !user.isRevoked && user;
  }

  /** Reads the file, whether it has changed or not. */
  reread(): void {
    this.#file.reread();
    this.refresh();
  }

  /** Reads the file if it has changed. */
  refresh(): void {
    const lines = this.#file.current();
    if (lines === this.#lines) return;
    this.#lines = lines;
    const before = new Map(this.#users);
    this.#users.clear();
    for (const line of lines) {
      const known = before.get(line.name);
      if (known && line.spki.toHex() === known.spki.toHex()) {
        known.access = line.access;
        this.#users.set(line.name, known);
        before.delete(line.name);
      } else {
        this.#users.set(line.name, { ...line, isRevoked: false });
      }
    }
    for (const user of before.values()) user.isRevoked = true;
    if (before.size > 0) this.onRevoked();
  }
}

/** Path of the file with the server's secret. */
export function identityPath(users: string): string {
  return `${users}.identity`;
}

/** Writes the line of a user. */
export function formatUser({ name, spki, rights }: {
  name: string;
  spki: Uint8Array;
  rights: keyof typeof RIGHTS;
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
  for (const [index, line] of text.replace(/^\uFEFF/, "").split(/\r?\n/).entries()) {
    const words = line.trim();
    if (words === "" || words.startsWith("#")) continue;
    const refuse = (why: string): InletError =>
      new InletError(
        "usage",
        `Cannot use the users file ${quoted(path)}: line ${index + 1}: ${why}`,
      );
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
  return { name, spki, access: RIGHTS[rights as keyof typeof RIGHTS] };
}

async function readUsers(path: string): Promise<string> {
  try {
    return decodeText(await Deno.readFile(path), `Cannot use the users file ${quoted(path)}`);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    const how = "make it with --add-user NAME";
    throw new InletError(
      "usage",
      `Cannot use the users file ${quoted(path)}: there is none, ${how}`,
    );
  }
}
