/**
 * Access control: the requests that a read-only or a drop-only server refuses.
 *
 * @module
 */

import type { Request } from "../../protocol.ts";
import { InletError } from "../errors.ts";

/** `read-only`: list and download. `drop-only`: upload, without seeing files or other clients. */
export type Access = "all" | "read-only" | "drop-only";

const REFUSED: Readonly<Record<Access, readonly Request["type"][]>> = {
  "all": [],
  "read-only": ["put", "push", "reput", "mkdir", "say"],
  "drop-only": ["get", "reget", "compare", "tree", "list", "status", "say"],
};

/** Every {@linkcode Access}. */
export const ACCESS_RIGHTS: readonly string[] = Object.keys(REFUSED);

const REASON: Readonly<Record<Access, string>> = {
  "all": "",
  "read-only": "this server is read-only",
  "drop-only": "this server only accepts uploads",
};

/**
 * Refuses a request that the access does not permit.
 *
 * @param what The action, for the message: `store "a.txt"`.
 * @throws {InletError} `denied`
 */
export function checkAccess(access: Access, type: Request["type"], what: string): void {
  if (REFUSED[access].includes(type)) {
    throw new InletError("denied", `Cannot ${what}: ${REASON[access]}`);
  }
}
