import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Disk } from "../lib/store/disk.ts";
import { DiskSpace, type FileSystemFacts } from "../lib/store/disk_space.ts";
import type { Upload } from "../lib/store/store.ts";
import { InletError } from "../lib/errors.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { DirectoryOptions } from "../lib/store/directory_options.ts";
import { FaultyDisk } from "./faults/disk.ts";
import {
  allOf,
  anHourPasses,
  bytes,
  collect,
  integration,
  names,
  OWN,
  ownFiles,
  ROOT,
  run,
  Running,
  type TempDir,
  tempDir,
} from "./helpers.ts";

/** A store in a directory of its own, beside another one that is none of its business. */
interface TestStore extends AsyncDisposable {
  store: DirectoryStore;
  /** The directory of the store. */
  dir: string;
  /** A directory outside it. */
  outside: string;
}

async function openStore(options?: DirectoryOptions): Promise<TestStore> {
  const temp: TempDir = await tempDir();
  const [dir, outside] = [`${temp.path}/received`, `${temp.path}/outside`];
  await Deno.mkdir(outside);
  return {
    store: await DirectoryStore.open(dir, options),
    dir,
    outside,
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

const encoder = new TextEncoder();

/** Longer ago than any upload or partial file is kept. */
const LONG_AGO = new Date("2020-02-29T12:00:00Z");

async function put(store: DirectoryStore, name: string, content = name): Promise<string> {
  await using upload = store.receive(name);
  await upload.write(encoder.encode(content));
  return await upload.publish();
}

async function get(store: DirectoryStore, name: string): Promise<string> {
  using stored = store.open(name);
  const buffer = new Uint8Array(stored.size + 1);
  // A slow disk is read in another thread.
  const read = await stored.read(0, buffer);
  assertEquals(read, stored.size);
  return new TextDecoder().decode(buffer.subarray(0, stored.size));
}

function refusedWith(code: string, action: () => unknown): void {
  const error = assertThrows(action, InletError);
  assertEquals(error.code, code, error.message);
}

integration("Store.open() makes its directory, and those above it", async () => {
  await using temp = await tempDir();
  await DirectoryStore.open(`${temp.path}/a/b/received`);
  assert((await Deno.stat(`${temp.path}/a/b/received`)).isDirectory);
});

integration("Store.open() refuses what is no directory", async () => {
  await using temp = await tempDir();
  const file = await temp.write("received", "a file");
  const error = await assertRejects(() => DirectoryStore.open(file), InletError, `into "${file}"`);
  assertEquals(error.code, "usage");
});

integration("Upload.publish() gives way to whatever took its name in the meantime", async () => {
  await using test = await openStore();
  await Deno.mkdir(`${test.dir}/folder`);
  await Deno.symlink("nowhere", `${test.dir}/dangling`);
  await Deno.symlink(`${test.outside}/target`, `${test.dir}/link`);
  await Deno.writeTextFile(`${test.outside}/target`, "untouched");
  for (const name of ["folder", "dangling", "link", "late"]) {
    await using upload = test.store.receive(name);
    await upload.write(encoder.encode(name));
    if (name === "late") await Deno.writeTextFile(`${test.dir}/late`, "was faster");
    assertEquals(await upload.publish(), `${name} (2)`);
    assertEquals(await get(test.store, `${name} (2)`), name);
  }
  assertEquals(await Deno.readTextFile(`${test.outside}/target`), "untouched");
  assertEquals(await Deno.readTextFile(`${test.dir}/late`), "was faster");
  assertEquals(names(test.outside), ["target"]);
});

integration("Store lists and gives back what it numbered at the limit of a name", async () => {
  await using test = await openStore();
  const folders = `${"x".repeat(250)}/`.repeat(11) + `${"x".repeat(240)}/${"x".repeat(21)}/`;
  const name = folders + "y".repeat(48);
  const got = [await put(test.store, name, "1"), await put(test.store, name, "2")];
  refusedWith("bad-name", () => test.store.receive(`${name.slice(0, 3023)}xx/y`));
  assertEquals(await Promise.all(got.map((name) => get(test.store, name))), ["1", "2"]);
  assertEquals((await allOf(test.store.list())).map(({ name }) => name).sort(), got.sort());
});

integration(
  "Store gives a folder no number that a link has, and none that is too long",
  async () => {
    await using test = await openStore();
    const { store } = test;
    await put(store, "a.txt");
    await Deno.symlink(test.outside, `${test.dir}/a (2).txt`);
    assertEquals(await put(store, "a.txt/b"), "a (3).txt/b");
    const long = `${"x".repeat(240)}/`.repeat(12);
    await put(store, long.slice(0, 240));
    refusedWith("bad-name", () => store.receive(`${long}${"y".repeat(131)}/z`));
    assertEquals(names(test.dir).filter((name) => name.startsWith("xx")).length, 1);
  },
);

integration("a time that tells nothing is no proof that a file is the same", async () => {
  await using test = await openStore();
  const { store } = test;
  const ask = async (modified: Date, later: () => void = () => {}): Promise<boolean> => {
    await store.put("a", encoder.encode("1"), { modified });
    later();
    const found = await store.find("a", { size: 1, crc: null, modified });
    Deno.removeSync(`${test.dir}/a`);
    return found!.isSame;
  };
  assertEquals(await ask(new Date("1998-05-05T00:00:00Z")), true);
  // A store of packages, and an archive.
  assertEquals(await ask(new Date(1000)), false);
  assertEquals(await ask(new Date("1980-01-01T00:00:00Z")), false);
  // In the second of its last change, however late its status changes.
  const now = new Date(Math.floor(Date.now() / 1000) * 1000);
  const { lstatSync } = Deno;
  using _ = { [Symbol.dispose]: () => void (Deno.lstatSync = lstatSync) };
  const touch = (): void => {
    Deno.lstatSync = (path) => ({ ...lstatSync(path), ctime: new Date(now.getTime() + 60_000) });
  };
  assertEquals(await ask(now, touch), false);
  // A later change has other milliseconds.
  assertEquals(await ask(new Date(now.getTime() + 1), touch), true);
});

integration("Store goes through no link to a folder, wherever it stands", async () => {
  await using test = await openStore();
  await Deno.writeTextFile(`${test.outside}/secret.txt`, "secret");
  await Deno.mkdir(`${test.dir}/photos`);
  for (const link of ["out", "photos/out"]) {
    await Deno.symlink(test.outside, `${test.dir}/${link}`);
    refusedWith("denied", () => test.store.receive(`${link}/a.txt`));
    refusedWith("denied", () => test.store.receive(`${link}/new/a.txt`));
    refusedWith("denied", () => test.store.open(`${link}/secret.txt`));
  }
  assertEquals(await allOf(test.store.list()), []);
  assertEquals(names(test.outside), ["secret.txt"]);
});

integration("Store.open() opens published files alone", async () => {
  await using test = await openStore();
  await put(test.store, "naïve ☕.txt", "whole");
  assertEquals(await get(test.store, "naïve ☕.txt"), "whole");
  // Another form of the name is another name.
  refusedWith("not-found", () => test.store.open("nai\u0308ve ☕.txt"));
  await Deno.writeTextFile(`${test.outside}/secret.txt`, "secret");
  await Deno.symlink(`${test.outside}/secret.txt`, `${test.dir}/link.txt`);
  await Deno.symlink("nowhere", `${test.dir}/dangling.txt`);
  await Deno.mkdir(`${test.dir}/folder`);
  for (const name of ["link.txt", "dangling.txt", "folder", "missing.txt", "missing/a.txt"]) {
    refusedWith("not-found", () => test.store.open(name));
  }
});

integration("Store.list() shows what open() would open, in order, and nothing else", async () => {
  await using test = await openStore();
  for (const name of ["b.txt", "a.txt", "photos/2024/c.jpg", "ü.txt"]) await put(test.store, name);
  await using _ = test.store.receive("in flight.bin");
  await Deno.writeTextFile(`${test.outside}/secret.txt`, "secret");
  await Deno.symlink(`${test.outside}/secret.txt`, `${test.dir}/link.txt`);
  await Deno.symlink(test.outside, `${test.dir}/out`);
  await Deno.symlink("nowhere", `${test.dir}/dangling`);
  await Deno.mkdir(`${test.dir}/empty`);
  const byHand = ["con.txt", "dot.", "old.TEMP", "u\u0308.txt", "x".repeat(255)];
  for (const name of [...byHand, "line\nbreak", "INLET~1"]) {
    await Deno.writeTextFile(`${test.dir}/${name}`, "put there by hand");
  }
  const list = await allOf(test.store.list());
  const expected = ["a.txt", "b.txt", "photos/2024/c.jpg", "ü.txt", ...byHand];
  assertEquals(list.map(({ name }) => name), expected.sort());
  for (const { name, size, modified } of list) {
    assertEquals(encoder.encode(await get(test.store, name)).length, size);
    assert(Math.abs(Date.now() - modified.getTime()) < 3_600_000);
  }
});

integration("Store takes no pipe for a file, neither in its list nor when it sweeps", async () => {
  await using test = await openStore();
  assertEquals((await run("mkfifo", [`${test.dir}/pipe`])).code, 0);
  assertEquals(await allOf(test.store.list()), []);
  refusedWith("not-found", () => test.store.open("pipe"));
  // Opening a pipe waits for whoever writes into it.
  await test.store.prepare();
  const pipe = `${test.dir}/${OWN}/${"0".repeat(32)}.temp`;
  assertEquals((await run("mkfifo", [pipe])).code, 0);
  Deno.utimeSync(pipe, LONG_AGO, LONG_AGO);
  await test.store.prepare();
  assertEquals(names(test.dir), ["(in flight)", "pipe"]);
}, { programs: ["mkfifo"] });

integration("Store.prepare() removes what a crash left long ago, and nothing else", async () => {
  await using test = await openStore();
  await put(test.store, "photos/whole.jpg");
  const own = `${test.dir}/${OWN}`;
  const id = "0123456789abcdef".repeat(2);
  const hash = "0123456789abcdef".repeat(4);
  const theirs = [
    ...["thesis.temp", "photos/b.jpg.temp", "photos/c.temp.temp", `${id}.temp`],
    ...[
      "notes.txt",
      "a.temp",
      `${id}.tmp`,
      `x${id}.temp`,
      `kept-${id}.temp`,
      "7.FILE.temp",
      "places",
    ]
      .map((name) => `${OWN}/${name}`),
  ];
  const ours = [`${id}.temp`, `${hash}-${id}.temp`, "7.file.temp", `kept-${hash}-${id}.temp`]
    .map((name) => `${OWN}/${name}`);
  for (const name of [...theirs, ...ours]) {
    await Deno.writeTextFile(`${test.dir}/${name}`, "");
    Deno.utimeSync(`${test.dir}/${name}`, LONG_AGO, LONG_AGO);
  }
  const recent = `${OWN}/${id.replace("0", "f")}.temp`;
  await Deno.writeTextFile(`${test.dir}/${recent}`, "of a server that may be alive elsewhere");
  // It crashed after it gave the file its name: that file is whole.
  await Deno.writeTextFile(`${test.dir}/c.txt`, "whole");
  await Deno.link(`${test.dir}/c.txt`, `${own}/${id.replace("0", "e")}.temp`);
  Deno.utimeSync(`${test.dir}/c.txt`, LONG_AGO, LONG_AGO);
  await test.store.prepare();
  for (const name of [...theirs, recent, "c.txt"]) Deno.lstatSync(`${test.dir}/${name}`);
  assertEquals(
    [...Deno.readDirSync(own)].map(({ name }) => `${OWN}/${name}`).sort(),
    [...theirs.filter((name) => name.startsWith(OWN)), recent].sort(),
  );
  assertEquals(await get(test.store, "c.txt"), "whole");
});

integration(
  "Store.prepare() leaves alone what a live server is writing, until it dies",
  async () => {
    await using test = await openStore();
    const script = `
    import { DirectoryStore } from "${new URL("lib/store/directory.ts", ROOT).href}";
    const store = await DirectoryStore.open(${JSON.stringify(test.dir)});
    const upload = store.receive("a.bin");
    await upload.write(new Uint8Array(1000));
    console.error("writing");
    await new Promise(() => setInterval(() => {}, 60_000));`;
    await using other = new Running(
      new Deno.Command(Deno.execPath(), { args: ["eval", script], stderr: "piped" }).spawn(),
    );
    await other.says(/writing/);
    const [upload] = ownFiles(test.dir);
    Deno.utimeSync(upload!, LONG_AGO, LONG_AGO);
    await test.store.prepare();
    assertEquals(names(test.dir), ["(in flight)"]);
    // Nor does an upload of the same name get in its way.
    assertEquals(await put(test.store, "a.bin", "mine"), "a.bin");
    await other.stop("SIGKILL");
    assertEquals(names(test.dir), ["(in flight)", "a.bin"]);
    await test.store.prepare();
    assertEquals(names(test.dir), ["a.bin"]);
    assertEquals(await get(test.store, "a.bin"), "mine");
  },
);

integration("Store.prepare() leaves no trace in an empty directory", async () => {
  await using test = await openStore();
  await test.store.prepare();
  assertEquals(names(test.dir), []);
});

integration("Store publishes with fsync too, beside what is there", async () => {
  await using test = await openStore({ fsync: true });
  assertEquals(await put(test.store, "a.txt", "first"), "a.txt");
  assertEquals(await put(test.store, "a.txt", "second"), "a (2).txt");
  assertEquals(names(test.dir), ["a (2).txt", "a.txt"]);
});

integration(
  "Store syncs a file before it has its name, and every folder on the way after",
  async () => {
    await using temp = await tempDir();
    const dir = `${await Deno.realPath(temp.path)}/new/received`;
    const script = `
    import { DirectoryStore } from "${new URL("lib/store/directory.ts", ROOT).href}";
    const store = await DirectoryStore.open("${dir}", { fsync: true });
    await using upload = store.receive("photos/2024/a.jpg");
    await upload.write(new Uint8Array(1000));
    await upload.publish();
    await store.put("small.txt", new Uint8Array(1));
    await store.makeFolder("empty/folder");`;
    const { code, stderr } = await run("strace", [
      ...["-f", "-y", "-e", "trace=fsync,fdatasync,link,linkat,mkdir,mkdirat"],
      ...[Deno.execPath(), "eval", script],
    ]);
    assertEquals(code, 0);
    const parent = dir.slice(0, -"/new/received".length);
    // Deno syncs files of its own, of its cache.
    const calls = stderr.split("\n").filter((line) => line.includes(parent)).map((line) => {
      if (/\blink(at)?\(/.test(line)) return "link";
      const [, made] = /mkdir(?:at)?\(.*"([^"]+)"/.exec(line) ?? [];
      const [, synced] = /sync\(\d+<([^>]+)>/.exec(line) ?? [];
      const path = (made ?? synced)?.replace(parent, "top").replace(/[0-9a-f]{32}/, "ID");
      return made === undefined ? path : `mkdir ${path}`;
    }).filter((call) => !/^mkdir top\/new(\/received)?$/.test(call!));
    assertEquals(calls, [
      ...["top/new", "top"],
      ...["mkdir top/new/received/photos", "mkdir top/new/received/photos/2024"],
      ...["mkdir top/new/received/.inlet", "top/new/received/.inlet/ID.temp", "link"],
      ...["top/new/received/photos/2024", "top/new/received/photos", "top/new/received"],
      ...["top/new/received/.inlet/ID.temp", "link", "top/new/received"],
      ...["mkdir top/new/received/empty", "mkdir top/new/received/empty/folder"],
      ...["top/new/received/empty/folder", "top/new/received/empty", "top/new/received"],
    ]);
  },
  { programs: ["strace"] },
);

integration("Store says what it published where the folder cannot be synced then", async () => {
  const faulty = new FaultyDisk();
  await using test = await openStore({ disk: faulty.disk, fsync: true });
  await put(test.store, "a.txt");
  faulty.fault = { operation: "sync", nth: 2, forGood: false, code: "EIO" };
  await assertRejects(
    () => put(test.store, "a.txt"),
    InletError,
    'Cannot store "a.txt": it is stored as "a (2).txt", but may be lost in a power failure: the disk ' +
      "reported an I/O error",
  );
  assertEquals(names(test.dir), ["a (2).txt", "a.txt"]);
  faulty.fault = { operation: "sync", nth: 1, forGood: false, code: "EIO" };
  await assertRejects(async () => await test.store.makeFolder("b"), InletError, "power failure");
});

integration(
  "Store calls a slow disk so that others go on, and a fast one again later",
  async () => {
    // By this clock only one write takes long, and not what a busy machine delays.
    let clock = 0;
    const { now } = performance;
    using _ = { [Symbol.dispose]: () => void (performance.now = now) };
    performance.now = () => clock;
    // A disk that takes its time once, and whose next write takes as long as the test says.
    let slow = true;
    const gate = Promise.withResolvers<void>();
    const later: string[] = [];
    const disk: Disk = {
      ...Deno,
      openSync: (path, options) => {
        const file = Deno.openSync(path, options);
        const { writeSync, write } = file;
        return Object.assign(file, {
          writeSync: (bytes: Uint8Array) => {
            if (slow) clock += 150;
            slow = false;
            return writeSync.call(file, bytes);
          },
          write: async (bytes: Uint8Array) => {
            later.push(new TextDecoder().decode(bytes));
            if (later.length === 1) await gate.promise;
            return await write.call(file, bytes);
          },
        });
      },
    };
    await using test = await openStore({ disk });
    await using first = test.store.receive("a.txt");
    assertEquals(first.write(encoder.encode("one ")), undefined);
    const stalled = first.write(encoder.encode("two"));
    // Meanwhile another file is stored, also one that is complete in memory.
    assertEquals(await test.store.put("b.txt", encoder.encode("b")), "b.txt");
    await using second = test.store.receive("c.txt");
    await second.write(encoder.encode("c"));
    assertEquals(await second.publish(), "c.txt");
    gate.resolve();
    await stalled;
    assertEquals(await first.publish(), "a.txt");
    const contents = { "a.txt": "one two", "b.txt": "b", "c.txt": "c" };
    for (const [name, content] of Object.entries(contents)) {
      using stored = test.store.open(name);
      const reading = stored.read(0, new Uint8Array(stored.size));
      assert(reading instanceof Promise, "a read could hold up the others");
      assertEquals(await reading, content.length);
      assertEquals(new TextDecoder().decode(await collect(stored.stream(0))), content);
    }
    assertEquals(later, ["two", "b", "c"]);
    // After a number of fast calls the disk gets synchronous ones again.
    await using last = test.store.receive("d.txt");
    const chunk = encoder.encode("d");
    let calls = 0;
    while (last.write(chunk) instanceof Promise) assert(++calls < 100, "it is never fast again");
  },
);

integration("Store says that the disk is full, and leaves nothing there", async () => {
  await using temp = await tempDir();
  const script = `
    import { DirectoryStore } from "${new URL("lib/store/directory.ts", ROOT).href}";
    const store = await DirectoryStore.open(${JSON.stringify(temp.path)});
    async function put(name, size) {
      await using upload = store.receive(name);
      for (; size > 0; size -= 1000) await upload.write(new Uint8Array(1000).fill(120));
      return await upload.publish();
    }
    const small = await put("small.bin", 100_000);
    const big = await put("big.bin", 2_000_000).catch((error) => error);
    const files = [...Deno.readDirSync(${JSON.stringify(temp.path)})].map(({ name }) => name)
      .filter((name) => name !== ".inlet");
    const again = await put("again.bin", 900_000);
    console.log(JSON.stringify([small, big.code, big.message, files, again]));`;
  const mounted = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"';
  const { code, stdout, stderr } = await run("unshare", [
    "-rm",
    "sh",
    "-c",
    mounted,
    temp.path,
    Deno.execPath(),
    "eval",
    script,
  ]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(JSON.parse(stdout), [
    "small.bin",
    "no-space",
    'Cannot store "big.bin": the disk is full',
    ["small.bin"],
    "again.bin",
  ]);
}, { mounts: true });

/** How many files of a directory this process has open, where the system tells. */
function openIn(dir: string): number {
  if (Deno.build.os !== "linux") return 0;
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith(dir);
    } catch {
      // Another file of tests has just closed it.
      return false;
    }
  }).length;
}

for (const operation of ["lock", "stat"] as const) {
  integration(`Store leaves nothing of a new file whose ${operation} fails`, async () => {
    const faulty = new FaultyDisk();
    await using test = await openStore({ disk: faulty.disk });
    faulty.fault = { operation, nth: 1, forGood: false, code: "EIO" };
    refusedWith("disk", () => test.store.receive("a.txt"));
    assertEquals(names(test.dir), []);
    assertEquals(await put(test.store, "a.txt"), "a.txt");
  });
}

integration(
  "Store keeps a partial that cannot be locked now, and goes on with it later",
  async () => {
    const faulty = new FaultyDisk();
    await using test = await openStore({ disk: faulty.disk });
    const how = { fingerprint: "a" };
    const resumed = async (store: DirectoryStore): Promise<Upload | undefined> => {
      for await (const partial of store.findPartials("a.txt", how)) return await partial.take(how);
      return undefined;
    };
    {
      await using upload = await test.store.receiveResumable("a.txt", 10, how);
      await upload.write(encoder.encode("first"));
    }
    const before = openIn(test.dir);
    // The first file that is locked is one that tells the time of the disk.
    for (const nth of [1, 2]) {
      faulty.fault = { operation: "lock", nth, forGood: true, code: "EIO" };
      const error = await assertRejects(() => resumed(test.store), InletError);
      assertEquals([error.code, openIn(test.dir)], ["disk", before]);
    }
    faulty.fault = undefined;
    // Another server could be writing what has lost its name as a partial file.
    anHourPasses(test.dir);
    await using upload = (await resumed(test.store))!;
    assertEquals(upload.kept.bytes, 5);
    await upload.write(encoder.encode(" half"));
    assertEquals(await upload.publish(), "a.txt");
    assertEquals(await get(test.store, "a.txt"), "first half");
  },
);

integration("Store does not try every number again for a name that is often taken", async () => {
  let links = 0;
  const disk: Disk = {
    ...Deno,
    linkSync: (from, to) => {
      links++;
      Deno.linkSync(from, to);
    },
  };
  await using test = await openStore({ disk });
  for (let number = 0; number < 20; number++) await put(test.store, "a.txt");
  assertEquals(names(test.dir).length, 20);
  assert(names(test.dir).includes("a (20).txt"));
  assert(links <= 2 * 20, `${links} links`);
  // A name that is free again is given, whatever came after it.
  Deno.removeSync(`${test.dir}/a.txt`);
  assertEquals(await put(test.store, "a.txt"), "a.txt");
});

integration("Store.put() writes a file again that another server's sweep took away", async () => {
  let sweeps = 1;
  const disk: Disk = {
    ...Deno,
    linkSync: (from, to) => {
      if (sweeps-- > 0) Deno.removeSync(from);
      Deno.linkSync(from, to);
    },
  };
  await using test = await openStore({ disk });
  assertEquals(await test.store.put("photos/a.txt", encoder.encode("whole")), "photos/a.txt");
  assertEquals(await get(test.store, "photos/a.txt"), "whole");
  assertEquals(names(`${test.dir}/photos`), ["a.txt"]);
  sweeps = Infinity;
  await assertRejects(
    async () => await test.store.put("b.txt", encoder.encode("whole")),
    InletError,
  );
  assertEquals(names(test.dir), ["photos"]);
});

integration(
  "Store.put() replaces nothing, keeps the time, and leaves nothing in flight",
  async () => {
    for (const fsync of [false, true]) {
      await using test = await openStore({ fsync });
      const time = new Date("2020-02-29T12:00:00Z");
      const got: string[] = [];
      for (const content of ["first", "second"]) {
        got.push(await test.store.put("a.txt", encoder.encode(content), { modified: time }));
      }
      assertEquals(got, ["a.txt", "a (2).txt"]);
      assertEquals(await Promise.all(got.map((name) => get(test.store, name))), [
        "first",
        "second",
      ]);
      assertEquals(Deno.statSync(`${test.dir}/a.txt`).mtime, time);
      await assertRejects(
        async () => await test.store.put("../a.txt", new Uint8Array(1)),
        InletError,
      );
      assertEquals(names(test.dir), ["a (2).txt", "a.txt"]);
    }
  },
);

integration(
  "Store syncs the folder that its directory is made in again, before it is done",
  async () => {
    const opened: string[] = [];
    const disk: Disk = {
      ...Deno,
      open: (path, options) => {
        opened.push(String(path));
        return Deno.open(path, options);
      },
    };
    await using test = await openStore({ disk, fsync: true });
    const above = test.dir.slice(0, test.dir.lastIndexOf("/"));
    await put(test.store, "a.txt");
    assertEquals(opened, [above, test.dir]);
    Deno.removeSync(test.dir, { recursive: true });
    opened.length = 0;
    await put(test.store, "b.txt");
    assertEquals(opened, [test.dir, above]);
  },
);

/** A disk that tells this of itself. */
function spaceOf(facts: Partial<FileSystemFacts>): DiskSpace {
  return new DiskSpace(() => ({ type: 0xef53, bsize: 1000, blocks: 1000, bavail: 100, ...facts }));
}

integration(
  "DiskSpace leaves a margin to others, and refuses nothing that it cannot know",
  async () => {
    await using temp = await tempDir();
    const here = temp.path;
    const MIB = 2 ** 20;
    const cases: [bytes: number, facts: Partial<FileSystemFacts>, fits: boolean][] = [
      [90_000, {}, true],
      [90_001, {}, false],
      [50_000, { blocks: 1e9 }, true],
      [50_001, { blocks: 1e9 }, false],
      [MIB, { bsize: MIB, blocks: 1e9, bavail: 65 }, true],
      [65 * MIB, { bsize: MIB, blocks: 1e9, bavail: 129 }, true],
      [66 * MIB, { bsize: MIB, blocks: 1e9, bavail: 129 }, false],
      [1e9, { blocks: 0, bavail: 0 }, true],
      [1e9, { type: 0x9123683e }, true],
      [1, { bavail: 0 }, false],
      [0, { bavail: 0 }, true],
    ];
    for (const [bytes, facts, fits] of cases) {
      assertEquals(spaceOf(facts).shortage(here, bytes) === undefined, fits, `${bytes} bytes`);
    }
    const failing = new DiskSpace(() => {
      throw new Error("ENOSYS");
    });
    assertEquals(failing.shortage(here, 1e9), undefined);
  },
);

integration("DirectoryStore counts what is kept of a file that is resumed", async () => {
  let bavail = 100;
  const space = new DiskSpace(() => ({ type: 0xef53, bsize: 1000, blocks: 1000, bavail }));
  await using test = await openStore({ space });
  const { store } = test;
  const how = { fingerprint: "one", size: 80_000 };
  {
    await using upload = await store.receiveResumable("a.bin", 80_000, how);
    await upload.write(bytes(60_000));
  }
  bavail = 40;
  assertThrows(() => store.receive("b.bin", 80_000), InletError, "it needs 78.1 KiB, and the disk");
  for await (const partial of store.findPartials("a.bin", how)) {
    await using upload = await partial.take(how);
    assertEquals(upload?.kept.bytes, 60_000);
    assertThrows(() => store.receive("b.bin", 15_000), InletError, "besides 29.3 KiB for others");
    return;
  }
  throw new Error("no partial file was found");
});

integration(
  "DirectoryStore receives an empty file however much others have announced",
  async () => {
    let bavail = 100;
    const space = new DiskSpace(() => ({ type: 0xef53, bsize: 1000, blocks: 1000, bavail }));
    await using test = await openStore({ space });
    const { store } = test;
    await using _ = store.receive("a.bin", 80_000);
    bavail = 40;
    await using upload = store.receive("empty", 0);
    assertEquals(await upload.publish(), "empty");
  },
);
