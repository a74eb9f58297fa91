import { assertEquals, assertMatch } from "@std/assert";
import { encodeUploadHeader, GO_AHEAD } from "../protocol.ts";
import { integration, names, startServer } from "./helpers.ts";
import { SECRET, type Surroundings, surroundings } from "./hostile_names.ts";
import { Wire } from "./wire.ts";

/** Plants one link of each kind, at the top and in a folder, and gives their names. */
function plant({ dir, outside }: Surroundings): string[] {
  Deno.mkdirSync(`${dir}/photos`, { recursive: true });
  return ["", "photos/"].flatMap((folder) => {
    const targets = {
      "file": `${outside}/a.txt`,
      "folder": outside,
      "dangling": `${outside}/made.txt`,
      "loop": "loop",
      "up": "..",
    };
    return Object.entries(targets).map(([name, target]) => {
      Deno.symlinkSync(target, `${dir}/${folder}${name}`);
      return folder + name;
    });
  });
}

integration("no request goes through a link in received/, of whatever kind", async () => {
  await using around = await surroundings();
  const links = plant(around);
  await using server = await startServer({ dir: around.dir });
  using wire = await Wire.greet(server);
  const stored: string[] = [];
  for (const link of links) {
    // Beside a link a file gets a number, as beside anything that has its name.
    await wire.says(`push 6 ${link}\nhello\nend 363a3020\nput 6 ${link}\n`);
    assertEquals(await wire.line(), `ok 6 363a3020 ${link} (2)`);
    assertEquals(await wire.line(), "go 0");
    await wire.says("hello\nend 363a3020\n");
    assertEquals(await wire.line(), `ok 6 363a3020 ${link} (3)`);
    stored.push(`${link} (2)`, `${link} (3)`);
    await wire.says(`get ${link}\n`);
    assertMatch(await wire.line(), /^error not-found /);
    for (const name of [`${link}/a.txt`, `${link}/received/a.txt`, `${link}/new/b.txt`]) {
      await wire.says(`push 6 ${name}\nhello\nend 363a3020\nput 6 ${name}\nget ${name}\n`);
      for (let answers = 0; answers < 3; answers++) {
        assertMatch(await wire.line(), /^error denied .*it is a symbolic link$/);
      }
    }
    // On this wire the last component of a path is the name.
    const own = `up${stored.length}`;
    const uploads = [[`${link}/${own}`, own], ...link.includes("/") ? [] : [[link, `${link} (4)`]]];
    for (const [name, as] of uploads as [string, string][]) {
      using upload = await Wire.dial(server);
      await upload.says(encodeUploadHeader(6, name));
      assertEquals(new TextDecoder().decode(await upload.bytes(GO_AHEAD.length)), GO_AHEAD);
      await upload.says("hello\n");
      assertEquals(await upload.rest(), "");
      stored.push(as);
    }
  }
  await wire.says("list\n");
  assertEquals(await wire.line(), "ok");
  for (const name of stored.sort()) {
    assertMatch(await wire.line(), new RegExp(`Z ${RegExp.escape(name)}$`));
  }
  assertEquals(await wire.line(), `end ${stored.length}`);
  assertEquals(await around.check(), stored);
});

/** Puts a link in the place of a folder that a transfer goes into. */
function swap({ dir, outside }: Surroundings): void {
  Deno.renameSync(`${dir}/photos`, `${dir}/moved`);
  Deno.symlinkSync(outside, `${dir}/photos`);
}

for (const fsync of [false, true]) {
  const how = fsync ? " with --fsync" : "";
  integration(`a folder that becomes a link while a file comes leads nowhere${how}`, async () => {
    await using around = await surroundings();
    const args = fsync ? ["--fsync"] : [];
    await using server = await startServer({ dir: around.dir, args });
    using wire = await Wire.greet(server);
    await wire.says("put - photos/a.txt\n");
    assertEquals(await wire.line(), "go 0");
    await wire.says("data 3\nhel");
    swap(around);
    await wire.says("data 3\nlo\nend 363a3020\n");
    assertMatch(await wire.line(), /^error denied .*it is a symbolic link$/);
    // What is outside has the name of the file in flight, and that of the file.
    assertEquals(names(around.outside), ["a.txt", "a.txt.temp", "received"]);
    await wire.says("get photos/a.txt\nlist\n");
    assertMatch(await wire.line(), /^error denied /);
    assertEquals(await wire.line(), "ok");
    assertEquals(await wire.line(), "end 0");
    wire.close();
    await server.running.stop();
    // What was left where the folder is now goes with the next start.
    await using again = await startServer({ dir: around.dir });
    assertEquals(await around.check(), []);
    using hello = await Wire.greet(again);
    await hello.says("Hello\n");
    assertEquals(await hello.line(), "Hello ACK");
  });
}

