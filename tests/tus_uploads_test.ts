/**
 * What a server of ours promises of uploads by tus beyond the protocol: names, cuts, crashes, clients
 * that meet, users, limits, and clients of other kinds that go on.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { fingerprintOf } from "../lib/body/fingerprint.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import { DEAD_MS } from "../web/tus_append.ts";
import {
  anHourPasses,
  bytes,
  integration,
  names,
  onTmpfs,
  ownFiles,
  type Reachable,
  runClient,
  startServer,
  tempDir,
  type TestServer,
  uploadGrows,
} from "./helpers.ts";
import { HttpWire, problemIn } from "./http_wire.ts";
import { serveHere } from "./in_process.ts";
import { offered } from "./resuming.ts";
import {
  ask,
  begin,
  BYTES,
  type Fields,
  head,
  metadata,
  offsetOf,
  patch,
  pathIn,
  requestOf,
} from "./tus_wire.ts";
import { makeUsers } from "./user_files.ts";
import { Wire } from "./wire.ts";

const TEN: Fields = { "Upload-Length": 10, ...metadata({ filename: "a.txt" }) };

/** Every file that clients see, with its content. */
function published(server: TestServer): Record<string, string> {
  const files = names(server.dir).filter((name) => !/^(\(|\.inlet)/.test(name));
  return Object.fromEntries(
    files.map((name) => [name, Deno.readTextFileSync(`${server.dir}/${name}`)]),
  );
}

/** The paths of the notes on uploads. */
function notes(server: { dir: string }): string[] {
  return ownFiles(server.dir).filter((path) => /\/upload-[^/]*\.note$/.test(path));
}

/** Text, a character a byte. */
function latin1(content: Uint8Array): string {
  return Array.from(content, (byte) => String.fromCharCode(byte)).join("");
}

/** A `PATCH` whose connection stays open, with a part of its body. */
async function patching(
  server: Reachable,
  path: string,
  part: string,
  size = 10,
): Promise<HttpWire> {
  const wire = await HttpWire.dial(server);
  const fields = { ...BYTES, "Upload-Offset": 0, "Content-Length": size };
  await wire.says(requestOf("PATCH", path, fields) + part);
  return wire;
}

integration(
  "tus: a file has the name that its client gave, and never replaces another",
  async () => {
    await using server = await startServer();
    const given: [Record<string, string>, string][] = [
      [{ filename: "naïve café ☕.txt" }, "naïve café ☕.txt"],
      [{ name: "b.txt", type: "text/plain" }, "b.txt"],
      [{ name: "b.txt", filename: "c.txt" }, "c.txt"],
      [{ filename: "c.txt", relativePath: "null" }, "c (2).txt"],
      [{ filename: "d.txt", relativePath: "photos/2026/d.txt" }, "photos/2026/d.txt"],
      [{ relativePath: "photos/e.txt" }, "photos/e.txt"],
      [{}, "upload"],
      [{}, "upload (2)"],
    ];
    for (const [values, name] of given) {
      const fields = {
        "Upload-Length": 5,
        ...BYTES,
        ...Object.keys(values).length && metadata(values),
      };
      const created = await ask(server, "POST", "/uploads/", fields, "hello");
      const body = JSON.parse(new TextDecoder().decode(created.body));
      assertEquals([created.status, body], [201, { name, size: 5 }]);
      assertEquals(decodeURIComponent(created.headers["inlet-name"]!), name);
      const got = await ask(server, "GET", created.headers["content-location"]!);
      assertEquals(new TextDecoder().decode(got.body), "hello");
      const again = await head(server, pathIn(created));
      assertEquals(again.headers["inlet-name"], created.headers["inlet-name"]);
    }
  },
);

integration("tus: a file has the time that its client gave", async () => {
  await using server = await startServer();
  const modified = "2001-02-03T04:05:06.789Z";
  const fields = { "Upload-Length": 10, ...metadata({ filename: "a.txt", modified }) };
  const path = await begin(server, fields);
  await patch(server, path, 0, "hello");
  await patch(server, path, 5, "world");
  assertEquals(Deno.statSync(`${server.dir}/a.txt`).mtime?.toISOString(), modified);
  // Another client may mean something else by the word, and its file is stored all the same.
  const began = Date.now();
  for (const other of ["yesterday", "2001-02-30T99:05:06Z", "", "981173106789", "\xff"]) {
    const unread = { "Upload-Length": 5, ...metadata({ filename: "b.txt", modified: other }) };
    assertEquals((await patch(server, await begin(server, unread), 0, "hello")).status, 204, other);
    // The clock of a disk may be a little behind.
    assert(Deno.statSync(`${server.dir}/b.txt`).mtime!.getTime() > began - 60_000, other);
    Deno.removeSync(`${server.dir}/b.txt`);
  }
});

integration("tus: names that lead elsewhere are refused before anything is made", async () => {
  await using server = await startServer();
  const bad: Record<string, string>[] = [
    { filename: "../a" },
    { filename: "a/b" },
    { filename: ".." },
    { filename: "a\0b" },
    { filename: ".inlet" },
    { filename: "a", relativePath: "../x/a" },
    { filename: "a", relativePath: "/etc/a" },
    { filename: "a", relativePath: "x//a" },
    { filename: "a", relativePath: ".inlet/a" },
    { relativePath: "x/" },
  ];
  for (const values of bad) {
    const fields = { "Upload-Length": 5, ...BYTES, ...metadata(values) };
    const refused = await ask(server, "POST", "/uploads/", fields, "hello");
    assertEquals(
      [refused.status, problemIn(refused).code],
      [400, "bad-name"],
      `${values.filename}`,
    );
  }
  const garbled = { "Upload-Length": 5, "Upload-Metadata": "filename /w==" };
  assertEquals((await ask(server, "POST", "/uploads/", garbled)).status, 400);
  assertEquals(names(server.dir), []);
});

integration(
  "tus: a PATCH that is cut at any byte keeps what came, and can be completed",
  async () => {
    await using server = await startServer();
    const body = "hello world";
    const size = { "Upload-Length": body.length, ...metadata({ filename: "a.txt" }) };
    let path = await begin(server, size);
    const fields = { ...BYTES, "Upload-Offset": 0, "Content-Length": body.length };
    const whole = requestOf("PATCH", path, fields) + body;
    const headLength = whole.length - body.length;
    let stored = 0;
    for (let cut = 1; cut < whole.length; cut++) {
      {
        using wire = await HttpWire.dial(server);
        await wire.says(requestOf("PATCH", path, fields).concat(body).slice(0, cut));
        await wire.closeWrite();
        await wire.response().catch(() => {});
      }
      const kept = Math.max(0, cut - headLength);
      assertEquals(await offsetOf(server, path), kept, `${cut}`);
      if (kept === 0) continue;
      const last = await patch(server, path, kept, body.slice(kept));
      assertEquals(last.status, 204);
      stored++;
      path = await begin(server, size);
    }
    assertEquals([...new Set(Object.values(published(server)))], [body]);
    assertEquals(Object.keys(published(server)).length, stored);
  },
);

integration("tus: a checksum makes a PATCH that is cut count for nothing", async () => {
  await using server = await startServer();
  const path = await begin(server, TEN);
  await patch(server, path, 0, "he");
  {
    using wire = await HttpWire.dial(server);
    const sum = createHash("sha256").update("lloworld").digest("base64");
    const fields = { "Upload-Offset": 2, "Content-Length": 8, "Upload-Checksum": `sha256 ${sum}` };
    await wire.says(`${requestOf("PATCH", path, { ...BYTES, ...fields })}llo`);
    await wire.closeWrite();
    await wire.response().catch(() => {});
  }
  assertEquals(await offsetOf(server, path), 2);
  const kept = ownFiles(server.dir).find((path) => path.endsWith(".temp"))!;
  assertEquals(Deno.readTextFileSync(kept), "he");
  const sumOf = (body: string): string =>
    new Uint8Array(new Uint32Array([crc32(body)]).buffer).toReversed().toBase64();
  const sums: [string, number][] = [
    [sumOf("lloWorld"), 460],
    // Too short, and half padded; but without padding it is what it is with it.
    [sumOf("lloworld").slice(0, -3), 400],
    [sumOf("lloworld").slice(0, -1), 400],
    [sumOf("lloworld").slice(0, -2), 204],
  ];
  for (const [sum, status] of sums) {
    const fields = { "Upload-Checksum": `crc32 ${sum}` };
    assertEquals((await patch(server, path, 2, "lloworld", fields)).status, status, sum);
  }
  assertEquals(published(server), { "a.txt": "helloworld" });
});

integration(
  "tus: an upload survives a server that is killed, in and between requests",
  async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    const first = await startServer({ dir });
    const within = await begin(first, { ...TEN, ...metadata({ filename: "b.txt" }) });
    using wire = await patching(first, within, "hel");
    await uploadGrows(dir, 3);
    const between = await begin(first, TEN);
    await patch(first, between, 0, "hello");
    await first.running.stop("SIGKILL");
    assertEquals(await wire.ends(), true);
    await using second = await startServer({ dir });
    assertEquals([await offsetOf(second, between), await offsetOf(second, within)], [5, 3]);
    // Another server could be writing what was written just now.
    anHourPasses(dir);
    assertEquals((await patch(second, between, 5, "world")).status, 204);
    assertEquals((await patch(second, within, 3, "loworld")).status, 204);
    assertEquals(published(second), { "a.txt": "helloworld", "b.txt": "helloworld" });
  },
);

