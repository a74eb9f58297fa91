import { Progress } from "../lib/cli/progress.ts";
import { FilesClient } from "../modes/files/client.ts";
import { connect } from "../lib/net/connect.ts";
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bytes,
  fixture,
  FIXTURES,
  integration,
  names,
  run,
  runClient,
  startClient,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { makeTree } from "./trees.ts";
import { acceptPut, impostor, Wire } from "./wire.ts";

/** Fails unless what the server stored under a name is what a file holds. */
function assertStored(server: TestServer, name: string, file: string): void {
  assertSame(Deno.readFileSync(`${server.dir}/${name}`), Deno.readFileSync(file));
}

function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assertEquals(actual.length, expected.length);
  assertEquals(actual.every((byte, index) => byte === expected[index]), true, "other bytes");
}

integration("put stores a file and says what it became", async () => {
  await using server = await startServer();
  const { code, stdout, stderr } = await runClient(server, [fixture("hello.txt")]);
  assertEquals(code, 0);
  assertEquals(stdout, "");
  assertMatch(stderr, /hello\.txt: stored as "hello\.txt", 6 B, CRC-32 363a3020/);
  assertStored(server, "hello.txt", fixture("hello.txt"));
});

integration("put stores every fixture over one connection", async () => {
  await using server = await startServer();
  const { code, stderr } = await runClient(server, FIXTURES.map(fixture));
  assertEquals(code, 0, stderr);
  assertEquals(stderr.trim().split("\n").length, FIXTURES.length);
  for (const name of FIXTURES) assertStored(server, name, fixture(name));
  assertEquals(names(server.dir), FIXTURES.toSorted());
  await server.running.says(/client 1: left/);
});

integration("--get brings every fixture back, into a file and to stdout", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  for (const name of FIXTURES) {
    Deno.copyFileSync(fixture(name), `${server.dir}/${name}`);
    const toFile = await runClient(server, ["--get", name], { cwd: local.path });
    assertEquals(toFile.code, 0, toFile.stderr);
    assertEquals(toFile.stdout, "");
    assertStringIncludes(toFile.stderr, `saved as "./${name}"`);
    assertSame(Deno.readFileSync(`${local.path}/${name}`), Deno.readFileSync(fixture(name)));
    const toStdout = await runClient(server, ["--get", name, "--output", "-"]);
    assertEquals(toStdout.code, 0, toStdout.stderr);
    assertSame(toStdout.stdoutBytes, Deno.readFileSync(fixture(name)));
  }
  assertEquals(names(local.path), FIXTURES.toSorted());
});

integration("--as stores every fixture from the standard input", async () => {
  await using server = await startServer();
  for (const name of FIXTURES) {
    const content = Deno.readFileSync(fixture(name));
    const { code, stderr } = await runClient(server, ["--as", name], { stdin: content });
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, `standard input: stored as "${name}"`);
    assertStored(server, name, fixture(name));
  }
});

integration("- as a FILE is the standard input", async () => {
  await using server = await startServer();
  const { code } = await runClient(server, ["-", "--as", "a.txt"], { stdin: "hello\n" });
  assertEquals(code, 0);
  assertStored(server, "a.txt", fixture("hello.txt"));
});

integration("--as shortens a name of 300 bytes, and keeps its extension", async () => {
  await using server = await startServer();
  const long = "n".repeat(296) + ".txt";
  const { code, stderr } = await runClient(server, ["--as", long, fixture("hello.txt")]);
  assertEquals(code, 0, stderr);
  const [stored] = names(server.dir);
  assertEquals(stored, "n".repeat(251) + ".txt");
  assertStringIncludes(stderr, stored!.slice(0, 100));
  const got = await runClient(server, ["--get", long, "--output", "-"]);
  assertEquals(got.stdout, "hello\n");
});

