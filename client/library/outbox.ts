/**
 * Small files that follow each other go to the server together: a put that is made while another one
 * waits for its answer does not wait for the same time again.
 *
 * @module
 */

import type { Item } from "../../lib/body/sources.ts";
import type { InletError } from "../../lib/errors.ts";
import type { FilesClient } from "../../modes/files/client.ts";
import type { ItemResult } from "../../modes/files/answers.ts";
import type { GivenSource } from "./bodies.ts";

/** A small file that waits, and its result. */
interface Letter {
  readonly given: GivenSource;
  readonly result: PromiseWithResolvers<ItemResult>;
}

/** Files that are sent together in one turn of a session. */
export class Outbox {
  readonly #letters = new Set<Letter>();

  /**
   * Adds a file. The result never comes if the outbox is not sent.
   *
   * @param signal Takes it out again, unless it is under way.
   */
  async add(given: GivenSource, signal: AbortSignal | undefined): Promise<ItemResult> {
    const letter = { given, result: Promise.withResolvers<ItemResult>() };
    this.#letters.add(letter);
    const onAbort = (): void => {
      this.#letters.delete(letter);
      letter.result.reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort);
    try {
      return await letter.result.promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /**
   * Sends all that has no result yet.
   *
   * @param isPassing Whether a failure is to be followed by another attempt.
   * @throws {InletError} the first such failure, or what ended the session
   */
  async send(client: FilesClient, isPassing: (error: InletError) => boolean): Promise<void> {
    const letters = await this.#opened();
    const wanted = letters.keys().filter((source) => this.#letters.has(letters.get(source)!));
    let failure: unknown;
    await client.send(wanted, (item, result) => {
      if ("error" in result && isPassing(result.error)) return void (failure ??= result.error);
      const letter = letters.get(item)!;
      this.#letters.delete(letter);
      letter.result.resolve(result);
    });
    if (failure) throw failure;
    const [, , requester] = client.parts;
    if (requester.end && this.#letters.size > 0) throw requester.end;
  }

  /** The letters by what is sent. One that cannot be read has failed. */
  async #opened(): Promise<Map<Item, Letter>> {
    const opened = new Map<Item, Letter>();
    for (const letter of this.#letters) {
      try {
        opened.set(await letter.given, letter);
      } catch (error) {
        this.#letters.delete(letter);
        letter.result.reject(error);
      }
    }
    return opened;
  }

  /** Has all fail that has no result yet. */
  fail(error: unknown): void {
    for (const { result } of this.#letters) result.reject(error);
    this.#letters.clear();
  }
}
