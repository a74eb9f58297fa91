import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { crc32 } from "node:zlib";
import { formatCrc } from "../protocol.ts";
import { bytes, fileGrows, integration, names, startServer, type TestServer } from "./helpers.ts";
import { Wire } from "./wire.ts";

const SIZE = 300_000;
const CONTENT = bytes(SIZE);
const KEPT = "a.bin.temp.temp";

const crcOf = (part: Uint8Array): string => formatCrc(crc32(part));

/** The first client of a server sends the first bytes of a reput, and leaves when they are there. */
async function breakOff(server: TestServer, sent: number, cut: "FIN" | "RST"): Promise<void> {
  const wire = await Wire.greet(server);
  await wire.says(`reput ${SIZE} a.bin\nfrom 0\n`);
  await wire.says(CONTENT.subarray(0, sent));
  await fileGrows(`${server.dir}/${KEPT}`, sent);
  // What is left unread makes a reset of the end.
  if (cut === "FIN") assertEquals(await wire.line(), "go 0 00000000");
  wire.close();
  await server.running.says(/client 1: left/);
}

/** Sends the rest of what is kept, and sees that the server has all of it. */
async function goOn(server: TestServer, offset: number): Promise<void> {
  using wire = await Wire.greet(server);
  await wire.says(`reput ${SIZE} a.bin\n`);
  assertEquals(await wire.line(), `go ${offset} ${crcOf(CONTENT.subarray(0, offset))}`);
  await wire.says(`from ${offset}\n`);
  await wire.says(CONTENT.subarray(offset));
  await wire.says(`end ${crcOf(CONTENT)} 2020-02-29T12:00:00Z\n`);
  assertEquals(await wire.line(), `ok ${SIZE} ${crcOf(CONTENT)} a.bin`);
  assertEquals(Deno.readFileSync(`${server.dir}/a.bin`), CONTENT);
  assertEquals(names(server.dir).filter((name) => name.startsWith(KEPT)), []);
}

for (const cut of ["FIN", "RST"] as const) {
  for (const sent of [1, SIZE / 2, SIZE - 1, SIZE]) {
    integration(`reput goes on after a ${cut} behind ${sent} of ${SIZE} bytes`, async () => {
      await using server = await startServer();
      await breakOff(server, sent, cut);
      assertEquals(names(server.dir), [KEPT]);
      await goOn(server, sent);
      assertEquals(names(server.dir), ["a.bin"]);
      const { mtime } = Deno.statSync(`${server.dir}/a.bin`);
      assertEquals(mtime, new Date("2020-02-29T12:00:00Z"));
    });
  }
}

integration("reput keeps what came in one piece with the line before it", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  await wire.says(`reput ${SIZE} a.bin\n`);
  assertEquals(await wire.line(), "go 0 00000000");
  await wire.says("from 0\nhello");
  wire.close();
  await server.running.says(/client 1: left/);
  assertEquals(Deno.readTextFileSync(`${server.dir}/${KEPT}`), "hello");
});

integration("reput leaves nothing where nothing had come", async () => {
  await using server = await startServer();
  await breakOff(server, 0, "FIN");
  assertEquals(names(server.dir), []);
});

integration("what a reput left is invisible, and survives the server's own end", async () => {
  await using first = await startServer();
  await breakOff(first, 1000, "FIN");
  using wire = await Wire.greet(first);
  await wire.says(`list\nget ${KEPT}\nget a.bin\n`);
  assertEquals(await wire.line(), "ok");
  assertEquals(await wire.line(), "end 0");
  assertMatch(await wire.line(), /^error bad-name /);
  assertMatch(await wire.line(), /^error not-found /);
  await first.running.stop("SIGKILL");
  await using second = await startServer({ dir: first.dir });
  await goOn(second, 1000);
});

