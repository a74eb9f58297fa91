/**
 * The offers of clients that want to meet another one, and the tries of those: PROTOCOL.md, section 12,
 * tells what they say. It is all in memory, and a client that offers makes it anew after a restart.
 *
 * An offer is attached (a connection of its client waits), away (none does), or over. A try is asked,
 * knocked (told to a connection that waits), or joined: from then on both connections are a pipe. A
 * connection that waits is used up by the first try that it is told of.
 *
 * @module
 */

import { formatPlate, MAX_OFFER_SECONDS, type MeetingRequest, type Plate } from "../../protocol.ts";
import { hostOf } from "../address.ts";
import { InletError } from "../errors.ts";
import type { Connection } from "../net/connection.ts";
import { Relay } from "./relay.ts";

/** Most offers at once. */
const MOST_OFFERS = 1000;

/** Offers of one host from which on its oldest one that is away makes room. */
const MOST_OF_HOST = 100;

/** Most tries of one offer that are open at once, pipes included. */
const MOST_TRIES = 4;

/** The refusal of a plate that no offer has, or has any more. */
export function noOffer(): InletError {
  return new InletError(
    "denied",
    "Cannot accept: no offer has this code; it is mistyped, over, or taken",
  );
}

/** Why a try has to come again. */
function again(why: string): InletError {
  return new InletError("wait", `Cannot accept at the moment: ${why}`);
}

/** The offers of a server. */
export class Meetings {
  /** By plate; one that was attached later stands behind. */
  readonly #offers = new Map<string, Offer>();

  /** Number of offers that are not over. */
  get offers(): number {
    this.#prune();
    return this.#offers.size;
  }

  /**
   * Makes an offer, or attaches a connection to one.
   *
   * @throws {InletError} `overloaded`
   */
  attach(request: MeetingRequest & { type: "offer" }, connection: Connection): Waiter {
    const { salt, seconds } = request;
    this.#prune();
    const plate = this.#numbered(request.plate);
    const key = formatPlate(plate);
    const host = hostOf(connection.remote);
    const known = this.#offers.get(key);
    if (!known) this.#makeRoomFor(host);
    const offer = known ?? new Offer(plate, () => this.#offers.delete(key));
    this.#offers.delete(key);
    this.#offers.set(key, offer);
    offer.renew({ salt, seconds, host });
    return offer.attach(connection);
  }

  /** The offer with a plate, if there is one that is not over. */
  find(plate: Plate): Offer | undefined {
    this.#prune();
    return this.#offers.get(formatPlate(plate));
  }

  /** A number that no offer of this word has. There are more of them than offers. */
  #numbered({ number, word }: Plate): Required<Plate> {
    if (number !== undefined) return { number, word };
    const [random] = crypto.getRandomValues(new Uint32Array(1));
    for (let next = random!;; next++) {
      const plate = { number: String(next % 10_000).padStart(4, "0"), word };
      if (!this.#offers.has(formatPlate(plate))) return plate;
    }
  }

  #makeRoomFor(host: string): void {
    const ofHost = [...this.#offers.values()].filter((offer) => offer.host === host);
    if (ofHost.length >= MOST_OF_HOST) endOldest(ofHost);
    if (this.#offers.size < MOST_OFFERS || endOldest(this.#offers.values())) return;
    const why = `this server has ${MOST_OFFERS} offers already`;
    throw new InletError("overloaded", `Cannot offer: ${why}`);
  }

  #prune(): void {
    for (const offer of this.#offers.values()) {
      if (offer.leftMs <= 0) offer.end();
    }
  }
}

/** Ends the oldest offer whose client is away: it can make it anew. Returns whether there is one. */
function endOldest(offers: Iterable<Offer>): boolean {
  for (const offer of offers) {
    if (!offer.isAway) continue;
    offer.end(again("too many others came, and the one who offers is away"));
    return true;
  }
  return false;
}

/** What one client offers. */
export class Offer {
  /** What it is found by. */
  readonly plate: Required<Plate>;
  readonly #remove: () => void;
  #salt = "";
  #host = "";
  #endsAt = 0;
  #isOver = false;
  #waiter: Waiter | undefined;
  readonly #tries = new Set<Try>();
  /** The tries that no connection was told of, the oldest first. */
  readonly #asked: Try[] = [];

  constructor(plate: Required<Plate>, remove: () => void) {
    this.plate = plate;
    this.#remove = remove;
  }

  /** The salt that its client has drawn last. */
  get salt(): string {
    return this.#salt;
  }

  /** The host that its client came from last. */
  get host(): string {
    return this.#host;
  }

  /** Milliseconds until its end. */
  get leftMs(): number {
    return this.#endsAt - performance.now();
  }

  /** Whether no connection of its client waits. */
  get isAway(): boolean {
    return this.#waiter === undefined;
  }

  /** The connection that was told of a try, and of which no `join` was read. */
  get joining(): readonly Connection[] {
    return this.#waiter?.tried ? [this.#waiter.connection] : [];
  }

