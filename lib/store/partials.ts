/**
 * The partial files of a directory store: which an upload may resume, and how they begin.
 *
 * @module
 */

import { explain } from "../errors.ts";
import { quoted } from "../text.ts";
import type { Place } from "./folders.ts";
import type { Numbering } from "./numbering.ts";
import { DirectoryPartial, hashOf, inOrder, MAX_PARTIALS } from "./partial.ts";
import type { PartialQuery, Resumable } from "./store.ts";
import type { TempFile } from "./temp_file.ts";
import type { FileUpload, FileUploadOptions, UploadContext } from "./upload.ts";
import type { Note, Resuming, UploadNotes } from "./upload_notes.ts";
import type { Candidate, Workspace } from "./workspace.ts";

/** What {@linkcode Partials} need of their store. */
export interface PartialsOptions {
  readonly context: UploadContext;
  readonly numbering: Numbering;
  readonly notes: UploadNotes;
  /** Milliseconds that a partial file is kept; 0 keeps none. */
  readonly keepMs: number;
  /** The uploads of this process. */
  readonly inFlight: ReadonlySet<FileUpload>;
  /** Runs an action that stores something. */
  storing<T>(what: string, action: () => T): T;
  /** Makes the temporary file of a name, and the folders of the name. */
  create(name: string, hash: string): Created;
  receive(name: string, size: number | null): FileUpload;
  begin(
    workspace: Workspace,
    temp: TempFile,
    names: FileUploadOptions["names"],
    resumable: Resuming,
  ): FileUpload;
}

/** Where a file is published, and what it is written in until then. */
interface Created {
  readonly place: Place;
  readonly workspace: Workspace;
  readonly temp: TempFile;
}

/** What files of uploads are found by. */
interface Key {
  readonly hash: string;
  /** Whether it is that of an upload that goes on over several requests. */
  readonly isNoted?: boolean;
}

/** A file that may be resumed. */
type Owned = Candidate & Key;

/** The partial files of a store. */
export class Partials {
  readonly #options: PartialsOptions;
  readonly notes: UploadNotes;

  constructor(options: PartialsOptions) {
    this.#options = options;
    this.notes = options.notes;
  }

  /** Milliseconds that they are kept; 0 if none are. */
  get keepMs(): number {
    return this.#options.keepMs;
  }

  /** Starts an upload that becomes a partial file if it is disposed of unpublished. */
  async receive(name: string, size: number | null, how: Resumable): Promise<FileUpload> {
    const { keepMs, receive } = this.#options;
    if (keepMs === 0) return receive(name, size);
    const hash = await hashOf(how.fingerprint);
    if (await this.areMany(name, hash)) return receive(name, size);
    return this.create(name, { ...how, hash });
  }

  /** Makes the file of such an upload. */
  create(name: string, resumable: Resuming): FileUpload {
    const { context, numbering, storing, create, begin } = this.#options;
    return storing(`store ${quoted(name)}`, () => {
      const { place, workspace, temp } = create(name, resumable.hash);
      context.failures.forget(temp.info);
      return begin(workspace, temp, numbering.variants(place.name), resumable);
    });
  }

