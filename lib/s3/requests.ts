/**
 * Requests for one bucket: addressed, signed, sent, and repeated where that does no harm.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { InletError } from "../errors.ts";
import { MAX_KEY_BYTES } from "./address.ts";
import { type Answer, NoAnswer, textUpTo } from "./answer.ts";
import type { Credentials, CredentialSource } from "./credentials.ts";
import { explainRefusal, isExpired, mayPass, NO_STORE, Refusal, refusalOf } from "./refusal.ts";
import { encodeKey, type Sign } from "./signing.ts";
import { LIMITS, type Limits, send } from "./transport.ts";
import { type Element, parseXml } from "./xml.ts";

/** What a store is asked. */
export interface Asked {
  /** In capitals. */
  readonly method: string;
  /** Whole; the bucket itself without one. */
  readonly key?: string | undefined;
  /** Of the query. */
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** Beside those of the signature. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Its content. */
  readonly body?: Uint8Array<ArrayBuffer> | undefined;
  /** Gives up, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** How long a store is waited for. */
export interface Patience extends Limits {
  /** Milliseconds for which a request is repeated. */
  readonly repeatMs: number;
}

/** The usual patience. */
export const PATIENCE: Patience = { ...LIMITS, repeatMs: 60_000 };

/** Milliseconds before the first repetition, at most, and before any other. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;
/** More of an answer is not read. A list of 1,000 keys of 1,024 bytes, each as `%XX`, takes 4 MB. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Sends requests for one bucket. */
export class Requests {
  readonly #base: string;
  readonly #sign: Sign;
  readonly #source: CredentialSource;
  readonly #patience: Patience;
  readonly #onAnswer: () => void;
  #credentials: Promise<Credentials> | undefined;

  /**
   * @param base What the key is put behind.
   * @param onAnswer Called when an answer begins, whatever it says.
   */
  constructor(
    base: string,
    sign: Sign,
    source: CredentialSource,
    patience: Patience,
    onAnswer: () => void = () => {},
  ) {
    this.#onAnswer = onAnswer;
    this.#base = base;
    this.#sign = sign;
    this.#source = source;
    this.#patience = patience;
  }

  /** The same, with another patience. */
  with(patience: Partial<Patience>, onAnswer?: () => void): Requests {
    const other = { ...this.#patience, ...patience };
    return new Requests(this.#base, this.#sign, this.#source, other, onAnswer);
  }

  /**
   * Asks until there is an answer that is no passing failure.
   *
   * @throws {Refusal} as the store gave it
   * @throws {NoAnswer} if it gave none in time
   */
  ask(asked: Asked): Promise<Answer> {
    return this.#repeated(() => this.askOnce(asked), asked.signal);
  }

  /** The same for an answer in XML, which is read as a whole. */
  askForXml(asked: Asked): Promise<Element> {
    return this.#repeated(async () => {
      const root = parseXml(await textUpTo(await this.askOnce(asked), MAX_ANSWER_BYTES));
      if (root) return root;
      throw new InletError("internal", NO_STORE);
    }, asked.signal);
  }

  /** Asks once, and once more if the credentials have expired and others have taken their place. */
  async askOnce(asked: Asked): Promise<Answer> {
    const used = await this.#current();
    try {
      return await this.#send(asked, used);
    } catch (error) {
      if (!(error instanceof Refusal && isExpired(error) && this.#source.changes)) throw error;
      this.#credentials = undefined;
      // Why they cannot be read is for whoever runs the server, and not for its clients.
      const renewed = await this.#current().catch(() => used);
      if (JSON.stringify(renewed) === JSON.stringify(used)) throw error;
      return await this.#send(asked, renewed);
    }
  }

  /** Repeats what fails for a while. */
  async #repeated<T>(action: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const end = performance.now() + this.#patience.repeatMs;
    for (let attempt = 0;; attempt++) {
      try {
        return await action();
      } catch (error) {
        const pause = pauseBefore(attempt);
        if (!mayPass(error) || performance.now() + pause > end) throw error;
        await delay(pause, signal ? { signal } : {});
      }
    }
  }

  /** The credentials, read once. */
  #current(): Promise<Credentials> {
    return this.#credentials ??= this.#source.read().catch((error) => {
      this.#credentials = undefined;
      throw error;
    });
  }

  async #send(asked: Asked, credentials: Credentials): Promise<Answer> {
    const { method, body, signal } = asked;
    const headers = new Headers(asked.headers);
    // An object that somebody has stored compressed is that object, and not what is in it.
    headers.set("accept-encoding", "identity");
    const request = { method, url: this.#urlOf(asked), headers, body };
    const answer = await send(await this.#sign(request, credentials), this.#patience, signal);
    this.#onAnswer();
    if (answer.status >= 200 && answer.status < 300) return answer;
    const refusal = await refusalOf(answer);
    // No answer to a HEAD has words. A reader of one byte is told why.
    if (method !== "HEAD" || refusal.status === 404 || mayPass(refusal)) throw refusal;
    const read = { ...asked, method: "GET", headers: { range: "bytes=0-0" } };
    await (await this.#send(read, credentials)).cancel();
    throw refusal;
  }

  #urlOf({ key, query = {} }: Asked): string {
    const pairs = Object.entries(query).map(([name, value]) =>
      value === "" ? name : `${name}=${encodeURIComponent(value)}`
    );
    const path = key === undefined ? this.#base : `${this.#base}/${encodeKey(checked(key))}`;
    return pairs.length === 0 ? path : `${path}?${pairs.join("&")}`;
  }
}

/** Refuses keys that a URL cannot hold, or that no store has. */
function checked(key: string): string {
  if (key.split("/").some((segment) => segment === "." || segment === "..")) {
    throw new InletError("bad-name", "A name with a part . or .. cannot be asked for in a bucket");
  }
  if (key === "" || key.includes("\0") || !key.isWellFormed()) {
    throw new InletError("bad-name", "The name is none for an object store");
  }
  if (new TextEncoder().encode(key).length > MAX_KEY_BYTES) {
    throw new InletError("bad-name", `The name is too long: the limit is ${MAX_KEY_BYTES} bytes`);
  }
  return key;
}

/** Milliseconds of a pause: up to twice as long each time, and never the same for two servers. */
export function pauseBefore(attempt: number): number {
  return Math.random() * Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS);
}

/** Says what a failure means: the one place that makes an InletError of it. */
export function explainFailure(error: unknown): unknown {
  if (error instanceof Refusal) return explainRefusal(error);
  if (!(error instanceof NoAnswer)) return error;
  return new InletError("overloaded", `Cannot reach the object store: ${error.message}`, {
    cause: error,
  });
}
