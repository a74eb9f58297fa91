/**
 * What every store promises, whatever it keeps files in: lib/store/store.ts and ongoing.ts as cases that
 * run on each kind of store.
 *
 * @module
 */

import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { crc32 } from "node:zlib";
import { InletError } from "../lib/errors.ts";
import type { OngoingUpload, ServerStore } from "../lib/store/ongoing.ts";
import type { PartialFile, Resumable, Upload } from "../lib/store/store.ts";
import type { StoreBatch } from "../lib/store/store_batch.ts";
import type { DiffEntry, ListEntry } from "../protocol.ts";
import { modeOf } from "../protocol.ts";
import { allOf, bytes, collect, integration, type Requirements } from "./helpers.ts";

/** Options that every kind of store has. */
export interface CommonOptions {
  keepPartialsMs?: number;
  dotfiles?: boolean;
  links?: "tree" | "all" | "none";
  hidesNames?: boolean;
  readOnly?: boolean;
  maxUploads?: number;
}

/** A place in which stores keep files. It is removed at the end of a case. */
export interface StorePlace extends AsyncDisposable {
  /** Opens one more store there, as another server does. */
  open(options?: CommonOptions): Promise<ContractStore>;
  /** Writes or replaces a file, as another program does. */
  write(name: string, content: string | Uint8Array): Promise<void>;
  /** Removes a file, as another program does. */
  remove(name: string): Promise<void>;
  /** How much a store has there besides published files, and what a name that was given up costs. */
  inFlight(): Promise<number>;
}

/** A store whose uploads go on over several requests. */
export type ContractStore = ServerStore & Required<Pick<ServerStore, "ongoing">>;

/** A kind of store. */
export interface StoreKind {
  readonly name: string;
  readonly requirements?: Requirements;
  makePlace(): Promise<StorePlace>;
}

type Case = (place: StorePlace, store: ContractStore) => Promise<void>;

/** Registers the tests of a kind of store. */
export function testStore({ name: kind, requirements, makePlace }: StoreKind): void {
  for (const [name, run] of Object.entries(CASES)) {
    integration(`${kind}: ${name}`, async () => {
      await using place = await makePlace();
      await run(place, await place.open());
    }, requirements);
  }
}

/** More than one part of an upload, and more than one read. */
const LARGE = 9 * 2 ** 20 + 12_345;

const LARGE_CONTENT = bytes(LARGE);
const LARGE_CRC = crc32(LARGE_CONTENT);

/** A time with milliseconds, which tells a file without reading it. */
const TIME = new Date("2021-02-03T04:05:06.789Z");

const encode = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const decode = (content: Uint8Array): string => new TextDecoder().decode(content);

/** Sends a file as a stream of unknown size. */
async function send(
  store: ServerStore,
  name: string,
  content: string | Uint8Array = name,
): Promise<string> {
  const whole = typeof content === "string" ? encode(content) : content;
  await using upload = await store.receive(name, null);
  await write(upload, whole);
  return await upload.publish({}, crc32(whole));
}

/** Writes in pieces, each of which is overwritten then. */
async function write(upload: Upload, content: Uint8Array): Promise<void> {
  const piece = new Uint8Array(1_000_003);
  for (let start = 0; start < content.length; start += piece.length) {
    const part = content.subarray(start, start + piece.length);
    piece.set(part);
    await upload.write(piece.subarray(0, part.length));
    piece.fill(0);
  }
}

async function read(store: ServerStore, name: string): Promise<Uint8Array> {
  using stored = await store.open(name);
  const room = new Uint8Array(stored.size + 1);
  assertEquals(await stored.read(0, room), stored.size, name);
  return room.subarray(0, stored.size);
}

async function readText(store: ServerStore, name: string): Promise<string> {
  return decode(await read(store, name));
}

/** The names of a list; those of folders end with `/`, and of links with `@`. */
async function namesIn(pages: AsyncIterable<readonly ListEntry[]>): Promise<string[]> {
  return (await allOf(pages)).map(({ name, size, to }) =>
    size !== null ? name : to === undefined ? `${name}/` : `${name}@`
  );
}

async function entryOf(store: ServerStore, name: string): Promise<ListEntry> {
  const entries = await allOf(store.tree("/"));
  return entries.find((entry) => entry.name === name)!;
}

async function refusedWith(code: string, action: () => unknown): Promise<InletError> {
  const error = await assertRejects(async () => await action(), InletError);
  assertEquals(error.code, code, error.message);
  return error;
}

const how: Resumable = { fingerprint: "0123456789abcdef".repeat(4) };

/** Sends the beginning of a file, and breaks off. */
async function breakOff(store: ServerStore, name: string, content: Uint8Array): Promise<string> {
  await using upload = await store.receiveResumable(name, content.length * 2, how);
  await write(upload, content);
  return upload.ticket!;
}

/** The first partial file that is found. It is valid until the search ends, which is left to the collector. */
async function partialOf(
  store: ServerStore,
  name: string,
  ticket?: string,
): Promise<PartialFile | undefined> {
  const found = store.findPartials(name, { ...how, ticket })[Symbol.asyncIterator]();
  return (await found.next()).value;
}

async function resume(store: ServerStore, name: string, ticket?: string): Promise<Upload> {
  return (await (await partialOf(store, name, ticket))!.take(how))!;
}

/** Makes a link, and commits it. */
async function makeLink(batch: StoreBatch, name: string, to: string): Promise<void> {
  const link = await batch.makeLink(name, { to });
  await batch.commit();
  if (link.failure) throw link.failure;
}

const file = (name: string, size: number, more: Partial<DiffEntry> = {}): DiffEntry => ({
  ...{ name, size, modified: TIME, mode: 0o644 },
  ...more,
});