  /** Finds the partial files of a file, also those of uploads that go on over several requests. */
  async *find(name: string, query: PartialQuery): AsyncGenerator<DirectoryPartial> {
    if (this.#options.keepMs === 0) return;
    const hash = await hashOf(query.fingerprint);
    const place = this.placeOf(name);
    const candidates = await this.#candidates(name, place.workspace, hash);
    const uploads = [...this.#options.inFlight];
    for (const { candidate, live } of inOrder(candidates, uploads, query.ticket)) {
      using partial = this.#open(name, place, candidate, live);
      if (partial) yield partial;
    }
  }

  /** Notes a new upload that goes on over several requests. */
  note(hash: string, note: Note): void {
    const { notes, storing } = this.#options;
    storing(`store ${quoted(note.name)}`, () => notes.add(hash, note));
  }

  /** Removes what is noted of uploads that have expired. */
  async sweepNotes(): Promise<void> {
    const { keepMs, notes } = this.#options;
    await notes.sweep(keepMs, (hash) => this.live(hash) !== undefined);
  }

  /** The upload of this process that has a hash. */
  live(hash: string): FileUpload | undefined {
    return [...this.#options.inFlight].find((upload) => upload.hash === hash);
  }

  /** The largest file with such a key, if anything has arrived of it. */
  async largest(name: string, key: Key): Promise<Owned | undefined> {
    const { workspace } = this.placeOf(name);
    const [candidate] = await this.#looking(name, () => filesOf(workspace, [key]));
    return candidate && candidate.info.size > 0 ? candidate : undefined;
  }

  /** Opens such a file. */
  open(name: string, candidate: Owned): DirectoryPartial | undefined {
    return this.#open(name, this.placeOf(name), candidate, this.live(candidate.hash));
  }

  /** Whether there are so many uploads of a fingerprint that a further one does not count. */
  async areMany(name: string, hash: string): Promise<boolean> {
    const { workspace } = this.placeOf(name);
    const files = await this.#looking(name, () => filesOf(workspace, [{ hash }]));
    // Those of which nothing has arrived can still grow, and so hide the file of another client.
    return files.length + (await this.#options.notes.ofFile(hash)).length >= MAX_PARTIALS;
  }

  /** The folder of a name, which is made if it is missing, and the workspace for it. */
  placeOf(name: string): { place: Place; workspace: Workspace } {
    const { context: { folders, workspaces }, storing } = this.#options;
    return storing(`store ${quoted(name)}`, () => {
      const place = folders.make(folders.safe(name));
      return { place, workspace: workspaces.of(place) };
    });
  }

  #open(
    name: string,
    { place, workspace }: { place: Place; workspace: Workspace },
    candidate: Owned,
    live: FileUpload | undefined,
  ): DirectoryPartial | undefined {
    const { context, numbering, notes, storing, begin } = this.#options;
    const { hash, isNoted } = candidate;
    const handle = isNoted ? { note: notes.handleOf(hash) } : {};
    const most = isNoted ? notes.find(hash)?.note.certain : undefined;
    const names = numbering.variants(place.name);
    return storing(`store ${quoted(name)}`, () =>
      DirectoryPartial.open({
        workspace,
        hash,
        candidate,
        live,
        most,
        warn: (message) => context.folders.warnOnce(message),
        resume: (temp, how) => {
          // It has been cut to that.
          if (most !== undefined) notes.change(hash, { certain: undefined });
          return begin(workspace, temp, names, { ...how, hash, ...handle });
        },
      }));
  }

  /** The files that an upload may resume. */
  async #candidates(name: string, workspace: Workspace, hash: string): Promise<Owned[]> {
    const { context: { failures, folders }, keepMs } = this.#options;
    return await this.#looking(name, async () => {
      const found = await filesOf(workspace, await this.#keysOf(hash));
      const all = found.filter(({ info }) => info.size > 0 && !failures.areTooMany(info));
      let now: number | undefined;
      const fresh = all.filter(({ kept, info }) =>
        !kept || workspace.quietMs(info, now ??= workspace.now()) <= keepMs
      );
      if (fresh.length < all.length) {
        folders.warnOnce(`the partial file of ${quoted(name)} has expired`);
      }
      return fresh;
    });
  }

  /** What the files of a file are found by. @param hash That of its fingerprint. */
  async #keysOf(hash: string): Promise<Key[]> {
    const uploads = await this.#options.notes.ofFile(hash);
    return [{ hash }, ...uploads.map((hash) => ({ hash, isNoted: true }))];
  }

  async #looking(name: string, look: () => Promise<Owned[]>): Promise<Owned[]> {
    try {
      return await look();
    } catch (error) {
      // Another program removed the workspace. The upload makes it again.
      if (error instanceof Deno.errors.NotFound) return [];
      throw explain(error, `Cannot store ${quoted(name)}`);
    }
  }
}

/** The files that have one of some keys, the largest first. */
async function filesOf(workspace: Workspace, keys: readonly Key[]): Promise<Owned[]> {
  const found: Owned[] = [];
  for (const key of keys) {
    const candidates = await workspace.candidates(key.hash);
    found.push(...candidates.map((candidate) => ({ ...candidate, ...key })));
  }
  return found.sort((one, other) => other.info.size - one.info.size);
}
