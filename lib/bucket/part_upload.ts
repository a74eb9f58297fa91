/**
 * An upload to a bucket: a body that is cut into parts as it arrives (part_filler.ts), and published,
 * kept to be resumed, or discarded.
 *
 * A body that ends within its first part is one conditional PUT. Otherwise the parts are sent as they
 * fill (part_sender.ts), and made a file (completing.ts) at the end. What is known only then is written
 * beside the file before that: no file is visible without it.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Facts } from "../body/file_facts.ts";
import type { Extent } from "../body/reading.ts";
import { explain, InletError } from "../errors.ts";
import type { OngoingBody } from "../store/ongoing.ts";
import { type Kept, type Maybe, NOTHING_KEPT } from "../store/store.ts";
import { quoted } from "../text.ts";
import { crcOf } from "./arrived_parts.ts";
import type { InFlight } from "./context.ts";
import { abandon, abortLate, conclude, removeTails, reverted, rollForward } from "./ending.ts";
import { metaOf } from "./facts.ts";
import type { LeasedState } from "./leased.ts";
import { PartFiller } from "./part_filler.ts";
import type { PartUploadOptions } from "./part_upload_options.ts";
import { PartSender } from "./part_sender.ts";
import { findSent } from "./sent_again.ts";
import { bytesOf, type UploadState } from "./state.ts";

/** Milliseconds that an upload may take to leave its state to others, once its server ends. */
const RELEASING_MS = 1000;

/** An upload to a bucket. */
export class PartUpload implements OngoingBody, InFlight {
  counted: Extent | undefined;
  readonly ticket: string | undefined;
  readonly #options: PartUploadOptions;
  /** Aborted once nothing more is written. */
  readonly #closing = new AbortController();
  /** Aborted to end all requests. */
  readonly #stop = new AbortController();
  /** Rejected when nobody waits any more for a store that does not answer. */
  readonly #abandoned = Promise.withResolvers<never>();
  /** What was there when it was resumed. */
  #before: UploadState | undefined;
  #lease: Promise<LeasedState> | undefined;
  /** The same, once it is there. */
  #leased: LeasedState | undefined;
  #sender: PartSender;
  #filler: PartFiller;
  #failure: { readonly error: unknown } | undefined;
  /** Whether its client waits for it to be published, or kept. */
  #isConcluding = false;
  /** Whether a Complete may have been sent: nobody aborts the upload then. */
  #mayBeComplete = false;
  #isTentative: boolean;
  /** How it ends, once that is under way. It never fails. */
  #ending: Promise<void> | undefined;
  #movedAt = performance.now();

  constructor(options: PartUploadOptions) {
    this.#options = options;
    const { resumed, resuming, isTentative = false } = options;
    this.ticket = resuming?.ticket;
    this.#isTentative = isTentative;
    this.#before = resumed?.state;
    if (resumed) this.#lease = Promise.resolve(this.#watched(resumed));
    this.#sender = this.#newSender(resumed?.state);
    this.#filler = this.#newFiller();
    options.context.inFlight.add(this);
    this.#abandoned.promise.catch(() => {});
  }

  get kept(): Kept {
    const before = this.#before;
    return before ? { bytes: bytesOf(before), crc: () => crcOf(before) } : NOTHING_KEPT;
  }

  /** Milliseconds since anything of it arrived. While it is published or kept, it is not quiet. */
  get quietMs(): number {
    return this.#isConcluding ? 0 : performance.now() - this.#movedAt;
  }

  async startOver(): Promise<void> {
    this.#check();
    await this.#filler.release();
    await this.#sender.settled();
    // Its parts are replaced by others of the same numbers and sizes.
    const lease = await this.#lease;
    await lease?.save((state) => ({ ...state, ...NOTHING_ARRIVED }));
    this.#before = undefined;
    this.#sender = this.#newSender(lease?.state);
    this.#filler = this.#newFiller();
  }

