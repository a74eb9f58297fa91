/**
 * Who is connected, and who was: numbers in order of arrival, and room for so many at once.
 *
 * @module
 */

import { hostOf } from "../address.ts";
import { formatLocalTime, printable } from "../text.ts";

/** How many clients are remembered. */
const REMEMBERED = 1000;

/** Lines of one page of `status`. */
const PAGE_LINES = 500;

/** One client of this run of the server. */
export interface Client {
  /** 1 for the first client that was let in. */
  readonly number: number;
  /** `HOST:PORT`. */
  readonly address: string;
  readonly start: Date;
  /** What it calls itself; empty until it says, and on wires without names. */
  name: string;
  /** Whether it has yet to prove a key. Until then it is nobody that others are told of. */
  unauthenticated?: boolean;
  /** The features beyond version 1 that it understands. */
  features?: ReadonlySet<string>;
  /** When it left; missing while it is connected. */
  end?: Date;
}

/** The clients of a server. */
export class Clients {
  /** How many are served at once. */
  readonly limit: number;
  /** How many of them may come from one address. */
  readonly limitPerHost: number;
  readonly #hosts = new Map<string, number>();
  readonly #remembered: Client[] = [];
  readonly #names = new Set<string>();
  #arrived = 0;
  #connected = 0;

  constructor(limit: number, limitPerHost = Infinity) {
    this.limit = limit;
    this.limitPerHost = limitPerHost;
  }

  /** How many are connected now. */
  get connected(): number {
    return this.#connected;
  }

  /** How many are connected from the host of an address. */
  connectedFrom(address: string): number {
    return this.#hosts.get(hostOf(address)) ?? 0;
  }

  /** Whether one more from this address is too many, whatever room there is. */
  isCrowded(address: string): boolean {
    return this.connectedFrom(address) >= this.limitPerHost;
  }

  /** Lets a client in, or gives `undefined` when the house is full, or its address has enough. */
  admit(address: string): Client | undefined {
    if (this.#connected >= this.limit || this.isCrowded(address)) return undefined;
    this.#count(address, 1);
    const client: Client = { number: ++this.#arrived, address, start: new Date(), name: "" };
    this.#remembered.push(client);
    if (this.#remembered.length > REMEMBERED) this.#forgetOne();
    return client;
  }

  /**
   * Names a client. A name that another one carries now becomes `ben-2`, then `ben-3`.
   *
   * @param name What it calls itself. Empty for none, which any number of clients may have.
   */
  introduce(client: Client, name: string): void {
    client.name = name;
    for (let number = 2; this.#names.has(client.name); number++) client.name = `${name}-${number}`;
    if (name !== "") this.#names.add(client.name);
  }

  /** Notes that a client left. Only the first time counts. */
  leave(client: Client): void {
    if (client.end) return;
    client.end = new Date();
    this.#names.delete(client.name);
    const listed = this.#remembered.lastIndexOf(client);
    if (client.unauthenticated && listed >= 0) this.#remembered.splice(listed, 1);
    this.#count(client.address, -1);
  }

  /** One line for each client that is remembered, in order of arrival, in pages. */
  *status(): Generator<readonly string[]> {
    const known = this.#remembered.filter(({ unauthenticated }) => !unauthenticated);
    for (let start = 0; start < known.length; start += PAGE_LINES) {
      yield known.slice(start, start + PAGE_LINES).map(statusLine);
    }
  }

  #count(address: string, change: number): void {
    this.#connected += change;
    const host = hostOf(address);
    const connected = this.connectedFrom(address) + change;
    if (connected === 0) this.#hosts.delete(host);
    else this.#hosts.set(host, connected);
  }

  /** The oldest that has left goes first: who is connected is not forgotten. */
  #forgetOne(): void {
    const left = this.#remembered.findIndex((client) => client.end !== undefined);
    this.#remembered.splice(Math.max(left, 0), 1);
  }
}

/** Such as `client 1 | ben | 127.0.0.1:51234 | Start: 2026-11-21 09:38:00 | End: Still Connected`. */
function statusLine({ number, address, name, start, end }: Client): string {
  return [
    `client ${number}`,
    ...(name === "" ? [] : [printable(name).replaceAll("|", "\\u{7c}")]),
    address,
    `Start: ${formatLocalTime(start)}`,
    `End: ${end ? formatLocalTime(end) : "Still Connected"}`,
  ].join(" | ");
}
