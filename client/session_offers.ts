/**
 * Files that the people of sessions offer each other: what is open, on its way, or to be answered.
 *
 * @module
 */

import { bold, dim } from "@std/fmt/colors";
import { errorLine } from "../lib/body/stderr.ts";
import { explain, InletError } from "../lib/errors.ts";
import { formatBytes, printable, quoted } from "../lib/text.ts";
import type { FilesClient } from "../modes/files/client.ts";
import type { Sending, Unasked } from "../protocol/people_lines.ts";
import type { Exchange, Offering, Pins } from "./exchange.ts";
import type { People } from "./people.ts";
import { nameIn } from "./session_words.ts";

/** Most offers of others that are open at once. Further ones are declined. */
const MOST_OPEN = 20;

/** What both sides of every offer are told once. */
const TRUST =
  "It goes encrypted from one to the other. The server, which introduces the two, could " +
  "stand between them; with a code (--offer) that is told another way it cannot";

/** An offer of somebody else. */
interface Open extends Sending {
  /** Its number in this session. */
  readonly id: number;
  readonly from: number;
  /** Whether a line was being typed when it was shown. */
  isUnseen: boolean;
  /** Stops it while it is received. */
  receiving?: AbortController;
}

/** An offer of this side. */
interface Own {
  readonly id: number;
  readonly to: number;
  readonly offering: Offering;
  readonly stop: AbortController;
  /** Settles once it was sent, or was not. */
  readonly done: PromiseWithResolvers<string>;
  isTaken: boolean;
  /** Whether the other side has ended it. */
  isRefused: boolean;
}

/** What the offers of a session need of it. */
export interface OffersOptions {
  readonly people: People;
  exchange(): Promise<Exchange>;
  /** Prints a line on stderr. */
  say(line: string): void;
  /** Whether a line is being typed. */
  isTyping(): boolean;
  /** Whose offers are taken without a person; missing where a person decides. */
  readonly script?: { readonly acceptFrom: string | undefined };
}

/** The offers of one session. */
export class Offers {
  readonly #options: OffersOptions;
  /** Those of others, by plate. */
  readonly #open = new Map<string, Open>();
  /** Those of this side, by plate. */
  readonly #own = new Map<string, Own>();
  /** What is to be done between two commands. */
  readonly #tasks: ((client: FilesClient) => Promise<void>)[] = [];
  #wake = Promise.withResolvers<"due">();
  #count = 0;
  #isTrustTold = false;
  /** The pins that were told, by name. */
  readonly #pins = new Map<string, string | undefined>();

  constructor(options: OffersOptions) {
    this.#options = options;
  }

