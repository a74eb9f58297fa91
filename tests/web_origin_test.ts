/**
 * Pages of other origins, which a browser on the same machine sends here: by DNS rebinding, by forms and
 * scripts across sites. They can neither read nor store.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { integration, KEY, names, startServer, type TestServer } from "./helpers.ts";
import { HttpWire, problemIn, type Response } from "./http_wire.ts";

/** Sends a request with these fields, and a body if it stores. */
async function ask(
  server: TestServer,
  line: string,
  fields: readonly string[],
): Promise<Response> {
  using wire = await HttpWire.dial(server);
  const body = /^(PUT|POST)/.test(line) ? "hello" : "";
  const length = body === "" ? [] : ["Content-Length: 5", "Content-Type: text/plain"];
  return await wire.asks([`${line} HTTP/1.1`, ...fields, ...length, "", body].join("\r\n"));
}

/** What a `Host` is answered with; `PORT` is the server's, and every other one is as good. */
const HOSTS: Readonly<Record<string, number>> = {
  "127.0.0.1:PORT": 200,
  "127.0.0.1": 200,
  "127.0.0.1:1": 200,
  "192.168.1.5:PORT": 200,
  "[::1]:PORT": 200,
  "[fe80::1]": 200,
  "localhost:PORT": 200,
  "LocalHost": 200,
  "files.example.org": 200,
  "FILES.example.org:443": 200,
  "xn--bcher-kva.example": 200,
  "b\xc3\xbccher.example": 421,
  "example.org": 421,
  "evil.files.example.org": 421,
  "files.example.org.evil.example": 421,
  "files.example.org.": 421,
  "rebound.example:PORT": 421,
  "localhost.evil.example": 421,
  "evil.localhost": 421,
  "127.0.0.1.nip.io": 421,
  "127.1": 421,
  "0x7f000001": 421,
  "2130706433": 421,
  "[::1].evil.example": 421,
  "[evil.example]": 421,
  "[]": 421,
  "::1": 421,
  "127.0.0.1:PORT:1": 421,
  "evil.example@127.0.0.1": 421,
  "127.0.0.1:x": 421,
  "127.0.0.1/evil": 421,
  "": 421,
};

integration("a name that is not this server's gets 421, whatever is asked", async () => {
  const args = ["--public-name", "Files.Example.org", "--public-name", "b\u00fccher.example"];
  await using server = await startServer({ args });
  Deno.writeTextFileSync(`${server.dir}/there`, "hello\n");
  for (const [host, expected] of Object.entries(HOSTS)) {
    const field = `Host: ${host.replace("PORT", String(server.port))}`;
    const { status } = await ask(server, "GET /files/", [field]);
    assertEquals(status, expected, field);
  }
  for (
    const line of ["GET /files/there", "HEAD /files/there", "PUT /a", "OPTIONS /", "GET /none"]
  ) {
    const response = await ask(server, line, ["Host: rebound.example"]);
    assertEquals(response.status, 421, line);
    if (line.startsWith("HEAD")) continue;
    assertEquals(problemIn(response).code, "denied");
  }
  assertEquals(names(server.dir), ["there"]);
});

