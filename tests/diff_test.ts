/**
 * The request `diff`: its lines, when a file is the same, and what a server tells of its files.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type DiffEntry,
  formatDiffEntry,
  MAX_DIFF_ENTRIES,
  parseDiffEntry,
  parseDiffFlags,
  ProtocolError,
} from "../protocol.ts";
import { crc32 } from "node:zlib";
import { InletError } from "../lib/errors.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { DirectoryOptions } from "../lib/store/directory_options.ts";
import type { DiskTraits } from "../lib/store/disk_traits.ts";
import { hasSameShape, isSameTime, judge } from "../lib/store/sameness.ts";
import {
  dial,
  integration,
  names,
  pure,
  run,
  sendTo,
  startServer,
  type TempDir,
  tempDir,
} from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { treeOf } from "./trees.ts";
import { Wire } from "./wire.ts";

const TIME = new Date("2026-11-21T08:38:00Z");
const WIRE_TIME = "2026-11-21T08:38:00Z";

pure("diff: an entry has a line of its kind", () => {
  const lines: [DiffEntry, string][] = [
    [{ size: 6, mode: 0o644, modified: TIME, name: "a b" }, `6;mode=644 ${WIRE_TIME} a b`],
    [{ size: null, mode: 0o755, modified: TIME, name: "d" }, `-;mode=755 ${WIRE_TIME} d`],
    [{ size: null, to: "a b;", modified: TIME, name: "l" }, `@;to=a%20b%3B ${WIRE_TIME} l`],
    [{ size: 6, crc: 0xab, modified: TIME, name: "a" }, `6;crc=000000ab ${WIRE_TIME} a`],
    [{ size: 6, modified: TIME, name: "a" }, `6 ${WIRE_TIME} a`],
  ];
  for (const [entry, line] of lines) {
    assertEquals(formatDiffEntry(entry), line);
    assertEquals(parseDiffEntry(line), entry);
  }
});

pure("diff: a line that leads elsewhere, or is none, is refused", () => {
  const broken = [
    `6;mode=644 ${WIRE_TIME} a/b`,
    `6;mode=644 ${WIRE_TIME} ../b`,
    `6;mode=644 ${WIRE_TIME} `,
    `6;mode=4755 ${WIRE_TIME} a`,
    `6;mode=644 2026-02-30T08:38:00Z a`,
    `99999999999999999;mode=644 ${WIRE_TIME} a`,
    `@;to= ${WIRE_TIME} a`,
    `@ ${WIRE_TIME} a`,
    `6;crc=xyz ${WIRE_TIME} a`,
    "",
  ];
  for (const line of broken) assertThrows(() => parseDiffEntry(line), ProtocolError);
});

pure("diff: an answer has one known flag for each entry", () => {
  assertEquals(parseDiffFlags("=.!?", 4), ["=", ".", "!", "?"]);
  for (const [detail, count] of [["==", 3], ["==", 1], ["=x", 2], ["", 1], ["= ", 2]] as const) {
    assertThrows(() => parseDiffFlags(detail, count), ProtocolError);
  }
});

/** A disk with such steps of time, and permission bits less those of an umask. */
function disk(stepMs: number | undefined, umask: number | null = 0o022): () => DiskTraits {
  return () => ({ stepMs, modeFor: (mode) => umask === null ? undefined : mode & ~umask });
}

/** A stored file, published so much after its last change. */
function stored(
  { size, mode, mtimeMs, laterMs = 60_000 }: {
    size: number;
    mode: number;
    mtimeMs: number;
    laterMs?: number;
  },
): Deno.FileInfo {
  const published = new Date(mtimeMs + laterMs);
  const facts = { size, mode, mtime: new Date(mtimeMs), ctime: published, birthtime: published };
  return facts as Deno.FileInfo;
}

const anyMs = fc.integer({ min: Date.UTC(1990), max: Date.UTC(2100) });
const anyMode = fc.nat(0o777);
const anyStep = fc.constantFrom(1, 10, 1000, 2000);

