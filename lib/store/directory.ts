/**
 * A store that keeps received files in a directory. Only the files of this folder access it.
 *
 * On disk:
 *
 * - `NAME` is a published file: complete and verified. It is created as a hard link to the finished
 *   temporary file, because a link never replaces an existing file; a rename would do so silently.
 *   Where the disk has no hard links it is renamed, under a lock (rename_lock.ts).
 * - `.inlet/` holds everything else: uploads and partial files (workspace.ts). Their names are
 *   random, so no client can aim at one, and nothing outside this folder is ever removed.
 * - If the name is taken, the new file is published as `report (2).pdf`. Folders are created one by
 *   one, and numbered in the same way. No folder or file is reached through a symbolic link, even one made during a transfer.
 * - What is published is the file that is open: it is compared by device, inode and size with its
 *   temporary name before the link, and by device and inode with its final name after it. What
 *   another program writes into it cannot be seen, as long as its size is right.
 * - A file that is complete in memory is written and published without yielding to the event loop,
 *   under a name that no other program can know: it needs neither a lock nor a comparison.
 * - A new folder that is announced with files is written in `.inlet/` with their final names, and
 *   published by one rename (new_folder.ts). That replaces nothing but an empty folder, so it is done
 *   only where nothing is; otherwise its files are linked one by one.
 * - A folder on another file system gets a `.inlet` of its own, as no link leads there.
 * - Uploads without a name are numbered `1.file`, `2.file`, on from the highest existing number,
 *   published or not. Only the holder of `.inlet/7.file.temp` may publish `7.file`.
 * - The checksums of large files are remembered: from when they are published, or read for one
 *   (remembered_sums.ts). `.inlet/sums-RUN.log` keeps them, for the next run (sums_log.ts).
 *
 * The store does not limit the total size, and it never deletes a published file.
 *
 * @module
 */

import { resolve } from "@std/path/resolve";
import type { DiffEntry, FolderFacts, LinkFacts, ListEntry } from "../../protocol.ts";
import type { Facts } from "../body/file_facts.ts";
import { explain } from "../errors.ts";
import { quoted } from "../text.ts";
import { DirectoryBatch } from "./batch.ts";
import { findFile, listPages, namesIn, openFile, treePages, whereIs } from "./directory_reader.ts";
import { diffFolder } from "./directory_diff.ts";
import type { DiskSpace } from "./disk_space.ts";
import { Folders, isGroupGiven, lstatIfThere, type Place, readable } from "./folders.ts";
import { Links } from "./links.ts";
import { then } from "./maybe.ts";
import type { NewFolder } from "./new_folder.ts";
import { type Names, Numbering } from "./numbering.ts";
import { DirectoryOngoing } from "./directory_ongoing.ts";
import type { OngoingUploads, ServerStore } from "./ongoing.ts";
import type { DirectoryPartial } from "./partial.ts";
import { Partials } from "./partials.ts";
import { rememberedSums } from "./remembered_sums.ts";
import { readSmall } from "./small_reads.ts";
import { ResumeFailures } from "./resume_failures.ts";
import type {
  Asker,
  DiffOptions,
  Fingerprint,
  Found,
  MadeFolder,
  Maybe,
  PartialQuery,
  Resumable,
  Store,
} from "./store.ts";
import type { DirectoryOptions } from "./directory_options.ts";
import type { DirectoryFile } from "./stored_file.ts";
import type { TempFile } from "./temp_file.ts";
import { FileUpload, type UploadContext } from "./upload.ts";
import { type Resuming, UploadNotes } from "./upload_notes.ts";
import { orUsage } from "./usable.ts";
import type { Workspace } from "./workspace.ts";
import { Workspaces } from "./workspaces.ts";

/** A store in a directory, of published files, uploads and partial files. */
export class DirectoryStore implements ServerStore {
  readonly #folders: Folders;
  readonly #workspaces: Workspaces;
  readonly #context: UploadContext;
  readonly #keepPartialsMs: number;
  readonly #readOnly: boolean;
  readonly #space: DiskSpace | undefined;
  readonly #inFlight = new Set<FileUpload>();
  readonly #newFolders = new Set<NewFolder>();
  readonly #numbering = new Numbering();
  readonly #links: Links;
  readonly #partials: Partials;
  readonly ongoing: OngoingUploads;

