/**
 * The clients of a server, connected and past: their numbers and names, and the connection limits.
 *
 * @module
 */

import { MAX_CLIENT_NAME_BYTES, withFacts } from "../../protocol.ts";
import { hostOf, isNear } from "../address.ts";
import type { User } from "../auth/authenticator.ts";
import { InletError } from "../errors.ts";
import type { AddressRanges } from "../net/address_ranges.ts";
import { formatLocalTime, printable } from "../text.ts";
import { Attendance, type Mailbox } from "./attendance.ts";

/** Most clients that `status` remembers. */
const REMEMBERED = 1000;

/** Lines of one page of `status`. */
const PAGE_LINES = 500;

/** A file that a client sends or gets. */
export interface Moving {
  readonly file: string;
  /** Bytes that have moved, more or less. */
  readonly bytes: number;
  /** Bytes of the whole file; `null` if that is not known. */
  readonly size: number | null;
}

/** One client of this run of the server. */
export interface Client {
  /** Numbered from 1, in order of admission. */
  readonly number: number;
  /** `HOST:PORT`, or `unix:N`. Behind a proxy, it can be another one while the client has no place. */
  address: string;
  readonly start: Date;
  /** Its name; empty before the greeting, and on wires without names. */
  name: string;
  /** Whether it has not proved the key yet. `status` omits it until then. */
  unauthenticated?: boolean;
  /** The name that it has asked for last, over HTTP. */
  requested?: string;
  /** The user that it has proved to be, on a server with users. */
  user?: User;
  /** The features beyond version 1 that it supports. */
  features?: ReadonlySet<string>;
  /** When it disconnected; missing while it is connected. */
  end?: Date;
  /** What others have told it and it has not been sent, on the native wire. */
  mailbox?: Mailbox;
  /**
   * What it speaks: `native`, `upload`, `http` or the mode of a fallback, on a port that serves
   * several. `page` is a person with the page open.
   */
  wire?: string;
  /** What it does beside moving files, in a word or two: `offers`. */
  doing?: string;
  /** Tells what it moves at the moment, if it does. */
  moving?: () => Moving | undefined;
}

/** Whom something is about. One without a number was not admitted. */
export type Subject =
  & Pick<Client, "address" | "name">
  & Partial<Pick<Client, "number" | "user" | "wire">>;

/** From this `limit` on, one address gets half of the places, unless the operator says otherwise. */
const SHARED_LIMIT = 20;

/**
 * Checks a name that a client gives itself.
 *
 * @throws {InletError} `bad-name`
 */
export function checkClientName(name: string): void {
  if (new TextEncoder().encode(name).length <= MAX_CLIENT_NAME_BYTES) return;
  const what = "Cannot take the client's name";
  throw new InletError("bad-name", `${what}: the limit is ${MAX_CLIENT_NAME_BYTES} bytes`);
}

/** The clients of a server. */
export class Clients {
  /** Most clients that are connected at once. */
  readonly limit: number;
  /** Those who can be reached by others. */
  readonly attendance: Attendance = new Attendance();
  readonly #limitPerHost: number | undefined;
  readonly #proxies: Pick<AddressRanges, "has"> | undefined;
  readonly #hosts = new Map<string, number>();
  readonly #remembered: Client[] = [];
  /** The connected clients with a name, by that name. */
  readonly #names = new Map<string, Client>();
  /** Clients that are connected, and hold no place. */
  readonly #visitors = new Set<Client>();
  #arrived = 0;
  #connected = 0;

  /**
   * @param limitPerHost Most clients that are connected at once from one address. By default half
   * of `limit` if that is 20 or more, and no limit for clients on this machine.
   * @param proxies Addresses without a limit: their clients have addresses of their own.
   */
  constructor(limit: number, limitPerHost?: number, proxies?: Pick<AddressRanges, "has">) {
    this.#proxies = proxies;
    this.limit = limit;
    this.#limitPerHost = limitPerHost;
  }

  /** Number of connected clients. */
  get connected(): number {
    return this.#connected;
  }

  /** Number of connected clients from the host of an address. */
  connectedFrom(address: string): number {
    return this.#hosts.get(hostOf(address)) ?? 0;
  }

