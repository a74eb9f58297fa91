import { assert, assertEquals, assertRejects } from "@std/assert";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { Disk } from "../lib/store/disk.ts";
import { InletError } from "../lib/errors.ts";
import { type Movable, RenameLock } from "../lib/store/rename_lock.ts";
import { integration, OWN, tempDir } from "./helpers.ts";

/** An error of the system. */
function failing(code: string): never {
  throw Object.assign(new Error(`${code}: this disk fails`), { code });
}

/** A disk without hard links. */
const LINKLESS: Disk = { ...Deno, linkSync: () => failing("EPERM") };

const encoder = new TextEncoder();

function content(path: string): string {
  return Deno.readTextFileSync(path);
}

/** The names in a folder, but for the store's own. */
function stored(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name !== OWN)
    .sort();
}

/** What is below `.inlet`, but for the lock while nobody holds it. */
function inFlight(dir: string): string[] {
  const below = (folder: string): string[] =>
    [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
      isDirectory ? below(`${folder}/${name}`) : [`${folder}/${name}`]
    );
  return below(`${dir}/${OWN}`);
}

/** A name that a file of a store has while it is not published. */
const IN_FLIGHT = `${"0123456789abcdef".repeat(2)}.temp`;
const ANOTHER = `${"fedcba9876543210".repeat(2)}.temp`;

for (const code of ["EPERM", "ENOTSUP", "ENOSYS", "EACCES", "EMLINK"]) {
  integration(`Store publishes without hard links where a link fails with ${code}`, async () => {
    await using temp = await tempDir();
    const told: string[] = [];
    const store = await DirectoryStore.open(temp.path, {
      disk: { ...Deno, linkSync: () => failing(code) },
      warn: (message) => told.push(message),
    });
    await store.prepare();
    const time = new Date("2020-02-29T12:00:00Z");
    assertEquals(await store.put("a.txt", encoder.encode("one"), { modified: time }), "a.txt");
    assertEquals(await store.put("a.txt", encoder.encode("two")), "a (2).txt");
    await using upload = store.receive("photos/a.txt");
    await upload.write(encoder.encode("three"));
    assertEquals(await upload.publish({ modified: time, mode: 0o640 }), "photos/a.txt");
    assertEquals([content(`${temp.path}/a.txt`), content(`${temp.path}/a (2).txt`)], [
      "one",
      "two",
    ]);
    assertEquals(content(`${temp.path}/photos/a.txt`), "three");
    for (const name of ["a.txt", "photos/a.txt"]) {
      assertEquals(Deno.statSync(`${temp.path}/${name}`).mtime, time);
    }
    assertEquals(Deno.statSync(`${temp.path}/photos/a.txt`).mode! & 0o777, 0o640);
    assertEquals(inFlight(temp.path), []);
    assertEquals(told.length, 1);
    assert(told[0]!.includes("has no hard links: a file that another program makes"), told[0]);
    store.close();
    assertEquals(stored(temp.path), ["a (2).txt", "a.txt", "photos"]);
    assertEquals([...Deno.readDirSync(temp.path)].length, 3);
  });
}

integration("Store tells that it may not link, where its disk has hard links", async () => {
  await using temp = await tempDir();
  // Such a folder is one that may only be added to, or whose files may not be linked to.
  const disk: Disk = {
    ...Deno,
    linkSync: (from, to) => to.includes(OWN) ? Deno.linkSync(from, to) : failing("EPERM"),
  };
  const store = await DirectoryStore.open(temp.path, { disk });
  for (let time = 0; time < 2; time++) {
    const why = 'Cannot store "a.txt": the system does not permit it';
    await assertRejects(async () => await store.put("a.txt", encoder.encode("")), InletError, why);
  }
  assertEquals(stored(temp.path), []);
  assertEquals(inFlight(temp.path), []);
});

integration("Stores without hard links replace nothing, many clients and two at once", async () => {
  await using temp = await tempDir();
  const stores = [
    await DirectoryStore.open(temp.path, { disk: LINKLESS }),
    await DirectoryStore.open(temp.path, { disk: LINKLESS, fsync: true }),
  ];
  const names = await Promise.all(Array.from({ length: 300 }, async (_, number) => {
    const store = stores[number % 2]!;
    const text = encoder.encode(String(number));
    if (number % 3 === 0) return await store.put("p/a.txt", text);
    await using upload = store.receive("p/a.txt");
    await upload.write(text);
    return await upload.publish();
  }));
  assertEquals(new Set(names).size, 300);
  for (const [number, name] of names.entries()) {
    assertEquals(content(`${temp.path}/${name}`), String(number));
  }
  assertEquals(stored(`${temp.path}/p`).length, 300);
  assertEquals(inFlight(temp.path), []);
});

