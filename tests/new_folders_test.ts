/**
 * Folders that come with their files: they appear as a whole, where nothing is, and never as less.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { InletError } from "../lib/errors.ts";
import type { DirectoryOptions } from "../lib/store/directory_options.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { Disk } from "../lib/store/disk.ts";
import type { BatchedFile, BatchedFolder, StoreBatch } from "../lib/store/store_batch.ts";
import { type DiskFault, FaultyDisk, OPERATIONS } from "./faults/disk.ts";
import { anHourPasses, integration, names, OWN, ROOT, tempDir } from "./helpers.ts";
import { makeTree } from "./trees.ts";

// On a busy machine time must not pass: a disk would seem slow, or a folder be held for long enough.
let ticks = 0;
performance.now = () => ticks += 0.01;

interface TestStore extends AsyncDisposable {
  store: DirectoryStore;
  dir: string;
}

async function openStore(options: DirectoryOptions = {}): Promise<TestStore> {
  const temp = await tempDir();
  const dir = `${temp.path}/received`;
  const store = await DirectoryStore.open(dir, options);
  return { store, dir, [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose]() };
}

const encoder = new TextEncoder();

/** Puts files whose content is their name. */
async function putAll(batch: StoreBatch, all: readonly string[]): Promise<BatchedFile[]> {
  const files: BatchedFile[] = [];
  for (const name of all) files.push(await batch.put(name, encoder.encode(name)));
  return files;
}

/** Everything below a directory but what the store keeps for itself: names and contents. */
function treeOf(dir: string, top = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { name, isDirectory } of Deno.readDirSync(`${dir}/${top}`)) {
    if (name === OWN) continue;
    if (isDirectory) {
      Object.assign(found, { [`${top}${name}/`]: "" }, treeOf(dir, `${top}${name}/`));
    } else found[`${top}${name}`] = Deno.readTextFileSync(`${dir}/${top}${name}`);
  }
  return found;
}

/** What is in flight. */
function own(dir: string): string[] {
  return [...Deno.readDirSync(`${dir}/${OWN}`)].map(({ name }) => name);
}

integration("a new folder appears with all of its files, once they are there", async () => {
  await using test = await openStore();
  using batch = test.store.batch();
  const folder = await batch.makeFolder("a", { mode: 0o750, files: 3 });
  const files = await putAll(batch, ["a/1", "a/2"]);
  assertEquals([batch.owed, folder.name, files[0]!.name], [1, undefined, undefined]);
  assertEquals(treeOf(test.dir), {});
  files.push(...await putAll(batch, ["a/3"]));
  assertEquals(folder, { name: "a", isNew: true });
  assertEquals(files.map(({ name }) => name), ["a/1", "a/2", "a/3"]);
  assertEquals(treeOf(test.dir), { "a/": "", "a/1": "a/1", "a/2": "a/2", "a/3": "a/3" });
  assertEquals(Deno.statSync(`${test.dir}/a`).mode! & 0o777, 0o750);
  assertEquals(own(test.dir), []);
  // More than was announced, and another folder.
  assertEquals((await putAll(batch, ["a/4", "b"])).map(({ name }) => name), ["a/4", "b"]);
});