integration("tus: HEAD publishes what a killed server had whole and not published", async () => {
  await using server = await startServer();
  const path = await begin(server, { ...TEN, "Upload-Length": 11 });
  await patch(server, path, 0, "helloworld");
  const [note] = notes(server);
  Deno.writeTextFileSync(note!, Deno.readTextFileSync(note!).replace('"size":11', '"size":10'));
  const { headers } = await head(server, path);
  assertEquals([headers["upload-offset"], headers["inlet-name"]], ["10", "a.txt"]);
  assertEquals(published(server), { "a.txt": "helloworld" });
});

integration("tus: while bytes of an upload arrive, other requests for it get 423", async () => {
  await using local = await tempDir();
  // In this process: when it does not run, neither the bytes nor the server's clock go on.
  await using server = await serveHere({ dir: local.path });
  const path = await begin(server, { ...TEN, "Upload-Length": 1_000_000 });
  using sending = await patching(server, path, "a", 1_000_000);
  await uploadGrows(local.path, 1);
  const dripping = setInterval(() => sending.says("a"), 20);
  try {
    const others = await Promise.all([patch(server, path, 1, "b"), head(server, path)]);
    assertEquals(others.map(({ status }) => status), [423, 423]);
  } finally {
    clearInterval(dripping);
  }
  sending[Symbol.dispose]();
  const offset = await offsetOf(server, path);
  const kept = ownFiles(local.path).find((path) => path.endsWith(".temp"))!;
  assertEquals(Deno.readTextFileSync(kept), "a".repeat(offset));
});

