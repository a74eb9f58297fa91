/**
 * Folders as one archive: what GNU tar, Python and Info-ZIP make of them, and what happens if files
 * change or the client leaves meanwhile.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type ArchiveEntry, ARCHIVES } from "../web/archive_formats.ts";
import {
  bytes,
  dial,
  integration,
  PROC,
  pure,
  run,
  sendTo,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { HttpWire, problemIn } from "./http_wire.ts";
import { makeTree } from "./trees.ts";
import { Wire } from "./wire.ts";

const FORMATS = ["tar", "zip"] as const;

/** What the server's command in the README has, and no more. */
function permissionsOf(dir: string): string[] {
  return ["--no-prompt", "--allow-net", `--allow-read=${dir}`, `--allow-write=${dir}`];
}

const DEEP = Array(5).fill("deep".repeat(20)).join("/");

/** Makes what archives find hard: long names, astral letters, links, empty folders, odd times. */
function makeHardTree(dir: string): void {
  makeTree(dir, {
    "photos/a.bin": bytes(3_000_000),
    "photos/empty": "",
    "photos/no/files/": "",
    "photos/naïve café ☕ 🎈.txt": "hello\n",
    [`photos/${"long".repeat(50)}🎈🎈`]: "long\n",
    [`photos/${DEEP}/${"f".repeat(200)}`]: "deep\n",
    "photos/run.sh": "#!/bin/sh\n",
    "photos/old": "old\n",
    "photos/late": "late\n",
    "other": "other\n",
  });
  const photos = `${dir}/photos`;
  Deno.symlinkSync("a.bin", `${photos}/link`);
  Deno.symlinkSync("no/".repeat(60), `${photos}/long link`);
  Deno.symlinkSync("/etc/passwd", `${photos}/outward`);
  Deno.chmodSync(`${photos}/run.sh`, 0o750);
  Deno.chmodSync(`${photos}/no/files`, 0o700);
  const times = { "run.sh": 1_700_000_000.25, "old": -86_400 * 365, "late": 4_449_600_000 };
  for (const [name, time] of Object.entries(times)) Deno.utimeSync(`${photos}/${name}`, time, time);
  Deno.utimeSync(`${photos}/no/files`, 1_600_000_000, 1_600_000_000);
}

async function get(server: TestServer, path: string): Promise<Uint8Array> {
  using wire = await HttpWire.dial(server);
  const { status, body } = await wire.asks(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  assertEquals(status, 200, new TextDecoder().decode(body.subarray(0, 300)));
  return body;
}

/** Every file, folder and link below a folder, with what an archive keeps of it. */
function facts(dir: string, what: (info: Deno.FileInfo) => unknown[], top = ""): unknown[] {
  return [...Deno.readDirSync(`${dir}/${top}`)].map(({ name }) => `${top}${name}`).sort()
    .filter((name) => name !== ".inlet" && !name.endsWith("outward")).flatMap((name) => {
      const path = `${dir}/${name}`;
      const info = Deno.lstatSync(path);
      if (info.isSymlink) return [[name, Deno.readLinkSync(path)]];
      if (info.isDirectory) return [[name, ...what(info)], ...facts(dir, what, `${name}/`)];
      return [[name, Deno.readTextFileSync(path), ...what(info)]];
    });
}

integration("GNU tar unpacks a folder as it is: modes, times and links too", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  makeHardTree(dir);
  await using server = await startServer({ dir, permissions: permissionsOf(dir) });
  const tar = await get(server, "/files/photos/?archive=tar");
  await local.write("photos.tar", tar);
  Deno.mkdirSync(`${local.path}/out`);
  const { code, stderr } = await run("tar", ["-xpf", "../photos.tar"], {
    cwd: `${local.path}/out`,
  });
  assertEquals(code, 0, stderr);
  const kept = ({ mode, mtime }: Deno.FileInfo): unknown[] => [mode! & 0o777, mtime!.getTime()];
  Deno.removeSync(`${dir}/other`);
  assertEquals(facts(`${local.path}/out`, kept), facts(dir, kept));
}, { programs: ["tar"] });

