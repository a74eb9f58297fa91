/**
 * What is in flight belongs to the server, and nothing else does: neither a name nor a path is taken
 * for the identity of a file.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { Disk } from "../lib/store/disk.ts";
import type { Upload } from "../lib/store/store.ts";
import { InletError } from "../lib/errors.ts";
import { formatCrc } from "../protocol.ts";
import { crc32 } from "node:zlib";
import { quoted } from "../lib/text.ts";
import {
  anHourPasses,
  bytes,
  fixture,
  integration,
  names,
  OWN,
  ownFiles,
  ROOT,
  run,
  runClient,
  runScript,
  startClient,
  startServer,
  tempDir,
  uploadGrows,
  watchUntil,
} from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { relayTo } from "./relay.ts";
import { askToResume, idOf, offered } from "./resuming.ts";
import { makeTree } from "./trees.ts";
import { Wire } from "./wire.ts";

const encoder = new TextEncoder();
const LONG_AGO = new Date("2020-02-29T12:00:00Z");

/** As on a network file system: every lock is given. */
const UNLOCKED: Disk = {
  ...Deno,
  openSync: (path, options) =>
    Object.assign(Deno.openSync(path, options), { tryLockSync: () => true }),
};

/** Takes over the first partial file that is found. */
async function take(
  store: DirectoryStore,
  name: string,
  how: { fingerprint: string },
): Promise<Upload | undefined> {
  for await (const partial of store.findPartials(name, how)) return await partial.take(how);
  return undefined;
}

integration("DirectoryStore.sweep() rejects where a disk fails, and throws nothing", async () => {
  await using temp = await tempDir();
  let isFailing = false;
  const openSync: Disk["openSync"] = (path, options) => {
    if (isFailing) throw Object.assign(new Error("I/O error"), { code: "EIO" });
    return Deno.openSync(path, options);
  };
  const store = await DirectoryStore.open(temp.path, { disk: { ...Deno, openSync } });
  await store.prepare();
  Deno.writeTextFileSync(`${temp.path}/${OWN}/${"0".repeat(32)}.temp`, "half");
  isFailing = true;
  // A timer of the server sweeps: what is thrown there ends the whole program.
  await assertRejects(() => store.sweep(), Error, "I/O error");
});

/** Everything in a directory with its times, to see whether any of it changed. */
async function stateOf(dir: string): Promise<string> {
  return (await run("find", [dir, "-printf", "%p %i %T@ %C@ %s\n"])).stdout;
}

integration(
  "server.ts removes no file that it did not make, at its start or while it runs",
  async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    const theirs = ["thesis.temp", "work/notes/important.temp", "a.temp.temp", "photos.part"];
    makeTree(dir, Object.fromEntries(theirs.map((name) => [name, "theirs"])));
    for (const name of theirs) Deno.utimeSync(`${dir}/${name}`, LONG_AGO, LONG_AGO);
    await using server = await startServer({ dir, args: ["--keep-partials", "1s"] });
    assertEquals((await runClient(server, [fixture("hello.txt"), "--as", "work/a.txt"])).code, 0);
    // A sweep is over when it has removed what is the server's own.
    const own = `${dir}/${OWN}/kept-${"0".repeat(64)}-${"0".repeat(32)}.temp`;
    for (let sweeps = 0; sweeps < 2; sweeps++) {
      // It comes with its time: a sweep may come at any moment.
      const old = await local.write("old", "half");
      Deno.utimeSync(old, LONG_AGO, LONG_AGO);
      Deno.renameSync(old, own);
      await watchUntil(dir, () => !ownFiles(dir).includes(own));
    }
    for (const name of theirs) assertEquals(Deno.readTextFileSync(`${dir}/${name}`), "theirs");
  },
);