integration("Store numbers what has no name without hard links", async () => {
  await using temp = await tempDir();
  const store = await DirectoryStore.open(temp.path, { disk: LINKLESS });
  const published: string[] = [];
  for (let number = 1; number <= 3; number++) {
    await using upload = store.receiveNumbered(".file");
    await upload.write(encoder.encode(String(number)));
    published.push(await upload.publish());
  }
  assertEquals(published, ["1.file", "2.file", "3.file"]);
  assertEquals(stored(temp.path), published);
  assertEquals(inFlight(temp.path), []);
});

integration("Store keeps and resumes partial files without hard links", async () => {
  await using temp = await tempDir();
  const store = await DirectoryStore.open(temp.path, { disk: LINKLESS });
  const how = { fingerprint: "a" };
  {
    await using upload = await store.receiveResumable("a.txt", 10, how);
    await upload.write(encoder.encode("first"));
  }
  for await (const partial of store.findPartials("a.txt", how)) {
    await using upload = (await partial.take(how))!;
    await upload.write(encoder.encode(" half"));
    assertEquals(await upload.publish(), "a.txt");
    break;
  }
  assertEquals(content(`${temp.path}/a.txt`), "first half");
  assertEquals(inFlight(temp.path), []);
});

integration("Store gives the lock back after a failure", async () => {
  await using temp = await tempDir();
  let isFull = true;
  const disk: Disk = {
    ...LINKLESS,
    renameSync: (from, to) => {
      if (isFull && to === `${temp.path}/a.txt`) failing("ENOSPC");
      Deno.renameSync(from, to);
    },
  };
  const store = await DirectoryStore.open(temp.path, { disk });
  {
    await using upload = await store.receiveResumable("a.txt", 3, { fingerprint: "a" });
    await upload.write(encoder.encode("one"));
    await assertRejects(() => upload.publish(), InletError, "the disk is full");
  }
  // What is kept is not in the lock.
  assertEquals(inFlight(temp.path).map((path) => /kept-/.test(path)), [true]);
  isFull = false;
  assertEquals(await store.put("a.txt", encoder.encode("two")), "a.txt");
});

integration("an upload that ends while it waits for the lock is not published", async () => {
  await using temp = await tempDir();
  const store = await DirectoryStore.open(temp.path, { disk: LINKLESS });
  await store.put("a.txt", encoder.encode("one"));
  Deno.mkdirSync(`${temp.path}/${OWN}/lock`, { recursive: true });
  Deno.writeTextFileSync(`${temp.path}/${OWN}/lock/${IN_FLIGHT}`, "");
  const upload = store.receive("b.txt");
  await upload.write(encoder.encode("two"));
  const publishing = upload.publish();
  upload.close();
  // Whoever held the lock publishes.
  Deno.renameSync(`${temp.path}/${OWN}/lock/${IN_FLIGHT}`, `${temp.path}/c.txt`);
  await assertRejects(() => publishing, InletError);
  assertEquals(stored(temp.path), ["a.txt", "c.txt"]);
  assertEquals(inFlight(temp.path), []);
});

integration("a sweep removes what was left in the lock, and on its way there", async () => {
  await using temp = await tempDir();
  const store = await DirectoryStore.open(temp.path, { disk: LINKLESS });
  await store.put("a.txt", encoder.encode("one"));
  const own = `${temp.path}/${OWN}`;
  const folders = ["lock", `${ANOTHER.replace(".temp", ".d")}`];
  for (const [index, folder] of folders.entries()) {
    Deno.mkdirSync(`${own}/${folder}`, { recursive: true });
    Deno.writeTextFileSync(`${own}/${folder}/${[IN_FLIGHT, ANOTHER][index]}`, "left");
  }
  await store.sweep();
  assertEquals(inFlight(temp.path).length, 2);
  const before = new Date(Date.now() - 3_700_000);
  for (const [index, folder] of folders.entries()) {
    Deno.utimeSync(`${own}/${folder}/${[IN_FLIGHT, ANOTHER][index]}`, before, before);
    Deno.utimeSync(`${own}/${folder}`, before, before);
  }
  await store.sweep();
  assertEquals([...Deno.readDirSync(own)], []);
});

/** A file that knows where it is. */
class TestFile implements Movable {
  path: string;
  readonly #disk: Disk;

  constructor(disk: Disk, path: string, text: string) {
    this.#disk = disk;
    this.path = path;
    Deno.writeTextFileSync(path, text);
  }

  moveTo(path: string): void {
    this.#disk.renameSync(this.path, path);
    this.path = path;
  }

  foundAt(path: string): void {
    this.path = path;
  }
}