  /** Makes no directory: `root` need not exist yet. */
  constructor(root: string, options: DirectoryOptions = {}) {
    const { fsync = false, disk = Deno, warn = () => {} } = options;
    const folders = new Folders(root, disk, warn, options, options.made);
    const prefix = options.downloads ? "get-" : "";
    this.#folders = folders;
    this.#links = new Links(folders, options.links);
    this.#workspaces = new Workspaces(folders, prefix);
    this.#context = {
      folders,
      workspaces: this.#workspaces,
      fsync,
      failures: new ResumeFailures(),
      traitsOf: (dev) => this.#workspaces.traitsOf(dev, !options.readOnly),
      sums: rememberedSums(folders, this.#workspaces, options),
    };
    this.#keepPartialsMs = options.keepPartialsMs ?? 24 * 3_600_000;
    this.#readOnly = options.readOnly ?? false;
    this.#space = options.space;
    this.#partials = new Partials({
      context: this.#context,
      numbering: this.#numbering,
      notes: new UploadNotes(this.#workspaces, disk, prefix),
      keepMs: this.#readOnly ? 0 : this.#keepPartialsMs,
      inFlight: this.#inFlight,
      storing: (what, action) => this.#storing(what, action),
      create: (name, hash) => this.#create(name, hash),
      receive: (name, size) => this.receive(name, size),
      begin: (...given) => this.#begin(...given),
    });
    this.ongoing = new DirectoryOngoing(this.#partials, options.maxUploads ?? 10_000);
  }

  /**
   * Opens a directory, and makes it if it is missing, unless it is to be read only.
   *
   * @throws {InletError} `usage` if the directory cannot be made or read
   */
  static async open(directory: string, options: DirectoryOptions = {}): Promise<DirectoryStore> {
    const store = new DirectoryStore(directory, options);
    const { shownRoot } = store.#folders;
    const make = (): Promise<void> => store.#folders.makeRoot(store.#context.fsync);
    if (store.#readOnly) await orUsage("read", shownRoot, () => readable(directory));
    else await orUsage("store into", shownRoot, make);
    return store;
  }

  async prepare(): Promise<void> {
    if (this.#readOnly) return this.#workspaces.refuse();
    await orUsage("store into", this.#folders.shownRoot, async () => {
      // Reports a directory without write access at the start, not to the first client.
      this.#workspaces.ensuring(() => this.#workspaces.root.create()).discard();
      await this.sweep();
    });
  }

  async sweep(): Promise<void> {
    if (this.#readOnly) return;
    await this.#context.sums.flush();
    for (const workspace of this.#workspaces.all()) {
      try {
        await workspace.sweep(this.#keepPartialsMs, (message) => this.#folders.warnOnce(message));
      } catch (error) {
        // Another program removed it: there is nothing to sweep.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    await this.#partials.sweepNotes();
  }

  receive(name: string, size: number | null = null): FileUpload {
    return this.#storing(`store ${quoted(name)}`, () => {
      const { place, workspace, temp } = this.#create(name);
      const upload = this.#begin(workspace, temp, this.#numbering.variants(place.name));
      return this.expect(upload, size);
    });
  }

  async receiveResumable(name: string, size: number | null, how: Resumable): Promise<FileUpload> {
    return await this.#partials.receive(name, size, how);
  }

  findPartials(name: string, query: PartialQuery): AsyncGenerator<DirectoryPartial> {
    return this.#partials.find(name, query);
  }

  receiveNumbered(ending: string): FileUpload {
    return this.#storing("store the upload", () => {
      const nameOf = (number: number): string => `${number}${ending}`;
      for (;;) {
        const { root } = this.#workspaces;
        const existing = (): string[] => [...namesIn(this.#folders.root), ...root.names()];
        const number = this.#numbering.next(ending, existing);
        const temp = root.createNumbered(nameOf(number));
        if (!temp) continue;
        const upload = this.#begin(root, temp, { nameOf, first: number });
        // Another server may have published this number since the directory was read.
        if (!lstatIfThere(this.#folders.path(nameOf(number)))) return upload;
        upload.discard();
      }
    });
  }

  put(name: string, content: Uint8Array, facts: Facts = {}): Maybe<string> {
    if (this.#context.fsync) return this.#putCarefully(name, content, facts);
    const put = this.batch().put(name, content, facts);
    return put instanceof Promise ? put.then(({ name }) => name!) : put.name!;
  }

  makeFolder(name: string, facts: FolderFacts = {}): Maybe<MadeFolder> {
    const what = `make the folder ${quoted(name)}`;
    return this.#storing(what, () => {
      const { folder, isNew } = this.#folders.makeFor(`${this.#folders.safe(name)}/`, facts);
      return this.#flushed(what, `${folder}/`, { name: folder, isNew });
    });
  }

  makeLink(name: string, facts: LinkFacts): Maybe<MadeFolder> {
    const what = `make the link ${quoted(name)}`;
    const safe = this.#folders.safe(name);
    return then(this.#links.prepare(safe, facts), () =>
      this.#storing(what, () => {
        const made = this.#links.make(safe, facts);
        return this.#flushed(what, made.name, made);
      }));
  }

  /** Flushes the folders of a name to disk, if that is asked for, and returns the value. */
  #flushed<T>(what: string, name: string, value: T): Maybe<T> {
    if (!this.#context.fsync) return value;
    return this.#folders.sync(name).then(() => value, (error) => {
      throw explain(error, `Cannot ${what}: it is there, but may be lost in a power failure`);
    });
  }

