/**
 * Users for the tests: a users file, and the token of each of them.
 *
 * @module
 */

import { addUser, removeUser } from "../lib/auth/user_admin.ts";
import type { RIGHTS } from "../lib/auth/users_file.ts";
import { type TempDir, tempDir } from "./helpers.ts";

/** Users in a directory of their own, which is removed when it goes out of scope. */
export interface TestUsers extends TempDir {
  /** The users file. */
  readonly file: string;
  /** Path of a user's token. */
  tokenFile(name: string): string;
  /** The token itself: a line of that file. */
  token(name: string): string;
  /** The password in that file. */
  password(name: string): string;
  /** Adds a user, in the place of one with the name. */
  add(name: string, rights?: keyof typeof RIGHTS): Promise<void>;
  remove(name: string): void;
}

/** Makes users with their rights. */
export async function makeUsers(
  rights: Readonly<Record<string, keyof typeof RIGHTS>>,
): Promise<TestUsers> {
  const directory = await tempDir();
  const file = `${directory.path}/users`;
  const tokenFile = (name: string): string => `${directory.path}/${name}.token`;
  const users: TestUsers = {
    ...directory,
    file,
    tokenFile,
    token: (name) => /^# (.*)$/m.exec(Deno.readTextFileSync(tokenFile(name)))![1]!,
    password: (name) => /^user = ".*:(.*)"$/m.exec(Deno.readTextFileSync(tokenFile(name)))![1]!,
    add: (name, rights = "all") => addUser(file, tokenFile(name), { name, rights }),
    remove: (name) => {
      removeUser(file, name);
      Deno.removeSync(tokenFile(name));
    },
  };
  for (const [name, right] of Object.entries(rights)) await users.add(name, right);
  return users;
}
