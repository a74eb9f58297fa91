/**
 * A client that breaks off, in each of the ways in which a connection can.
 *
 * On sockets of node:net, because Deno's own cannot be reset at will.
 *
 * @module
 */

import type { Credential } from "../../lib/auth/credential.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";
import { dialResettable } from "../../lib/net/node_stream.ts";
import { connectTls } from "../../lib/net/tls_connect.ts";
import type { Reachable } from "../helpers.ts";
import { credentialFor } from "./trial.ts";

/** How a connection is cut: by an end, by a reset, or by saying nothing more. */
export type Way = "end" | "reset" | "silence";

/** All of them. */
export const WAYS: readonly Way[] = ["end", "reset", "silence"];

/** One connection of a client's, encrypted where the server has a key. */
export class Peer {
  /** What it knows of a server with a key. */
  readonly credential: Credential | undefined;
  readonly #stream: ByteStream;
  readonly #closed: Promise<void>;
  #waiting: (() => void) | undefined;
  #isClosed = false;
  #answers = "";

  constructor(stream: ByteStream, credential: Credential | undefined) {
    this.#stream = stream;
    this.credential = credential;
    this.#closed = this.#read();
  }

  /** Connects to a server. */
  static async dial(server: Reachable): Promise<Peer> {
    const credential = await credentialFor(server);
    const address = { hostname: "127.0.0.1", port: server.port };
    const stream = await dialResettable(address, new AbortController().signal);
    try {
      return new Peer(
        credential ? await connectTls(stream, credential.server) : stream,
        credential,
      );
    } catch (error) {
      stream.close();
      throw error;
    }
  }

  /** All that the server has said so far, a character a byte. */
  get answers(): string {
    return this.#answers;
  }

  /** Hands bytes to the system. */
  async write(content: Uint8Array): Promise<void> {
    if (content.length === 0) return;
    // Where the other side has closed already, what it has said tells why.
    await this.#stream.write(content).catch(() => {});
  }

  /**
   * Waits until the answers so far match.
   *
   * @returns Whether they do; `false` if the server says no, or closes, before.
   */
  async answered(pattern: RegExp): Promise<boolean> {
    while (!pattern.test(this.#answers)) {
      if (this.#isClosed || /^error /m.test(this.#answers)) return false;
      await new Promise<void>((resolve) => this.#waiting = resolve);
    }
    return true;
  }

  /** Cuts the connection, and waits until it is over: after a silence until the server ends it. */
  async cut(way: Way): Promise<void> {
    if (way === "end") this.#stream.closeWrite().catch(() => {});
    if (way === "reset") this.#stream.reset();
    await this.#closed;
  }

  /** Reads until it is over, in whatever way. */
  async #read(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let read; (read = await this.#stream.read(buffer)) !== null;) {
        this.#answers += latin1.decode(buffer.subarray(0, read));
        this.#waiting?.();
      }
    } catch {
      // It was cut.
    }
    this.#stream.close();
    this.#isClosed = true;
    this.#waiting?.();
  }
}

const latin1 = new TextDecoder("latin1");