pure("a file is the same as what a disk makes of it, whatever the disk keeps", () => {
  const property = fc.property(anyMs, anyMode, anyMode, anyStep, (ms, mode, umask, step) => {
    const there = stored({ size: 1, mode: mode & ~umask, mtimeMs: ms - ms % step });
    const sent = { size: 1, mode, modified: new Date(ms) };
    assertEquals(judge(there, sent, disk(step, umask)), "same");
    // A disk without permission bits shows others.
    assertEquals(judge({ ...there, mode: 0o777 }, sent, disk(step, null)), "same");
  });
  fc.assert(property, { numRuns: 2000 });
});

pure("a file of another size, time or mode is another one", () => {
  const anyShift = fc.integer({ min: -100_000, max: 100_000 });
  const property = fc.property(anyMs, anyMode, anyStep, anyShift, (ms, mode, step, shift) => {
    const there = stored({ size: 1, mode, mtimeMs: ms });
    const sent = { size: 1, mode, modified: new Date(ms + shift) };
    const isTold = Math.abs(shift) >= step;
    assertEquals(judge(there, sent, disk(step, 0)) === "other", isTold);
    assertEquals(judge({ ...there, size: 2 }, sent, disk(step, 0)), "other");
    assertEquals(judge({ ...there, mode: mode ^ 0o100 }, sent, disk(step, 0)), "other");
  });
  fc.assert(property, { numRuns: 2000 });
});

pure("a time in whole seconds counts only for a file that was published later", () => {
  const sent = { size: 1, mode: 0o644, modified: TIME };
  const there = { size: 1, mode: 0o644, mtimeMs: TIME.getTime() };
  assertEquals(judge(stored({ ...there, laterMs: 10_000 }), sent, disk(1)), "same");
  assertEquals(judge(stored({ ...there, laterMs: 9999 }), sent, disk(1)), "unsure");
  // With milliseconds, a later change has another time.
  const fine = { ...sent, modified: new Date(TIME.getTime() + 1) };
  const thereFine = { ...there, mtimeMs: TIME.getTime() + 1 };
  assertEquals(judge(stored({ ...thereFine, laterMs: 5 }), fine, disk(1)), "same");
  // Programs that know no time write the beginning of 1970 or of 1980.
  const first = { ...sent, modified: new Date(1000) };
  assertEquals(judge(stored({ ...there, mtimeMs: 1000 }), first, disk(1)), "unsure");
  // Disks that keep two seconds have no other time to go by.
  assertEquals(judge(stored({ ...there, laterMs: 0 }), sent, disk(2000)), "same");
  assertEquals(judge(stored({ ...there, mtimeMs: 0 }), sent, disk(Infinity)), "unsure");
});

pure("a disk that was not tried is taken for one of whole seconds if it looks so", () => {
  const whole = new Date(TIME.getTime());
  const later = new Date(TIME.getTime() + 999);
  assert(isSameTime(whole, later, undefined));
  assert(!isSameTime(later, whole, undefined));
  const there = stored({ size: 1, mode: 0o644, mtimeMs: TIME.getTime() });
  const sent = { size: 1, modified: TIME };
  const untried = disk(undefined, 0);
  assert(hasSameShape(there, { ...sent, mode: 0o666 }, untried));
  assert(!hasSameShape(there, { ...sent, mode: 0o444 }, untried));
});

/** A store with some content, and what it finds of one folder. */
class Scene implements AsyncDisposable {
  readonly dir: string;
  readonly store: DirectoryStore;
  readonly #temp: TempDir;

  private constructor(temp: TempDir, store: DirectoryStore) {
    this.#temp = temp;
    this.dir = temp.path;
    this.store = store;
  }

  static async open(options?: DirectoryOptions): Promise<Scene> {
    const temp = await tempDir();
    return new Scene(temp, await DirectoryStore.open(temp.path, options));
  }

  /** Stores a file of this time. */
  async put(name: string, content: string, modified = FINE): Promise<void> {
    const facts = { modified, mode: 0o644 };
    await this.store.put(name, new TextEncoder().encode(content), facts);
  }

  async diff(folder: string, ...entries: (Partial<DiffEntry> & { name: string })[]) {
    const all = entries.map((entry) => ({ size: 1, mode: 0o644, modified: FINE, ...entry }));
    return await this.store.diff(folder, all);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#temp[Symbol.asyncDispose]();
  }
}

