import { assert, assertEquals } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { Disk } from "../lib/store/disk.ts";
import { nameForDisk, probeNames, type RefusedNames } from "../lib/store/disk_names.ts";
import { integration, OWN, pure, tempDir } from "./helpers.ts";

const encoder = new TextEncoder();

/** What Windows refuses. */
const WINDOWS: RefusedNames = {
  anywhere: ['"', "*", ":", "<", ">", "?", "\\", "|"],
  atEnd: [".", " "],
};

/** A disk as exFAT is, or one that also drops dots and spaces at the end of names. */
function refusing({ dropsEnds }: { dropsEnds: boolean }): Disk {
  const checked = (path: string): string => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (/["*:<>?\\|]/.test(name)) throw new Deno.errors.NotFound(`no such name: ${name}`);
    return dropsEnds ? path.replace(/[. ]+$/, "") : path;
  };
  return {
    ...Deno,
    linkSync: (from, to) => Deno.linkSync(from, checked(to)),
    mkdirSync: (path, options) => Deno.mkdirSync(checked(String(path)), options),
    openSync: (path, options) => Deno.openSync(checked(String(path)), options),
    renameSync: (from, to) => Deno.renameSync(from, checked(String(to))),
  };
}

function stored(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name !== OWN)
    .sort();
}

pure("nameForDisk() changes what is refused, and nothing else", () => {
  const on = (refused: RefusedNames) => (name: string): string => nameForDisk(name, () => refused);
  const onWindows = on(WINDOWS);
  assertEquals(onWindows('a/"*:<>?\\|/b'), "a/＂＊：＜＞？＼｜/b");
  assertEquals(onWindows("a./b /.../c.."), "a．/b␠/..．/c.．");
  for (const name of ["a.b/c d", "ä/日本", ".hidden", "a/../b", ".", "a//b", "", "a：b"]) {
    assertEquals(onWindows(name), name);
  }
  assertEquals(on({ anywhere: [":"], atEnd: [] })("a:b?/c."), "a：b?/c.");
  assertEquals(nameForDisk("a:b", () => undefined), "a:b");
  for (const name of ["a:b.", "a?/b /c"]) assertEquals(onWindows(onWindows(name)), onWindows(name));
});

pure("nameForDisk() asks for the disk of each folder", () => {
  const stick: RefusedNames = { anywhere: [":"], atEnd: [] };
  const refusedIn = (folder: string): RefusedNames | undefined =>
    folder === "u:sb" || folder.startsWith("u:sb/") ? stick : undefined;
  assertEquals(nameForDisk("u:sb/a:b/c:d", refusedIn), "u:sb/a：b/c：d");
});

integration("probeNames() finds out what a disk refuses, and leaves nothing", async () => {
  await using temp = await tempDir();
  const probe = (disk: Disk): RefusedNames => probeNames(disk, `${temp.path}/probe`);
  assertEquals(probe(Deno), { anywhere: [], atEnd: [] });
  assertEquals(probe(refusing({ dropsEnds: false })), { ...WINDOWS, atEnd: [] });
  assertEquals(probe(refusing({ dropsEnds: true })), WINDOWS);
  assertEquals(stored(temp.path), []);
});

integration("Store tells the name that a disk can hold, and finds the file by both", async () => {
  for (const downloads of [false, true]) {
    await using temp = await tempDir();
    const disk = refusing({ dropsEnds: true });
    const store = await DirectoryStore.open(temp.path, { disk, downloads });
    if (!downloads) await store.prepare();
    assertEquals(await store.put("a:b", encoder.encode("one")), "a：b");
    // Two names do not become one file.
    assertEquals(await store.put("a：b", encoder.encode("two")), "a：b (2)");
    await using upload = store.receive("who?/what.");
    await upload.write(encoder.encode("three"));
    assertEquals(await upload.publish(), "who？/what．");
    assertEquals(stored(temp.path), ["a：b", "a：b (2)", "who？"]);
    for (const name of ["a:b", "a：b"]) {
      using file = store.open(name);
      assertEquals(file.size, 3);
    }
    const listed: string[] = [];
    for await (const page of store.list()) listed.push(...page.map(({ name }) => name));
    assertEquals(listed, ["a：b", "a：b (2)", "who？/what．"]);
  }
});

integration("Store keeps names as they are on a disk that takes them", async () => {
  await using temp = await tempDir();
  const store = await DirectoryStore.open(temp.path);
  await store.prepare();
  if (Deno.build.os === "windows") return;
  const name = 'a"*:<>?|b';
  assertEquals(await store.put(name, encoder.encode("one")), name);
  assertEquals(stored(temp.path), [name]);
});

integration("a name that leads out of the directory is refused on such a disk too", async () => {
  await using temp = await tempDir();
  const store = await DirectoryStore.open(temp.path, { disk: refusing({ dropsEnds: true }) });
  await store.prepare();
  for (const name of ["../a:b", "a:b/../c", ".", "..", ".inlet/a:b", ".inlet:a", "a:b//c", "\0:"]) {
    let error: unknown;
    try {
      await store.put(name, encoder.encode("one"));
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof InletError && error.code === "bad-name", `${name}: ${error}`);
  }
  assertEquals(stored(temp.path), []);
});