/** Keeps this whole process from running, as a call into a disk that hangs does. */
function hang(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

integration("tus: what came while the server hung is read before the upload is taken", async () => {
  await using local = await tempDir();
  await using server = await serveHere({ dir: local.path });
  for (const method of ["HEAD", "PATCH"]) {
    const path = await begin(server, TEN);
    using sending = await patching(server, path, "he");
    await uploadGrows(local.path, 2);
    const waiting = method === "HEAD" ? head(server, path) : undefined;
    // The server has that by the answer to this one.
    await ask(server, "OPTIONS", "/uploads/");
    const sent = sending.says("llo");
    const asking = waiting ?? patch(server, path, 2, "LLOWORLD");
    hang(1.5 * DEAD_MS);
    await sent;
    assertEquals((await asking).status, 423, method);
    await sending.says("world");
    assertEquals((await sending.response())?.status, 204, method);
  }
  for (const name of ["a.txt", "a (2).txt"]) {
    assertEquals(Deno.readTextFileSync(`${local.path}/${name}`), "helloworld");
  }
});

integration("tus: what came while the server hung is read before the length is taken", async () => {
  await using local = await tempDir();
  const store = await DirectoryStore.open(local.path);
  await using server = await serveHere({ dir: local.path, store });
  const path = await begin(server, { "Upload-Defer-Length": 1 });
  using sending = await patching(server, path, "he");
  await uploadGrows(local.path, 2);
  const find = store.ongoing.find.bind(store.ongoing);
  let sent: Promise<void> | undefined;
  store.ongoing.find = async (id) => {
    const found = await find(id);
    store.ongoing.find = find;
    sent = sending.says("llo");
    hang(1.5 * DEAD_MS);
    return found;
  };
  assertEquals((await patch(server, path, 5, "LOWOR", { "Upload-Length": 10 })).status, 423);
  await sent;
  await sending.says("world");
  assertEquals((await sending.response())?.status, 204);
  assertEquals((await head(server, path)).headers["upload-length"], undefined);
});

integration("tus: HEAD takes an upload over from a PATCH in which nothing moves", async () => {
  await using server = await startServer();
  const path = await begin(server, TEN);
  using dead = await patching(server, path, "hello");
  await uploadGrows(server.dir, 5);
  // A PATCH does so too, and finds out then where the upload ends.
  let early = 423;
  while (early === 423) early = (await patch(server, path, 0, "WORLD")).status;
  assertEquals(early, 409);
  assertEquals(await offsetOf(server, path), 5);
  const told = await dead.response();
  assertEquals([told?.status, told && problemIn(told).code], [423, "aborted"]);
  await dead.says("WORLD");
  assertEquals(await dead.ends(), true);
  assertEquals((await patch(server, path, 5, "world")).status, 204);
  assertEquals(published(server), { "a.txt": "helloworld" });
});

integration("tus: what another program removed meanwhile is not told as kept", async () => {
  await using server = await startServer();
  const path = await begin(server, TEN);
  using wire = await patching(server, path, "he", 5);
  await uploadGrows(server.dir, 2);
  // What it writes beside that does not stay.
  const files = ownFiles(server.dir).filter((path) =>
    /\/[0-9a-f]{64}-[0-9a-f]{32}\.temp$/.test(path)
  );
  for (const path of files) Deno.removeSync(path);
  await wire.says("llo");
  const told = (await wire.response())!;
  assertEquals([files.length, told.status, problemIn(told).code], [1, 400, "aborted"]);
  assertEquals(await offsetOf(server, path), 0);
});

integration("tus: of many requests at once for one offset one counts", async () => {
  await using server = await startServer();
  const path = await begin(server, { ...TEN, "Upload-Length": 8 });
  const bodies = Array.from({ length: 8 }, (_, index) => String(index).repeat(4));
  for (const offset of [0, 4]) {
    const responses = await Promise.all(bodies.map((body) => patch(server, path, offset, body)));
    const statuses = responses.map(({ status }) => status);
    assertEquals(statuses.filter((status) => status === 204).length, 1, statuses.join());
    assert(statuses.every((status) => [204, 409, 423].includes(status)), statuses.join());
  }
  assertMatch(published(server)["a.txt"]!, /^(\d)\1{3}(\d)\2{3}$/);
});

integration(
  "tus: bytes with a checksum that a killed server did not verify do not count",
  async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    const first = await startServer({ dir });
    const path = await begin(first, TEN);
    await patch(first, path, 0, "hel");
    using wire = await HttpWire.dial(first);
    const sum = createHash("sha1").update("loworld").digest("base64");
    const fields = { "Upload-Offset": 3, "Content-Length": 7, "Upload-Checksum": `sha1 ${sum}` };
    await wire.says(`${requestOf("PATCH", path, { ...BYTES, ...fields })}XX`);
    await uploadGrows(dir, 5);
    await first.running.stop("SIGKILL");
    await using second = await startServer({ dir });
    assertEquals(await offsetOf(second, path), 3);
    // Another server could be writing what was written just now.
    anHourPasses(dir);
    assertEquals((await patch(second, path, 3, "lo")).status, 204);
    assertEquals(await offsetOf(second, path), 5);
    const sum2 = createHash("sha1").update("world").digest("base64");
    const rest = await patch(second, path, 5, "world", { "Upload-Checksum": `sha1 ${sum2}` });
    assertEquals(rest.status, 204);
    assertEquals(published(second), { "a.txt": "helloworld" });
  },
);

