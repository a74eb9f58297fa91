/**
 * The two ends of a meeting by hand, by the line, at a plain server or one with a key.
 *
 * @module
 */

import { TcpStream } from "../lib/net/byte_stream.ts";
import { Connection } from "../lib/net/connection.ts";
import { dial, type Reachable } from "./helpers.ts";
import { dialWithKey } from "./secure.ts";

/** The salt of an offer, and that of another run of its client. */
export const SALT = "8f1c2d5e9a3b4c6d7e8f90a1b2c3d4e5";
export const OTHER_SALT = "00000000000000000000000000000000";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One end. It closes when it goes out of scope. */
export class End implements Disposable {
  readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** Connects and greets a server, which has to welcome this end. */
  static async greet(server: Reachable, name = "test"): Promise<End> {
    const { key } = server;
    const secure = key === undefined ? undefined : await dialWithKey(server, key);
    const stream = secure?.stream ?? new TcpStream(await dial(server));
    const end = new End(new Connection(stream, { idleTimeoutMs: 120_000 }));
    await end.says(`hello 1 ${name}\n`);
    const greeting = await end.line();
    const [, nonce] = /^challenge (.*)/.exec(greeting) ?? [];
    if (nonce !== undefined) {
      await end.says(`answer ${await secure!.credential.prove(nonce)}\n`);
    }
    const welcome = nonce === undefined ? greeting : await end.line();
    if (!welcome.startsWith("welcome ")) {
      end[Symbol.dispose]();
      throw new Error(`no welcome: ${welcome}`);
    }
    return end;
  }

  /** Connects, and asks for one thing. */
  static async asks(server: Reachable, request: string): Promise<End> {
    const end = await End.greet(server);
    await end.says(`${request}\n`);
    return end;
  }

  async says(content: string | Uint8Array): Promise<void> {
    await this.connection.write(typeof content === "string" ? encoder.encode(content) : content);
  }

  /** The next line; empty at the end, in whatever way it ends. */
  async line(): Promise<string> {
    return await this.connection.readLine().catch(() => null) ?? "";
  }

  /** Exactly so many bytes, as text. */
  async text(count: number): Promise<string> {
    return decoder.decode(await this.connection.readExactly(count));
  }

  /** All that comes until the other side closes, in whatever way it closes. */
  async rest(): Promise<string> {
    let text = "";
    try {
      for await (const chunk of this.connection.body()) text += decoder.decode(chunk);
    } catch {
      // It was broken off.
    }
    return text;
  }

  [Symbol.dispose](): void {
    this.connection[Symbol.dispose]();
  }
}

/** An offer, and what it is found by. */
export interface Offering extends Disposable {
  readonly end: End;
  readonly plate: string;
}

/** Offers at a server, by a plate that it picks or that is given, and waits for the answer. */
export async function offer(
  server: Reachable,
  { plate = "?-maple", salt = SALT, seconds = 600 } = {},
): Promise<Offering> {
  const end = await End.asks(server, `offer ${plate} ${salt} ${seconds}`);
  const answer = await end.line();
  const [, picked] = /^ok (\d{4}-[a-z-]+) \d+ \S+:\d+$/.exec(answer) ?? [];
  if (picked === undefined) throw new Error(`it says ${answer}`);
  return { end, plate: picked, [Symbol.dispose]: () => end[Symbol.dispose]() };
}

/** Accepts at a server, and sends the first bytes. */
export async function accept(server: Reachable, plate: string, first = "first"): Promise<End> {
  const end = await End.asks(server, `accept ${plate}`);
  const answer = await end.line();
  if (!/^ok [0-9a-f]{32} \S+:\d+$/.test(answer)) throw new Error(`it says ${answer}`);
  await end.says(first);
  return end;
}

/** Joins the next client that comes, and gives its first bytes. */
export async function join({ end }: Offering, first = "first"): Promise<string> {
  let knock: string;
  while ((knock = await end.line()) === "tick") await end.says("tick\n");
  const [, id] = /^knock (\d+) \S+:\d+$/.exec(knock) ?? [];
  if (id === undefined) throw new Error(`it says ${knock}`);
  const early = await end.text(first.length);
  await end.says(`join ${id}\n`);
  return early;
}

/** Two ends of one pipe. */
export interface Pair extends Disposable {
  readonly plate: string;
  readonly offerer: End;
  readonly acceptor: End;
}

/** Lets two clients meet. */
export async function meet(server: Reachable): Promise<Pair> {
  const offering = await offer(server);
  const acceptor = await accept(server, offering.plate);
  await join(offering);
  const met = await acceptor.line();
  if (!/^met \d+$/.test(met)) throw new Error(`it says ${met}`);
  return {
    plate: offering.plate,
    offerer: offering.end,
    acceptor,
    [Symbol.dispose](): void {
      offering[Symbol.dispose]();
      acceptor[Symbol.dispose]();
    },
  };
}
