import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  assertRefused,
  bytes,
  fixture,
  FIXTURES,
  integration,
  names,
  onTmpfs,
  PYTHON,
  runClient,
  runPeer,
  startPeer,
  startServer,
  tempDir,
} from "./helpers.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { ServerStore } from "../lib/store/ongoing.ts";
import { serveHere } from "./in_process.ts";
import { serveUpload } from "../modes/upload.ts";
import { impostor, Wire } from "./wire.ts";
import { encodeUploadHeader } from "../protocol.ts";

/** Fails unless two directories hold these fixtures' bytes under their names, and nothing else. */
function assertFixtures(directory: string, expected: readonly string[]): void {
  assertEquals(names(directory), expected.toSorted());
  for (const name of expected) {
    const stored = Deno.readFileSync(`${directory}/${name}`);
    const sent = Deno.readFileSync(fixture(name));
    assertEquals(stored.length, sent.length);
    assertEquals(stored.every((byte, index) => byte === sent[index]), true, `other bytes: ${name}`);
  }
}

for (const mode of ["upload", "files"]) {
  integration(`server.ts --mode ${mode} stores what another program uploads`, async () => {
    await using server = await startServer({ args: ["--mode", mode] });
    const port = String(server.port);
    for (const name of FIXTURES) {
      const { code, stderr } = await runPeer("upload_client.py", [
        ...["127.0.0.1", port, fixture(name)],
      ]);
      assertEquals([code, stderr], [0, ""]);
    }
    assertFixtures(server.dir, FIXTURES);
  }, PYTHON);

  integration(`mode ${mode} takes a header in pieces, split within a letter`, async () => {
    await using local = await tempDir();
    // In this process: when it does not run, neither the pieces nor the server's patience go on.
    await using server = await serveHere({
      dir: local.path,
      ...mode === "upload" && { serve: serveUpload },
    });
    const name = "naïve café ☕.txt";
    const content = Deno.readFileSync(fixture(name));
    using wire = await Wire.dial(server);
    for (const byte of encodeUploadHeader(content.length, name)) {
      await wire.says(Uint8Array.of(byte));
      // Longer than the server waits behind a header that is whole.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assertEquals(new TextDecoder().decode(await wire.bytes(8)), "go ahead");
    await wire.says(content);
    assertEquals(await wire.rest(), "");
    assertFixtures(local.path, [name]);
  });

  integration(`server.ts --mode ${mode} deletes an upload that breaks off`, async () => {
    await using server = await startServer({ args: ["--mode", mode] });
    const port = String(server.port);
    const file = fixture("1MiB.txt");
    const { code } = await runPeer("upload_client.py", [
      ...["127.0.0.1", port, file, "--cut", "1000000"],
    ]);
    assertEquals(code, 0);
    await server.running.says(/client 1: .*ended 48,576 bytes before the end/);
    await server.running.says(/client 1: left/);
    assertEquals(names(server.dir), []);
  }, PYTHON);

  integration(`server.ts --mode ${mode} stores no byte more than announced`, async () => {
    await using server = await startServer({ args: ["--mode", mode] });
    const port = String(server.port);
    const file = fixture("one_byte.bin");
    const { code } = await runPeer("upload_client.py", [
      ...["127.0.0.1", port, file, "--extra", "100000"],
    ]);
    assertEquals(code, 0);
    await server.running.says(/client 1: left/);
    assertFixtures(server.dir, ["one_byte.bin"]);
  }, PYTHON);
}

integration("server.ts --mode upload deletes an upload that promised more", async () => {
  await using server = await startServer({ args: ["--mode", "upload"] });
  await runPeer("upload_client.py", [
    ...["127.0.0.1", String(server.port), fixture("hello.txt"), "--lie", "7", "--cut", "6"],
  ]);
  await server.running.says(/client 1: .*ended 1 bytes? before the end/);
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), []);
}, PYTHON);

integration("server.ts --mode upload refuses before go ahead, in words", async () => {
  await using server = await startServer({ args: ["--mode", "upload", "--max-size", "5"] });
  const upload = async (...args: string[]): Promise<string> => {
    const address = ["127.0.0.1", String(server.port)];
    const { code, stderr } = await runPeer("upload_client.py", [...address, ...args]);
    assertEquals(code, 1);
    return stderr;
  };
  const file = fixture("one_byte.bin");
  assertStringIncludes(await upload(fixture("hello.txt")), "error too-large ");
  assertStringIncludes(await upload(file, "a/.."), "error bad-name ");
  assertStringIncludes(await upload(file, "inlet~1"), "error bad-name ");
  assertStringIncludes(await upload(file, "--lie", String(-1)), "error bad-request ");
  assertEquals(names(server.dir), []);
}, PYTHON);

