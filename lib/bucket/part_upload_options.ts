/**
 * What an upload to a bucket is made of.
 *
 * @module
 */

import type { BucketContext } from "./context.ts";
import type { LeasedState } from "./leased.ts";
import type { PartPool } from "./part_pool.ts";
import type { PartSchedule } from "./part_schedule.ts";
import type { NameList, Placing } from "./placing.ts";
import type { SmallFiles } from "./small.ts";

/** What all uploads of one store share. */
export interface PartUploads {
  readonly context: BucketContext;
  readonly placing: Placing;
  readonly small: SmallFiles;
  readonly pool: PartPool;
}

/** Options of a an upload. */
export interface PartUploadOptions extends PartUploads {
  readonly names: NameList;
  /** In bytes; `null` if it is not known. */
  readonly size: number | null;
  readonly schedule: PartSchedule;
  /** The state of an upload that is resumed, which this one holds. */
  readonly resumed?: LeasedState | undefined;
  /** How it is resumed if it is not published; without it, it is discarded. */
  readonly resuming?: Resuming | undefined;
  /** Whether what is written counts only once it is confirmed. */
  readonly isTentative?: boolean | undefined;
  /** Writes the state of a new upload, once it needs one. */
  createState(): Promise<LeasedState>;
}

/** How an upload is resumed. */
export interface Resuming {
  /** The secret of its client. */
  readonly ticket: string;
  /** Called when another client, or another server, goes on with it. It has ended then. */
  onTaken?(): void;
}
