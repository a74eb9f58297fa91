/**
 * The interface of uploads that go on over several requests, and over several runs of a server, for
 * wires whose clients keep no connection.
 *
 * Each is known by an id that only its client has. What has arrived of it is a partial file like any
 * other. Beside it the store keeps what the wire has to know again. No path crosses this interface.
 *
 * @module
 */

import type { Maybe, PartialFile, Store, Upload } from "./store.ts";

/** What is known of an upload when it begins. */
export interface NewUpload {
  /** The name to publish it under. */
  readonly name: string;
  /** In bytes; `null` if its client does not know it yet. */
  readonly size: number | null;
  /** What the wire keeps of it: at most 64 KiB of text. */
  readonly details: string;
  /** Who begins it, and has half of all uploads at most; missing for one without that limit. */
  readonly owner?: string | undefined;
  /** That of the file, by which a client that proves to have it finds the partial file too. */
  readonly fingerprint?: string | undefined;
}

/** What became of an upload. */
export interface Outcome {
  /** The published name. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
}

/** How an upload is taken over. */
export interface Taking {
  /** Milliseconds without a byte after which it is taken from the client that sends it. */
  readonly quietMs: number;
  /** Whether what is written counts only once it is {@linkcode OngoingUpload.confirm confirmed}. */
  readonly isTentative?: boolean;
  /** Called when it is taken over in its turn. It has ended then. */
  onTaken?(): void;
}

/** The uploads of a store that go on over several requests. */
export interface OngoingUploads {
  /** Whether what has arrived of one can be read. Otherwise they cannot be joined to one file. */
  readonly canOpen: boolean;
  /** Milliseconds for which one is kept, counted from its last byte: as long as a partial file. */
  readonly keepMs: number;

  /**
   * Begins one. If there are too many, one that loses little gives way to it: it is published, or less
   * than a MiB has arrived.
   *
   * @param id At least 128 random bits, which its client alone is told.
   * @throws {InletError} `bad-name`; `denied` if no partial files are kept; `overloaded` if there are
   * too many
   */
  begin(id: string, upload: NewUpload): Promise<OngoingUpload>;

  /** Finds one; `undefined` if there is none, or if it has expired. */
  find(id: string): Promise<OngoingUpload | undefined>;
}

/** An upload, as it was when it was found. */
export interface OngoingUpload extends NewUpload {
  /** Bytes that have arrived. */
  readonly bytes: number;
  /** What became of it; missing until it is published, by whomever. */
  readonly outcome: Outcome | undefined;
  /** When something of it arrived last, or became known. */
  readonly written: Date;
  /**
   * Milliseconds since something of it arrived, if a client is sending it: to this process, or to
   * another one as far as the store knows.
   */
  readonly quietMs: number | undefined;

  /**
   * Starts sending it, or goes on behind what has arrived.
   *
   * @param signal Ends the wait for another program that may be writing it.
   * @returns `undefined` if another client is sending it
   */
  take(how: Taking, signal?: AbortSignal): Promise<OngoingBody | undefined>;

  /** Opens what has arrived, to read it; `undefined` if it is gone, or cannot be read. */
  open(): Promise<(PartialFile & Disposable) | undefined>;

  /** Keeps other details, or a size that is known now. */
  change(changed: Partial<Pick<NewUpload, "size" | "details">>): Maybe<void>;

  /** Has what was written tentatively count. */
  confirm(): Maybe<void>;

  /** Keeps what became of it, and nothing of its content. */
  conclude(outcome: Outcome): Promise<void>;

  /** Removes all of it, also from the client that sends it. What is published stays. */
  remove(): Promise<void>;
}

/** The body of one that is being sent. What has arrived is kept if it is disposed of unpublished. */
export interface OngoingBody extends Upload {
  /**
   * Ends it unpublished, and has all that was written stay until it is taken again. Dispose of it all
   * the same.
   *
   * @throws {InletError} if less of it stays: `no-space` or `overloaded` if the store could not take it;
   * `aborted` if another client has taken it over, or another program removed it
   */
  keep(): Promise<void>;
}

/** A store for wires of which some have such uploads. */
export interface ServerStore extends Store {
  /** Missing if it has none: then such uploads are denied. */
  readonly ongoing?: OngoingUploads;

  /**
   * Sweeps, unless another server of the same store has done so in its turn within so many milliseconds.
   * Missing where each server may do it.
   */
  sweepInTurn?(withinMs: number): Promise<void>;
}