integration("push goes on after a file that was refused, and names it", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const files = await Promise.all(
    Array.from({ length: 300 }, (_, index) => {
      const name = index === 150 ? "inlet~1" : `${index}.txt`;
      return local.write(name, `file ${index}\n`);
    }),
  );
  const { code, stderr } = await runClient(server, files);
  assertEquals(code, 3);
  const said = stderr.trim().split("\n");
  assertEquals(said.length, 300);
  assertEquals(
    said[150],
    'inlet: Cannot take the name "inlet~1": .inlet is reserved for uploads',
  );
  assertEquals(names(server.dir).length, 299);
  for (const [index] of files.entries()) {
    if (index === 150) continue;
    assertEquals(Deno.readTextFileSync(`${server.dir}/${index}.txt`), `file ${index}\n`);
  }
});

integration("put goes on after a large file that was refused", async () => {
  await using server = await startServer({ args: ["--max-size", "1MiB"] });
  const files = ["one_byte.bin", "1MiB_plus_1.txt", "1MiB.txt"].map(fixture);
  const { code, stderr } = await runClient(server, files);
  assertEquals(code, 3);
  assertMatch(stderr, /inlet: Cannot store "1MiB_plus_1\.txt": the limit is 1048576 bytes/);
  assertEquals(names(server.dir), ["1MiB.txt", "one_byte.bin"]);
});

integration("put gives a taken name a number, and leaves the first file alone", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const first = await local.write("report.pdf", "first\n");
  await runClient(server, [first]);
  await local.write("report.pdf", "second\n");
  const second = await runClient(server, [first]);
  assertStringIncludes(second.stderr, 'stored as "report (2).pdf"');
  const third = await runClient(server, [first, "--as", "report.pdf"]);
  assertStringIncludes(third.stderr, 'stored as "report (3).pdf"');
  assertEquals(Deno.readTextFileSync(`${server.dir}/report.pdf`), "first\n");
  assertEquals(Deno.readTextFileSync(`${server.dir}/report (2).pdf`), "second\n");
});

integration("put of one name by eight clients at once stores eight intact files", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const contents = Array.from({ length: 8 }, (_, index) => bytes(500_000 + index));
  const sent = await Promise.all(contents.map(async (content, index) => {
    const file = await local.write(`${index}.bin`, content);
    return await runClient(server, [file, "--as", "same.bin"]);
  }));
  assertEquals(sent.map(({ code }) => code), Array(8).fill(0));
  const stored = names(server.dir);
  assertEquals(
    stored,
    ["same.bin", ...[2, 3, 4, 5, 6, 7, 8].map((number) => `same (${number}).bin`)].sort(),
  );
  const sizes = stored.map((name) => Deno.readFileSync(`${server.dir}/${name}`));
  for (const content of sizes) assertSame(content, bytes(content.length));
  assertEquals(
    sizes.map(({ length }) => length).sort(),
    contents.map(({ length }) => length),
  );
});

integration("put makes the folders of a name", async () => {
  await using server = await startServer();
  const { code, stderr } = await runClient(server, [
    fixture("hello.txt"),
    "--as",
    "photos/2024/a.txt",
  ]);
  assertEquals(code, 0);
  assertStringIncludes(stderr, 'stored as "photos/2024/a.txt"');
  assertStored(server, "photos/2024/a.txt", fixture("hello.txt"));
  await using local = await tempDir();
  await runClient(server, ["--get", "photos/2024/a.txt"], { cwd: local.path });
  assertEquals(names(local.path), ["a.txt"]);
});

/** Sends hello.txt to a server by the name of its host. */
async function sendTo(host: string, { port }: TestServer): Promise<void> {
  const args = ["run", "-A", "client.ts", host, String(port), fixture("hello.txt")];
  const { code, stderr } = await run(Deno.execPath(), args);
  assertEquals(code, 0, stderr);
}

integration("put goes to localhost", async () => {
  await using server = await startServer({ args: ["--host", "localhost"] });
  await sendTo("localhost", server);
  assertEquals(names(server.dir), ["hello.txt"]);
});