/** What fields of a browser are answered with; `HOST` is the address, as in `Host`. */
const FIELDS: readonly (readonly [
  fields: readonly string[],
  got: number,
  put: number,
  /** For what is there whatever is stored. */
  start: number,
])[] = [
  // Programs.
  [[], 200, 201, 200],
  // A page of this server, on plain http and on a machine of the network: there only Origin is sent.
  [["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"], 200, 201, 200],
  [["Origin: http://HOST", "Sec-Fetch-Site: same-origin"], 200, 201, 200],
  [["Origin: http://HOST"], 200, 201, 200],
  [["Origin: HTTP://HOST"], 200, 201, 200],
  // What a person types, or has as a bookmark.
  [["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"], 200, 201, 200],
  // A link on a page elsewhere leads to what is there in any case.
  [
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
    ...[403, 403, 200] as const,
  ],
  [
    ["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
    ...[403, 403, 200] as const,
  ],
  // Frames, pictures, scripts, forms and fetch() of a page elsewhere.
  [
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
    ...[403, 403, 403] as const,
  ],
  [
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"],
    ...[403, 403, 403] as const,
  ],
  [["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"], 403, 403, 403],
  [["Sec-Fetch-Site: cross-site"], 403, 403, 403],
  [["Sec-Fetch-Site: sideways"], 403, 403, 403],
  [["Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"], 403, 403, 403],
  [["Origin: http://evil.example"], 403, 403, 403],
  [["Origin: http://evil.example", "Sec-Fetch-Site: same-origin"], 403, 403, 403],
  [["Origin: http://HOST", "Sec-Fetch-Site: cross-site"], 403, 403, 403],
  [["Origin: null"], 403, 403, 403],
  [["Origin: null", "Sec-Fetch-Site: same-origin"], 403, 403, 403],
  [
    ["Origin: null", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
    ...[403, 403, 403] as const,
  ],
  [["Origin: "], 403, 403, 403],
  // Another server on this machine, another scheme, and what only begins or ends alike.
  [["Origin: http://127.0.0.1"], 403, 403, 403],
  [["Origin: http://127.0.0.1:1"], 403, 403, 403],
  [["Origin: http://localhost:PORT"], 403, 403, 403],
  [["Origin: https://HOST"], 403, 403, 403],
  [["Origin: http://HOST.evil.example"], 403, 403, 403],
  [["Origin: http://HOST/"], 403, 403, 403],
  [["Origin: http://evil.example, http://HOST"], 403, 403, 403],
  [["Origin: http://HOST", "Origin: http://evil.example"], 403, 403, 403],
  [["Origin: chrome-extension://abcdefghijklmnop"], 403, 403, 403],
];

integration("a page of another origin can neither read nor store, and programs can", async () => {
  await using server = await startServer();
  Deno.writeTextFileSync(`${server.dir}/there`, "hello\n");
  const host = `127.0.0.1:${server.port}`;
  let stored = 0;
  for (const [fields, got, put, start] of FIELDS) {
    const all = [`Host: ${host}`, ...fields]
      .map((field) => field.replace("HOST", host).replace("PORT", String(server.port)));
    const answers: [string, number][] = [
      ["GET /files/there", got],
      ["HEAD /files/there", got],
      ["GET /files/none", got === 200 ? 404 : got],
      ["PUT /files/a", put],
      ["PUT /a", put],
      ["GET /files/", start],
      ["GET /", start],
      ["GET /metrics", got],
      ["GET /status", got],
      ["HEAD /events", got],
      ["GET /about", got],
      ["GET /page/page.js", got],
      ["POST /talk", got],
      ["POST /sign-out", got === 200 ? 204 : got],
      ["GET /files/?archive=tar", got],
      ["OPTIONS /files/a", got === 200 ? 204 : got],
    ];
    for (const [line, expected] of answers) {
      const response = await ask(server, line, all);
      assertEquals(response.status, expected, `${line} ${fields}`);
      for (const name of Object.keys(response.headers)) {
        assert(!name.startsWith("access-control-"), name);
      }
      if (expected === 201) stored++;
    }
  }
  assertEquals(names(server.dir).length, 1 + stored);
});

integration("the origin of a page over https is https, without the port 443", async () => {
  await using server = await startServer({ key: KEY });
  const origins: [host: string, origin: string, expected: number][] = [
    ["127.0.0.1:5000", "https://127.0.0.1:5000", 200],
    ["localhost:443", "https://localhost", 200],
    ["localhost", "https://localhost", 200],
    ["[::1]:443", "https://[::1]", 200],
    ["localhost:80", "https://localhost", 403],
    ["localhost", "http://localhost", 403],
  ];
  for (const [host, origin, expected] of origins) {
    const fields = [`Host: ${host}`, `Origin: ${origin}`, `Authorization: Bearer ${KEY}`];
    assertEquals((await ask(server, "GET /files/", fields)).status, expected, `${fields}`);
  }
});

integration("a page elsewhere is refused before anybody is asked for a password", async () => {
  await using server = await startServer({ key: KEY });
  const refused = await Promise.all([
    ask(server, "GET /files/", ["Host: rebound.example"]),
    ask(server, "GET /files/", ["Host: localhost", "Sec-Fetch-Site: cross-site"]),
  ]);
  assertEquals(refused.map(({ status }) => status), [421, 403]);
  for (const { headers } of refused) assertEquals(headers["www-authenticate"], undefined);
});

integration("HTTP/1.0 without a Host is served, and one line tells of a foreign one", async () => {
  await using server = await startServer();
  using wire = await HttpWire.dial(server);
  assertEquals((await wire.asks("GET /files/ HTTP/1.0\r\n\r\n")).status, 200);
  const { body } = await ask(server, "GET /", ["Host: evil.example:5000"]);
  const { detail } = JSON.parse(new TextDecoder().decode(body));
  assertEquals(
    detail,
    'Cannot take requests for "evil.example": use the server\'s address, or start it with --public-name NAME',
  );
  await server.running.says(/Cannot take requests for "evil\.example"/);
});
