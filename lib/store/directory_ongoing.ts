/**
 * Uploads to a directory store that go on over several requests.
 *
 * What has arrived of one is a partial file with the hash of the upload's id in its name, and the rest
 * is in its note (upload_notes.ts). While one is taken over nobody else can take it.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { NewUpload, OngoingUpload, OngoingUploads, Outcome, Taking } from "./ongoing.ts";
import { type DirectoryPartial, hashOf } from "./partial.ts";
import type { Partials } from "./partials.ts";
import type { FileUpload } from "./upload.ts";
import type { FoundNote, Note } from "./upload_notes.ts";
import { UploadPlaces } from "./upload_places.ts";

/** The uploads that go on over several requests, in a directory. */
export class DirectoryOngoing implements OngoingUploads {
  readonly canOpen = true;
  readonly #partials: Partials;
  /** The hashes of those that are just being taken over. */
  readonly #taken = new Set<string>();
  readonly #places: UploadPlaces;

  /** @param most Most of them, those that are concluded and not yet forgotten included. */
  constructor(partials: Partials, most: number) {
    this.#partials = partials;
    const { notes } = partials;
    this.#places = new UploadPlaces({ notes, most, find: (hash) => this.#find(hash) });
  }

  get keepMs(): number {
    return this.#partials.keepMs;
  }

  async begin(id: string, upload: NewUpload): Promise<OngoingUpload> {
    const { name, size, details, fingerprint, owner } = upload;
    const what = `store ${quoted(name)}`;
    if (this.#partials.keepMs === 0) {
      throw new InletError("denied", `Cannot ${what}: this server keeps no partial files`);
    }
    this.#partials.placeOf(name);
    const hash = await hashOfId(id);
    const place = await this.#places.makeRoom(owner);
    if (typeof place === "string") {
      const whose = place === "share" ? "you have too many uploads" : "too many uploads have";
      throw new InletError("overloaded", `Cannot ${what}: ${whose} begun`);
    }
    using _ = place;
    const file = fingerprint === undefined ? undefined : await hashOf(fingerprint);
    // Beyond that, whoever knows the fingerprint could hide the partial file of its owner.
    const counts = file !== undefined && !await this.#partials.areMany(name, file);
    const note = { name, size, details, owner, ...counts && { file } };
    this.#partials.note(hash, note);
    this.#places.add(hash, owner);
    return this.#known({ hash, note, written: new Date(), bytes: 0 });
  }

  async find(id: string): Promise<OngoingUpload | undefined> {
    return await this.#find(await hashOfId(id));
  }

  async #find(hash: string): Promise<OngoingUpload | undefined> {
    const { notes, keepMs } = this.#partials;
    if (keepMs === 0) return undefined;
    const found = notes.find(hash);
    if (!found) return undefined;
    const { name, outcome, certain = Infinity } = found.note;
    const live = this.#partials.live(hash);
    const partial = outcome || live ? undefined : await this.#partials.largest(name, { hash });
    const written = Math.max(found.written.getTime(), partial?.info.mtime?.getTime() ?? 0);
    if (!live && notes.hasExpired({ written: new Date(written) }, keepMs)) return undefined;
    const bytes = outcome?.size ?? live?.bytes ?? Math.min(partial?.info.size ?? 0, certain);
    return this.#known({ ...found, hash, bytes, written: new Date(written) });
  }

  #known(known: Omit<Known, "onRemove">): OngoingUpload {
    return new Ongoing(this.#partials, this.#taken, {
      ...known,
      onRemove: () => this.#places.delete(known.hash),
    });
  }
}

/** What is known of an upload that was found. */
interface Known extends FoundNote {
  readonly hash: string;
  readonly bytes: number;
  onRemove(): void;
}

class Ongoing implements OngoingUpload {
  readonly bytes: number;
  readonly written: Date;
  readonly #onRemove: () => void;
  readonly #partials: Partials;
  readonly #taken: Set<string>;
  readonly #hash: string;
  #note: FoundNote["note"];

  constructor(partials: Partials, taken: Set<string>, known: Known) {
    this.#partials = partials;
    this.#taken = taken;
    this.#hash = known.hash;
    this.#note = known.note;
    this.bytes = known.bytes;
    this.written = known.written;
    this.#onRemove = known.onRemove;
  }

  get name(): string {
    return this.#note.name;
  }

  get size(): number | null {
    return this.#note.size;
  }

  get details(): string {
    return this.#note.details;
  }

  get outcome(): Outcome | undefined {
    return this.#note.outcome;
  }

  get quietMs(): number | undefined {
    return this.#partials.live(this.#hash)?.quietMs;
  }

  async take(how: Taking, signal?: AbortSignal): Promise<FileUpload | undefined> {
    const hash = this.#hash;
    if (this.#taken.has(hash)) return undefined;
    this.#taken.add(hash);
    try {
      const live = this.#partials.live(hash);
      if (live && live.quietMs < how.quietMs) return undefined;
      await live?.handOver();
      const upload = await this.#take(how, signal);
      if (!upload) return undefined;
      using stack = new DisposableStack();
      stack.defer(() => upload.close());
      if (!this.#tell({ certain: how.isTentative ? upload.kept.bytes : undefined })) {
        // It was removed meanwhile.
        upload.startOver();
        return undefined;
      }
      stack.move();
      return upload;
    } finally {
      this.#taken.delete(hash);
    }
  }

  async #take(
    { onTaken }: Taking,
    signal: AbortSignal | undefined,
  ): Promise<FileUpload | undefined> {
    const { notes } = this.#partials;
    const [name, hash] = [this.name, this.#hash];
    const candidate = await this.#partials.largest(name, { hash, isNoted: true });
    // Whoever had it may have published or removed it meanwhile.
    const now = notes.find(hash);
    if (!now || now.note.outcome) return undefined;
    this.#note = now.note;
    const note = notes.handleOf(hash);
    const { size } = this;
    const how = { ...size !== null && { size }, ...onTaken && { onTaken } };
    if (!candidate) return this.#partials.create(name, { ...how, hash, note });
    using partial = this.#partials.open(name, candidate);
    return await partial?.take(how, { signal });
  }

  async open(): Promise<DirectoryPartial | undefined> {
    const candidate = await this.#partials.largest(this.name, { hash: this.#hash });
    return candidate && this.#partials.open(this.name, candidate);
  }

  change(changed: Partial<Pick<NewUpload, "size" | "details">>): void {
    this.#tell(changed);
  }

  confirm(): void {
    this.#tell({ certain: undefined });
  }

  async conclude(outcome: Outcome): Promise<void> {
    await this.#discard();
    this.#tell({ outcome });
  }

  async remove(): Promise<void> {
    if (!this.outcome) await this.#discard();
    this.#partials.notes.remove(this.#hash);
    this.#onRemove();
  }

  /** Writes the note anew, which also makes it young again. Returns `false` if it was removed. */
  #tell(changed: Partial<Note>): boolean {
    const note = this.#partials.notes.change(this.#hash, changed);
    this.#note = note ?? this.#note;
    return note !== undefined;
  }

  /** Removes what has arrived, also from whoever is sending it. */
  async #discard(): Promise<void> {
    await using upload = await this.take({ quietMs: 0 });
    upload?.startOver();
  }
}

/** Hashes the id of an upload. No fingerprint that a client may choose has that hash. */
async function hashOfId(id: string): Promise<string> {
  return await hashOf(`upload ${id}`);
}
