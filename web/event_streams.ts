/**
 * The event streams of a server: what happens at it, told to everybody who has the page open, as
 * server-sent events (HTML, section 9.2).
 *
 * A stream holds no client's place, so that a thousand pages keep nobody out. Nothing is kept for one
 * that reads slowly beyond {@linkcode MOST_WAITING_BYTES}: it ends, and the browser begins another
 * one. An event is encoded once for all streams, and those of a moment are written at once.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import type { Stored } from "../protocol.ts";
import { hostOf, isNear } from "../lib/address.ts";
import { mayAccess } from "../lib/auth/access.ts";
import { InletError } from "../lib/errors.ts";
import type { Client, Clients } from "../lib/server/clients.ts";
import { rightsOf, type ServerContext } from "../lib/server/context.ts";
import type { Watcher } from "../lib/server/feed.ts";
import { printableJson } from "../lib/text.ts";
import { shownClients } from "./shown_clients.ts";

/** Most streams of a server. */
export const MOST_STREAMS = 1000;

/** The same from one address, other than this machine and the proxies. */
const MOST_OF_HOST = 250;

/** Most bytes that wait for one reader. */
const MOST_WAITING_BYTES = 256 * 1024;

/** Bytes that wait for a reader beyond which it gets no list of clients: there will be a newer one. */
const BEHIND_BYTES = 4 * 1024;

/**
 * Bytes that wait for a reader beyond which nobody tells it anything alone. There is more room for
 * what all are told: one client that tells it much does not get it dropped.
 */
const FULL_BYTES = 64 * 1024;

/** How often the clients are looked at, in milliseconds. */
const LOOK_MS = 500;

/** Bytes per second of lists of clients to all streams together, beyond which they are told less often. */
const LIST_BYTES_PER_SECOND = 2 * 1024 * 1024;

/** Most files that are told between two looks. */
export const MOST_FILES = 50;

/** Most bytes of files, and of messages, that are told to a stream between two looks. */
const MOST_TOLD_BYTES = 64 * 1024;

/** The same to all streams together: one client that talks much is heard by all. */
const MOST_TOLD_TO_ALL_BYTES = 8 * 1024 * 1024;

/**
 * Milliseconds, for each stream, in which what happens is gathered, and then written to it at once: a
 * thousand small messages cost hardly more than one.
 */
const GATHER_MS_PER_STREAM = 0.2;

/** Milliseconds, for each stream, between two times that every page is told to list the files again. */
const LIST_MS_PER_STREAM = 20;

/** What no browser shows. */
const HEARTBEAT = new TextEncoder().encode(":\n\n");

/** How often a line without meaning is sent, by which the ends of dead connections are noticed. */
const HEARTBEAT_MS = 15_000;

/** What is needed of a response. */
export interface Reader {
  readonly context: ServerContext;
  /** Writes, and calls back when the system has taken it. */
  write(bytes: Uint8Array, done: () => void): void;
  /** Ends it at once. */
  drop(): void;
  /** Whether whoever opened it would still be admitted. */
  isAdmitted(): Promise<boolean>;
}

/** One stream. */
export class EventStream {
  readonly reader: Reader;
  /** Bytes that wait for the reader. */
  waiting = 0;
  /** Whether it has not got the last list of clients. */
  isBehind = true;
  /** Whether it has taken nothing since the last heartbeat. */
  isStuck = false;
  #isOver = false;

  constructor(reader: Reader) {
    this.reader = reader;
  }