  /** Takes over what its client says of it. A client with another salt is another run of it. */
  renew({ salt, seconds, host }: { salt: string; seconds: number; host: string }): void {
    this.#host = host;
    if (salt === this.#salt) return;
    this.#endsAt = performance.now() + Math.min(seconds, MAX_OFFER_SECONDS) * 1000;
    this.#salt = salt;
    this.#refuse(again("the one who offers has begun anew"));
  }

  /** Attaches a connection, which takes the place of an earlier one. */
  attach(connection: Connection): Waiter {
    const before = this.#waiter;
    const waiter = new Waiter(this, connection, () => this.#release(waiter));
    this.#waiter = waiter;
    const why = "Another connection has taken the place of this one";
    before?.connection.abort(new InletError("aborted", why));
    this.#callNext();
    return waiter;
  }

  /**
   * Asks for the client that offers.
   *
   * @param salt What the asking client was told.
   * @throws {InletError} `denied` or `wait`
   */
  ask(connection: Connection, salt: string): Try {
    if (this.#isOver || this.leftMs <= 0) throw noOffer();
    if (salt !== this.#salt) throw again("the one who offers has begun anew");
    if (this.#tries.size >= MOST_TRIES) throw again("too many others try to");
    const made = new Try(connection, () => this.#forget(made));
    this.#tries.add(made);
    this.#asked.push(made);
    this.#callNext();
    return made;
  }

  /** Ends the offer. What was joined goes on. */
  end(reason: InletError = noOffer()): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#remove();
    this.#refuse(reason);
    this.#waiter?.connection.abort(
      new InletError("denied", "The offer is over: nobody came for it"),
    );
  }

  /** Ends all tries that were not joined. */
  #refuse(reason: InletError): void {
    for (const one of this.#tries) {
      if (one.state === "joined") continue;
      this.#forget(one);
      one.connection.abort(reason);
    }
  }

  /** Tells the connection that waits of the oldest try that waits. */
  #callNext(): void {
    const waiter = this.#waiter;
    if (!waiter || waiter.tried) return;
    const next = this.#asked.shift();
    if (next) waiter.call(next);
  }

  /** A connection waits no more: a try that it was told of and has not joined goes to the next one. */
  #release(waiter: Waiter): void {
    if (this.#waiter === waiter) this.#waiter = undefined;
    const { tried } = waiter;
    if (tried?.state !== "knocked" || !this.#tries.has(tried)) return;
    tried.state = "asked";
    this.#asked.unshift(tried);
    this.#callNext();
  }

  /** A client that asks has left, or its pipe has ended. */
  #forget(one: Try): void {
    if (!this.#tries.delete(one)) return;
    const at = this.#asked.indexOf(one);
    if (at >= 0) this.#asked.splice(at, 1);
    // It can take nothing else: the bytes of the one who left are on their way to it.
    if (one.state === "knocked") one.waiter?.connection.abort(left());
    if (one.state === "joined") one.relay?.breakUnlessMet();
  }
}

function left(): InletError {
  return new InletError("lost", "The client that came for the offer has left");
}

/** A connection of a client that offers, while it waits. Dispose of it when it does not any more. */
export class Waiter implements Disposable {
  /** What it waits with. */
  readonly offer: Offer;
  /** The connection. */
  readonly connection: Connection;
  /** The try that it was told of. */
  tried: Try | undefined;
  readonly #called = Promise.withResolvers<void>();
  readonly #release: () => void;

  constructor(offer: Offer, connection: Connection, release: () => void) {
    this.offer = offer;
    this.connection = connection;
    this.#release = release;
  }

  /** Settles when there is a try to tell it of. */
  get called(): Promise<void> {
    return this.#called.promise;
  }

  /** Tells it of a try. */
  call(one: Try): void {
    one.state = "knocked";
    one.waiter = this;
    this.tried = one;
    this.#called.resolve();
  }

  /** Makes a pipe of the try that it was told of, and waits no more. */
  join(): Meeting {
    const one = this.tried!;
    const meeting = new Meeting(this.connection, one.connection);
    one.join(meeting);
    this.#release();
    return meeting;
  }

  [Symbol.dispose](): void {
    this.#release();
  }
}

/** A client that asks for an offer. Dispose of it when it has left. */
export class Try implements Disposable {
  /** Its connection. */
  readonly connection: Connection;
  /** The number by which the client that offers is told of it. */
  readonly id: number = ++tries;
  /** How far it is. */
  state: "asked" | "knocked" | "joined" = "asked";
  /** The connection that was told of it last. */
  waiter: Waiter | undefined;
  /** Its pipe, once it is joined. */
  relay: Meeting | undefined;
  /** Bytes of its own that the client that offers was told with it. */
  told = 0;
  readonly #joined = Promise.withResolvers<Meeting>();
  readonly #forget: () => void;

  constructor(connection: Connection, forget: () => void) {
    this.connection = connection;
    this.#forget = forget;
  }

  /** Settles when it is joined. */
  get joined(): Promise<Meeting> {
    return this.#joined.promise;
  }

  /** Records that the client that offers has joined it. */
  join(meeting: Meeting): void {
    this.state = "joined";
    this.relay = meeting;
    this.#joined.resolve(meeting);
  }

  [Symbol.dispose](): void {
    this.#forget();
  }
}

let tries = 0;

/** The pipe of a try. */
export class Meeting extends Relay {
  readonly #met = Promise.withResolvers<void>();
  #isMet = false;

  /** Settles when the client that asked knows, so that nothing else is written to it any more. */
  get met(): Promise<void> {
    return this.#met.promise;
  }

  /** Records that it knows. */
  meet(): void {
    this.#isMet = true;
    this.#met.resolve();
  }

  /** Ends the pipe if the client that asked has left before it knew. */
  breakUnlessMet(): void {
    if (!this.#isMet) this.break();
  }
}
