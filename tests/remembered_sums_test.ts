/**
 * Checksums that a server remembers: it reads no large file twice, and after every change to a file
 * that the disk tells of, the answer is right. What was read is counted by the system.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { crc32 } from "node:zlib";
import { formatCrc, formatTime } from "../protocol.ts";
import { RememberedSums, type Version } from "../lib/store/remembered_sums.ts";
import {
  bytes,
  integration,
  names,
  OWN,
  PROC,
  pure,
  startServer,
  type TestServer,
} from "./helpers.ts";
import { Wire } from "./wire.ts";

const SIZE = 4 * 1024 * 1024;
const CONTENT = bytes(SIZE);
const OTHER = CONTENT.map((byte) => byte ^ 1);
const LONG_AGO = new Date("2020-02-29T12:00:00Z");

/** Bytes that a process has read from files and pipes, by the system's count. */
function bytesRead({ pid }: { pid: number }): number {
  return Number(/^rchar: (\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/io`))![1]);
}

/** What a server answers, and whether it read as much as the file for it. */
async function observe<T>(
  server: TestServer,
  ask: () => Promise<T>,
  size = SIZE,
): Promise<{ answer: T; hasRead: boolean }> {
  const before = bytesRead(server);
  const answer = await ask();
  return { answer, hasRead: bytesRead(server) - before >= size };
}

/** Asks whether the server has a content under a name. */
async function compare(wire: Wire, content: Uint8Array, name: string): Promise<string> {
  const crc = formatCrc(crc32(content));
  await wire.says(`compare ${content.length} ${crc} ${formatTime(LONG_AGO)} ${name}\n`);
  return await wire.line();
}

/** Stores a file under a name that is free. */
async function put(wire: Wire, name: string, content = CONTENT): Promise<void> {
  const crc = formatCrc(crc32(content));
  await wire.says(`put ${content.length} ${name}\n`);
  assertEquals(await wire.line(), "go 0");
  await wire.says(content);
  await wire.says(`end ${crc} ${formatTime(LONG_AGO)}\n`);
  assertEquals(await wire.line(), `ok ${content.length} ${crc} ${name}`);
}

/** Waits until the disk stamps files with a later second than it did last. */
async function nextSecond(directory: string): Promise<void> {
  const probe = `${directory}/probe`;
  const second = (): number => {
    Deno.writeTextFileSync(probe, "");
    const { ctime } = Deno.statSync(probe);
    Deno.removeSync(probe);
    return ctime!.getTime();
  };
  for (const now = second(); second() === now;) await new Promise((go) => setTimeout(go, 20));
}

/** Changes a file in place, by a program that follows no rule. */
function overwrite(path: string, content: Uint8Array): void {
  using file = Deno.openSync(path, { write: true });
  for (let written = 0; written < content.length;) {
    written += file.writeSync(content.subarray(written));
  }
}

integration(
  "what was just stored is compared ten times, and not read",
  async () => {
    await using server = await startServer();
    using wire = await Wire.greet(server);
    await put(wire, "a.bin");
    const { hasRead } = await observe(server, async () => {
      for (let time = 0; time < 10; time++) {
        assertEquals(await compare(wire, CONTENT, "a.bin"), "ok a.bin");
        // Another content of the same size is told apart without a look, too.
        assertEquals(await compare(wire, OTHER, "a.bin"), "ok");
      }
    });
    assert(!hasRead);
    assertEquals(names(server.dir), ["a.bin"]);
  },
  PROC,
);

integration(
  "a file of another program is read once, once a change of it would be seen",
  async () => {
    // With the README's permissions, the facts of an open file come from elsewhere.
    await using server = await startServer({
      permissions: ["--allow-net", "--allow-read", "--allow-write"],
    });
    Deno.writeFileSync(`${server.dir}/a.bin`, CONTENT);
    using wire = await Wire.greet(server);
    const first = await observe(server, () => compare(wire, CONTENT, "a.bin"));
    assertEquals(first, { answer: "ok a.bin", hasRead: true });
    await nextSecond(server.dir);
    for (;;) {
      const { answer, hasRead } = await observe(server, () => compare(wire, CONTENT, "a.bin"));
      assertEquals(answer, "ok a.bin");
      if (!hasRead) break;
    }
  },
  PROC,
);

integration("a file that is read within the second of a change is read again", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  // A change within that second, with the time put back, is one that only the content tells.
  for (let attempt = 0; attempt < 5; attempt++) {
    const name = `${attempt}.bin`;
    const path = `${server.dir}/${name}`;
    Deno.writeFileSync(path, CONTENT);
    Deno.utimeSync(path, LONG_AGO, LONG_AGO);
    assertEquals(await compare(wire, CONTENT, name), `ok ${name}`);
    overwrite(path, OTHER);
    Deno.utimeSync(path, LONG_AGO, LONG_AGO);
    assertEquals(await compare(wire, CONTENT, name), "ok");
    assertEquals(await compare(wire, OTHER, name), `ok ${name}`);
  }
});

/** Every kind of change that the disk tells of, and the content after it. */
const CHANGES: Readonly<Record<string, (path: string) => Uint8Array>> = {
  "is appended to": (path) => {
    Deno.writeFileSync(path, OTHER.subarray(0, 10), { append: true });
    return concat([CONTENT, OTHER.subarray(0, 10)]);
  },
  "is written in place": (path) => {
    overwrite(path, OTHER);
    return OTHER;
  },
  "is written in one byte": (path) => {
    overwrite(path, OTHER.subarray(0, 1));
    return concat([OTHER.subarray(0, 1), CONTENT.subarray(1)]);
  },
  "is replaced by a rename": (path) => {
    Deno.writeFileSync(`${path}.new`, OTHER);
    Deno.renameSync(`${path}.new`, path);
    return OTHER;
  },
  "is removed and made again": (path) => {
    Deno.removeSync(path);
    Deno.writeFileSync(path, OTHER);
    return OTHER;
  },
  "is cut and grows again": (path) => {
    Deno.truncateSync(path, 10);
    Deno.truncateSync(path, SIZE);
    return concat([CONTENT.subarray(0, 10), new Uint8Array(SIZE - 10)]);
  },
  "is touched": (path) => {
    Deno.utimeSync(path, new Date(), new Date());
    return CONTENT;
  },
  "gets other permissions": (path) => {
    Deno.chmodSync(path, 0o600);
    return CONTENT;
  },
  "gets another name, and loses it": (path) => {
    Deno.linkSync(path, `${path}.link`);
    Deno.removeSync(`${path}.link`);
    return CONTENT;
  },
  "is swapped with another one": (path) => {
    Deno.writeFileSync(`${path}.other`, OTHER);
    for (const [from, to] of [["", ".third"], [".other", ""], [".third", ".other"]]) {
      Deno.renameSync(path + from, path + to);
    }
    return OTHER;
  },
};

/** The same with the time put back. Within the second of the ctime nobody could see it. */
const RESTORED = Object.fromEntries(
  Object.entries(CHANGES).map(([what, change]) => [
    `${what}, and its time put back`,
    (path: string): Uint8Array => {
      const content = change(path);
      Deno.utimeSync(path, LONG_AGO, LONG_AGO);
      return content;
    },
  ]),
);

async function assertSeen(
  changes: typeof CHANGES,
  between: (directory: string) => Promise<void>,
): Promise<void> {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  const all = Object.entries(changes).map(([what, change], index) => ({
    ...{ what, change },
    name: `${index}.bin`,
  }));
  for (const { name } of all) await put(wire, name);
  await between(server.dir);
  for (const { what, change, name } of all) {
    const now = change(`${server.dir}/${name}`);
    assertEquals(await compare(wire, now, name), `ok ${name}`, `a file that ${what}`);
    if (now !== CONTENT) assertEquals(await compare(wire, CONTENT, name), "ok", what);
  }
}

integration("a remembered file is read again after every kind of change", async () => {
  await assertSeen(CHANGES, () => Promise.resolve());
});

integration("a remembered file is read again if its time was put back a second later", async () => {
  await assertSeen(RESTORED, nextSecond);
});

integration("checksums outlive a server, and are not believed after a change", async () => {
  await using first = await startServer({ args: ["--fsync"] });
  const { dir } = first;
  {
    using wire = await Wire.greet(first);
    await put(wire, "a.bin");
    await put(wire, "b.bin");
  }
  await first.running.stop();
  const [log] = names(dir).filter((name) => name.startsWith(OWN));
  assertMatch(log!, /^\.inlet\/sums-[0-9a-f]{32}\.log$/);
  assertEquals(Deno.statSync(`${dir}/${log}`).mode! & 0o777, 0o600);
  await nextSecond(dir);
  overwrite(`${dir}/b.bin`, OTHER);
  Deno.utimeSync(`${dir}/b.bin`, LONG_AGO, LONG_AGO);
  await using second = await startServer({ dir });
  using wire = await Wire.greet(second);
  const same = await observe(second, () => compare(wire, CONTENT, "a.bin"));
  assertEquals(same, { answer: "ok a.bin", hasRead: false });
  const changed = await observe(second, () => compare(wire, CONTENT, "b.bin"));
  assertEquals(changed, { answer: "ok", hasRead: true });
}, PROC);

integration("a server that stores nothing remembers, and writes nothing", async () => {
  await using writing = await startServer();
  const { dir } = writing;
  await writing.running.stop();
  const before = names(dir);
  Deno.writeFileSync(`${dir}/a.bin`, CONTENT);
  await nextSecond(dir);
  await using server = await startServer({ dir, args: ["--read-only"] });
  using wire = await Wire.greet(server);
  for (;;) {
    const { answer, hasRead } = await observe(server, () => compare(wire, CONTENT, "a.bin"));
    assertEquals(answer, "ok a.bin");
    if (!hasRead) break;
  }
  await server.running.stop();
  assertEquals(names(dir), [...before, "a.bin"].sort());
}, PROC);

const NOW = Date.parse("2026-01-01T00:00:10.500Z");

function version(ctimeMs: number, facts: Partial<Version> = {}): Version {
  const ctime = new Date(Math.floor(ctimeMs / 1000) * 1000);
  return { dev: 1, ino: 2, size: SIZE, mtime: LONG_AGO, ctime, ...facts };
}

/** Checksums that are not kept, at a time of the disk. */
function sumsAt(nowMs: number): RememberedSums {
  return new RememberedSums({ now: () => nowMs, fsync: false });
}

pure("a file is settled when the second of its ctime is over by 20 ms", () => {
  const recently = Math.floor(Date.now() / 1000) * 1000;
  for (
    const [now, isSettled] of [[0, false], [999, false], [1019, false], [1020, true], [
      5000,
      true,
    ]] as const
  ) {
    assertEquals(sumsAt(recently + now).isSettled(version(recently)), isSettled, String(now));
  }
  // Where the time of the disk is not known, nothing is.
  const failing = new RememberedSums({
    now: () => {
      throw new Error("full");
    },
    fsync: false,
  });
  assertEquals(failing.isSettled(version(recently)), false);
  assertEquals(failing.isSettled(version(recently - 3 * 3_600_000)), true);
  assertEquals(sumsAt(NOW).isSettled(version(NOW, { ctime: null })), false);
});

pure("a checksum counts for the same name, disk, inode, size and times only", async () => {
  const sums = sumsAt(NOW);
  const there = version(NOW);
  const ask = async (facts: Partial<Version>, name = "a"): Promise<number | undefined> => {
    sums.addRead("a", there, there, 7);
    return await sums.crcOf(name, { ...there, ...facts });
  };
  assertEquals(await ask({}), 7);
  assertEquals(await ask({}, "b"), undefined);
  assertEquals(await ask({ dev: 3 }), undefined);
  assertEquals(await ask({ ino: 3 }), undefined);
  assertEquals(await ask({ size: SIZE + 1 }), undefined);
  assertEquals(await ask({ mtime: new Date(LONG_AGO.getTime() + 1) }), undefined);
  assertEquals(await ask({ ctime: new Date(there.ctime!.getTime() + 1000) }), undefined);
  assertEquals(await ask({ ctime: null }), undefined);
});

pure("what changed while it was read, or was published, is not remembered", async () => {
  const sums = sumsAt(NOW);
  const before = version(NOW);
  sums.addRead("a", before, { ...before, mtime: new Date() }, 7);
  sums.addReceived("b", before, { ...before, size: SIZE + 1 }, 7);
  sums.addReceived("c", before, { ...before, mtime: new Date() }, 7);
  // Publishing moves the ctime on.
  const after = { ...before, ctime: new Date(NOW + 2000) };
  sums.addReceived("d", before, after, 7);
  // Nor is one that has no inode or no times.
  sums.addReceived("e", { ...before, ino: null }, { ...before, ino: null }, 7);
  sums.addRead("f", { ...before, ctime: null }, { ...before, ctime: null }, 7);
  assertEquals(await sums.crcOf("a", before), undefined);
  assertEquals(await sums.crcOf("b", { ...before, size: SIZE + 1 }), undefined);
  assertEquals(await sums.crcOf("c", before), undefined);
  assertEquals(await sums.crcOf("d", after), 7);
  assertEquals(await sums.crcOf("e", { ...before, ino: null }), undefined);
  assertEquals(await sums.crcOf("f", { ...before, ctime: null }), undefined);
});

pure("no more than 16 MiB is remembered, the oldest is forgotten first", async () => {
  const sums = sumsAt(NOW);
  const there = version(NOW);
  const long = "x".repeat(1000);
  const count = 10_000;
  for (let number = 0; number < count; number++) {
    sums.addReceived(`${long}${number}`, there, there, number);
    // Who is asked for is not the oldest.
    assertEquals(await sums.crcOf(`${long}0`, there), 0);
  }
  const known: number[] = [];
  for (let number = 0; number < count; number++) {
    if (await sums.crcOf(`${long}${number}`, there) !== undefined) known.push(number);
  }
  assert(known.length * 2000 < 16 * 1024 * 1024 && known.length > 5000, String(known.length));
  assertEquals(known, [
    0,
    ...Array.from(known.slice(1), (_, index) => count - known.length + 1 + index),
  ]);
});
