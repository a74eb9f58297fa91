/**
 * Who can be reached by others, and the lines that wait for them.
 *
 * A line for a client of the native wire is written by that client's own conversation, between two
 * requests, and by nobody else. Until then it waits in the client's mailbox. A page gets texts as
 * events.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { encodeLine } from "../../protocol.ts";
import { encodeUnasked, type Unasked } from "../../protocol/people_lines.ts";
import { mayAccess } from "../auth/access.ts";
import type { User } from "../auth/authenticator.ts";

/** A client, as others reach it. */
export interface Reachable {
  readonly number: number;
  readonly name: string;
  readonly user?: User;
}

/** Most lines that wait for one client. */
const MOST_LINES = 100;

/** Most bytes that wait for one client. */
const MOST_BYTES = 64 * 1024;

/** Most lines that wait before no more of those are added that tell who comes and goes. */
const MOST_NEWS = MOST_LINES / 2;

/** What becomes of a line: it is written at once, or after the request in progress, or never. */
export type Delivery = "now" | "later" | "full" | "gone" | "deaf";

/** Lines that wait for one client until it is between two requests. */
export class Mailbox {
  /** Whether the client has asked to be told of others. */
  attends = false;
  readonly #lines: Uint8Array[] = [];
  #bytes = 0;
  #isOpen = false;
  #onFirst: (() => void) | undefined;

  /** Whether the client is between two requests, so that lines can be written. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Number of lines that wait. */
  get waiting(): number {
    return this.#lines.length;
  }

  /** Adds a line, if there is room for it. */
  add(line: Uint8Array): Delivery {
    const bytes = this.#bytes + line.length;
    if (this.#lines.length >= MOST_LINES || bytes > MOST_BYTES) return "full";
    this.#lines.push(line);
    this.#bytes = bytes;
    this.#onFirst?.();
    return this.#isOpen ? "now" : "later";
  }

  /** Takes all lines out. */
  take(): Uint8Array {
    this.#bytes = 0;
    return concat(this.#lines.splice(0));
  }

  /** Opens the mailbox. Returns what settles once a line is in it; one call at a time. */
  open(): Promise<void> {
    this.#isOpen = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onFirst = resolve;
    return promise;
  }

  /** Lets lines wait from now on. */
  close(): void {
    this.#isOpen = false;
    this.#onFirst = undefined;
  }
}

/** Tells a page a text of another client. Returns whether there is room for it. */
export type OnTold = (from: Reachable, text: string) => boolean;

/** A client that can be reached. */
interface Present {
  readonly client: Reachable;
  /** That of a client of the native wire. */
  readonly mailbox?: Mailbox;
  /** How to tell a page something. */
  readonly onTold?: OnTold;
  /** Whether others were told that it came. They are told then that it has gone, also if it was revoked. */
  isAnnounced?: boolean;
}

/** The clients of the native wire that are connected, and the pages that are open. */
export class Attendance {
  readonly #present = new Map<number, Present>();

  /** Adds a client that was welcomed, and returns its mailbox. */
  enter(client: Reachable): Mailbox {
    const mailbox = new Mailbox();
    this.#present.set(client.number, { client, mailbox });
    return mailbox;
  }

  /** Tells a client of others from now on, and others of it. */
  attend(client: Reachable): void {
    const own = this.#present.get(client.number);
    if (!own?.mailbox || own.mailbox.attends) return;
    own.mailbox.attends = true;
    this.#announceArrival(own);
  }

  /**
   * Adds a page, which knows by other means who is here. Others are told of it, unless no line can hold
   * its name.
   */
  visit(client: Reachable, onTold: OnTold): void {
    if (hasBreak(client.name)) return;
    const present: Present = { client, onTold };
    this.#present.set(client.number, present);
    this.#announceArrival(present);
  }

  /**
   * Those whom a client can reach: who attends, or is between two requests, or has a page open, under
   * a name, and may talk to others.
   */
  others(client: Reachable): Reachable[] {
    const others = [...this.#present.values()].filter((other) =>
      other.client !== client && isReachable(other)
    );
    return others.map((other) => other.client);
  }

  /** Whether a client can be reached by others. */
  reaches(client: Reachable): boolean {
    const present = this.#present.get(client.number);
    return present?.client === client && isReachable(present);
  }

  /**
   * Passes a line on to a client. A page gets texts and nothing else, and so does a client that does not
   * attend, as notes.
   */
  pass(from: Reachable, to: number, line: Unasked): Delivery {
    const present = this.#present.get(to);
    if (!present || present.client === from || !isReachable(present)) return "gone";
    const { mailbox, onTold } = present;
    if (mailbox?.attends) return mailbox.add(encodeUnasked(line));
    if (line.type !== "told") return "deaf";
    if (!mailbox) return onTold?.(from, line.text) ? "now" : "full";
    const name = hasBreak(from.name) ? "" : from.name;
    return mailbox.add(encodeLine(`note ${name || `client ${from.number}`}: ${line.text}`));
  }

  /** Removes a client that has disconnected. */
  leave(client: Reachable): void {
    const own = this.#present.get(client.number);
    if (own?.client !== client) return;
    this.#present.delete(client.number);
    if (own.isAnnounced) this.#announce(client, { type: "gone", client: client.number });
  }

  #announceArrival(present: Present): void {
    const { client } = present;
    if (client.name === "" || !mayReach(client)) return;
    present.isAnnounced = true;
    this.#announce(client, { type: "came", client: client.number, name: client.name });
  }

  #announce(client: Reachable, news: Unasked): void {
    const line = encodeUnasked(news);
    for (const { client: other, mailbox } of this.#present.values()) {
      if (other === client || !mailbox?.attends || !mayReach(other)) continue;
      if (mailbox.waiting < MOST_NEWS) mailbox.add(line);
    }
  }
}

/** Names come from pages with whatever they hold. */
function hasBreak(name: string): boolean {
  return /[\r\n]/.test(name);
}

function isReachable({ client, mailbox }: Present): boolean {
  return client.name !== "" && (!mailbox || mailbox.attends || mailbox.isOpen) && mayReach(client);
}

/** Whether the user of a client may reach others. On a server where nobody may, nobody is present. */
function mayReach({ user }: Reachable): boolean {
  return !user || (!user.isRevoked && mayAccess({ server: "all", user: user.access }, "attend"));
}