integration(
  "a new folder has its time with the last of its files, and is told to have it",
  async () => {
    await using test = await openStore();
    using batch = test.store.batch();
    const modified = new Date("2001-02-03T04:05:06.789Z");
    const timeOf = (name: string): string | undefined =>
      Deno.statSync(`${test.dir}/${name}`).mtime?.toISOString();
    const whole = await batch.makeFolder("a", { mode: 0o755, modified, files: 2, id: "x" });
    await putAll(batch, ["a/1", "a/2"]);
    assertEquals(whole, { name: "a", isNew: true, isFinished: true });
    assertEquals(timeOf("a"), modified.toISOString());
    // Of these more may come, or it cannot be moved with its permission bits, or it was there.
    const part = await batch.makeFolder("b", { modified, files: 2, id: "x" });
    await putAll(batch, ["b/1"]);
    await batch.commit();
    const closed = await batch.makeFolder("c", { mode: 0o555, modified, files: 1, id: "x" });
    await putAll(batch, ["c/1"]);
    const there = await batch.makeFolder("a", { modified, files: 1, id: "x" });
    await putAll(batch, ["a/3"]);
    const held = await batch.makeFolder("d", { modified, files: 1, id: "x" });
    Deno.mkdirSync(`${test.dir}/d`);
    await putAll(batch, ["d/1"]);
    for (const folder of [part, closed, there, held]) assertEquals(folder.isFinished, undefined);
    for (const name of ["b", "c", "a", "d"]) {
      assertNotEquals(timeOf(name), modified.toISOString(), name);
      await batch.makeFolder(name, { modified, id: "x" });
    }
    // What another program made stays as it is.
    assertEquals(["a", "b", "c"].map(timeOf), Array(3).fill(modified.toISOString()));
    assertNotEquals(timeOf("d"), modified.toISOString());
  },
);

integration("a folder is finished behind the last of its files, also on a slow disk", async () => {
  const linkSync: Disk["linkSync"] = (from, to) => {
    if (to.endsWith("slow")) ticks += 1000;
    Deno.linkSync(from, to);
  };
  await using test = await openStore({ disk: { ...Deno, linkSync } });
  using batch = test.store.batch();
  const facts = { mode: 0o555, modified: new Date("2001-02-03T04:05:06.789Z"), id: "x" };
  const factsOf = (name: string): [number, number] => {
    const { mode, mtime } = Deno.statSync(`${test.dir}/${name}`);
    return [mode! & 0o777, mtime!.getTime()];
  };
  // Its sender lost the connection, and comes again with what is left.
  await batch.makeFolder("a", { ...facts, files: 2 });
  await putAll(batch, ["a/1"]);
  await batch.commit();
  await batch.makeFolder("a", { ...facts, files: 1 });
  assertEquals(factsOf("a")[0], 0o755);
  const late = await batch.makeFolder("b", { ...facts, mode: 0o755, files: 2 });
  await putAll(batch, ["b/1"]);
  // What follows is written file by file.
  test.store.put("slow", encoder.encode("slow"));
  await putAll(batch, ["b/2"]);
  const made = await batch.makeFolder("c", { ...facts, files: 1 });
  assertEquals(factsOf("c")[0], 0o755);
  for (const { isFinished } of [late, made]) assertEquals(isFinished, undefined);
  for (const name of ["a", "b", "c"]) {
    await batch.makeFolder(name, { ...facts });
    assertEquals(factsOf(name), [0o555, facts.modified.getTime()], name);
  }
});

integration("a folder that lacks one of its files is not told to be finished", async () => {
  const modified = new Date("2001-02-03T04:05:06.789Z");
  await using test = await openStore();
  using batch = test.store.batch();
  const announce = async (name: string, files: number): Promise<BatchedFolder> =>
    await batch.makeFolder(name, { mode: 0o755, modified, files, id: "x" });
  const refused = await announce("refused", 2);
  await assertRejects(async () => await batch.put("refused/", new Uint8Array()), InletError);
  await putAll(batch, ["refused/1"]);
  const last = await announce("last", 2);
  await putAll(batch, ["last/1"]);
  await assertRejects(async () => await batch.put("last/", new Uint8Array()), InletError);
  const meddled = await announce("meddled", 2);
  await putAll(batch, ["meddled/1"]);
  Deno.removeSync(`${test.dir}/${OWN}/${own(test.dir)[0]}/1`);
  await putAll(batch, ["meddled/2"]);
  for (const folder of [refused, last, meddled]) {
    assertEquals([folder.failure, folder.isFinished], [undefined, undefined], folder.name);
  }
});

