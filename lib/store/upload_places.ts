/**
 * Who has how many of the uploads that go on over several requests, and which of them give way to new
 * ones when there are too many: those that lose little, of whoever has the most, the oldest first.
 *
 * @module
 */

import { takeTurns } from "../turns.ts";
import { mapAtOnce } from "./at_once.ts";
import type { OngoingUpload } from "./ongoing.ts";
import type { Maybe } from "./store.ts";

/** How long it counts as known which uploads there are, in milliseconds. */
const KNOWN_MS = 1000;

/** Bytes that a client can send again: an upload of fewer may give way. */
const LITTLE_BYTES = 1024 * 1024;

/** Milliseconds after which nobody can be sending an upload: longer than another server takes. */
const QUIET_MS = 15_000;

/** Most uploads of an owner that are looked at for one that may give way. The next time, others are. */
const MOST_LOOKED_AT = 16;

/** Most owners of whom uploads are looked at, those with the most first. */
const MOST_OWNERS = 4;

/** Most uploads whose owners are looked up at the same time: each may be a request to an object store. */
const MOST_AT_ONCE = 16;

/** Whose an upload is: `undefined` if it is of nobody in particular, `null` if that was not looked up. */
type Owner = string | undefined | null;

/** What is kept of uploads, as far as their places need it. */
export interface PlacedNotes {
  /** The hashes of the ids of all of them. */
  hashes(): Promise<string[]>;
  /** Reads what is kept of one; `undefined` if there is none. */
  find(hash: string): Maybe<
    { readonly note: { readonly owner?: string | undefined }; readonly written: Date } | undefined
  >;
  /** Removes what is kept of one that has expired. */
  remove(hash: string): Maybe<void>;
}

/** What {@linkcode UploadPlaces} need. */
export interface UploadPlacesOptions {
  readonly notes: PlacedNotes;
  /** Most uploads. An owner has half of them at most. */
  readonly most: number;
  /** Finds an upload by the hash of its id; `undefined` if it has expired. */
  find(hash: string): Promise<OngoingUpload | undefined>;
}

/** The places for uploads. */
export class UploadPlaces {
  readonly #options: UploadPlacesOptions;
  /** The owners of the uploads by their hashes, about the oldest first. */
  readonly #owners = new Map<string, Owner>();
  /** The places that are held for uploads which are not there yet. */
  readonly #held = new Set<{ readonly owner: string | undefined }>();
  #lookedAt = -Infinity;

  constructor(options: UploadPlacesOptions) {
    this.#options = options;
  }

  /**
   * Finds a place for one more upload of an owner. About: those of the last second may not count that
   * other servers have begun.
   *
   * @returns The place, held until it is disposed of, as soon as the upload is added; or why there is none:
   * `all` are taken, or the owner has its `share`.
   */
  async makeRoom(owner: string | undefined): Promise<Disposable | "all" | "share"> {
    const { most } = this.#options;
    await this.#look();
    const share = Math.ceil(most / 2);
    const counts = new Map<Owner, number>();
    const count = (one: Owner): unknown => counts.set(one, (counts.get(one) ?? 0) + 1);
    this.#owners.forEach(count);
    for (const { owner } of this.#held) count(owner);
    const isFull = this.#owners.size + this.#held.size >= most;
    const hasShare = owner !== undefined && (counts.get(owner) ?? 0) >= share;
    // Held from now on: whoever comes while another upload gives way would take the same place.
    using stack = new DisposableStack();
    const held = { owner };
    this.#held.add(held);
    stack.defer(() => this.#held.delete(held));
    if (hasShare) return await this.#giveWay(owner) ? stack.move() : "share";
    if (!isFull) return stack.move();
    const largest = [...counts].sort(([, one], [, other]) => other - one).slice(0, MOST_OWNERS);
    for (const [owner] of largest) if (await this.#giveWay(owner)) return stack.move();
    return "all";
  }

  add(hash: string, owner: string | undefined): void {
    this.#owners.set(hash, owner);
  }

  delete(hash: string): void {
    this.#owners.delete(hash);
  }

  /** Looks which uploads there are. Whose they are counts only if there are many. */
  async #look(): Promise<void> {
    const { notes, most } = this.#options;
    if (performance.now() - this.#lookedAt < KNOWN_MS) return;
    this.#lookedAt = performance.now();
    const before = new Set(this.#owners.keys());
    const there = new Set(await notes.hashes());
    // One that has begun meanwhile may be in neither.
    for (const hash of before) if (!there.has(hash)) this.#owners.delete(hash);
    // One of before that is not known any more was removed meanwhile.
    const isNew = (hash: string): boolean => !this.#owners.has(hash) && !before.has(hash);
    for (const hash of there) if (isNew(hash)) this.#owners.set(hash, null);
    if (this.#owners.size >= most / 2) await this.#lookUpOwners();
  }

  async #lookUpOwners(): Promise<void> {
    const unknown = [...this.#owners].filter(([, owner]) => owner === null).map(([hash]) => hash);
    const known: { hash: string; owner: string | undefined; writtenMs: number }[] = [];
    await mapAtOnce(unknown, MOST_AT_ONCE, async (hash) => {
      await takeTurns();
      const found = await this.#options.notes.find(hash);
      if (!found) this.#owners.delete(hash);
      else known.push({ hash, owner: found.note.owner, writtenMs: found.written.getTime() });
    });
    known.sort((one, other) => one.writtenMs - other.writtenMs);
    for (const { hash, owner } of known) {
      // One that is gone by now was removed meanwhile.
      if (this.#owners.delete(hash)) this.#owners.set(hash, owner);
    }
  }

  /** Removes an upload of an owner that loses little. Returns `false` if none was found. */
  async #giveWay(owner: Owner): Promise<boolean> {
    const own = [...this.#owners].filter(([, one]) => one === owner);
    for (const [hash] of own.slice(0, MOST_LOOKED_AT)) {
      // One that somebody else looks at makes no room twice.
      if (!this.#owners.delete(hash)) continue;
      const upload = await this.#options.find(hash);
      // Those that stay are looked at again after all the others.
      if (upload && !mayGo(upload)) {
        this.#owners.set(hash, owner);
        continue;
      }
      if (upload) await upload.remove();
      else await this.#options.notes.remove(hash);
      return true;
    }
    return false;
  }
}

/** Whether an upload loses little: what it has is stored, or soon sent again. */
function mayGo({ outcome, bytes, quietMs, written }: OngoingUpload): boolean {
  if (outcome) return true;
  if (quietMs !== undefined || bytes >= LITTLE_BYTES) return false;
  return bytes === 0 || Date.now() - written.getTime() > QUIET_MS;
}
