/**
 * What clients may do on a server that does not let them do everything.
 *
 * @module
 */

import type { Request } from "../../protocol.ts";
import { InletError } from "../errors.ts";

/** `read-only`: list and get. `drop-only`: put, and nothing that tells of others. */
export type Access = "all" | "read-only" | "drop-only";

const REFUSED: Readonly<Record<Access, readonly Request["type"][]>> = {
  "all": [],
  "read-only": ["put", "push", "reput", "mkdir", "say"],
  "drop-only": ["get", "reget", "compare", "tree", "list", "status", "say"],
};

const REASON: Readonly<Record<Access, string>> = {
  "all": "",
  "read-only": "this server only gives files",
  "drop-only": "this server only takes files",
};

/**
 * Refuses what is not permitted.
 *
 * @param what What was to be done, for the message: `store "a.txt"`.
 * @throws {InletError} `denied`
 */
export function checkAccess(access: Access, type: Request["type"], what: string): void {
  if (REFUSED[access].includes(type)) {
    throw new InletError("denied", `Cannot ${what}: ${REASON[access]}`);
  }
}
