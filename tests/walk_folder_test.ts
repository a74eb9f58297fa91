import { assertEquals, assertMatch } from "@std/assert";
import { integration, names, startServer, type TestServer } from "./helpers.ts";
import { Wire } from "./wire.ts";

const TIME = new Date("2020-02-29T12:00:00Z");

/** Everything is as old as the test says, so that lists can be compared. */
function plant(server: TestServer, ...paths: string[]): void {
  for (const path of paths) {
    if (path.endsWith("/")) Deno.mkdirSync(`${server.dir}/${path}`, { recursive: true });
    else Deno.writeTextFileSync(`${server.dir}/${path}`, "hello\n");
  }
  for (const path of paths.toReversed()) Deno.utimeSync(`${server.dir}/${path}`, TIME, TIME);
}

async function answerTo(wire: Wire, request: string): Promise<string[]> {
  await wire.says(`${request}\n`);
  const first = await wire.line();
  const lines = [first];
  const isList = first === "ok" && /^(list|tree|status)/.test(request);
  while (isList && !/^(end|error) /.test(lines.at(-1)!)) lines.push(await wire.line());
  return lines;
}

integration("tree gives a folder, what is below it, and nothing beside it", async () => {
  await using server = await startServer();
  const below = ["photos/", "photos/deep/", "photos/deep/b.txt", "photos/empty/"];
  plant(server, ...below, "photos/a.txt", "photos2/", "photos2/x.txt", "notes.txt");
  Deno.symlinkSync("../..", `${server.dir}/photos/link`);
  Deno.symlinkSync("photos", `${server.dir}/alias`);
  Deno.utimeSync(`${server.dir}/photos`, TIME, TIME);
  for (const [name, mode] of [["", 0o750], ["/deep", 0o755], ["/empty", 0o2755]] as const) {
    Deno.chmodSync(`${server.dir}/photos${name}`, mode);
  }
  using wire = await Wire.greet(server);
  assertEquals(await answerTo(wire, "tree photos"), [
    "ok",
    "-;mode=750 2020-02-29T12:00:00Z photos",
    "6 2020-02-29T12:00:00Z photos/a.txt",
    "-;mode=755 2020-02-29T12:00:00Z photos/deep",
    "6 2020-02-29T12:00:00Z photos/deep/b.txt",
    "-;mode=755 2020-02-29T12:00:00Z photos/empty",
    "end 5",
  ]);
  assertEquals(await answerTo(wire, "tree photos/deep/b.txt"), [
    "ok",
    "6 2020-02-29T12:00:00Z photos/deep/b.txt",
    "end 1",
  ]);
  for (
    const [name, code] of [
      ["nothing", "not-found"],
      ["alias", "not-found"],
      ["photos/link", "not-found"],
      ["alias/deep", "denied"],
      ["..", "bad-name"],
      ["/etc", "bad-name"],
      ["photos/", "bad-name"],
    ] as const
  ) {
    const [line] = await answerTo(wire, `tree ${name}`);
    assertMatch(line!, new RegExp(`^error ${code} `), name);
  }
  assertEquals((await answerTo(wire, "list")).at(-1), "end 4");
});

integration("get of a folder says how to get all of it", async () => {
  await using server = await startServer();
  plant(server, "photos/");
  using wire = await Wire.greet(server);
  const [line] = await answerTo(wire, "get photos");
  assertEquals(line, 'error not-found Cannot get "photos": it is a folder, get "photos/"');
});

integration("mkdir makes folders beside a file of that name, and none through a link", async () => {
  await using server = await startServer();
  plant(server, "file");
  Deno.mkdirSync(`${server.dir}/../outside`);
  Deno.symlinkSync("../outside", `${server.dir}/link`);
  using wire = await Wire.greet(server);
  // Ahead of the answers, as pushes go.
  await wire.says("mkdir a/b/c\nmkdir a/b/c\nmkdir link/x\nmkdir link\n");
  await wire.says("mkdir file\nmkdir file/x\nmkdir file\nmkdir a/../b\n");
  for (
    const expected of [
      /^ok a\/b\/c$/,
      /^ok a\/b\/c$/,
      /^error denied Cannot go through "link": it is a symbolic link$/,
      /^error denied Cannot go through "link": it is a symbolic link$/,
      /^ok file \(2\)$/,
      /^ok file \(2\)\/x$/,
      /^ok file \(2\)$/,
      /^error bad-name /,
    ]
  ) assertMatch(await wire.line(), expected);
  assertEquals(Deno.statSync(`${server.dir}/a/b/c`).isDirectory, true);
  assertEquals(names(`${server.dir}/../outside`), []);
});