  /** Most clients that are connected at once from the host of an address. */
  limitFor(address: string): number {
    if (this.#proxies?.has(hostOf(address))) return Infinity;
    if (this.#limitPerHost !== undefined) return this.#limitPerHost;
    const isShared = this.limit >= SHARED_LIMIT && !isNear(address);
    return isShared ? Math.floor(this.limit / 2) : Infinity;
  }

  /** Whether the limit for the host of an address is reached. */
  isCrowded(address: string): boolean {
    return this.connectedFrom(address) >= this.limitFor(address);
  }

  /** Whether a client from an address would be admitted. */
  hasPlaceFor(address: string): boolean {
    return this.#connected < this.limit && !this.isCrowded(address);
  }

  /** Admits a client; returns `undefined` if the limit of the server or of the host is reached. */
  admit(address: string): Client | undefined {
    if (!this.hasPlaceFor(address)) return undefined;
    this.#count(address, 1);
    const client: Client = { number: ++this.#arrived, address, start: new Date(), name: "" };
    this.#remember(client);
    return client;
  }

  /**
   * Names a client. If a connected client has the name, it becomes `ben-2`, then `ben-3`. The second
   * one of a user is `ben (2)`, which is the name of no other user. A visitor takes the name over from
   * a request of HTTP: those of one browser come over several connections.
   *
   * @param name The requested name. Any number of clients may have an empty one.
   */
  introduce(client: Client, name: string): void {
    const isTaken = (wanted: string): boolean => {
      const holder = this.#names.get(wanted);
      return holder !== undefined && !(holder.wire === "http" && this.#visitors.has(client));
    };
    client.name = name;
    for (let number = 2; isTaken(client.name); number++) {
      client.name = client.user ? `${name} (${number})` : `${name}-${number}`;
    }
    if (name !== "") this.#names.set(client.name, client);
  }

  /** Names a connected client that has another name so far. */
  rename(client: Client, name: string): void {
    this.#forgetName(client);
    this.introduce(client, name);
  }

  /**
   * Lists a client as connected that gives its place to others, and stays.
   *
   * @param name The requested name, which may be empty.
   * @returns Ends that.
   */
  visit(client: Client, name: string): Disposable {
    this.leave(client);
    delete client.end;
    client.wire = "page";
    this.#visitors.add(client);
    this.introduce(client, name);
    this.#remember(client);
    return {
      [Symbol.dispose]: () => {
        this.leave(client);
        client.wire = "http";
      },
    };
  }

  /** Records that a client disconnected. Further calls have no effect. */
  leave(client: Client): void {
    if (client.end) return;
    client.end = new Date();
    this.#forgetName(client);
    this.attendance.leave(client);
    const listed = this.#remembered.lastIndexOf(client);
    if (client.unauthenticated && listed >= 0) this.#remembered.splice(listed, 1);
    if (!this.#visitors.delete(client)) this.#count(client.address, -1);
  }

  /**
   * Admits a client again that has given its place away and stayed connected.
   *
   * @returns Whether there is a place for it.
   */
  readmit(client: Client): boolean {
    if (!client.end) return true;
    if (!this.hasPlaceFor(client.address)) return false;
    delete client.end;
    // Not the number that it had beside others, which would get another number.
    const name = client.requested || client.name;
    if (name !== "") this.introduce(client, name);
    this.#remember(client);
    this.#count(client.address, 1);
    return true;
  }

  /** The remembered clients that have proved who they are, in order of admission. */
  get known(): readonly Client[] {
    return this.#remembered.filter(({ unauthenticated }) => !unauthenticated);
  }

  /**
   * Yields a line for each remembered client, in order of admission, in pages.
   *
   * @param format Makes the line; that of the native wire by default.
   */
  *status(format: (client: Client) => string = statusLine): Generator<readonly string[]> {
    const { known } = this;
    for (let start = 0; start < known.length; start += PAGE_LINES) {
      yield known.slice(start, start + PAGE_LINES).map(format);
    }
  }

  #count(address: string, change: number): void {
    this.#connected += change;
    const host = hostOf(address);
    const connected = this.connectedFrom(address) + change;
    if (connected === 0) this.#hosts.delete(host);
    else this.#hosts.set(host, connected);
  }

  #remember(client: Client): void {
    if (this.#remembered.includes(client)) return;
    // In order of admission: one that proves itself late was not listed before.
    const before = this.#remembered.findLastIndex(({ number }) => number < client.number);
    this.#remembered.splice(before + 1, 0, client);
    if (this.#remembered.length > REMEMBERED) this.#forgetOne();
  }

  #forgetName(client: Client): void {
    if (this.#names.get(client.name) === client) this.#names.delete(client.name);
  }

  /** Forgets the oldest disconnected client; connected ones stay listed. */
  #forgetOne(): void {
    const left = this.#remembered.findIndex((client) => client.end !== undefined);
    this.#remembered.splice(Math.max(left, 0), 1);
  }
}

/** `client 1 | ben | 127.0.0.1:51234 | Start: 2026-11-21 09:38:00 | End: Still Connected`. */
export function statusLine({ number, address, name, start, end, doing }: Client): string {
  return [
    `client ${number}`,
    ...(name === "" ? [] : [printable(name).replaceAll("|", "\\u{7c}")]),
    address,
    `Start: ${formatLocalTime(start)}`,
    `End: ${end ? formatLocalTime(end) : "Still Connected"}`,
    ...(doing === undefined || end ? [] : [doing]),
  ].join(" | ");
}

/** The same with all that programs may want to know of the client. */
export function factsLine(client: Client): string {
  const { number: id, name, address, start: since, end: until, wire } = client;
  const moving = until ? undefined : client.moving?.();
  return withFacts(statusLine(client), {
    ...{ id, name, address, since },
    ...until && { until },
    ...wire !== undefined && { wire },
    ...moving && { moving },
  });
}