integration("a folder that gets a number is finished behind its files too", async () => {
  await using test = await openStore();
  using batch = test.store.batch();
  const facts = { mode: 0o555, modified: new Date("2001-02-03T04:05:06.789Z"), id: "x" };
  Deno.writeTextFileSync(`${test.dir}/a`, "a file");
  const folder = await batch.makeFolder("a", { ...facts, files: 1 });
  assertEquals(Deno.statSync(`${test.dir}/a (2)`).mode! & 0o777, 0o755);
  await putAll(batch, ["a/1"]);
  assertEquals([folder.name, folder.isFinished], ["a (2)", undefined]);
  await batch.makeFolder("a", facts);
  const { mode, mtime } = Deno.statSync(`${test.dir}/a (2)`);
  assertEquals([mode! & 0o777, mtime], [0o555, facts.modified]);
});

integration("a folder in one of the same run is filled, whatever is there by then", async () => {
  await using test = await openStore();
  using batch = test.store.batch();
  const announce = async (name: string): Promise<BatchedFolder> =>
    await batch.makeFolder(name, { mode: 0o755, files: 1, id: "x" });
  await batch.makeFolder("p", { id: "x" });
  Deno.mkdirSync(`${test.dir}/p/empty`, { mode: 0o700 });
  const { ino, mode } = Deno.lstatSync(`${test.dir}/p/empty`);
  makeTree(test.dir, { "p/full/1": "another", "p/file": "another" });
  Deno.symlinkSync("full", `${test.dir}/p/link`);
  const told: unknown[] = [];
  for (const name of ["empty", "full", "file", "link", "new"]) {
    const folder = await announce(`p/${name}`);
    const [file] = await putAll(batch, [`p/${name}/1`]);
    told.push([folder.name, folder.isNew, file!.name, folder.failure?.code, file!.failure?.code]);
  }
  assertEquals(told, [
    ["p/empty", false, "p/empty/1", undefined, undefined],
    ["p/full", false, "p/full/1 (2)", undefined, undefined],
    ["p/file (2)", true, "p/file (2)/1", undefined, undefined],
    [undefined, undefined, undefined, "denied", "denied"],
    ["p/new", true, "p/new/1", undefined, undefined],
  ]);
  const empty = Deno.lstatSync(`${test.dir}/p/empty`);
  assertEquals([empty.ino, empty.mode], [ino, mode]);
  assertEquals(Deno.readTextFileSync(`${test.dir}/p/full/1`), "another");
  assertEquals([names(`${test.dir}/p/full`), own(test.dir)], [["1", "1 (2)"], []]);
});

integration("a new folder of which less comes is published by a commit", async () => {
  await using test = await openStore();
  using batch = test.store.batch();
  const made = await batch.makeFolder("a", { files: 9 });
  const [file] = await putAll(batch, ["a/1"]);
  const inner = await batch.makeFolder("a/b", { files: 2 });
  // Another folder follows: this one is complete.
  assertEquals([made.name, file!.name, inner.name], ["a", "a/1", undefined]);
  await batch.commit();
  assertEquals(treeOf(test.dir), { "a/": "", "a/1": "a/1", "a/b/": "" });
  await batch.makeFolder("c", { files: 1 });
  assertEquals((await putAll(batch, ["d/1"]))[0]!.name, "d/1");
  assertEquals(Object.keys(treeOf(test.dir)).sort(), ["a/", "a/1", "a/b/", "c/", "d/", "d/1"]);
});

integration("a batch that is left publishes nothing of what it holds", async () => {
  await using test = await openStore();
  {
    using batch = test.store.batch();
    await batch.makeFolder("a", { files: 2 });
    await putAll(batch, ["a/1"]);
    assertEquals(own(test.dir).length, 1);
  }
  assertEquals([treeOf(test.dir), own(test.dir)], [{}, []]);
  using other = test.store.batch();
  await other.makeFolder("a", { files: 2 });
  const [file] = await putAll(other, ["a/1"]);
  test.store.discardAll();
  await other.commit();
  assertEquals([treeOf(test.dir), own(test.dir), file!.name], [{}, [], undefined]);
  assertStringIncludes(file!.failure!.message, 'Cannot store "a/1": ');
});

