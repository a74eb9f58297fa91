/**
 * Who is admitted to a server: what the server shows of itself, and how it recognises its clients.
 *
 * @module
 */

import type { Access } from "./access.ts";
import type { Identity } from "./identity.ts";

/** A user of a server, for as long as its line in the users file stands. */
export interface User {
  readonly name: string;
  /** What the user may do at the moment. */
  readonly access: Access;
  /** Whether the line is gone, or has another key. */
  readonly isRevoked: boolean;
}

/** What a client answers a challenge with. */
export interface Answer {
  readonly nonce: string;
  /** The name in its greeting. */
  readonly name: string;
  /** 64 or 128 hexadecimal digits. */
  readonly proof: string;
}

/** What a client of HTTP sends with each request. */
export interface Password {
  /** Empty if the client gives none: the name of a user, and a dot, then precede the password. */
  readonly name: string;
  readonly password: string;
}

/** Recognises clients. */
export interface Authenticator {
  /** The identity that the server has now. The same object while it stays the same. */
  identity(): Promise<Identity>;
  /**
   * Verifies an answer in constant time.
   *
   * @returns The user, `true` for a holder of the shared key, `false` for anybody else.
   */
  verify(answer: Answer): Promise<User | boolean>;
  /**
   * Verifies a password in constant time. It must have come encrypted.
   *
   * @returns As {@linkcode Authenticator.verify}.
   */
  verifyPassword(password: Password): Promise<User | boolean>;
}
