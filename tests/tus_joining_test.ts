/**
 * Parts of a tus upload while they are joined: by clients that leave, ask again, ask for something
 * else, or remove one.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { DirectoryStore } from "../lib/store/directory.ts";
import { DiskSpace } from "../lib/store/disk_space.ts";
import { integration, names, ownFiles, tempDir } from "./helpers.ts";
import { HttpWire, problemIn, type Response } from "./http_wire.ts";
import { type InProcessServer, serveHere } from "./in_process.ts";
import {
  ask,
  BYTES,
  type Fields,
  head,
  metadata,
  offsetOf,
  pathIn,
  requestOf,
} from "./tus_wire.ts";
import { Wire } from "./wire.ts";

/** Files whose writing has begun, and what lets it go on. */
interface Held extends AsyncDisposable {
  readonly server: InProcessServer;
  readonly dir: string;
  readonly begun: number;
  /** Settles when the writing of so many has begun. */
  beginning(count: number): Promise<void>;
  /** Settles when the next request has found its upload, and has done with it what it does at once. */
  found(): Promise<void>;
  go(): void;
}

/** A server on which the files of parts wait within their first write. */
async function hold(): Promise<Held> {
  const local = await tempDir();
  const store = await DirectoryStore.open(local.path);
  const { promise: released, resolve: go } = Promise.withResolvers<void>();
  const waiting = new Map<number, () => void>();
  let begun = 0;
  const receive = store.receive.bind(store);
  store.receive = (...given) => {
    const upload = receive(...given);
    const write = upload.write.bind(upload);
    let isFirst = true;
    upload.write = async (chunk) => {
      if (isFirst) waiting.get(++begun)?.();
      isFirst = false;
      await released;
      await write(chunk);
    };
    return upload;
  };
  const { ongoing } = store;
  const find = ongoing.find.bind(ongoing);
  let onFound = (): void => {};
  ongoing.find = async (id) => {
    const found = await find(id);
    setTimeout(onFound);
    return found;
  };
  const server = await serveHere({ dir: local.path, store });
  return {
    server,
    found: () => new Promise((resolve) => onFound = resolve),
    dir: local.path,
    get begun() {
      return begun;
    },
    beginning: async (count) => {
      if (begun < count) await new Promise<void>((resolve) => waiting.set(count, resolve));
    },
    go,
    [Symbol.asyncDispose]: async () => {
      go();
      await server[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
    },
  };
}

/** Parts of these contents. */
async function parts(server: { port: number }, ...contents: string[]): Promise<string[]> {
  const paths: string[] = [];
  for (const content of contents) {
    const fields = { "Upload-Length": content.length, "Upload-Concat": "partial", ...BYTES };
    paths.push(pathIn(await ask(server, "POST", "/uploads/", fields, content)));
  }
  return paths;
}

/** The fields of a request to join parts. */
function joined(paths: readonly string[], filename = "a"): Fields {
  return { "Upload-Concat": `final;${paths.join(" ")}`, ...metadata({ filename }) };
}

async function join(server: { port: number }, ...given: Parameters<typeof joined>) {
  return await ask(server, "POST", "/uploads/", joined(...given));
}

/** A request to join parts, over a connection of its own. */
async function joining(server: { port: number }, paths: readonly string[]): Promise<HttpWire> {
  const wire = await HttpWire.dial(server);
  await wire.says(requestOf("POST", "/uploads/", { "Content-Length": 0, ...joined(paths) }));
  return wire;
}

function nameIn({ body }: Response): unknown {
  return JSON.parse(new TextDecoder().decode(body)).name;
}

/** The files that clients see. */
function published(dir: string): string[] {
  return names(dir).filter((name) => !/^(\.inlet\/|\(partial\)$)/.test(name));
}

/** How many clients have a place. */
async function placesOf(wire: Wire): Promise<number> {
  await wire.says("status\n");
  assertEquals(await wire.line(), "ok");
  let places = 0;
  for (let line; !/^end /.test(line = await wire.line());) {
    if (line.endsWith("Still Connected")) places++;
  }
  return places;
}

integration("tus: parts are joined though their client left, and it gets them later", async () => {
  await using held = await hold();
  const { server, dir } = held;
  const paths = await parts(server, "hello", "world");
  {
    using _left = await joining(server, paths);
    await held.beginning(1);
  }
  // Its place is free meanwhile.
  using wire = await Wire.greet(server);
  while (await placesOf(wire) > 1);
  const again = [join(server, paths), join(server, paths.map((path) => `http://localhost${path}`))];
  held.go();
  for (const response of await Promise.all(again)) {
    assertEquals([response.status, nameIn(response)], [201, "a"]);
  }
  assertEquals((await head(server, paths[0]!)).headers["inlet-name"], "a");
  // As if the server had been killed before it came to the second part.
  const kept = ownFiles(dir).filter((path) => Deno.readTextFileSync(path).includes("joined")).at(
    -1,
  )!;
  const { outcome: _, ...note } = JSON.parse(Deno.readTextFileSync(kept));
  Deno.writeTextFileSync(kept, JSON.stringify(note));
  assertEquals(nameIn(await join(server, paths)), "a");
  assertEquals(published(dir), ["a"]);
  assertEquals(Deno.readTextFileSync(`${dir}/a`), "helloworld");
});

integration("tus: a part that is being joined is joined with no others", async () => {
  await using held = await hold();
  const { server, dir } = held;
  const [one, two, three] = await parts(server, "one", "two", "three") as [string, string, string];
  using wire = await joining(server, [one, two]);
  await held.beginning(1);
  for (const others of [[two, one], [one], [three, two]]) {
    const refused = await join(server, others);
    assertEquals([refused.status, problemIn(refused).code], [423, "wait"]);
  }
  held.go();
  assertEquals(await wire.status(), 201);
  assertEquals((await join(server, [two, one])).status, 400);
  assertEquals((await join(server, [three], "b")).status, 201);
  assertEquals(Deno.readTextFileSync(`${dir}/a`), "onetwo");
  assertEquals(Deno.readTextFileSync(`${dir}/b`), "three");
});

integration("tus: to remove a part ends its joining, and no file appears after that", async () => {
  await using held = await hold();
  const { server, dir } = held;
  const [one, two] = await parts(server, "hello", "world") as [string, string];
  using wire = await joining(server, [one, two]);
  await held.beginning(1);
  const found = held.found();
  const removing = ask(server, "DELETE", one);
  await found;
  held.go();
  assertEquals((await removing).status, 204);
  const response = (await wire.response())!;
  assertEquals([response.status, problemIn(response).code], [409, "changed"]);
  assertEquals(published(dir), []);
  assertEquals((await head(server, one)).status, 404);
  assertEquals((await join(server, [one, two])).status, 404);
  // The other one is as it was.
  assertEquals(await offsetOf(server, two), 5);
  assertEquals((await join(server, [two])).status, 201);
  // A part of what is stored is only forgotten.
  assertEquals((await ask(server, "DELETE", two)).status, 204);
  assertEquals(published(dir), ["a"]);
  assertEquals(Deno.readTextFileSync(`${dir}/a`), "world");
});

integration("tus: two large files are joined at once, and who waits can leave", async () => {
  await using held = await hold();
  const { server, dir } = held;
  const large: string[] = [];
  for (let count = 0; count < 4; count++) {
    const size = 9 * 1024 * 1024;
    using wire = await HttpWire.dial(server);
    const fields = { "Upload-Length": size, "Content-Length": size, "Upload-Concat": "partial" };
    await wire.says(requestOf("POST", "/uploads/", { ...fields, ...BYTES }));
    await wire.says(new Uint8Array(size));
    large.push(pathIn((await wire.response())!));
  }
  const [small] = await parts(server, "small");
  using _one = await joining(server, [large[0]!]);
  using _two = await joining(server, [large[1]!]);
  await held.beginning(2);
  {
    using _left = await joining(server, [large[2]!]);
    using three = await joining(server, [large[3]!]);
    // Small ones wait for nobody.
    using other = await joining(server, [small!]);
    await held.beginning(3);
    // That one has left the queue.
    await three.closeWrite();
    assertEquals((await three.response())?.status, 400);
    assertEquals(held.begun, 3);
    held.go();
    assertEquals(await other.status(), 201);
  }
  // It left later, and its turn has come.
  for (const path of large.slice(0, 3)) assertEquals((await join(server, [path])).status, 201);
  assertEquals(published(dir), ["a", "a (2)", "a (3)", "a (4)"]);
});

integration("tus: a part counts once, and joined parts as one file of their size", async () => {
  await using local = await tempDir();
  const facts = { type: 0, bsize: 1, blocks: 1000, bavail: 30 };
  const space = new DiskSpace(() => facts);
  const store = await DirectoryStore.open(local.path, { space });
  await using server = await serveHere({ dir: local.path, store, maxBytes: 20 });
  const [one, two, three] = await parts(server, "01234567", "89abcdef", "ghijklmn");
  const refused: [string[], number, string][] = [
    [[one!, one!], 400, "bad-request"],
    [[one!, two!, one!], 400, "bad-request"],
    [[one!, two!, three!], 413, "too-large"],
  ];
  for (const [paths, ...answer] of refused) {
    const response = await join(server, paths);
    assertEquals([response.status, problemIn(response).code], answer);
  }
  facts.bavail = 15;
  const response = await join(server, [one!, two!]);
  assertEquals([response.status, problemIn(response).code], [507, "no-space"]);
  assertEquals(published(local.path), []);
  facts.bavail = 100;
  assertEquals((await join(server, [one!, two!])).status, 201);
  assertEquals(Deno.readTextFileSync(`${local.path}/a`), "0123456789abcdef");
  assertEquals(await offsetOf(server, three!), 8);
  assertEquals(names(local.path).filter((name) => name === "(in flight)"), []);
});