integration("RenameLock breaks a lock that was left, and not one that moves", async () => {
  await using temp = await tempDir();
  Deno.mkdirSync(`${temp.path}/lock`);
  Deno.writeTextFileSync(`${temp.path}/lock/${IN_FLIGHT}`, "left");
  let nowMs = 0;
  let looks = 0;
  const clock = (): number => {
    looks++;
    // The lock has another holder each second, until the ninth.
    if (looks < 9) {
      Deno.removeSync(`${temp.path}/lock`, { recursive: true });
      Deno.mkdirSync(`${temp.path}/lock`);
      Deno.writeTextFileSync(`${temp.path}/lock/${String(looks).repeat(32)}.temp`, "held");
    }
    return nowMs += 1000;
  };
  const lock = new RenameLock(LINKLESS, temp.path, "", clock);
  const file = new TestFile(LINKLESS, `${temp.path}/${ANOTHER}`, "mine");
  await lock.publish(file, () => file.moveTo(`${temp.path}/final`));
  // It saw the last one for five seconds by its own clock.
  assertEquals(looks, 9 + 5);
  assertEquals(content(`${temp.path}/final`), "mine");
  assertEquals(content(`${temp.path}/${"8".repeat(32)}.temp`), "held");
  assertEquals(stored(temp.path), [`${"8".repeat(32)}.temp`, "final", "lock"]);
});

integration("a holder that was stopped begins again, with a new look at the names", async () => {
  await using temp = await tempDir();
  const lock = new RenameLock(LINKLESS, temp.path, "");
  const file = new TestFile(LINKLESS, `${temp.path}/${IN_FLIGHT}`, "mine");
  const looks: boolean[] = [];
  await lock.publish(file, () => {
    const isTaken = stored(temp.path).includes("a.txt");
    looks.push(isTaken);
    if (!isTaken) {
      // While this process is stopped, another one breaks the lock and publishes the same name.
      const other = new RenameLock(LINKLESS, temp.path, "");
      assertEquals(other.moveOut(`${temp.path}/lock`), [IN_FLIGHT]);
      Deno.writeTextFileSync(`${temp.path}/a.txt`, "theirs");
    }
    file.moveTo(`${temp.path}/${isTaken ? "a (2).txt" : "a.txt"}`);
  });
  assertEquals(looks, [false, true]);
  assertEquals(content(`${temp.path}/a.txt`), "theirs");
  assertEquals(content(`${temp.path}/a (2).txt`), "mine");
});

integration("RenameLock publishes many under one lock, and each failure is its own", async () => {
  await using temp = await tempDir();
  let boxes = 0;
  const disk: Disk = { ...LINKLESS, mkdirSync: (...args) => (boxes++, Deno.mkdirSync(...args)) };
  const lock = new RenameLock(disk, temp.path, "");
  const ends = await Promise.allSettled(Array.from({ length: 100 }, (_, number) => {
    const name = `${String(number).padStart(32, "0")}.temp`;
    const file = new TestFile(disk, `${temp.path}/${name}`, String(number));
    return lock.publish(file, () => {
      if (number === 7) failing("EIO");
      file.moveTo(`${temp.path}/final-${number}`);
    });
  }));
  assertEquals(boxes, 2);
  assertEquals(ends.flatMap(({ status }, number) => status === "rejected" ? [number] : []), [7]);
  assertEquals(stored(temp.path).filter((name) => name.startsWith("final-")).length, 99);
  // It is where an upload is.
  assertEquals(content(`${temp.path}/${"7".padStart(32, "0")}.temp`), "7");
});

integration("RenameLock works where no folder replaces an empty one (SMB)", async () => {
  await using temp = await tempDir();
  const disk: Disk = {
    ...LINKLESS,
    renameSync: (from, to) => {
      if (from.toString().endsWith(".d") && stored(temp.path).includes("lock")) failing("EEXIST");
      Deno.renameSync(from, to);
    },
  };
  const lock = new RenameLock(disk, temp.path, "");
  for (let number = 0; number < 3; number++) {
    const file = new TestFile(disk, `${temp.path}/${IN_FLIGHT}`, String(number));
    await lock.publish(file, () => file.moveTo(`${temp.path}/final-${number}`));
  }
  assertEquals(stored(temp.path), ["final-0", "final-1", "final-2", "lock"]);
});

integration("RenameLock leaves alone what is not its own in the lock", async () => {
  await using temp = await tempDir();
  Deno.mkdirSync(`${temp.path}/lock`);
  Deno.writeTextFileSync(`${temp.path}/lock/.DS_Store`, "not ours");
  let nowMs = 0;
  const lock = new RenameLock(LINKLESS, temp.path, "", () => nowMs += 3000);
  const file = new TestFile(LINKLESS, `${temp.path}/${IN_FLIGHT}`, "mine");
  await lock.publish(file, () => file.moveTo(`${temp.path}/final`));
  const [stray] = stored(temp.path).filter((name) => name.endsWith(".stray"));
  assertEquals(content(`${temp.path}/${stray}`), "not ours");
});
