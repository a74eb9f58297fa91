/**
 * How long the head of a request may take: what its client has not sent counts, and what the server
 * has not read does not. Plain and encrypted.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { integration, KEY, tempDir } from "./helpers.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { ServerStore } from "../lib/store/ongoing.ts";
import type { Maybe } from "../lib/store/store.ts";
import { HttpWire, problemIn } from "./http_wire.ts";
import { serveHere } from "./in_process.ts";

/** Milliseconds that a head may take. */
const HEAD_MS = 1000;

/** Requests that are sent ahead. Less than half of them are in what the parser is given at once. */
const AHEAD = 41;

/** A request. */
function request({ fields }: HttpWire, line: string, more = "", body = ""): string {
  return `${line} HTTP/1.1\r\n${fields}${more}\r\n${body}`;
}

/** Many requests that cost nothing, with a field as long as a cookie. */
function ahead(wire: HttpWire): string {
  return request(wire, "OPTIONS *", `Cookie: ${"x".repeat(701)}\r\n`).repeat(AHEAD);
}

/** A store in which nothing is opened, received or found from `begin` until `end`. */
async function heldStore(path: string) {
  const store: ServerStore = await DirectoryStore.open(path);
  const { ongoing } = store;
  const free = Promise.withResolvers<void>();
  const came = Promise.withResolvers<void>();
  let toCome = Infinity;
  function hold<A extends unknown[], R>(call: (...given: A) => Maybe<R>) {
    return async (...given: A): Promise<R> => {
      if (--toCome === 0) came.resolve();
      if (toCome < Infinity) await free.promise;
      return await call(...given);
    };
  }
  ongoing!.find = hold(ongoing!.find.bind(ongoing));
  store.open = hold(store.open.bind(store));
  store.receive = hold(store.receive.bind(store));
  return {
    store,
    begin: (calls: number) => toCome = calls,
    /** Settles once so many calls wait. */
    held: came.promise,
    end: free.resolve,
  };
}

for (const [manner, key] of Object.entries({ plain: undefined, encrypted: KEY })) {
  integration(`${manner}: what is sent ahead waits for as long as what is before it`, async () => {
    await using local = await tempDir();
    await local.write("small", "hello");
    await local.write("large", new Uint8Array(16 * 1024 * 1024));
    const { store, begin, held, end } = await heldStore(local.path);
    await using server = await serveHere({
      ...{ dir: local.path, store, key, greetingTimeoutMs: HEAD_MS },
    });
    // Nothing holds this one up but its client, which takes nothing.
    using taking = await HttpWire.dial(server);
    await taking.says(request(taking, "GET /files/large") + ahead(taking));
    await taking.more();
    using tus = await HttpWire.dial(server);
    const version = "Tus-Resumable: 1.0.0\r\n";
    const creation = `${version}Content-Length: 0\r\nUpload-Length: 5\r\n`;
    const { headers } = await tus.asks(request(tus, "POST /uploads/", creation));
    const path = new URL(headers.location!, "http://localhost").pathname;
    const length = "Content-Length: 5\r\n";
    const appending = `${version}${length}Upload-Offset: 0\r\n` +
      "Content-Type: application/offset+octet-stream\r\n";
    using getting = await HttpWire.dial(server);
    using putting = await HttpWire.dial(server);
    const first = new Map([
      [getting, request(getting, "GET /files/small")],
      [putting, request(putting, "PUT /files/new", length, "hello")],
      [tus, request(tus, `PATCH ${path}`, appending, "hello")],
    ]);
    begin(first.size);
    for (const [wire, text] of first) await wire.says(text + ahead(wire));
    await held;
    // A head that begins now is late: those that had begun before would be, too.
    using late = await HttpWire.dial(server);
    assertEquals((await late.asks(request(late, "GET /files/"))).status, 200);
    await late.says("GET /fil");
    assertEquals((await late.response())?.status, 408);
    assertEquals(server.failures.map(({ code }) => code), ["timeout"]);
    end();
    const expected = new Map([[taking, 200], [getting, 200], [putting, 201], [tus, 204]]);
    for (const [wire, status] of expected) {
      const statuses: number[] = [];
      while (statuses.length <= AHEAD) statuses.push(await wire.status());
      assertEquals(statuses.join(" "), `${status}${" 204".repeat(AHEAD)}`);
    }
  });

  integration(`${manner}: a head that comes byte by byte is late all the same`, async () => {
    await using local = await tempDir();
    await using server = await serveHere({
      ...{ dir: local.path, key, greetingTimeoutMs: HEAD_MS },
    });
    using wire = await HttpWire.dial(server);
    // Behind a body, and in the same piece.
    const head = request(wire, "PUT /files/a", "Content-Length: 5\r\n", "hello");
    assertEquals((await wire.asks(`${head}GET /`)).status, 201);
    const dripping = setInterval(() => wire.says("a"), 20);
    try {
      const response = (await wire.response())!;
      assertEquals([response.status, problemIn(response).code], [408, "timeout"]);
      assert(await wire.ends());
    } finally {
      clearInterval(dripping);
    }
  });
}
