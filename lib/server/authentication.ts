/**
 * Who is admitted to a server: everybody, the holders of a key, or users; and what they are shown.
 *
 * @module
 */

import type { Authenticator } from "../auth/authenticator.ts";
import type { Identity } from "../auth/identity.ts";
import { checkServerKey } from "../auth/key.ts";
import type { ByteStream } from "../net/byte_stream.ts";
import type { Log } from "./log.ts";
import type { ServeOptions } from "./serve_options.ts";

/** How often the users are looked at, in milliseconds. */
const USERS_MS = 1000;

/** How a server recognises its clients, if it does. */
export interface Authentication {
  /** Recognises clients; missing if everybody is admitted. */
  readonly authenticator?: Authenticator;
  /** Puts encryption on a connection that was accepted. */
  readonly secure?: (stream: ByteStream) => ByteStream;
  /**
   * Looks for users who are revoked.
   *
   * @returns Ends that.
   */
  watch(onRevoked: () => void): () => void;
  /** Reads the users again, whether their file looks changed or not. */
  rereadUsers(): void;
  /** Logs the public key, and what is wrong with the keys: nothing precedes a server's first line. */
  announce(): void;
}

/** The options that decide who is admitted. */
type AuthenticationOptions = Pick<ServeOptions, "key" | "users"> & { greetingTimeoutMs: number };

/** Whether a server with these options admits some clients only. */
export function isClosed({ key, users }: Pick<ServeOptions, "key" | "users">): boolean {
  return key !== undefined || users !== undefined;
}

/**
 * Reads the key or the users.
 *
 * @throws {InletError} `usage` if the key or the users cannot be used
 */
export async function authenticationOf(
  options: AuthenticationOptions,
  log: Log,
): Promise<Authentication> {
  const { key, users } = options;
  if (users !== undefined) return await byUsers(users, options, new KeyLog(log));
  if (key !== undefined) return await byKey(key, options, new KeyLog(log));
  return OPEN;
}

/** That of a server that admits everybody. */
const OPEN: Authentication = { watch: () => () => {}, rereadUsers: () => {}, announce: () => {} };

/** Logs what concerns keys, the first of it behind the first line of the server. */
class KeyLog {
  readonly #log: Log;
  /** What is told once the server has said its first line. */
  #held: (() => void)[] | undefined = [];

  constructor(log: Log) {
    this.#log = log;
  }

  readonly onNotice = (text: string, isWarning: boolean): void =>
    this.#tell(() => keyNotices(this.#log)(text, isWarning));

  readonly onWarning = (text: string): void => this.#tell(() => this.#log.warn("key-weak", text));

  /** Tells by what a program of another language recognises this server. */
  pin({ pin }: Identity): void {
    const base64 = pin.toBase64();
    this.#tell(() => this.#log.info("pin", `public key sha256//${base64}`, { pin: base64 }));
  }

  /** Logs what was held back, and from now on all at once. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    held.forEach((line) => line());
  }

  #tell(line: () => void): void {
    if (this.#held) this.#held.push(line);
    else line();
  }
}

async function byKey(
  key: string | (() => string),
  { greetingTimeoutMs }: AuthenticationOptions,
  keyLog: KeyLog,
): Promise<Authentication> {
  const { SharedKey } = await import("../auth/shared_key.ts");
  const current = typeof key === "string" ? () => key : key;
  const authenticator = new SharedKey(
    () => checkServerKey(current(), 'the option "key"'),
    (identity, warning) => {
      keyLog.pin(identity);
      if (warning !== undefined) keyLog.onWarning(warning);
    },
  );
  await authenticator.identity();
  const secure = await securedBy(authenticator, greetingTimeoutMs);
  return { ...OPEN, authenticator, secure, announce: () => keyLog.release() };
}

async function byUsers(
  path: string,
  { greetingTimeoutMs }: AuthenticationOptions,
  keyLog: KeyLog,
): Promise<Authentication> {
  const { Users } = await import("../auth/users.ts");
  const { onNotice, onWarning } = keyLog;
  const users = await Users.open(path, onNotice, { onWarning });
  keyLog.pin(await users.identity());
  return {
    authenticator: users,
    secure: await securedBy(users, greetingTimeoutMs),
    watch: (onRevoked) => {
      users.onRevoked = onRevoked;
      const timer = setInterval(() => users.refresh(), USERS_MS);
      return () => clearInterval(timer);
    },
    rereadUsers: () => users.reread(),
    announce: () => keyLog.release(),
  };
}

/** Logs what is said of a file of keys when it is read again. */
export function keyNotices(log: Log): (text: string, isWarning: boolean) => void {
  return (text, isWarning) => isWarning ? log.warn("key-unread", text) : log.info("key", text);
}

/** Puts TLS on the connections of a server that recognises its clients. */
async function securedBy(
  authenticator: Authenticator,
  handshakeMs: number,
): Promise<Authentication["secure"] & object> {
  const { acceptTls } = await import("../net/tls_accept.ts");
  const identity = (): Promise<Identity> => authenticator.identity();
  return (stream) => acceptTls(stream, { identity, handshakeMs });
}