integration(
  "tus: a HEAD that takes over a PATCH with a checksum keeps none of its bytes",
  async () => {
    await using server = await startServer();
    const path = await begin(server, TEN);
    await patch(server, path, 0, "hel");
    using wire = await HttpWire.dial(server);
    const sum = createHash("sha1").update("loworld").digest("base64");
    const fields = { "Upload-Offset": 3, "Content-Length": 7, "Upload-Checksum": `sha1 ${sum}` };
    await wire.says(`${requestOf("PATCH", path, { ...BYTES, ...fields })}XX`);
    await uploadGrows(server.dir, 5);
    assertEquals(await offsetOf(server, path), 3);
    assertEquals((await patch(server, path, 3, "loworld")).status, 204);
    assertEquals(published(server), { "a.txt": "helloworld" });
  },
);

integration("tus: an upload belongs to the user who began it", async () => {
  await using users = await makeUsers({ ben: "all", ann: "all", eve: "read" });
  await using server = await startServer({ args: ["--users", users.file] });
  const secure = { port: server.port, key: users.token("ben") };
  const as = (name: string): Fields => ({
    Authorization: `Basic ${
      new TextEncoder().encode(`${name}:${users.password(name)}`).toBase64()
    }`,
  });
  assertEquals((await ask(secure, "POST", "/uploads/", TEN)).status, 401);
  const refused = await ask(secure, "POST", "/uploads/", { ...TEN, ...as("eve") });
  assertEquals([refused.status, problemIn(refused).code], [403, "denied"]);
  const path = pathIn(await ask(secure, "POST", "/uploads/", { ...TEN, ...as("ben") }));
  assertEquals((await patch(secure, path, 0, "hello", as("ben"))).status, 204);
  for (const method of ["HEAD", "DELETE"]) {
    assertEquals((await ask(secure, method, path, as("ann"))).status, 404, method);
  }
  assertEquals((await patch(secure, path, 5, "WORLD", as("ann"))).status, 404);
  assertEquals((await patch(secure, path, 5, "world", as("ben"))).status, 204);
  assertEquals(published(server), { "a.txt": "helloworld" });
  const part = { ...TEN, "Upload-Length": 0, "Upload-Concat": "partial" };
  const mine = pathIn(await ask(secure, "POST", "/uploads/", { ...part, ...as("ben") }));
  const joined = { "Upload-Concat": `final;${mine}` };
  assertEquals((await ask(secure, "POST", "/uploads/", { ...joined, ...as("ann") })).status, 404);
});