integration("Python reads both archives, and unzip the zip", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  makeHardTree(dir);
  await using server = await startServer({ dir, permissions: permissionsOf(dir) });
  for (const format of FORMATS) {
    await local.write(`all.${format}`, await get(server, `/files/?archive=${format}`));
  }
  const script = `
import sys, tarfile, zipfile, json
tar, archive = tarfile.open("all.tar"), zipfile.ZipFile("all.zip")
assert archive.testzip() is None
names = [m.name + ("/" if m.isdir() else "") for m in tar]
assert names == archive.namelist(), (names, archive.namelist())
for m in tar:
    i = archive.getinfo(m.name + ("/" if m.isdir() else ""))
    content = m.linkname.encode() if m.issym() else b"" if m.isdir() else tar.extractfile(m).read()
    assert archive.read(i) == content, m.name
    assert (i.external_attr >> 16) & 0o777 == m.mode, m.name
    if m.name == "photos/run.sh": run = (m.mtime, i.date_time)
    if m.name == "photos/old": old = (m.mtime, i.date_time)
    if m.name == "photos/late": late = (m.mtime, i.date_time)
print(json.dumps([names, run, old, late]))`;
  const read = await run("python3", ["-c", script], { cwd: local.path });
  assertEquals(read.code, 0, read.stderr);
  const [names, ...times] = JSON.parse(read.stdout);
  assertEquals(names.filter((name: string) => /other|link|outward/.test(name)), [
    "other",
    "photos/link",
    "photos/long link",
  ]);
  assertEquals(times, [
    [1_700_000_000.25, [2023, 11, 14, 22, 13, 20]],
    [-86_400 * 365, [1980, 1, 1, 0, 0, 0]],
    [4_449_600_000, [2107, 12, 31, 23, 59, 58]],
  ]);
  Deno.mkdirSync(`${local.path}/out`);
  const unzip = await run("unzip", ["-q", "../all.zip"], { cwd: `${local.path}/out` });
  assertEquals(unzip.code, 0, unzip.stderr);
  const kept = ({ mode }: Deno.FileInfo): unknown[] => [mode! & 0o777];
  assertEquals(facts(`${local.path}/out`, kept), facts(dir, kept));
}, { programs: ["python3", "unzip"] });

integration("an archive is the same every time, in any time zone", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  makeHardTree(dir);
  const archives: Record<string, Uint8Array[]> = { tar: [], zip: [] };
  // Its clock is put forward at the time that has no half past two there.
  const gap = Date.UTC(2026, 2, 8, 2, 30) / 1000;
  Deno.utimeSync(`${dir}/other`, gap, gap);
  for (const zone of ["UTC", "America/St_Johns"]) {
    await using server = await startServer({ dir, under: ["env", `TZ=${zone}`] });
    for (const format of FORMATS) {
      for (let time = 0; time < 2; time++) {
        archives[format]!.push(await get(server, `/files/?archive=${format}`));
      }
    }
  }
  for (const [first, ...others] of Object.values(archives)) {
    for (const other of others) assertEquals(other, first);
  }
});