  batch(): DirectoryBatch {
    return new DirectoryBatch({
      folders: this.#folders,
      workspaces: this.#workspaces,
      numbering: this.#numbering,
      fsync: this.#context.fsync,
      newFolders: this.#newFolders,
      storing: (what, action) => this.#storing(what, action),
      receive: (name) => this.receive(name),
      makeFolder: (name, facts) => this.makeFolder(name, facts),
      makeLink: (name, facts) => this.makeLink(name, facts),
      putCarefully: (name, content, facts) => this.#putCarefully(name, content, facts),
    });
  }

  /** The absolute path of a stored name. */
  pathOf(name: string): string {
    return resolve(this.#folders.root, name);
  }

  /** Returns a name with the numbers of its folders. */
  located(name: string): string {
    return whereIs(this.#folders, name);
  }

  open(name: string): DirectoryFile {
    return openFile(this.#folders, this.#context.sums, name);
  }

  readonly readSmall: Store["readSmall"] = (names, reader) =>
    readSmall(this.#folders, names, reader);

  async find(name: string, same: Fingerprint, asker?: Asker): Promise<Found | undefined> {
    return await findFile(this.#folders, this.#context, name, same, asker);
  }

  diff(folder: string, entries: readonly DiffEntry[], how?: DiffOptions): Maybe<string> {
    return diffFolder(this.#folders, this.#context, folder, entries, how);
  }

  list(signal?: AbortSignal): AsyncIterable<readonly ListEntry[]> {
    return listPages(this.#folders, signal);
  }

  tree(name: string, ...how: [AbortSignal?, boolean?]): AsyncIterable<readonly ListEntry[]> {
    return treePages(this.#folders, name, ...how);
  }

  save(): void {
    this.#context.sums.close();
  }

  discardAll(): void {
    for (const folder of this.#newFolders) folder.discard();
    for (const upload of this.#inFlight) upload.close();
  }

  close(): void {
    this.#workspaces.close();
  }

  /**
   * Tells the size of a file that is being received, once it is known.
   *
   * @throws {InletError} `no-space`, and ends the upload, if the disk has no room for it
   */
  expect(upload: FileUpload, size: number | null): FileUpload {
    if (size !== null) this.#space?.expect(upload, size, this.#folders.hidesNames);
    return upload;
  }

  async #putCarefully(name: string, content: Uint8Array, facts: Facts): Promise<string> {
    await using upload = this.receive(name);
    await upload.write(content);
    return await upload.publish(facts);
  }

  /** Makes the temporary file of a name, and the folders of the name. */
  #create(name: string, hash?: string): { place: Place; workspace: Workspace; temp: TempFile } {
    const place = this.#folders.make(this.#folders.safe(name));
    const workspace = this.#workspaces.of(place);
    const temp = workspace.create(hash);
    try {
      if (isGroupGiven(place) && place.info.gid !== temp.info.gid) {
        workspace.inside(() => temp.setGroup(place.info.gid));
      }
      return { place, workspace, temp };
    } catch (error) {
      temp.discard();
      throw error;
    }
  }

  /**
   * Runs an action that stores something. If another program removed the directory, or its
   * workspace, it is made again, and the action runs anew.
   */
  #storing<T>(what: string, action: () => T): T {
    try {
      return this.#workspaces.ensuring(action, () => this.#folders.remakeRoot());
    } catch (error) {
      throw explain(error, `Cannot ${what}`);
    }
  }

  #begin(
    workspace: Workspace,
    temp: TempFile,
    names: Names,
    resumable?: Resuming,
  ): FileUpload {
    const upload: FileUpload = new FileUpload({
      context: this.#context,
      workspace,
      temp,
      names,
      resumable,
      onEnd: () => {
        this.#inFlight.delete(upload);
        this.#space?.forget(upload);
      },
    });
    this.#inFlight.add(upload);
    return this.expect(upload, resumable?.size ?? null);
  }
}
