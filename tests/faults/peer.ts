/**
 * A client that breaks off, in each of the ways in which a connection can.
 *
 * On sockets of node:net, because Deno's own cannot be reset at will.
 *
 * @module
 */

import { connect, type Socket } from "node:net";

/** How a connection is cut: by an end, by a reset, or by saying nothing more. */
export type Way = "end" | "reset" | "silence";

/** All of them. */
export const WAYS: readonly Way[] = ["end", "reset", "silence"];

/** One plain connection of a client's. */
export class Peer {
  readonly #socket: Socket;
  readonly #closed = Promise.withResolvers<void>();
  #waiting: (() => void) | undefined;
  #isClosed = false;
  #answers = "";

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Uint8Array) => {
      this.#answers += latin1.decode(chunk);
      this.#waiting?.();
    });
    // Whatever happened to it, it is closed after that.
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#isClosed = true;
      this.#waiting?.();
      this.#closed.resolve();
    });
  }

  /** Connects to a server. */
  static dial({ port }: { port: number }): Promise<Peer> {
    const { promise, resolve, reject } = Promise.withResolvers<Peer>();
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    socket.once("error", reject);
    socket.once("connect", () => resolve(new Peer(socket)));
    return promise;
  }

  /** All that the server has said so far, a character a byte. */
  get answers(): string {
    return this.#answers;
  }

  /** Hands bytes to the system. */
  async write(content: Uint8Array): Promise<void> {
    if (content.length === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.write(content, () => resolve());
    await promise;
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
    if (way === "end") this.#socket.end();
    if (way === "reset") this.#socket.resetAndDestroy();
    await this.#closed.promise;
  }
}

const latin1 = new TextDecoder("latin1");