integration("equal names in a new folder get numbers", async () => {
  await using test = await openStore();
  using batch = test.store.batch();
  await batch.makeFolder("a", { files: 4 });
  const files = await putAll(batch, ["a/x.txt", "a/x.txt", "a/x (2).txt", "a/x.txt"]);
  const stored = ["a/x.txt", "a/x (2).txt", "a/x (2) (2).txt", "a/x (3).txt"];
  assertEquals(files.map(({ name }) => name), stored);
  assertEquals(names(`${test.dir}/a`), stored.map((name) => name.slice(2)).sort());
});

integration("refused names leave the rest of a new folder as it is", async () => {
  await using test = await openStore();
  using batch = test.store.batch();
  await batch.makeFolder("a", { files: 3 });
  const [first] = await putAll(batch, ["a/1"]);
  for (const name of ["a/b\0", "a/"]) {
    try {
      await batch.put(name, new Uint8Array());
      assert(false);
    } catch (error) {
      assertEquals((error as { code?: string }).code, "bad-name");
    }
  }
  // The last of the three was a refused one.
  assertEquals(first!.name, "a/1");
  assertEquals(treeOf(test.dir), { "a/": "", "a/1": "a/1" });
});

integration("a folder that is there already is filled, and stays the same folder", async () => {
  await using test = await openStore();
  const path = `${test.dir}/drop`;
  Deno.mkdirSync(path);
  Deno.chmodSync(path, 0o3770);
  if (Deno.uid() === 0) Deno.chownSync(path, 0, 999);
  const before = Deno.lstatSync(path);
  const isSame = (): void => {
    const { ino, mode, gid } = Deno.lstatSync(path);
    assertEquals([ino, mode, gid], [before.ino, before.mode, before.gid]);
  };
  using batch = test.store.batch();
  const folder = await batch.makeFolder("drop", { mode: 0o755, files: 2 });
  assertEquals(folder, { name: "drop", isNew: false });
  const files = await putAll(batch, ["drop/1", "drop/1"]);
  assertEquals(files.map(({ name }) => name), ["drop/1", "drop/1 (2)"]);
  assertEquals(Deno.lstatSync(`${path}/1`).gid, before.gid);
  isSame();
  // A new folder in it has its group, and so has what is in that.
  await batch.makeFolder("drop/new", { mode: 0o755, files: 1 });
  await putAll(batch, ["drop/new/1"]);
  assertEquals(Deno.lstatSync(`${path}/new`).mode! & 0o7777, 0o2755);
  assertEquals(Deno.lstatSync(`${path}/new`).gid, before.gid);
  assertEquals(Deno.lstatSync(`${path}/new/1`).gid, before.gid);
  isSame();
});

integration("a folder that somebody makes meanwhile is filled, and stays the same", async () => {
  for (const isEmpty of [true, false]) {
    await using test = await openStore();
    const path = `${test.dir}/a`;
    using batch = test.store.batch();
    const folder = await batch.makeFolder("a", { files: 2 });
    const files = await putAll(batch, ["a/1"]);
    Deno.mkdirSync(path);
    if (!isEmpty) Deno.writeTextFileSync(`${path}/1`, "another");
    const { ino } = Deno.lstatSync(path);
    files.push(...await putAll(batch, ["a/2"]));
    assertEquals(folder, { name: "a", isNew: false });
    assertEquals(files.map(({ name }) => name), [isEmpty ? "a/1" : "a/1 (2)", "a/2"]);
    assertEquals(Deno.lstatSync(path).ino, ino);
    assertEquals(Deno.readTextFileSync(`${test.dir}/${files[0]!.name}`), "a/1");
    assertEquals(own(test.dir), []);
  }
});