/** A time with milliseconds, which needs nothing to be read. */
const FINE = new Date("2026-11-21T08:38:00.250Z");

integration(
  "Store.diff() reads for a CRC-32 only, and compares content where asked to",
  async () => {
    await using scene = await Scene.open();
    await scene.put("a", "1");
    const old = new Date("2001-02-03T04:05:06.007Z");
    const [right, wrong] = [{ crc: crc32("1") }, { crc: crc32("2") }];
    const all = [{ size: 1, mode: 0o644, modified: old, name: "a" }];
    const by = async (crc: object): Promise<string> =>
      await scene.store.diff("/", all.map((entry) => ({ ...entry, ...crc })), { byContent: true });
    assertEquals([await by({}), await by(right), await by(wrong)], ["?", "=", "!"]);
    assertEquals(await scene.store.diff("/", [{ ...all[0]!, size: 2 }], { byContent: true }), "!");
    // Nothing could be read of it: without a CRC-32 nothing is.
    await Deno.chmod(`${scene.dir}/a`, 0o200);
    assertEquals(await scene.diff("/", { name: "a", mode: 0o200 }), "=");
  },
);

integration("Store.diff() takes a link whose target is not UTF-8 for another one", async () => {
  await using scene = await Scene.open();
  await scene.put("p/a.txt", "1");
  const script = `cd "$0" && ln -s "$(printf 'x\\377')" l && ln -s "$(printf 'x\\377')" m`;
  const { code, stderr } = await run("sh", ["-c", script, `${scene.dir}/p`]);
  assertEquals(code, 0, stderr);
  await Deno.symlink("a.txt", `${scene.dir}/p/m (2)`);
  const links = ["l", "m"].map((name) => ({ name, size: null, to: "a.txt" }));
  assertEquals(await scene.diff("p", { name: "a.txt" }, ...links), "=!=");
}, { proc: true });

integration("Store.diff() tells nothing of what is behind a link", async () => {
  await using outside = await tempDir();
  await outside.write("a", "1");
  await using scene = await Scene.open();
  await Deno.symlink(outside.path, `${scene.dir}/link`);
  for (const folder of ["link", "link/deeper"]) {
    const error = await assertRejects(() => scene.diff(folder, { name: "a" }), InletError);
    assertEquals([error.code, error.message], [
      "denied",
      'Cannot go through "link": it is a symbolic link',
    ]);
  }
  const error = await assertRejects(() => scene.diff("../x", { name: "a" }), InletError);
  assertEquals(error.code, "bad-name");
});

integration("Store.diff() writes nothing", async () => {
  await using scene = await Scene.open();
  await scene.put("p/a", "1");
  const before = [...treeOf(scene.dir), Deno.statSync(`${scene.dir}/.inlet`).mtime];
  await scene.diff("p", { name: "a" }, { name: "a", size: 7 }, { name: "x/y" });
  await scene.diff("new", { name: "a" });
  assertEquals([...treeOf(scene.dir), Deno.statSync(`${scene.dir}/.inlet`).mtime], before);
});

integration("a store that is only read tries nothing on its disk", async () => {
  await using scene = await Scene.open();
  await scene.put("a", "1");
  scene.store.close();
  const store = await DirectoryStore.open(scene.dir, { readOnly: true });
  const entry = { size: 1, mode: 0o644, modified: new Date(FINE.getTime() + 1), name: "a" };
  assertEquals(await store.diff("/", [entry, { ...entry, modified: FINE }]), "!=");
  assertEquals(names(scene.dir), ["a"]);
});

/** Asks a server in this process. */
async function asked(
  lines: string,
  { access }: { access?: "read-only" | "drop-only" } = {},
): Promise<{ answers: string[]; failures: string[] }> {
  await using temp = await tempDir();
  await Deno.mkdir(`${temp.path}/p`);
  await Deno.utime(await temp.write("p/a", "1"), TIME, TIME);
  await using server = await serveHere({ dir: temp.path, ...access && { access } });
  using wire = await Wire.greet(server);
  await wire.says(lines);
  await wire.closeWrite();
  const answers = (await wire.rest()).split("\n").slice(0, -1);
  return { answers, failures: server.failures.map(({ code }) => code) };
}

