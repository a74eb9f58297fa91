/**
 * Permission bits and times of folders on the wire: who made a folder finishes it, and nobody else.
 *
 * @module
 */

import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { integration, names, startServer, tempDir } from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { Wire } from "./wire.ts";

const TIME = "1966-05-06T07:08:09.123Z";
const OTHER = "2001-05-06T07:08:09Z";

/** The permission bits and the time of a path. */
function factsOf(path: string): [string, string] {
  const { mode, mtime } = Deno.lstatSync(path);
  return [(mode! & 0o7777).toString(8), mtime!.toISOString()];
}

/** Stops the clock of this process: to a server in it no disk seems slow, however busy the machine is. */
function stoppedClock(): Disposable {
  const { now } = performance;
  const stopped = performance.now();
  performance.now = () => stopped;
  return { [Symbol.dispose]: () => void (performance.now = now) };
}

/** Says lines, and expects one answer to each. */
async function exchange(wire: Wire, lines: Record<string, string | RegExp>): Promise<void> {
  for (const [line, answer] of Object.entries(lines)) {
    await wire.says(`${line}\n`);
    if (typeof answer === "string") assertEquals(await wire.line(), answer, line);
    else assertMatch(await wire.line(), answer, line);
  }
}

integration("a folder gets its bits and its time at the end, from who made it", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  const file = "push 6 p/q/a\nhello\nend 363a3020";
  await exchange(wire, {
    "mkdir;id=me;mode=555 p": "ok p",
    "mkdir;id=me;mode=500;files=1 p/q": "ok p/q",
  });
  // Its maker puts files into it.
  assertEquals(factsOf(`${server.dir}/p`)[0], "755");
  await exchange(wire, { [file]: "ok 6 363a3020 p/q/a" });
  await exchange(wire, {
    [`mkdir;id=you;mode=700;time=${OTHER} p/q`]: "ok p/q",
    [`mkdir;mode=700;time=${OTHER} p/q`]: "ok p/q",
  });
  assertEquals(factsOf(`${server.dir}/p/q`)[0], "700");
  await exchange(wire, {
    [`mkdir;id=me;mode=500;time=${TIME} p/q`]: "ok p/q",
    [`mkdir;id=me;mode=555;time=${TIME} p`]: "ok p",
  });
  assertEquals(factsOf(`${server.dir}/p/q`), ["500", TIME]);
  assertEquals(factsOf(`${server.dir}/p`), ["555", TIME]);
  Deno.chmodSync(`${server.dir}/p`, 0o755);
  Deno.chmodSync(`${server.dir}/p/q`, 0o755);
});

integration(
  "a folder is told to have its time once all its files are in it, no sooner",
  async () => {
    await using inbox = await tempDir();
    await using server = await serveHere({ dir: inbox.path });
    // Where the disk is slow, the folder is made ahead of its files.
    using _clock = stoppedClock();
    using wire = await Wire.greet(server);
    const announce = (name: string, files: number, mode = "755"): string =>
      `mkdir;id=me;mode=${mode};time=${TIME};files=${files} ${name}\n`;
    const push = (name: string): string => `push 6 ${name}\nhello\nend 363a3020\n`;
    const wrong = "push 6 wrong/1\nhello\nend 00000000\n";
    const said = announce("whole", 2) + push("whole/1") + push("whole/2") +
      announce("less", 2) + push("less/1") + announce("wrong", 1) + wrong +
      announce("closed", 1, "555") + push("closed/1") + announce("empty", 0);
    await wire.says(said);
    for (
      const answer of [
        "ok;time=set whole",
        "ok 6 363a3020 whole/1",
        "ok 6 363a3020 whole/2",
        "ok less",
        "ok 6 363a3020 less/1",
        "ok wrong",
        /^error checksum Cannot store "wrong\/1": /,
        "ok closed",
        "ok 6 363a3020 closed/1",
        "ok empty",
      ]
    ) {
      if (typeof answer === "string") assertEquals(await wire.line(), answer);
      else assertMatch(await wire.line(), answer);
    }
    assertEquals(factsOf(`${inbox.path}/whole`), ["755", TIME]);
    assertEquals(factsOf(`${inbox.path}/empty`), ["755", TIME]);
    assertEquals(factsOf(`${inbox.path}/closed`)[0], "755");
    for (const folder of ["less", "wrong", "closed"]) {
      assertNotEquals(factsOf(`${inbox.path}/${folder}`)[1], TIME, folder);
    }
  },
);

