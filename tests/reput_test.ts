import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import { formatCrc } from "../protocol.ts";
import {
  bytes,
  integration,
  names,
  ownFiles,
  startServer,
  type TestServer,
  uploadGrows,
  watchUntil,
} from "./helpers.ts";
import { askToResume, idOf, offered, proofOf, type Prove, reputLine } from "./resuming.ts";
import { Wire } from "./wire.ts";

const SIZE = 300_000;
const CONTENT = bytes(SIZE);
const ASKED = { size: SIZE, name: "a.bin" };
const LONG_AGO = new Date("2020-02-29T12:00:00Z");

const endOf = (content: Uint8Array): string => `end ${formatCrc(crc32(content))}\n`;

/** A client sends the first bytes of a reput, and is still connected. */
async function begin(server: TestServer, sent: number): Promise<Wire> {
  const wire = await Wire.greet(server);
  assertEquals((await offered(wire, CONTENT, ASKED)).offset, 0);
  await wire.says(CONTENT.subarray(0, sent));
  if (sent > 0) await uploadGrows(server.dir, sent);
  return wire;
}

/** The first client of a server sends the first bytes of a reput, and leaves when they are there. */
async function breakOff(server: TestServer, sent: number): Promise<void> {
  const wire = await begin(server, sent);
  wire.close();
  await server.running.says(/client 1: left/);
}

/** Sends the rest of what is kept, and sees that the server has all of it. */
async function goOn(server: TestServer, offset: number, name = "a.bin"): Promise<void> {
  using wire = await Wire.greet(server);
  const offer = await offered(wire, CONTENT, { ...ASKED, name });
  assertEquals(offer.offset, offset);
  await wire.says(CONTENT.subarray(offset));
  await wire.says(`end ${formatCrc(crc32(CONTENT))} 2020-02-29T12:00:00Z\n`);
  assertEquals(await wire.line(), `ok ${SIZE} ${formatCrc(crc32(CONTENT))} ${name}`);
  assertEquals(Deno.readFileSync(`${server.dir}/${name}`), CONTENT);
}

for (const sent of [1, SIZE / 2, SIZE - 1, SIZE]) {
  integration(
    `reput goes on after a connection that ended at ${sent} of ${SIZE} bytes`,
    async () => {
      await using server = await startServer();
      await breakOff(server, sent);
      assertEquals(names(server.dir), ["(partial)"]);
      await goOn(server, sent);
      assertEquals(names(server.dir), ["a.bin"]);
      assertEquals(Deno.statSync(`${server.dir}/a.bin`).mtime, LONG_AGO);
    },
  );
}

integration("reput finds its file under any name", async () => {
  await using server = await startServer();
  await breakOff(server, 1000);
  await goOn(server, 1000, "renamed.bin");
  assertEquals(names(server.dir), ["renamed.bin"]);
});

integration("reput leaves nothing if nothing came", async () => {
  await using server = await startServer();
  const wire = await begin(server, 0);
  wire.close();
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), []);
});

integration(
  "nobody can list or get a partial file, and it survives the server's own end",
  async () => {
    await using first = await startServer();
    await breakOff(first, 1000);
    using wire = await Wire.greet(first);
    const [path] = ownFiles(first.dir);
    const own = path!.slice(first.dir.length + 1);
    await wire.says(`list\nget ${own}\ntree .inlet\nget a.bin\n`);
    assertEquals(await wire.line(), "ok");
    assertEquals(await wire.line(), "end 0");
    assertMatch(await wire.line(), /^error bad-name /);
    assertMatch(await wire.line(), /^error bad-name /);
    assertMatch(await wire.line(), /^error not-found /);
    await first.running.stop("SIGKILL");
    await using second = await startServer({ dir: first.dir });
    await goOn(second, 1000);
  },
);

integration("a server killed within a reput goes on with it", async () => {
  await using first = await startServer();
  using _ = await begin(first, 150_000);
  await first.running.stop("SIGKILL");
  assertEquals(names(first.dir), ["(in flight)"]);
  // Otherwise the next server waits until it is sure that no other one writes it.
  Deno.utimeSync(ownFiles(first.dir)[0]!, new Date(), new Date(Date.now() - 20_000));
  await using second = await startServer({ dir: first.dir });
  await goOn(second, 150_000);
  assertEquals(names(first.dir), ["a.bin"]);
});

