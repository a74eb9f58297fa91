/**
 * An upload to a directory store: a temporary file that is published, kept to resume, or discarded.
 *
 * @module
 */

import type { Facts } from "../body/file_facts.ts";
import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { Known } from "./directory_reader.ts";
import { type Folders, foldersOf } from "./folders.ts";
import { HoleWriter } from "./holes.ts";
import { KeptPart, recallKept, rememberKept } from "./kept_part.ts";
import type { Names } from "./numbering.ts";
import { publishFile } from "./publishing.ts";
import type { ResumeFailures } from "./resume_failures.ts";
import type { Extent } from "../body/reading.ts";
import { type Kept, type Maybe, NOTHING_KEPT, type Upload } from "./store.ts";
import { isOtherFileSystem, type TempFile, tryTo } from "./temp_file.ts";
import type { Resuming } from "./upload_notes.ts";
import type { Workspace } from "./workspace.ts";
import type { Workspaces } from "./workspaces.ts";

/** What all uploads of one store share. */
export interface UploadContext extends Known {
  readonly folders: Folders;
  readonly workspaces: Workspaces;
  /** Whether a file is flushed to disk before it is acknowledged. */
  readonly fsync: boolean;
  readonly failures: ResumeFailures;
}

/** Options of a {@linkcode FileUpload}. */
export interface FileUploadOptions {
  context: UploadContext;
  workspace: Workspace;
  temp: TempFile;
  names: Names;
  /** How it is resumed if it is not published; without it, it is discarded. */
  resumable?: Resuming | undefined;
  onEnd(): void;
}

/** What is known of a complete file. */
interface Verified extends Facts {
  /** The CRC-32 of what was received, if it was computed. */
  receivedCrc: number | undefined;
}

/** Milliseconds for which an upload is still its writer's, as no one else takes it over sooner. */
const LEASE_MS = 5000;

/** An upload to a directory store. */
export class FileUpload implements Upload {
  counted: Extent | undefined;
  readonly ticket: string | undefined;
  readonly #options: FileUploadOptions;
  #workspace: Workspace;
  #temp: TempFile;
  readonly #holes = new HoleWriter();
  /** What an earlier attempt left of it. */
  #part: KeptPart | undefined;
  /** Bytes that the file has to have. */
  bytes: number;
  #publishing = false;
  /** The file when it was about to get its name. */
  #unpublished: Deno.FileInfo | undefined;
  #isSynced = false;
  #ended = false;
  #writing: Promise<void> | undefined;
  /** Whether that has not settled yet. */
  #isWriting = false;
  #checkedAt = Date.now();
  #movedAt = performance.now();

