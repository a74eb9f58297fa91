/**
 * Clients of several wires on one port: `--fallback`, and what a client of another wire is told
 * without it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  assertRefused,
  exchange,
  fixture,
  integration,
  KEY,
  names,
  runClient,
  runScript,
  startServer,
  tempDir,
  uploadGrows,
} from "./helpers.ts";
import { dialWithKey } from "./secure.ts";
import { Wire } from "./wire.ts";
import { serve } from "../server.ts";

const UPLOAD = "\0\0\0\0\0\0\0\x06a.txt";

integration("--fallback raw stores what is in no other wire, beside all the others", async () => {
  await using server = await startServer({ args: ["--fallback", "raw"] });
  assertMatch(server.running.log, /storing into ".*", other clients in mode raw$/m);
  const native = await runClient(server, [fixture("hello.txt"), "--name", "ann"]);
  assertEquals(native.code, 0, native.stderr);
  const upload = await runClient(server, [fixture("every_byte.bin"), "--mode", "upload"]);
  assertEquals(upload.code, 0, upload.stderr);
  assertEquals(await exchange(server, "first"), "");
  const raw = await runClient(server, [fixture("hello.txt"), "--mode", "raw"]);
  assertEquals(raw.code, 0, raw.stderr);
  const request = "GET /files/hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  assertMatch(await exchange(server, request), /^HTTP\/1\.1 200 .*\r\n\r\nhello\n$/s);
  assertMatch(await exchange(server, "\x16\x03\x01\x02\0"), /^error bad-request .* TLS/);
  assertEquals(names(server.dir), ["1.file", "2.file", "every_byte.bin", "hello.txt"]);
  assertEquals(Deno.readTextFileSync(`${server.dir}/1.file`), "first");
  assertEquals(Deno.readTextFileSync(`${server.dir}/2.file`), "hello\n");
  await server.running.says(/client 3: is served in mode raw$/);
});

integration("--fallback message writes to stdout what is in no other wire", async () => {
  await using server = await startServer({ args: ["--fallback", "message"] });
  assertEquals(await exchange(server, "list\nhello world\n"), "");
  const native = await runClient(server, [], { stdin: "said\n" });
  assertEquals(native.code, 0, native.stderr);
  await server.running.stop();
  assertEquals(await server.stdout, "list\nhello world\nsaid\n");
});

integration("--fallback reverse answers lines as its own mode does, errors included", async () => {
  await using server = await startServer({ args: ["--fallback", "reverse"] });
  for (const line of ["list", "hello", "hello world", "Hello 1 ben", "get a.txt", "GET a.txt"]) {
    const reversed = [...line].reverse().join("");
    assertEquals(await exchange(server, `${line}\n`), `${reversed}\n`);
  }
  const { code, stdout } = await runClient(server, ["--mode", "reverse"], { stdin: "ab\n" });
  assertEquals([code, stdout], [0, "ba\n"]);
  // A line over the limit ends the connection, and an error would look like an answer.
  assertEquals(await exchange(server, "x".repeat(1_100_000)), "");
});

integration("--fallback takes a client that says three bytes and waits", async () => {
  for (const text of ["abc", "hel", "GET"]) {
    await using server = await startServer({ args: ["--fallback", "raw"] });
    using wire = await Wire.dial(server);
    await wire.says(text);
    await uploadGrows(server.dir, 3);
    await wire.says("lo");
    await wire.closeWrite();
    assertEquals(await wire.rest(), "");
    assertEquals(Deno.readTextFileSync(`${server.dir}/1.file`), `${text}lo`);
  }
});

integration("--fallback leaves undecided who says nothing, and a hello in pieces", async () => {
  await using server = await startServer({ args: ["--fallback", "reverse"] });
  using silent = await Wire.dial(server);
  await server.running.says(/client 1: connected/);
  // Longer than the pause that decides for who has begun.
  using other = await Wire.dial(server);
  await other.says("hel");
  await server.running.says(/client 2: is served in mode reverse/);
  assert(!server.running.log.includes("client 1: is served"));
  await silent.saysSlowly("hello 1 ann\n");
  assertEquals(await silent.line(), "welcome client 1 of 100");
});

integration("--fallback does not hold its clients to the time of a greeting", async () => {
  const args = ["--fallback", "raw", "--greeting-timeout", "1"];
  await using server = await startServer({ args });
  using raw = await Wire.dial(server);
  await raw.says("slow");
  await uploadGrows(server.dir, 4);
  // Nothing happens, however long this takes.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await raw.closeWrite();
  assertEquals(await raw.rest(), "");
  assertEquals(names(server.dir), ["1.file"]);
});

integration("--fallback keeps --max-size and --drop-only", async () => {
  const args = ["--fallback", "raw", "--max-size", "5", "--drop-only"];
  await using server = await startServer({ args });
  assertEquals(await exchange(server, "small"), "");
  assertMatch(await exchange(server, "larger"), /^error too-large /);
  assertEquals((await runClient(server, ["--list"])).code, 3);
  assertEquals(names(server.dir), ["1.file"]);
});

integration("--fallback on a full server: busy, and a place before who says nothing", async () => {
  await using server = await startServer({ args: ["--fallback", "reverse", "--max-clients", "1"] });
  using silent = await Wire.dial(server);
  await server.running.says(/client 1: connected/);
  using first = await Wire.dial(server);
  await first.says("ab\n");
  assertEquals(await first.line(), "ba");
  assertMatch(await silent.rest(), /^error timeout Dropped to admit another client/);
  assertEquals(await exchange(server, "cd\n"), "busy 1 of 1\n");
  using native = await Wire.dial(server);
  await native.says("hello 1 Roger\n");
  assertEquals(await native.rest(), "busy 1 of 1\n");
  await server.running.says(/rejected "Roger" at \S+: 1 of 1 clients connected/);
  await first.says("ef\n");
  assertEquals(await first.line(), "fe");
});

integration("an upload beside a fallback has no dialogue, which is for the fallback", async () => {
  const args = ["--fallback", "raw", "--dialogue", "expect:hi\\n"];
  await using server = await startServer({ args });
  using wire = await Wire.dial(server);
  await wire.says(UPLOAD);
  assertEquals(new TextDecoder().decode(await wire.bytes(8)), "go ahead");
  await wire.says("hello\n");
  assertEquals(await wire.rest(), "");
  assertEquals(names(server.dir), ["a.txt"]);
});

/** Options that a fallback contradicts, and why. */
const CONTRADICTIONS: [string[], string][] = [
  [
    ["--fallback", "raw", "--mode", "message"],
    "Cannot use --fallback in mode message, it is for files; try --help",
  ],
  [
    ["--fallback", "upload"],
    'Cannot use "upload" as the --fallback: give one of raw, message, reverse, talk',
  ],
  [
    ["--fallback", "raw", "--read-only"],
    "Cannot be read-only with --fallback raw: its clients can only send",
  ],
  [
    ["--fallback", "raw", "--banner", "Welcome"],
    "Cannot send a greeting with --fallback raw: the client's first bytes choose its wire; " +
    "use --mode raw",
  ],
  [
    ["--fallback", "message", "--dialogue", "accio"],
    "Cannot send a greeting with --fallback message: the client's first bytes choose its wire; " +
    "use --mode message",
  ],
];