integration(
  "a client that does not have the file is told neither offset nor checksum",
  async () => {
    await using server = await startServer();
    await breakOff(server, 200_000);
    const id = idOf(CONTENT);
    using stranger = await Wire.greet(server);
    // It knows the id and the beginning, but not the rest.
    const guess = new Uint8Array(SIZE);
    guess.set(CONTENT.subarray(0, 100_000));
    await stranger.says(reputLine(CONTENT, ASKED));
    const question = await stranger.line();
    assertMatch(question, /^prove [0-9a-f]{64} 65536( \d+){16}$/);
    assert(!question.includes(formatCrc(crc32(CONTENT.subarray(0, 200_000)))));
    const [, nonce, length, ...offsets] = question.split(" ");
    const asked = {
      type: "prove" as const,
      nonce: nonce!,
      length: Number(length),
      offsets: offsets.map(Number),
    };
    await stranger.says(`proof ${proofOf(guess, asked)}\n`);
    assertMatch(await stranger.line(), /^go;ticket=[0-9a-f-]{36} 0$/);
    await stranger.says(guess);
    await stranger.says(endOf(guess));
    assertMatch(await stranger.line(), /^ok .* a\.bin$/);
    assertEquals(Deno.readFileSync(`${server.dir}/a.bin`), guess);
    // Neither that, nor another size, nor an answer of the wrong kind drops what is kept.
    using other = await Wire.greet(server);
    const small = { id, size: 6, name: "b", prove: () => "0".repeat(64) };
    assertEquals((await offered(other, CONTENT, small)).offset, 0);
    await other.says("hello\nend 363a3020\n");
    assertEquals(await other.line(), "ok 6 363a3020 b");
    await other.says(reputLine(CONTENT, ASKED));
    await other.line();
    await other.says("from 0\n");
    assertMatch(await other.line(), /^error bad-request .*send "proof DIGEST"$/);
    assertEquals(await other.rest(), "");
    await goOn(server, 200_000, "c.bin");
  },
);

integration("a stranger's wrong bytes under the same id keep nobody from going on", async () => {
  await using server = await startServer();
  await breakOff(server, 100_000);
  using stranger = await Wire.greet(server);
  await offered(stranger, CONTENT, { ...ASKED, prove: () => "0".repeat(64) });
  await stranger.says(new Uint8Array(200_000));
  await uploadGrows(server.dir, 200_000);
  stranger.close();
  await server.running.says(/client 2: left/);
  using wire = await Wire.greet(server);
  let asked = 0;
  const prove = (question: Prove): string => (asked++, proofOf(CONTENT, question));
  assertEquals((await offered(wire, CONTENT, { ...ASKED, prove })).offset, 100_000);
  assertEquals(asked, 2);
  await wire.says(CONTENT.subarray(100_000));
  await wire.says(endOf(CONTENT));
  assertEquals(await wire.line(), `ok ${SIZE} ${formatCrc(crc32(CONTENT))} a.bin`);
});

integration("not even many questions tell how much is kept to more than a MiB", async () => {
  const MIB = 2 ** 20;
  await using server = await startServer();
  const content = bytes(3 * MIB);
  const asked = { size: content.length, name: "a.bin", prove: () => "0".repeat(64) };
  {
    using wire = await Wire.greet(server);
    await offered(wire, content, asked);
    await wire.says(content.subarray(0, 2.6 * MIB));
    await uploadGrows(server.dir, Math.floor(2.6 * MIB));
  }
  await server.running.says(/client 1: left/);
  using stranger = await Wire.greet(server);
  for (let times = 0; times < 50; times++) {
    const { asked: question } = await offered(stranger, content, asked);
    for (const offset of question!.offsets) assert(offset + question!.length <= 2 * MIB);
    // Not to begin an upload: it says at once that it has none.
    await stranger.says("x".repeat(content.length) + "abort no\n");
    assertMatch(await stranger.line(), /^error aborted /);
  }
});

integration(
  "a partial file outlives two wrong ends, and is not offered after the third",
  async () => {
    await using server = await startServer();
    await breakOff(server, 200_000);
    using wire = await Wire.greet(server);
    const wrong = CONTENT.slice();
    wrong[SIZE - 1]! ^= 1;
    for (const offset of [200_000, 200_000, 200_000, 0]) {
      assertEquals((await offered(wire, CONTENT, ASKED)).offset, offset);
      await wire.says(wrong.subarray(offset));
      await wire.says(endOf(CONTENT));
      const refused = await wire.line();
      assertMatch(refused, /^error checksum /);
      // Whoever lacks some bytes of what is kept could find them by its checksum.
      if (offset > 0) assert(!refused.includes(formatCrc(crc32(wrong))), refused);
      assertEquals(ownFiles(server.dir).map((path) => Deno.statSync(path).size), [200_000]);
    }
    assertEquals(names(server.dir), ["(partial)"]);
  },
);