integration("server.ts --read-only writes and removes nothing at all", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  const id = "0".repeat(32);
  makeTree(dir, { "a.txt": "a", "b/thesis.temp": "b", [`${OWN}/${id}.temp`]: "old" });
  const before = await stateOf(dir);
  {
    const permissions = ["--allow-net=127.0.0.1:0", `--allow-read=${dir}`];
    const args = ["--read-only", "--keep-partials", "1s"];
    await using server = await startServer({ dir, permissions, args });
    assertMatch(server.running.log, /, serving files from ".*received"$/);
    const { stdout } = await runClient(server, ["--list"]);
    assertMatch(stdout, /a\.txt/);
    assertEquals((await runClient(server, ["--get", "b/", "--output", local.path])).code, 0);
    assertEquals((await runClient(server, [fixture("hello.txt")])).code, 3);
  }
  assertEquals(await stateOf(dir), before);
  const missing = await runScript("server.ts", ["0", "--read-only", "--dir", `${local.path}/none`]);
  assertEquals(missing.code, 2);
  assertMatch(missing.stderr, /^inlet: Cannot read ".*none": it does not exist\n$/);
  assertEquals(names(local.path), ["b", "received"]);
}, { programs: ["find"] });

for (
  const [what, make] of Object.entries({
    "a link": (path: string, outside: string) => Deno.symlinkSync(outside, path),
    "a file": (path: string) => Deno.writeTextFileSync(path, ""),
  })
) {
  integration(`server.ts does not start where .inlet is ${what}`, async () => {
    await using local = await tempDir();
    Deno.mkdirSync(`${local.path}/received`);
    Deno.mkdirSync(`${local.path}/outside`);
    make(`${local.path}/received/${OWN}`, `${local.path}/outside`);
    const { code, stderr } = await runScript("server.ts", ["0", "--dir", `${local.path}/received`]);
    assertEquals(code, 2);
    assertMatch(
      stderr,
      /^inlet: Cannot use ".*\.inlet" for uploads: it is not a folder; remove it\n$/,
    );
    assertEquals(names(`${local.path}/outside`), []);
  });
}

integration("server.ts does not start where .inlet belongs to another user", async () => {
  await using local = await tempDir();
  const own = `${local.path}/received/${OWN}`;
  Deno.mkdirSync(own, { recursive: true });
  const { code: changed } = await run("chown", ["65534", own]);
  // Who may not give files away cannot come across this here.
  if (changed !== 0) return;
  const { code, stderr } = await runScript("server.ts", ["0", "--dir", `${local.path}/received`]);
  assertEquals(code, 2);
  assertMatch(stderr, /belongs to another user; use another directory\n$/);
});

integration("no client reaches .inlet, whatever it calls it", async () => {
  await using server = await startServer();
  using upload = await Wire.greet(server);
  await upload.says("put 6 a.txt\nhel");
  await uploadGrows(server.dir, 3);
  const [path] = ownFiles(server.dir);
  const file = path!.slice(path!.lastIndexOf("/") + 1).replace(/\.temp$/, "");
  using wire = await Wire.greet(server);
  const spellings = [
    ...[".inlet", ".INLET", ".Inlet", ".\uff49nlet", ".in\u200blet", "\ufeff.inlet"],
    ...[".inlet.", ".inlet ", ".inlet. .", ".inlet::$INDEX_ALLOCATION", ".inlet:x", "inlet~1"],
    ...["INLET~12", "\u2024inlet", ".inle\u00adt", "photos/.inlet", ".\ud835\udc22nlet"],
  ];
  for (const spelling of spellings) {
    for (
      const request of [
        `get ${spelling}/${file}`,
        `tree ${spelling}`,
        `mkdir ${spelling}`,
        `push 0 ${spelling}/x\nend 00000000`,
        `compare 3 00000000 2026-11-21T08:38:00Z ${spelling}/${file}`,
      ]
    ) {
      await wire.says(`${request}\n`);
      assertMatch(await wire.line(), /^error bad-name /, `${quoted(spelling)}: ${request}`);
    }
  }
  // Names that only look a little like it are names.
  for (const name of [".inlets", "inlet", ".inlet.txt", "my.inlet", "inlet~", "x.inlet~1"]) {
    await wire.says(`push 0 ${name}\nend 00000000\n`);
    assertEquals(await wire.line(), `ok 0 00000000 ${name}`);
  }
  await wire.says("tree .\nlist\n");
  assertMatch(await wire.line(), /^error bad-name /);
  assertEquals(await wire.line(), "ok");
  for (let line; (line = await wire.line()) !== "end 6";) assert(!line.includes(file), line);
});

