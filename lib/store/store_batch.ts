/**
 * The interface of a batch: small files, folders and links of one sender, which arrive one after another.
 *
 * @module
 */

import type { FolderFacts, LinkFacts } from "../../protocol.ts";
import type { Facts } from "../body/file_facts.ts";
import type { InletError } from "../errors.ts";
import type { Maybe } from "./maybe.ts";

/** A file of a batch. Before the batch is committed, it may have neither name nor failure. */
export interface BatchedFile {
  /** The published name, once it is published. */
  name?: string;
  /** Why it was not stored. */
  failure?: InletError;
}

/** A folder of a batch. Before the batch is committed, it may have neither name nor failure. */
export interface BatchedFolder extends BatchedFile {
  /** Whether it was missing before. */
  isNew?: boolean;
  /** Whether it got the permission bits and the time that were announced, with all announced files. */
  isFinished?: boolean;
}

/** What is announced of a folder in a batch. The number of files is a guess: more or fewer may come. */
export type BatchedFolderFacts = FolderFacts;

/**
 * Files and folders of one sender that arrive one after another. A file or folder may be published
 * at once or when the batch is committed, and is acknowledged only after that.
 */
export interface StoreBatch extends Disposable {
  /** How many of the files that were announced with the last folder have not come yet. */
  readonly owed: number;

  /**
   * Settles once another of those that were added has a name or a failure. Missing if each has one, or
   * gets it by {@linkcode StoreBatch.commit} alone.
   */
  readonly settling?: Promise<void> | undefined;

  /**
   * Adds a file that is complete in memory. The caller may reuse that memory once this has settled.
   *
   * @returns The file; its name is the first free one. No file is ever replaced.
   * @throws {InletError} what is known to keep it from being stored
   */
  put(name: string, content: Uint8Array, facts?: Facts): Maybe<BatchedFile>;

  /**
   * Adds a folder and its parents, as far as they are missing. What was added before is committed. A time
   * that is told with a number of files is set with the last of them, if at all, and so are permission
   * bits that could keep them out.
   *
   * @throws {InletError} what is known to keep it from being made
   */
  makeFolder(name: string, facts?: BatchedFolderFacts): Maybe<BatchedFolder>;

  /**
   * Makes a symbolic link under the first free name, and its parents. The same link that is there
   * already is left as it is. No link is ever followed. What was added before is committed.
   *
   * @throws {InletError} `bad-name` or `no-space`; `denied` for a link that leads out of the store
   */
  makeLink(name: string, facts: LinkFacts): Maybe<BatchedFolder>;

  /**
   * Publishes all that was added. Each file and folder has a name or a failure then, and the next
   * files and folders can be added. It never fails as a whole.
   */
  commit(): Maybe<void>;
}
