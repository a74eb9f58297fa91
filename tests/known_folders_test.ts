/**
 * Folders that are taken for what they were found to be a moment ago, while another program removes and
 * replaces them within that moment.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { integration, ROOT, runSource } from "./helpers.ts";

/**
 * What a store answers, and what is there behind it. It runs as a program of its own, as only those
 * change their folder, and its clock stands still.
 *
 * @param script Has a new `store` in `dir`, and `put()`.
 */
async function toldBy(script: string): Promise<unknown> {
  const source = `
    import { allowFolderChanges } from ${JSON.stringify(`${ROOT}lib/store/current_folder.ts`)};
    import { DirectoryStore } from ${JSON.stringify(`${ROOT}lib/store/directory.ts`)};
    allowFolderChanges();
    const now = performance.now();
    performance.now = () => now;
    const dir = Deno.makeTempDirSync();
    const store = await DirectoryStore.open(dir);
    const remove = () => Deno.removeSync(dir + "/a", { recursive: true });
    const put = async (name) => await store.put(name, new TextEncoder().encode(name));
    const make = async (name, facts) => (await store.makeFolder(name, facts)).name;
    const told = [];
    try {
      ${script}
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
    console.log(JSON.stringify(told));`;
  const { code, stdout, stderr } = await runSource(source);
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}

integration("a folder that is removed within a moment is made again, whatever comes", async () => {
  const told = await toldBy(`
    const isThere = (name) => Deno.lstatSync(dir + "/" + name) !== undefined;
    await put("a/b/c");
    for (const name of ["a", "a/b", "a/b/c"]) {
      remove();
      told.push(await make(name), isThere(name));
    }
    remove();
    told.push((await store.makeLink("a/b/l", { to: "x" })).name, isThere("a/b/l"));
    remove();
    told.push(await put("a/b/c"));
    remove();
    {
      await using upload = store.receive("a/b/c");
      await upload.write(new TextEncoder().encode("c"));
      told.push(await upload.publish({}), isThere("a/b/c"));
    }`);
  const made = ["a", true, "a/b", true, "a/b/c", true];
  assertEquals(told, [...made, "a/b/l", true, "a/b/c", "a/b/c", true]);
});

integration("a folder that becomes a file within a moment gets a number", async () => {
  const told = await toldBy(`
    await put("a/b/c");
    remove();
    Deno.writeTextFileSync(dir + "/a", "a file");
    told.push(await make("a/b"), await put("a/b/c"), Deno.readTextFileSync(dir + "/a"));`);
  assertEquals(told, ["a (2)/b", "a (2)/b/c", "a file"]);
});

integration("a folder that becomes a link within a moment leads nowhere", async () => {
  const told = await toldBy(`
    const elsewhere = Deno.makeTempDirSync();
    for (const action of [() => put("a/b/c"), () => make("a/b/d"), () => make("a/b/d/e")]) {
      await put("a/b/c");
      remove();
      Deno.mkdirSync(elsewhere + "/b");
      Deno.symlinkSync(elsewhere, dir + "/a");
      told.push(await action().catch(({ code }) => code));
      told.push([...Deno.readDirSync(elsewhere + "/b")].length);
      Deno.removeSync(elsewhere + "/b", { recursive: true });
      Deno.removeSync(dir + "/a");
    }
    Deno.removeSync(elsewhere, { recursive: true });`);
  assertEquals(told, ["denied", 0, "denied", 0, "denied", 0]);
});

integration("what a folder is told is for the one that is there by then", async () => {
  const told = await toldBy(`
    const modified = new Date("2001-02-03T04:05:06.789Z");
    const factsOf = () => {
      const { mode, mtime } = Deno.lstatSync(dir + "/a");
      return [(mode & 0o777).toString(8), mtime.getTime() === modified.getTime()];
    };
    await make("a", { id: "x", mode: 0o755 });
    // Its bits are taken away, and stay so.
    Deno.chmodSync(dir + "/a", 0o700);
    await make("a", { id: "x", mode: 0o755, modified });
    told.push(...factsOf());
    // Another one of the same name comes with its files.
    remove();
    using batch = store.batch();
    await batch.makeFolder("a", { id: "x", mode: 0o755, files: 1 });
    await batch.put("a/1", new Uint8Array(1));
    await make("a", { id: "x", mode: 0o711, modified });
    told.push(...factsOf());
    // And one that no client has made.
    remove();
    Deno.mkdirSync(dir + "/a");
    await make("a", { id: "x", mode: 0o711, modified });
    told.push(factsOf()[1]);`);
  assertEquals(told, ["700", true, "711", true, false]);
});
