/**
 * The options of a directory store.
 *
 * @module
 */

import type { Disk } from "./disk.ts";
import type { DiskSpace } from "./disk_space.ts";
import type { NamingOptions } from "./folders.ts";
import type { MadeFolders } from "./made_folders.ts";

/** Options of a directory store. */
export interface DirectoryOptions extends NamingOptions {
  /**
   * Whether a file and its folders are flushed to disk before the file is acknowledged.
   *
   * @default {false}
   */
  fsync?: boolean;
  /**
   * Milliseconds that a partial file is kept, if the client asked to resume it. 0 keeps none.
   *
   * @default {86_400_000}
   */
  keepPartialsMs?: number;
  /**
   * Most uploads that go on over several requests, those that are published and not forgotten included.
   *
   * @default {10_000}
   */
  maxUploads?: number;
  /**
   * Whether it receives downloads: then the names of its own files begin with `get-`, so that it is
   * not taken for a server that has the same directory.
   *
   * @default {false}
   */
  downloads?: boolean;
  /**
   * Whether nothing is written or removed.
   *
   * @default {false}
   */
  readOnly?: boolean;
  /**
   * The functions that write to the disk.
   *
   * @default {Deno}
   */
  disk?: Disk;
  /**
   * Remembers the folders that were made.
   *
   * @default {new MadeFolders()}
   */
  made?: MadeFolders | undefined;
  /** Refuses files that the disk has no room for, if their size is known before. */
  space?: DiskSpace | undefined;
  /**
   * Called with a line for the operator, once each: an entry that cannot be read, for example.
   *
   * @default {() => {}}
   */
  warn?: (message: string) => void;
}
