/**
 * Requests for one bucket: addressed, signed, sent, and repeated where that does no harm.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { InletError } from "../errors.ts";
import { MAX_KEY_BYTES } from "./address.ts";
import type { Credentials, CredentialSource } from "./credentials.ts";
import { explainRefusal, isExpired, mayPass, Refusal, refusalOf, textUpTo } from "./refusal.ts";
import { encodeKey, encodePart, type Sign } from "./signing.ts";
import { type Answer, NoAnswer, send } from "./transport.ts";
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

/** Milliseconds for which a request is repeated. */
const PATIENCE_MS = 60_000;
/** Milliseconds before the first repetition, at most, and before any other. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;
/** The longest answer that is taken in whole: a list of 1,000 keys of 1,024 bytes, each as `%XX`. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Sends requests for one bucket. */
export class Requests {
  readonly #base: string;
  readonly #sign: Sign;
  readonly #source: CredentialSource;
  #credentials: Promise<Credentials> | undefined;
  /** Milliseconds for which a request is repeated. */
  patienceMs = PATIENCE_MS;

  /** @param base What the key is put behind. */
  constructor(base: string, sign: Sign, source: CredentialSource) {
    this.#base = base;
    this.#sign = sign;
    this.#source = source;
  }

  /**
   * Asks until there is an answer that is no passing failure.
   *
   * @throws {Refusal} as the store gave it
   * @throws {InletError} `overloaded` if it gave none in time
   */
  async ask(asked: Asked): Promise<Answer> {
    const end = performance.now() + this.patienceMs;
    for (let attempt = 0;; attempt++) {
      try {
        return await this.askOnce(asked);
      } catch (error) {
        const passes = error instanceof NoAnswer || error instanceof Refusal && mayPass(error);
        const pause = pauseBefore(attempt);
        if (!passes || performance.now() + pause > end) throw error;
        await delay(pause, asked.signal ? { signal: asked.signal } : {});
      }
    }
  }

  /** Asks once, and once more if the credentials were replaced meanwhile. */
  async askOnce(asked: Asked): Promise<Answer> {
    const used = this.#credentials ??= this.#source.read();
    const credentials = await used.catch((error) => {
      this.#credentials = undefined;
      throw error;
    });
    try {
      return await this.#send(asked, credentials);
    } catch (error) {
      if (!(error instanceof Refusal && isExpired(error) && this.#source.changes)) throw error;
      if (this.#credentials === used) this.#credentials = this.#source.read();
      const renewed = await this.#credentials!;
      if (renewed.accessKeyId === credentials.accessKeyId) throw error;
      return await this.#send(asked, renewed);
    }
  }

  /** Asks for XML, whole. */
  async askForXml(asked: Asked): Promise<Element> {
    const { body } = await this.ask(asked);
    const root = parseXml(await textUpTo(body, MAX_ANSWER_BYTES));
    if (!root) throw new InletError("internal", "The object store gave an answer that is no XML");
    return root;
  }

  async #send(asked: Asked, credentials: Credentials): Promise<Answer> {
    const { method, body, signal } = asked;
    const headers = new Headers(asked.headers);
    // An object that somebody has stored compressed is that object, and not what is in it.
    headers.set("accept-encoding", "identity");
    const request = { method, url: this.#urlOf(asked), headers, body };
    const answer = await send(await this.#sign(request, credentials), signal);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw await refusalOf(answer);
  }

  #urlOf({ key, query = {} }: Asked): string {
    const pairs = Object.entries(query).map(([name, value]) =>
      value === "" ? name : `${encodePart(name)}=${encodePart(value)}`
    );
    const path = key === undefined ? this.#base : `${this.#base}/${encodeKey(checked(key))}`;
    return pairs.length === 0 ? path : `${path}?${pairs.join("&")}`;
  }
}

/** Refuses keys that a URL cannot hold, or that the store has none of. */
function checked(key: string): string {
  if (key.split("/").some((segment) => segment === "." || segment === "..")) {
    throw new InletError("bad-name", "A name with a part . or .. cannot be asked for in a bucket");
  }
  if (key === "" || !key.isWellFormed()) {
    throw new InletError("bad-name", "The name is none for an object store");
  }
  if (new TextEncoder().encode(key).length > MAX_KEY_BYTES) {
    throw new InletError("bad-name", `The name is too long: the limit is ${MAX_KEY_BYTES} bytes`);
  }
  return key;
}

/** Milliseconds of a pause: up to twice as long each time, and never the same for two servers. */
function pauseBefore(attempt: number): number {
  return Math.random() * Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS);
}

/** Says what a failure means: the one place that makes an InletError of it. */
export function explainFailure(error: unknown): unknown {
  if (error instanceof Refusal) return explainRefusal(error);
  if (!(error instanceof NoAnswer)) return error;
  return new InletError("overloaded", `The object store does not answer: ${error.message}`, {
    cause: error,
  });
}