for (const [args, line] of CONTRADICTIONS) {
  integration(`server.ts ${args.join(" ")} exits 2 with one line`, async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    assertRefused(await runScript("server.ts", ["0", "--dir", dir, ...args]), 2, line);
    assertEquals(names(local.path), []);
  });
}

integration(
  "a server that requires a key has no fallback, and makes no key file for it",
  async () => {
    await using local = await tempDir();
    const key = await local.write("key", KEY);
    const why = "Cannot require a key with --fallback raw: its wire cannot carry one";
    const made = `${local.path}/made`;
    for (const args of [["--token-file", key], ["--token-file", made, "--generate-token"]]) {
      assertRefused(await runScript("server.ts", ["0", "--fallback", "raw", ...args]), 2, why);
    }
    assertEquals(names(local.path), ["key"]);
  },
);

integration("serve() refuses a fallback of another mode, and one that there is not", async () => {
  const wrong = [
    [{ mode: "raw", fallback: "reverse" }, /^Cannot serve in mode raw with --fallback reverse: /],
    [{ fallback: "upload" }, /^Cannot serve with --fallback upload: give one of raw, /],
  ] as const;
  for (const [options, why] of wrong) {
    const error = await serve(options).then(() => undefined, (error) => error);
    assertEquals(error?.code, "usage");
    assertMatch(error.message, why);
  }
});

/** What a client of another wire begins with, and the modes that it is told of. */
const OTHERS: [string, string, RegExp][] = [
  [
    "a person's list",
    "list\n",
    /first line: .*"hello 1 NAME"; .* --mode raw, --mode message or --mode reverse/,
  ],
  ["a hello without a version", "hello\n", /first line: .*"hello 1 NAME"/],
  ["a picture", "\x89PNG\r\n\x1a\n", /first bytes: .* --mode raw or --mode message/],
  ["a long text", "x".repeat(5000), /first bytes: .* --mode raw or --mode message/],
];

for (const [what, text, told] of OTHERS) {
  integration(`without --fallback ${what} is told the mode it looks like`, async () => {
    await using server = await startServer();
    using wire = await Wire.dial(server);
    await wire.says(Uint8Array.from(text, (character) => character.charCodeAt(0)));
    const answer = await wire.rest();
    assertMatch(answer, /^error bad-request [^\n]*\n$/);
    assertMatch(answer, told);
    await server.running.says(/client 1: left/);
    assertEquals(server.running.log.split("\n").length, 4);
    assert(server.running.log.includes(answer.slice("error bad-request ".length, -1)));
  });
}

integration(
  "without --fallback a name without a line end is told of talk after a pause",
  async () => {
    await using server = await startServer();
    using wire = await Wire.dial(server);
    await wire.says("Roger");
    assertMatch(
      await wire.rest(),
      /first text: .* --mode talk or --mode reverse, or with --fallback/,
    );
  },
);

integration("a server that requires a key does not tell of --fallback", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await using server = await startServer({ args: ["--token-file", key] });
  using conn = await dialWithKey(server, KEY);
  await conn.send("list\n");
  assertMatch(await conn.rest(), /--mode reverse\n$/);
});
