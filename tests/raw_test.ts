import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bytes,
  dial,
  exchange,
  fixture,
  integration,
  names,
  PYTHON,
  readAll,
  resetHalfWay,
  ROOT,
  run,
  runClient,
  runPeer,
  sendTo,
  startPeer,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";

function startRaw(args: readonly string[] = [], dir?: string): Promise<TestServer> {
  return startServer({ args: ["--mode", "raw", ...args], ...(dir !== undefined && { dir }) });
}

integration("raw server stores what a Python client sends, in order of arrival", async () => {
  await using server = await startRaw(["--keep-empty"]);
  const files = ["every_byte.bin", "1MiB_plus_1.txt", "empty.bin"];
  for (const file of files) {
    const { code, stderr } = await runPeer("raw_client.py", [
      "127.0.0.1",
      String(server.port),
      fixture(file),
    ]);
    assertEquals(code, 0, stderr);
  }
  assertEquals(names(server.dir), ["1.file", "2.file", "3.file"]);
  for (const [index, file] of files.entries()) {
    assertEquals(
      await Deno.readFile(`${server.dir}/${index + 1}.file`),
      await Deno.readFile(fixture(file)),
    );
  }
}, PYTHON);

integration("raw server takes a file that comes one byte at a time", async () => {
  await using server = await startRaw();
  const file = fixture("every_byte.bin");
  const args = ["127.0.0.1", String(server.port), file, "--byte-by-byte"];
  const { code, stderr } = await runPeer("raw_client.py", args);
  assertEquals(code, 0, stderr);
  assertEquals(await Deno.readFile(`${server.dir}/1.file`), await Deno.readFile(file));
}, PYTHON);

integration("raw server has stored the file when it closes, and answers nothing", async () => {
  await using server = await startRaw();
  assertEquals(await exchange(server, "hello"), "");
  assertEquals(await Deno.readTextFile(`${server.dir}/1.file`), "hello");
  await server.running.says(/stored "1\.file", 5 B, CRC-32 3610a686/);
});

integration("raw server keeps eight files apart that come at once", async () => {
  await using server = await startRaw();
  const contents = Array.from({ length: 8 }, (_, index) => `${index}`.repeat(200_000 + index));
  await Promise.all(contents.map((content) => exchange(server, content)));
  assertEquals(names(server.dir), contents.map((_, index) => `${index + 1}.file`));
  assertEquals(storedIn(server.dir), contents);
});

integration("raw server goes on counting from the highest number in its directory", async () => {
  await using dir = await tempDir();
  await dir.write("3.file", "old");
  await dir.write("41.file", "old");
  await dir.write("99.txt", "no number of ours");
  for (const number of [42, 43]) {
    await using server = await startRaw([], dir.path);
    await exchange(server, `new ${number}`);
    await server.running.stop();
    assertEquals(await Deno.readTextFile(`${dir.path}/${number}.file`), `new ${number}`);
  }
  assertEquals(names(dir.path), ["3.file", "41.file", "42.file", "43.file", "99.txt"]);
});

integration("raw server shares a directory, and its numbers, with another one", async () => {
  await using dir = await tempDir();
  await using one = await startRaw([], dir.path);
  await using other = await startRaw([], dir.path);
  await exchange(one, "a");
  const contents = Array.from({ length: 10 }, (_, index) => `${index}`.repeat(50_000));
  await Promise.all(contents.map((content, index) => exchange(index % 2 ? one : other, content)));
  assertEquals(
    names(dir.path),
    Array.from({ length: 11 }, (_, index) => `${index + 1}.file`).sort(),
  );
  assertEquals(storedIn(dir.path), [...contents, "a"]);
});

integration("raw server counts on from what another one stored meanwhile", async () => {
  await using dir = await tempDir();
  await using one = await startRaw([], dir.path);
  await using other = await startRaw([], dir.path);
  await exchange(one, "a");
  for (const content of ["b", "c", "d"]) await exchange(other, content);
  using conn = await dial(one);
  await exchange(one, "after the one that is still open");
  assertEquals(
    await Deno.readTextFile(`${dir.path}/6.file`),
    "after the one that is still open",
  );
  await sendTo(conn, "e");
  await conn.closeWrite();
  await readAll(conn);
  assertEquals(await Deno.readTextFile(`${dir.path}/5.file`), "e");
});