integration("the head of an archive's response, and what is refused before it", async () => {
  await using server = await startServer();
  makeTree(server.dir, { "in/naïve ☕/a": "hello\n", "in/file": "hello\n" });
  using wire = await HttpWire.dial(server);
  const path = "/files/in/na%C3%AFve%20%E2%98%95/?archive=zip";
  const head = await wire.asks(`HEAD ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  assertEquals([head.status, head.headers["content-type"]], [200, "application/zip"]);
  assertEquals(
    head.headers["content-disposition"],
    `attachment; filename="na_ve _.zip"; filename*=UTF-8''na%C3%AFve%20%E2%98%95.zip`,
  );
  const slashless = path.replace("/?", "?");
  const moved = await wire.asks(`GET ${slashless} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  assertEquals(
    [moved.status, moved.headers.location],
    [308, "na%C3%AFve%20%E2%98%95/?archive=zip"],
  );
  const all = await wire.asks("HEAD /files/?archive=tar HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assertMatch(all.headers["content-disposition"]!, /^attachment; filename="files\.tar";/);
  for (
    const [path, status, code] of [
      ["/files/none/?archive=tar", 404, "not-found"],
      ["/files/in/file/?archive=tar", 404, "not-found"],
      ["/files/in/file/", 404, "not-found"],
      ["/files/in/?archive=rar", 400, "bad-request"],
      ["/files/?archive=constructor", 400, "bad-request"],
    ]
  ) {
    const refused = await wire.asks(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    assertEquals([refused.status, problemIn(refused).code], [status, code], String(path));
  }
  await using drop = await startServer({ args: ["--drop-only"] });
  using dropping = await HttpWire.dial(drop);
  const denied = await dropping.asks("GET /files/?archive=tar HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assertEquals(problemIn(denied).code, "denied");
});

/** More than the system and the server hold of a response that nobody reads. */
const LARGE = 48 * 1024 * 1024;

/** A response of which only the beginning was read, and how it goes on. */
class HalfRead implements Disposable {
  readonly #conn: Deno.TcpConn;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  static async of(server: TestServer, path: string, version = "1.1"): Promise<HalfRead> {
    const conn = await dial(server);
    await sendTo(
      conn,
      `GET ${path} HTTP/${version}\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    const room = new Uint8Array(64 * 1024);
    for (let read = 0; read < 1024 * 1024;) read += (await conn.read(room))!;
    return new HalfRead(conn);
  }

  /** Reads the rest: whether it ends as a whole response does. */
  async isWhole(): Promise<boolean> {
    const room = new Uint8Array(256 * 1024);
    let tail = "";
    try {
      for (let read; (read = await this.#conn.read(room)) !== null;) {
        const end = room.subarray(Math.max(read - 8, 0), read);
        tail = (tail + String.fromCharCode(...end)).slice(-8);
      }
    } catch (error) {
      assert(error instanceof Deno.errors.ConnectionReset, String(error));
      return false;
    }
    return tail.endsWith("0\r\n\r\n");
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }
}

/** What other programs do to the files of an archive that is under way, and whether it is whole then. */
const CHANGES: Record<string, [change: (dir: string) => void, isWhole: boolean]> = {
  "is cut": [(dir) => Deno.truncateSync(`${dir}/large`, LARGE - 1), false],
  "is written again": [(dir) => Deno.utimeSync(`${dir}/large`, 1, 1), false],
  "that comes later is removed": [(dir) => Deno.removeSync(`${dir}/later`), false],
  "that comes later becomes a folder": [(dir) => {
    Deno.removeSync(`${dir}/later`);
    Deno.mkdirSync(`${dir}/later`);
  }, false],
  "gets more at its end": [(dir) => Deno.truncateSync(`${dir}/large`, LARGE + 1), true],
};

integration("an archive is cut if a file changes meanwhile, and never ends short", async () => {
  await using server = await startServer();
  const versions = { tar: ["1.1", "1.0"], zip: ["1.1"] };
  for (const format of FORMATS) {
    for (const [what, [change, isWhole]] of Object.entries(CHANGES)) {
      for (const version of isWhole ? ["1.1"] : versions[format]) {
        const dir = `${server.dir}/${format}`;
        makeTree(dir, { "large": "", "later": "later\n" });
        Deno.truncateSync(`${dir}/large`, LARGE);
        using half = await HalfRead.of(server, `/files/${format}/?archive=${format}`, version);
        change(dir);
        assertEquals(await half.isWhole(), isWhole, `${format}, HTTP/${version}: a file ${what}`);
        Deno.removeSync(dir, { recursive: true });
      }
    }
  }
  await server.running.stop();
  assertMatch(server.running.log, /"tar\/large" changed while it was sent/);
  assertMatch(server.running.log, /Cannot get "zip\/later": /);
});

/** How often a process has a file open. */
function readersOf(path: string, { pid }: TestServer): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].filter(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/${pid}/fd/${name}`) === path;
    } catch {
      return false;
    }
  }).length;
}

integration("a client that leaves ends the reading for its archive", async () => {
  await using server = await startServer();
  makeTree(server.dir, { "large": "" });
  Deno.truncateSync(`${server.dir}/large`, LARGE);
  const path = `${server.dir}/large`;
  for (const [time, format] of [...FORMATS, ...FORMATS].entries()) {
    const half = await HalfRead.of(server, `/files/?archive=${format}`);
    assertEquals(readersOf(path, server), 1);
    half[Symbol.dispose]();
    await server.running.says(/ left, /, 2 * time + 1);
    // It is closed before anything else is served.
    await get(server, "/files/");
    assertEquals(readersOf(path, server), 0, format);
  }
}, PROC);

/** Entries of an archive, and how much of them was taken. */
function manyEntries(count: number, piece: Uint8Array) {
  const taken = { entries: 0, bytes: 0 };
  const content = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < 64; at++) {
      taken.bytes += piece.length;
      yield await Promise.resolve(piece);
    }
  };
  const entries = async function* (): AsyncGenerator<ArchiveEntry> {
    for (; taken.entries < count; taken.entries++) {
      const size = 64 * piece.length;
      const what = { type: "file", size, content: content() } as const;
      yield await Promise.resolve({
        name: `${taken.entries}`,
        modified: new Date(0),
        mode: 0,
        what,
      });
    }
  };
  return { taken, entries: entries() };
}

for (const format of FORMATS) {
  pure(`a ${format} is packed no faster than it is read`, async () => {
    const { taken, entries } = manyEntries(4, bytes(1024 * 1024));
    const reader = (await ARCHIVES[format].pack(entries)).getReader();
    await reader.read();
    // Nothing here waits for anything outside: what does not go on within these turns does not.
    for (let turns = 0, before = -1; turns < 20; turns++) {
      if (taken.bytes !== before) turns = 0;
      before = taken.bytes;
      await new Promise((resolve) => setTimeout(resolve));
    }
    assert(taken.bytes <= 10 * 1024 * 1024, `${taken.bytes} bytes are held in memory`);
    await reader.cancel().catch(() => {});
  });
}

pure("a zip of more entries than it can count fails, and has none of its end", async () => {
  const { entries } = manyEntries(65_535, new Uint8Array(0));
  const error = await assertRejects(() =>
    ARCHIVES.zip.pack(entries).then(Array.fromAsync<Uint8Array>)
  );
  assertMatch(String(error), /the limit is 65534 files and folders, use tar/);
});

integration("a tar has sizes of more than 8 GiB", async () => {
  await using server = await startServer();
  makeTree(server.dir, { "large": "" });
  Deno.truncateSync(`${server.dir}/large`, 9 * 1024 ** 3);
  using wire = await Wire.dial(server);
  await wire.says("GET /files/?archive=tar HTTP/1.1\r\nHost: localhost\r\n\r\n");
  while ((await wire.line()) !== "\r");
  let head = "";
  while (!head.includes("size=")) head = await wire.line();
  assertMatch(head, /^\d+ size=9663676416$/);
});
