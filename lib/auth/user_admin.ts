/**
 * Adds and removes users: `server.ts --users FILE --add-user NAME`.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { keyPairOf, makeScalar } from "./identity.ts";
import { identityPath, makeSecretFile, randomHex } from "./key.ts";
import { formatTokenFile, isUserName } from "./user_token.ts";
import {
  cannotUse,
  formatUser,
  isMissing,
  noIdentity,
  parseUsers,
  readIdentity,
  type UserRights,
} from "./users_file.ts";

/** A user to be added. */
export interface NewUser {
  name: string;
  rights: UserRights;
}

/** The first line of a new file. Without users it stays: a server takes no empty file. */
const HEADING = "# The users of a server of inlet, each with name, public key and rights\n";

/**
 * Adds a user to a users file, and writes the token for the user's client. It makes the server's
 * identity and the users file if there are none.
 *
 * @param token Path of the token's file, which must not exist.
 * @throws {InletError} `usage` if the name is taken, or a file cannot be written or used
 */
export async function addUser(path: string, token: string, user: NewUser): Promise<void> {
  const { name, rights } = user;
  if (!isUserName(name)) {
    const how = "give letters, digits, dots, dashes and underscores, at most 64 bytes";
    throw new InletError("usage", `Cannot add the user ${quoted(name)}: ${how}`);
  }
  using _ = lockIdentity(path);
  const before = readIfThere(path);
  if (parseUsers(before, path).some((line) => line.name === name)) {
    throw new InletError("usage", `Cannot add the user ${quoted(name)}: there is one already`);
  }
  const { spki: server } = await readIdentity(path);
  const secret = Uint8Array.from(makeScalar());
  const { spki } = await keyPairOf(secret);
  const text = await formatTokenFile({ name, server, secret });
  makeSecretFile(token, text, "the token", "move it away first");
  try {
    const end = before === "" || before.endsWith("\n") ? "" : "\n";
    replace(path, `${before || HEADING}${end}${formatUser({ name, spki, rights })}\n`);
  } catch (error) {
    // A token that opens nothing is not left behind.
    Deno.removeSync(token);
    throw error;
  }
}

/**
 * Removes a user from a users file.
 *
 * @throws {InletError} `usage` if there is no such user, or the file cannot be written
 */
export function removeUser(path: string, name: string): void {
  if (isMissing(path)) throw cannotUse(path, "there is none");
  using _ = lock(path);
  const isUser = (line: string): boolean =>
    isUserName(name) && line.trim().split(/[ \t]+/)[0] === name;
  const lines = readIfThere(path).split("\n");
  const left = lines.filter((line) => !isUser(line)).join("\n");
  if (!lines.some(isUser)) {
    throw new InletError(
      "usage",
      `Cannot remove the user ${quoted(name)}: there is none in ${quoted(path)}`,
    );
  }
  replace(path, left.trim() === "" ? HEADING : left);
}

/** The file that is written: a link to it stays one. */
export function writtenPath(path: string): string {
  try {
    return Deno.lstatSync(path).isSymlink ? Deno.realPathSync(path) : path;
  } catch {
    return path;
  }
}

/** Locks the server's identity, and makes it if there are no users who know another one. */
function lockIdentity(path: string): Disposable {
  // Read first: whoever adds users at the same time makes the identity before the first of them.
  const hasUsers = parseUsers(readIfThere(path), path).length > 0;
  if (hasUsers && isMissing(identityPath(path))) throw noIdentity(path, "there is none");
  const file = lock(path, { create: true, mode: 0o600 });
  if (!hasUsers && file.statSync().size === 0) {
    // It may have been there, and open to others.
    Deno.chmodSync(identityPath(path), 0o600);
    file.writeSync(new TextEncoder().encode(`${randomHex()}\n`));
  }
  return file;
}

/** Keeps others from changing the users meanwhile. */
function lock(path: string, options: Deno.OpenOptions = {}): Deno.FsFile {
  const identity = identityPath(path);
  try {
    const file = Deno.openSync(identity, { read: true, write: true, ...options });
    file.lockSync(true);
    return file;
  } catch (error) {
    const what = `Cannot lock the server's identity ${quoted(identity)}`;
    throw new InletError("usage", explain(error, what).message, { cause: error });
  }
}

/** Writes a file anew, so that a server reads the old one or the new one. */
function replace(path: string, text: string): void {
  const what = `Cannot write the users file ${quoted(path)}`;
  try {
    const file = writtenPath(path);
    const next = `${file}.${randomHex().slice(0, 8)}.next`;
    const before = isMissing(file) ? undefined : Deno.statSync(file);
    const mode = (before?.mode ?? 0o600) & 0o777;
    Deno.writeTextFileSync(next, text, { mode, createNew: true });
    try {
      // The server has to read it, whoever writes it.
      if (before && before.uid !== null) Deno.chownSync(next, before.uid, before.gid);
      Deno.renameSync(next, file);
    } catch (error) {
      Deno.removeSync(next);
      throw error;
    }
  } catch (error) {
    throw new InletError("usage", explain(error, what).message, { cause: error });
  }
}

function readIfThere(path: string): string {
  if (isMissing(path)) return "";
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    const what = `Cannot read the users file ${quoted(path)}`;
    throw new InletError("usage", explain(error, what).message, { cause: error });
  }
}
