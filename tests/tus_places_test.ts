/**
 * What becomes of uploads that go on over several requests when there are too many of them.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { OngoingUpload } from "../lib/store/ongoing.ts";
import { UploadPlaces } from "../lib/store/upload_places.ts";
import { anHourPasses, integration, ownFiles, pure, startServer, tempDir } from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { begin, type Fields } from "./tus_wire.ts";

/** A store that has room for so many uploads. */
async function storeFor(path: string, maxUploads: number): Promise<DirectoryStore> {
  return await DirectoryStore.open(path, { maxUploads });
}

/** Begins an upload of an owner. Its id is its name. */
async function beginAs(
  { ongoing }: DirectoryStore,
  name: string,
  owner?: string,
): Promise<OngoingUpload> {
  return await ongoing.begin(name, { name, size: 10 * MIB, details: "{}", owner });
}

const MIB = 1024 * 1024;

/** Writes bytes of an upload, and lets go of it. */
async function write(upload: OngoingUpload, size: number): Promise<void> {
  await using taken = await upload.take({ quietMs: 0 });
  await taken!.write(new Uint8Array(size).fill(1));
}

/** Which of some uploads are still there. */
async function there({ ongoing }: DirectoryStore, names: string): Promise<string> {
  const found: string[] = [];
  for (const name of names) if (await ongoing.find(name)) found.push(name);
  return found.join("");
}

async function refused(beginning: Promise<unknown>, message: string): Promise<void> {
  const error = await assertRejects(() => beginning, InletError, message);
  assertEquals(error.code, "overloaded");
}

integration("tus: an upload that is empty or stored gives way to a new one", async () => {
  await using temp = await tempDir();
  const store = await storeFor(temp.path, 4);
  for (const name of "abcd") await beginAs(store, name);
  await write((await store.ongoing.find("a"))!, 1);
  await (await store.ongoing.find("c"))!.conclude({ name: "c", size: 1 });
  // What was sent just now may be on its way by another server.
  await beginAs(store, "e");
  assertEquals(await there(store, "abcde"), "acde");
  await beginAs(store, "f");
  assertEquals(await there(store, "acdef"), "adef");
  await beginAs(store, "g");
  assertEquals(await there(store, "adefg"), "aefg");
  anHourPasses(temp.path);
  await beginAs(store, "h");
  assertEquals(await there(store, "aefgh"), "efgh");
  assertEquals(ownFiles(temp.path).length, 4);
});

integration("tus: an upload of which much has come, or that is being sent, stays", async () => {
  await using temp = await tempDir();
  const store = await storeFor(temp.path, 2);
  await write(await beginAs(store, "a"), MIB);
  await using _sending = await (await beginAs(store, "b")).take({ quietMs: 0 });
  anHourPasses(temp.path);
  await refused(beginAs(store, "c"), "too many uploads have begun");
  assertEquals(await there(store, "abc"), "ab");
  await (await store.ongoing.find("a"))!.remove();
  await beginAs(store, "c");
});

integration(
  "tus: whoever has the most uploads makes room for others, and has half of them",
  async () => {
    await using temp = await tempDir();
    const first = await storeFor(temp.path, 8);
    for (const name of "abcd") await write(await beginAs(first, name, "one"), MIB);
    await refused(beginAs(first, "e", "one"), "you have too many uploads begun");
    await beginAs(first, "f", "two");
    // A disk may tell two that begin right behind each other the same time.
    anHourPasses(temp.path);
    await beginAs(first, "g", "two");
    await beginAs(first, "h");
    // Another server finds whose they are.
    const store = await storeFor(temp.path, 8);
    await refused(beginAs(store, "e", "one"), "you have too many uploads begun");
    await beginAs(store, "i", "two");
    assertEquals(await there(store, "abcdfghi"), "abcdfghi");
    // What the first one has does not go, so it is the oldest of the second.
    await beginAs(store, "j", "three");
    assertEquals(await there(store, "abcdfghij"), "abcdghij");
  },
);

integration(
  "tus: each upload that begins makes room of its own, however many do at once",
  async () => {
    await using temp = await tempDir();
    const store = await storeFor(temp.path, 4);
    const beginAll = async (names: string, owner?: string): Promise<void> => {
      await Promise.allSettled([...names].map((name) => beginAs(store, name, owner)));
    };
    await beginAll("abcd");
    assertEquals(await there(store, "abcd"), "abcd");
    await beginAll("efghijklmn");
    assertEquals(ownFiles(temp.path).length, 4);
    await beginAll("opqrst", "one");
    assertEquals(ownersIn(temp.path).toSorted(), ["one", "one", undefined, undefined]);
  },
);

/** The owners of the uploads of a server. */
function ownersIn(dir: string): (string | undefined)[] {
  const notes = ownFiles(dir).filter((path) => path.endsWith(".note"));
  return notes.map((note) => JSON.parse(Deno.readTextFileSync(note)).owner);
}

integration("tus: the share is that of the user, or of the address beyond a proxy", async () => {
  const fields: Fields = { "X-Forwarded-For": "203.0.113.7", "Upload-Length": 1 };
  for (const args of [[], ["--proxy-from", "127.0.0.1"]]) {
    await using server = await startServer({ args });
    await begin(server, fields);
    assertEquals(ownersIn(server.dir), [args.length ? "address 203.0.113.7" : undefined]);
  }
  await using temp = await tempDir();
  const user = { name: "ben", access: "all", isRevoked: false } as const;
  await using server = await serveHere({ dir: temp.path, user });
  await begin(server, fields);
  assertEquals(ownersIn(temp.path), ["user ben"]);
});

pure("tus: the owners of many uploads are looked up 16 at a time", async () => {
  const hashes = Array.from({ length: 64 }, (_, number) => `${number}`);
  const asked: (() => void)[] = [];
  let [underWay, most, all] = [0, 0, 0];
  const places = new UploadPlaces({
    most: 100,
    find: () => Promise.resolve(undefined),
    notes: {
      hashes: () => Promise.resolve(hashes),
      async find() {
        // No answer comes before there are 16 questions.
        const { promise, resolve } = Promise.withResolvers<void>();
        all++;
        most = Math.max(most, ++underWay);
        if (asked.push(resolve) === 16) asked.splice(0).forEach((answer) => answer());
        await promise;
        underWay--;
        return { note: { owner: "ben" }, written: new Date() };
      },
      remove() {},
    },
  });
  assertEquals(typeof await places.makeRoom("ann"), "object");
  assertEquals([most, all], [16, 64]);
});
