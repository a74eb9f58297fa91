import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  assertRefused,
  bytes,
  fixture,
  freePort,
  integration,
  names,
  onTmpfs,
  run,
  runClient,
  runScript,
  startClient,
  startServer,
  tempDir,
  type TestServer,
  uploadGrows,
} from "./helpers.ts";
import { makeTree } from "./trees.ts";
import { acceptPut, impostor, Wire } from "./wire.ts";

integration("server.ts on an address of nobody's exits 4 with one line", async () => {
  await using local = await tempDir();
  const { code, stderr } = await runScript("server.ts", [
    "0",
    "--host",
    "192.0.2.1",
    "--open",
    "--dir",
    `${local.path}/r`,
  ]);
  assertEquals(code, 4);
  assertEquals(stderr, "inlet: Cannot listen on 192.0.2.1:0: this machine has no such address\n");
});

integration("server.ts with a file in the place of its directory exits 2", async () => {
  await using local = await tempDir();
  const file = await local.write("received", "mine\n");
  const ended = await runScript("server.ts", ["0", "--dir", file]);
  assertEquals(ended.code, 2);
  assertMatch(
    ended.stderr,
    /^inlet: Cannot store into ".*received": a file of that name exists\n$/,
  );
  assertEquals(Deno.readTextFileSync(file), "mine\n");
});

integration("server.ts with a read-only directory exits 2", async () => {
  await using local = await tempDir();
  const [command, ...args] = onTmpfs(local.path, "ro");
  const ended = await run(command!, [
    ...[...args, Deno.execPath(), "run", "-A", "server.ts", "0", "--dir", local.path],
  ]);
  assertRefused(ended, 2, `Cannot store into "${local.path}": the disk is read-only`);
}, { mounts: true });

integration("server.ts says that the disk is full, and keeps nothing partial", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  await Deno.mkdir(dir);
  await using small = await startServer({ dir, under: onTmpfs(dir, "size=1m") });
  const seen = `/proc/${small.running.process.pid}/root${dir}`;
  const large = await local.write("large.bin", bytes(2 * 2 ** 20));
  const hello = fixture("hello.txt");
  const files = await runClient(small, [large, hello]);
  assertEquals(files.code, 3);
  assertMatch(
    files.stderr,
    /\ninlet: Cannot store "large\.bin": it needs 2 MiB, .*\n.*hello\.txt: /,
  );
  const stdin = await runClient(small, ["--as", "a.bin"], { stdin: bytes(2 * 2 ** 20) });
  assertRefused(stdin, 3, 'Cannot store "a.bin": the disk is full');
  assertEquals(names(seen), ["hello.txt"]);
  assertEquals((await runClient(small, [fixture("1MiB_minus_1.txt")])).code, 3);
  assertEquals((await runClient(small, [fixture("every_byte.bin")])).code, 0);
  assertEquals(names(seen), ["every_byte.bin", "hello.txt"]);
}, { mounts: true });

integration("server.ts --max-size refuses larger files, of known and unknown size", async () => {
  await using limited = await startServer({ args: ["--max-size", "1KiB"] });
  await using local = await tempDir();
  const line = 'Cannot store "a.bin": the limit is 1024 bytes (1 KiB)';
  for (const size of [1025, 200_000]) {
    const file = await local.write("a.bin", bytes(size));
    assertRefused(await runClient(limited, [file]), 3, line);
    const stdin = await runClient(limited, ["--as", "a.bin"], { stdin: bytes(size) });
    assertRefused(stdin, 3, line);
  }
  assertEquals(names(limited.dir), []);
  const file = await local.write("a.bin", bytes(1024));
  assertEquals((await runClient(limited, [file])).code, 0);
});

integration("client.ts exits 3 with one line when the name is refused", async () => {
  await using ours = await startServer();
  assertRefused(
    await runClient(ours, [fixture("hello.txt"), "--as", "../../hello.txt"]),
    3,
    'Cannot take the name "../../hello.txt": it leads out of the directory',
  );
  assertEquals(names(ours.dir), []);
});

