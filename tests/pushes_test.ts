/** Small files one behind the other: whatever is in the buffer at once, each has its own answer. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { encodeBodyLine, encodeRequest, formatCrc } from "../protocol.ts";
import { Tally } from "../lib/body/streams.ts";
import { bytes, integration, names, startServer } from "./helpers.ts";
import { Wire } from "./wire.ts";

const HELLO = "hello\nend 363a3020\n";

function push(name: string, content: Uint8Array): Uint8Array {
  const tally = new Tally();
  tally.add(content);
  const head = encodeRequest({ type: "push", size: content.length, name });
  return concat([head, content, encodeBodyLine({ type: "end", crc: tally.crc })]);
}

function crcOf(content: Uint8Array): string {
  const tally = new Tally();
  tally.add(content);
  return formatCrc(tally.crc);
}

integration("pushes that come at once are answered in order, refused ones too", async () => {
  await using server = await startServer({ args: ["--max-size", "6"] });
  using wire = await Wire.greet(server);
  await wire.says(
    `push 6 a.txt\n${HELLO}push 6 ../b.txt\n${HELLO}push 6 c.txt\r\nhello\nend 00000000\r\n` +
      `push 6 d.txt\nhello\nabort gone\npush 7 e.txt\nhello!\nend 00000000\n` +
      `push 6 a.txt\n${HELLO}push 0 f.txt\nend 00000000 2001-02-03T04:05:06Z\nHello\n` +
      `push 6 g.txt\n${HELLO}`,
  );
  assertEquals(await wire.line(), "ok 6 363a3020 a.txt");
  assertMatch(await wire.line(), /^error bad-name Cannot take the name "\.\.\/b\.txt": /);
  assertMatch(await wire.line(), /^error checksum Cannot store "c\.txt": /);
  assertEquals(await wire.line(), 'error aborted Did not store "d.txt": gone');
  assertMatch(await wire.line(), /^error too-large Cannot store "e\.txt": the limit is 6 bytes/);
  assertEquals(await wire.line(), "ok 6 363a3020 a (2).txt");
  assertEquals(await wire.line(), "ok 0 00000000 f.txt");
  assertEquals(await wire.line(), "Hello ACK");
  assertEquals(await wire.line(), "ok 6 363a3020 g.txt");
  assertEquals(names(server.dir), ["a (2).txt", "a.txt", "f.txt", "g.txt"]);
  const { mtime } = Deno.statSync(`${server.dir}/f.txt`);
  assertEquals(mtime, new Date("2001-02-03T04:05:06Z"));
});

integration("pushes of all sizes that come at once are stored whole", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  const sizes = [0, 1, 4096, 16_384, 65_535, 65_536, 65_537, 3, 100_000, 1000, 0, 65_536, 5];
  const contents = sizes.map(bytes);
  await wire.says(concat(contents.map((content, index) => push(`${index}`, content))));
  for (const [index, content] of contents.entries()) {
    assertEquals(await wire.line(), `ok ${content.length} ${crcOf(content)} ${index}`);
    assertEquals(Deno.readFileSync(`${server.dir}/${index}`), content);
  }
});

integration("pushes that are cut at any byte are answered all the same", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  const text = `push 6 a.txt\n${HELLO}push 0 b.txt\nend 00000000\nHello\n`;
  for (let cut = 1; cut < text.length; cut++) {
    await wire.says(text.slice(0, cut));
    // What is whole is answered although the rest has not come.
    const early = cut >= text.indexOf("push 0") ? await wire.line() : undefined;
    await wire.says(text.slice(cut));
    const number = cut === 1 ? "" : ` (${cut})`;
    assertEquals(early ?? await wire.line(), `ok 6 363a3020 a${number}.txt`);
    assertEquals(await wire.line(), `ok 0 00000000 b${number}.txt`);
    assertEquals(await wire.line(), "Hello ACK");
  }
});

integration("pushes before one that breaks off are stored, and nothing is left of it", async () => {
  await using server = await startServer();
  for (
    const rest of ["push 6 b.txt", "push 6 b.txt\n", "push 6 b.txt\nhel", "push 6 b.txt\nhello\nen"]
  ) {
    using wire = await Wire.greet(server);
    await wire.says(`push 6 a.txt\n${HELLO}${rest}`);
    assertMatch(await wire.line(), /^ok 6 363a3020 a/);
    await wire.closeWrite();
    assertMatch(await wire.rest(), /^error aborted The connection ended /);
  }
  assertEquals(names(server.dir), ["a (2).txt", "a (3).txt", "a (4).txt", "a.txt"]);
});

integration(
  "a push that goes on too slowly is cut, after the answers to those before",
  async () => {
    await using server = await startServer({ args: ["--timeout", "0.3"] });
    using wire = await Wire.greet(server);
    await wire.says(`push 6 a.txt\n${HELLO}push 6 b.txt\nhel`);
    assertEquals(await wire.line(), "ok 6 363a3020 a.txt");
    assertEquals(await wire.rest(), "error timeout No data in either direction for 0.3 s\n");
    assertEquals(names(server.dir), ["a.txt"]);
  },
);

integration(
  "a push that follows no grammar ends it, after the answers to those before",
  async () => {
    await using server = await startServer();
    for (
      const wrong of [
        "push x b.txt\n",
        "push 6 b.txt\nhello\nthe end\n",
        `push ${"6".repeat(5000)}`,
      ]
    ) {
      using wire = await Wire.greet(server);
      await wire.says(`push 6 a.txt\n${HELLO}${wrong}`);
      assertMatch(await wire.line(), /^ok 6 363a3020 a/);
      assertMatch(await wire.rest(), /^error bad-request Cannot parse the input: .*\n$/);
    }
    assert(names(server.dir).every((name) => name.startsWith("a")));
  },
);

integration("pushes to a read-only server are refused one by one", async () => {
  await using server = await startServer({ args: ["--read-only"] });
  using wire = await Wire.greet(server);
  await wire.says(`push 6 a.txt\n${HELLO}push 6 b.txt\n${HELLO}Hello\n`);
  for (const name of ["a.txt", "b.txt"]) {
    const line = await wire.line();
    assertStringIncludes(line, `error denied Cannot store "${name}"`);
  }
  assertEquals(await wire.line(), "Hello ACK");
});