integration(
  "tus: addresses have 128 random bits, and neither lists nor the disk tell them",
  async () => {
    await using server = await startServer();
    const paths = await Promise.all(Array.from({ length: 20 }, () => begin(server, TEN)));
    const ids = paths.map((path) => /^\/uploads\/([0-9a-f]{32})$/.exec(path)![1]!);
    assertEquals(new Set(ids).size, 20);
    for (let digit = 0; digit < 32; digit++) {
      assertNotEquals(
        new Set(ids.map((id) => id[digit])).size,
        1,
        `digit ${digit} is always the same`,
      );
    }
    const text = ownFiles(server.dir).map((path) => path + Deno.readTextFileSync(path)).join();
    for (const id of ids) assert(!text.includes(id));
    const list = await ask(server, "GET", "/files/", { Accept: "application/json" });
    assertEquals(JSON.parse(new TextDecoder().decode(list.body)), { files: [] });
    assertEquals((await ask(server, "GET", "/uploads/")).status, 405);
  },
);

integration("tus: the limits of other uploads hold", async () => {
  await using server = await startServer({ args: ["--max-size", "10"] });
  const path = await begin(server, { "Upload-Defer-Length": 1 });
  assertEquals((await patch(server, path, 0, "0123456789a")).status, 413);
  using wire = await HttpWire.dial(server);
  const chunked = { ...BYTES, "Upload-Offset": 0, "Transfer-Encoding": "chunked" };
  const body = "8\r\n01234567\r\n4\r\n89ab\r\n0\r\n\r\n";
  assertEquals((await wire.asks(requestOf("PATCH", path, chunked) + body)).status, 413);
  const { "Upload-Offset": _, ...created } = { ...chunked, "Upload-Defer-Length": 1 };
  const before = ownFiles(server.dir).length;
  using posting = await HttpWire.dial(server);
  assertEquals((await posting.asks(requestOf("POST", "/uploads/", created) + body)).status, 413);
  assertEquals(ownFiles(server.dir).length, before);
  // What follows a chunk that was too much does not take its place.
  const late = await begin(server, TEN);
  using more = await HttpWire.dial(server);
  const chunks = "5\r\n01234\r\n6\r\n56789a\r\n5\r\n56789\r\n0\r\n\r\n";
  assertEquals((await more.asks(requestOf("PATCH", late, chunked) + chunks)).status, 413);
  assertEquals(await offsetOf(server, late), 5);
  const short = await begin(server, { ...TEN, "Upload-Length": 3 });
  assertEquals((await patch(server, short, 0, "0123")).status, 413);
  for (const args of [["--read-only"], ["--keep-partials", "0"]]) {
    await using closed = await startServer({ args });
    const refused = await ask(closed, "POST", "/uploads/", TEN);
    assertEquals([refused.status, problemIn(refused).code], [403, "denied"], args.join(" "));
    assertEquals((await head(closed, path)).status, 404);
  }
  assertEquals(published(server), {});
});