integration("client.ts --get refuses a name that leads out of the directory", async () => {
  const { code, stderr } = await runScript("client.ts", ["127.0.0.1", "5000", "--get", "../a"]);
  assertEquals(code, 2);
  assertEquals(stderr, 'inlet: Cannot take the name "../a": it leads out of the directory\n');
});

integration("client.ts exits 2 for a file that may not be read", async () => {
  await using ours = await startServer();
  await using local = await tempDir();
  const file = await local.write("secret.txt", "hello\n");
  await Deno.chmod(file, 0);
  const script = ["run", "-A", "client.ts", "127.0.0.1", String(ours.port), file];
  // Root reads everything, unless it gives that up.
  const dropped = ["--bounding-set", "-dac_override,-dac_read_search", Deno.execPath()];
  const ended = Deno.uid() === 0
    ? await run("setpriv", [...dropped, ...script])
    : await run(Deno.execPath(), script);
  assertRefused(ended, 2, `Cannot send "${file}": the system does not permit it`);
  assertEquals(names(ours.dir), []);
}, { programs: Deno.build.os === "linux" ? ["setpriv"] : [] });

/** More than any socket takes: the client is still sending when the file changes. */
const ANNOUNCED = 32 * 2 ** 20;

for (
  const [change, size, args, why] of [
    ["shrinks", 1000, [], "changed"],
    ["grows, with --strict,", 2 * ANNOUNCED, ["--strict"], "grew"],
  ] as const
) {
  integration(`client.ts exits 5 when a file ${change} while it is sent`, async () => {
    using theirs = impostor();
    await using local = await tempDir();
    const file = await local.write("log.txt", "");
    await Deno.truncate(file, ANNOUNCED);
    const sending = runClient(theirs, [file, ...args]);
    using wire = await acceptPut(theirs);
    await wire.bytes(1);
    await Deno.truncate(file, size);
    await wire.skip(ANNOUNCED - 1);
    assertEquals(await wire.line(), `abort Cannot send "${file}": it ${why} while it was sent`);
    await wire.says("error aborted as you wish\n");
    await wire.line();
    await wire.says("ok bye\n");
    assertRefused(await sending, 5, `Cannot send "${file}": it ${why} while it was sent`);
  });
}

integration("client.ts sends what a file was that grows meanwhile, and says so", async () => {
  using theirs = impostor();
  await using local = await tempDir();
  const file = await local.write("log.txt", "");
  await Deno.truncate(file, ANNOUNCED);
  const sending = runClient(theirs, [file]);
  using wire = await acceptPut(theirs);
  await wire.bytes(1);
  await Deno.writeTextFile(file, "one line more\n", { append: true });
  await wire.skip(ANNOUNCED - 1);
  const [, crc] = /^end\S* (\w+) /.exec(await wire.line())!;
  await wire.says(`ok ${ANNOUNCED} ${crc} log.txt\n`);
  await wire.line();
  await wire.says("ok bye\n");
  const { code, stderr } = await sending;
  assertEquals(code, 0, stderr);
  const [notice, line] = stderr.split("\n");
  const why = "only its first 33,554,432 bytes were sent";
  assertEquals(notice, `"${file}" grew while it was sent: ${why}`);
  assertStringIncludes(line!, 'log.txt: stored as "log.txt", 32 MiB, CRC-32');
});

integration("client.ts exits 4 with one line when nothing listens", async () => {
  const port = freePort();
  assertRefused(
    await runClient({ port }, [fixture("hello.txt")]),
    4,
    `Cannot connect to 127.0.0.1:${port}: connection refused; is the server running?`,
  );
});

integration("client.ts says that nothing listens before it has walked the folder", async () => {
  await using local = await tempDir();
  makeTree(local.path, { "photos/a/1.jpg": "1", "photos/b/2.jpg": "2" });
  await run("mkfifo", [`${local.path}/photos/b/pipe`]);
  const port = freePort();
  const { code, stderr } = await runClient({ port }, ["photos"], { cwd: local.path });
  assertEquals([code, ...stderr.split("\n")], [
    4,
    `inlet: Cannot connect to 127.0.0.1:${port}: connection refused; is the server running?`,
    'Skipped "photos/b/pipe": it is neither a file nor a folder',
    "photos: 0 files, 0 B; 2 not sent",
    "",
  ]);
}, { programs: ["mkfifo"] });