integration("what takes the name of a folder between look and rename is not replaced", async () => {
  const kinds: Record<string, (path: string) => void> = {
    file: (path) => Deno.writeTextFileSync(path, "a file"),
    link: (path) => Deno.symlinkSync("/", path),
    folder: (path) => {
      Deno.mkdirSync(path);
      Deno.writeTextFileSync(`${path}/1`, "another");
    },
  };
  for (const [kind, make] of Object.entries(kinds)) {
    let path = "";
    const renameSync: Disk["renameSync"] = (from, to) => {
      if (path !== "" && String(from).endsWith(".tempdir") && !String(to).includes("gone-")) {
        make(path);
        path = "";
      }
      Deno.renameSync(from, to);
    };
    await using test = await openStore({ disk: { ...Deno, renameSync } });
    path = `${test.dir}/a`;
    using batch = test.store.batch();
    const folder = await batch.makeFolder("a", { files: 1 });
    const [file] = await putAll(batch, ["a/1"]);
    if (kind === "link") {
      assertEquals([folder.failure?.code, file!.failure?.code], ["denied", "denied"]);
      assert(Deno.lstatSync(`${test.dir}/a`).isSymlink);
    } else if (kind === "file") {
      assertEquals([folder.name, file!.name], ["a (2)", "a (2)/1"]);
      assertEquals(treeOf(test.dir), { "a": "a file", "a (2)/": "", "a (2)/1": "a/1" });
    } else {
      assertEquals(treeOf(test.dir), { "a/": "", "a/1": "another", "a/1 (2)": "a/1" });
    }
    assertEquals(own(test.dir), [], kind);
  }
});

integration("a file or a link with the name of a new folder is left alone", async () => {
  await using test = await openStore();
  Deno.writeTextFileSync(`${test.dir}/a`, "a file");
  Deno.symlinkSync("/", `${test.dir}/l`);
  using batch = test.store.batch();
  const folder = await batch.makeFolder("a", { files: 1 });
  assertEquals([folder.name, (await putAll(batch, ["a/1"]))[0]!.name], ["a (2)", "a (2)/1"]);
  let code: string | undefined;
  try {
    await batch.makeFolder("l", { files: 1 });
  } catch (error) {
    code = (error as { code: string }).code;
  }
  assertEquals(code, "denied");
});

integration("a new folder whose owner may not write into it is stored all the same", async () => {
  await using test = await openStore();
  using batch = test.store.batch();
  await batch.makeFolder("a", { mode: 0o555, files: 2 });
  await putAll(batch, ["a/1", "a/2"]);
  assertEquals(Deno.statSync(`${test.dir}/a`).mode! & 0o777, 0o755);
  // As a crash may leave it: a sweep removes it an hour later, whatever its bits.
  const left = `${test.dir}/${OWN}/${"0".repeat(32)}.tempdir`;
  Deno.mkdirSync(left);
  Deno.writeTextFileSync(`${left}/1`, "half");
  Deno.chmodSync(left, 0o555);
  await test.store.sweep();
  assertEquals(own(test.dir).length, 1);
  Deno.utimeSync(left, 0, Date.now() / 1000 - 3700);
  await test.store.sweep();
  assertEquals(own(test.dir), []);
  const gone = `${test.dir}/${OWN}/gone-${"0".repeat(32)}`;
  Deno.mkdirSync(gone);
  Deno.writeTextFileSync(`${gone}/1`, "half");
  await test.store.sweep();
  assertEquals(own(test.dir), []);
});

integration(
  "a folder that another server swept as abandoned is not published in part",
  async () => {
    await using test = await openStore();
    using batch = test.store.batch();
    const folder = await batch.makeFolder("a", { files: 2 });
    const [file] = await putAll(batch, ["a/1"]);
    const [inFlight] = own(test.dir);
    Deno.utimeSync(`${test.dir}/${OWN}/${inFlight}`, 0, Date.now() / 1000 - 3700);
    const other = await DirectoryStore.open(test.dir);
    await other.sweep();
    // What comes behind finds no folder to be written into.
    assertEquals((await putAll(batch, ["a/2"]))[0]!.name, "a/2");
    assertEquals([file!.name, folder.name], [undefined, undefined]);
    assertStringIncludes(file!.failure!.message, "another program");
    assertEquals(treeOf(test.dir), { "a/": "", "a/2": "a/2" });
  },
);