integration("no client reaches .inlet through another folder that is it", async () => {
  await using temp = await tempDir();
  const script = `
    import { DirectoryStore } from "${new URL("lib/store/directory.ts", ROOT).href}";
    const dir = ${JSON.stringify(temp.path)};
    const store = await DirectoryStore.open(dir);
    await store.prepare();
    Deno.mkdirSync(dir + "/alias");
    Deno.writeTextFileSync(dir + "/.inlet/secret.txt", "secret");
    const mounted = new Deno.Command("mount", { args: ["--bind", dir + "/.inlet", dir + "/alias"] });
    if (!mounted.outputSync().success) throw new Error("cannot mount");
    const codes = [];
    for (const action of [
      () => store.open("alias/secret.txt"),
      () => store.receive("alias/a.txt", 1),
      () => store.put("alias/a.txt", new Uint8Array(1)),
      () => store.makeFolder("alias/a"),
      () => Array.fromAsync(store.tree("alias/a")),
    ]) {
      try {
        await action();
        codes.push("ok");
      } catch (error) {
        codes.push(error.code);
      }
    }
    codes.push((await Array.fromAsync(store.list())).flat().length);
    console.log(JSON.stringify(codes));`;
  const { code, stdout, stderr } = await run("unshare", ["-rm", Deno.execPath(), "eval", script]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(JSON.parse(stdout), [...Array.from({ length: 5 }, () => "denied"), 0]);
}, { mounts: true });

integration("an upload whose file was removed or replaced is not acknowledged", async () => {
  await using server = await startServer();
  for (const [index, replace] of [false, true].entries()) {
    using slow = await Wire.greet(server);
    await slow.says("put 6 r.bin\n");
    assertEquals(await slow.line(), "go 0");
    await slow.says("hel");
    await uploadGrows(server.dir, 3);
    const [path] = ownFiles(server.dir);
    Deno.removeSync(path!);
    if (replace) Deno.writeTextFileSync(path!, "another file");
    // Somebody else sends a file of that name meanwhile.
    using other = await Wire.greet(server);
    await other.says("push 5 r.bin\nother" + "end " + "2b0c7b1f" + "\n");
    await other.line();
    await slow.says("lo\nend 363a3020\n");
    assertMatch(
      await slow.line(),
      /^error aborted Cannot store "r\.bin": another program removed or replaced its temporary file$/,
    );
    await slow.says("Hello\n");
    assertEquals(await slow.line(), "Hello ACK");
    assertEquals(ownFiles(server.dir), replace ? [path] : []);
    if (replace) assertEquals(Deno.readTextFileSync(path!), "another file");
    assertEquals(index, Number(replace));
  }
  for (const name of names(server.dir).filter((name) => name.startsWith("r"))) {
    assertEquals(Deno.readTextFileSync(`${server.dir}/${name}`), "other");
  }
});

integration("Upload.publish() acknowledges no file that is not the one that is open", async () => {
  // Between the two calls, another program takes the temporary file away and puts its own there.
  for (const when of ["before", "after"] as const) {
    await using temp = await tempDir();
    const disk: Disk = {
      ...Deno,
      linkSync: (from, to) => {
        const swap = (path: string): void => {
          Deno.removeSync(path);
          Deno.writeTextFileSync(path, "foreign");
        };
        if (when === "before") swap(from);
        Deno.linkSync(from, to);
        if (when === "after") swap(to);
      },
    };
    const store = await DirectoryStore.open(temp.path, { disk });
    await using upload = store.receive("a.txt");
    await upload.write(encoder.encode("mine"));
    const error = await assertRejects(() => upload.publish(), InletError, "replaced it");
    assertEquals(error.code, "aborted");
    // What was linked by mistake is taken back, as it has another name. Else, whose it is cannot be
    // known: it stays.
    const stays = when === "before" ? ownFiles(temp.path)[0]! : `${temp.path}/a.txt`;
    assertEquals(Deno.readTextFileSync(stays), "foreign");
    assertEquals(names(temp.path).includes("a.txt"), when === "after");
  }
});

integration(
  "Upload.publish() tells that its file was removed in the moment of its name",
  async () => {
    const gone = (path: string): string => {
      Deno.removeSync(path);
      return path;
    };
    const disks: Record<string, Partial<Disk>> = {
      "with links": { linkSync: (from, to) => Deno.linkSync(gone(from), to) },
      "without links": {
        linkSync: () => {
          throw Object.assign(new Error("Operation not permitted"), { code: "EPERM" });
        },
        renameSync: (from, to) => {
          const isOfFile = String(from).endsWith(".temp");
          Deno.renameSync(isOfFile ? gone(String(from)) : from, to);
        },
      },
    };
    for (const [which, odd] of Object.entries(disks)) {
      await using temp = await tempDir();
      const store = await DirectoryStore.open(temp.path, { disk: { ...Deno, ...odd } });
      await using upload = store.receive("a.txt");
      await upload.write(encoder.encode("mine"));
      const why = "another program removed or replaced its temporary file";
      const error = await assertRejects(() => upload.publish(), InletError, why);
      assertEquals([error.code, names(temp.path)], ["aborted", []], which);
    }
  },
);

integration("what another program removes first is removed", async () => {
  await using temp = await tempDir();
  let removed = 0;
  const removeSync: Disk["removeSync"] = (path, options) => {
    Deno.removeSync(path, options);
    removed++;
    Deno.removeSync(path, options);
  };
  const store = await DirectoryStore.open(temp.path, { disk: { ...Deno, removeSync } });
  // The files by which the store tries the disk, and tells its time, are removed at once.
  await store.prepare();
  assert(removed > 1, `${removed} files were removed`);
  await using upload = await store.receiveResumable("a.txt", 1000, { fingerprint: "a" });
  await upload.write(new Uint8Array(1000));
  assertEquals(await upload.publish(), "a.txt");
});

integration("a file that goes as it is read for its checksum is told to be removed", async () => {
  await using temp = await tempDir();
  const content = bytes(1000);
  {
    const store = await DirectoryStore.open(temp.path);
    await using upload = await store.receiveResumable("a.txt", 2000, { fingerprint: "a" });
    await upload.write(content);
  }
  let isRead = false;
  const openSync: Disk["openSync"] = (path, options) => {
    if (options === undefined) {
      isRead = true;
      Deno.removeSync(path);
    }
    return Deno.openSync(path, options);
  };
  const store = await DirectoryStore.open(temp.path, { disk: { ...Deno, openSync } });
  for await (const partial of store.findPartials("a.txt", { fingerprint: "a" })) {
    await using upload = await partial.take({ fingerprint: "a" });
    const why = "another program removed or replaced its temporary file";
    const error = await assertRejects(async () => await upload!.kept.crc(), InletError, why);
    assertEquals([error.code, isRead], ["aborted", true]);
  }
  assert(isRead);
});

integration("two servers whose locks do not reach each other lose and mix nothing", async () => {
  await using temp = await tempDir();
  const content = bytes(2_000_000);
  const [one, other] = await Promise.all(
    [1, 2].map(() => DirectoryStore.open(temp.path, { disk: UNLOCKED })),
  );
  const how = { fingerprint: "f" };
  await using mine = await one!.receiveResumable("a.bin", content.length, how);
  await mine.write(content.subarray(0, 1_000_000));
  // The second server sees an upload that nobody seems to write, and its client has the file.
  const quiet = new Date(Date.now() - 20_000);
  Deno.utimeSync(ownFiles(temp.path)[0]!, quiet, quiet);
  await using theirs = (await take(other!, "a.bin", how))!;
  assertEquals(theirs.kept.bytes, 1_000_000);
  // The first one was stopped for longer than its lease, and wakes up.
  const { Date: { now } } = globalThis;
  try {
    Date.now = () => now() + 20_000;
    await assertRejects(async () => await mine.write(content.subarray(1_000_000)), InletError);
  } finally {
    Date.now = now;
  }
  await assertRejects(() => mine.publish(), InletError);
  await theirs.write(content.subarray(1_000_000));
  assertEquals(await theirs.publish(), "a.bin");
  assertEquals(Deno.readFileSync(`${temp.path}/a.bin`), content);
  assertEquals(names(temp.path), ["a.bin"]);
});

for (const isWritten of [true, false]) {
  const what = isWritten ? "not taken over while it is written" : "taken over once it is quiet";
  integration(`an upload of another server is ${what}`, async () => {
    await using temp = await tempDir();
    const how = { fingerprint: "f" };
    const { promise: warned, resolve: warn } = Promise.withResolvers<string>();
    const one = await DirectoryStore.open(temp.path, { disk: UNLOCKED });
    const other = await DirectoryStore.open(temp.path, { disk: UNLOCKED, warn });
    await using mine = await one.receiveResumable("a.bin", 2000, how);
    await mine.write(bytes(1000));
    const taking = take(other, "a.bin", how);
    const why = "waits up to 15 s: another program may be writing the partial file";
    assertEquals(await Promise.race([warned, taking]), why);
    if (isWritten) {
      await mine.write(bytes(1000));
      assertEquals(await taking, undefined);
      assertEquals(await mine.publish(), "a.bin");
    } else {
      const quiet = new Date(Date.now() - 20_000);
      Deno.utimeSync(ownFiles(temp.path)[0]!, quiet, quiet);
      await using theirs = (await taking)!;
      assertEquals(theirs.kept.bytes, 1000);
      await assertRejects(() => mine.publish(), InletError);
    }
  });
}

for (const act of ["discard", "startOver"] as const) {
  integration(`Upload.${act}() cuts no file back that another server has published`, async () => {
    await using temp = await tempDir();
    const content = bytes(3000);
    const how = { fingerprint: "f" };
    const [one, other] = await Promise.all(
      [1, 2].map(() => DirectoryStore.open(temp.path, { disk: UNLOCKED })),
    );
    {
      await using begun = await one!.receiveResumable("a.bin", content.length, how);
      await begun.write(content.subarray(0, 1000));
    }
    await using mine = (await take(one!, "a.bin", how))!;
    await mine.write(content.subarray(1000, 2000));
    const quiet = new Date(Date.now() - 20_000);
    Deno.utimeSync(ownFiles(temp.path)[0]!, quiet, quiet);
    await using theirs = (await take(other!, "a.bin", how))!;
    await theirs.write(content.subarray(2000));
    assertEquals(await theirs.publish(), "a.bin");
    // The client of the first one turns out to have sent something else.
    try {
      mine[act]();
    } catch (error) {
      assertEquals((error as InletError).code, "aborted");
    }
    assertEquals(Deno.readFileSync(`${temp.path}/a.bin`), content);
  });
}

integration("Upload.publish() gives no name to a file that was truncated meanwhile", async () => {
  await using temp = await tempDir();
  const store = await DirectoryStore.open(temp.path);
  await using upload = store.receive("a.txt");
  await upload.write(encoder.encode("mine"));
  Deno.truncateSync(ownFiles(temp.path)[0]!, 2);
  const error = await assertRejects(() => upload.publish(), InletError, "changed");
  assertEquals(error.code, "aborted");
  assertEquals(names(temp.path).filter((name) => name !== "(in flight)"), []);
});

integration("a folder on another file system gets uploads as the rest does", async () => {
  await using temp = await tempDir();
  // A file system of its own, and a folder that only a mount separates.
  const mounts = `
    mkdir -p "$0/received/usb" "$0/received/bound/deep" "$0/elsewhere" &&
    mount -t tmpfs tmpfs "$0/received/usb" &&
    mount --bind "$0/elsewhere" "$0/received/bound" && mkdir "$0/elsewhere/deep" && exec "$@"`;
  const dir = `${temp.path}/received`;
  Deno.mkdirSync(dir);
  const under = ["unshare", "-rm", "sh", "-c", mounts, temp.path];
  await using server = await startServer({ dir, under });
  const seen = `/proc/${server.pid}/root${dir}`;
  const content = bytes(600_000);
  const file = await temp.write("large.bin", content);
  for (const folder of ["usb", "usb/new/folder", "bound", "bound/deep", "bound/new"]) {
    for (const source of [file, fixture("hello.txt")]) {
      const as = `${folder}/${source === file ? "large.bin" : "hello.txt"}`;
      const { code, stderr } = await runClient(server, [source, "--as", as]);
      assertEquals(code, 0, stderr);
      assertEquals(Deno.readFileSync(`${seen}/${as}`), Deno.readFileSync(source));
    }
    using wire = await Wire.greet(server);
    const asked = { id: idOf(folder), size: content.length, name: `${folder}/resumed.bin` };
    await offered(wire, content, asked);
    await wire.says(content.subarray(0, 50_000));
    wire.close();
  }
  await server.running.says(/: left, \d connected/, 15);
  using again = await Wire.greet(server);
  const asked = { id: idOf("usb"), size: content.length, name: "usb/r.bin" };
  const offer = await askToResume(again, content, asked);
  assertEquals(typeof offer === "string" ? offer : offer.offset, 50_000);
  again.close();
  assertEquals(names(`${seen}/usb`).filter((name) => !name.startsWith("(")), [
    "hello.txt",
    "large.bin",
    "new",
  ]);
  // Its workspaces are swept, too, at the next start.
  const places = Deno.readTextFileSync(`${seen}/${OWN}/places`).trim().split("\n");
  assertEquals(places.sort(), ["bound", "usb"]);
}, { mounts: true });

integration(
  "files get the group of a folder that gives its own, however small they are",
  async () => {
    await using server = await startServer();
    Deno.mkdirSync(`${server.dir}/team`);
    const { code: changed } = await run("chown", [":12", `${server.dir}/team`]);
    // Who may not give a folder to another group cannot come across this here.
    if (changed !== 0) return;
    Deno.chmodSync(`${server.dir}/team`, 0o2775);
    await using local = await tempDir();
    const large = await local.write("large.bin", bytes(600_000));
    for (const file of [large, fixture("hello.txt")]) {
      const name = `team/${file === large ? "large" : "small"}`;
      assertEquals((await runClient(server, [file, "--as", name])).code, 0);
      assertEquals(Deno.statSync(`${server.dir}/${name}`).gid, 12);
    }
  },
);

integration(
  "--get leaves no folder of its own behind, and tidies after one that was killed",
  async () => {
    await using server = await startServer();
    await using local = await tempDir();
    makeTree(server.dir, { "a.bin": bytes(3_000_000), "b.txt": "b" });
    const get = async (name: string): Promise<void> => {
      const { code, stderr } = await runClient(server, ["--get", name], { cwd: local.path });
      assertEquals(code, 0, stderr);
    };
    await get("b.txt");
    assertEquals([...Deno.readDirSync(local.path)].map(({ name }) => name), ["b.txt"]);
    using relay = await relayTo(server, { direction: "down", bytes: 1_000_000, way: "silence" });
    await using client = startClient(relay, ["--get", "a.bin"], { cwd: local.path });
    await uploadGrows(local.path, 600_000);
    await client.stop("SIGKILL");
    // It may be at work on another machine, so it has an hour.
    await get("b.txt");
    assertEquals(names(local.path), ["(in flight)", "b (2).txt", "b.txt"]);
    anHourPasses(local.path);
    await get("b.txt");
    assertEquals([...Deno.readDirSync(local.path)].map(({ name }) => name).sort(), [
      "b (2).txt",
      "b (3).txt",
      "b.txt",
    ]);
  },
);

integration("a server that is stopped while another one sweeps loses nothing", async () => {
  await using first = await startServer();
  using wire = await Wire.greet(first);
  await wire.says("put 6 a.txt\nhel");
  assertEquals(await wire.line(), "go 0");
  await uploadGrows(first.dir, 3);
  first.running.process.kill("SIGSTOP");
  try {
    anHourPasses(first.dir);
    // It sweeps at its start.
    await using second = await startServer({ dir: first.dir });
    assertEquals((await runClient(second, [fixture("hello.txt"), "--as", "a.txt"])).code, 0);
  } finally {
    first.running.process.kill("SIGCONT");
  }
  await wire.says("lo\nend 363a3020\n");
  assertEquals(await wire.line(), "ok 6 363a3020 a (2).txt");
  assertEquals(Deno.readTextFileSync(`${first.dir}/a (2).txt`), "hello\n");
});

integration("--keep-partials of --get says that a partial file was lost with its age", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(server.dir, { "a.bin": bytes(3_000_000) });
  const args = ["--get", "a.bin", "--resume", "--keep-partials", "1h"];
  using relay = await relayTo(server, { direction: "down", bytes: 1_000_000, way: "end" });
  assertEquals((await runClient(relay, args, { cwd: local.path })).code, 4);
  assertEquals(names(local.path), ["(partial)"]);
  anHourPasses(local.path);
  const { code, stderr } = await runClient(server, args, { cwd: local.path });
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /^the partial file of "a\.bin" has expired\n/);
  assertEquals(names(local.path), ["a.bin"]);
});

