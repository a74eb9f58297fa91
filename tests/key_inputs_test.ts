/**
 * What people give as a key, on both sides; and what a client is told whose key, or lack of one, is
 * not what the server has.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type Code, InletError, send, type SendOptions } from "../client.ts";
import {
  assertRefused,
  fixture,
  integration,
  names,
  run,
  runClient,
  runScript,
  scriptPath,
  startServer,
  type TempDir,
  tempDir,
} from "./helpers.ts";
import { KEY, OTHER_KEY } from "./interception.ts";
import { impostor } from "./wire.ts";

const encoder = new TextEncoder();

const NOT_ENCRYPTED =
  "Cannot use the key: this inlet server has none, and does not encrypt; nothing was sent";

const NEEDS_KEY =
  "Cannot go on: this server requires a key and is encrypted: give --token-file FILE, or INLET_TOKEN and --allow-env=INLET_TOKEN";

const OTHER = "Cannot trust the server: it does not hold this key, so nothing was sent; " +
  "check the address and the key";

/** Writes a file that only its owner can read. */
async function secret(local: TempDir, name: string, content: string | Uint8Array): Promise<string> {
  const path = await local.write(name, content);
  await Deno.chmod(path, 0o600);
  return path;
}

const NONE = "Cannot use the key in FILE: it is empty; server.ts --generate-token makes one";

const REFUSED: Readonly<Record<string, [content: string | Uint8Array, line: string]>> = {
  "empty": ["", NONE],
  "blank": [" \r\n\uFEFF\n", NONE],
  "short": ["fifteen letters", "Cannot use the key in FILE: it is shorter than 16 characters"],
  "repeated": ["a".repeat(64), "Cannot use the key in FILE: it is one character again and again"],
  "random": [
    Uint8Array.of(0xff, ...encoder.encode(KEY)),
    "Cannot read the key file FILE: it is not text in UTF-8",
  ],
};

for (const [what, [content, line]] of Object.entries(REFUSED)) {
  integration(`a key that is ${what} is refused on both sides`, async () => {
    await using local = await tempDir();
    const path = await secret(local, "key", content);
    const args = ["--token-file", path];
    const expected = line.replace("FILE", JSON.stringify(path));
    assertRefused(await runScript("server.ts", ["0", "--dir", local.path, ...args]), 2, expected);
    assertRefused(await runClient({ port: 1 }, ["--list", ...args]), 2, expected);
  });
}

integration("a key is the same with whatever an editor puts around it", async () => {
  await using local = await tempDir();
  const crlf = await local.write("crlf", `${KEY}\r\n`);
  await Deno.chmod(crlf, 0o640);
  await using server = await startServer({ args: ["--token-file", crlf] });
  const bom = await secret(local, "bom", `\uFEFF${KEY}\n`);
  const blanks = await secret(local, "blanks", `\n\t ${KEY} \n\n`);
  for (const path of [bom, blanks]) {
    const { code, stderr } = await runClient(server, ["--list", "--token-file", path]);
    assertEquals([code, stderr], [0, ""]);
  }
  const warning = `the key file "${crlf}" can be read by others on this machine: chmod 600 ${crlf}`;
  const { code, stderr } = await runClient(server, ["--list", "--token-file", crlf]);
  assertEquals([code, stderr], [0, `warning: ${warning}\n`]);
  await server.running.says(new RegExp(`${warning}$`));
});

integration("a key with accents is the same however they are encoded", async () => {
  await using local = await tempDir();
  const phrase = "crème brûlée à la carte";
  const composed = await secret(local, "nfc", phrase.normalize("NFC"));
  const decomposed = await secret(local, "nfd", phrase.normalize("NFD"));
  await using server = await startServer({ args: ["--token-file", composed] });
  const { code, stderr } = await runClient(server, ["--list", "--token-file", decomposed]);
  assertEquals(code, 0);
  assertMatch(
    stderr,
    /^warning: the key was not made by inlet, [^\n]*--generate-token makes a better one\n$/,
  );
});