const LINE = `1 ${WIRE_TIME} a\n`;

integration(
  "diff: a server answers each request in order, and other requests between them",
  async () => {
    const lines = `diff 2 p\n${LINE}2${LINE.slice(1)}whoami\ndiff 1 q\n${LINE}diff 1 p\r\n2${
      LINE.slice(1, -1)
    }\r\nexit\n`;
    assertEquals(await asked(lines), {
      answers: ["ok =!", "ok test", "ok .", "ok !", "ok bye"],
      failures: [],
    });
  },
);

integration("diff: a thousand entries that come slowly are one request", async () => {
  const many = Array.from({ length: MAX_DIFF_ENTRIES }, (_, at) => `1 ${WIRE_TIME} ${at}\n`);
  const { answers } = await asked(`diff ${MAX_DIFF_ENTRIES} p\n${many.join("")}exit\n`);
  assertEquals(answers, [`ok ${".".repeat(MAX_DIFF_ENTRIES)}`, "ok bye"]);
  await using temp = await tempDir();
  await using server = await serveHere({ dir: temp.path });
  using wire = await Wire.greet(server);
  await wire.saysSlowly(`diff 2 p\n${LINE}${LINE}`);
  assertEquals(await wire.line(), "ok ..");
});

integration("diff: a server with --drop-only tells nothing, and goes on", async () => {
  const { answers } = await asked(`diff 1 p\n${LINE}whoami\nexit\n`, { access: "drop-only" });
  assertEquals(answers, [
    'error denied Cannot compare "p": this server only accepts uploads',
    "ok test",
    "ok bye",
  ]);
  const { answers: read } = await asked(`diff 1 p\n${LINE}exit\n`, { access: "read-only" });
  assertEquals(read, ["ok =", "ok bye"]);
});

integration("diff: what violates the grammar ends the conversation", async () => {
  const broken = [
    `diff 1 p\n1 ${WIRE_TIME} ../a\n`,
    `diff 1 p\n1 ${WIRE_TIME} x/a\n`,
    `diff 2 p\n${LINE}whoami\n`,
    `diff 0 p\n${LINE}`,
    `diff 1001 p\n${LINE}`,
    `diff 9007199254740991 p\n${LINE}`,
    `diff 1 p\n${"x".repeat(5000)}\n`,
    `diff 1 \n${LINE}`,
  ];
  for (const lines of broken) {
    const { answers } = await asked(`${lines}exit\n`);
    assertEquals(answers.length, 1, lines);
    assertMatch(answers[0]!, /^error bad-request /, lines);
  }
  // A count that is too small leaves lines that are talk.
  const { answers } = await asked(`diff 1 p\n${LINE}${LINE}exit\n`);
  assertEquals(answers, ["ok =", `1 ${WIRE_TIME} a ACK`, "ok bye"]);
});

integration(
  "diff: a request of a megabyte is answered, and others are served beside it",
  async () => {
    await using server = await startServer();
    using wire = await Wire.greet(server);
    const name = "x".repeat(250);
    const target = "y".repeat(3500);
    const lines = Array.from(
      { length: 300 },
      (_, index) => `@;to=${target} ${WIRE_TIME} ${index}${name.slice(4)}`,
    );
    await wire.says(`diff 300 /\n${lines.join("\n")}\n`);
    assertEquals(await wire.line(), `ok ${".".repeat(300)}`);
  },
);

integration("diff: entries that take many looks leave others their turn", async () => {
  await using scene = await Scene.open();
  for (let number = 1; number <= 99; number++) {
    Deno.symlinkSync("a", `${scene.dir}/l${number === 1 ? "" : ` (${number})`}`);
  }
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using peer = await dial(listener.addr);
  using other = await listener.accept();
  let isHeard = false;
  const hearing = other.read(new Uint8Array(1)).then(() => isHeard = true, () => {});
  const speaking = sendTo(peer, "x");
  const entry: DiffEntry = { size: null, to: "b", modified: TIME, name: "l" };
  assertEquals(await scene.store.diff("/", Array(1000).fill(entry)), "!".repeat(1000));
  assert(isHeard, "the other client waited for all of it");
  await Promise.all([hearing, speaking]);
});