  send(bytes: Uint8Array): void {
    if (this.#isOver) return;
    if (this.waiting + bytes.length > MOST_WAITING_BYTES) return this.drop();
    this.waiting += bytes.length;
    this.reader.write(bytes, () => {
      this.waiting -= bytes.length;
      this.isStuck = false;
    });
  }

  /**
   * Tells its visitor what another client says to nobody else.
   *
   * @returns Whether there is room for it.
   */
  tell(told: { from: string; number: number; text: string }): boolean {
    const bytes = encode("told", told);
    if (this.#isOver || this.waiting + bytes.length > FULL_BYTES) return false;
    this.send(bytes);
    return true;
  }

  drop(): void {
    this.#isOver = true;
    this.reader.drop();
  }

  /** Whether its client may see what is there at the moment. One that was revoked ends. */
  get mayList(): boolean {
    try {
      return mayAccess(rightsOf(this.reader.context), "list");
    } catch {
      this.drop();
      return false;
    }
  }
}

/** The streams of one server. */
export class EventStreams implements Watcher {
  /** By the secrets of their visitors. */
  readonly #streams = new Map<string, EventStream>();
  /** The services that all clients of the server share. */
  readonly #context: ServerContext;
  readonly #heartbeatMs: number;
  #timers: Disposable | undefined;
  #files = 0;
  #fileBytes = 0;
  /** Whether there were more files than were told. */
  #areMore = false;
  #manyAfter = 0;
  #messageBytes = 0;
  /** What has happened and is not told yet. */
  #gathered: Uint8Array<ArrayBuffer>[] = [];
  #telling: ReturnType<typeof setTimeout> | undefined;
  #list = new Uint8Array(0);
  #listText = "";
  #restUntil = 0;

  constructor(context: ServerContext, { heartbeatMs = HEARTBEAT_MS } = {}) {
    this.#context = context;
    this.#heartbeatMs = heartbeatMs;
  }

  /**
   * Checks that there is room for another stream.
   *
   * @throws {InletError} `busy`
   */
  checkRoom({ client: { address }, web: { proxies } }: ServerContext): void {
    const host = hostOf(address);
    const isBounded = !isNear(address) && !proxies.has(host);
    const own = (): number =>
      [...this.#streams.values()].filter(({ reader }) =>
        hostOf(reader.context.client.address) === host
      ).length;
    if (this.#streams.size < MOST_STREAMS && !(isBounded && own() >= MOST_OF_HOST)) return;
    throw new InletError("busy", "Cannot tell what happens: too many pages are open here");
  }

  /**
   * Adds a stream, whose client has got its name.
   *
   * @returns Takes it away.
   */
  add(stream: EventStream): Disposable {
    const { reader } = stream;
    const secret = crypto.getRandomValues(new Uint8Array(16)).toHex();
    this.#streams.set(secret, stream);
    this.#timers ??= this.#start();
    stream.send(encode("welcome", { name: reader.context.client.name, visitor: secret }));
    // It learns of itself with all others, at the next look.
    if (this.#streams.size > 1) this.#tellClients();
    else this.#look();
    return {
      [Symbol.dispose]: () => {
        this.#streams.delete(secret);
        if (this.#streams.size > 0) return;
        this.#tell();
        this.#timers?.[Symbol.dispose]();
        this.#timers = undefined;
      },
    };
  }

  /** The client of the stream with this secret. */
  visitor(secret: string): Client | undefined {
    return this.#streams.get(secret)?.reader.context.client;
  }

  /** Whether another message would be told. */
  get takesMessages(): boolean {
    return this.#messageBytes < this.#mostBytes;
  }

  /** Most bytes of files, and of messages, that are told between two looks. */
  get #mostBytes(): number {
    return Math.min(MOST_TOLD_BYTES, MOST_TOLD_TO_ALL_BYTES / this.#streams.size);
  }

  stored({ name, size }: Pick<Stored, "name" | "size">): void {
    if (++this.#files > MOST_FILES || this.#fileBytes >= this.#mostBytes) return;
    // A name can be all escapes.
    this.#fileBytes += encode("stored", { name, size }).length;
    this.#modifiedOf(name).then((modified) => {
      if (modified) this.#gather(encode("stored", { name, size, modified }));
    });
  }

  said(from: string, text: string): void {
    if (!this.takesMessages) return;
    const bytes = encode("message", { from, text });
    this.#messageBytes += bytes.length;
    this.#gather(bytes);
  }

  /** When a file was changed, as lists tell it; `undefined` if it is gone again. */
  async #modifiedOf(name: string): Promise<Date | undefined> {
    try {
      for await (const [entry] of this.#context.store.tree(name, undefined, true)) {
        return entry?.modified;
      }
    } catch {
      // Another program has removed it.
    }
    return undefined;
  }

  #gather(bytes: Uint8Array<ArrayBuffer>): void {
    this.#gathered.push(bytes);
    this.#telling ??= setTimeout(() => this.#tell(), GATHER_MS_PER_STREAM * this.#streams.size);
  }

  #tell(): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    if (this.#gathered.length === 0) return;
    const bytes = concat(this.#gathered.splice(0));
    for (const stream of this.#streams.values()) if (stream.mayList) stream.send(bytes);
  }

  #start(): Disposable {
    const { log: { feed } } = this.#context;
    const looking = setInterval(() => this.#look(), LOOK_MS);
    const beating = setInterval(() => this.#beat(), this.#heartbeatMs);
    feed.watcher = this;
    return {
      [Symbol.dispose](): void {
        feed.watcher = undefined;
        clearInterval(looking);
        clearInterval(beating);
      },
    };
  }

  #look(): void {
    const now = performance.now();
    this.#areMore ||= this.#files > MOST_FILES || this.#fileBytes >= this.#mostBytes;
    if (this.#areMore && now >= this.#manyAfter) {
      this.#areMore = false;
      this.#manyAfter = now + LIST_MS_PER_STREAM * this.#streams.size;
      this.#gather(encode("many", {}));
    }
    this.#tell();
    this.#files = this.#fileBytes = this.#messageBytes = 0;
    this.#listClients(now);
    this.#tellClients();
  }

  /** Makes a new list of clients, if it is another one. */
  #listClients(now: number): void {
    if (now < this.#restUntil) return;
    const text = shownClients(this.#context.clients);
    if (text === this.#listText) return;
    this.#listText = text;
    this.#list = encodeEvent("clients", text);
    const bytes = this.#list.length * this.#streams.size;
    this.#restUntil = now + bytes / LIST_BYTES_PER_SECOND * 1000;
    this.#streams.forEach((stream) => stream.isBehind = true);
  }

  /** Tells who is there, to those that do not know it. A reader that is slow gets it the next time. */
  #tellClients(): void {
    for (const stream of this.#streams.values()) {
      if (!stream.isBehind || stream.waiting > BEHIND_BYTES || !stream.mayList) continue;
      stream.isBehind = false;
      stream.send(this.#list);
    }
  }

  #beat(): void {
    for (const stream of this.#streams.values()) {
      if (stream.isStuck) {
        stream.drop();
        continue;
      }
      stream.isStuck = true;
      stream.send(HEARTBEAT);
      const drop = (): void => stream.drop();
      stream.reader.isAdmitted().then((isAdmitted) => isAdmitted || drop(), drop);
    }
  }
}

const known = new WeakMap<Clients, EventStreams>();

/** The streams of the server that a client is at. */
export function streamsOf(context: ServerContext): EventStreams {
  let streams = known.get(context.clients);
  if (!streams) known.set(context.clients, streams = new EventStreams(context));
  return streams;
}

/** Encodes an event. Its data is one line: JSON has no line endings. */
function encode(event: string, data: unknown): Uint8Array<ArrayBuffer> {
  return encodeEvent(event, printableJson(data));
}

function encodeEvent(event: string, data: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`event: ${event}\ndata: ${data}\n\n`);
}