integration("a file that another program changes in flight is not published", async () => {
  await using test = await openStore();
  for (const change of ["truncate", "remove", "replace"]) {
    using batch = test.store.batch();
    await batch.makeFolder(change, { files: 3 });
    const files = await putAll(batch, [`${change}/1`, `${change}/2`]);
    const [inFlight] = own(test.dir);
    const path = `${test.dir}/${OWN}/${inFlight}/1`;
    if (change === "truncate") Deno.truncateSync(path, 1);
    else Deno.removeSync(path);
    if (change === "replace") Deno.symlinkSync("/etc/passwd", path);
    files.push(...await putAll(batch, [`${change}/3`]));
    assertStringIncludes(files[0]!.failure!.message, "another program changed");
    assertEquals(files.slice(1).map(({ name }) => name), [`${change}/2`, `${change}/3`]);
    assertEquals(names(`${test.dir}/${change}`), ["2", "3"]);
  }
});

integration("a folder on another mount is filled file by file", async () => {
  for (const code of ["EXDEV", "EBUSY"]) {
    const across = (to: string | URL): void => {
      if (!/\/m\/[^.]/.test(String(to))) return;
      throw Object.assign(new Error(`${code}: it is a mount`), { code });
    };
    await using test = await openStore({
      disk: {
        ...Deno,
        renameSync: (from, to) => {
          across(to);
          Deno.renameSync(from, to);
        },
        linkSync: (from, to) => {
          if (code === "EXDEV" && !String(from).includes("/m/")) across(to);
          Deno.linkSync(from, to);
        },
      },
    });
    Deno.mkdirSync(`${test.dir}/m`);
    using batch = test.store.batch();
    const folder = await batch.makeFolder("m/a", { files: 2 });
    const files = await putAll(batch, ["m/a/1", "m/a/2"]);
    await batch.commit();
    assertEquals([folder.name, folder.isNew, folder.failure], ["m/a", true, undefined]);
    assertEquals(files.map(({ name }) => name), ["m/a/1", "m/a/2"]);
    assertEquals(Deno.readTextFileSync(`${test.dir}/m/a/2`), "m/a/2");
  }
});

integration("a parent that is removed meanwhile is made again", async () => {
  await using test = await openStore();
  using batch = test.store.batch();
  await batch.makeFolder("p");
  await batch.makeFolder("p/a", { files: 2 });
  await putAll(batch, ["p/a/1"]);
  Deno.removeSync(`${test.dir}/p`);
  assertEquals((await putAll(batch, ["p/a/2"]))[0]!.name, "p/a/2");
  assertEquals(names(`${test.dir}/p/a`), ["1", "2"]);
});

for (const fsync of [false, true]) {
  const how = fsync ? " with --fsync" : "";
  integration(`a new folder loses nothing to a disk that fails anywhere${how}`, async () => {
    const faulty = new FaultyDisk();
    await using test = await openStore({ disk: faulty.disk, fsync });
    await test.store.prepare();
    let faults = 0;
    for (const operation of OPERATIONS) {
      for (const forGood of [false, true]) {
        for (let nth = 1;; nth++) {
          const fault: DiskFault = { operation, nth, forGood, code: "EIO" };
          faulty.fault = fault;
          const top = `${operation}-${forGood}-${nth}`;
          const all = [`${top}/1`, `${top}/2`, `${top}/3`];
          const files = await attempt(test.store, top, all);
          const isReached = faulty.calls >= nth;
          faulty.fault = undefined;
          const about = JSON.stringify(fault);
          const found = treeOf(test.dir);
          for (const [index, { name, failure }] of files.entries()) {
            assert((name === undefined) !== (failure === undefined), about);
            if (name !== undefined) assertEquals(found[name], all[index], about);
          }
          for (const [name, content] of Object.entries(found)) {
            assert(name.endsWith("/") || all.includes(content) || !name.startsWith(top), about);
          }
          if (!isReached) break;
          faults++;
        }
      }
    }
    assert(faults > 10, `${faults} faults`);
  });
}