integration(
  "tus: what the disk has no room for is refused when the upload is created",
  async () => {
    await using local = await tempDir();
    const under = onTmpfs(local.path, "size=1m");
    await using server = await startServer({ dir: `${local.path}/received`, under });
    const refused = await ask(server, "POST", "/uploads/", { ...TEN, "Upload-Length": 2_000_000 });
    assertEquals([refused.status, problemIn(refused).code], [507, "no-space"]);
    assertEquals((await ask(server, "POST", "/uploads/", TEN)).status, 201);
  },
  { mounts: true },
);

integration("tus: a drop-only server stores, and tells the name that was asked for", async () => {
  await using server = await startServer({ args: ["--drop-only"] });
  for (const _ of [1, 2]) {
    const path = await begin(server, TEN);
    const last = await patch(server, path, 0, "helloworld");
    assertEquals([last.status, last.headers["inlet-name"]], [204, "a.txt"]);
  }
  assertEquals(Object.keys(published(server)), ["a (2).txt", "a.txt"]);
});

integration("tus: what expires is gone, and what is completed leaves only its file", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  const args = ["--keep-partials", "30m"];
  {
    await using server = await startServer({ dir, args });
    const path = await begin(server, TEN);
    const before = Date.now();
    const { headers } = await patch(server, path, 0, "hello");
    const begun = Date.parse(headers["upload-expires"]!) - 30 * 60_000;
    // In whole seconds, and by the clock of a disk, which may be a little behind.
    assert(begun > before - 2000 && begun <= Date.now(), `${begun - before}`);
    const done = await begin(server, TEN);
    await patch(server, done, 0, "helloworld");
    const ended = await begin(server, TEN);
    await patch(server, ended, 0, "hello");
    assertEquals((await ask(server, "DELETE", ended)).status, 204);
    assertEquals(ownFiles(dir).length, 3);
    anHourPasses(dir);
    for (const gone of [path, done]) assertEquals((await head(server, gone)).status, 404);
    assertEquals((await patch(server, path, 5, "world")).status, 404);
  }
  await using server = await startServer({ dir, args });
  assertEquals(ownFiles(dir), []);
  assertEquals(published(server), { "a.txt": "helloworld" });
});