integration(
  "an upload whose partial file is still being read is taken over by nobody",
  async () => {
    await using temp = await tempDir();
    const { performance: { now } } = globalThis;
    let elapsed = 0;
    let found = 0;
    let reads = 0;
    const how = { fingerprint: "f" };
    // A disk on which each read takes three seconds, of a clock of its own.
    const disk: Disk = {
      ...Deno,
      openSync: (path, options) => {
        const file = Deno.openSync(path, options);
        const { readSync, read } = file;
        return Object.assign(file, {
          readSync: (buffer: Uint8Array) => {
            elapsed += 3000;
            return readSync.call(file, buffer.subarray(0, 1000));
          },
          read: async (buffer: Uint8Array) => {
            elapsed += 3000;
            if (++reads === 5) { for await (const _ of store.findPartials("b.bin", how)) found++; }
            return await read.call(file, buffer.subarray(0, 1000));
          },
        });
      },
    };
    const store = await DirectoryStore.open(temp.path, { disk });
    {
      await using broken = await store.receiveResumable("a.bin", 10_000, how);
      await broken.write(bytes(8000));
    }
    try {
      performance.now = () => now.call(performance) + elapsed;
      await using resumed = (await take(store, "a.bin", how))!;
      assertEquals(await resumed.kept.crc(), crc32(bytes(8000)));
      assertEquals([resumed.kept.bytes, found], [8000, 0]);
    } finally {
      performance.now = now;
    }
    assert(reads >= 5);
  },
);