integration("an empty folder gets all at once, and one that was there nothing", async () => {
  await using server = await startServer();
  Deno.mkdirSync(`${server.dir}/there`, { recursive: true });
  Deno.chmodSync(`${server.dir}/there`, 0o2750);
  const before = factsOf(`${server.dir}/there`);
  using wire = await Wire.greet(server);
  await exchange(wire, {
    [`mkdir;id=me;mode=711;time=${TIME} new`]: "ok new",
    [`mkdir;time=${OTHER} bare`]: "ok bare",
    "mkdir;id=me;mode=711 there": "ok there",
    [`mkdir;id=me;mode=711;time=${TIME} there`]: "ok there",
  });
  assertEquals(factsOf(`${server.dir}/new`), ["711", TIME]);
  assertEquals(factsOf(`${server.dir}/bare`)[1], "2001-05-06T07:08:09.000Z");
  assertEquals(factsOf(`${server.dir}/there`), before);
});

integration("another folder in the place of the one that was made stays as it is", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  await exchange(wire, { "mkdir;id=me;mode=700 p": "ok p" });
  Deno.renameSync(`${server.dir}/p`, `${server.dir}/kept`);
  Deno.mkdirSync(`${server.dir}/p`);
  const before = factsOf(`${server.dir}/p`);
  await exchange(wire, { [`mkdir;id=me;mode=755;time=${TIME} p`]: "ok p" });
  assertEquals(factsOf(`${server.dir}/p`), before);
});

integration("a folder that was removed just now is made again for what goes into it", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  const file = "hello\nend 363a3020";
  const ways: Record<string, string | RegExp>[] = [
    { "mkdir p": "ok p" },
    { "mkdir p/q": "ok p/q" },
    { "symlink;to=b p/a": "ok p/a" },
    { [`push 6 p/a\n${file}`]: "ok 6 363a3020 p/a" },
    { "put 6 p/a": "go 0", [file]: "ok 6 363a3020 p/a" },
    { [`reput ${"0".repeat(64)} 6 p/a`]: /^go;/, [file]: "ok 6 363a3020 p/a" },
  ];
  for (const way of ways) {
    // The server may know the folder for a few milliseconds.
    for (let time = 0; time < 3; time++) {
      await exchange(wire, { "mkdir p": "ok p" });
      Deno.removeSync(`${server.dir}/p`);
      await exchange(wire, way);
      assertEquals(names(`${server.dir}/p`).length, "mkdir p" in way ? 0 : 1);
      Deno.removeSync(`${server.dir}/p`, { recursive: true });
    }
  }
});

integration("the group bit of a folder is kept for the folders in it", async () => {
  await using server = await startServer();
  Deno.mkdirSync(`${server.dir}/team`, { recursive: true });
  Deno.chmodSync(`${server.dir}/team`, 0o2775);
  using wire = await Wire.greet(server);
  await exchange(wire, {
    "mkdir;id=me;mode=755 team/p": "ok team/p",
    [`mkdir;id=me;mode=755;time=${TIME} team/p`]: "ok team/p",
  });
  assertEquals(factsOf(`${server.dir}/team/p`), ["2755", TIME]);
});

integration("links are made as they are sent, and replace nothing", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  await exchange(wire, {
    "push 6 p/a\nhello\nend 363a3020": "ok 6 363a3020 p/a",
    [`symlink;to=a;time=${OTHER} p/l`]: "ok p/l",
    "symlink;to=a p/l": "ok p/l",
    "symlink;to=b p/l": "ok p/l (2)",
    "symlink;to=c p/l": "ok p/l (3)",
    "symlink;to=b p/a": "ok p/a (2)",
    "symlink;to=b p/l\u0020(2)": "ok p/l (2)",
    "symlink;to=../p%20%C3%A4/./x/ q/r": "ok q/r",
    [`symlink;to=a;time=${TIME} p/old`]: "ok p/old",
  });
  assertEquals(factsOf(`${server.dir}/p/l`)[1], "2001-05-06T07:08:09.000Z");
  assertEquals(Deno.readLinkSync(`${server.dir}/p/l (2)`), "b");
  assertEquals(Deno.readLinkSync(`${server.dir}/q/r`), "../p ä/./x/");
  assertEquals(Deno.readTextFileSync(`${server.dir}/p/a`), "hello\n");
  // A folder is numbered beside a link, and nothing goes through it.
  await exchange(wire, {
    "symlink;to=x p/l/y": /^error denied .*it is a symbolic link$/,
    "mkdir p/l/y": /^error denied .*it is a symbolic link$/,
  });
  await server.running.says(/made the link "q\/r"/);
});

