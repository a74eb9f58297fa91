/**
 * Connections of reverse proxies that are believed: whose client each one is has to be known before it
 * gets a place, so they wait for their first bytes without one.
 *
 * @module
 */

import type { ByteStream } from "../net/byte_stream.ts";
import { readProxyHeader } from "../net/proxy_header.ts";
import { Pause } from "./pause.ts";

/** Most connections that wait. Beyond it the oldest is closed. */
const MAX_WAITING = 1024;

/** Finds out whose connections they are. */
export class ProxyArrivals {
  readonly #pause: Pause;
  readonly #waiting = new Set<ByteStream>();
  #closed = false;

  /** @param waitMs Milliseconds that a connection may wait. */
  constructor(waitMs: number) {
    this.#pause = new Pause(waitMs, MAX_WAITING);
  }

  /**
   * Reads what a proxy says of its client, if it says something.
   *
   * @returns The stream of that client; `undefined` if it is closed, because nothing came, or because
   * it came after {@linkcode close}, as one does that is accepted in that moment
   * @throws {InletError} after closing it, if the header is malformed, or the stream fails
   */
  async identify(stream: ByteStream): Promise<ByteStream | undefined> {
    if (this.#closed) {
      stream.close();
      return undefined;
    }
    this.#waiting.add(stream);
    try {
      const known = await this.#pause.atMost(readProxyHeader(stream));
      if (!known) stream.close();
      return known;
    } catch (error) {
      stream.close();
      throw error;
    } finally {
      this.#waiting.delete(stream);
    }
  }

  /** Closes those that wait, and those that come later. */
  close(): void {
    this.#closed = true;
    this.#waiting.forEach((stream) => stream.close());
  }
}
