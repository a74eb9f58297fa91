import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { createECDH } from "node:crypto";
import { credentialOf } from "../lib/auth/credential.ts";
import { keyPairOf, makeScalar } from "../lib/auth/identity.ts";
import { checkKey } from "../lib/auth/key.ts";
import { addUser, removeUser } from "../lib/auth/user_admin.ts";
import { formatToken, isUserName, parseToken } from "../lib/auth/user_token.ts";
import { formatUser, parseUsers, RIGHTS } from "../lib/auth/users_file.ts";
import { InletError } from "../lib/errors.ts";
import { printable } from "../lib/text.ts";
import {
  assertRefused,
  integration,
  names,
  onTmpfs,
  run,
  runScript,
  scriptPath,
  tempDir,
} from "./helpers.ts";
import { makeUsers } from "./user_files.ts";

const { spki: SPKI } = await keyPairOf(makeScalar());
const KEY = SPKI.toBase64();
const { spki: OTHER_SPKI } = await keyPairOf(makeScalar());
const OTHER = OTHER_SPKI.toBase64();

const KEY_OF_EVE = (await keyPairOf(makeScalar())).spki.toBase64();

/** A public key with a change in its bytes. */
function changed(change: (bytes: Uint8Array) => void): string {
  const bytes = SPKI.slice();
  change(bytes);
  return bytes.toBase64();
}

/** A point of another curve, said to be one of P-256. */
function ofOtherCurve(): string {
  const curve = createECDH("secp256k1");
  return changed((bytes) => bytes.set(new Uint8Array(curve.generateKeys()), 26));
}

async function ofP384(): Promise<string> {
  const how = { name: "ECDSA", namedCurve: "P-384" };
  const { publicKey } = await crypto.subtle.generateKey(how, true, ["sign"]) as CryptoKeyPair;
  return new Uint8Array(await crypto.subtle.exportKey("spki", publicKey)).toBase64();
}

const NO_KEY = "this is no public key of P-256";
const PARTS = "give a name, a public key and rights";

/** Lines that are broken, and what is said of them. */
const BROKEN: Readonly<Record<string, [line: string, why: string]>> = {
  "bad base64": [`ben ${KEY.replace("M", "!")} all`, NO_KEY],
  "base64 without its padding": [`ben ${KEY.replaceAll("=", "")} all`, NO_KEY],
  "base64 of another alphabet": [
    `ben ${changed((bytes) => bytes.fill(255, 27)).replaceAll("/", "_")} all`,
    NO_KEY,
  ],
  "a key that is too short": [`ben ${SPKI.slice(0, 90).toBase64()} all`, NO_KEY],
  "a key that is too long": [`ben ${Uint8Array.of(...SPKI, 0).toBase64()} all`, NO_KEY],
  "a key of P-384": [`ben ${await ofP384()} all`, NO_KEY],
  "a point of another curve": [`ben ${ofOtherCurve()} all`, NO_KEY],
  "a point beside the curve": [`ben ${changed((bytes) => bytes[90]! ^= 1)} all`, NO_KEY],
  "a point of zeros": [`ben ${changed((bytes) => bytes.fill(0, 27))} all`, NO_KEY],
  "a compressed point": [`ben ${changed((bytes) => bytes[26] = 2)} all`, NO_KEY],
  "no key": ["ben  all", PARTS],
  "no rights": [`ben ${KEY}`, PARTS],
  "too many words": [`ben ${KEY} all read`, PARTS],
  "unknown rights": [`ben ${KEY} write`, 'the rights are all, read, drop, not "write"'],
  "rights in capitals": [`ben ${KEY} All`, 'the rights are all, read, drop, not "All"'],
  "rights of every object": [
    `ben ${KEY} toString`,
    'the rights are all, read, drop, not "toString"',
  ],
  "a path as a name": [`../ben ${KEY} all`, '"../ben" is no name of a user'],
  "a name in two ways": [`be\u0301n ${KEY} all`, '"be\u0301n" is no name of a user'],
  "a name that is too long": [
    `${"b".repeat(65)} ${KEY} all`,
    `"${"b".repeat(65)}" is no name of a user`,
  ],
  "a control character in the name": [
    `be\x1b[2Jn ${KEY} all`,
    '"be\\u{1b}[2Jn" is no name of a user',
  ],
  "a control character in the key": [
    `ben ${KEY.slice(0, 20)}\f${KEY.slice(20)} all`,
    NO_KEY,
  ],
  "a control character in the rights": [
    `ben ${KEY} a\x00ll`,
    'the rights are all, read, drop, not "a\\u{0}ll"',
  ],
  "the name of another line": [`eve ${OTHER} all`, "line 2 has this name already"],
  "the key of another line": [`ben ${KEY_OF_EVE} all`, "line 2 has this key already"],
};

