/**
 * Uploads to a bucket that go on over several requests, which may come to several servers.
 *
 * The state of one has what its wire keeps, and is found by the hash of its id, which only its client
 * has: so it is taken over at once, by whichever server the next request comes to. What has arrived
 * cannot be read, so they cannot be joined.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type {
  NewUpload,
  OngoingBody,
  OngoingUpload,
  OngoingUploads,
  Outcome,
  Taking,
} from "../store/ongoing.ts";
import { UploadPlaces } from "../store/upload_places.ts";
import { quoted } from "../text.ts";
import type { BucketContext } from "./context.ts";
import { abandon, conclude, removeTails, rollForward } from "./ending.ts";
import { type FoundState, isFree, LeasedState, readState } from "./leased.ts";
import { ownObjects } from "./own_objects.ts";
import { scheduleFor } from "./part_schedule.ts";
import type { BucketPartials } from "./resume.ts";
import {
  bytesOf,
  certainOf,
  hashOf,
  newId,
  newState,
  type Ongoing,
  ONGOING_REFERENCE,
  ongoingKey,
  stateKey,
  type UploadState,
} from "./state.ts";

/** How often a state is changed that others change meanwhile. */
const MOST_ATTEMPTS = 8;

/** The uploads to a bucket that go on over several requests. */
export class BucketOngoing implements OngoingUploads {
  readonly canOpen = false;
  readonly #context: BucketContext;
  readonly #partials: BucketPartials;
  /** The keys of those that are just being taken over. */
  readonly #taken = new Set<string>();
  readonly #places: UploadPlaces;

  constructor(context: BucketContext, partials: BucketPartials) {
    this.#context = context;
    this.#partials = partials;
    this.#places = new UploadPlaces({
      most: context.maxUploads,
      find: (hash) => this.#find(hash),
      notes: {
        hashes: () => this.#hashes(),
        find: (hash) => this.#noteOf(hash),
        remove: (hash) => this.#places.delete(hash),
      },
    });
  }

  get keepMs(): number {
    return this.#context.keepPartialsMs;
  }

  async begin(id: string, upload: NewUpload): Promise<OngoingUpload> {
    const { name, size, details, fingerprint, owner } = upload;
    const { bucket, prefix } = this.#context;
    const what = `Cannot store ${quoted(name)}`;
    const want = this.#context.safe(name);
    if (this.keepMs === 0) {
      throw new InletError("denied", `${what}: this server keeps no partial files`);
    }
    const place = await this.#places.makeRoom(owner);
    if (typeof place === "string") {
      const whose = place === "share" ? "you have too many uploads" : "too many uploads have";
      throw new InletError("overloaded", `${what}: ${whose} begun`);
    }
    using _ = place;
    const hash = await hashOf("upload", id);
    const file = fingerprint === undefined ? undefined : await hashOf("file", fingerprint);
    // Beyond that, whoever knows the fingerprint could hide the upload of its owner.
    const counts = file !== undefined && !await this.#partials.areMany(file);
    if (counts) await bucket.put(referenceKey(prefix, file, hash), new Uint8Array());
    const ongoing: Ongoing = { details, owner, file: counts ? file : undefined };
    const state = newState({ id: newId(), want, size, schedule: scheduleFor(size), ongoing });
    const key = ongoingKey(prefix, hash);
    await LeasedState.add({ bucket, key }, state);
    this.#places.add(hash, owner);
    return (await this.#find(hash))!;
  }

  async find(id: string): Promise<OngoingUpload | undefined> {
    return await this.#find(await hashOf("upload", id));
  }

  async #find(hash: string): Promise<OngoingUpload | undefined> {
    const { bucket, prefix } = this.#context;
    if (this.keepMs === 0) return undefined;
    const found = await readState(bucket, ongoingKey(prefix, hash));
    if (!found?.state.ongoing || found.state.stage === "discarding") return undefined;
    if (isFree(found) && found.ageMs > this.keepMs) return undefined;
    return new BucketOngoingUpload({
      ...{ context: this.#context, partials: this.#partials, taken: this.#taken, found, hash },
      onRemove: () => this.#places.delete(hash),
    });
  }

  async #hashes(): Promise<string[]> {
    const prefix = ongoingKey(this.#context.prefix, "");
    const hashes: string[] = [];
    for await (const objects of ownObjects(this.#context, prefix)) {
      hashes.push(...objects.map(({ key }) => key.slice(prefix.length)));
    }
    return hashes;
  }

  async #noteOf(
    hash: string,
  ): Promise<{ note: { owner?: string | undefined }; written: Date } | undefined> {
    const { bucket, prefix } = this.#context;
    const found = await readState(bucket, ongoingKey(prefix, hash));
    const { ongoing } = found?.state ?? {};
    return ongoing && { note: ongoing, written: new Date(Date.now() - found!.ageMs) };
  }
}