integration("put goes to an IPv6 address, with and without brackets", async () => {
  await using server = await startServer({ args: ["--host", "::1"] });
  assertMatch(server.running.log, /listening on \[::1\]:\d+/);
  await sendTo("::1", server);
  await sendTo("[::1]", server);
  assertEquals(names(server.dir), ["hello (2).txt", "hello.txt"]);
}, { ipv6: true });

integration("--get never overwrites", async () => {
  await using server = await startServer();
  Deno.copyFileSync(fixture("hello.txt"), `${server.dir}/hello.txt`);
  await using local = await tempDir();
  const mine = await local.write("hello.txt", "mine\n");
  const { code, stderr } = await runClient(server, ["--get", "hello.txt"], { cwd: local.path });
  assertEquals(code, 0);
  assertStringIncludes(stderr, 'saved as "./hello (2).txt"');
  assertEquals(Deno.readTextFileSync(mine), "mine\n");
  assertEquals(Deno.readTextFileSync(`${local.path}/hello (2).txt`), "hello\n");
});

integration("--get --output with a folder puts the file into it, under its own name", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(server.dir, { "in/hello.txt": "hello\n" });
  makeTree(local.path, { "there/": "", "new/": "" });
  for (const folder of ["there", "new/"]) {
    const args = ["--get", "in/hello.txt", "--output", folder];
    assertEquals((await runClient(server, args, { cwd: local.path })).code, 0);
  }
  assertEquals(names(local.path), ["new", "there"]);
  for (const folder of ["there", "new"]) {
    assertEquals(names(`${local.path}/${folder}`), ["hello.txt"]);
  }
  // One that happens to be called like the file is not asked for.
  makeTree(local.path, { "hello.txt/": "" });
  await runClient(server, ["--get", "in/hello.txt"], { cwd: local.path });
  assertEquals(names(local.path), ["hello (2).txt", "hello.txt", "new", "there"]);
});

integration("--get --output takes the path that was asked for", async () => {
  await using server = await startServer();
  Deno.copyFileSync(fixture("hello.txt"), `${server.dir}/hello.txt`);
  await using local = await tempDir();
  const { code } = await runClient(server, [
    ...["--get", "hello.txt", "--output", `${local.path}/other.txt`],
  ]);
  assertEquals(code, 0);
  assertEquals(names(local.path), ["other.txt"]);
  assertEquals(Deno.readTextFileSync(`${local.path}/other.txt`), "hello\n");
});

integration("--get of what is not there exits 3 and leaves nothing", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const { code, stderr } = await runClient(server, ["--get", "a.txt"], { cwd: local.path });
  assertEquals(code, 3);
  assertEquals(stderr, 'inlet: Cannot get "a.txt": it does not exist\n');
  assertEquals(names(local.path), []);
});

integration("--get of a file that arrives damaged exits 5 and leaves nothing", async () => {
  using server = impostor();
  await using local = await tempDir();
  const client = runClient(server, ["--get", "a.txt"], { cwd: local.path });
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  assertEquals(await wire.line(), "get a.txt");
  await wire.says("ok 6\ndata 6\njello\nend 363a3020\n");
  const { code, stderr } = await client;
  assertEquals(code, 5);
  assertMatch(stderr, /^inlet: Cannot get "a\.txt": it arrived with CRC-32 \w{8}, .*363a3020\n$/);
  assertEquals(names(local.path), []);
});

integration("--list shows size, time and name, and nothing of an empty server", async () => {
  await using server = await startServer();
  const empty = await runClient(server, ["--list"]);
  assertEquals([empty.code, empty.stdout, empty.stderr], [0, "", ""]);
  await runClient(server, [fixture("hello.txt"), fixture("naïve café ☕.txt")]);
  using inFlight = await Wire.greet(server);
  await inFlight.says("put 10 partial.txt\n");
  assertEquals(await inFlight.line(), "go 0");
  const { code, stdout } = await runClient(server, ["--list"]);
  assertEquals(code, 0);
  const [first, second, ...rest] = stdout.split("\n");
  assertMatch(first!, /^ +6 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}hello\.txt$/);
  assertMatch(second!, /^ +54 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}naïve café ☕\.txt$/);
  assertEquals(rest, [""]);
});