for (const [what, [line, why]] of Object.entries(BROKEN)) {
  Deno.test(`parseUsers() tells the number of a line with ${what}`, () => {
    const text = `# users\neve ${KEY_OF_EVE} read\n\n${line}\ntom ${OTHER} all\n`;
    const { message } = assertThrows(() => parseUsers(text, "users"), InletError);
    assertEquals(message, `Cannot use the users file "users": line 4: ${why}`);
  });
}

Deno.test("parseUsers() takes what editors make of a file", () => {
  const lines = [
    ...["\uFEFF# the users", "", ` ben\t${KEY}  all `, "# eve has left", `eve ${OTHER} drop`],
  ];
  const users = lines.slice(2).filter((line) => !line.startsWith("#"));
  assertEquals(users.length, 2);
  for (const text of [lines.join("\n"), lines.join("\r\n"), `${lines.join("\n")}\n`]) {
    assertEquals(parseUsers(text, "users"), [
      { name: "ben", spki: SPKI, access: "all" },
      { name: "eve", spki: OTHER_SPKI, access: "drop-only" },
    ]);
  }
});

/** Names of users. */
const name = fc.string({ unit: fc.constantFrom(..."azAZ09._-äßλ漢"), maxLength: 20 })
  .filter(isUserName);
const rights = fc.constantFrom(...Object.keys(RIGHTS) as (keyof typeof RIGHTS)[]);

Deno.test("parseUsers() reads what formatUser() writes", () => {
  fc.assert(fc.property(name, rights, (name, rights) => {
    const line = formatUser({ name, spki: SPKI, rights });
    assertEquals(parseUsers(line, "users"), [{ name, spki: SPKI, access: RIGHTS[rights] }]);
  }));
});

Deno.test("parseUsers() takes a text, or names a line of it in one line", () => {
  const words = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(KEY, OTHER, "all", "ben"));
  const line = fc.array(words, { maxLength: 4 }).map((words) => words.join(" "));
  const text = fc.array(line, { maxLength: 4 })
    .map((lines) => lines.join("\n"));
  fc.assert(fc.property(text, (text) => {
    try {
      const users = parseUsers(text, "users");
      assertEquals(new Set(users.map(({ name }) => name)).size, users.length);
    } catch (error) {
      assert(error instanceof InletError);
      const [, line] = /^Cannot use the users file "users": line (\d+): /.exec(error.message)!;
      assert(Number(line) <= text.split("\n").length);
      assertEquals(printable(error.message), error.message);
    }
  }));
});

Deno.test("parseToken() reads what formatToken() writes, and nothing that was cut off", () => {
  fc.assert(fc.property(name, fc.nat(), (name, cut) => {
    const token = { name, server: SPKI, secret: Uint8Array.from(makeScalar()) };
    const text = formatToken(token);
    assertEquals(parseToken(text), token);
    assertThrows(() => parseToken(text.slice(0, cut % text.length)), InletError, "it is damaged");
  }));
});

Deno.test("a token whose secret is no private key is damaged", async () => {
  for (const digit of ["0", "f"]) {
    const token = formatToken({ name: "ben", server: SPKI, secret: new Uint8Array(32) });
    const broken = token.replace(/0{64}$/, digit.repeat(64));
    await assertRejects(() => credentialOf(broken), InletError, "it is damaged, ask for a new one");
  }
});

integration("a server with a broken line in its users file does not start", async () => {
  await using users = await makeUsers({ ben: "all" });
  await Deno.writeTextFile(users.file, "eve nothing all", { append: true });
  const dir = `${users.path}/received`;
  const ended = await runScript("server.ts", ["0", "--users", users.file, "--dir", dir]);
  assertRefused(ended, 2, `Cannot use the users file "${users.file}": line 3: ${NO_KEY}`);
  assert(!names(users.path).includes("received"));
});

integration("a server needs its users file and its identity", async () => {
  await using users = await makeUsers({ ben: "all" });
  const refused = async (change: () => Promise<void>, line: string): Promise<void> => {
    await change();
    assertRefused(await runScript("server.ts", ["0", "--users", users.file]), 2, line);
  };
  const identity = `${users.file}.identity`;
  const cannot = `Cannot use the server's identity "${identity}"`;
  const anew = "put back a copy of it, or remove both files and add all users anew";
  await refused(() => Deno.truncate(identity), `${cannot}: it is damaged, ${anew}`);
  await refused(() => Deno.remove(identity), `${cannot}: there is none, ${anew}`);
  // Another identity would make all tokens worthless.
  await assertRejects(() => users.add("eve"), InletError, `${cannot}: there is none, ${anew}`);
  const file = `Cannot use the users file "${users.file}"`;
  await refused(
    () => Deno.truncate(users.file),
    `${file}: it is empty, add a user with --add-user NAME`,
  );
  await refused(
    () => Deno.remove(users.file),
    `${file}: there is none, make it with --add-user NAME`,
  );
});