const CASES: Record<string, Case> = {
  "a file has its name once it is published, and not before": async (_, store) => {
    const content = LARGE_CONTENT;
    await using upload = await store.receive("a/b.bin", null);
    await write(upload, content);
    assertEquals(await namesIn(store.list()), []);
    await refusedWith("not-found", () => store.open("a/b.bin"));
    assertEquals(await upload.publish({}, crc32(content)), "a/b.bin");
    assertEquals(await namesIn(store.list()), ["a/b.bin"]);
    assertEquals(crc32(await read(store, "a/b.bin")), crc32(content));
  },

  "what is published is there for every other store": async (place, store) => {
    const other = await place.open();
    const content = LARGE_CONTENT;
    assertEquals(await send(store, "large", content), "large");
    assertEquals(await store.put("small", encode("s")), "small");
    assertEquals(crc32(await read(other, "large")), crc32(content));
    assertEquals(await readText(other, "small"), "s");
    assertEquals(await namesIn(other.list()), ["large", "small"]);
  },

  "an upload that is disposed of unpublished leaves nothing": async (place, store) => {
    for (const size of [0, 1000, LARGE]) {
      await using upload = await store.receive("a.bin", size);
      await write(upload, bytes(size));
    }
    assertEquals(await namesIn(store.list()), []);
    assertEquals(await place.inFlight(), 0);
    assertEquals(await send(store, "a.bin"), "a.bin");
  },

  "an upload that is discarded can be disposed of, and the name is free": async (place, store) => {
    await using upload = await store.receive("a.bin", LARGE);
    await write(upload, LARGE_CONTENT);
    await upload.discard();
    await upload[Symbol.asyncDispose]();
    assertEquals(await place.inFlight(), 0);
    assertEquals(await store.put("a.bin", encode("x")), "a.bin");
  },

  "a taken name gets a number, and nothing is replaced": async (place, store) => {
    await place.write("a.txt", "theirs");
    assertEquals(await send(store, "a.txt", "1"), "a (2).txt");
    assertEquals(await store.put("a.txt", encode("2")), "a (3).txt");
    const large = LARGE_CONTENT;
    assertEquals(await send(store, "a.txt", large), "a (4).txt");
    const texts = await Promise.all(
      ["a.txt", "a (2).txt", "a (3).txt"].map((name) => readText(store, name)),
    );
    assertEquals(texts, ["theirs", "1", "2"]);
    assertEquals(crc32(await read(store, "a (4).txt")), crc32(large));
  },

  "eight writers of two stores on one name each keep what they sent": async (place, store) => {
    const other = await place.open();
    const contents = Array.from({ length: 8 }, (_, index) => {
      const content = index % 4 === 0 ? new Uint8Array(LARGE) : new Uint8Array(10_000);
      return content.fill(index + 1);
    });
    const got = await Promise.all(contents.map(async (content, index) => {
      const to = index % 2 === 0 ? store : other;
      return index < 4 ? await send(to, "a.jpg", content) : await to.put("a.jpg", content);
    }));
    assertEquals(new Set(got).size, 8);
    assertEquals(await namesIn(store.list()), [...got].sort());
    assert(got.every((name) => /^a( \(\d+\))?\.jpg$/.test(name)), got.join());
    for (const [index, name] of got.entries()) {
      assertEquals(crc32(await read(other, name)), crc32(contents[index]!), name);
    }
  },

  "the facts of a file are kept": async (_, store) => {
    const facts = { modified: TIME, mode: 0o640 };
    await store.put("small", encode("s"), facts);
    await using upload = await store.receive("large", LARGE);
    await write(upload, LARGE_CONTENT);
    await upload.publish(facts);
    for (const name of ["small", "large"]) {
      using stored = await store.open(name);
      assertEquals([stored.modified, stored.mode], [TIME, 0o640], name);
      assertEquals((await entryOf(store, name)).modified, TIME, name);
    }
    using batch = store.batch();
    const batched = await batch.put("batched", encode("b"), facts);
    await batch.commit();
    using stored = await store.open(batched.name!);
    assertEquals([stored.modified, stored.mode], [TIME, 0o640]);
  },

  "what a caller does with its memory afterwards changes nothing": async (_, store) => {
    const content = encode("before");
    const put = store.put("put", content);
    await put;
    using batch = store.batch();
    await batch.put("batched", content);
    content.fill(0);
    await batch.commit();
    assertEquals(await readText(store, "put"), "before");
    assertEquals(await readText(store, "batched"), "before");
  },

  "names are kept whole up to the limit of a part, and shortened beyond it": async (_, store) => {
    const long = `${"x".repeat(300)}.pdf`;
    const got = [await send(store, long, "1"), await store.put(long, encode("2"))];
    assertEquals(got, [`${"x".repeat(251)}.pdf`, `${"x".repeat(247)} (2).pdf`]);
    const deep = Array.from({ length: 3 }, () => "☕".repeat(83)).join("/");
    assertEquals(await send(store, deep), deep);
    assertEquals(await readText(store, deep), deep);
    assertEquals(await readText(store, got[1]!), "2");
  },

  "a bad name is refused by every method": async (place, store) => {
    const bad = [
      "",
      ".",
      "..",
      "../a",
      "/etc/passwd",
      "a\0",
      "inlet~1",
      "a\u2028",
      "a/../b",
      "a//b",
    ];
    const entry = file("x", 1);
    for (const name of bad) {
      using batch = store.batch();
      const actions: (() => unknown)[] = [
        () => store.receive(name, null),
        () => store.receiveResumable(name, null, how),
        () => store.put(name, encode("x")),
        () => store.makeFolder(name),
        () => batch.put(name, encode("x")),
        () => batch.makeFolder(name),
        () => batch.makeLink(name, { to: "x" }),
        () => store.find(name, { size: 1, crc: 1, modified: TIME }),
        () => store.diff(name, [entry]),
        () => store.ongoing.begin(crypto.randomUUID(), { name, size: 1, details: "" }),
      ];
      for (const action of actions) await refusedWith("bad-name", action);
    }
    for (const name of ["..", "../a", "a/../b", "a\u2028"]) {
      await refusedWith("bad-name", () => store.open(name));
      await refusedWith("bad-name", () => allOf(store.tree(name)));
    }
    assertEquals(await namesIn(store.tree("/")), []);
    assertEquals(await place.inFlight(), 0);
  },

  "the folders of a name are made": async (_, store) => {
    assertEquals(await send(store, "photos/2024/a.jpg"), "photos/2024/a.jpg");
    assertEquals(await store.put("photos/2024/a.jpg", encode("2")), "photos/2024/a (2).jpg");
    const tree = ["photos/", "photos/2024/", "photos/2024/a (2).jpg", "photos/2024/a.jpg"];
    assertEquals(await namesIn(store.tree("/")), tree);
    assertEquals(await store.makeFolder("photos/2024"), { name: "photos/2024", isNew: false });
  },

  "a folder gets a number where a file has its name, and is found by the first": async (
    _,
    store,
  ) => {
    for (const name of ["a.txt", "a (2).txt", "photos/in"]) await send(store, name);
    assertEquals(await send(store, "a.txt/b", "b"), "a (3).txt/b");
    assertEquals(await send(store, "a.txt"), "a (4).txt");
    assertEquals(await store.put("a.txt/b", encode("c")), "a (3).txt/b (2)");
    assertEquals(await store.makeFolder("a.txt/c/d"), { name: "a (3).txt/c/d", isNew: true });
    assertEquals(await send(store, "photos/in/e"), "photos/in (2)/e");
    const same = { size: 1, crc: crc32("c"), modified: TIME };
    assertEquals(await store.find("a.txt/b", same), { name: "a (3).txt/b (2)", isSame: true });
    assertEquals(await store.find("a.txt/c", same), undefined);
    await assertRejects(async () => await store.open("a.txt/b"), InletError);
  },

  "a numbered folder is found again whatever gets a number behind it": async (_, store) => {
    for (const name of ["p", "p"]) await send(store, name);
    await store.makeFolder("p", { mode: 0o700 });
    for (let number = 4; number < 7; number++) {
      assertEquals(await send(store, "p"), `p (${number})`);
      assertEquals(await send(store, `p/${number}`), `p (3)/${number}`);
    }
  },

  "a folder has facts of its own, and its maker finishes it": async (_, store) => {
    const made = await store.makeFolder("p/q", { mode: 0o550, id: "run" });
    assertEquals(made, { name: "p/q", isNew: true });
    assertEquals(modeOf(await entryOf(store, "p/q")), 0o750);
    await store.put("p/q/a", encode("a"));
    await store.makeFolder("p/q", { mode: 0o777, modified: new Date(0), id: "another" });
    assertEquals(modeOf(await entryOf(store, "p/q")), 0o750);
    const again = await store.makeFolder("p/q", { mode: 0o550, modified: TIME, id: "run" });
    assertEquals(again, { name: "p/q", isNew: false });
    const { modified, ...entry } = await entryOf(store, "p/q");
    assertEquals([modified, modeOf(entry)], [TIME, 0o550]);
    assertEquals(await namesIn(store.tree("p")), ["p/", "p/q/", "p/q/a"]);
  },

  "lists are in the order of UTF-8, folder by folder": async (_, store) => {
    const names = [
      "a",
      "a b",
      "a.b",
      "a0",
      "b/c",
      "b/c d",
      "b/c.d",
      "b.c",
      "B",
      "\uffff",
      "\u{1f600}",
    ];
    for (const name of [...names, "c/d/e", "c/d.e", "c/\uffff/x", "c/\u{1f600}/x"]) {
      assertEquals(await store.put(name, encode(name)), name);
    }
    const order = ["B", "a", "a b", "a.b", "a0", "b.c"];
    const [inB, inC] = [
      ["b/c", "b/c d", "b/c.d"],
      ["c/d.e", "c/d/", "c/d/e", "c/\uffff/", "c/\uffff/x", "c/\u{1f600}/", "c/\u{1f600}/x"],
    ];
    const tree = [...order, "b/", ...inB, "c/", ...inC, "\uffff", "\u{1f600}"];
    assertEquals(await namesIn(store.tree("/")), tree);
    assertEquals(await namesIn(store.list()), tree.filter((name) => !name.endsWith("/")));
    assertEquals(await namesIn(store.tree("c")), ["c/", ...inC]);
    const flat = [...order, "b/", "c/", "\uffff", "\u{1f600}"];
    assertEquals(await namesIn(store.tree("/", undefined, true)), flat);
    const flatC = ["c/", "c/d.e", "c/d/", "c/\uffff/", "c/\u{1f600}/"];
    assertEquals(await namesIn(store.tree("c", undefined, true)), flatC);
    assertEquals(await namesIn(store.tree("b/c.d")), ["b/c.d"]);
  },

  "list() shows what open() would open, and nothing else": async (place, store) => {
    await place.write("by hand.txt", "12345");
    await store.put("a/b", encode("1234"), { modified: TIME });
    await store.makeFolder("empty");
    using batch = store.batch();
    await batch.makeLink("link", { to: "a/b" });
    await batch.commit();
    await using upload = await store.receive("in flight", LARGE);
    await write(upload, LARGE_CONTENT);
    const list = await allOf(store.list());
    assertEquals(list.map(({ name, size }) => `${name} ${size}`), ["a/b 4", "by hand.txt 5"]);
    assertEquals(list[0]!.modified, TIME);
    const bare = await allOf(store.list(undefined, true));
    assertEquals(bare.map(({ name, size }) => `${name} ${size}`), ["a/b 4", "by hand.txt 5"]);
    const tree = ["a/", "a/b", "by hand.txt", "empty/", "link@"];
    assertEquals(await namesIn(store.tree("/")), tree);
    for (const { name, size } of list) assertEquals((await read(store, name)).length, size);
    for (const name of ["empty", "a", "link", "in flight", "missing", "missing/a"]) {
      await refusedWith("not-found", () => store.open(name));
    }
    for (const name of ["link", "in flight", "missing"]) {
      await refusedWith("not-found", () => allOf(store.tree(name)));
    }
    const folder = await refusedWith("not-found", () => store.open("a"));
    assertEquals(folder.message, 'Cannot get "a": it is a folder, get "a/"');
  },

  "files of any size are read and listed": async (_, store) => {
    const sizes = [0, 1, 1030, 1031, 1032, 4219, 65_535, 65_536, 65_537, 300_000];
    for (const size of sizes) await store.put(`${size}`, bytes(size));
    const list = await allOf(store.list());
    assertEquals(
      list.map(({ name, size }) => [name, size]).sort(),
      [
        ...sizes.map((size) => [`${size}`, size]),
      ].sort(),
    );
    for (const size of sizes) assertEquals(await read(store, `${size}`), bytes(size), `${size}`);
  },

  "a list ends with the reason of its signal": async (_, store) => {
    for (let index = 0; index < 3; index++) await store.put(`${index}`, encode("x"));
    const over = new AbortController();
    const pages = store.tree("/", over.signal)[Symbol.asyncIterator]();
    assertEquals((await pages.next()).value!.length, 3);
    over.abort(new InletError("aborted", "enough"));
    // The list may have ended with that page.
    await pages.next().catch((error) => assertEquals(error.message, "enough"));
  },

  "ranges of a file are read, in any order": async (_, store) => {
    const content = LARGE_CONTENT;
    await send(store, "a", content);
    using stored = await store.open("a");
    assertEquals(stored.size, LARGE);
    const ranges = [[0, 10], [LARGE - 5, 5], [70_000, 600_000], [670_000, 600_000], [5, 70_000]];
    for (const [offset, size] of ranges as [number, number][]) {
      const room = new Uint8Array(size);
      assertEquals(await stored.read(offset, room), size);
      assertEquals(crc32(room), crc32(content.subarray(offset, offset + size)), `${offset}`);
    }
    assertEquals(await stored.read(LARGE - 3, new Uint8Array(10)), 3);
    assertEquals(await stored.read(LARGE, new Uint8Array(10)), 0);
    assertEquals(stored.grew, false);
  },

  "a file is streamed from any offset, and a stream can be left": async (_, store) => {
    const content = LARGE_CONTENT;
    await send(store, "a", content);
    for (const offset of [0, 1, 100_000, LARGE - 1, LARGE]) {
      using stored = await store.open("a");
      const rest = await collect(stored.stream(offset));
      assertEquals([rest.length, crc32(rest)], [LARGE - offset, crc32(content.subarray(offset))]);
    }
    using stored = await store.open("a");
    const reader = stored.stream(0).getReader();
    assert((await reader.read()).value!.length > 0);
    await reader.cancel();
    using _other = await store.open("a");
  },

  "the CRC-32 of a file is known, or computed": async (place, store) => {
    const content = LARGE_CONTENT;
    await send(store, "ours", content);
    await place.write("theirs", content);
    for (const name of ["ours", "theirs"]) {
      using stored = await store.open(name);
      const known = await stored.knownCrc();
      if (name === "ours") assertEquals(known, crc32(content));
      else assert(known === undefined || known === crc32(content));
      assertEquals({ ...await stored.beginning(LARGE + 5) }, { bytes: LARGE, crc: crc32(content) });
      const some = content.subarray(0, 1_234_567);
      assertEquals({ ...await stored.beginning(some.length) }, {
        bytes: some.length,
        crc: crc32(some),
      });
    }
  },

  "a file that is replaced while it is read fails, or is read as it was": async (place, store) => {
    const content = LARGE_CONTENT;
    await place.write("a", content);
    using stored = await store.open("a");
    const reader = stored.stream(0).getReader();
    const first = (await reader.read()).value!.slice();
    await place.remove("a");
    await place.write("a", new Uint8Array(LARGE));
    const all = [first];
    try {
      for (let next; (next = (await reader.read()).value);) all.push(next.slice());
      assertEquals(crc32(await collect(ReadableStream.from(all))), crc32(content));
    } catch (error) {
      assertEquals((error as InletError).code, "changed");
      await refusedWith("changed", () => stored.read(LARGE - 10, new Uint8Array(10)));
    }
    assertEquals(await read(store, "a"), new Uint8Array(LARGE));
  },

  "small files are read one after another, as far as that is possible": async (_, store) => {
    const contents = new Map<string, string>();
    for (let index = 0; index < 40; index++) contents.set(`p/${index}`, `content ${index}`);
    for (const [name, content] of contents) {
      await store.put(name, encode(content), { modified: TIME, mode: 0o600 });
    }
    const names = [...contents.keys()];
    const got: string[] = [];
    let room = new Uint8Array(0);
    const count = await store.readSmall([...names, "p/missing", ...names], {
      room: (size) => room = new Uint8Array(size + 1),
      add: ({ content, modified, mode }) => {
        assertEquals([content.buffer, modified, mode], [room.buffer, TIME, 0o600]);
        got.push(decode(content));
      },
      drop: () => got.splice(0),
    });
    assert(count <= names.length);
    assertEquals(got, [...contents.values()].slice(0, count));
    assertEquals(await store.readSmall(["p/missing", "p/1"], NO_READER), 0);
    const wanted = { ...NO_READER, room: () => undefined };
    assertEquals(await store.readSmall(["p/1"], wanted), 0);
  },

  "the same file is found by its CRC-32, also under a number": async (place, store) => {
    for (const content of ["one", "two", "three", "four", "two"]) {
      await store.put("a.txt", encode(content));
    }
    const find = (content: string, name = "a.txt") =>
      store.find(name, { size: content.length, crc: crc32(content), modified: TIME });
    assertEquals(await find("one"), { name: "a.txt", isSame: true });
    // The newest, which is the one that a client asks for that lost an answer.
    assertEquals(await find("two"), { name: "a (5).txt", isSame: true });
    assertEquals(await find("four"), { name: "a (4).txt", isSame: true });
    assertEquals(await find("six"), undefined);
    assertEquals(await find("one", "b.txt"), undefined);
    await place.write("theirs", "theirs");
    assertEquals(await find("theirs", "theirs"), { name: "theirs", isSame: true });
    assertEquals(await find("others", "theirs"), undefined);
  },

  "the same file is found by its time, without reading it": async (_, store) => {
    await store.put("a", encode("1"), { modified: TIME, mode: 0o644 });
    await store.put("a", encode("2"), { modified: new Date(TIME.getTime() + 1), mode: 0o644 });
    const find = (more: object) =>
      store.find("a", { size: 1, crc: null, modified: TIME, mode: 0o644, ...more });
    assertEquals(await find({}), { name: "a", isSame: true });
    const later = new Date(TIME.getTime() + 1);
    assertEquals(await find({ modified: later }), { name: "a (2)", isSame: true });
    assertEquals(await find({ size: 2 }), undefined);
    assertEquals(await find({ mode: 0o600 }), undefined);
    assertEquals(await find({ modified: new Date(TIME.getTime() + 5) }), undefined);
    assertEquals((await find({ byContent: true }))!.isSame, false);
    // A time that tells nothing is no proof.
    const old = new Date(1000);
    await store.put("b", encode("1"), { modified: old });
    assertEquals((await store.find("b", { size: 1, crc: null, modified: old }))!.isSame, false);
  },

  "diff() tells what is there, what is missing and what is another": async (_, store) => {
    await store.put("p/a", encode("1"), { modified: TIME, mode: 0o644 });
    await store.put("p/b", encode("22"), { modified: TIME, mode: 0o644 });
    await store.makeFolder("p/d");
    using batch = store.batch();
    await batch.makeLink("p/l", { to: "a" });
    await batch.commit();
    const folder = { size: null, mode: undefined };
    const flags = await store.diff("p", [
      file("a", 1),
      file("b", 1),
      file("c", 1),
      file("d", 0, folder),
      file("a", 0, folder),
      file("d", 1),
      file("l", 0, { ...folder, to: "a" }),
      file("l", 0, { ...folder, to: "b" }),
      file("l", 1),
      file("a", 1, { modified: new Date(TIME.getTime() + 1) }),
      file("a", 1, { mode: 0o755 }),
      file("..", 0, folder),
      file(".inlet", 0, folder),
      file("a", 1, { crc: crc32("1") }),
      file("a", 1, { crc: crc32("2") }),
    ]);
    assertEquals(flags, "=!.=!!=!!!!..=!");
    assertEquals(await store.diff("/", [file("p", 0, folder)]), "=");
    assertEquals(await store.diff("q/r", [file("a", 1), file("b", 1)]), "..");
    assertEquals(await store.diff("p", [file("a", 1)], { byContent: true }), "?");
    assertEquals(await store.diff("p", [file("a", 2)], { byContent: true }), "!");
  },

  "diff() finds what is there under a numbered name": async (_, store) => {
    for (const [name, content] of [["p/a.txt", "1"], ["p/a.txt", "22"], ["q", "q"], ["q/a", "1"]]) {
      await store.put(name!, encode(content!), { modified: TIME, mode: 0o644 });
    }
    assertEquals(await store.diff("p", [file("a.txt", 2), file("a.txt", 3)]), "=!");
    assertEquals(await store.diff("q", [file("a", 1), file("b", 1)]), "=.");
    assertEquals(await store.diff("/", [file("q", 0, { size: null })]), "=");
  },

  "diff() of many entries in no order tells each": async (_, store) => {
    const there = Array.from({ length: 60 }, (_, index) => `${index}`);
    using batch = store.batch();
    for (const name of there) {
      await batch.put(`f/${name}`, encode(name), { modified: TIME, mode: 0o644 });
    }
    await batch.commit();
    const entries = there.flatMap((name) => [
      file(name, name.length),
      file(`no ${name}`, 1),
      file(`${name}!`, 1),
    ]);
    entries.sort((one, other) => crc32(one.name) - crc32(other.name));
    const flags = await store.diff("f", entries);
    assertEquals(flags, entries.map(({ name }) => there.includes(name) ? "=" : ".").join(""));
  },

  "a batch publishes all that was added": async (_, store) => {
    using batch = store.batch();
    const folder = await batch.makeFolder("p", { mode: 0o750, id: "run", files: 3 });
    assertEquals(batch.owed, 3);
    const files = [];
    for (const name of ["p/a", "p/b", "p/a", "q/c"]) {
      files.push(await batch.put(name, encode(name), { modified: TIME }));
    }
    const link = await batch.makeLink("p/l", { to: "a" });
    await batch.commit();
    const numbered = files.map(({ name }) => name).sort();
    assertEquals(numbered, ["p/a", "p/a (2)", "p/b", "q/c"]);
    assertEquals([folder.name, folder.isNew], ["p", true]);
    assertEquals([link.name, link.isNew], ["p/l", true]);
    const again = await batch.makeLink("p/l", { to: "a" });
    const other = await batch.makeLink("p/l", { to: "b" });
    await batch.commit();
    assertEquals([again.name, again.isNew, other.name], ["p/l", false, "p/l (2)"]);
    const tree = ["p/", "p/a", "p/a (2)", "p/b", "p/l@", "p/l (2)@", "q/", "q/c"].sort();
    assertEquals((await namesIn(store.tree("/"))).sort(), tree);
    assertEquals(await readText(store, "p/a (2)"), "p/a");
  },

  "a folder that is told with its time and its files has its owner's bits until its end": async (
    _,
    store,
  ) => {
    using batch = store.batch();
    const facts = { mode: 0o550, modified: TIME, id: "run" };
    // The second time it is there, as for a client that comes again.
    for (const name of ["a", "b"]) {
      const folder = await batch.makeFolder("p", { ...facts, files: 1 });
      await batch.put(`p/${name}`, encode(name));
      await batch.commit();
      assertEquals([folder.name, folder.isFinished], ["p", undefined]);
      assertEquals(modeOf(await entryOf(store, "p")), 0o750);
    }
    const finished = await batch.makeFolder("p", facts);
    await batch.commit();
    const { modified, ...entry } = await entryOf(store, "p");
    assertEquals([finished.name, modified, modeOf(entry)], ["p", TIME, 0o550]);
    assertEquals(await namesIn(store.tree("p")), ["p/", "p/a", "p/b"]);
  },

  "a batch that is not committed can be disposed of, and nothing is half there": async (
    _,
    store,
  ) => {
    {
      using batch = store.batch();
      await batch.makeFolder("p", { id: "run", files: 2 });
      await batch.put("p/a", encode("whole"));
    }
    for (const { name } of await allOf(store.list())) {
      assertEquals(await readText(store, name), "whole");
    }
    await send(store, "p/b");
    assertEquals(await readText(store, "p/b"), "p/b");
  },

  "links lead nowhere out of the store, and are followed by nothing": async (place, store) => {
    using batch = store.batch();
    for (const to of ["/etc/passwd", "../out", "a/../../b", ".inlet/x"]) {
      await refusedWith("denied", () => makeLink(batch, "l", to));
    }
    const long = "x".repeat(2000);
    const links = { "in/up": "../a", "in/odd": "ä ☕", "in/long": long };
    for (const [name, to] of Object.entries(links)) {
      await batch.makeLink(name, { to, modified: TIME });
    }
    await batch.makeLink("out", { to: "in" });
    await batch.commit();
    const entries = await allOf(store.tree("in"));
    const targets = entries.flatMap(({ name, to }) => to === undefined ? [] : [[name, to]]);
    assertEquals(Object.fromEntries(targets), links);
    assertEquals(await namesIn(store.list()), []);
    await refusedWith("denied", () => store.receive("out/a", null));
    const hiding = await place.open({ hidesNames: true });
    assertEquals(await send(hiding, "out/a"), "out (2)/a");
    const without = await place.open({ links: "none" });
    assertEquals(await namesIn(without.tree("/")), ["in/", "out (2)/", "out (2)/a"]);
    using refusing = without.batch();
    await refusedWith("denied", () => makeLink(refusing, "l", "a"));
  },

  "names with a dot in front are refused and hidden where that is asked for": async (
    place,
    store,
  ) => {
    for (const name of [".a", "b/.c/d", "b/e"]) await store.put(name, encode(name));
    const hiding = await place.open({ dotfiles: false });
    await refusedWith("bad-name", () => hiding.put(".x", encode("x")));
    await refusedWith("bad-name", () => hiding.open(".a"));
    assertEquals(await namesIn(hiding.list()), ["b/e"]);
    assertEquals(await namesIn(hiding.tree("/")), ["b/", "b/e"]);
    assertEquals(await namesIn(hiding.tree("b", undefined, true)), ["b/", "b/e"]);
  },

  "uploads without a name are numbered, by each store differently": async (place, store) => {
    const other = await place.open();
    const numbered = async (from: ServerStore, content: string): Promise<string> => {
      await using upload = await from.receiveNumbered(".file");
      await upload.write(encode(content));
      return await upload.publish();
    };
    const got = [await numbered(store, "1"), await numbered(store, "2")];
    assert(got.every((name) => /^\d+\.file$/.test(name)), got.join());
    const both = await Promise.all([numbered(store, "3"), numbered(other, "4")]);
    assertEquals(new Set([...got, ...both]).size, 4);
    assertEquals(await Promise.all(both.map((name) => readText(store, name))), ["3", "4"]);
  },

  "an upload that broke off goes on where it ended, in another store too": async (place, store) => {
    for (const size of [1000, LARGE]) {
      const [first, rest] = [bytes(size), bytes(size / 2)];
      await breakOff(store, "a.bin", first);
      const other = await place.open();
      const partial = (await partialOf(other, "a.bin"))!;
      assertEquals(partial.bytes, size);
      const { length, offsets } = partial.samples ?? { length: 100, offsets: [0, 7, size - 100] };
      for (const offset of offsets) {
        const room = new Uint8Array(length);
        assertEquals(await partial.read(offset, room), length);
        assertEquals(room, first.subarray(offset, offset + length));
      }
      await using upload = (await partial.take(how))!;
      assertEquals(upload.kept.bytes, size);
      assertEquals(await upload.kept.crc(), crc32(first));
      await write(upload, rest);
      const whole = crc32(rest, crc32(first));
      const name = await upload.publish({ modified: TIME }, whole);
      const got = await read(store, name);
      assertEquals([got.length, crc32(got)], [size + rest.length, whole]);
      assertEquals(await partialOf(store, "a.bin"), undefined);
    }
    assertEquals(await place.inFlight(), 0);
  },

  "nothing of an upload is found by another fingerprint": async (_, store) => {
    await breakOff(store, "a.bin", bytes(1000));
    const query = { fingerprint: "f".repeat(64) };
    for await (const _ of store.findPartials("a.bin", query)) throw new Error("one was found");
  },

  "a partial file is published under the name that is asked for": async (_, store) => {
    await breakOff(store, "a.bin", bytes(1000));
    await using upload = await resume(store, "b/c.bin");
    assertEquals(upload.kept.bytes, 1000);
    const name = await upload.publish();
    assertEquals(await read(store, name), bytes(1000));
    assertEquals(name, "b/c.bin");
  },

  "of several that take one partial file over, one gets it": async (place, store) => {
    await breakOff(store, "a.bin", LARGE_CONTENT);
    const stores = [store, await place.open(), await place.open(), store];
    const partials = await Promise.all(stores.map((store) => partialOf(store, "a.bin")));
    const taken = (await Promise.all(partials.map((partial) => partial?.take(how)))).filter(
      (upload) => upload?.kept.bytes === LARGE,
    );
    assertEquals(taken.length, 1);
    assertEquals(await taken[0]!.publish(), "a.bin");
    assertEquals(crc32(await read(store, "a.bin")), LARGE_CRC);
  },

  "by its ticket an upload is taken from the connection that sends it": async (place, store) => {
    const other = await place.open();
    let taken = 0;
    const resumable = { ...how, onTaken: () => void taken++ };
    await using upload = await store.receiveResumable("a.bin", LARGE, resumable);
    await write(upload, LARGE_CONTENT);
    assertEquals(await partialOf(store, "a.bin", "a wrong one"), undefined);
    await using resumed = await resume(store, "a.bin", upload.ticket!);
    assertEquals([resumed.kept.bytes, taken], [LARGE, 1]);
    await assertRejects(async () => await upload.publish());
    assertEquals(await resumed.publish(), "a.bin");
    assertEquals(await namesIn(other.list()), ["a.bin"]);
  },

  "an upload that starts over keeps nothing of what was there": async (_, store) => {
    await breakOff(store, "a.bin", LARGE_CONTENT);
    await using upload = await resume(store, "a.bin");
    await upload.startOver();
    assertEquals(upload.kept.bytes, 0);
    await write(upload, encode("new"));
    assertEquals(await upload.publish(), "a.bin");
    assertEquals(await readText(store, "a.bin"), "new");
  },

  "a partial file is found after an attempt that was wrong, and not after three": async (
    _,
    store,
  ) => {
    await breakOff(store, "a.bin", LARGE_CONTENT);
    for (let attempt = 0; attempt < 3; attempt++) {
      await using upload = await resume(store, "a.bin");
      assertEquals(upload.kept.bytes, LARGE, `attempt ${attempt}`);
      await upload.write(encode("wrong"));
      await upload.discard();
    }
    const left = await partialOf(store, "a.bin");
    assertEquals(left?.bytes ?? 0, 0);
    assertEquals(await namesIn(store.list()), []);
    assertEquals(await readText(store, await store.put("a.bin", encode("x"))), "x");
  },

  "no partial file is kept where none is to be": async (place) => {
    const store = await place.open({ keepPartialsMs: 0 });
    {
      await using upload = await store.receiveResumable("a.bin", 2000, how);
      await write(upload, bytes(1000));
    }
    assertEquals(await partialOf(store, "a.bin"), undefined);
    assertEquals(await place.inFlight(), 0);
    const begin = () => store.ongoing.begin("id", { name: "a", size: 1, details: "" });
    await refusedWith("denied", begin);
  },

  "discardAll() ends uploads, and publishes none of them": async (place, store) => {
    await store.put("whole.txt", encode("whole"));
    const uploads = [await store.receive("a.bin", null), await store.receive("a.bin", LARGE)];
    await write(uploads[1]!, LARGE_CONTENT);
    store.discardAll();
    for (const upload of uploads) {
      await assertRejects(async () => await upload.publish());
      await upload[Symbol.asyncDispose]();
    }
    const other = await place.open();
    assertEquals(await namesIn(other.list()), ["whole.txt"]);
  },

  "a sweep leaves alone what is published, in flight or kept": async (place, store) => {
    await store.put("small", encode("s"));
    await send(store, "large", LARGE_CONTENT);
    await breakOff(store, "kept", LARGE_CONTENT);
    await using upload = await store.receive("in flight", LARGE);
    await write(upload, LARGE_CONTENT);
    const other = await place.open();
    await other.prepare();
    await other.sweep();
    assertEquals(await upload.publish(), "in flight");
    assertEquals((await partialOf(store, "kept"))!.bytes, LARGE);
    assertEquals(await namesIn(store.list()), ["in flight", "large", "small"]);
    for (const name of ["in flight", "large"]) {
      assertEquals(crc32(await read(other, name)), LARGE_CRC);
    }
    other.save();
  },

  "a store that is only read reads, and leaves no trace": async (place, store) => {
    await store.put("a", encode("1"));
    await breakOff(store, "kept", bytes(1000));
    const before = await place.inFlight();
    const reading = await place.open({ readOnly: true });
    await reading.prepare();
    await reading.sweep();
    assertEquals(await readText(reading, "a"), "1");
    assertEquals(await namesIn(reading.tree("/")), ["a"]);
    assertEquals(await place.inFlight(), before);
  },

  "an upload over several requests goes on in any store": async (place, store) => {
    const other = await place.open();
    const id = crypto.randomUUID();
    const details = '{"metadata":"☕"}';
    const begun = await store.ongoing.begin(id, {
      name: "a.bin",
      size: null,
      details,
      owner: "me",
    });
    assertEquals([begun.bytes, begun.name, begun.details], [0, "a.bin", details]);
    assertEquals(begun.outcome, undefined);
    const content = LARGE_CONTENT;
    for (const [start, end] of [[0, 1000], [1000, LARGE - 5], [LARGE - 5, LARGE]]) {
      const found = (await (start === 1000 ? other : store).ongoing.find(id))!;
      assertEquals([found.bytes, found.details], [start!, details]);
      await using upload = (await found.take({ quietMs: 0 }))!;
      assertEquals(upload.kept.bytes, start);
      await write(upload, content.subarray(start, end));
    }
    const whole = (await other.ongoing.find(id))!;
    assertEquals(whole.bytes, LARGE);
    await whole.change({ size: LARGE });
    assert(whole.written.getTime() + other.ongoing.keepMs > Date.now());
    await using upload = (await whole.take({ quietMs: 0 }))!;
    assertEquals(await upload.kept.crc(), crc32(content));
    const name = await upload.publish({}, crc32(content));
    await whole.conclude({ name, size: LARGE });
    const done = (await store.ongoing.find(id))!;
    assertEquals([done.outcome, done.size], [{ name: "a.bin", size: LARGE }, LARGE]);
    assertEquals(crc32(await read(store, "a.bin")), crc32(content));
    await done.remove();
    assertEquals(await other.ongoing.find(id), undefined);
    assertEquals(await namesIn(store.list()), ["a.bin"]);
    assertEquals(await place.inFlight(), 0);
  },

  "what is kept of an upload over several requests is there at once": async (place, store) => {
    const id = crypto.randomUUID();
    const other = await place.open();
    await store.ongoing.begin(id, { name: "a.bin", size: null, details: "" });
    const take = async () => (await (await store.ongoing.find(id))!.take({ quietMs: 0 }))!;
    for (const [start, end] of [[0, 1000], [1000, 3000], [3000, LARGE - 5]]) {
      await using upload = await take();
      await write(upload, LARGE_CONTENT.subarray(start, end));
      await upload.keep();
      const { bytes, quietMs } = (await other.ongoing.find(id))!;
      assertEquals([bytes, quietMs], [end, undefined]);
      await refusedWith("aborted", () => upload.write(encode("more")));
    }
    await using first = await take();
    await first.write(encode("x"));
    await using second = await take();
    assertEquals(second.kept.bytes, LARGE - 4);
    await refusedWith("aborted", () => first.keep());
    await second.keep();
    await using removed = await take();
    await removed.write(encode("x"));
    await (await store.ongoing.find(id))!.remove();
    await refusedWith("aborted", () => removed.keep());
  },

  "what is written tentatively counts once it is confirmed": async (_, store) => {
    const id = crypto.randomUUID();
    await store.ongoing.begin(id, { name: "a.bin", size: null, details: "" });
    const send = async (content: string, isConfirmed: boolean): Promise<void> => {
      const found = (await store.ongoing.find(id))!;
      await using upload = (await found.take({ quietMs: 0, isTentative: true }))!;
      await upload.write(encode(content));
      if (isConfirmed) found.confirm();
    };
    await send("one ", true);
    await send("wrong", false);
    await send("two", true);
    const found = (await store.ongoing.find(id))!;
    assertEquals(found.bytes, 7);
    await using upload = (await found.take({ quietMs: 0 }))!;
    assertEquals(await upload.publish(), "a.bin");
    assertEquals(await readText(store, "a.bin"), "one two");
  },

  "an upload over several requests is removed with all of it": async (place, store) => {
    const id = crypto.randomUUID();
    const begun = await store.ongoing.begin(id, { name: "a.bin", size: null, details: "" });
    {
      await using upload = (await begun.take({ quietMs: 0 }))!;
      await write(upload, LARGE_CONTENT);
    }
    await (await store.ongoing.find(id) as OngoingUpload).remove();
    assertEquals(await store.ongoing.find(id), undefined);
    assertEquals(await namesIn(store.list()), []);
    assertEquals(await place.inFlight(), 0);
    assertEquals(await store.ongoing.find("never begun"), undefined);
  },

  "there are only so many uploads over several requests": async (place) => {
    const store = await place.open({ maxUploads: 2 });
    const begin = (name: string, owner: string) =>
      store.ongoing.begin(name, { name, size: 4_000_000, details: "", owner });
    const first = await begin("a", "me");
    {
      await using upload = (await first.take({ quietMs: 0 }))!;
      await write(upload, bytes(2_000_000));
    }
    await refusedWith("overloaded", () => begin("b", "me"));
    const second = await begin("c", "you");
    assertNotEquals(await store.ongoing.find("a"), undefined);
    await second.remove();
    await begin("d", "you");
  },
};

/** Wants nothing. */
const NO_READER = {
  room: (size: number) => new Uint8Array(size + 1),
  add: () => {},
  drop: () => {},
};