  /** Whether a file is on its way to somebody. */
  get isSending(): boolean {
    return [...this.#own.values()].some(({ isTaken }) => isTaken);
  }

  /** Settles once there is something to do between two commands. */
  get due(): Promise<"due"> {
    return this.#wake.promise;
  }

  /** The numbers of the offers that can be accepted. */
  get numbers(): string[] {
    return [...this.#open.values()].map(({ id }) => String(id));
  }

  /** Stops what is on its way to others. */
  stop(): void {
    const reason = new InletError("interrupted", "Stopped");
    for (const { isTaken, stop } of this.#own.values()) if (isTaken) stop.abort(reason);
  }

  /** Withdraws all offers of this side. */
  end(): void {
    const reason = new InletError("interrupted", "The session is over");
    for (const { stop } of this.#own.values()) stop.abort(reason);
  }

  /** Notes that a line was entered: what was shown before it is known from now on. */
  entered(): void {
    for (const open of this.#open.values()) open.isUnseen = false;
  }

  /** Does what is due between two commands. */
  async work(client: FilesClient): Promise<void> {
    this.#wake = Promise.withResolvers();
    for (const task of this.#tasks.splice(0)) await task(client);
  }

  /** Waits for something, and does meanwhile what is due. */
  async until<T>(client: FilesClient, waiting: Promise<T>): Promise<T> {
    const over = waiting.then(() => "over" as const);
    over.catch(() => {});
    while (await client.rest(Promise.race([over, this.due])) === "due") await this.work(client);
    return await waiting;
  }

  /** Offers a file or folder: `NAME FILE`. A script waits until it was sent. */
  async send(client: FilesClient, typed: string, check: (path: string) => void): Promise<void> {
    const { people, script, say } = this.#options;
    const { number, name, rest } = await people.find(client, "send to", typed);
    const path = nameIn(rest);
    if (path === "") {
      const hint = `try: send ${name} report.pdf; put FILE sends to the server`;
      throw new InletError("usage", `Cannot send nothing; ${hint}`);
    }
    check(path);
    const stop = new AbortController();
    const offering = await this.until(client, this.#offer(path, stop));
    const id = ++this.#count;
    const done = Promise.withResolvers<string>();
    const own: Own = { id, to: number, offering, stop, done, isTaken: false, isRefused: false };
    done.promise.catch(() => {});
    offering.done.then(done.resolve, done.reject);
    this.#own.set(offering.plate, own);
    stop.signal.addEventListener("abort", () => done.reject(stop.signal.reason));
    const { plate, key, size } = offering;
    try {
      const request = { type: "send", to: number, plate, key, size, name: offering.name } as const;
      await people.reach(client, request, { what: `send to ${quoted(name)}`, name });
    } catch (error) {
      this.#own.delete(plate);
      stop.abort(error);
      throw error;
    }
    const what = printable(offering.name);
    const how = script ? "" : `; decline ${id} withdraws it`;
    say(`${what}: offered to ${printable(name)}${how}`);
    this.#tellTrust();
    const finished = done.promise.then(
      (sent) => say(`${what}: sent to ${printable(name)}, ${sent}`),
      (error) => this.#fell(own, error),
    ).finally(() => this.#own.delete(plate));
    if (script) return await this.until(client, finished);
    finished.catch((error) => say(errorLine(explain(error).message)));
  }

  /** Receives what somebody offers: by its number, or by the name of who offers it. */
  async accept(client: FilesClient, typed: string, signal: AbortSignal): Promise<void> {
    await this.#accept(client, this.#chosen(typed, "accept"), signal);
  }

  /** Declines what somebody offers, or withdraws an offer of this side. */
  async decline(client: FilesClient, typed: string): Promise<void> {
    const own = [...this.#own.values()].find(({ id }) => String(id) === typed.trim());
    if (own) return own.stop.abort(new InletError("interrupted", "Withdrawn"));
    const open = this.#chosen(typed, "decline");
    this.#open.delete(open.plate);
    await this.#declineTo(client, open.from, open.plate);
  }

  /** Takes a line that came unasked. */
  take(line: Unasked): void {
    switch (line.type) {
      case "offered":
        return this.#offered(line);
      case "taken":
        return this.#taken(line.from, line.plate, line.key);
      case "declined":
        return this.#declined(line.from, line.plate);
      case "gone":
        for (const plate of [...this.#open.keys(), ...this.#own.keys()]) {
          this.#declined(line.client, plate, true);
        }
    }
  }

  async #offer(path: string, { signal }: AbortController): Promise<Offering> {
    const { exchange, say } = this.#options;
    const onNotice = (text: string): void => say(dim(printable(text)));
    return await (await exchange()).offer(path, { signal, onNotice });
  }

  /** An offer of this side that came to nothing: the other side is told, unless it said so itself. */
  #fell(own: Own, error: unknown): never {
    const { plate, name } = own.offering;
    const { code, message } = explain(error);
    own.stop.abort(error);
    if (!own.isRefused) {
      this.#later((client) => this.#tellOver(client, own.to, plate));
    }
    throw new InletError(code, `Did not send ${quoted(name)}: ${message}`);
  }

  #offered(line: Extract<Unasked, { type: "offered" }>): void {
    const { people, script, say, isTyping } = this.#options;
    const { from, plate, key, size, name } = line;
    const refuse = (): void => this.#later((client) => this.#tellOver(client, from, plate));
    if (this.#open.has(plate)) return;
    const who = people.nameOf(from);
    const isTrusted = script?.acceptFrom !== undefined && who === script.acceptFrom;
    const what = `${printable(who)} offers ${printable(name)}, ` +
      (size === null ? "of unknown size" : formatBytes(size));
    if (script && !isTrusted) {
      say(`${what}: declined; --accept-from ${quoted(who)} accepts it`);
      return refuse();
    }
    if (this.#open.size >= MOST_OPEN) return refuse();
    const open: Open = {
      ...{ plate, key, size, name, from },
      ...{ id: ++this.#count, isUnseen: isTyping() },
    };
    this.#open.set(plate, open);
    if (!script) {
      say(`${bold(what)}: type accept ${open.id} or decline ${open.id}`);
      return this.#tellTrust();
    }
    this.#later((client) => this.#accept(client, open, new AbortController().signal));
  }

  async #accept(client: FilesClient, open: Open, signal: AbortSignal): Promise<void> {
    const { people, exchange, say, script } = this.#options;
    const stop = open.receiving = new AbortController();
    const onAbort = (): void => stop.abort(signal.reason);
    signal.addEventListener("abort", onAbort);
    const name = people.nameOf(open.from);
    const onNotice = (text: string): void => say(dim(printable(text)));
    try {
      const transfer = { signal: stop.signal, onNotice };
      const receiving = await (await exchange()).accept(open, transfer);
      const { plate, from: to } = open;
      this.#tellPins(to, receiving.pins);
      const request = { type: "take", to, plate, key: receiving.key } as const;
      await people.reach(client, request, { what: `receive from ${quoted(name)}`, name });
      const { failure, isKnown } = await this.until(client, receiving.receive());
      if (!failure) return;
      if (!isKnown) await this.#tellOver(client, open.from, open.plate);
      if (script) throw new InletError(failure.code, `Did not receive all of ${quoted(open.name)}`);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#open.delete(open.plate);
    }
  }

  #taken(from: number, plate: string, key: string): void {
    const own = this.#own.get(plate);
    if (!own || own.to !== from || own.isTaken) return;
    own.isTaken = true;
    const { people, say } = this.#options;
    say(dim(`${printable(people.nameOf(from))} accepts ${printable(own.offering.name)}`));
    own.offering.take(key).then((pins) => this.#tellPins(from, pins), own.done.reject);
  }

  /** The other side does not want it, or not any more. */
  #declined(by: number, plate: string, hasLeft = false): void {
    const { people, say } = this.#options;
    const name = people.nameOf(by);
    const own = this.#own.get(plate);
    if (own?.to === by) {
      own.isRefused = true;
      own.stop.abort(new InletError("denied", this.#refusalOf(own, hasLeft)));
    }
    const open = this.#open.get(plate);
    if (open?.from !== by) return;
    const why = hasLeft
      ? "has left"
      : open.receiving
      ? "has stopped sending it"
      : "has withdrawn it";
    if (open.receiving) {
      const what = `Cannot receive ${quoted(open.name)}`;
      return open.receiving.abort(new InletError("aborted", `${what}: ${printable(name)} ${why}`));
    }
    this.#open.delete(plate);
    say(
      dim(`${open.id}: ${printable(open.name)} is not offered any more, ${printable(name)} ${why}`),
    );
  }

  #refusalOf({ to, isTaken }: Own, hasLeft = false): string {
    const why = hasLeft ? "has left" : isTaken ? "has stopped it" : "has declined it";
    return `${printable(this.#options.people.nameOf(to))} ${why}`;
  }

  /** Tells the other side that this one has ended an offer by itself. */
  async #tellOver(client: FilesClient, to: number, plate: string): Promise<void> {
    await this.#declineTo(client, to, plate, true).catch(() => {});
  }

  async #declineTo(
    client: FilesClient,
    to: number,
    plate: string,
    isUnasked = false,
  ): Promise<void> {
    const { people } = this.#options;
    const name = people.nameOf(to);
    await people.reach(client, { type: "decline", to, plate }, {
      what: "decline",
      name,
      isUnasked,
    });
  }

  /** Which offer is meant. Without words: the only one, if it was shown before the line was begun. */
  #chosen(typed: string, verb: string): Open {
    const { people } = this.#options;
    const open = [...this.#open.values()].filter(({ receiving }) => !receiving);
    const word = nameIn(typed.trim());
    const [only] = open;
    if (!only) throw new InletError("usage", `Cannot ${verb}: nobody offers anything`);
    const listed = open.map(({ id, from, name }) =>
      `${id} (${printable(name)} of ${printable(people.nameOf(from))})`
    ).join(", ");
    if (word === "") {
      if (open.length === 1 && !only.isUnseen) return only;
      const why = open.length > 1 ? "several are offered" : "it was offered while you were typing";
      throw new InletError("usage", `Cannot ${verb}: ${why}; say which: ${listed}`);
    }
    const meant = open.filter(({ id, from }) =>
      String(id) === word || people.nameOf(from) === word
    );
    if (meant.length === 1) return meant[0]!;
    const why = meant.length === 0 ? "no such offer is open" : "that is several";
    throw new InletError("usage", `Cannot ${verb} ${quoted(word)}: ${why}; say which: ${listed}`);
  }

  #later(task: (client: FilesClient) => Promise<void>): void {
    this.#tasks.push(task);
    this.#wake.resolve("due");
  }

  /** Tells once by which keys two users know each other. */
  #tellPins(other: number, pins: Pins | undefined): void {
    const { people, say } = this.#options;
    const name = printable(people.nameOf(other));
    if (!pins || this.#pins.has(name) && this.#pins.get(name) === pins.other) return;
    const { own, other: key } = pins;
    this.#pins.set(name, key);
    // Whoever stands in between leaves a signature out, rather than give a key that can be compared.
    if (key === undefined) say(bold(`${name} has proved no key, and may be somebody else`));
    else say(dim(`${name} has proved to hold the key ${key}; yours is ${own}`));
  }

  #tellTrust(): void {
    if (!this.#isTrustTold) this.#options.say(dim(TRUST));
    this.#isTrustTold = true;
  }
}
