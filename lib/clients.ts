/**
 * Who is connected, and who was: numbers in order of arrival, and room for so many at once.
 *
 * @module
 */

import { formatLocalTime } from "./log.ts";
import { printable } from "./text.ts";

/** How many clients are remembered. */
const REMEMBERED = 1000;

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
  stranger?: boolean;
  /** When it left; missing while it is connected. */
  end?: Date;
}

/** The clients of a server. */
export class Clients {
  /** How many are served at once. */
  readonly limit: number;
  readonly #remembered: Client[] = [];
  readonly #names = new Set<string>();
  #arrived = 0;
  #connected = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** How many are connected now. */
  get connected(): number {
    return this.#connected;
  }

  /** Lets a client in, or gives `undefined` when the house is full. */
  admit(address: string): Client | undefined {
    if (this.#connected >= this.limit) return undefined;
    this.#connected++;
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

  /** Notes that a client left. */
  leave(client: Client): void {
    client.end = new Date();
    this.#names.delete(client.name);
    const listed = this.#remembered.lastIndexOf(client);
    if (client.stranger && listed >= 0) this.#remembered.splice(listed, 1);
    this.#connected--;
  }

  /** One line for each client that is remembered, in order of arrival. */
  status(): string[] {
    const known = this.#remembered.filter(({ stranger }) => !stranger);
    return known.map(({ number, address, name, start, end }) =>
      [
        `client ${number}`,
        ...(name === "" ? [] : [printable(name).replaceAll("|", "\\u{7c}")]),
        address,
        `Start: ${formatLocalTime(start)}`,
        `End: ${end ? formatLocalTime(end) : "Still Connected"}`,
      ].join(" | ")
    );
  }

  /** The oldest that has left goes first: who is connected is not forgotten. */
  #forgetOne(): void {
    const left = this.#remembered.findIndex((client) => client.end !== undefined);
    this.#remembered.splice(Math.max(left, 0), 1);
  }
}