integration("tus: the same parts are joined once, however often that is asked for", async () => {
  await using server = await startServer();
  const part = async (body: string): Promise<string> => {
    const fields = { "Upload-Length": 5, "Upload-Concat": "partial", ...BYTES };
    return pathIn(await ask(server, "POST", "/uploads/", fields, body));
  };
  const [one, two] = [await part("hello"), await part("world")];
  const joined = { "Upload-Concat": `final;${one} ${two}`, ...metadata({ filename: "a.txt" }) };
  const ask3 = Array.from({ length: 3 }, () => ask(server, "POST", "/uploads/", joined));
  const responses = [...await Promise.all(ask3), await ask(server, "POST", "/uploads/", joined)];
  for (const response of responses) {
    const body = JSON.parse(new TextDecoder().decode(response.body));
    assertEquals([response.status, body], [201, { name: "a.txt", size: 10 }]);
  }
  const other = { ...joined, "Upload-Concat": `final;${two} ${one}` };
  assertEquals((await ask(server, "POST", "/uploads/", other)).status, 400);
  const unfinished = await begin(server, { "Upload-Length": 5, "Upload-Concat": "partial" });
  const early = { ...joined, "Upload-Concat": `final;${unfinished}` };
  assertEquals((await ask(server, "POST", "/uploads/", early)).status, 400);
  assertEquals(published(server), { "a.txt": "helloworld" });
  assertEquals(ownFiles(server.dir).filter((path) => path.endsWith(".temp")), []);
});

/** The fingerprint by which the native client finds its file. */
async function fingerprintOfFile(path: string, content: Uint8Array): Promise<string> {
  const modified = Deno.statSync(path).mtime!;
  return await fingerprintOf({ size: content.length, modified }, (offset, into) => {
    const part = content.subarray(offset, offset + into.length);
    into.set(part);
    return part.length;
  });
}

integration("the native client finishes what a tus client began, with --resume", async () => {
  await using local = await tempDir();
  await using server = await startServer();
  const content = bytes(3_000_000);
  const file = await local.write("disk.img", content);
  const fingerprint = await fingerprintOfFile(file, content);
  const path = await begin(server, {
    "Upload-Length": content.length,
    ...metadata({ filename: "from the page.img", fingerprint }),
  });
  const begun = latin1(content.subarray(0, 1_500_000));
  assertEquals((await patch(server, path, 0, begun)).status, 204);
  const { code, stderr } = await runClient(server, [file, "--resume"]);
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /disk\.img: resuming at 1\.43 MiB of 2\.86 MiB/);
  assertEquals(names(server.dir).filter((name) => !name.startsWith(".inlet/")), ["disk.img"]);
  assertEquals(Deno.readFileSync(`${server.dir}/disk.img`), content);
  const { headers } = await head(server, path);
  assertEquals(
    [headers["upload-offset"], headers["inlet-name"]],
    [String(content.length), "disk.img"],
  );
});

integration("a tus client goes on with what a native client added to its upload", async () => {
  await using server = await startServer();
  const content = bytes(2_500_000);
  const fingerprint = createHash("sha256").update(content).digest("hex");
  const path = await begin(server, {
    "Upload-Length": content.length,
    ...metadata({ filename: "a.bin", fingerprint }),
  });
  await patch(server, path, 0, latin1(content.subarray(0, 1_000_000)));
  const asked = { id: fingerprint, size: content.length, name: "b.bin" };
  {
    using stranger = await Wire.greet(server);
    const wrong = await offered(stranger, content, { ...asked, prove: () => "0".repeat(64) });
    assertEquals(wrong.offset, 0);
  }
  {
    using wire = await Wire.greet(server);
    assertEquals((await offered(wire, content, asked)).offset, 1_000_000);
    await wire.says(content.subarray(1_000_000, 2_000_000));
    await uploadGrows(server.dir, 2_000_000);
  }
  assertEquals(await offsetOf(server, path), 2_000_000);
  const last = await patch(server, path, 2_000_000, latin1(content.subarray(2_000_000)));
  assertEquals([last.status, last.headers["inlet-name"]], [204, "a.bin"]);
  assertEquals(Deno.readFileSync(`${server.dir}/a.bin`), content);
});