integration("client.ts exits 4 with one line when the host does not exist", async () => {
  assertRefused(
    await runScript("client.ts", ["nowhere.invalid", "5000", fixture("hello.txt")]),
    4,
    "Cannot connect to nowhere.invalid:5000: no such host",
  );
});

integration("client.ts --timeout gives a silent server up with exit 4", async () => {
  using theirs = impostor();
  const waiting = runClient(theirs, [fixture("hello.txt"), "--timeout", "1"]);
  using _wire = await theirs.accept();
  const { code, stdout, stderr } = await waiting;
  assertEquals([code, stdout], [4, ""]);
  assertMatch(
    stderr,
    /^the server does not answer the greeting: .*\ninlet: No answer .* 1 s: .*\n$/,
  );
});

integration("server.ts cuts a silent client: --timeout within a body", async () => {
  await using ours = await startServer({ args: ["--timeout", "3", "--session-timeout", "1"] });
  using silent = await Wire.dial(ours);
  using within = await Wire.dial(ours);
  await within.says("hello 1 test\nput 6 a.txt\nhel");
  assertEquals(await within.line(), "welcome client 2 of 100");
  assertEquals(await within.line(), "go 0");
  await uploadGrows(ours.dir, 3);
  assertEquals(await silent.rest(), "error timeout No data in either direction for 1 s\n");
  assertEquals(await within.rest(), "error timeout No data in either direction for 3 s\n");
  await ours.running.says(/client 2: left/);
  assertEquals(names(ours.dir), []);
});

integration(
  "server.ts --timeout lets a message wait its turn, and cuts it after that",
  async () => {
    await using ours = await startServer({ args: ["--timeout", "0.5"] });
    using first = await Wire.greet(ours);
    await first.says("say -\n");
    assertEquals(await first.line(), "go 0");
    using second = await Wire.greet(ours);
    await second.says("say 6\n");
    assertMatch(await first.rest(), /^error timeout /);
    assertEquals(await second.line(), "go 0");
    assertEquals(await second.rest(), "error timeout No data in either direction for 0.5 s\n");
  },
);

integration("client.ts exits 3 with one line when an HTTP server answers", async () => {
  await using web = Deno.serve({ port: 0, onListen: () => {} }, () => new Response("hello"));
  assertRefused(
    await runClient({ port: web.addr.port }, [fixture("hello.txt")]),
    3,
    'Cannot go on: the server says "HTTP/1.1 400 Bad Request", as a web server does; ' +
      "is the port right?",
  );
});

integration("server.ts refuses TLS in one line", async () => {
  await using ours = await startServer();
  const { port } = ours;
  const handshake = await Deno.connectTls({ hostname: "localhost", port })
    .then((tls) => tls.handshake().finally(() => tls.close()))
    .then(() => "shaken", () => "refused");
  assertEquals(handshake, "refused");
  await ours.running.says(
    /client 1: Cannot speak TLS: this is an inlet server without a key, on plain TCP/,
  );
  await ours.running.says(/client 1: left/);
  assertEquals(ours.running.log.split("\n").length, 4);
  await assertServes(ours);
});

async function assertServes(ours: TestServer): Promise<void> {
  assertEquals((await runClient(ours, [fixture("hello.txt")])).code, 0);
  assertEquals(names(ours.dir), ["hello.txt"]);
}

integration("client.ts keeps sending what its pipe gives, with pauses", async () => {
  await using ours = await startServer();
  await using feeding = startClient(ours, ["--as", "a.txt"]);
  const pipe = feeding.process.stdin.getWriter();
  await pipe.write(new TextEncoder().encode("hel"));
  await uploadGrows(ours.dir, 3);
  await pipe.write(new TextEncoder().encode("lo\n"));
  await pipe.close();
  assertEquals((await feeding.ended()).code, 0);
  assertEquals(Deno.readTextFileSync(`${ours.dir}/a.txt`), "hello\n");
});
