/**
 * Several processes in one directory: each removes the `.inlet` there when it is done, if it is empty,
 * and takes nothing from the others by that.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Disk } from "../lib/store/disk.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import { bytes, integration, names, OWN, tempDir } from "./helpers.ts";

/** Another process that has been at work in a directory. */
class Leaver {
  /** How often another one is done from now on, each just before the next call that changes the disk. */
  left = 0;
  readonly #own: string;

  constructor(directory: string) {
    this.#own = `${directory}/${OWN}`;
  }

  /** The disk beside it. */
  get disk(): Disk {
    const beside = <A extends unknown[], T>(call: (...args: A) => T) => (...args: A): T => {
      if (this.left > 0 && this.#leaves()) this.left--;
      return call(...args);
    };
    return {
      ...Deno,
      lstatSync: beside(Deno.lstatSync),
      openSync: beside(Deno.openSync),
      removeSync: beside(Deno.removeSync),
      renameSync: beside(Deno.renameSync),
      mkdirSync: beside(Deno.mkdirSync),
      writeFileSync: beside(Deno.writeFileSync as never) as Disk["writeFileSync"],
    };
  }

  #leaves(): boolean {
    try {
      Deno.removeSync(this.#own);
      return true;
    } catch {
      return false;
    }
  }
}

/** What is done in a store, at any moment of which others are done. */
const STEPS: readonly (readonly [what: string, step: (store: DirectoryStore) => unknown])[] = [
  ["prepares", (store) => store.prepare()],
  ["sweeps", (store) => store.sweep()],
  ["puts", (store) => store.put("a.txt", bytes(10))],
  ["receives", async (store) => {
    await using upload = store.receive("b.txt");
    await upload.write(bytes(10));
    await upload.publish();
  }],
  ["receives, to be resumed", async (store) => {
    const how = { fingerprint: "one", size: 20 };
    {
      await using upload = await store.receiveResumable("c.txt", 20, how);
      await upload.write(bytes(10));
    }
    for await (const partial of store.findPartials("c.txt", how)) {
      await using upload = await partial.take(how);
      await upload!.write(bytes(20).subarray(10));
      await upload!.publish();
    }
  }],
  ["numbers", async (store) => {
    await using upload = store.receiveNumbered(".file");
    await upload.publish();
  }],
  ["makes a folder with files", async (store) => {
    using batch = store.batch();
    await batch.makeFolder("photos", { files: 2 });
    await batch.put("photos/a.txt", bytes(10));
    await batch.put("photos/b.txt", bytes(10));
    await batch.commit();
  }],
  ["has uploads that go on", async (store) => {
    const { ongoing } = store;
    await (await ongoing.begin("gone", { name: "d.txt", size: 20, details: "" })).remove();
    await ongoing.begin("d", { name: "d.txt", size: 20, details: "", fingerprint: "two" });
    {
      await using upload = await (await ongoing.find("d"))!.take({ quietMs: 0 });
      await upload!.write(bytes(10));
    }
    const found = (await ongoing.find("d"))!;
    assertEquals(found.bytes, 10);
    found.change({ details: "changed" });
    await using upload = await found.take({ quietMs: 0 });
    await upload!.write(bytes(20).subarray(10));
    await upload!.publish();
    const { details, outcome } = (await ongoing.find("d"))!;
    assertEquals([details, outcome?.name], ["changed", "d.txt"]);
    await (await ongoing.find("d"))!.remove();
    assertEquals(await ongoing.find("d"), undefined);
  }],
];

integration("a store loses nothing to others that are done in its directory", async () => {
  for (const times of [1, 2, 5]) {
    for (const [what, step] of STEPS) {
      await using temp = await tempDir();
      const leaver = new Leaver(temp.path);
      const store = await DirectoryStore.open(temp.path, { disk: leaver.disk });
      leaver.left = times;
      try {
        await step(store);
      } catch (cause) {
        throw new Error(`a store that ${what}, and ${times} that are done`, { cause });
      }
      store.close();
      assertEquals(names(temp.path).filter((name) => /\(|note$/.test(name)), [], what);
    }
  }
});

/** Starts programs all the time, beside whatever else this process does. */
const STARTS_PROGRAMS = `
  postMessage("begun");
  for (;;) await Promise.all([1, 2, 3, 4].map(() => new Deno.Command("true").output()));`;

integration("what is kept can be taken over at once, whatever programs are started", async () => {
  await using temp = await tempDir();
  const script = `data:application/javascript,${encodeURIComponent(STARTS_PROGRAMS)}`;
  const starting = new Worker(script, { type: "module" });
  await new Promise((resolve) => starting.onmessage = resolve);
  using _ = { [Symbol.dispose]: () => starting.terminate() };
  const store = await DirectoryStore.open(temp.path);
  const { ongoing } = store;
  await ongoing.begin("a", { name: "a.txt", size: 100, details: "" });
  for (let bytes = 0; bytes < 100; bytes++) {
    await using upload = await (await ongoing.find("a"))!.take({ quietMs: 0 });
    assertEquals(upload?.kept.bytes, bytes);
    await upload!.write(Uint8Array.of(1));
  }
  store.close();
});