integration("--get into the directory of a server leaves alone what is the server's", async () => {
  await using server = await startServer({ args: ["--keep-partials", "7d"] });
  makeTree(server.dir, { "a.txt": "a" });
  using wire = await Wire.greet(server);
  await offered(wire, bytes(1000), { size: 1000, name: "b.bin" });
  await wire.says(bytes(500));
  await uploadGrows(server.dir, 500);
  wire.close();
  await server.running.says(/client 1: left/);
  const daysAgo = new Date(Date.now() - 3 * 86_400_000);
  Deno.utimeSync(ownFiles(server.dir)[0]!, daysAgo, daysAgo);
  assertEquals((await runClient(server, ["--get", "a.txt"], { cwd: server.dir })).code, 0);
  assertEquals(names(server.dir), ["(partial)", "a (2).txt", "a.txt"]);
});

integration(
  "a server with --read-only serves nothing of an .inlet under another name",
  async () => {
    await using temp = await tempDir();
    const script = `
    import { DirectoryStore } from "${new URL("lib/store/directory.ts", ROOT).href}";
    const dir = ${JSON.stringify(temp.path)};
    for (const folder of ["/.inlet", "/alias"]) Deno.mkdirSync(dir + folder);
    Deno.writeTextFileSync(dir + "/.inlet/secret.txt", "secret");
    const mounted = new Deno.Command("mount", { args: ["--bind", dir + "/.inlet", dir + "/alias"] });
    if (!mounted.outputSync().success) throw new Error("cannot mount");
    const store = await DirectoryStore.open(dir, { readOnly: true });
    await store.prepare();
    let code = "ok";
    try {
      store.open("alias/secret.txt");
    } catch (error) {
      code = error.code;
    }
    console.log(code, (await Array.fromAsync(store.list())).flat().length);`;
    const { code, stdout, stderr } = await run("unshare", ["-rm", Deno.execPath(), "eval", script]);
    assertEquals([code, stdout.trim(), stderr], [0, "denied 0", ""]);
  },
  { mounts: true },
);

