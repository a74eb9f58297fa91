/**
 * The permissions that the server's command line cannot do without.
 *
 * @module
 */

import type { Access } from "../auth/access.ts";
import { identityPath } from "../auth/key.ts";
import { type Need, needsOfAddress } from "../cli/permissions.ts";
import { isBucketAddress } from "./bucket_options.ts";
import type { ServeOptions } from "./serve_options.ts";

/** The options that decide. */
interface Needing
  extends
    Pick<ServeOptions, "users" | "cert" | "certKey">,
    Pick<ServeOptions, "store" | "s3Endpoint" | "s3Region"> {
  hostname: string;
  port?: number;
  path?: string;
  directory: string;
  access: Access;
}

/**
 * @param stores Whether the mode has files.
 * @param tokenFile Path of the key file, which is made if `generate` says so.
 * @param program The one of `--on-stored`.
 */
export async function needsOf(
  { hostname, port = 0, path, directory, access, users, cert, certKey, ...place }: Needing,
  { stores, tokenFile, generate, program }: {
    program: string | undefined;
    stores: boolean;
    tokenFile: string | undefined;
    generate: boolean;
  },
): Promise<Need[]> {
  const needs = needsOfAddress(path === undefined ? { hostname, port } : { path });
  const { store: address } = place;
  if (stores && isBucketAddress(address)) {
    const { needsOfBucket } = await import("./bucket.ts");
    needs.push(...needsOfBucket({ ...place, address }));
  } else if (stores) {
    needs.push({ name: "read", path: directory });
    if (access !== "read-only") needs.push({ name: "write", path: directory });
  }
  const ofUsers = users === undefined ? [] : [users, identityPath(users)];
  for (const path of [tokenFile, ...ofUsers, cert, certKey]) {
    if (path !== undefined) needs.push({ name: "read", path });
  }
  if (tokenFile !== undefined && generate) needs.push({ name: "write", path: tokenFile });
  if (program !== undefined) needs.push({ name: "run", command: program });
  // It is looked at, to tell now whether it is there.
  if (program?.includes("/")) needs.push({ name: "read", path: program });
  return needs;
}