integration("a kill at any step of a new folder leaves all of it, or nothing", async () => {
  await using test = await openStore();
  const script = new URL("tests/faults/folder_writer.ts", ROOT).href;
  let kills = 0;
  for (const operation of OPERATIONS) {
    for (let nth = 1;; nth++) {
      const top = `${operation}-${nth}`;
      const args = ["run", "-A", "--no-check", script, test.dir, top, operation, String(nth)];
      const { code, signal, stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
      const acknowledged = new TextDecoder().decode(stdout).split("\n").filter(Boolean);
      const found = Object.entries(treeOf(test.dir)).filter(([name]) => name.startsWith(`${top}/`));
      // Both folders of it come whole, or not at all.
      for (const folder of [`${top}/`, `${top}/in/`]) {
        const files = found.filter(([name]) => /[^/]+$/.exec(name)?.index === folder.length);
        const isThere = found.some(([name]) => name === folder);
        assertEquals(files.length, isThere ? 3 : 0, `${top}: ${JSON.stringify(found)}`);
        for (const [name, content] of files) assertEquals(content, name);
      }
      for (const name of acknowledged) assert(found.some(([there]) => there === name), top);
      if (signal === null) {
        assertEquals([code, acknowledged.length], [0, 8]);
        break;
      }
      kills++;
    }
  }
  assert(kills > 8, `${kills} kills`);
  // Nothing is left of them an hour later.
  anHourPasses(test.dir);
  await test.store.sweep();
  assertEquals(own(test.dir), []);
});

/** Stores a folder; what is thrown is the failure of a file. */
async function attempt(
  store: DirectoryStore,
  top: string,
  all: readonly string[],
): Promise<BatchedFile[]> {
  using batch = store.batch();
  const tried = async <T extends BatchedFile>(
    action: () => T | Promise<T>,
  ): Promise<BatchedFile> => {
    try {
      return await action();
    } catch (failure) {
      return { failure: failure as Error } as BatchedFile;
    }
  };
  await tried(() => batch.makeFolder(top, { files: all.length }));
  const files = [];
  for (const name of all) files.push(await tried(() => batch.put(name, encoder.encode(name))));
  await batch.commit();
  return files;
}

integration("--fsync flushes up to 128 files together, and each folder once", async () => {
  const synced: string[] = [];
  const watched = (path: string | URL, file: Deno.FsFile): Deno.FsFile => {
    const sync = file.sync.bind(file);
    return Object.assign(file, {
      sync: () => {
        synced.push(String(path));
        return sync();
      },
    });
  };
  const disk: Disk = {
    ...Deno,
    open: async (path, options) => watched(path, await Deno.open(path, options)),
    openSync: (path, options) => watched(path, Deno.openSync(path, options)),
  };
  await using test = await openStore({ disk, fsync: true });
  const all = Array.from({ length: 300 }, (_, index) => `a/${index}`);
  for (const announced of [300, 0]) {
    using batch = test.store.batch();
    synced.length = 0;
    await batch.makeFolder("a", { files: announced });
    const files = await putAll(batch, all);
    await batch.commit();
    assert(files.every(({ name }) => name !== undefined));
    const folders = synced.filter((path) => !/\/\d+$|\.temp$/.test(path));
    assertEquals(synced.length - folders.length, 300);
    // The folder in flight, the folder, and the root; the second time for each 128, and for mkdir. A
    // few more where the disk is slow.
    assert(folders.length <= 20, `${folders.length} folders`);
  }
});