integration("a server killed within a reput goes on with it", async () => {
  await using first = await startServer();
  using wire = await Wire.greet(first);
  await wire.says(`reput ${SIZE} a.bin\nfrom 0\n`);
  await wire.says(CONTENT.subarray(0, 150_000));
  await fileGrows(`${first.dir}/${KEPT}`, 150_000);
  // A put has no such claim: its partial goes.
  using put = await Wire.greet(first);
  await put.says("put 10 b.bin\n12345");
  await fileGrows(`${first.dir}/b.bin.temp`, 5);
  await first.running.stop("SIGKILL");
  assertEquals(names(first.dir), [KEPT, "b.bin.temp"]);
  await using second = await startServer({ dir: first.dir });
  assertEquals(names(first.dir), [KEPT]);
  await goOn(second, 150_000);
});

integration("reput starts over where the client's file is another one", async () => {
  await using server = await startServer();
  await breakOff(server, 1000, "FIN");
  using wire = await Wire.greet(server);
  await wire.says("reput 6 a.bin\n");
  // More is kept than the file has: it cannot be the same.
  assertEquals(await wire.line(), "go 0 00000000");
  await wire.says("from 0\nhello\nend 363a3020\n");
  assertEquals(await wire.line(), "ok 6 363a3020 a.bin");
  assertEquals(Deno.readTextFileSync(`${server.dir}/a.bin`), "hello\n");
  await wire.says("reput 6 b.bin\nfrom 0\nhe");
  await fileGrows(`${server.dir}/b.bin.temp.temp`, 2);
  wire.close();
  await server.running.says(/client 2: left/);
  using again = await Wire.greet(server);
  await again.says("reput 6 b.bin\n");
  assertEquals(await again.line(), "go 2 d1256687");
  await again.says("from 0\njello\nend 0c2b0e8b\n");
  assertMatch(await again.line(), /^error checksum /);
  assertEquals(names(server.dir), ["a.bin"]);
  await again.says("reput 6 b.bin\n");
  assertEquals(await again.line(), "go 0 00000000");
  await again.says("from 0\nhello\nend 363a3020\n");
  assertEquals(await again.line(), "ok 6 363a3020 b.bin");
});

integration("two clients send the same file at once, each all of it", async () => {
  await using server = await startServer();
  await breakOff(server, 1000, "FIN");
  using first = await Wire.greet(server);
  using second = await Wire.greet(server);
  await first.says(`reput ${SIZE} a.bin\n`);
  assertEquals(await first.line(), `go 1000 ${crcOf(CONTENT.subarray(0, 1000))}`);
  await second.says(`reput ${SIZE} a.bin\n`);
  assertEquals(await second.line(), "go 0 00000000");
  const end = `end ${crcOf(CONTENT)}\n`;
  await second.says("from 0\n");
  await second.says(CONTENT);
  await second.says(end);
  assertEquals(await second.line(), `ok ${SIZE} ${crcOf(CONTENT)} a.bin`);
  await first.says("from 1000\n");
  await first.says(CONTENT.subarray(1000));
  await first.says(end);
  assertEquals(await first.line(), `ok ${SIZE} ${crcOf(CONTENT)} a (2).bin`);
  for (const name of names(server.dir)) {
    assertEquals(Deno.readFileSync(`${server.dir}/${name}`), CONTENT);
  }
  assertEquals(names(server.dir), ["a (2).bin", "a.bin"]);
});

integration("a partial that is too old is not gone on with, and goes", async () => {
  await using server = await startServer({ args: ["--keep-partials", "1h"] });
  await breakOff(server, 1000, "FIN");
  const old = new Date(Date.now() - 3_700_000);
  Deno.utimeSync(`${server.dir}/${KEPT}`, old, old);
  await goOn(server, 0);
  Deno.writeTextFileSync(`${server.dir}/b.bin.temp.temp`, "old");
  Deno.writeTextFileSync(`${server.dir}/c.bin.temp.temp`, "new");
  Deno.utimeSync(`${server.dir}/b.bin.temp.temp`, old, old);
  await using _ = await startServer({ dir: server.dir, args: ["--keep-partials", "1h"] });
  assertEquals(names(server.dir), ["a.bin", "c.bin.temp.temp"]);
});

integration("--keep-partials removes what is too old while the server runs", async () => {
  await using server = await startServer({ args: ["--keep-partials", "1s"] });
  await breakOff(server, 1000, "FIN");
  using watcher = Deno.watchFs(server.dir);
  while (names(server.dir).length > 0) for await (const _ of watcher) break;
});

