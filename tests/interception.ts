/**
 * What somebody on the way between a client and a server sees and does.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes/concat";
import type { AddressInfo, Socket } from "node:net";
import { createServer, type TlsOptions } from "node:tls";
import { dial, sendTo } from "./helpers.ts";
import type { Change, Proxy } from "./proxy.ts";

/** Keys of our own making, which take no time to stretch. */
export const KEY = "5eed".repeat(16);
export const OTHER_KEY = "0bad".repeat(16);

/** Keeps what passes in one direction. */
export class Recorder {
  readonly #chunks: Uint8Array[] = [];

  /** Passes all bytes as they come. */
  readonly change: Change = (chunks) => this.#record(chunks);

  get bytes(): Uint8Array<ArrayBuffer> {
    return concat(this.#chunks);
  }

  async *#record(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.#chunks.push(chunk.slice());
      yield chunk;
    }
  }
}

/** Fails unless a client has said the first line of TLS, and at most that it goes away. */
export function assertHelloAlone(said: Uint8Array): void {
  const [type, , , high = 0, low = 0, message] = said;
  const hello = 5 + (high << 8 | low);
  assertEquals([type, message], [0x16, 1], "it begins with a ClientHello");
  // Its four bytes of head tell a length too: no other message of TLS is behind it.
  assertEquals(said[7]! << 8 | said[8]!, hello - 9);
  const rest = [...said.subarray(hello)];
  const isAlert = rest.length === 7 && rest[0] === 0x15 && rest[4] === 2;
  assert(rest.length === 0 || isAlert, `it goes on: ${rest}`);
}

/** What stands in the place of a server, for one client. */
export interface Stranger extends Disposable {
  readonly port: number;
  /** All that the client has said, once it is gone. */
  readonly said: Promise<Uint8Array>;
}

/** What a stranger says to the first bytes of its client. */
export interface Words {
  words?: string | Uint8Array;
  /** When it closes its side: never unless told so. */
  ends?: "at once" | "behind its words";
}

/** Listens in the place of a server, and says the same whatever it hears. */
export function stranger({ words = "", ends }: Words): Stranger {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const said = (async () => {
    using conn = await listener.accept();
    if (ends === "at once") return new Uint8Array(0);
    const heard: Uint8Array[] = [];
    const buffer = new Uint8Array(65_536);
    try {
      for (let read; (read = await conn.read(buffer)) !== null;) {
        heard.push(buffer.slice(0, read));
        if (heard.length > 1) continue;
        await sendTo(conn, words);
        if (ends) await conn.closeWrite();
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    return concat(heard);
  })();
  said.catch(() => {});
  return { port: listener.addr.port, said, [Symbol.dispose]: () => listener.close() };
}

/** A TLS server of node:tls in the place of a server of ours. */
export interface TlsStranger extends AsyncDisposable {
  readonly port: number;
  /** What it has read within TLS, once all its clients are gone. */
  said(): Promise<string>;
}

/**
 * Listens with any certificate.
 *
 * @param answer What it answers to each piece that it reads.
 */
export async function tlsStranger(
  options: TlsOptions,
  answer: (said: string) => string = () => "",
): Promise<TlsStranger> {
  let said = "";
  const gone: Promise<void>[] = [];
  const server = createServer(options, (socket) => {
    socket.on("data", (chunk) => {
      said += chunk;
      socket.write(answer(String(chunk)));
    });
    socket.on("error", () => {});
  });
  server.on("connection", (socket: Socket) => {
    gone.push(new Promise((resolve) => socket.once("close", () => resolve())));
  });
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    said: async () => {
      await Promise.all(gone);
      assert(gone.length > 0, "nobody has come");
      return said;
    },
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** One record of TLS in what has passed. */
export interface TlsRecord {
  /** 20 means nothing, 21 is an alert, 22 of the handshake, 23 encrypted. */
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

/** The whole records at the beginning of bytes. */
export function recordsIn(bytes: Uint8Array): TlsRecord[] {
  const records: TlsRecord[] = [];
  for (let start = 0; start + 5 <= bytes.length;) {
    const end = start + 5 + (bytes[start + 3]! << 8 | bytes[start + 4]!);
    if (end > bytes.length) break;
    records.push({ type: bytes[start]!, start, end });
    start = end;
  }
  return records;
}

/**
 * Listens in front of a server for one client, and passes on so many records of one direction. Then it
 * ends both connections in order, as nobody does who speaks TLS.
 */
export function endingBehind(
  server: { port: number },
  direction: "up" | "down",
  records: number,
): Proxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const passing = (async () => {
    using client = await listener.accept();
    using upstream = await dial(server);
    let isOver = false;
    const end = async (conn: Deno.TcpConn): Promise<void> =>
      await conn.closeWrite().catch(() => {});
    const pump = async (from: Deno.TcpConn, to: Deno.TcpConn, most: number): Promise<void> => {
      let held = new Uint8Array(0);
      const buffer = new Uint8Array(65_536);
      for (let read; (read = await from.read(buffer).catch(() => null)) !== null;) {
        if (isOver) continue;
        held = concat([held, buffer.subarray(0, read)]);
        const whole = recordsIn(held).slice(0, most);
        const passed = most === Infinity ? held.length : whole.at(-1)?.end ?? 0;
        await sendTo(to, held.subarray(0, passed)).catch(() => {});
        held = held.slice(passed);
        most -= whole.length;
        if (most > 0) continue;
        isOver = true;
        await Promise.all([end(from), end(to)]);
      }
      if (!isOver) await end(to);
    };
    const limit = (way: "up" | "down"): number => way === direction ? records : Infinity;
    await Promise.all([
      pump(client, upstream, limit("up")),
      pump(upstream, client, limit("down")),
    ]);
  })();
  return {
    hostname: "127.0.0.1",
    port: listener.addr.port,
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      await passing;
    },
  };
}