integration("a folder that becomes a link while a file breaks off leads nowhere", async () => {
  await using around = await surroundings();
  await using server = await startServer({ dir: around.dir });
  {
    using wire = await Wire.greet(server);
    await wire.says("put 6 photos/a.txt\n");
    assertEquals(await wire.line(), "go 0");
    swap(around);
  }
  await server.running.says(/client 1: left/);
  await server.running.stop();
  await using again = await startServer({ dir: around.dir });
  assertEquals(await around.check(), []);
  assertEquals(Deno.readTextFileSync(`${around.outside}/a.txt.temp`), SECRET);
  assertEquals(again.port > 0, true);
});

integration("a get goes on with the file that it opened, whatever its folder becomes", async () => {
  await using around = await surroundings();
  const content = "x".repeat(32 * 2 ** 20);
  await using server = await startServer({ dir: around.dir });
  Deno.mkdirSync(`${around.dir}/photos`);
  Deno.writeTextFileSync(`${around.dir}/photos/a.txt`, content);
  using wire = await Wire.greet(server);
  await wire.says("get photos/a.txt\n");
  assertEquals(await wire.line(), `ok ${content.length}`);
  swap(around);
  for (let left = content.length; left > 0;) {
    const size = Number((await wire.line()).slice("data ".length));
    assertEquals(new TextDecoder().decode(await wire.bytes(size)), "x".repeat(size));
    left -= size;
  }
  assertMatch(await wire.line(), /^end\S* /);
  assertEquals(await around.check(), ["moved/a.txt"]);
});

integration("a link that a client made is followed by nobody, in no request", async () => {
  await using around = await surroundings();
  await using server = await startServer({ dir: around.dir, args: ["--links", "all"] });
  using wire = await Wire.greet(server);
  const targets = {
    "out": around.outside,
    "up": "../outside",
    "file": `${around.outside}/a.txt`,
    "loop": "loop",
    "chain": "out",
    "own": ".inlet",
    "back": "p/../../outside",
  };
  await wire.says("push 6 p/a\nhello\nend 363a3020\n");
  assertEquals(await wire.line(), "ok 6 363a3020 p/a");
  for (const [name, to] of Object.entries(targets)) {
    await wire.says(`symlink;to=${encodeURIComponent(to)} ${name}\n`);
    assertEquals(await wire.line(), `ok ${name}`);
    for (const inner of [`${name}/a.txt`, `${name}/received/a.txt`, `${name}/new/b`]) {
      await wire.says(
        `push 6 ${inner}\nhello\nend 363a3020\nput 6 ${inner}\nget ${inner}\nmkdir ${inner}\n` +
          `symlink;to=x ${inner}\ntree ${inner}\ncompare 6 - 2026-11-21T08:38:00Z ${inner}\n`,
      );
      for (let answers = 0; answers < 7; answers++) {
        assertMatch(await wire.line(), /^error denied .*(it is a|too many) symbolic links?$/);
      }
    }
    await wire.says(`get ${name}\ntree ${name}\n`);
    assertMatch(await wire.line(), /^error not-found .*it is a symbolic link$/);
    assertMatch(await wire.line(), /^error not-found .*it is a symbolic link$/);
  }
  assertEquals(await around.check(), ["p/a"]);
});

integration(
  "a folder that becomes a link keeps links and times out of what it leads to",
  async () => {
    await using around = await surroundings();
    await using server = await startServer({ dir: around.dir });
    using wire = await Wire.greet(server);
    await wire.says("mkdir;id=me;mode=755 photos/received\n");
    assertEquals(await wire.line(), "ok photos/received");
    swap(around);
    const before = Deno.lstatSync(`${around.outside}/received`);
    await wire.says(
      "symlink;to=x photos/l\nsymlink;to=x photos/received/l\n" +
        "mkdir;id=me;mode=700;time=2001-01-01T00:00:00Z photos/received\n" +
        "mkdir;id=me;mode=700;time=2001-01-01T00:00:00Z photos\n",
    );
    for (let answers = 0; answers < 4; answers++) {
      assertMatch(await wire.line(), /^error denied .*it is a symbolic link$/);
    }
    const after = Deno.lstatSync(`${around.outside}/received`);
    assertEquals([after.mode, after.mtime], [before.mode, before.mtime]);
    assertEquals(names(`${around.outside}/received`), ["a.txt"]);
    assertEquals(await around.check(), []);
  },
);
