/**
 * A TCP balancer in front of several servers: each connection goes to one of them, picked at random.
 * It looks at nothing that it carries, and learns of a dead server only by asking it. Some connections it
 * resets in the place of an answer: what their client has sent is stored, and the client not told so.
 *
 * On sockets of node:net, because Deno's own cannot be reset at will.
 *
 * @module
 */

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Dice } from "./content.ts";

/** Bytes from which on a connection counts as one that carries a file. */
const MOVING_BYTES = 256 * 1024;

/** Of a hundred connections, those that are reset, and in the place of which answer at most. */
const RESET_PERCENT = 10;
const MOST_ANSWERS = 10;

/** A balancer for one client. It stops when it goes out of scope. */
export class Balancer implements Disposable {
  /** Where the client connects to. */
  readonly port: number;
  /** Milliseconds from each time that a file broke off until bytes of it went to another server. */
  readonly pauses: number[] = [];
  /** The port of the server that the client is at, or was last. */
  server: number | undefined;
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  #brokeAt: number | undefined;

  private constructor(listener: Server, servers: () => readonly number[], dice: Dice) {
    this.#listener = listener;
    this.port = (listener.address() as AddressInfo).port;
    listener.on("connection", (client: Socket) => this.#pass(client, servers(), dice));
  }

  /** Listens. @param servers Gives the ports of all servers, also of those that have just died. */
  static async start(servers: () => readonly number[], dice: Dice): Promise<Balancer> {
    const listener = createServer({ noDelay: true, pauseOnConnect: true });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    return new Balancer(listener, servers, dice);
  }

  /** Whether a file broke off, and has not gone on yet. */
  get isBroken(): boolean {
    return this.#brokeAt !== undefined;
  }

  /** Forgets a file that broke off: it has come to its end. */
  settled(): void {
    this.#brokeAt = undefined;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Carries a connection to one of these servers, or resets it if none is there. */
  #pass(client: Socket, servers: readonly number[], dice: Dice): void {
    this.#sockets.add(client);
    client.on("error", () => {}).on("close", () => this.#sockets.delete(client));
    if (servers.length === 0) return void client.resetAndDestroy();
    const port = dice.of(servers);
    const others = servers.filter((other) => other !== port);
    const upstream = connect({ host: "127.0.0.1", port, noDelay: true });
    const tryAnother = (): void => this.#pass(client, others, dice);
    upstream.once("error", tryAnother);
    upstream.once("connect", () => {
      upstream.off("error", tryAnother);
      this.server = port;
      const isWhole = dice.below(100) >= RESET_PERCENT;
      this.#carry(client, upstream, isWhole ? Infinity : dice.below(MOST_ANSWERS));
    });
  }

  /** @param answers How many pieces of what the server says are passed on. */
  #carry(client: Socket, upstream: Socket, answers: number): void {
    this.#sockets.add(upstream);
    let carried = 0;
    let hasLeft = false;
    client.on("data", (chunk) => {
      carried += chunk.length;
      if (carried < MOVING_BYTES || this.#brokeAt === undefined) return;
      this.pauses.push(performance.now() - this.#brokeAt);
      this.#brokeAt = undefined;
    });
    client.on("close", () => {
      hasLeft = true;
      upstream.destroy();
    });
    upstream.on("error", () => {}).on("close", () => {
      this.#sockets.delete(upstream);
      if (hasLeft) return;
      if (carried >= MOVING_BYTES) this.#brokeAt = performance.now();
      // What it has said last is passed on before.
      client.end();
    });
    client.pipe(upstream);
    upstream.on("data", (chunk) => {
      if (answers-- <= 0) return void client.resetAndDestroy();
      if (!client.write(chunk)) upstream.pause();
    });
    client.on("drain", () => upstream.resume());
  }
}
