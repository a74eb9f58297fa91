/**
 * Who has signed in by a form: browsers send the id of their session as a cookie (RFC 6265) from then
 * on, and never the key again. An id is random, and lives in the memory of this process alone; it means
 * nothing once the key was replaced, or the user removed.
 *
 * Loaded with the first request that needs it.
 *
 * @module
 */

import type { Authenticator, User } from "../lib/auth/authenticator.ts";
import type { Exchange } from "./exchange.ts";
import { portOf } from "./origin.ts";
import type { Headers } from "./problem.ts";

/** Most sessions of a server. Beyond it the one ends that was not used for longest. */
export const MOST_SESSIONS = 1000;

/** The same for each user. */
export const MOST_OF_USER = 20;

/** Milliseconds without a request after which a session is over. */
const IDLE_MS = 7 * 24 * 3_600_000;

const ID_BYTES = 32;

/** What ids look like. */
const ID = /^[\w-]{43}$/;

/** Most ids of a request that are looked at: a stranger could send hundreds, which costs time. */
const MOST_IDS = 8;

/** One who has signed in. */
export interface Session {
  /** The user; `true` for a holder of the shared key. */
  readonly caller: User | true;
  /** The name that the person gave; empty without one, and for users. */
  readonly name: string;
}

/** A session, and what it depends on. */
interface Held extends Session {
  /** What the server was when it began: with another key it is another one. */
  readonly identity: object;
  used: number;
}

/** The sessions of one server. */
export class Sessions {
  readonly #authenticator: Authenticator;
  /** By the digest of the id, those that were not used for longest first. */
  readonly #held = new Map<string, Held>();

  constructor(authenticator: Authenticator) {
    this.#authenticator = authenticator;
  }

  /**
   * Begins a session, and returns its id.
   *
   * @param identity What the server was before the key was verified: the key may be replaced meanwhile.
   */
  async begin(session: Session, identity: object): Promise<string> {
    const id = crypto.getRandomValues(new Uint8Array(ID_BYTES))
      .toBase64({ alphabet: "base64url", omitPadding: true });
    const digest = await digestOf(id);
    // From here on at once, so that many that begin together end as many others.
    const own = [...this.#held].filter(([, { caller }]) => caller === session.caller);
    const isFull = session.caller !== true && own.length >= MOST_OF_USER;
    const [oldest] = isFull ? own : this.#held.size >= MOST_SESSIONS ? [...this.#held] : [];
    if (oldest) this.#held.delete(oldest[0]);
    this.#held.set(digest, { ...session, identity, used: Date.now() });
    return id;
  }

  /** Whose id it is, if it is one. */
  async find(id: string): Promise<Session | undefined> {
    const digest = await digestOf(id);
    const identity = await this.#authenticator.identity();
    const held = this.#held.get(digest);
    if (!held) return undefined;
    this.#held.delete(digest);
    const isOver = Date.now() - held.used > IDLE_MS || held.identity !== identity ||
      (held.caller !== true && held.caller.isRevoked);
    if (isOver) return undefined;
    this.#held.set(digest, held);
    held.used = Date.now();
    return held;
  }

  /** Ends a session, if there is one with this id. */
  async end(id: string): Promise<void> {
    this.#held.delete(await digestOf(id));
  }
}

const known = new WeakMap<Authenticator, Sessions>();

/** The sessions of the server that recognises its clients so. */
export function sessionsOf(authenticator: Authenticator): Sessions {
  let sessions = known.get(authenticator);
  if (!sessions) known.set(authenticator, sessions = new Sessions(authenticator));
  return sessions;
}

/** The ids that a request has as its cookie. There can be several, of other paths. */
export function idsIn(exchange: Exchange): string[] {
  const name = cookieName(exchange);
  return (exchange.header("Cookie") ?? "").split(";").map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1))
    .filter((id) => ID.test(id)).slice(0, MOST_IDS);
}

/** The field that gives a browser its id, or with none takes it away. */
export function cookieFields(exchange: Exchange, id: string | undefined): Headers {
  const { socket: { scheme }, context: { web } } = exchange;
  const end = id === undefined ? "; Max-Age=0" : "";
  const secure = scheme === "https" ? "; Secure" : "";
  const attributes = `Path=${web.base}/; HttpOnly; SameSite=Strict${secure}${end}`;
  return { "Set-Cookie": `${cookieName(exchange)}=${id ?? ""}; ${attributes}` };
}

/**
 * The name of the cookie. Browsers send cookies to all ports of a host, so it has that of this server.
 * With the prefix, none can be given by plain HTTP or by another host.
 */
function cookieName(exchange: Exchange): string {
  const { socket: { scheme }, context: { web } } = exchange;
  const prefix = scheme !== "https" ? "" : web.base === "" ? "__Host-" : "__Secure-";
  return `${prefix}inlet-${portOf(exchange)}`;
}

/** Ids are held as digests: how long a search takes tells nothing of them. */
async function digestOf(id: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(id));
  return new Uint8Array(digest).toBase64();
}