integration(
  "two clients send the same file at once, each all of it, and neither is cut",
  async () => {
    await using server = await startServer();
    await breakOff(server, 1000);
    using first = await Wire.greet(server);
    using second = await Wire.greet(server);
    assertEquals((await offered(first, CONTENT, ASKED)).offset, 1000);
    assertEquals((await offered(second, CONTENT, ASKED)).offset, 0);
    await second.says(CONTENT);
    await second.says(endOf(CONTENT));
    const acknowledged = `ok ${SIZE} ${formatCrc(crc32(CONTENT))}`;
    assertEquals(await second.line(), `${acknowledged} a.bin`);
    await first.says(CONTENT.subarray(1000));
    await first.says(endOf(CONTENT));
    assertEquals(await first.line(), `${acknowledged} a (2).bin`);
    for (const name of names(server.dir)) {
      assertEquals(Deno.readFileSync(`${server.dir}/${name}`), CONTENT);
    }
    assertEquals(names(server.dir), ["a (2).bin", "a.bin"]);
  },
);

integration(
  "who shows its ticket goes on before the server has noticed the broken line",
  async () => {
    await using server = await startServer();
    using lost = await Wire.greet(server);
    const { ticket } = await offered(lost, CONTENT, ASKED);
    await lost.says(CONTENT.subarray(0, 100_000));
    await uploadGrows(server.dir, 100_000);
    using wire = await Wire.greet(server);
    // Without the ticket, or with another, it is somebody else who has the same file.
    for (const wrong of [undefined, crypto.randomUUID()]) {
      using other = await Wire.greet(server);
      const offer = await offered(other, CONTENT, { ...ASKED, ticket: wrong });
      assertEquals([offer.offset, offer.asked], [0, undefined]);
    }
    const offer = await offered(wire, CONTENT, { ...ASKED, ticket });
    assertEquals(offer.offset, 100_000);
    assertNotEquals(offer.ticket, ticket);
    assertMatch(
      await lost.rest(),
      /^error aborted Another connection resumed this upload, or it was removed\n$/,
    );
    await wire.says(CONTENT.subarray(100_000));
    await wire.says(endOf(CONTENT));
    assertEquals(await wire.line(), `ok ${SIZE} ${formatCrc(crc32(CONTENT))} a.bin`);
    assertEquals(Deno.readFileSync(`${server.dir}/a.bin`), CONTENT);
  },
);

integration("who has lost its ticket goes on after five seconds, by proof alone", async () => {
  await using server = await startServer();
  using lost = await begin(server, 100_000);
  using wire = await Wire.greet(server);
  // As often as it takes: until then each attempt begins another one.
  for (;;) {
    using trial = await Wire.greet(server);
    await trial.says(reputLine(CONTENT, ASKED));
    if ((await trial.line()).startsWith("prove ")) break;
  }
  assertEquals((await offered(wire, CONTENT, ASKED)).offset, 100_000);
  assertMatch(await lost.rest(), /^error aborted /);
});

integration("a partial file that is too old is not gone on with, and is removed", async () => {
  await using server = await startServer({ args: ["--keep-partials", "1h"] });
  await breakOff(server, 1000);
  const old = new Date(Date.now() - 3_700_000);
  Deno.utimeSync(ownFiles(server.dir)[0]!, old, old);
  await goOn(server, 0);
  await server.running.says(/the partial file of "a\.bin" has expired/);
  assertEquals(names(server.dir), ["(partial)", "a.bin"]);
  await using _ = await startServer({ dir: server.dir, args: ["--keep-partials", "1h"] });
  assertEquals(names(server.dir), ["a.bin"]);
});

integration("--keep-partials removes what is too old while the server runs", async () => {
  await using server = await startServer({ args: ["--keep-partials", "1s"] });
  await breakOff(server, 1000);
  await watchUntil(server.dir, () => names(server.dir).length === 0);
});

