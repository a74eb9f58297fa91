/**
 * Both ends of a plain TCP connection in a test's own hands: a stranger that talks to our server by
 * the line, as with netcat, and a stranger's server that our client talks to.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { dial, sendTo } from "./helpers.ts";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** One plain connection. It closes when it goes out of scope. */
export class Wire implements Disposable {
  readonly #conn: Deno.TcpConn;
  #buffered: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #closed = false;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Connects to a server. */
  static async dial(server: { port: number }): Promise<Wire> {
    return new Wire(await dial(server));
  }

  /** Connects to a server of ours and greets it. */
  static async greet(server: { port: number }): Promise<Wire> {
    const wire = await Wire.dial(server);
    await wire.says("hello 1 test\n");
    await wire.line();
    return wire;
  }

  /** The same under a name, as a client that attends. */
  static async attend(server: { port: number }, name: string): Promise<Wire> {
    const wire = await Wire.dial(server);
    await wire.says(`hello 1 ${name}\nattend\n`);
    assertMatch(await wire.line(), /^welcome/);
    assertEquals(await wire.line(), "ok");
    return wire;
  }

  /** Writes text or bytes, all of it. */
  async says(content: string | Uint8Array): Promise<void> {
    await sendTo(this.#conn, content);
  }

  /** Writes text one byte at a time, each in a segment of its own. */
  async saysSlowly(content: string): Promise<void> {
    this.#conn.setNoDelay();
    for (const byte of new TextEncoder().encode(content)) await this.says(Uint8Array.of(byte));
  }

  /**
   * The next line without its end; what is left at the end of the stream, empty at the last. Notes of
   * a server that it works are left out: on a busy machine they can stand ahead of any answer.
   */
  async line(): Promise<string> {
    for (;;) {
      const line = await this.anyLine();
      if (!line.startsWith("note Please wait: ")) return line;
    }
  }

  /** The same with all notes. */
  async anyLine(): Promise<string> {
    let end: number;
    while ((end = this.#buffered.indexOf(0x0a)) < 0) {
      if (!await this.#more()) return decoder.decode(this.#take(this.#buffered.length));
    }
    return decoder.decode(this.#take(end + 1)).slice(0, -1);
  }

  /** Exactly so many bytes, or fewer at the end of the stream. */
  async bytes(count: number): Promise<Uint8Array> {
    while (this.#buffered.length < count && await this.#more());
    return this.#take(Math.min(count, this.#buffered.length));
  }

  /** What arrives next, all of it; empty at the end. */
  async some(): Promise<Uint8Array> {
    if (this.#buffered.length === 0) await this.#more();
    return this.#take(this.#buffered.length);
  }

  /**
   * What arrives at once, until it adds up to a text.
   *
   * @param answer Called when all but the last arrival is there.
   */
  async arrivals(text: string, answer: () => Promise<void>): Promise<string[]> {
    const arrived: string[] = [];
    while (arrived.join("").length < text.length) {
      if (arrived.join("").length === text.length - 1) await answer();
      if (!await this.#more()) break;
      arrived.push(decoder.decode(this.#take(this.#buffered.length)));
    }
    return arrived;
  }

  /** Reads past so many bytes. */
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0;) {
      const skipped = await this.bytes(Math.min(left, 64 * 1024));
      if (skipped.length === 0) throw new Error(`the stream ended ${left} bytes too early`);
      left -= skipped.length;
    }
  }

  /** All that comes until the other side closes, in whatever way it closes. */
  async rest(): Promise<string> {
    while (await this.#more());
    return decoder.decode(this.#take(this.#buffered.length));
  }

  /** Says that nothing more comes, and reads on. */
  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /** Closes. With something unread, the other side sees a reset. */
  close(): void {
    if (!this.#closed) this.#conn.close();
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #take(count: number): Uint8Array {
    const taken = this.#buffered.subarray(0, count);
    this.#buffered = this.#buffered.slice(count);
    return taken;
  }

  async #more(): Promise<boolean> {
    const chunk = new Uint8Array(64 * 1024);
    const read = await this.#conn.read(chunk).catch((error) => {
      if (error instanceof Deno.errors.ConnectionReset) return null;
      throw error;
    });
    if (read === null) return false;
    this.#buffered = concat([this.#buffered, chunk.subarray(0, read)]);
    return true;
  }
}

/** A listening socket in the place of a server. */
export interface Impostor extends Disposable {
  readonly port: number;
  /** The next client. */
  accept(): Promise<Wire>;
  /** The same as a bare connection. */
  acceptConn(): Promise<Deno.TcpConn>;
}

/** Listens as a server would, and says only what the test says. */
export function impostor(): Impostor {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return {
    port: listener.addr.port,
    accept: async () => new Wire(await listener.accept()),
    acceptConn: () => listener.accept(),
    [Symbol.dispose]: () => listener.close(),
  };
}

/** The server's part of the native conversation up to the body of one put. */
export async function acceptPut(server: Impostor): Promise<Wire> {
  const wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  await wire.line();
  await wire.says("go 0\n");
  return wire;
}