const LINK = 'error denied Cannot go through "link": it is a symbolic link';

integration(
  "compare finds a file by its size and checksum, or its size and time, under its numbers too",
  async () => {
    await using server = await startServer();
    plant(server, "a.txt", "b (2).txt", "c/", "c/a.txt");
    Deno.writeTextFileSync(`${server.dir}/b.txt`, "jello\n");
    Deno.writeTextFileSync(`${server.dir}/d.txt`, "hello\n");
    using wire = await Wire.greet(server);
    const facts = "6 363a3020 2020-02-29T12:00:00Z";
    Deno.symlinkSync(`${server.dir}/c`, `${server.dir}/link`);
    // Only just written, so that a later change could have the same time.
    Deno.writeTextFileSync(`${server.dir}/fresh.txt`, "hello\n");
    const now = Math.floor(Date.now() / 1000);
    Deno.utimeSync(`${server.dir}/fresh.txt`, now, now);
    const fresh = new Date(now * 1000).toISOString().slice(0, 19);
    for (
      const [request, expected] of [
        [`${facts} a.txt`, "ok a.txt"],
        [`${facts} b.txt`, "ok b (2).txt"],
        [`${facts} c/a.txt`, "ok c/a.txt"],
        [`${facts} c`, "ok"],
        [`${facts} d.txt`, "ok d.txt"],
        [`${facts} e.txt`, "ok"],
        ["7 363a3020 2020-02-29T12:00:00Z a.txt", "ok"],
        ["6 363a3021 2020-02-29T12:00:00Z a.txt", "ok"],
        ["6 363a3020 2020-02-29T12:00:01Z a.txt", "ok a.txt"],
        ["6 - 2020-02-29T12:00:00Z a.txt", "ok a.txt"],
        ["6 - 2020-02-29T12:00:00Z b.txt", "ok b (2).txt"],
        ["6 - 2020-02-29T12:00:01Z a.txt", "ok"],
        [`6 - ${fresh}Z fresh.txt`, "ok;crc=needed"],
        ["7 - 2020-02-29T12:00:00Z a.txt", "ok"],
        ["6 - 2020-02-29T12:00:00Z e.txt", "ok"],
        ["6 - 2020-02-29T12:00:00Z none/e.txt", "ok"],
        ["6 - 2020-02-29T12:00:00Z link/a.txt", LINK],
        ["6 - 2020-02-29T12:00:00Z link/none.txt", LINK],
      ] as const
    ) {
      assertEquals(await answerTo(wire, `compare ${request}`), [expected], request);
    }
    const [line] = await answerTo(wire, `compare ${facts} ../a.txt`);
    assertMatch(line!, /^error bad-name /);
  },
);

integration("put, push and upload keep the time and the mode that the sender told", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  const end = "end;mode=600 363a3020 2020-02-29T12:00:00Z\n";
  await wire.says(`push 6 a.txt\nhello\n${end}put - b.txt\ndata 6\nhello\n${end}`);
  await wire.says(`push 6 late.txt\nhello\nend 363a3020 9999-12-31T23:59:59Z\n`);
  assertEquals(await wire.line(), "ok 6 363a3020 a.txt");
  assertEquals(await wire.line(), "go 0");
  assertEquals(await wire.line(), "ok 6 363a3020 b.txt");
  assertEquals(await wire.line(), "ok 6 363a3020 late.txt");
  for (const name of ["a.txt", "b.txt"]) {
    assertEquals(Deno.statSync(`${server.dir}/${name}`).mtime, TIME, name);
  }
  await wire.says("get a.txt\n");
  assertEquals(new TextDecoder().decode(await wire.bytes(18)), "ok 6\ndata 6\nhello\n");
  assertEquals(await wire.line(), end.trim());
});

integration("a server that only takes, or only gives, refuses trees accordingly", async () => {
  await using taking = await startServer({ args: ["--drop-only"] });
  using dropping = await Wire.greet(taking);
  for (
    const request of [
      "tree a",
      "reget 0 00000000 a",
      "compare 6 363a3020 2020-02-29T12:00:00Z a",
    ]
  ) {
    const [line] = await answerTo(dropping, request);
    assertMatch(line!, /^error denied .*only accepts uploads$/, request);
  }
  assertEquals(await answerTo(dropping, "mkdir a"), ["ok a"]);
  await using giving = await startServer({ args: ["--read-only"] });
  using reading = await Wire.greet(giving);
  for (const request of ["mkdir a", `reput ${"0".repeat(64)} 6 a`]) {
    const [line] = await answerTo(reading, request);
    assertMatch(line!, /^error denied .*server is read-only$/, request);
  }
  assertEquals(names(giving.dir), []);
});
