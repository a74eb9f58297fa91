/**
 * An upload of which everything has arrived, and which somebody has begun to publish: its client was not
 * told, and comes again.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { OngoingBody } from "../store/ongoing.ts";
import type { Kept } from "../store/store.ts";
import { crcOf } from "./arrived_parts.ts";
import type { BucketContext } from "./context.ts";
import { rollForward } from "./ending.ts";
import type { LeasedState } from "./leased.ts";
import type { Resuming } from "./part_upload_options.ts";
import { bytesOf } from "./state.ts";

/** An upload that needs no more bytes. */
export class ConcludedUpload implements OngoingBody {
  readonly kept: Kept;
  readonly ticket: string;
  readonly #context: BucketContext;
  readonly #leased: LeasedState;

  /** @param leased The state of an upload whose facts are known. */
  constructor(
    context: BucketContext,
    leased: LeasedState,
    { ticket, onTaken }: Resuming,
  ) {
    this.#context = context;
    this.#leased = leased;
    this.ticket = ticket;
    const { state, signal } = leased;
    this.kept = { bytes: bytesOf(state), crc: () => crcOf(state) };
    signal.addEventListener("abort", () => onTaken?.(), { once: true });
  }

  startOver(): void {
    throw this.#isWhole();
  }

  write(chunk: Uint8Array): void {
    if (chunk.length > 0) throw this.#isWhole();
  }

  async publish(): Promise<string> {
    const name = await rollForward(this.#context, this.#leased, { signal: this.#leased.signal });
    await this.#leased.release();
    return name;
  }

  async keep(): Promise<void> {
    await this.#leased.release();
  }

  async discard(): Promise<void> {
    await this.#leased.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leased.release();
  }

  #isWhole(): InletError {
    return new InletError("aborted", "Cannot store the file: all of it has arrived already");
  }
}