integration("addUser() changes nothing if it refuses, and says why", async () => {
  await using users = await makeUsers({ ben: "all" });
  await users.write("eve.token", "of somebody else\n");
  const before = await Deno.readTextFile(users.file);
  const refused = (name: string, why: string) =>
    assertRejects(() => users.add(name), InletError, why);
  await refused("ben", 'Cannot add the user "ben": there is one already');
  const how = "give letters, digits, dots, dashes and underscores, at most 64 bytes";
  for (const name of ["", "../ben", ".ben", "ben smith", "#ben", "be\nn", "b".repeat(65)]) {
    await refused(name, how);
  }
  await refused("eve", "it exists already, move it away first");
  assertEquals(await Deno.readTextFile(users.file), before);
  assertEquals(await Deno.readTextFile(users.tokenFile("eve")), "of somebody else\n");
  assertEquals(names(users.path), ["ben.token", "eve.token", "users", "users.identity"]);
});

integration("removeUser() removes a line, and leaves the others as they are", async () => {
  await using users = await makeUsers({ ben: "all", benno: "drop", eve: "read" });
  const text = await Deno.readTextFile(users.file);
  // Also from a file with a line that is broken: it may be this one.
  const odd = `${text.replaceAll("\n", "\r\n")}# ben comes later\r\nben broken\r\n`;
  await Deno.writeTextFile(users.file, odd);
  for (const name of ["nobody", "#", ""]) {
    assertThrows(
      () => removeUser(users.file, name),
      InletError,
      `Cannot remove the user "${name}": there is none in "${users.file}"`,
    );
  }
  assertThrows(() => removeUser(`${users.file}2`, "ben"), InletError, "there is none");
  removeUser(users.file, "ben");
  const lines = odd.split("\n").filter((line) => !line.startsWith("ben "));
  assertEquals(await Deno.readTextFile(users.file), lines.join("\n"));
});

integration("a users file without users is no empty one", async () => {
  await using users = await makeUsers({ ben: "all" });
  const line = (await Deno.readTextFile(users.file)).split("\n").at(-2)!;
  await Deno.writeTextFile(users.file, line);
  removeUser(users.file, "ben");
  assertMatch(await Deno.readTextFile(users.file), /^# .*\n$/);
});

integration("addUser() and removeUser() leave a link a link, and modes as they are", async () => {
  await using users = await makeUsers({ ben: "all" });
  const modeOf = (path: string): number => Deno.statSync(path).mode! & 0o777;
  for (const name of names(users.path)) assertEquals(modeOf(`${users.path}/${name}`), 0o600, name);
  await Deno.mkdir(`${users.path}/etc`);
  await Deno.rename(users.file, `${users.path}/etc/users`);
  await Deno.symlink("etc/users", users.file);
  await Deno.chmod(users.file, 0o640);
  await users.add("eve");
  users.remove("ben");
  assert((await Deno.lstat(users.file)).isSymlink);
  assertEquals(modeOf(users.file), 0o640);
  assertEquals(names(`${users.path}/etc`), ["users"]);
  assertMatch(await Deno.readTextFile(users.file), /^#.*\neve \S+ all\n$/);
});

integration("--add-user several times at once adds each, under one identity", async () => {
  await using local = await tempDir();
  const add = ["run", "-A", scriptPath("server.ts"), "--users", "users", "--add-user"];
  const people = ["ann", "ben", "eve", "tom"];
  const added = await Promise.all(
    people.map((name) => run(Deno.execPath(), [...add, name], { cwd: local.path })),
  );
  assertEquals(added.map(({ code }) => code), [0, 0, 0, 0]);
  const text = await Deno.readTextFile(`${local.path}/users`);
  assertEquals(parseUsers(text, "users").map(({ name }) => name).sort(), people);
  const servers = people.map((name) =>
    parseToken(checkKey(Deno.readTextFileSync(`${local.path}/${name}.token`), name)).server.toHex()
  );
  assertEquals(new Set(servers).size, 1);
});

integration("--add-user on a disk that is read-only says so, and leaves no token", async () => {
  await using local = await tempDir();
  await Deno.mkdir(`${local.path}/disk`);
  const users = `${local.path}/disk/users`;
  const [command, ...under] = onTmpfs(`${local.path}/disk`, "ro");
  const add = ["run", "-A", scriptPath("server.ts"), "--users", users, "--add-user", "ben"];
  const ended = await run(command!, [...under, Deno.execPath(), ...add], { cwd: local.path });
  assertRefused(
    ended,
    2,
    `Cannot lock the server's identity "${users}.identity": the disk is read-only`,
  );
  assertEquals(names(local.path), ["disk"]);
}, { mounts: true });

integration("a token that cannot be used is not left behind", async () => {
  await using local = await tempDir();
  // The name has room for what is behind the identity's, and not for what is behind the next file's.
  const file = `${local.path}/${"u".repeat(244)}`;
  await assertRejects(
    () => addUser(file, `${local.path}/eve.token`, { name: "eve", rights: "all" }),
    InletError,
    "Cannot write the users file",
  );
  assertEquals(names(local.path).map((name) => name.replace(/^u+/, "")), [".identity"]);
});