integration(
  "server.ts takes the last component of a path for the name, and logs the path",
  async () => {
    for (const mode of ["upload", "files"]) {
      await using server = await startServer({ args: ["--mode", mode] });
      const paths = ["/home/ann/a.bin", "../b.bin", "C:\\c.bin", "~/e.bin", "x/..\\f.bin"];
      for (const path of paths) {
        const args = ["127.0.0.1", String(server.port), fixture("one_byte.bin"), path];
        const { code, stderr } = await runPeer("upload_client.py", args);
        assertEquals(code, 0, stderr);
      }
      assertEquals(names(server.dir), ["a.bin", "b.bin", "c.bin", "e.bin", "f.bin"]);
      await server.running.says(/client 1: sent the path "\/home\/ann\/a\.bin"/);
    }
  },
  PYTHON,
);

integration("server.ts --mode upload gives a taken name a number", async () => {
  await using server = await startServer({ args: ["--mode", "upload"] });
  for (let upload = 0; upload < 2; upload++) {
    await runPeer("upload_client.py", [
      ...["127.0.0.1", String(server.port), fixture("hello.txt")],
    ]);
  }
  assertEquals(names(server.dir), ["hello (2).txt", "hello.txt"]);
}, PYTHON);

integration("server.ts --mode upload tells one client too many that it is busy", async () => {
  await using server = await startServer({ args: ["--mode", "upload", "--max-clients", "1"] });
  using first = await Wire.dial(server);
  await first.says(encodeUploadHeader(6, "a.txt"));
  assertEquals(await first.bytes(8), new TextEncoder().encode("go ahead"));
  const { code, stderr } = await runClient(server, ["--mode", "upload", fixture("hello.txt")]);
  assertEquals(code, 3);
  assertMatch(stderr, /^inlet: The server is full: 1 of 1 clients\n$/);
});

integration(
  "a server answers the header of an upload that is whole before one in pieces",
  async () => {
    await using local = await tempDir();
    const store: ServerStore = await DirectoryStore.open(local.path);
    const receive = store.receive.bind(store);
    const answered: string[] = [];
    store.receive = (name, size) => {
      answered.push(name);
      return receive(name, size);
    };
    await using server = await serveHere({ dir: local.path, store });
    const header = (name: string): Uint8Array => encodeUploadHeader(6, `${name}.txt`);
    using first = await Wire.dial(server);
    await first.says(header("first").subarray(0, 8));
    using whole = await Wire.dial(server);
    using last = await Wire.dial(server);
    await last.says(header("last").subarray(0, 8));
    // Another upload, start to end: by then the server has read both times eight bytes, and waits.
    using between = await Wire.dial(server);
    await between.says(encodeUploadHeader(0, "empty.txt"));
    assertEquals(await between.rest(), "go ahead");
    answered.length = 0;
    // In one turn of this process, so that the server finds all three at once, in whatever order.
    await Promise.all([
      first.says(header("first").subarray(8)),
      whole.says(header("whole")),
      last.says(header("last").subarray(8)),
    ]);
    for (const wire of [whole, first, last]) {
      assertEquals(new TextDecoder().decode(await wire.bytes(8)), "go ahead");
    }
    assertEquals([answered[0], answered.length], ["whole.txt", 3]);
  },
);

integration("client.ts --mode upload sends every fixture to another program's server", async () => {
  await using theirs = await tempDir();
  await using server = await startPeer("upload_server.py", [theirs.path]);
  const files = FIXTURES.map(fixture);
  const { code, stderr } = await runClient(server, ["--mode", "upload", ...files]);
  assertEquals(code, 0, stderr);
  assertEquals(stderr.trim().split("\n").length, FIXTURES.length);
  assertMatch(stderr, /one_byte\.bin: 1 B, CRC-32 [0-9a-f]{8}/);
  assertFixtures(theirs.path, FIXTURES);
}, PYTHON);

integration("client.ts --mode upload --as names the file", async () => {
  await using theirs = await tempDir();
  await using server = await startPeer("upload_server.py", [theirs.path]);
  const { code } = await runClient(server, [
    ...["--mode", "upload", fixture("hello.txt"), "--as", "other.txt"],
  ]);
  assertEquals(code, 0);
  assertEquals(Deno.readTextFileSync(`${theirs.path}/other.txt`), "hello\n");
}, PYTHON);