  /** For the store only: its methods make uploads. */
  constructor(options: FileUploadOptions) {
    this.#options = options;
    const { temp, context: { folders } } = options;
    this.#temp = temp;
    this.bytes = temp.info.size;
    this.#workspace = options.workspace;
    if (this.bytes > 0) {
      this.#part = new KeptPart(temp, {
        pace: folders.pace,
        what: this.what,
        crc: recallKept(temp),
        onRead: () => this.#movedAt = performance.now(),
      });
      temp.file.seekSync(0, Deno.SeekMode.End);
    }
    this.ticket = options.resumable && crypto.randomUUID();
  }

  /** What its partial file is found by; `undefined` if none is kept. */
  get hash(): string | undefined {
    return this.#options.resumable?.hash;
  }

  /** Milliseconds since anything of it moved. While it is being published, it is not quiet. */
  get quietMs(): number {
    return this.#publishing ? 0 : performance.now() - this.#movedAt;
  }

  get path(): string {
    return this.#temp.path;
  }

  get kept(): Kept {
    return this.#part ?? NOTHING_KEPT;
  }

  startOver(): void {
    try {
      this.#cutTo(0);
      this.#part = undefined;
      this.bytes = 0;
    } catch (error) {
      throw explain(error, this.what);
    }
  }

  write(chunk: Uint8Array): Maybe<void> {
    try {
      this.#checkLease();
      this.bytes += chunk.length;
      this.#movedAt = performance.now();
      const written = this.#holes.append(this.#temp.file, chunk, {
        end: this.bytes,
        hasHoles: () => this.#workspace.abilities.hasHoles,
        call: (atOnce, later) => this.#call(atOnce, later),
      });
      if (!written) return;
      this.#isWriting = true;
      this.#writing = written.catch(() => {}).finally(() => this.#isWriting = false);
      return written.catch((error) => {
        throw explain(error, this.what);
      });
    } catch (error) {
      throw explain(error, this.what);
    }
  }

  async publish(facts: Facts = {}, crc?: number): Promise<string> {
    const { folders, fsync } = this.#options.context;
    let name: string | undefined;
    try {
      this.#checkEnded();
      this.#publishing = true;
      name = await this.#publish({ ...facts, receivedCrc: crc });
      if (fsync && !this.#isSynced) await folders.sync(name);
      return name;
    } catch (error) {
      this.#publishing = false;
      if (name === undefined) throw explain(error, this.what);
      throw explain(error, `${this.what}: ${this.unsafeAs(name)}`);
    }
  }

  /** Flushes the file to disk, together with others. */
  async sync(): Promise<void> {
    await this.#temp.file.sync();
  }

  /** Publishes a file that is flushed to disk already. The caller flushes its folders. */
  async publishSynced(facts: Facts): Promise<string> {
    this.#isSynced = true;
    return await this.publish(facts);
  }

  /** What to tell of a file that is published in a folder that cannot be flushed to disk. */
  unsafeAs(name: string): string {
    const shown = this.#options.context.folders.hidesNames ? this.#name : name;
    return `it is stored as ${quoted(shown)}, but may be lost in a power failure`;
  }

  discard(): void {
    if (this.#ended) return;
    const { hash } = this;
    const kept = this.#part?.bytes;
    // What this process knows of it is forgotten: it is read before it is taken for right once more.
    this.counted = undefined;
    tryTo(() => hash !== undefined && kept ? this.#revert(hash, kept) : this.#temp.remove());
    this.#end();
  }

  /** Ends the upload as a partial file. @throws {InletError} `aborted` if that is not there */
  // deno-lint-ignore require-await
  async keep(): Promise<void> {
    this.#temp.check(this.what, this.bytes);
    this.close();
  }

  /** Ends the upload: keeps it as a partial file if the client asked to, otherwise discards it. */
  close(): void {
    if (this.hash === undefined || this.bytes === 0) return this.discard();
    if (this.#ended) return;
    tryTo(() => this.#keep(this.hash!));
    this.#end();
  }

  /** Ends the upload for another client, which resumes it. No write of it is under way then. */
  async handOver(): Promise<void> {
    this.#options.resumable?.onTaken?.();
    this.close();
    await this.#writing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** Cuts the file back to the partial file that it resumed, and keeps that. */
  #revert(hash: string, kept: number): void {
    this.#options.context.failures.add(this.#temp.info);
    this.#cutTo(kept);
    this.#keep(hash);
  }

  #keep(hash: string): void {
    if (!this.#temp.isAt(this.#temp.path)) return;
    if (!this.#isWriting) rememberKept(this.#temp, this.#part, this.counted, this.bytes);
    this.#workspace.keep(this.#temp, hash);
  }

  /** Cuts the file back, unless another server has taken it over: then it may be published. */
  #cutTo(bytes: number): void {
    this.#temp.check(this.what);
    this.#holes.reset();
    this.#temp.file.truncateSync(bytes);
    this.#temp.file.seekSync(bytes, Deno.SeekMode.Start);
  }

  /**
   * Checks that no other server has taken the file over, after a pause in which it could have. This
   * process may have been stopped, or the lock may not reach the other server.
   */
  #checkLease(): void {
    this.#checkEnded();
    if (this.hash === undefined) return;
    const now = Date.now();
    if (Math.abs(now - this.#checkedAt) < LEASE_MS && this.quietMs < LEASE_MS) return;
    this.#temp.check(this.what);
    this.#checkedAt = now;
  }

  #checkEnded(): void {
    if (this.#ended) throw new InletError("aborted", `${this.what}: the upload has ended`);
  }

  /** Gives the file its final name, which ends the upload. On another file system it is copied first. */
  async #publish(facts: Verified): Promise<string> {
    try {
      return await this.#publishHere(facts);
    } catch (error) {
      if (!isOtherFileSystem(error)) throw error;
    }
    await this.#copyBeside();
    return await this.#publishHere(facts);
  }

  async #publishHere(facts: Verified): Promise<string> {
    const { context: { folders, fsync }, names } = this.#options;
    if (fsync && !this.#isSynced) await this.#temp.file.sync();
    return await publishFile({
      ...{ folders, names, what: this.what },
      ...{ workspace: this.#workspace, temp: this.#temp },
      settle: () => this.#settle(facts),
      onPublished: (name) => this.#published(name, facts.receivedCrc),
    });
  }

  #settle({ modified, mode }: Facts): void {
    this.#checkEnded();
    // Not sooner: a file that seems old could be taken for abandoned.
    if (modified) tryTo(() => this.#temp.file.utimeSync(new Date(), modified));
    this.#unpublished = this.#temp.check(this.what, this.bytes);
    const permitted = this.#workspace.modeFor(mode);
    if (permitted !== undefined) this.#workspace.inside(() => this.#temp.setMode(permitted));
  }

  /** Ends the upload, and remembers its checksum. Its removed name has changed its ctime. */
  #published(name: string, crc: number | undefined): void {
    const { sums } = this.#options.context;
    if (crc !== undefined && sums.isWorthIt(this.bytes)) {
      tryTo(() => sums.addReceived(name, this.#unpublished!, this.#temp.file.statSync(), crc));
    }
    this.#options.resumable?.note?.conclude({ name, size: this.bytes });
    this.#end();
  }

  async #copyBeside(): Promise<void> {
    const { workspaces } = this.#options.context;
    const workspace = workspaces.addBeyond(foldersOf(this.#name).at(-1) ?? "");
    const temp = workspace.create();
    try {
      await this.#temp.copyTo(temp, workspace.abilities.hasHoles);
    } catch (error) {
      temp.discard();
      throw error;
    }
    tryTo(() => this.#temp.discard());
    this.#temp = temp;
    this.#workspace = workspace;
  }

  #call<T>(atOnce: () => T, later: () => Promise<T>): Maybe<T> {
    return this.#options.context.folders.pace.call(atOnce, later);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.resumable?.note?.renew();
    this.#options.onEnd();
    this.#temp.close(!this.#isWriting);
  }

  /** The preferred name. */
  get #name(): string {
    const { nameOf, first } = this.#options.names;
    return nameOf(first);
  }

  get what(): string {
    return `Cannot store ${quoted(this.#name)}`;
  }
}