const LEADING_OUT = [
  "/etc/passwd",
  "..",
  "../..",
  "./../x",
  "a/..",
  "a/../../..",
  "a/./../b",
  ".inlet",
  ".INLET/x",
  "a/.inlet:x",
  "%2Finlet%7E1/..",
  "inlet~1",
];

integration("a link that leads out is not made, unless the server is told to", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  for (const target of LEADING_OUT) {
    await exchange(wire, {
      [`symlink;to=${target} l`]: /^error denied .*: it leads out of the directory$/,
    });
  }
  await exchange(wire, {
    "symlink;to=../.. a/l": /^error denied /,
    "symlink;to=.. a/l": "ok a/l",
    "symlink;to=../b/c a/m": "ok a/m",
  });
  assertEquals([...Deno.readDirSync(`${server.dir}/a`)].length, 2);

  await using all = await startServer({ args: ["--links", "all"] });
  using free = await Wire.greet(all);
  await exchange(free, { "symlink;to=/etc/passwd l": "ok l", "symlink;to=.. m": "ok m" });
  await free.says("get l\nget m/x\ntree /\n");
  assertMatch(await free.line(), /^error not-found .*it is a symbolic link$/);
  assertMatch(await free.line(), /^error denied .*it is a symbolic link$/);
  assertEquals(await free.line(), "ok");
  assertMatch(await free.line(), /^@;to=\/etc\/passwd \S+ l$/);
  assertMatch(await free.line(), /^@;to=\.\. \S+ m$/);
  assertEquals(await free.line(), "end 2");

  await using none = await startServer({ args: ["--links", "none"] });
  using strict = await Wire.greet(none);
  await exchange(strict, { "symlink;to=a l": /^error denied .*: links are not stored$/ });
});

integration("tree has the links that stay within the directory, and list has none", async () => {
  await using server = await startServer();
  Deno.mkdirSync(`${server.dir}/p`, { recursive: true });
  for (const [name, to] of Object.entries({ in: "../x y", up: "../..", loop: "loop" })) {
    Deno.symlinkSync(to, `${server.dir}/p/${name}`);
  }
  using wire = await Wire.greet(server);
  await wire.says("tree p\nlist\n");
  assertEquals(await wire.line(), "ok");
  assertMatch(await wire.line(), /^-;mode=755 \S+ p$/);
  assertMatch(await wire.line(), /^@;to=\.\.\/x%20y \S+ p\/in$/);
  assertMatch(await wire.line(), /^@;to=loop \S+ p\/loop$/);
  for (const line of ["end 3", "ok", "end 0"]) assertEquals(await wire.line(), line);
});

integration("a link whose entry is longer than a line is neither made nor listed", async () => {
  await using server = await startServer();
  Deno.mkdirSync(server.dir, { recursive: true });
  Deno.symlinkSync("y".repeat(4090), `${server.dir}/own`);
  Deno.writeTextFileSync(`${server.dir}/seen`, "");
  using wire = await Wire.greet(server);
  const long = "y".repeat(4080);
  await exchange(wire, { [`symlink;to=${long} L`]: /^error bad-name .*its target is too long$/ });
  await wire.says("tree /\n");
  assertEquals(await wire.line(), "ok");
  assertMatch(await wire.line(), /^0 \S+ seen$/);
  assertEquals(await wire.line(), "end 1");
});

integration("a server that Deno permits no links says so, once in its log", async () => {
  await using temp = await tempDir();
  const dir = `${temp.path}/received`;
  const permissions = ["--allow-net", `--allow-read=${dir}`, `--allow-write=${dir}`];
  await using server = await startServer({ dir, permissions });
  using wire = await Wire.greet(server);
  for (const name of ["a", "b"]) {
    const refused =
      /^error denied .*: where it would be stored, Deno permits .*without paths only$/;
    await exchange(wire, { [`symlink;to=x ${name}`]: refused });
  }
  await wire.says("exit\n");
  assertEquals(await wire.line(), "ok bye");
  await server.running.stop();
  assertEquals(server.running.log.match(/Symbolic links are not made/g)?.length, 1);
});
