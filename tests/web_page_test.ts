/**
 * The page for browsers as the server sends it: its files, who gets them, and what they may load.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Connection } from "../lib/net/connection.ts";
import { PAGE_FILES } from "../web/page_files.ts";
import { bytes, integration, KEY, names, ROOT, startServer, tempDir } from "./helpers.ts";
import { HttpWire, problemIn } from "./http_wire.ts";
import { serveHere } from "./in_process.ts";

/** A request without a key, with further fields. */
function get(path: string, fields = "", method = "GET"): string {
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`;
}

async function readSome(connection: Deno.Conn): Promise<Uint8Array> {
  const buffer = new Uint8Array(100);
  return buffer.subarray(0, await connection.read(buffer) ?? 0);
}

async function unpacked(bytes: Uint8Array): Promise<string> {
  const packed = new Blob([bytes.slice()]).stream();
  return await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text();
}

integration("every file of web/page/ is served as it lies there, and no other", async () => {
  await using server = await startServer();
  using wire = await HttpWire.dial(server);
  const files = [...Deno.readDirSync(new URL("web/page/", ROOT))].map(({ name }) => name);
  assertEquals(Object.keys(PAGE_FILES).sort(), [...files, "tus.js"].sort());
  for (const name of files) {
    const { status, headers, body } = await wire.asks(get(`/page/${name}`));
    assertEquals(status, 200);
    assertMatch(headers["content-type"]!, /^text\/(css|html|javascript); charset=utf-8$/);
    const text = await Deno.readTextFile(new URL(`web/page/${name}`, ROOT));
    assertEquals(new TextDecoder().decode(body), text, name);
  }
  const refused = ["", "page", "none.js", "../page.ts", "page.js/", "toString", "__proto__"];
  for (const name of refused) {
    const { status } = await wire.asks(get(`/page/${name}`));
    assertEquals(status, name.startsWith("..") ? 400 : 404, name);
  }
});

integration(
  "GET / is the page, for curl and for browsers, and it loads from here alone",
  async () => {
    await using server = await startServer({ args: ["--base-path", "/inlet"] });
    using wire = await HttpWire.dial(server);
    const text = await Deno.readTextFile(new URL("web/page/index.html", ROOT));
    for (const accept of ["", "Accept: */*\r\n", "Accept: text/html\r\n"]) {
      const { status, headers, body } = await wire.asks(get("/inlet/", accept));
      assertEquals([status, new TextDecoder().decode(body)], [200, text]);
      assertEquals(
        headers["content-security-policy"],
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
          "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      );
      assertEquals(headers["cross-origin-opener-policy"], "same-origin");
    }
    // Relative addresses are right below a base path, too.
    for (const [, address] of text.matchAll(/(?:src|href|action)="([^"]*)"/g)) {
      assert(/^(data:.*|(page|files)\/[\w.]*|sign-in)$/.test(address!), address);
    }
    assert(!/<script(?![^>]* src=)|<style|\sstyle=|\son\w+=/.test(text));
  },
);

integration("a server that has become full still sends the files of its page", async () => {
  await using server = await startServer({ args: ["--max-clients", "1"] });
  using wire = await HttpWire.dial(server);
  assertEquals((await wire.asks(get("/"))).status, 200);
  using client = await Deno.connect({ port: server.port });
  await client.write(new TextEncoder().encode("hello 1 ben\n"));
  assertMatch(new TextDecoder().decode(await readSome(client)), /^welcome/);
  for (const path of ["/", ...Object.keys(PAGE_FILES).map((name) => `/page/${name}`)]) {
    assertEquals((await wire.asks(get(path))).status, 200, path);
  }
  for (const path of ["/about", "/files/", "/page"]) {
    assertEquals((await wire.asks(get(path))).status, 503, path);
  }
});

/** Holds writes up that have brought out so many bytes: the system has taken them, and nobody knows. */
function holdWritesBehind(bytes: number): Disposable {
  const { write } = Connection.prototype;
  const over = Promise.withResolvers<void>();
  Connection.prototype.write = async function (chunk): Promise<void> {
    await write.call(this, chunk);
    if (this.traffic.out >= bytes) await over.promise;
  };
  return {
    [Symbol.dispose](): void {
      Connection.prototype.write = write;
      over.resolve();
    },
  };
}

integration("whoever has all of a file holds no place, also before the server knows", async () => {
  await using local = await tempDir();
  for (const size of [10_000, 100_000]) await local.write(`${size}`, bytes(size));
  await local.write("other", "");
  await using server = await serveHere({ dir: local.path, maxClients: 1 });
  for (const size of [10_000, 100_000]) {
    using second = await HttpWire.dial(server);
    assertEquals((await second.asks(get("/files/other"))).status, 200);
    using first = await HttpWire.dial(server);
    using _ = holdWritesBehind(size);
    assertEquals((await first.asks(get(`/files/${size}`))).body, bytes(size));
    assertEquals((await second.asks(get("/files/other"))).status, 200, `${size}`);
  }
});

integration("all of the page has less than 60 KB on its way to a browser", async () => {
  await using server = await startServer();
  using wire = await HttpWire.dial(server);
  let bytes = 0;
  for (const name of Object.keys(PAGE_FILES)) {
    const { body } = await wire.asks(get(`/page/${name}`, "Accept-Encoding: gzip\r\n"));
    bytes += body.length;
  }
  assert(bytes > 30_000 && bytes < 60_000, `${bytes} bytes`);
});

integration("a browser that has the page is told so, packed or not", async () => {
  await using server = await startServer();
  using wire = await HttpWire.dial(server);
  const plain = await wire.asks(get("/"));
  const packed = await wire.asks(get("/", "Accept-Encoding: gzip, deflate, br\r\n"));
  assertEquals([plain.headers["content-encoding"], packed.headers["content-encoding"]], [
    undefined,
    "gzip",
  ]);
  assertEquals(await unpacked(packed.body), new TextDecoder().decode(plain.body));
  assert(plain.headers.etag !== packed.headers.etag);
  const gzip = "Accept-Encoding: gzip\r\n";
  const cases: [string, number][] = [
    [`If-None-Match: ${plain.headers.etag}\r\n`, 304],
    [`If-None-Match: ${packed.headers.etag}\r\n`, 200],
    [`${gzip}If-None-Match: ${packed.headers.etag}\r\n`, 304],
    [`${gzip}If-None-Match: "x"\r\n`, 200],
    ["If-None-Match: *\r\n", 304],
    ["Accept-Encoding: gzip;q=0\r\n", 200],
  ];
  for (const [fields, expected] of cases) {
    const { status, headers } = await wire.asks(get("/", fields));
    assertEquals([status, headers["cache-control"], headers.vary], [
      ...[expected, "no-cache", "Accept-Encoding"] as const,
    ], fields);
  }
  const head = await wire.asks(get("/", gzip, "HEAD"));
  assertEquals([head.status, head.headers["content-length"]], [
    ...[200, packed.headers["content-length"]] as const,
  ]);
});

integration("without the key a client gets the page, and nothing else", async () => {
  await using server = await startServer({ key: KEY });
  Deno.writeTextFileSync(`${server.dir}/page`, "secret\n");
  using stranger = await HttpWire.dial(server);
  for (const path of ["/", "/page/page.js", "/page/page.css"]) {
    assertEquals((await stranger.asks(get(path))).status, 200, path);
  }
  for (const path of ["/files/", "/files/page", "/page", "/metrics", "/page/../files/page"]) {
    const response = await stranger.asks(get(path));
    assert([400, 401].includes(response.status), path);
    assertEquals(problemIn(response).code, response.status === 401 ? "denied" : "bad-name");
  }
  for (
    const line of ["POST /", "PUT /", "PUT /page/page.js", "OPTIONS /", "DELETE /page/page.js"]
  ) {
    const [method, path] = line.split(" ") as [string, string];
    const { status } = await stranger.asks(get(path, "Content-Length: 0\r\n", method));
    assertEquals(status, 401, line);
  }
  assertEquals(names(server.dir), ["page"]);
});

integration(
  "a browser that asks for an icon on its own is told of none, and no log is",
  async () => {
    await using server = await startServer({ key: KEY });
    using wire = await HttpWire.dial(server);
    for (const method of ["GET", "HEAD"]) {
      assertEquals((await wire.asks(get("/favicon.ico", "", method))).status, 204);
    }
    assertEquals((await wire.asks(get("/favicon.png"))).status, 401);
    await server.running.stop();
    assertEquals(server.running.log.match(/Cannot .*/g)?.length, 1, server.running.log);
  },
);

integration("PUT stores a file at the root that is called as a route is", async () => {
  await using server = await startServer();
  using wire = await HttpWire.dial(server);
  for (const name of ["page", "metrics", "files", "uploads", "favicon.ico"]) {
    const { status } = await wire.asks(get(`/${name}`, "Content-Length: 0\r\n", "PUT"));
    assertEquals(status, 201, name);
  }
  assertEquals(names(server.dir), ["favicon.ico", "files", "metrics", "page", "uploads"]);
  assertEquals((await wire.asks(get("/page/a", "Content-Length: 0\r\n", "PUT"))).status, 405);
});
