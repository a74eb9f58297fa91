/**
 * The rest of a connection as a stream of bytes, once its lines are over: for what is spoken inside of
 * it.
 *
 * @module
 */

import type { ByteStream } from "./byte_stream.ts";
import type { Connection } from "./connection.ts";

const NOTHING = new Uint8Array(0);

/** A connection as a stream of bytes, beginning with those that it has read ahead. */
export class ConnectionStream implements ByteStream {
  readonly remote: string;
  readonly #connection: Connection;
  readonly #ready: Promise<void>;

  /** @param ready Settles once the peer's lines are over. Writing does not wait for it. */
  constructor(connection: Connection, ready: Promise<void> = Promise.resolve()) {
    this.#connection = connection;
    this.#ready = ready;
    ready.catch(() => {});
    this.remote = connection.remote;
  }

  async read(into: Uint8Array): Promise<number | null> {
    await this.#ready;
    return await this.#connection.readInto(into);
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#connection.write(bytes);
    return bytes.length;
  }

  async touch(): Promise<void> {
    await this.#connection.write(NOTHING);
  }

  async closeWrite(): Promise<void> {
    await this.#connection.closeWrite();
  }

  close(): void {
    this.#connection[Symbol.dispose]();
  }

  reset(): void {
    this.close();
  }
}
