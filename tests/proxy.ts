/**
 * What can happen to bytes on their way: a real TCP connection in two halves, and between them what
 * splits, joins, delays, flips or drops.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { nextTurn } from "../lib/turns.ts";
import { dial, sendTo } from "./helpers.ts";

/** What is done to the bytes of one direction. */
export type Change = (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

/** What is done to each direction. Without a change bytes pass as they come. */
export interface Changes {
  toServer?: Change;
  toClient?: Change;
}

/** A listening socket in front of a server. It stops when it goes out of scope. */
export interface Proxy extends AsyncDisposable {
  readonly hostname: string;
  readonly port: number;
}

/** Listens in front of a server, and passes every connection on to it. */
export function proxyTo(server: { port: number }, changes: Changes): Proxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const passing = new Set<Promise<void>>();
  const accepting = (async () => {
    for await (const client of listener) passing.add(passOn(client, server, changes));
  })();
  return {
    hostname: "127.0.0.1",
    port: listener.addr.port,
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      await accepting;
      await Promise.all(passing);
    },
  };
}

async function passOn(
  client: Deno.TcpConn,
  server: { port: number },
  { toServer = asItIs, toClient = asItIs }: Changes,
): Promise<void> {
  const upstream = await dial(server);
  const close = (): void =>
    [client, upstream].forEach((conn) => {
      try {
        conn.close();
      } catch {
        // It is closed already.
      }
    });
  client.setNoDelay();
  upstream.setNoDelay();
  const pump = async (from: Deno.TcpConn, to: Deno.TcpConn, change: Change): Promise<void> => {
    const source = { ended: false };
    try {
      for await (const chunk of change(chunksOf(from, source))) await sendTo(to, chunk);
      if (source.ended) await to.closeWrite();
      else close();
    } catch {
      // Whichever way one side went, the other one is told.
      close();
    }
  };
  await Promise.all([pump(client, upstream, toServer), pump(upstream, client, toClient)]);
  close();
}

async function* chunksOf(
  conn: Deno.TcpConn,
  source: { ended: boolean },
): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(64 * 1024);
  for (let read; (read = await conn.read(buffer)) !== null;) yield buffer.slice(0, read);
  source.ended = true;
}

const asItIs: Change = (chunks) => chunks;

/** One change behind the other. */
export function all(...changes: readonly Change[]): Change {
  return (chunks) => changes.reduce((changed, change) => change(changed), chunks);
}

/** Splits what comes at random places, down to single bytes. */
export function splits(seed: number): Change {
  const random = randomOf(seed);
  return async function* (chunks) {
    for await (const chunk of chunks) {
      for (let start = 0; start < chunk.length;) {
        const most = random() < 0.5 ? 8 : chunk.length;
        const end = start + 1 + Math.floor(random() * most);
        yield chunk.subarray(start, end);
        start = end;
        await nextTurn();
      }
    }
  };
}

/** Holds back what comes until nothing more does, and passes it on in one piece. */
export const joins: Change = async function* (chunks) {
  const source = chunks[Symbol.asyncIterator]();
  let next = source.next();
  for (;;) {
    const parts: Uint8Array[] = [];
    for (;;) {
      const result = await (parts.length === 0 ? next : Promise.race([next, turns(3)]));
      if (!result) break;
      if (result.done) {
        yield concat(parts);
        return;
      }
      parts.push(result.value);
      next = source.next();
    }
    yield concat(parts);
  }
};

/** Lets random numbers of turns go by before each piece. */
export function delays(seed: number): Change {
  const random = randomOf(seed);
  return async function* (chunks) {
    for await (const chunk of chunks) {
      await turns(Math.floor(random() * 10));
      yield chunk;
    }
  };
}

/** Lets so many bytes pass, and drops the connection in the place of the next one. */
export function truncates(offset: number): Change {
  return async function* (chunks) {
    if (offset === 0) return;
    let left = offset;
    for await (const chunk of chunks) {
      yield chunk.subarray(0, left);
      left -= chunk.length;
      if (left <= 0) return;
    }
  };
}

/** Flips one bit when it is told to. */
export class Flipper {
  #passed = 0;
  #target = -1;
  #bit = 0;

  /** Flips a bit, 0 to 7, of the byte that comes after so many others from now on. */
  arm(offset: number, bit: number): void {
    this.#target = this.#passed + offset;
    this.#bit = bit;
  }

  /** The change that it makes. */
  readonly change: Change = (chunks) => this.#flipped(chunks);

  async *#flipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      const index = this.#target - this.#passed;
      if (index >= 0 && index < chunk.length) chunk[index]! ^= 1 << this.#bit;
      this.#passed += chunk.length;
      yield chunk;
    }
  }
}

async function turns(count: number): Promise<undefined> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}

/** Numbers from 0 to 1, the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    return state / 2 ** 32;
  };
}
