/**
 * Who is admitted to a server: everybody, the holders of a key, or users; and what they are shown.
 *
 * @module
 */

import type { Authenticator } from "../auth/authenticator.ts";
import type { Identity } from "../auth/identity.ts";
import { checkServerKey } from "../auth/key.ts";
import type { Certified, NamedCertificate } from "../auth/named_certificate.ts";
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
  /** Reads the certificate of an authority again, whether its files look changed or not. */
  rereadCertificate(): void;
  /** Logs the public key, and what is wrong with the keys: nothing precedes a server's first line. */
  announce(): void;
}

/** The options that decide who is admitted. */
type AuthenticationOptions = Pick<ServeOptions, "key" | "users" | "cert" | "certKey"> & {
  greetingTimeoutMs: number;
};

/** Whether a server with these options admits some clients only. */
export function isClosed({ key, users }: Pick<ServeOptions, "key" | "users">): boolean {
  return key !== undefined || users !== undefined;
}

/**
 * Reads the key or the users, and the certificate of an authority.
 *
 * @throws {InletError} `usage` if one of them cannot be used
 */
export async function authenticationOf(
  options: AuthenticationOptions,
  log: Log,
): Promise<Authentication> {
  const { key, users, greetingTimeoutMs: handshakeMs } = options;
  const keyLog = new KeyLog(log);
  const certificate = await certificateOf(options, keyLog);
  const recognition = users !== undefined
    ? await byUsers(users, keyLog)
    : key !== undefined
    ? await byKey(key, keyLog)
    : OPEN;
  const { authenticator } = recognition;
  if (!authenticator && !certificate) return OPEN;
  const { acceptTls } = await import("../net/tls_accept.ts");
  const identity = async (): Promise<Certified> =>
    authenticator ? await authenticator.identity() : certificate!.current();
  const named = certificate && ((name: string) => certificate.named(name));
  return {
    ...recognition,
    secure: (stream) => acceptTls(stream, { identity, named, handshakeMs }),
    rereadCertificate: () => certificate?.reread(),
    announce: () => keyLog.release(),
  };
}

/** That of a server that admits everybody. */
const OPEN: Authentication = {
  watch: () => () => {},
  rereadUsers: () => {},
  rereadCertificate: () => {},
  announce: () => {},
};

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
  return { ...OPEN, authenticator };
}

async function byUsers(path: string, keyLog: KeyLog): Promise<Authentication> {
  const { Users } = await import("../auth/users.ts");
  const { onNotice, onWarning } = keyLog;
  const users = await Users.open(path, onNotice, { onWarning });
  keyLog.pin(await users.identity());
  return {
    ...OPEN,
    authenticator: users,
    watch: (onRevoked) => {
      users.onRevoked = onRevoked;
      const timer = setInterval(() => users.refresh(), USERS_MS);
      return () => clearInterval(timer);
    },
    rereadUsers: () => users.reread(),
  };
}

/** Reads the certificate of an authority, if there is one. */
async function certificateOf(
  { cert, certKey }: AuthenticationOptions,
  { onNotice, onWarning }: KeyLog,
): Promise<NamedCertificate | undefined> {
  if (cert === undefined || certKey === undefined) return undefined;
  const { NamedCertificate } = await import("../auth/named_certificate.ts");
  return await NamedCertificate.open({ cert, certKey }, onNotice, { onWarning });
}

/** Logs what is said of a file of keys when it is read again. */
export function keyNotices(log: Log): (text: string, isWarning: boolean) => void {
  return (text, isWarning) => isWarning ? log.warn("key-unread", text) : log.info("key", text);
}
