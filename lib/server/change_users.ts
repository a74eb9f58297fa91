/**
 * The command line that adds or removes a user, and starts no server.
 *
 * @module
 */

import { dirname } from "@std/path/dirname";
import { addUser, removeUser, writtenPath } from "../auth/user_admin.ts";
import type { UserRights } from "../auth/users_file.ts";
import { stderr } from "../body/stderr.ts";
import { ensurePermissions, type Need, shellQuoted } from "../cli/permissions.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";

/** What is typed. */
interface Typed {
  users: string;
  "add-user": string | undefined;
  "remove-user": string | undefined;
  rights: UserRights | undefined;
}

/**
 * Adds or removes a user.
 *
 * @returns The exit code.
 * @throws {InletError} `usage`
 */
export async function changeUsers(typed: Typed, port: string | undefined): Promise<number> {
  const { users, "add-user": added, "remove-user": removed, rights = "all" } = typed;
  if (port !== undefined) {
    const option = added === undefined ? "--remove-user" : "--add-user";
    throw new InletError("usage", `Cannot use ${option} with a port: leave the port out`);
  }
  if (added === undefined) {
    await permitChanges(users);
    removeUser(users, removed!);
    stderr.add(`The user ${quoted(removed!)} is removed from ${quoted(users)}`);
    return 0;
  }
  const token = `${added}.token`;
  await permitChanges(users, token);
  await addUser(users, token, { name: added, rights });
  const file = shellQuoted(token);
  const [ours, curls] = rights === "read" ? ["--list", "/files/"] : ["FILE", "/"];
  stderr.add(
    `The token of the user ${quoted(added)} is in ${quoted(token)}, for nobody else:\n` +
      `  deno run client.ts HOST PORT --token-file ${file} ${ours}\n` +
      `  curl -K ${file} ${rights === "read" ? "" : "-T FILE "}https://HOST:PORT${curls}`,
  );
  return 0;
}

/**
 * Ensures that the users file and what is beside it may be changed. The folders are asked for: one by
 * one, the files would be eight questions.
 */
async function permitChanges(users: string, ...others: readonly string[]): Promise<void> {
  await permitFoldersOf([users, ...others]);
  // Where a link leads to can be told once it may be read.
  await permitFoldersOf([users, writtenPath(users), ...others]);
}

async function permitFoldersOf(paths: readonly string[]): Promise<void> {
  const folders = [...new Set(paths.map(dirname))];
  await ensurePermissions([
    ...folders.map((path): Need => ({ name: "read", path })),
    ...folders.map((path): Need => ({ name: "write", path })),
  ]);
}
