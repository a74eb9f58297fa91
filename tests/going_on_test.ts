/**
 * What is resumed moves at once: the part that is there already is read meanwhile, or not at all where
 * it is known. What is wrong with it shows in the end, and is not published.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { Reading } from "../lib/body/reading.ts";
import { formatCrc } from "../protocol.ts";
import {
  bytes,
  integration,
  names,
  ownFiles,
  PROC,
  pure,
  runClient,
  Running,
  scriptPath,
  startClient,
  startServer,
  tempDir,
  type TestServer,
  uploadGrows,
} from "./helpers.ts";
import { relayTo } from "./relay.ts";
import { type Asked, offered, proofOf, type Prove } from "./resuming.ts";
import { makeTree } from "./trees.ts";
import { impostor, Wire } from "./wire.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** More than any disk could read within a test, all of it zeros. */
const HUGE = 300 * GIB;
const HALF = HUGE / 2;

/** What people who follow the README permit: nobody may ask for the space on the disk. */
const PERMITTED = (dir: string): string[] => [
  "--allow-net",
  `--allow-read=${dir}`,
  `--allow-write=${dir}`,
];

/** Bytes that a process has read from files so far. */
function bytesRead(pid: number): number {
  return Number(/^rchar: (\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/io`))![1]);
}

/** The digest of ranges of nothing but zeros. */
const proofOfZeros = ({ nonce, length, offsets }: Prove): string =>
  createHash("sha256").update(Uint8Array.fromHex(nonce))
    .update(new Uint8Array(length * offsets.length)).digest("hex");

const endOf = (content: Uint8Array): string => `end ${formatCrc(crc32(content))}\n`;

/** A server that has nothing answers a client until that asks to go on. */
async function untilReput(wire: Wire): Promise<void> {
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  for (;;) {
    const [verb, count] = (await wire.line()).split(/[ ;]/);
    if (verb === "reput") return;
    assertEquals(verb, "diff");
    for (let entry = 0; entry < Number(count); entry++) await wire.line();
    await wire.says(`ok ${".".repeat(Number(count))}\n`);
  }
}

/** The only partial file of a directory. */
function partialOf(dir: string): string {
  const [path, ...others] = ownFiles(dir);
  assertEquals(others, []);
  return path!;
}

/** Changes one byte of a file, and leaves its time as it was if that is wanted. */
function changeByte(path: string, offset: number, { sameTime = false } = {}): void {
  const { mtime } = Deno.statSync(path);
  {
    using file = Deno.openSync(path, { read: true, write: true });
    const byte = new Uint8Array(1);
    file.seekSync(offset, Deno.SeekMode.Start);
    file.readSync(byte);
    byte[0]! ^= 1;
    file.seekSync(offset, Deno.SeekMode.Start);
    file.writeSync(byte);
  }
  // Where the clock of the disk is coarse, it could look as if nothing had been written.
  const time = sameTime ? mtime! : new Date(mtime!.getTime() + 1000);
  Deno.utimeSync(path, time, time);
}

/** The fingerprint of every file here. */
const ID = "5".repeat(64);

/** A client of the server leaves when so much of a file has arrived. */
async function breakOff(server: TestServer, content: Uint8Array, asked: Asked): Promise<void> {
  {
    using wire = await Wire.greet(server);
    await offered(wire, content, asked);
    await wire.says(content);
    await uploadGrows(server.dir, content.length);
  }
  await server.running.says(/client \d+: left/);
}

integration(
  "the server takes 300 GiB on before it could have read their first half",
  async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    const id = { content: new Uint8Array(1000), asked: { id: ID, size: HUGE, name: "a.img" } };
    Deno.mkdirSync(dir);
    {
      await using first = await startServer({ dir, permissions: PERMITTED(dir) });
      await breakOff(first, id.content, id.asked);
    }
    Deno.truncateSync(partialOf(dir), HALF);
    await using server = await startServer({ dir, permissions: PERMITTED(dir) });
    const before = bytesRead(server.pid);
    {
      using wire = await Wire.greet(server);
      const offer = await offered(wire, id.content, { ...id.asked, prove: proofOfZeros });
      assertEquals(offer.offset, HALF);
      await wire.says(bytes(MIB));
      await uploadGrows(dir, HALF + 1);
      assert(bytesRead(server.pid) - before < HALF, "all of it was read first");
    }
    await server.running.says(/client 1: left/);
    assert(Deno.statSync(partialOf(dir)).size > HALF);
  },
  PROC,
);

integration(
  "what has arrived stays if its client leaves while the server reads",
  async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    const size = HALF + 1000;
    Deno.mkdirSync(dir);
    {
      await using first = await startServer({ dir, permissions: PERMITTED(dir) });
      await breakOff(first, new Uint8Array(10), { id: ID, size, name: "a.img" });
    }
    Deno.truncateSync(partialOf(dir), HALF);
    await using server = await startServer({ dir, permissions: PERMITTED(dir) });
    {
      using wire = await Wire.greet(server);
      const asked = { id: ID, size, name: "a.img", prove: proofOfZeros };
      assertEquals((await offered(wire, new Uint8Array(10), asked)).offset, HALF);
      await wire.says(bytes(1000));
      await wire.says(endOf(bytes(10)));
      const far = /^note .*\(reading: \d+ %, [\d.]+ .?i?B of 150 GiB, [\d:]+ left\)$/;
      assertMatch(await wire.anyLine(), far);
      assertMatch(await wire.anyLine(), far);
    }
    await server.running.says(/client 1: left/);
    assertEquals(Deno.statSync(partialOf(dir)).size, size);
    // Nobody needs it any more: it is not read on.
    const asked = { id: ID, size, name: "a.img", prove: proofOfZeros };
    using wire = await Wire.greet(server);
    assertEquals((await offered(wire, new Uint8Array(10), asked)).offset, size);
  },
  PROC,
);

integration("a server does not read again what it wrote itself", async () => {
  await using server = await startServer();
  const content = bytes(24 * MIB);
  const asked = { id: ID, size: content.length, name: "a.bin" };
  // It breaks off twice, so that the second part is combined with the first.
  for (const sent of [16 * MIB, 23 * MIB]) {
    using wire = await Wire.greet(server);
    const { offset } = await offered(wire, content, asked);
    await wire.says(content.subarray(offset, sent));
    await uploadGrows(server.dir, sent);
    wire.close();
    await server.running.says(new RegExp(`client ${sent === 16 * MIB ? 1 : 2}: left`));
  }
  const before = bytesRead(server.pid);
  using wire = await Wire.greet(server);
  assertEquals((await offered(wire, content, asked)).offset, 23 * MIB);
  await wire.says(content.subarray(23 * MIB));
  await wire.says(endOf(content));
  assertEquals(await wire.line(), `ok ${content.length} ${formatCrc(crc32(content))} a.bin`);
  assert(bytesRead(server.pid) - before < 16 * MIB, "it was read again");
  assertEquals(crc32(Deno.readFileSync(`${server.dir}/a.bin`)), crc32(content));
}, PROC);

for (const restarted of [false, true]) {
  const when = restarted ? "while no server ran" : "between two attempts";
  integration(`a kept part that another program changed ${when} is not published`, async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    Deno.mkdirSync(dir);
    const content = bytes(2 * MIB);
    const asked = { id: ID, size: content.length, name: "a.bin" };
    const first = await startServer({ dir });
    await breakOff(first, content.subarray(0, MIB), asked);
    if (restarted) await first[Symbol.asyncDispose]();
    changeByte(partialOf(dir), 100, { sameTime: restarted });
    await using server = restarted ? await startServer({ dir }) : first;
    using wire = await Wire.greet(server);
    // The client happens to be asked for other ranges than the one that was changed.
    const kept = Deno.readFileSync(partialOf(dir));
    const lucky = { ...asked, prove: (question: Prove): string => proofOf(kept, question) };
    for (let attempt = 1; attempt <= 3; attempt++) {
      assertEquals((await offered(wire, content, lucky)).offset, MIB);
      await wire.says(content.subarray(MIB));
      await wire.says(endOf(content));
      assertMatch(await wire.line(), /^error checksum /);
      assertEquals(names(dir), ["(partial)"]);
      assertEquals(Deno.readFileSync(partialOf(dir)), kept);
    }
    assertEquals((await offered(wire, content, lucky)).offset, 0);
    await wire.says(content);
    await wire.says(endOf(content));
    assertMatch(await wire.line(), /^ok /);
    assertEquals(names(dir), ["(partial)", "a.bin"]);
    assertEquals(Deno.readFileSync(`${dir}/a.bin`), content);
  });
}

integration("a client may send notes while it still reads, and only then", async () => {
  await using server = await startServer();
  const content = bytes(2000);
  const asked = { id: ID, size: content.length, name: "a.bin" };
  await breakOff(server, content.subarray(0, 1000), asked);
  using wire = await Wire.greet(server);
  assertEquals((await offered(wire, content, asked)).offset, 1000);
  await wire.says(content.subarray(1000));
  await wire.says(`note it still reads\nnote;k=v\n${endOf(content)}`);
  assertMatch(await wire.line(), /^ok 2000 .* a\.bin$/);
  await wire.says("put 3 b.txt\n");
  assertEquals(await wire.line(), "go 0");
  await wire.says("abcnote it still reads\n");
  assertMatch(await wire.line(), /^error bad-request .*expected "data", "end" or "abort"/);
});

integration(
  "client.ts sends the rest of 300 GiB before it could have read the first",
  async () => {
    await using local = await tempDir();
    const path = await local.write("a.img", "");
    Deno.truncateSync(path, HUGE);
    using server = impostor();
    await using client = startClient(server, [path, "--resume"]);
    using wire = await server.accept();
    await untilReput(wire);
    await wire.says(`go ${HALF}\n`);
    assertEquals(await wire.bytes(1000), new Uint8Array(1000));
    assert(bytesRead(client.process.pid) < HALF, "all of it was read first");
    await client.says(/a\.img: resuming at 150 GiB of 300 GiB$/);
    await client.stop("SIGKILL");
  },
  PROC,
);

integration("client.ts tells the server how far it is with its first part", async () => {
  await using local = await tempDir();
  const path = await local.write("a.img", "");
  Deno.truncateSync(path, HALF);
  using server = impostor();
  await using client = startClient(server, [path, "--resume"]);
  using wire = await server.accept();
  await untilReput(wire);
  await wire.says(`go ${HALF - 10}\n`);
  assertEquals((await wire.bytes(10)).length, 10);
  assertMatch(
    await wire.line(),
    /^note The client reads its file: \d+ %, [\d.]+ .?i?B of 150 GiB, [\d:]+ left$/,
  );
  await client.stop("SIGKILL");
}, PROC);

integration("a put that is refused while its client still reads ends the reading", async () => {
  await using local = await tempDir();
  const path = await local.write("a.img", "");
  Deno.truncateSync(path, HALF);
  using server = impostor();
  await using client = startClient(server, [path, "--resume"]);
  using wire = await server.accept();
  await untilReput(wire);
  await wire.says(`go ${HALF - 10}\n`);
  assertEquals((await wire.bytes(10)).length, 10);
  await wire.says("error no-space Cannot store it: the disk is full\n");
  assertEquals((await client.ended()).code, 3);
  await client.says(/^inlet: Cannot store it: the disk is full$/);
});

integration("a source that changed in its first half only is sent anew, with a word", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const file = await local.write("a.img", "");
  Deno.truncateSync(file, 24 * MIB);
  using relay = await relayTo(server, { direction: "up", bytes: 3 * MIB, way: "end" });
  assertEquals((await runClient(relay, [file, "--resume"])).code, 4);
  await server.running.says(/client 1: left/);
  Deno.truncateSync(partialOf(server.dir), 12 * MIB);
  // Neither the size nor the time nor the first MiB tells.
  changeByte(file, 5 * MIB, { sameTime: true });
  const { code, stderr } = await runClient(server, [file, "--resume"]);
  assertEquals(code, 0, stderr);
  // One of the ranges that the server asks for can be the one that was changed.
  if (stderr.includes("resuming at 12 MiB")) {
    assertStringIncludes(stderr, "a.img: starting over, the partial file does not match\n");
  }
  assertEquals(crc32(Deno.readFileSync(`${server.dir}/a.img`)), crc32(Deno.readFileSync(file)));
  assertEquals(names(server.dir), ["(partial)", "a.img"]);
});

/** A client has the beginning of a download, and zeros behind it. */
async function brokenGet(server: TestServer, cwd: string, kept: number): Promise<string> {
  using relay = await relayTo(server, { direction: "down", bytes: 3 * MIB, way: "end" });
  const args = ["--get", "a.img", "--resume"];
  assertEquals((await runClient(relay, args, { cwd })).code, 4);
  await server.running.says(/client 1: left/);
  const path = partialOf(cwd);
  Deno.truncateSync(path, kept);
  return path;
}

integration(
  "a download goes on before either side could have read its first half",
  async () => {
    await using local = await tempDir();
    await using server = await startServer();
    await Deno.writeTextFile(`${server.dir}/a.img`, "");
    Deno.truncateSync(`${server.dir}/a.img`, 8 * MIB);
    await brokenGet(server, local.path, HALF);
    Deno.truncateSync(`${server.dir}/a.img`, HUGE);
    const before = bytesRead(server.pid);
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", ...PERMITTED(local.path), scriptPath("client.ts"), "127.0.0.1"],
        ...[String(server.port), "--get", "a.img", "--resume"],
      ],
      cwd: local.path,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    await using client = new Running(process);
    await uploadGrows(local.path, HALF + 1);
    const [theirs, ours] = [bytesRead(server.pid) - before, bytesRead(process.pid)];
    assert(theirs < HALF && ours < HALF, `${theirs} and ${ours} were read first`);
    await client.says(/a\.img: resuming at 150 GiB of 300 GiB$/);
    await client.stop("SIGKILL");
    await server.running.says(/client 2: left/);
  },
  PROC,
);

for (const whose of ["the server's file", "the partial file"]) {
  integration(`a difference in ${whose} that no range shows is not published`, async () => {
    await using local = await tempDir();
    await using server = await startServer();
    const theirs = `${server.dir}/a.img`;
    await Deno.writeTextFile(theirs, "");
    Deno.truncateSync(theirs, 16 * MIB);
    const kept = await brokenGet(server, local.path, 8 * MIB);
    // Between two of the 16 ranges.
    changeByte(whose === "the partial file" ? kept : theirs, 2_500_000);
    const args = ["--get", "a.img", "--resume"];
    const { code, stderr } = await runClient(server, args, { cwd: local.path });
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "a.img: resuming at 8 MiB of 16 MiB\n");
    assertStringIncludes(stderr, "a.img: starting over, the partial file does not match\n");
    assertEquals(crc32(Deno.readFileSync(`${local.path}/a.img`)), crc32(Deno.readFileSync(theirs)));
    // What was kept stays as it was, for its time.
    assertEquals(names(local.path), ["(partial)", "a.img"]);
    assertEquals(Deno.statSync(partialOf(local.path)).size, 8 * MIB);
  });
}

integration("a server whose rest is wrong twice has nothing published", async () => {
  await using local = await tempDir();
  {
    await using honest = await startServer();
    makeTree(honest.dir, { "a.img": bytes(4 * MIB) });
    await brokenGet(honest, local.path, 2 * MIB);
  }
  using server = impostor();
  const args = ["--get", "a.img", "--resume"];
  await using client = startClient(server, args, { cwd: local.path });
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  assertMatch(await wire.line(), /^reget 2097152 [0-9a-f]{64} a\.img$/);
  await wire.says(`ok ${4 * MIB} ${2 * MIB}\ndata ${2 * MIB}\n`);
  await wire.says(new Uint8Array(2 * MIB));
  await wire.says("note it still reads\nend 00000000\n");
  assertEquals(await wire.line(), "get a.img");
  await wire.says("ok 3\ndata 3\nabcend 00000000\n");
  assertEquals((await client.ended()).code, 5);
  await client.says(/a\.img: starting over, the partial file does not match$/);
  await client.says(/^inlet: Cannot get "a\.img": it arrived with CRC-32 /);
  assertEquals(names(local.path), ["(partial)"]);
});

integration(
  "a server that compares tells how far it has read, and how long it still takes",
  async () => {
    await using server = await startServer();
    await Deno.writeTextFile(`${server.dir}/a.img`, "");
    Deno.truncateSync(`${server.dir}/a.img`, HUGE);
    using wire = await Wire.greet(server);
    await wire.says(`compare ${HUGE} 00000001 2026-11-21T08:38:00Z a.img\n`);
    assertMatch(
      await wire.anyLine(),
      /^note .*\(reading: \d+ %, [\d.]+ .?i?B of 300 GiB, [\d:]+ left\)$/,
    );
  },
);

pure("Reading tells percent, bytes and time left", () => {
  const { now } = performance;
  let at = 0;
  try {
    performance.now = () => at;
    const reading = new Reading(4 * GIB);
    assertEquals(`${reading}`, "4 GiB, in turn");
    reading.add(0);
    at = 10_000;
    reading.add(GIB);
    assertEquals(`${reading}`, "25 %, 1 GiB of 4 GiB, 0:30 left");
    reading.add(3 * GIB);
    assertEquals(`${reading}`, "100 %, 4 GiB of 4 GiB, 0:00 left");
  } finally {
    performance.now = now;
  }
});