integration("a bind mount has one workspace, whatever folder of it is first", async () => {
  await using temp = await tempDir();
  const mounts = `
    mkdir -p "$0/received/in/bound" "$0/elsewhere/a/b" "$0/elsewhere/c" &&
    mount --bind "$0/elsewhere" "$0/received/in/bound" && exec "$@"`;
  const dir = `${temp.path}/received`;
  Deno.mkdirSync(dir);
  const under = ["unshare", "-rm", "sh", "-c", mounts, temp.path];
  await using server = await startServer({ dir, under });
  for (const folder of ["in/bound/a/b", "in/bound/c", "in/bound", "in/bound/new"]) {
    const { code, stderr } = await runClient(server, [fixture("hello.txt"), "--as", `${folder}/x`]);
    assertEquals(code, 0, stderr);
  }
  const seen = `/proc/${server.pid}/root${dir}`;
  assertEquals(Deno.readTextFileSync(`${seen}/${OWN}/places`), "in/bound\n");
  const all = await run("find", [seen, "-name", OWN, "-printf", "%P\n"]);
  assertEquals(all.stdout.trim().split("\n").sort(), [OWN, `in/bound/${OWN}`]);
}, { mounts: true, programs: ["find"] });

integration("one file that cannot be removed keeps no server from starting", async () => {
  await using server = await startServer();
  const id = "0".repeat(32);
  for (const number of [1, 2]) {
    const path = `${server.dir}/${OWN}/${id.slice(1)}${number}.temp`;
    Deno.writeTextFileSync(path, "");
    Deno.utimeSync(path, LONG_AGO, LONG_AGO);
  }
  const stuck = `${server.dir}/${OWN}/${id.slice(1)}1.temp`;
  const disk: Disk = {
    ...Deno,
    removeSync: (path, options) => {
      if (path === stuck) throw Object.assign(new Error("stuck"), { code: "EIO" });
      Deno.removeSync(path, options);
    },
  };
  const told: string[] = [];
  const store = await DirectoryStore.open(server.dir, { disk, warn: (text) => told.push(text) });
  await store.prepare();
  assertEquals(told, [
    `Cannot remove ${quoted(stuck)}, which is abandoned: the disk reported an I/O error`,
  ]);
  assertEquals(ownFiles(server.dir), [stuck]);
});

