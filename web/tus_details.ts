/**
 * What the store keeps of a tus upload for this wire.
 *
 * @module
 */

import type { NewUpload } from "../lib/store/ongoing.ts";

/** The fields that its client gave, and who that was. */
export interface Details {
  /** The name of the user that it belongs to, on a server with users. */
  readonly user?: string | undefined;
  /** `Upload-Metadata`. */
  readonly metadata?: string | undefined;
  /** `Upload-Concat`. */
  readonly concat?: string | undefined;
  /** What it has become a part of: a hash of the ids of all parts. */
  readonly joined?: string | undefined;
}

/** The details of an upload. */
export function detailsOf({ details }: Pick<NewUpload, "details">): Details {
  return JSON.parse(details);
}