integration("--list escapes what a terminal would obey", async () => {
  using server = impostor();
  const client = runClient(server, ["--list"]);
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  await wire.line();
  await wire.says("ok\n6 2024-01-01T00:00:00Z \x1b[31mred\x9b.txt\nend 1\n");
  await wire.line();
  await wire.says("ok bye\n");
  const { stdout } = await client;
  assertStringIncludes(stdout, String.raw`\u{1b}[31mred\u{9b}.txt`);
});

integration("--status shows who is connected and who was", async () => {
  await using server = await startServer();
  await runClient(server, [fixture("hello.txt"), "--name", "ada"]);
  await server.running.says(/client 1: left/);
  const { code, stdout } = await runClient(server, ["--status", "--name", "ben"]);
  assertEquals(code, 0);
  const [ada, ben, ...rest] = stdout.split("\n");
  const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;
  assertMatch(
    ada!,
    RegExp(String.raw`^client 1 \| ada \| 127\.0\.0\.1:\d+ \| Start: ${time} \| End: ${time}$`),
  );
  assertMatch(ben!, /^client 2 \| ben \| 127\.0\.0\.1:\d+ \| .* \| End: Still Connected$/);
  assertEquals(rest, [""]);
});

for (const manner of ["in lines", "one byte at a time"]) {
  integration(`server.ts holds the whole conversation, typed ${manner}`, async () => {
    await using server = await startServer();
    using wire = await Wire.dial(server);
    const type = manner === "in lines"
      ? (text: string) => wire.says(text)
      : (text: string) => wire.saysSlowly(text);
    await type("hello 1 ben\n");
    assertEquals(await wire.line(), "welcome client 1 of 100");
    await type("put 6 a.txt\n");
    assertEquals(await wire.line(), "go 0");
    await type("hello\nend 363a3020\n");
    assertEquals(await wire.line(), "ok 6 363a3020 a.txt");
    await type("push 6 a.txt\nhello\nend 363a3020\npush 0 b.txt\nend 00000000\n");
    assertEquals(await wire.line(), "ok 6 363a3020 a (2).txt");
    assertEquals(await wire.line(), "ok 0 00000000 b.txt");
    await type("put - c.txt\n");
    assertEquals(await wire.line(), "go 0");
    await type("data 2\nhedata 4\nllo\nend 363a3020\n");
    assertEquals(await wire.line(), "ok 6 363a3020 c.txt");
    await type("get a.txt\n");
    assertEquals(await wire.line(), "ok 6");
    assertEquals(await wire.line(), "data 6");
    assertEquals(await wire.line(), "hello");
    assertMatch(await wire.line(), /^end\S* 363a3020 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z$/);
    await type("list\n");
    assertEquals(await wire.line(), "ok");
    assertMatch(await wire.line(), /^6 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z a \(2\)\.txt$/);
    for (const name of ["a.txt", "b.txt", "c.txt"]) {
      assertStringIncludes(await wire.line(), `Z ${name}`);
    }
    assertEquals(await wire.line(), "end 4");
    await type("status\n");
    assertEquals(await wire.line(), "ok");
    assertMatch(await wire.line(), /^client 1 \| ben \| .* \| End: Still Connected$/);
    assertEquals(await wire.line(), "end 1");
    await type("say 6\n");
    assertEquals(await wire.line(), "go 0");
    await type("hello\nend 363a3020\n");
    assertEquals(await wire.line(), "ok 6 363a3020");
    await type("Hello\n");
    assertEquals(await wire.line(), "Hello ACK");
    await type("exit\r\n");
    assertEquals(await wire.line(), "ok bye");
    assertEquals(await wire.rest(), "");
    wire.close();
    await server.running.stop();
    assertEquals(await server.stdout, "hello\n");
    assertEquals(Deno.readTextFileSync(`${server.dir}/c.txt`), "hello\n");
  });
}