integration(
  "a token opens the server that made it, no other one, and is no server's key",
  async () => {
    await using local = await tempDir();
    const users = (name: string): string => `${local.path}/${name}`;
    for (const server of ["one", "other"]) {
      const args = ["--users", users(server), "--add-user", `${server}-ada`];
      const added = await run(Deno.execPath(), ["run", "-A", scriptPath("server.ts"), ...args], {
        cwd: local.path,
      });
      assertEquals(added.code, 0, added.stderr);
    }
    const tokenOf = (server: string): string => `${local.path}/${server}-ada.token`;
    await using server = await startServer({ args: ["--users", users("one")] });
    const right = await runClient(server, ["--list", "--token-file", tokenOf("one")]);
    assertEquals([right.code, right.stderr], [0, ""]);
    const wrong = await runClient(server, ["--list", "--token-file", tokenOf("other")]);
    assertRefused(wrong, 5, OTHER);
    const args = ["0", "--dir", local.path, "--token-file", tokenOf("one")];
    const why = "it is the token of a user, for client.ts";
    const line = `Cannot use "${tokenOf("one")}" as the key of a server: ${why}`;
    assertRefused(await runScript("server.ts", args), 2, line);
  },
);

const COMMANDS: Readonly<Record<string, string[]>> = {
  "--list": ["--list"],
  "--status": ["--status"],
  "--get": ["--get", "a"],
  "--session": ["--session"],
  "--retry": [fixture("hello.txt"), "--retry", "3"],
  "a message": [],
};

for (const [what, command] of Object.entries(COMMANDS)) {
  integration(`${what} ends at once where one side has a key and the other has not`, async () => {
    await using local = await tempDir();
    const key = await secret(local, "key", KEY);
    const other = await secret(local, "other", OTHER_KEY);
    await using plain = await startServer();
    await using keyed = await startServer({ args: ["--token-file", key] });
    const stdin = "list\n";
    const ask = (server: { port: number }, ...args: readonly string[]) =>
      runClient(server, [...command, ...args], { cwd: local.path, stdin });
    assertRefused(await ask(plain, "--token-file", key), 5, NOT_ENCRYPTED);
    assertRefused(await ask(keyed), 3, NEEDS_KEY);
    assertRefused(await ask(keyed, "--token-file", other), 5, OTHER);
    assertEquals([names(plain.dir), names(keyed.dir)], [[], []]);
  });
}

integration("INLET_TOKEN encrypts as a key file does, and a mode that cannot says so", async () => {
  await using local = await tempDir();
  await using keyed = await startServer({ args: ["--token-file", await local.write("key", KEY)] });
  const list = (server: { port: number }, key: string) =>
    runClient(server, ["--list"], { env: { INLET_TOKEN: key } });
  assertEquals((await list(keyed, `${KEY}\n`)).code, 0);
  assertRefused(await list(keyed, OTHER_KEY), 5, OTHER);
  assertRefused(await list(keyed, ""), 2, NONE.replace("FILE", "INLET_TOKEN"));
  await using plain = await startServer();
  assertRefused(await list(plain, KEY), 5, NOT_ENCRYPTED);
  using raw = impostor();
  const sending = runClient(raw, [fixture("hello.txt"), "--mode", "raw"], {
    env: { INLET_TOKEN: KEY },
  });
  {
    using wire = await raw.accept();
    assertEquals(await wire.rest(), "hello\n");
  }
  const warning = "mode raw does not encrypt: the key in INLET_TOKEN is not used";
  assertMatch((await sending).stderr, new RegExp(`^warning: ${warning}\n`));
});

integration("send() refuses a key that it cannot use, and a server that has another", async () => {
  await using local = await tempDir();
  await using server = await startServer({ args: ["--token-file", await local.write("key", KEY)] });
  const fails = async (options: SendOptions, code: Code, message: RegExp): Promise<void> => {
    const error = await assertRejects(
      () => send({ hostname: "127.0.0.1", port: server.port }, [fixture("hello.txt")], options),
      InletError,
    );
    assertEquals(error.code, code);
    assertMatch(error.message, message);
  };
  await fails({ key: KEY, mode: "raw" }, "usage", /^Cannot use a key in mode raw/);
  await fails({ key: "" }, "usage", /^Cannot use the key in the option "key": it is empty/);
  await fails({ key: "short" }, "usage", /^Cannot use the key in the option "key": it is shorter/);
  await fails(
    { key: "inlet-user ada QUJD 00" },
    "usage",
    /^Cannot use the token of a user: it is damaged/,
  );
  await fails(
    { key: OTHER_KEY },
    "untrusted",
    /^Cannot trust the server: it does not hold this key/,
  );
  await fails({}, "denied", /^Cannot go on: this server requires a key/);
  assertEquals(names(server.dir), []);
});
