/**
 * Adds and removes users: `server.ts --users FILE --add-user NAME`.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { identityOf, keyPairOf, makeScalar } from "./identity.ts";
import { makeSecretFile, randomHex, readKey } from "./key.ts";
import { secretOf } from "./secret.ts";
import { formatToken, isUserName } from "./user_token.ts";
import { formatUser, identityPath, parseUsers, type RIGHTS } from "./users.ts";

/** A user to be added. */
export interface NewUser {
  name: string;
  rights: keyof typeof RIGHTS;
}

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
  if (!exists(identityPath(path))) {
    makeSecretFile(identityPath(path), randomHex(), "the server's identity", "use it");
  }
  using _ = lock(path);
  const before = readIfThere(path);
  if (parseUsers(before, path).some((line) => line.name === name)) {
    throw new InletError("usage", `Cannot add the user ${quoted(name)}: there is one already`);
  }
  const identity = await identityOf(await secretOf((await readKey(identityPath(path)))!));
  const scalar = Uint8Array.from(makeScalar());
  const { spki } = await keyPairOf(scalar);
  const text = formatToken({ name, server: identity.spki, secret: scalar });
  makeSecretFile(token, text, "the token", "move it away first");
  try {
    const end = before === "" || before.endsWith("\n") ? "" : "\n";
    replace(path, `${before}${end}${formatUser({ name, spki, rights })}\n`);
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
  using _ = lock(path);
  const before = readIfThere(path);
  const isUser = (line: string): boolean => line.trim().split(/[ \t]+/)[0] === name;
  const lines = before.split("\n");
  if (!lines.some(isUser)) {
    throw new InletError(
      "usage",
      `Cannot remove the user ${quoted(name)}: there is none in ${quoted(path)}`,
    );
  }
  replace(path, lines.filter((line) => !isUser(line)).join("\n"));
}

/** Keeps others from changing the users meanwhile. */
function lock(path: string): Disposable {
  const what = `Cannot change the users file ${quoted(path)}`;
  try {
    const file = Deno.openSync(identityPath(path), { read: true, write: true });
    file.lockSync(true);
    return file;
  } catch (error) {
    throw new InletError("usage", explain(error, what).message, { cause: error });
  }
}

/** Writes a file anew, so that a server reads the old one or the new one. */
function replace(path: string, text: string): void {
  const what = `Cannot write the users file ${quoted(path)}`;
  try {
    // A link stays one.
    const file = exists(path) ? Deno.realPathSync(path) : path;
    const mode = exists(path) ? Deno.statSync(path).mode ?? 0o600 : 0o600;
    Deno.writeTextFileSync(`${file}.next`, text, { mode: mode & 0o777 });
    Deno.renameSync(`${file}.next`, file);
  } catch (error) {
    throw new InletError("usage", explain(error, what).message, { cause: error });
  }
}

function readIfThere(path: string): string {
  return exists(path) ? Deno.readTextFileSync(path) : "";
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw explain(error, `Cannot read ${quoted(path)}`);
  }
}