integration("--keep-partials 0 keeps none", async () => {
  await using server = await startServer({ args: ["--keep-partials", "0"] });
  await breakOff(server, 1000);
  assertEquals(names(server.dir), []);
});

integration(
  "a stranger who sends much under a fingerprint has nobody's partial file removed",
  async () => {
    await using server = await startServer();
    await breakOff(server, 100_000);
    using stranger = await Wire.greet(server);
    const lie = { ...ASKED, prove: () => "0".repeat(64) };
    for (let times = 2; times <= 12; times++) {
      using wire = await Wire.greet(server);
      const { offset, ticket } = await offered(wire, CONTENT, lie);
      assertEquals(offset, 0);
      // Eight are kept. A further one is no partial file at all.
      assertEquals(ticket !== undefined, times <= 8, `${times} uploads`);
      // More than any before: what is kept of those counts as well.
      await wire.says(new Uint8Array(200_000 + times));
      await uploadGrows(server.dir, 200_000 + times);
      wire.close();
      await server.running.says(new RegExp(`client ${times + 1}: left`));
    }
    assertEquals(names(server.dir), Array.from({ length: 8 }, () => "(partial)"));
    assertEquals((await offered(stranger, CONTENT, ASKED)).offset, 100_000);
  },
);

integration("no answer tells whether more is kept than a client says that it has", async () => {
  await using server = await startServer();
  await breakOff(server, 100_000);
  using stranger = await Wire.greet(server);
  for (const size of [1, 99_999, 100_000, 100_001, SIZE]) {
    await stranger.says(reputLine(CONTENT, { size, name: "x" }));
    assertMatch(await stranger.line(), /^prove /);
    await stranger.says(`proof ${"0".repeat(64)}\n`);
    assertMatch(await stranger.line(), /^go(;ticket=\S+)? 0$/);
    await stranger.says(new Uint8Array(size));
    await stranger.says("abort no\n");
    assertMatch(await stranger.line(), /^error aborted /);
  }
});

integration("what is kept counts against --max-size", async () => {
  await using server = await startServer();
  await breakOff(server, 200_000);
  await using small = await startServer({ dir: server.dir, args: ["--max-size", "250000"] });
  using wire = await Wire.greet(small);
  assertMatch(String(await askToResume(wire, CONTENT, ASKED)), /^error too-large .*250000 bytes/);
  await wire.says("Hello\n");
  assertEquals(await wire.line(), "Hello ACK");
});

integration("reput writes into no published file, whatever a crash left", async () => {
  await using server = await startServer();
  await breakOff(server, 1000);
  // A crash between the link and the removal leaves one file under both names.
  const [partial] = ownFiles(server.dir);
  Deno.linkSync(partial!, `${server.dir}/published.bin`);
  await goOn(server, 0);
  assertEquals(Deno.readFileSync(`${server.dir}/published.bin`), CONTENT.subarray(0, 1000));
  // Nor through a link.
  Deno.removeSync(partial!);
  Deno.writeFileSync(`${server.dir}/outside`, CONTENT.subarray(0, 1000));
  Deno.symlinkSync("../outside", partial!);
  await goOn(server, 0, "b.bin");
  assertEquals(Deno.readFileSync(`${server.dir}/outside`), CONTENT.subarray(0, 1000));
});

integration("a server with --drop-only offers and keeps no partial files", async () => {
  await using server = await startServer();
  await breakOff(server, 1000);
  await using taking = await startServer({ dir: server.dir, args: ["--drop-only"] });
  using stranger = await Wire.greet(taking);
  const offer = await offered(stranger, CONTENT, ASKED);
  assertEquals([offer.offset, offer.asked, offer.ticket], [0, undefined, undefined]);
  await stranger.says(CONTENT.subarray(0, 2000));
  await uploadGrows(server.dir, 2000);
  stranger.close();
  await taking.running.says(/client 1: left/);
  assertEquals(names(server.dir), ["(partial)"]);
});

integration("reget goes on where the client is, or from the start of another file", async () => {
  await using server = await startServer();
  Deno.writeTextFileSync(`${server.dir}/a.txt`, "hello\n");
  Deno.utimeSync(`${server.dir}/a.txt`, LONG_AGO, LONG_AGO);
  using wire = await Wire.greet(server);
  Deno.chmodSync(`${server.dir}/a.txt`, 0o640);
  const end = "end;mode=640 363a3020 2020-02-29T12:00:00Z\n";
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