integration(
  "client.ts --mode upload stores on our own server under both of its modes",
  async () => {
    await using native = await startServer();
    await using upload = await startServer({ args: ["--mode", "upload"] });
    for (const server of [native, upload]) {
      const files = FIXTURES.map(fixture);
      const { code, stderr } = await runClient(server, ["--mode", "upload", ...files]);
      assertEquals(code, 0, stderr);
      assertFixtures(server.dir, FIXTURES);
    }
  },
);

integration("client.ts --mode upload says why it was refused, and goes on", async () => {
  await using server = await startServer({ args: ["--mode", "upload", "--max-size", "5"] });
  const files = ["hello.txt", "one_byte.bin"].map(fixture);
  const { code, stderr } = await runClient(server, ["--mode", "upload", ...files]);
  assertEquals(code, 3);
  assertMatch(stderr, /^inlet: Cannot store "hello\.txt": the limit is 5 bytes\n/);
  assertEquals(names(server.dir), ["one_byte.bin"]);
});

integration("client.ts --mode upload refuses the standard input before it connects", async () => {
  const nowhere = { port: 1 };
  for (const args of [[], ["--as", "a"], ["-", "--as", "a"], [fixture("hello.txt"), "-"]]) {
    const ended = await runClient(nowhere, ["--mode", "upload", ...args], { stdin: "hello\n" });
    const why = "which needs the size first; try --help";
    assertRefused(ended, 2, `Cannot use the standard input in mode upload, ${why}`);
  }
});

integration("client.ts --mode upload does not send a device", async () => {
  await using server = await startServer({ args: ["--mode", "upload"] });
  const ended = await runClient(server, ["--mode", "upload", "/dev/null"]);
  const why = "this mode needs a size before the first byte";
  assertRefused(ended, 2, `Cannot upload "/dev/null": ${why}`);
  assertEquals(names(server.dir), []);
});

integration("client.ts --mode upload exits 4 when the server is gone within the body", async () => {
  using server = impostor();
  await using local = await tempDir();
  const file = await local.write("large.bin", bytes(16 * 2 ** 20));
  const client = runClient(server, ["--mode", "upload", file]);
  using wire = await server.accept();
  await wire.bytes(8 + "large.bin".length);
  await wire.says("go ahead");
  await wire.bytes(1);
  wire.close();
  const { code, stderr } = await client;
  assertEquals(code, 4);
  assertMatch(stderr, /^inlet: .*\n$/);
});

integration("client.ts --mode upload stops at the server's no within the body", async () => {
  using server = impostor();
  await using local = await tempDir();
  const file = await local.write("large.bin", bytes(16 * 2 ** 20));
  const client = runClient(server, ["--mode", "upload", file]);
  using wire = await server.accept();
  await wire.bytes(8 + "large.bin".length);
  await wire.says("go ahead");
  await wire.bytes(1);
  // The rest is never read: a client that only sends would wait for that.
  await wire.says("error no-space the disk is full\n");
  const { code, stderr } = await client;
  assertEquals([code, stderr], [3, "inlet: the disk is full\n"]);
});

integration("client.ts --mode upload says that the server's disk has no room", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  await Deno.mkdir(dir);
  const options = { dir, under: onTmpfs(dir, "size=1m"), args: ["--mode", "upload"] };
  await using small = await startServer(options);
  const large = await local.write("large.bin", bytes(16 * 2 ** 20));
  const ended = await runClient(small, ["--mode", "upload", large]);
  const why = "it needs 16 MiB, and the disk has 1 MiB free";
  assertRefused(ended, 3, `Cannot store "large.bin": ${why}`);
  await small.running.says(/client 1: left/);
  assertEquals(names(`/proc/${small.running.process.pid}/root${dir}`), []);
}, { mounts: true });

integration("client.ts --mode upload believes a server that fails after the body", async () => {
  using server = impostor();
  const client = runClient(server, ["--mode", "upload", fixture("hello.txt")]);
  using wire = await server.accept();
  await wire.bytes(8 + "hello.txt".length);
  await wire.says("go ahead");
  await wire.bytes("hello\n".length);
  await wire.says("error no-space the disk is full\n");
  wire.close();
  const { code, stderr } = await client;
  assertEquals([code, stderr], [3, "inlet: the disk is full\n"]);
});

integration("client.ts --mode upload exits 4 when the server says nothing", async () => {
  using server = impostor();
  const client = runClient(server, ["--mode", "upload", fixture("hello.txt")]);
  const wire = await server.accept();
  await wire.bytes(8 + "hello.txt".length);
  wire.close();
  const { code, stderr } = await client;
  assertEquals(code, 4);
  assertEquals(stderr, "inlet: The server closed without an answer\n");
});