integration(
  "an upload that is being published is taken over by nobody, and its client hears of it",
  async () => {
    await using temp = await tempDir();
    const gate = Promise.withResolvers<void>();
    const { promise: syncing, resolve: begins } = Promise.withResolvers<void>();
    const disk: Disk = {
      ...Deno,
      openSync: (path, options) => {
        const file = Deno.openSync(path, options);
        const { sync } = file;
        return Object.assign(file, {
          sync: async () => {
            begins();
            await gate.promise;
            await sync.call(file);
          },
        });
      },
    };
    await using server = await serveHere({ dir: temp.path, disk, fsync: true });
    using wire = await Wire.greet(server);
    const content = bytes(1000);
    const asked = { size: content.length, name: "a.bin" };
    const { ticket } = await offered(wire, content, asked);
    await wire.says(content);
    await wire.says(`end ${formatCrc(crc32(content))}\n`);
    await syncing;
    // It shows the ticket, and would get all of it.
    using other = await Wire.greet(server);
    assertEquals((await offered(other, content, { ...asked, ticket })).offset, 0);
    assertMatch(await wire.anyLine(), /^note Please wait: /);
    gate.resolve();
    assertEquals(await wire.line(), `ok 1000 ${formatCrc(crc32(content))} a.bin`);
  },
);