  write(chunk: Uint8Array): Maybe<void> {
    try {
      this.#check();
      this.#movedAt = performance.now();
      this.#leased?.moved();
      const written = this.#filler.append(chunk);
      return written?.catch((error) => {
        throw this.#failed(error);
      });
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async publish(facts: Facts = {}, crc?: number): Promise<string> {
    try {
      this.#check();
      this.#isConcluding = true;
      const whole = crc === undefined ? facts : { ...facts, crc };
      const publishing = this.#sender.hasBegun
        ? this.#publishParts(whole)
        : this.#publishAtOnce(whole);
      return await Promise.race([publishing, this.#abandoned.promise]);
    } catch (error) {
      this.#isConcluding = false;
      throw this.#failed(error);
    }
  }

  async keep(): Promise<void> {
    let isKept = false;
    this.#isConcluding = true;
    if (!this.#failure) {
      await this.#end(async () => {
        await this.#leave();
        isKept = true;
      });
    }
    // A part may have failed, behind which nothing counts.
    if (!isKept || this.#failure) throw this.#failed(this.#failure?.error ?? ended());
  }

  /** Has what was written tentatively count. */
  confirm(): void {
    this.#isTentative = false;
  }

  /** Has the state tell all that has arrived. It never fails: the upload does. */
  async setAside(): Promise<void> {
    if (this.#isConcluding || this.#ending) return;
    try {
      await this.#filler.setAside();
    } catch (error) {
      this.#fail(error);
    }
  }

  discard(): void {
    // Where the store has failed, what has arrived is right.
    this.#end(() => this.#failure ? this.#leave() : this.#discard());
  }

  /** Ends the upload for another client, which resumes it. */
  async handOver(): Promise<void> {
    this.#options.resuming?.onTaken?.();
    await this[Symbol.asyncDispose]();
  }

  close(): void {
    this.#stop.abort(ended());
    const timer = setTimeout(() => this.#abandoned.reject(ended()), RELEASING_MS);
    this.#end(() => this.#release()).finally(() => clearTimeout(timer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end(() => this.#leave());
  }

  #newSender(state: UploadState | undefined): PartSender {
    const { context, placing, names } = this.#options;
    return new PartSender({
      ...{ context, placing, names, signal: this.#stop.signal },
      lease: () => this.#held(),
      onFailure: (error) => this.#fail(error),
    }, state);
  }

  #newFiller(): PartFiller {
    const { context, pool, size, schedule } = this.#options;
    return new PartFiller({
      ...{ context, pool, size, schedule, sender: this.#sender, signal: this.#closing.signal },
      lease: () => this.#held(),
      check: () => this.#check(),
      save: async () => await (await this.#lease)?.save((state) => this.#withArrived(state)),
      onFailure: (error) => this.#fail(error),
    });
  }

  /** Publishes a body that has ended within its first part. */
  async #publishAtOnce(facts: Facts): Promise<string> {
    const { context, small, names } = this.#options;
    const content = await this.#filler.content();
    const size = content.length;
    const lease = await this.#lease;
    this.#checkContent(facts, crc32(content), lease);
    // Whoever goes on with it publishes it.
    await lease?.hold();
    // One that goes on over several requests is sent again under its own id, and so stored once.
    const id = facts.id ?? (lease?.state.ongoing && lease.state.id);
    const whole = { ...facts, ...id !== undefined && { id } };
    const name = await small.putUnder(names, content, whole, this.#signal(lease));
    await this.#filler.release();
    const end = this.#end(async () => {
      if (lease?.state.ongoing) await conclude(context, lease, { name, size });
      else if (lease) await abandon(context, lease);
    });
    // Its client may ask another server what became of it.
    if (lease?.state.ongoing) await end;
    return name;
  }

  async #publishParts(facts: Facts): Promise<string> {
    const { context } = this.#options;
    await this.#filler.flush();
    const lease = await this.#held();
    await this.#sender.settled();
    this.#check();
    const arrived = this.#sender.arrived.state;
    this.#checkContent(facts, crcOf(arrived), lease);
    const sent = await this.#findSent(facts, bytesOf(arrived), lease);
    if (sent !== undefined) {
      this.#end(() => abandon(context, lease));
      return sent;
    }
    await lease.save((state) => {
      // Nothing is completed that is being aborted.
      if (state.stage !== "open") throw ended();
      const whole = { ...state, ...arrived, certain: undefined };
      return { ...whole, stage: "publishing", facts: metaOf(facts) };
    });
    this.#mayBeComplete = true;
    const name = await rollForward(context, lease, { signal: this.#signal(lease) });
    this.#end(() => this.#forget(lease));
    return name;
  }

  /**
   * Compares what is stored with what has come. Both were computed apart, so that no fault of the memory
   * that uploads share gets into a file.
   */
  #checkContent({ crc }: Facts, stored: number, lease: LeasedState | undefined): void {
    if (crc === undefined || crc === stored) return;
    this.#end(() => lease ? abandon(this.#options.context, lease) : this.#filler.release());
    throw new InletError(
      "checksum",
      "Cannot store the file: it was damaged in this server's memory",
    );
  }

  /** Finds the same file, if its client sends it again and an earlier attempt was published. */
  async #findSent(facts: Facts, size: number, lease: LeasedState): Promise<string | undefined> {
    const { context, names } = this.#options;
    const { id, crc } = facts;
    const name = this.#name;
    if (id === undefined || crc === undefined || name === lease.state.name) return undefined;
    const head = await context.bucket.head(context.key(name));
    if (!head) return undefined;
    return await findSent(context, names, { id, crc, size }, { name, head });
  }

  /** Leaves the state of a published upload to a client that was not told, if it can come again. */
  async #forget(lease: LeasedState): Promise<void> {
    const mayHaveTails = this.#before !== undefined || this.#filler.hadTail;
    if (mayHaveTails) await removeTails(this.#options.context, lease.state.id);
    if (this.#options.resuming) await lease.release();
    else await lease.remove();
  }

  /** Ends the upload, once. What goes wrong then is left to the sweep. */
  async #end(how: () => Promise<void>): Promise<void> {
    this.#ending ??= this.#endBy(how);
    await Promise.race([this.#ending, this.#abandoned.promise.catch(() => {})]);
  }

  async #endBy(how: () => Promise<void>): Promise<void> {
    this.#closing.abort(ended());
    const { context } = this.#options;
    try {
      await how().catch((error) => {
        this.#fail(error);
        return this.#release();
      });
      const lease = this.#leased;
      if (!lease || !isLost(lease) || this.#mayBeComplete) return;
      await this.#sender.settled();
      await abortLate(context, lease).catch(() => {});
    } finally {
      context.inFlight.delete(this);
    }
  }

  /** Keeps what has arrived to be resumed, if it is to be. */
  async #leave(): Promise<void> {
    if (!this.#options.resuming) return await this.#discard();
    const isCertain = !this.#isTentative;
    await this.#filler.setAside({ isCertain, save: () => this.#releaseArrived() });
  }

  /** Leaves the state to others, and has it tell all that has arrived. */
  async #releaseArrived(): Promise<void> {
    const { context } = this.#options;
    const lease = await this.#lease;
    if (!lease) return;
    const { facts, ongoing, stage } = lease.state;
    if (stage === "discarding") return await abandon(context, lease);
    const isAny = bytesOf(this.#sender.arrived.state) > 0;
    if (!isAny && !facts && !ongoing) return await abandon(context, lease);
    await lease.release((state) => {
      const arrived = this.#withArrived(state);
      return this.#isTentative ? arrived : { ...arrived, certain: undefined };
    });
    lease.signal.throwIfAborted();
  }

  /** A state with all that has arrived. Once it is open no more, it tells that already. */
  #withArrived(state: UploadState): UploadState {
    return state.stage === "open" ? { ...state, ...this.#sender.arrived.state } : state;
  }

  /** Removes what was written. A partial file that was resumed stays, for some further attempts. */
  async #discard(): Promise<void> {
    await this.#sender.settled();
    await this.#filler.release();
    const lease = await this.#lease;
    const before = this.#before;
    if (!lease) return;
    if (!before || lease.state.facts) return await abandon(this.#options.context, lease);
    await lease.release((state) => reverted(state, before));
  }

  /** Ends the lease without a further look at the upload. */
  async #release(): Promise<void> {
    await this.#filler.release();
    const lease = await this.#lease?.catch(() => undefined);
    await lease?.release();
  }

  /** Ends requests that only whoever holds the lease may send. */
  #signal(lease: LeasedState | undefined): AbortSignal {
    return lease ? AbortSignal.any([lease.signal, this.#stop.signal]) : this.#stop.signal;
  }

  #held(): Promise<LeasedState> {
    return this.#lease ??= this.#options.createState().then((lease) => this.#watched(lease));
  }

  #watched(lease: LeasedState): LeasedState {
    this.#leased = lease;
    const { signal } = lease;
    signal.addEventListener("abort", () => {
      this.#fail(signal.reason);
      if (isLost(lease)) this.#options.resuming?.onTaken?.();
    }, { once: true });
    return lease;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** Notes a failure, and tells what failed. */
  #failed(error: unknown): InletError {
    this.#fail(error);
    return explain(error, `Cannot store ${quoted(this.#name)}`);
  }

  #check(): void {
    if (this.#failure) throw this.#failure.error;
    if (this.#ending) throw ended();
  }

  /** The preferred name. */
  get #name(): string {
    const { nameOf, first } = this.#options.names;
    return nameOf(first);
  }
}

/** What the state of an upload tells that starts over. */
const NOTHING_ARRIVED: Partial<UploadState> = {
  ...{ parts: [], tail: undefined, samples: [], certain: undefined },
};

/** Whether another holds the state now, or it is gone. */
function isLost({ signal: { reason } }: LeasedState): boolean {
  return reason instanceof InletError && reason.code === "aborted";
}

function ended(): InletError {
  return new InletError("aborted", "Cannot store the file: the upload has ended");
}