integration("--keep-partials 0 keeps none", async () => {
  await using server = await startServer({ args: ["--keep-partials", "0"] });
  const wire = await Wire.greet(server);
  await wire.says("reput 6 a.bin\nfrom 0\nhe");
  await fileGrows(`${server.dir}/a.bin.temp`, 2);
  wire.close();
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), []);
});

integration("what is kept counts against --max-size", async () => {
  await using server = await startServer();
  await breakOff(server, 200_000, "FIN");
  await using small = await startServer({ dir: server.dir, args: ["--max-size", "250000"] });
  using wire = await Wire.greet(small);
  await wire.says(`reput ${SIZE} a.bin\n`);
  assertMatch(await wire.line(), /^error too-large .*250000 bytes/);
  await wire.says("Hello\n");
  assertEquals(await wire.line(), "Hello ACK");
});

integration("reput writes into no published file, whatever a crash left", async () => {
  await using server = await startServer();
  // A crash between the link and the removal leaves one file under both names.
  Deno.writeTextFileSync(`${server.dir}/a.bin`, "published");
  Deno.linkSync(`${server.dir}/a.bin`, `${server.dir}/${KEPT}`);
  Deno.writeTextFileSync(`${server.dir}/outside`, "outside");
  Deno.symlinkSync("outside", `${server.dir}/b.bin.temp.temp`);
  using wire = await Wire.greet(server);
  for (const name of ["a.bin", "b.bin"]) {
    await wire.says(`reput 6 ${name}\n`);
    assertEquals(await wire.line(), "go 0 00000000");
    await wire.says("from 0\nhello\nend 363a3020\n");
    assertStringIncludes(await wire.line(), "ok 6 363a3020");
  }
  assertEquals(Deno.readTextFileSync(`${server.dir}/a.bin`), "published");
  assertEquals(Deno.readTextFileSync(`${server.dir}/a (2).bin`), "hello\n");
  assertEquals(Deno.readTextFileSync(`${server.dir}/outside`), "outside");
  assertEquals(Deno.readTextFileSync(`${server.dir}/b.bin`), "hello\n");
});

integration(
  "reput takes no other offset than it gave, and a server that only takes gives none",
  async () => {
    await using server = await startServer();
    await breakOff(server, 1000, "FIN");
    using wire = await Wire.greet(server);
    await wire.says(`reput ${SIZE} a.bin\nfrom 999\n`);
    assertMatch(await wire.line(), /^go 1000 /);
    assertMatch(await wire.line(), /^error bad-request .*"from 1000" or "from 0"/);
    assertEquals(await wire.rest(), "");
    assertEquals(names(server.dir), [KEPT]);
    await using taking = await startServer({ dir: server.dir, args: ["--drop-only"] });
    using stranger = await Wire.greet(taking);
    await stranger.says(`reput ${SIZE} a.bin\n`);
    assertEquals(await stranger.line(), "go 0 00000000");
  },
);

integration("reget goes on where the client is, or from the start of another file", async () => {
  await using server = await startServer();
  Deno.writeTextFileSync(`${server.dir}/a.txt`, "hello\n");
  const time = new Date("2020-02-29T12:00:00Z");
  Deno.utimeSync(`${server.dir}/a.txt`, time, time);
  using wire = await Wire.greet(server);
  const end = "end 363a3020 2020-02-29T12:00:00Z\n";
  for (
    const [request, answer] of [
      ["reget 2 d1256687 a.txt", `ok 6 2\ndata 4\nllo\n${end}`],
      ["reget 6 363a3020 a.txt", `ok 6 6\n${end}`],
      ["reget 0 00000000 a.txt", `ok 6 0\ndata 6\nhello\n${end}`],
      ["reget 2 00000000 a.txt", `ok 6 0\ndata 6\nhello\n${end}`],
      ["reget 7 d1256687 a.txt", `ok 6 0\ndata 6\nhello\n${end}`],
    ] as const
  ) {
    await wire.says(`${request}\n`);
    assertEquals(new TextDecoder().decode(await wire.bytes(answer.length)), answer, request);
  }
  await wire.says("reget 2 d1256687 b.txt\n");
  assertMatch(await wire.line(), /^error not-found /);
});
