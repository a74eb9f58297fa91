/**
 * The users of a server, each with a key and rights of its own.
 *
 * Loaded on demand: a server without users needs none of it.
 *
 * @module
 */

import { isSignature, passwordText, proofText } from "../../protocol.ts";
import type { Access } from "./access.ts";
import type { Answer, Authenticator, Password, User } from "./authenticator.ts";
import { type Identity, isSignedBy } from "./identity.ts";
import type { KeyReading } from "./key.ts";
import { parsePassword } from "./user_token.ts";
import { type Line, readIdentity, usersFile } from "./users_file.ts";
import { type OnNotice, WatchedFile } from "./watched_file.ts";

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
    const file = await WatchedFile.open(path, usersFile(path), onNotice);
    return new Users(file, await readIdentity(path, reading));
  }

  identity(): Promise<Identity> {
    // Whoever asks for it is about to admit somebody.
    this.refresh();
    return Promise.resolve(this.#identity);
  }

  async verify({ nonce, name, proof }: Answer): Promise<User | false> {
    if (!isSignature(proof)) return false;
    const text = proofText(this.#identity.pin, nonce, name);
    return await this.#verify(name, Uint8Array.fromHex(proof), text);
  }

  async verifyPassword(given: Password): Promise<User | false> {
    const dot = given.name === "" ? given.password.lastIndexOf(".") : -1;
    const name = dot < 0 ? given.name : given.password.slice(0, dot);
    const signature = parsePassword(given.password.slice(dot + 1));
    if (!signature) return false;
    return await this.#verify(name, signature, passwordText(this.#identity.pin, name));
  }

  /** @returns The user of that name, if its key has signed the text. */
  async #verify(
    name: string,
    signature: Uint8Array<ArrayBuffer>,
    text: Uint8Array<ArrayBuffer>,
  ): Promise<User | false> {
    this.refresh();
    const user = this.#users.get(name);
    // What has no user is verified too, so that the time does not tell which names there are.
    const { spki } = user ?? this.#identity;
    const isRight = await isSignedBy(spki, signature, text);
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