integration("chat of more than its answer can hold is refused, and goes on", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  for (const length of [4092, 4095]) {
    await wire.says("é".repeat(2000) + "x".repeat(length - 4000) + "\n");
    const reason = "Cannot answer: the limit is 4091 bytes";
    assertEquals(await wire.line(), `error bad-request ${reason}`);
  }
  for (const text of ["x".repeat(4091), "Hello"]) {
    await wire.says(`${text}\n`);
    assertEquals(await wire.line(), `${text} ACK`);
  }
});

integration("put with another checksum answers checksum, and stores nothing", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  await wire.says("push 6 a.txt\nhello\nend 00000000\n");
  assertEquals(
    await wire.line(),
    'error checksum Cannot store "a.txt": it arrived with CRC-32 363a3020, it was sent with 00000000',
  );
  assertEquals(names(server.dir), []);
  await wire.says("push 6 a.txt\nhello\nend 363a3020\n");
  assertEquals(await wire.line(), "ok 6 363a3020 a.txt");
});

integration("put that is aborted stores nothing, and the conversation goes on", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  await wire.says("put - a.txt\n");
  assertEquals(await wire.line(), "go 0");
  await wire.says("data 3\nhelabort the disk broke\n");
  assertEquals(await wire.line(), 'error aborted Did not store "a.txt": the disk broke');
  await wire.says("Hello\n");
  assertEquals(await wire.line(), "Hello ACK");
  assertEquals(names(server.dir), []);
});

integration("push of a refused name is read past, and the conversation goes on", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  await wire.says("push 6 ../a.txt\nhello\nend 363a3020\nHello\n");
  assertEquals(
    await wire.line(),
    'error bad-name Cannot take the name "../a.txt": it leads out of the directory',
  );
  assertEquals(await wire.line(), "Hello ACK");
  await wire.says("put 6 /a.txt\n");
  assertMatch(await wire.line(), /^error bad-name /);
  await wire.says("Hello\n");
  assertEquals(await wire.line(), "Hello ACK");
  assertEquals(names(server.dir), []);
});

integration("put of unknown size over --max-size is answered within the body", async () => {
  await using server = await startServer({ args: ["--max-size", "10"] });
  using wire = await Wire.greet(server);
  await wire.says("put - a.txt\n");
  assertEquals(await wire.line(), "go 0");
  await wire.says("data 11\n" + "x".repeat(11));
  assertMatch(await wire.line(), /^error too-large Cannot store "a\.txt": the limit is 10 bytes/);
  assertEquals(names(server.dir), []);
  await wire.says("data 5\nxxxxxend 00000000\nHello\n");
  assertEquals(await wire.line(), "Hello ACK");
});

integration("--as ends at the server's no while the pipe is stalled", async () => {
  await using server = await startServer({ args: ["--max-size", "10"] });
  await using client = startClient(server, ["--as", "a.txt"]);
  const pipe = client.process.stdin.getWriter();
  await pipe.write(bytes(11));
  assertEquals((await client.ended()).code, 3);
  await client.says(/^inlet: Cannot store "a\.txt": the limit is 10 bytes/);
  assertEquals(names(server.dir), []);
});

integration("client.ts succeeds only after the server's acknowledgement", async () => {
  using server = impostor();
  const client = runClient(server, [fixture("1MiB.txt")]);
  using wire = await acceptPut(server);
  assertEquals((await wire.bytes(2 ** 20)).length, 2 ** 20);
  assertMatch(
    await wire.line(),
    /^end\S* [0-9a-f]{8} \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z$/,
  );
  wire.close();
  const { code, stderr } = await client;
  assertEquals(code, 4);
  assertMatch(stderr, /^inlet: .*clos.*\ninlet: To send what is missing: deno run .* --resume\n$/);
});

