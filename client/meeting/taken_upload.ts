/**
 * A file on its way into what is received of an offer: its bytes count as they come.
 *
 * @module
 */

import type { Facts } from "../../lib/body/file_facts.ts";
import type { Extent } from "../../lib/body/reading.ts";
import type { Kept, Maybe, Upload } from "../../lib/store/store.ts";

/** What an upload tells the store. */
export interface UploadEvents {
  /** @throws {InletError} if that is too much */
  write(bytes: number): void;
  show(bytes: number, isKept?: boolean): void;
  publish(bytes: number): Promise<void>;
  discard(bytes: number): void;
}

/** An upload that counts. */
export class TakenUpload implements Upload {
  readonly #upload: Upload;
  readonly #events: UploadEvents;
  /** What it counts for, until it is published. */
  #bytes: number;

  constructor(upload: Upload, events: UploadEvents) {
    this.#upload = upload;
    this.#events = events;
    this.#bytes = 0;
    this.#add(upload.kept.bytes, true);
  }

  get kept(): Kept {
    return this.#upload.kept;
  }

  get counted(): Extent | undefined {
    return this.#upload.counted;
  }

  set counted(counted: Extent | undefined) {
    this.#upload.counted = counted;
  }

  get ticket(): string | undefined {
    return this.#upload.ticket;
  }

  startOver(): Maybe<void> {
    this.#forget();
    return this.#upload.startOver();
  }

  write(chunk: Uint8Array): Maybe<void> {
    this.#add(chunk.length);
    return this.#upload.write(chunk);
  }

  async publish(facts?: Facts, crc?: number): Promise<string> {
    const name = await this.#upload.publish(facts, crc);
    const bytes = this.#bytes;
    this.#bytes = 0;
    await this.#events.publish(bytes);
    return name;
  }

  discard(): Maybe<void> {
    this.#forget();
    return this.#upload.discard();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#forget();
    await this.#upload[Symbol.asyncDispose]();
  }

  #add(bytes: number, isKept = false): void {
    this.#bytes += bytes;
    this.#events.show(bytes, isKept);
    this.#events.write(bytes);
  }

  #forget(): void {
    this.#events.discard(this.#bytes);
    this.#bytes = 0;
  }
}
