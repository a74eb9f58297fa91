/**
 * A server for meetings as a test wants it to be: it records all that passes, and may change it. It
 * knows nothing but the lines of PROTOCOL.md, section 12.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";

/** What a server does with the bytes of a pipe, which it may change. */
export type Change = (bytes: Uint8Array, from: "offer" | "accept") => Uint8Array | null;

/** A server for meetings. Dispose of it to stop it. */
export interface MeetingServer extends AsyncDisposable {
  readonly port: number;
  /** Each connection's bytes, those of the pipe included, in both directions. */
  readonly recorded: Uint8Array[];
  /** Breaks every pipe. */
  breakPipes(): void;
}

/** How a server lies. */
export interface Lies {
  change?: Change;
  /** The salt that it tells an accepting client. */
  salt?: string;
  /** The address that it tells each client as its own. */
  seen?: string;
  /** Lets an accepting client meet whoever offers something else. */
  swaps?: boolean;
  /** Meets an accepting client itself. */
  pose?: (accepting: Line) => Promise<void>;
}

interface Offer {
  salt: string;
  waiting: Line | undefined;
  wake: (() => void) | undefined;
}

/** Lines and then bytes of one connection at a server. */
export class Line {
  readonly #conn: Deno.TcpConn;
  readonly #record: Uint8Array[];
  #ahead = new Uint8Array(0);
  isTaken = false;

  constructor(conn: Deno.TcpConn, record: Uint8Array[]) {
    this.#conn = conn;
    this.#record = record;
  }

  get address(): string {
    const { hostname, port } = this.#conn.remoteAddr;
    return `${hostname}:${port}`;
  }

  async bytes(): Promise<Uint8Array | null> {
    if (this.#ahead.length > 0) {
      const ahead = this.#ahead;
      this.#ahead = new Uint8Array(0);
      return ahead;
    }
    const buffer = new Uint8Array(65536);
    const read = await this.#conn.read(buffer);
    if (read === null) return null;
    this.#record.push(buffer.slice(0, read));
    return buffer.subarray(0, read);
  }

  unread(bytes: Uint8Array): void {
    this.#ahead = concat([bytes, this.#ahead]);
  }

  async line(): Promise<string | null> {
    let held = new Uint8Array(0);
    for (;;) {
      const end = held.indexOf(0x0a);
      if (end >= 0) {
        this.unread(held.slice(end + 1));
        return new TextDecoder().decode(held.subarray(0, end));
      }
      const more = await this.bytes();
      if (more === null) return null;
      held = concat([held, more]);
    }
  }

  async say(text: string): Promise<void> {
    await this.write(new TextEncoder().encode(`${text}\n`));
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#record.push(bytes.slice());
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }

  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite();
  }

  close(): void {
    try {
      this.#conn.close();
    } catch {
      // It is closed already.
    }
  }
}

/** Starts a server. */
export function startMeetingServer(
  { change = (bytes) => bytes, salt, seen, swaps, pose }: Lies = {},
): MeetingServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const recorded: Uint8Array[] = [];
  const offers = new Map<string, Offer>();
  const pipes = new Set<Line>();
  const all = new Set<Line>();
  let ids = 0;

  const pump = async (from: Line, to: Line, who: "offer" | "accept"): Promise<void> => {
    try {
      for (let bytes; (bytes = await from.bytes()) !== null;) {
        const changed = change(bytes, who);
        if (changed === null) throw new Error("cut");
        await to.write(changed);
      }
      await to.closeWrite();
    } catch {
      from.close();
      to.close();
    }
  };

  const serve = async (line: Line): Promise<void> => {
    await line.line();
    await line.say("welcome client 1 of 100");
    const request = await line.line();
    const [verb, plate = "", given = "", seconds] = (request ?? "").split(" ");
    if (verb === "offer") {
      const own = plate.replace("?", "4713");
      const offer = offers.get(own) ?? { salt: given, waiting: undefined, wake: undefined };
      offer.salt = given;
      offers.set(own, offer);
      await line.say(`ok ${own} ${seconds} ${seen ?? line.address}`);
      offer.waiting?.close();
      offer.waiting = line;
      offer.wake?.();
    } else if (verb === "accept") {
      const known = offers.get(plate);
      const offer = swaps ? [...offers.values()].find((other) => other !== known) : known;
      if (!offer) {
        await line.say("error denied no offer with this code");
        return line.close();
      }
      await line.say(`ok ${salt ?? offer.salt} ${seen ?? line.address}`);
      const first = await line.bytes();
      if (first === null) return line.close();
      line.unread(first.slice());
      if (pose) {
        await line.say("met 1");
        return await pose(line);
      }
      while (!offer.waiting) await new Promise<void>((resolve) => offer.wake = resolve);
      const other = offer.waiting;
      offer.waiting = undefined;
      const id = ++ids;
      await other.say(`knock ${id} ${line.address}`);
      for (let said; (said = await other.line()) !== `join ${id}`;) {
        if (said === null) return line.close();
      }
      await line.say(`met ${id}`);
      pipes.add(line).add(other);
      pump(line, other, "accept");
      pump(other, line, "offer");
    } else line.close();
  };

  const accepting = (async (): Promise<void> => {
    for await (const conn of listener) {
      conn.setNoDelay();
      const line = new Line(conn, recorded);
      all.add(line);
      serve(line).catch(() => line.close());
    }
  })().catch(() => {});

  return {
    port: listener.addr.port,
    recorded,
    breakPipes(): void {
      pipes.forEach((line) => line.close());
      pipes.clear();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      all.forEach((line) => line.close());
      await accepting;
    },
  };
}