integration("client.ts without a FILE writes a message to the server's stdout", async () => {
  await using server = await startServer();
  const message = Deno.readFileSync(fixture("every_byte.bin"));
  const { code, stdout, stderr } = await runClient(server, [], { stdin: message });
  assertEquals([code, stdout, stderr], [0, "", ""]);
  // The server is killed, so that only what it wrote before the acknowledgement is there.
  await server.running.stop("SIGKILL");
  assertEquals(await server.stdout, new TextDecoder().decode(message));
});

integration("server.ts never interleaves messages", async () => {
  await using server = await startServer();
  using slow = await Wire.greet(server);
  await slow.says("say -\n");
  assertEquals(await slow.line(), "go 0");
  await slow.says("data 4\nslow");
  using quick = await Wire.greet(server);
  await quick.says("say 5\nquickend 8dc71ed7\n");
  assertEquals(await quick.line(), "go 0");
  assertEquals(await quick.line(), "ok 5 8dc71ed7");
  await slow.says("data 4\nslowend adf8401a\n");
  assertEquals(await slow.line(), "ok 8 adf8401a");
  await server.running.stop();
  assertEquals(await server.stdout, "quickslowslow");
});

integration("server.ts tells one client too many that it is busy, and has room again", async () => {
  await using server = await startServer({ args: ["--max-clients", "1"] });
  using first = await Wire.greet(server);
  using second = await Wire.dial(server);
  assertEquals(await second.rest(), "busy 1 of 1\n");
  const turnedAway = await runClient(server, [fixture("hello.txt")]);
  assertEquals(turnedAway.code, 3);
  assertEquals(turnedAway.stderr, "inlet: The server is full: 1 of 1 clients\n");
  first.close();
  await server.running.says(/client 1: left, 0 connected/);
  const letIn = await runClient(server, [fixture("hello.txt")]);
  assertEquals(letIn.code, 0);
});

integration(
  "client.ts exits 5 when the server acknowledges something else than was sent",
  async () => {
    await using local = await tempDir();
    for (
      const [size, path] of [[6, await local.write("small", "hello\n")], [
        600_000,
        await local.write("large", bytes(600_000)),
      ]] as const
    ) {
      for (const wrong of [`${size + 1} CRC`, `${size} 00000001`]) {
        using server = impostor();
        const sending = runClient(server, [path]);
        using wire = await server.accept();
        await wire.line();
        await wire.says("welcome client 1 of 1\n");
        if ((await wire.line()).startsWith("put")) await wire.says("go 0\n");
        await wire.skip(size);
        const [, crc] = /^end\S* (\w+) /.exec(await wire.line())!;
        await wire.says(`ok ${wrong.replace("CRC", crc!)} a\nok bye\n`);
        const { code, stderr } = await sending;
        assertEquals(code, 5, stderr);
        assertMatch(
          stderr,
          /^inlet: Cannot verify ".*": the server has .* the client sent [\d,]+ with \w{8}\n$/,
        );
      }
    }
  },
);

integration(
  "a greeting tells each side what the other can, and unknown fields disturb nobody",
  async () => {
    await using server = await startServer();
    using wire = await Wire.dial(server);
    await wire.says("hello;can=links,holes;colour=%23fff 1 ben\n");
    assertEquals(await wire.line(), "welcome client 1 of 100");
    await wire.says("put;mode=755;x=y 2 a;mode=1.txt\n");
    assertEquals(await wire.line(), "go 0");
    await wire.says("a\nend;ms=250 ddeaa107\n");
    assertMatch(await wire.line(), /^ok 2 [0-9a-f]{8} a;mode=1\.txt$/);

    using strange = impostor();
    const greeting = connect({ hostname: "127.0.0.1", port: strange.port }, {
      timeoutMs: 30_000,
      signal: new AbortController().signal,
    }).then((connection) =>
      FilesClient.greet(connection, "ben", {
        progress: new Progress(),
        output: () => Promise.resolve(),
      })
    );
    using peer = await strange.accept();
    assertEquals(await peer.line(), "hello 1 ben");
    await peer.says("welcome;can=links,holes;colour=red client 1 of 1\n");
    assertEquals([...(await greeting).features], ["links", "holes"]);
  },
);