/** What finds an upload by its file. */
function referenceKey(prefix: string, file: string, hash: string): string {
  return stateKey(prefix, file, ONGOING_REFERENCE + hash);
}

/** What a {@linkcode BucketOngoingUpload} is made of. */
interface Known {
  readonly context: BucketContext;
  readonly partials: BucketPartials;
  readonly taken: Set<string>;
  readonly found: FoundState;
  /** Of its id. */
  readonly hash: string;
  onRemove(): void;
}

class BucketOngoingUpload implements OngoingUpload {
  readonly bytes: number;
  readonly written: Date;
  readonly #known: Known;
  readonly #key: string;
  #state: UploadState;

  constructor(known: Known) {
    const { found: { key, state, ageMs } } = known;
    this.#known = known;
    this.#key = key;
    this.#state = state;
    this.bytes = state.outcome?.size ?? bytesOf(certainOf(state));
    this.written = new Date(Date.now() - ageMs);
  }

  get name(): string {
    return this.#state.want;
  }

  get size(): number | null {
    return this.#state.size;
  }

  get details(): string {
    return this.#state.ongoing!.details;
  }

  get owner(): string | undefined {
    return this.#state.ongoing!.owner;
  }

  get outcome(): Outcome | undefined {
    return this.#state.outcome;
  }

  get quietMs(): number | undefined {
    const { partials, found } = this.#known;
    const live = partials.live(this.#key);
    if (live) return live.quietMs;
    return isFree(found) ? undefined : found.lease.idleMs + found.ageMs;
  }

  async take({ quietMs, isTentative, onTaken }: Taking): Promise<OngoingBody | undefined> {
    const { partials, taken } = this.#known;
    const key = this.#key;
    if (taken.has(key)) return undefined;
    taken.add(key);
    try {
      const live = partials.live(key);
      if (live && live.quietMs < quietMs) return undefined;
      const isDue = ({ state }: FoundState): boolean => {
        this.#state = state;
        return state.ongoing !== undefined && state.stage !== "published";
      };
      const ticketOf = (): string => crypto.randomUUID();
      return await partials.take(key, { ticketOf, isTentative, isDue, onTaken });
    } finally {
      taken.delete(key);
    }
  }

  open(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async change({ size, details }: Partial<Pick<NewUpload, "size" | "details">>): Promise<void> {
    await this.#adopted(async (leased) => {
      await leased.save((state) => ({
        ...state,
        ...size !== undefined && { size },
        ongoing: { ...state.ongoing!, ...details !== undefined && { details } },
      }));
      this.#state = leased.state;
    });
  }

  confirm(): void {
    this.#known.partials.live(this.#key)?.confirm();
  }

  async conclude(outcome: Outcome): Promise<void> {
    const { context } = this.#known;
    await this.#adopted(async (leased) => {
      await conclude(context, leased, outcome);
      this.#state = leased.state;
    });
  }

  async remove(): Promise<void> {
    const { context, context: { bucket, prefix }, hash, onRemove } = this.#known;
    const { file } = this.#state.ongoing!;
    await this.#adopted(async (leased) => {
      if (leased.state.stage === "publishing") await rollForward(context, leased);
      if (leased.state.stage !== "published") return await abandon(context, leased);
      await removeTails(context, leased.state.id);
      await leased.remove();
    });
    if (file !== undefined) await bucket.delete(referenceKey(prefix, file, hash));
    onRemove();
  }

  /** Takes the state over, also from whoever is sending it. Nothing is done if it is gone. */
  async #adopted(action: (leased: LeasedState) => Promise<void>): Promise<void> {
    const { partials, context } = this.#known;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const live = partials.live(this.#key);
      if (live && live.quietMs > 0) await live.handOver();
      const found = await readState(context.bucket, this.#key);
      if (!found) return;
      const leased = await LeasedState.adopt(context, found);
      if (!leased) continue;
      try {
        return await action(leased);
      } finally {
        await leased.release();
      }
    }
    throw new InletError("overloaded", `Cannot store ${quoted(this.name)}: others change it`);
  }
}
