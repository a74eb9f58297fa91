/**
 * Tells a program how far a transfer is.
 *
 * @module
 */

import { Progress } from "../../lib/cli/progress.ts";
import { Calls } from "../calls.ts";
import type { TransferOptions } from "./types.ts";

/** Counts the bytes of one request after another, in the place of a progress line. */
export class Meter extends Progress {
  #watcher: Watcher | undefined;

  /**
   * Tells a watcher from now on, and starts at 0.
   *
   * @param size In bytes, if it is known.
   */
  watch(watcher: Watcher | undefined, size?: number | null): void {
    this.#watcher = watcher;
    if (!watcher) return;
    watcher.bytes = 0;
    watcher.size = size ?? undefined;
  }

  override expect(size: number): void {
    if (!this.#watcher) return;
    this.#watcher.size = size;
    // What was there already came to be known before.
    if (this.#watcher.bytes > 0) this.#watcher.add(0);
  }

  override add(bytes: number): void {
    this.#watcher?.add(bytes);
  }

  override skip(bytes: number): void {
    if (this.#watcher?.size !== undefined) this.#watcher.add(bytes);
    else if (this.#watcher) this.#watcher.bytes += bytes;
  }
}

/** The one who is told of one transfer. What it throws waits until that is over. */
export class Watcher {
  /** Bytes of the whole, once they are known. */
  size: number | undefined;
  readonly #onProgress: TransferOptions["onProgress"];
  /** Bytes that have moved in this attempt. */
  bytes = 0;
  readonly #calls = new Calls();

  constructor({ onProgress }: TransferOptions) {
    this.#onProgress = onProgress;
  }

  /** Tells that all has moved at once. */
  tellWhole(size: number): void {
    this.size = size;
    if (size > 0) this.add(size);
  }

  add(bytes: number): void {
    this.bytes += bytes;
    this.#calls.make(() => this.#onProgress?.({ bytes: this.bytes, size: this.size }));
  }

  /** Throws what the function of the program has thrown. */
  async check(): Promise<void> {
    await this.#calls.check();
  }
}
