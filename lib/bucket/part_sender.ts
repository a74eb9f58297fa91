/**
 * Sends the parts of one upload, and notes in its state which of them are stored.
 *
 * The upload is begun with its first part: its name is claimed by a placeholder, so that no other file
 * gets it meanwhile. The name stands in the state before the placeholder is written, and the upload's id
 * before the first part, so that whoever finds the state can clear all of it away.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { InletError } from "../errors.ts";
import { ArrivedParts } from "./arrived_parts.ts";
import { claim } from "./claim.ts";
import type { BucketContext } from "./context.ts";
import { META } from "./layout.ts";
import type { LeasedState } from "./leased.ts";
import type { PartBuffer } from "./part_pool.ts";
import type { PartRange } from "./part_schedule.ts";
import { placeholder } from "./marks.ts";
import type { NameList, Placing } from "./placing.ts";
import type { UploadState } from "./state.ts";

/** Most parts of one upload that are sent at once. */
const MOST_IN_FLIGHT = 4;

/** What a {@linkcode PartSender} is made of. */
export interface PartSenderOptions {
  readonly context: BucketContext;
  readonly placing: Placing;
  readonly names: NameList;
  /** The state of the upload, which is made by the first call if there is none. */
  lease(): Promise<LeasedState>;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  /** Called once something has failed. */
  onFailure(error: unknown): void;
}

/** A part to send. */
export interface FilledPart {
  /** From 1. */
  readonly number: number;
  readonly range: PartRange;
  /** Its memory, which is given back. */
  readonly buffer: PartBuffer;
}

/** An upload in parts that has begun. */
interface Begun {
  readonly key: string;
  readonly uploadId: string;
  readonly lease: LeasedState;
  readonly signal: AbortSignal;
}

/** Sends the parts of one upload. */
export class PartSender {
  /** What is stored. */
  readonly arrived: ArrivedParts;
  readonly #options: PartSenderOptions;
  readonly #inFlight = new Set<Promise<void>>();
  #begun: Promise<Begun> | undefined;

  /** @param state That of an upload which is resumed. */
  constructor(options: PartSenderOptions, state?: UploadState) {
    this.#options = options;
    this.arrived = new ArrivedParts(state ?? { parts: [], samples: [] });
    if (state?.name !== undefined) this.begin();
  }

  /** Whether the upload in parts has begun, or begins. */
  get hasBegun(): boolean {
    return this.#begun !== undefined;
  }

  /** Begins the upload, if it has not. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = this.#begin();
    this.#begun.catch(this.#options.onFailure);
  }

  /** Sends a part. */
  send(part: FilledPart): void {
    this.begin();
    part.buffer.filled();
    const sending = this.#send(part).catch(this.#options.onFailure).finally(() =>
      this.#inFlight.delete(sending)
    );
    this.#inFlight.add(sending);
  }

  /** Whether a further part may be sent. */
  get hasRoom(): boolean {
    return this.#inFlight.size < MOST_IN_FLIGHT;
  }

  /** Waits until a part has been sent. It never fails. */
  async room(): Promise<void> {
    await Promise.race(this.#inFlight);
  }

  /** Waits until no part is on its way, nor the upload about to begin. It never fails. */
  async settled(): Promise<void> {
    await this.#begun?.catch(() => {});
    await Promise.all(this.#inFlight);
  }

  async #send({ number, range, buffer }: FilledPart): Promise<void> {
    using _ = buffer;
    const { lease, signal, ...upload } = await this.#begun!;
    await lease.hold();
    const content = buffer.memory.subarray(0, range.bytes);
    const { bucket } = this.#options.context;
    const etag = await bucket.putPart(upload, number, content, signal);
    if (etag === undefined) {
      throw new InletError("aborted", "Cannot store the file: its upload has been removed");
    }
    // Of what was sent: what happened to it in the memory shows when the whole is compared.
    const crc = crc32(content);
    this.arrived.add(number, { size: range.bytes, crc, etag }, range.offset, content);
    lease.moved();
    lease.note((state) => ({ ...state, ...this.arrived.state }));
  }

  async #begin(): Promise<Begun> {
    const { context } = this.#options;
    const lease = await this.#options.lease();
    const signal = AbortSignal.any([this.#options.signal, lease.signal]);
    const { id, uploadId } = lease.state;
    const name = uploadId === undefined ? await this.#claim(lease, signal) : lease.state.name!;
    const key = context.key(name);
    if (uploadId !== undefined) return { key, uploadId, lease, signal };
    const made = await context.bucket.createUpload(key, { [META.id]: id });
    await lease.save((state) => ({ ...state, name, uploadId: made }));
    return { key, uploadId: made, lease, signal };
  }

  /** Claims the first free name: that of an attempt that broke off, if it is still there. */
  async #claim(lease: LeasedState, signal: AbortSignal): Promise<string> {
    const { context, placing, names } = this.#options;
    const { id, name } = lease.state;
    const claimed = placeholder("claimed", id);
    if (name !== undefined) {
      const there = await claim(context, name, claimed, signal);
      if (!("taken" in there) || there.taken.meta[META.id] === id) return name;
    }
    const onTry = (tried: string): Promise<void> =>
      lease.save((state) => ({ ...state, name: tried }));
    return await placing.place(names, claimed, { onTry, signal });
  }
}
