/**
 * The partial file of an interrupted upload, and how it is taken over.
 *
 * A fingerprint finds a partial file. It proves nothing: the caller has the client answer for
 * ranges of the content before it takes the file over.
 *
 * @module
 */

import { explain } from "../errors.ts";
import { lstatIfThere } from "./folders.ts";
import type { Opened, RegularFile } from "./regular_file.ts";
import { isSameFile, type TempFile } from "./temp_file.ts";
import type { Asker, PartialFile, Resumable } from "./store.ts";
import type { FileUpload } from "./upload.ts";
import type { Candidate, Workspace } from "./workspace.ts";

/** Milliseconds without a byte after which the upload of another client can be taken over. */
const QUIET_MS = 5000;

/**
 * Milliseconds without a write after which the upload of another server counts as abandoned. It is
 * longer than the lease of an upload, so that the other server stops first if it is alive.
 */
const ABANDONED_MS = 15_000;

/**
 * Most partial files of one fingerprint, those that are being sent included. None is removed for a
 * further one: a stranger who knows the fingerprint could have an owner's removed.
 */
export const MAX_PARTIALS = 8;

/** Milliseconds between two looks at the upload of another server. */
const LOOK_MS = 500;

/** How it can be resumed in its turn, found by whatever it was found by before. */
type How = Partial<Resumable>;

/** What a {@linkcode DirectoryPartial} is made of. */
export interface Found {
  workspace: Workspace;
  hash: string;
  candidate: Candidate;
  /** The upload of this process that still writes it. */
  live?: FileUpload | undefined;
  /** Bytes of it that count. */
  most?: number | undefined;
  /** Tells the operator why it takes long. */
  warn(message: string): void;
  /** Makes an upload of a file that was taken over. */
  resume(temp: TempFile, how: How): FileUpload;
}

/**
 * The files that an upload may resume, the best first: that of the client's own earlier connection,
 * then what was kept, then uploads in which nothing moves, of this server and of others.
 *
 * @param uploads The uploads of this process that may be among them.
 */
export function inOrder<T extends Candidate>(
  candidates: readonly T[],
  uploads: readonly FileUpload[],
  ticket: string | undefined,
): { candidate: T; live?: FileUpload | undefined }[] {
  const all = candidates.map((candidate) => ({
    candidate,
    live: uploads.find(({ path }) => path === candidate.path),
  }));
  const ordered = [
    ...all.filter(({ live }) =>
      ticket !== undefined && live?.ticket === ticket && live.quietMs > 0
    ),
    ...all.filter(({ candidate }) => candidate.kept),
    ...all.filter(({ live }) => live && live.ticket !== ticket && live.quietMs >= QUIET_MS),
    ...all.filter(({ candidate, live }) => !candidate.kept && !live),
  ];
  return ordered.slice(0, MAX_PARTIALS);
}

/** A partial file in a directory. */
export class DirectoryPartial implements PartialFile, Disposable {
  readonly bytes: number;
  readonly #found: Found;
  readonly #file: RegularFile;

  private constructor(found: Found, { file, facts }: Opened) {
    this.#found = found;
    this.#file = file;
    this.bytes = Math.min(facts.size, found.most ?? Infinity);
  }

  /** Opens a file that was found; returns `undefined` if it has gone or changed meanwhile. */
  static open(found: Found): DirectoryPartial | undefined {
    try {
      const opened = found.workspace.open(found.candidate);
      return opened && new DirectoryPartial(found, opened);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const read = await this.#file.read(into.subarray(filled), offset + filled);
      if (read === 0) break;
      filled += read;
    }
    return filled;
  }

  async take(how: How, asker: Asker = {}): Promise<FileUpload | undefined> {
    try {
      return await this.#take(how, asker);
    } catch (error) {
      throw explain(error, "Cannot resume the upload");
    }
  }

  async #take(how: How, asker: Asker): Promise<FileUpload | undefined> {
    const { workspace, hash, candidate, live, resume, warn, most = Infinity } = this.#found;
    if (live) await live.handOver();
    else if (!candidate.kept && !await isAbandoned(workspace, candidate, warn, asker.signal)) {
      return undefined;
    }
    // Its name may have changed; the file is the one whose content was proven.
    const all = await workspace.candidates(hash);
    const now = all.find(({ info }) => isSameFile(info, candidate.info));
    const temp = now && workspace.take(now, hash);
    temp?.cutTo(most);
    return temp && resume(temp, how);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Waits until the upload of another server has not been written for long enough. */
async function isAbandoned(
  workspace: Workspace,
  { path, info }: Candidate,
  warn: (message: string) => void,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { delay } = await import("@std/async/delay");
  for (;;) {
    const now = lstatIfThere(path);
    if (!now || !isSameFile(now, info) || now.size !== info.size) return false;
    if (workspace.quietMs(now) >= ABANDONED_MS) return true;
    warn(`waits up to ${ABANDONED_MS / 1000} s: another program may be writing the partial file`);
    await delay(LOOK_MS, signal && { signal });
  }
}

/** Hashes a fingerprint, so that the names in the workspace do not tell a fingerprint. */
export async function hashOf(fingerprint: string): Promise<string> {
  const bytes = new TextEncoder().encode(`inlet partial ${fingerprint}`);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
