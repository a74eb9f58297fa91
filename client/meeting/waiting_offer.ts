/**
 * The offering client at the server: it waits until somebody comes with the plate, takes the pipe to
 * them, and waits on by a fresh connection. Who proves on a pipe that the words are known to them gets
 * the offer.
 *
 * @module
 */

import {
  encodeRequest,
  encodeWaiting,
  formatPlate,
  parseOffered,
  type Plate,
} from "../../protocol.ts";
import type { CodeSecret } from "../../lib/auth/code_secret.ts";
import { encodeError, exitCode, explain, InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { ConnectionStream } from "../../lib/net/connection_stream.ts";
import { formatCount } from "../../lib/text.ts";
import { waitFor } from "../../lib/turns.ts";
import type { FilesClient } from "../../modes/files/client.ts";
import { unexpected } from "../../modes/files/requester.ts";
import type { Dialer } from "../dialer.ts";
import { type Standing, standingOf } from "./reach.ts";
import { openToProof, type Proved, type TunnelOptions } from "./tunnel.ts";

/** Handshakes without a proof that end an offer. */
const MOST_FAILURES = 10;

/** Bytes of a TLS alert (RFC 8446, section 6). Whoever was answered with more has seen the public key. */
const ALERT_BYTES = 7;

/** Milliseconds between two attempts to reach a server that was reached before. */
const RETRY_MS = 1000;

/** Most milliseconds until the server knows of the end, where no connection of the offer waits there. */
const WITHDRAWAL_MS = 2000;

/** Milliseconds of silence after which a server that is waited at counts as lost: it ticks. */
export const SILENT_MS = 25_000;

/** Who has come, and how this side has reached the server for it. */
export interface Comer extends Proved {
  readonly standing: Standing;
}

/** Options of an {@linkcode WaitingOffer}. */
export interface WaitingOfferOptions {
  /** Makes what reaches the server, until the signal is aborted. */
  reach(signal: AbortSignal): Dialer;
  /** The word to meet by, and the number if the offer was made before. */
  readonly plate: Plate;
  /** 16 bytes. */
  readonly salt: Uint8Array;
  readonly secret: Promise<CodeSecret>;
  /** Seconds that the offer lasts. */
  readonly seconds: number;
  readonly tunnel: TunnelOptions;
  /** Ends the offer, with its reason. */
  readonly signal: AbortSignal;
  onNotice(text: string): void;
}

/** An offer that waits at the server. Dispose of it to withdraw it. */
export class WaitingOffer implements AsyncDisposable {
  readonly #options: WaitingOfferOptions;
  readonly #dialer: Dialer;
  readonly #stop = new AbortController();
  readonly #opened = Promise.withResolvers<string>();
  /** Set once the server has the offer: nobody can come for it before. */
  #endsAt: number | undefined;
  /** Whether the server was told that it is over. */
  #isWithdrawn = false;
  readonly #attending: Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #plate: Plate;
  #over: InletError | undefined;
  /** The connection that waits. */
  #waiting: Connection | undefined;
  #failures = 0;
  /** Who gets the offer: whoever proves it first, for as long as that is not lost unwelcomed. */
  #holder: { readonly id: string; isWelcome: boolean } | undefined;
  #current: Comer | undefined;
  #next: Comer | undefined;
  #wake: () => void = () => {};
  readonly #onAbort = (): void => this.#end(explain(this.#options.signal.reason));

  constructor(options: WaitingOfferOptions) {
    this.#options = options;
    this.#plate = options.plate;
    this.#dialer = options.reach(this.#stop.signal);
    this.#opened.promise.catch(() => {});
    options.signal.addEventListener("abort", this.#onAbort);
    this.#attending = this.#attend();
  }

  /** The plate: `4713-mango`. Rejects if the server does not take the offer. */
  get opened(): Promise<string> {
    return this.#opened.promise;
  }

  /**
   * The next tunnel whose other end has proved that it knows the words.
   *
   * @throws {InletError} why the offer is over
   */
  async next(): Promise<Comer> {
    for (;;) {
      if (this.#over) throw this.#over;
      if (this.#next) {
        this.#current = this.#next;
        this.#next = undefined;
        return this.#current;
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Notes that the receiver has agreed: from now on nobody else gets the offer. */
  welcomed(proved: Proved): void {
    if (this.#current === proved) this.#holder!.isWelcome = true;
  }

  /** Notes that a tunnel was lost. */
  lost(proved: Proved): void {
    if (this.#current !== proved) return;
    this.#current = undefined;
    if (!this.#holder!.isWelcome && !this.#next) this.#holder = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(over("it was withdrawn"));
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    if (this.#waiting) await this.#withdraw(this.#waiting);
    else if (this.#isOpen) await waitFor(this.#attending, WITHDRAWAL_MS);
    this.#stop.abort(this.#over);
  }

  #end(reason: InletError): void {
    if (this.#over) return;
    this.#over = reason;
    clearTimeout(this.#timer);
    this.#opened.reject(reason);
    this.#wake();
  }

  /** Whether the server has had it. */
  get #isOpen(): boolean {
    return this.#endsAt !== undefined;
  }

  /** Seconds that are left of it. */
  get #seconds(): number {
    if (this.#endsAt === undefined) return this.#options.seconds;
    return Math.max(1, Math.ceil((this.#endsAt - performance.now()) / 1000));
  }

  #limit(ms: number): void {
    this.#endsAt = performance.now() + ms;
    this.#timer = setTimeout(() => this.#end(over("nobody has come in time")), ms);
  }

  /** Waits for one after the other. What the server has is withdrawn in the end. */
  async #attend(): Promise<void> {
    let isTold = false;
    while (!this.#over || this.#isOpen && !this.#isWithdrawn) {
      try {
        await this.#waitOnce();
        isTold = false;
      } catch (error) {
        const failure = explain(error);
        if (this.#over) return;
        if (!this.#isOpen || !isPassing(failure)) return this.#end(failure);
        if (!isTold) this.#options.onNotice(`${failure.message}; trying to reach the server again`);
        isTold = true;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /** Waits until somebody comes. */
  async #waitOnce(): Promise<void> {
    const { salt } = this.#options;
    using guard = new DisposableStack();
    const connection = guard.use(await this.#dialer.open());
    const client = await this.#dialer.approach(connection);
    const [, , requester] = client.parts;
    const seconds = this.#seconds;
    await requester.writeAhead(
      encodeRequest({ type: "offer", plate: this.#plate, salt: salt.toHex(), seconds }),
    );
    await client.welcomed;
    const reply = await requester.reply();
    if (reply.type !== "ok") throw unexpected(reply);
    const { plate, address } = parseOffered(reply.detail);
    this.#plate = plate;
    this.#opened.resolve(formatPlate(plate));
    if (this.#over) return await this.#withdraw(connection);
    if (this.#endsAt === undefined) this.#limit(1000 * seconds);
    this.#waiting = connection;
    let id: number;
    try {
      id = await this.#knock(connection, client);
      // A fresh connection would take the place of this one before it has joined.
      await this.#options.secret;
    } finally {
      this.#waiting = undefined;
    }
    guard.move();
    // Not waited for: others can come meanwhile.
    this.#take(connection, id, standingOf(connection, address));
  }

  async #withdraw(connection: Connection): Promise<void> {
    this.#isWithdrawn = true;
    await connection.write(encodeWaiting({ type: "withdraw" })).catch(() => {});
    await connection.finish();
  }

  /** Waits for somebody, and answers the server's ticks. Returns the number of the try. */
  async #knock(connection: Connection, client: FilesClient): Promise<number> {
    const [, , requester] = client.parts;
    connection.awaitingReply = true;
    for (;;) {
      const reply = await requester.reply();
      if (reply.type === "knock") return reply.id;
      if (reply.type !== "tick") throw unexpected(reply);
      await connection.write(encodeWaiting({ type: "tick" }));
    }
  }

  /** Takes the pipe to somebody, and gives them the offer if they know the words. */
  async #take(pipe: Connection, id: number, standing: Standing): Promise<void> {
    const join = encodeWaiting({ type: "join", id });
    const unseen = pipe.traffic.out + join.length + ALERT_BYTES;
    try {
      const secret = await this.#options.secret;
      pipe.awaitingReply = false;
      await pipe.write(join);
      const proved = await openToProof(new ConnectionStream(pipe), secret, this.#options.tunnel);
      await this.#claim({ ...proved, standing });
    } catch {
      pipe[Symbol.dispose]();
      if (pipe.traffic.out > unseen) this.#failed();
    }
  }

  async #claim(proved: Comer): Promise<void> {
    const { connection, id } = proved;
    if (this.#over || (this.#holder && this.#holder.id !== id)) {
      const taken = new InletError("denied", "The offer is taken: somebody else has this code too");
      await connection.write(encodeError(this.#over ?? taken)).catch(() => {});
      return connection[Symbol.dispose]();
    }
    this.#holder ??= { id, isWelcome: false };
    const again = new InletError("lost", "The receiver has come again");
    this.#current?.connection.abort(again);
    this.#next?.connection.abort(again);
    this.#next = proved;
    this.#wake();
  }

  #failed(): void {
    if (this.#over || this.#holder) return;
    const count = ++this.#failures;
    const said = "Somebody came with other words, or stands in between";
    if (count < MOST_FAILURES) {
      return this.#options.onNotice(`${said} (${count} of ${MOST_FAILURES})`);
    }
    this.#end(over(`${formatCount(count)} times somebody came with other words; offer it again`));
  }
}

function over(why: string): InletError {
  return new InletError("denied", `The offer is over: ${why}`);
}

/** Whether it may go better the next time at a server that was reached before. */
export function isPassing(failure: InletError): boolean {
  return ["busy", "wait", "overloaded"].includes(failure.code) || exitCode(failure) === 4;
}