integration("raw server gives way to a file that took its number meanwhile", async () => {
  await using server = await startRaw();
  using conn = await dial(server);
  await sendTo(conn, "came first");
  await server.running.says(/client 1: connected/);
  await Deno.writeTextFile(`${server.dir}/1.file`, "somebody else's");
  await conn.closeWrite();
  await readAll(conn);
  assertEquals(await Deno.readTextFile(`${server.dir}/1.file`), "somebody else's");
  assertEquals(await Deno.readTextFile(`${server.dir}/2.file`), "came first");
});

integration("raw server keeps nothing of a connection that is reset", async () => {
  await using server = await startRaw();
  await resetHalfWay(server);
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), []);
}, PYTHON);

integration("raw server stores nothing of a connection that sends nothing", async () => {
  await using server = await startRaw();
  assertEquals(await exchange(server, ""), "");
  await server.running.says(/client 1: sent nothing, so nothing is stored/);
  await exchange(server, "hello");
  assertEquals(names(server.dir), ["2.file"]);
});

integration("raw server keeps nothing of a connection that falls silent", async () => {
  await using server = await startRaw(["--session-timeout", "0.5"]);
  using conn = await dial(server);
  await sendTo(conn, "half a file");
  assertMatch(await readAll(conn), /^error timeout No data in either direction for 0\.5 s\n$/);
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), []);
});

integration("raw server refuses what outgrows --max-size, and tells our client", async () => {
  await using server = await startRaw(["--max-size", "100KiB"]);
  await using local = await tempDir();
  // Too large for the buffers on the way: the refusal comes while it is still being sent.
  const large = await local.write("large", new Uint8Array(32 * 1024 * 1024));
  for (const file of [large, fixture("1MiB.txt")]) {
    const refused = await runClient(server, [file, "--mode", "raw"]);
    assertEquals(refused.code, 3);
    assertStringIncludes(refused.stderr, "the limit is 102400 bytes");
  }
  const taken = await runClient(server, [fixture("hello.txt"), "--mode", "raw"]);
  assertEquals(taken.code, 0, taken.stderr);
  assertEquals(names(server.dir), ["3.file"]);
});

integration("raw server keeps nothing partial when it is stopped", async () => {
  await using server = await startRaw();
  using conn = await dial(server);
  await sendTo(conn, bytes(100_000));
  await server.running.says(/client 1: connected/);
  server.running.process.kill("SIGTERM");
  const { code } = await server.running.stop("SIGINT");
  assertEquals(code, 0);
  assertEquals(names(server.dir), []);
});

integration(
  "raw client sends files and stdin to a Python server, one connection each",
  async () => {
    await using dir = await tempDir();
    await using server = await startPeer("raw_server.py", [dir.path]);
    const files = [fixture("every_byte.bin"), fixture("1MiB_minus_1.txt")];
    const first = await runClient(server, [...files, "--mode", "raw"]);
    assertEquals(first.code, 0, first.stderr);
    assertMatch(first.stderr, /every_byte\.bin: .*CRC-32 [0-9a-f]{8}/);
    const content = bytes(3_000_000);
    const second = await runClient(server, ["--mode", "raw"], { stdin: content });
    assertEquals(second.code, 0, second.stderr);
    const sent = [await Deno.readFile(files[0]!), await Deno.readFile(files[1]!), content];
    for (const [index, expected] of sent.entries()) {
      assertEquals(await Deno.readFile(`${dir.path}/${index + 1}.file`), expected);
    }
  },
  PYTHON,
);

integration("raw client sends a large file as it is, fast and at a limit", async () => {
  await using server = await startRaw();
  await using local = await tempDir();
  const content = crypto.getRandomValues(new Uint8Array(60_000));
  const large = Uint8Array.from({ length: 40_000_000 }, (_, at) => content[at % 59_999]!);
  for (const [size, args] of [[40_000_000, []], [1_000_000, ["--limit", "2MB"]]] as const) {
    const file = await local.write("large", large.subarray(0, size));
    const { code, stderr } = await runClient(server, [file, "--mode", "raw", ...args]);
    assertEquals(code, 0, stderr);
  }
  for (const [number, size] of [[1, 40_000_000], [2, 1_000_000]]) {
    const stored = await Deno.readFile(`${server.dir}/${number}.file`);
    const isSame = (byte: number, at: number): boolean => byte === large[at];
    assert(stored.length === size && stored.every(isSame), `${number}.file differs`);
  }
});

