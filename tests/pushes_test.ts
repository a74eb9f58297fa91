/** Small files one behind the other: whatever is in the buffer at once, each has its own answer. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { encodeBodyLine, encodeRequest, formatCrc } from "../protocol.ts";
import { Tally } from "../lib/body/streams.ts";
import type { DirectoryBatch } from "../lib/store/batch.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import { bytes, integration, names, startServer, tempDir } from "./helpers.ts";
import { serveHere } from "./in_process.ts";
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
  const sizes = [
    0,
    1,
    4096,
    16_384,
    65_535,
    65_536,
    65_537,
    3,
    600_000,
    1000,
    0,
    524_288,
    524_289,
    5,
  ];
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

integration("what a store fails to make after a while is told with its name", async () => {
  await using temp = await tempDir();
  const store = await DirectoryStore.open(temp.path);
  const fails = (): Promise<never> =>
    Promise.resolve().then(() => {
      throw new Error("no");
    });
  const failing = { put: fails, makeFolder: fails, makeLink: fails };
  const batchOf = store.batch.bind(store);
  const batch = (): DirectoryBatch => Object.assign(batchOf(), failing);
  await using server = await serveHere({
    dir: temp.path,
    store: Object.assign(store, { batch }),
  });
  using wire = await Wire.greet(server);
  await wire.says(`mkdir a\nsymlink;to=x b\npush 6 c\n${HELLO}exit\n`);
  assertMatch(await wire.line(), /^error internal Cannot make the folder "a": /);
  assertMatch(await wire.line(), /^error internal Cannot make the link "b": /);
  assertMatch(await wire.line(), /^error internal Cannot store "c": /);
});

/** An announced folder and its first files. */
function announced(folder: string, files: number, sent: number): string {
  const pushes = Array.from({ length: sent }, (_, index) => `push 6 ${folder}/${index}\n${HELLO}`);
  return `mkdir;files=${files} ${folder}\n${pushes.join("")}`;
}

integration("an announced folder is answered once it is there with its files", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  await wire.says(`${announced("a", 3, 3)}push 6 a/3\n${HELLO}`);
  assertEquals(await wire.line(), "ok a");
  for (const name of [0, 1, 2, 3]) assertEquals(await wire.line(), `ok 6 363a3020 a/${name}`);
  assertEquals(names(`${server.dir}/a`), ["0", "1", "2", "3"]);
  await server.running.says(/made the folder "a"/);
});

integration("fewer files than announced are answered when nothing more comes", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  for (const rest of ["", "push 6 a/9\nhel", "pus", "list\n", "Hello\n"]) {
    await wire.says(`${announced("a", 1000, 2)}${rest}`);
    assertEquals(await wire.line(), "ok a");
    for (const _ of [0, 1]) assertMatch(await wire.line(), /^ok 6 363a3020 a\/\d/);
    if (rest.startsWith("pus")) {
      await wire.says(rest === "pus" ? `h 6 a/8\n${HELLO}` : "lo\nend 363a3020\n");
      assertMatch(await wire.line(), /^ok 6 363a3020 a\/\d$/);
    }
    if (rest === "Hello\n") assertEquals(await wire.line(), "Hello ACK");
    if (rest === "list\n") { while (!(await wire.line()).startsWith("end ")); }
  }
});

integration("an announced folder that is cut at any byte is stored and answered", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  const whole = (folder: string): string => announced(folder, 2, 2);
  for (let cut = 1; cut < whole("1").length; cut += 3) {
    const folder = String(cut);
    await wire.says(whole(folder).slice(0, cut));
    await wire.says(whole(folder).slice(cut));
    assertEquals(await wire.line(), `ok ${folder}`);
    for (const name of [0, 1]) assertEquals(await wire.line(), `ok 6 363a3020 ${folder}/${name}`);
  }
});

integration(
  "what arrived whole of an announced folder is stored when its client leaves",
  async () => {
    await using server = await startServer();
    {
      using wire = await Wire.greet(server);
      await wire.says(`${announced("a", 3, 2)}push 6 a/2\nhel`);
      await wire.closeWrite();
      assertEquals(await wire.line(), "ok a");
      await wire.rest();
    }
    assertEquals(names(`${server.dir}/a`), ["0", "1"]);
  },
);

integration("an announced folder has answers to what is refused, in order", async () => {
  await using server = await startServer({ args: ["--max-size", "6"] });
  using wire = await Wire.greet(server);
  await wire.says(
    `mkdir;files=4 a\npush 6 a/1\nhello\nend 00000000\npush 6 a/2\n${HELLO}push 7 a/3\nhello!\n` +
      `end 00000000\npush 6 a/../4\n${HELLO}mkdir;files=1 ..\nmkdir;files=x b\n`,
  );
  assertEquals(await wire.line(), "ok a");
  assertMatch(await wire.line(), /^error checksum Cannot store "a\/1": /);
  assertEquals(await wire.line(), "ok 6 363a3020 a/2");
  assertMatch(await wire.line(), /^error too-large Cannot store "a\/3": /);
  assertMatch(await wire.line(), /^error bad-name /);
  assertMatch(await wire.line(), /^error bad-name /);
  assertMatch(await wire.rest(), /^error bad-request /);
  assertEquals(names(`${server.dir}/a`), ["2"]);
});

integration("the same id in an announced folder is stored once", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  const id = "id=0123456789abcdef0123456789abcdef";
  const once = `push;${id} 6 a/1\n${HELLO}`;
  await wire.says(`mkdir;files=3 a\n${once}${once}push;${id} 6 a/2\n${HELLO}`);
  assertEquals(await wire.line(), "ok a");
  for (const _ of [0, 1, 2]) assertEquals(await wire.line(), "ok 6 363a3020 a/1");
  assertEquals(names(`${server.dir}/a`), ["1"]);
});

integration("what was acknowledged of an announced folder survives a kill", async () => {
  for (const lines of [1, 2, 3]) {
    await using server = await startServer();
    using wire = await Wire.greet(server);
    await wire.says(announced("a", 2, 2) + announced("b", 9, 3));
    const answered: string[] = [];
    for (let line = 0; line < lines; line++) answered.push(await wire.line());
    await server.running.stop("SIGKILL");
    assertEquals(answered[0], "ok a");
    assertEquals(names(`${server.dir}/a`), ["0", "1"]);
  }
});

integration("an announced folder holds no answers of pushes without end", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  // Each is refused before it counts for the folder, and none is the last that was announced.
  const refused = "push 0 p/x\nend 00000001\n".repeat(1000);
  const sending = (async () => {
    await wire.says("mkdir;files=9000000 p\n");
    for (let sent = 0; sent < 17; sent++) await wire.says(refused);
  })();
  assertEquals(await wire.line(), "ok p");
  for (let line = 0; line < 16_000; line++) assertMatch(await wire.line(), /^error checksum /);
  await sending;
});
