/**
 * What the store keeps of a tus upload for this wire.
 *
 * @module
 */

import { hostOf, isNear } from "../lib/address.ts";
import type { Client } from "../lib/server/clients.ts";
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

/**
 * Whose share of all uploads a new one counts for: that of the user, or of the address. Clients on this
 * machine have none, as with the places for clients: a tunnel or a proxy brings all of its from there.
 */
export function ownerOf({ user, address }: Client): string | undefined {
  if (user) return `user ${user.name}`;
  return isNear(address) ? undefined : `address ${hostOf(address)}`;
}
