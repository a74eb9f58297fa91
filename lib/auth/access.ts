/**
 * Access control: the requests that a read-only or a drop-only server refuses.
 *
 * @module
 */

import type { Request } from "../../protocol.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";

/** `read-only`: list and download. `drop-only`: upload, without seeing files or other clients. */
export type Access = "all" | "read-only" | "drop-only";

/** Who may not do everything reaches no other client. */
const MEETING = ["offer", "accept", "attend"] as const;

const REFUSED: Readonly<Record<Access, readonly Request["type"][]>> = {
  "all": [],
  "read-only": ["put", "push", "reput", "mkdir", "symlink", "say", ...MEETING],
  "drop-only": ["get", "reget", "compare", "diff", "tree", "list", "status", "say", ...MEETING],
};

/** Every {@linkcode Access}. */
export const ACCESS_RIGHTS: readonly string[] = Object.keys(REFUSED);

const REASON: Readonly<Record<Access, string>> = {
  "all": "",
  "read-only": "this server is read-only",
  "drop-only": "this server only accepts uploads",
};

const USERS_REASON: Readonly<Record<Access, string>> = {
  "all": "",
  "read-only": "you may only read",
  "drop-only": "you may only upload",
};

/** What a client may do: what the server permits to all, and what it permits to this user. */
export interface Rights {
  readonly server: Access;
  readonly user: Access;
}

/** Whether a client may only upload, and must not learn which names are taken. */
export function isDropOnly({ server, user }: Rights): boolean {
  return server === "drop-only" || user === "drop-only";
}

/**
 * Refuses a request that the access does not permit.
 *
 * @param what The action, for the message: `store "a.txt"`.
 * @throws {InletError} `denied`
 */
export function checkAccess({ server, user }: Rights, type: Request["type"], what: string): void {
  const why = REFUSED[server].includes(type)
    ? REASON[server]
    : REFUSED[user].includes(type)
    ? USERS_REASON[user]
    : undefined;
  if (why !== undefined) throw new InletError("denied", `Cannot ${what}: ${why}`);
}

/** Whether the access permits a request. */
export function mayAccess({ server, user }: Rights, type: Request["type"]): boolean {
  return !REFUSED[server].includes(type) && !REFUSED[user].includes(type);
}

/** The error for what a user does who was revoked. */
export function revoked({ name }: { name: string }): InletError {
  return new InletError("denied", `Cannot go on: the key of the user ${quoted(name)} was revoked`);
}