integration("raw client resolves host names", async () => {
  await using server = await startRaw();
  const args = ["run", "-A", "client.ts", "localhost", String(server.port), "--mode", "raw"];
  const { code, stderr } = await run(Deno.execPath(), args, { stdin: "hello" });
  assertEquals(code, 0, stderr);
  assertEquals(await Deno.readTextFile(`${server.dir}/1.file`), "hello");
});

integration("raw client gives up a server that takes nothing, with exit code 4", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using local = await tempDir();
  const file = await local.write("large", new Uint8Array(32 * 1024 * 1024));
  const { code, stderr } = await runClient(listener.addr as Deno.NetAddr, [
    file,
    "--mode",
    "raw",
    "--timeout",
    "0.5",
  ]);
  assertEquals(code, 4);
  assertEquals(stderr, "inlet: No data in either direction for 0.5 s\n");
});

integration("raw client gives up a server that never closes, with exit code 4", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { code } = await runClient(listener.addr as Deno.NetAddr, [
    fixture("hello.txt"),
    "--mode",
    "raw",
    "--timeout",
    "0.5",
  ]);
  assertEquals(code, 4);
});

integration("raw client is patient with its own stdin", async () => {
  await using server = await startRaw();
  const client = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "client.ts", "127.0.0.1", String(server.port)].concat(
      // The server may take its time to close.
      ["--mode", "raw", "--timeout", "0.3", "--linger", "60"],
    ),
    cwd: ROOT,
    stdin: "piped",
    stderr: "null",
  }).spawn();
  await server.running.says(/client 1: connected/);
  const late = setTimeout(async () => {
    const writer = client.stdin.getWriter();
    await writer.write(new TextEncoder().encode("late"));
    await writer.close();
  }, 1000);
  const { code } = await client.status;
  clearTimeout(late);
  assertEquals(code, 0);
  assertEquals(await Deno.readTextFile(`${server.dir}/1.file`), "late");
});

integration(
  "raw client says that the connection was lost when the server just closes",
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const client = runClient(listener.addr as Deno.NetAddr, [
      fixture("1MiB.txt"),
      fixture("hello.txt"),
      "--mode",
      "raw",
    ]);
    (await listener.accept()).close();
    (await listener.accept()).close();
    const { code, stderr } = await client;
    assertEquals(code, 4);
    assertEquals(stderr.trim().split("\n").length, 2, stderr);
  },
);

integration("raw client does not take the end of a server that has gone for success", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const client = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "client.ts", "127.0.0.1", String(port), "--mode", "raw"],
    cwd: ROOT,
    stdin: "piped",
    stderr: "null",
  }).spawn();
  (await listener.accept()).close();
  const writer = client.stdin.getWriter();
  await writer.write(new TextEncoder().encode("to nobody"));
  await writer.close();
  assertEquals((await client.status).code, 4);
});

integration("raw client goes on when the server ends its own side first", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const client = runClient(listener.addr as Deno.NetAddr, [fixture("1MiB.txt"), "--mode", "raw"]);
  using conn = await listener.accept();
  await conn.closeWrite();
  const received = await readAll(conn);
  conn.close();
  const { code, stderr } = await client;
  assertEquals(code, 0, stderr);
  assertEquals(received, await Deno.readTextFile(fixture("1MiB.txt")));
});

integration("raw works with the netcat commands of docs/modes.md", async () => {
  await using server = await startRaw();
  const file = fixture("every_byte.bin");
  const sent = await run("sh", ["-c", `nc -N 127.0.0.1 ${server.port} < "$0"`, file]);
  assertEquals(sent.code, 0, sent.stderr);
  assertEquals(await Deno.readFile(`${server.dir}/1.file`), await Deno.readFile(file));
}, { programs: ["nc -N"] });

/** The contents of the files in a directory, sorted. */
function storedIn(directory: string): string[] {
  return names(directory).map((name) => Deno.readTextFileSync(`${directory}/${name}`)).sort();
}
