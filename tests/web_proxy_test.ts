/**
 * Servers behind reverse proxies: nginx with a path of its own for us, and proxies by hand, those that
 * are believed and those that are not.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { credentialOf } from "../lib/auth/credential.ts";
import { InletError } from "../lib/errors.ts";
import { AddressRanges } from "../lib/net/address_ranges.ts";
import { type ByteStream, TcpStream } from "../lib/net/byte_stream.ts";
import { connectTls } from "../lib/net/tls_connect.ts";
import { ProxyArrivals } from "../lib/server/proxy_arrivals.ts";
import { forwardedIn } from "../web/forwarded.ts";
import {
  assertRefused,
  bytes,
  dial,
  freePort,
  integration,
  KEY,
  names,
  pure,
  readAll,
  run,
  runClient,
  Running,
  runScript,
  sendTo,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { HttpWire, problemIn, type Response } from "./http_wire.ts";
import { memoryPair } from "./memory_stream.ts";
import { Wire } from "./wire.ts";

const HOST = "Host: localhost\r\n";

pure("AddressRanges knows addresses and ranges, IPv4 within IPv6 too", () => {
  const ranges = new AddressRanges(["10.0.0.0/8", "192.0.2.7", "2001:db8::/33", "::1"], "it");
  const known = ["10.255.0.1", "192.0.2.7", "::ffff:10.1.1.1", "[2001:db8:7fff::1]", "[::1]"];
  const others = ["11.0.0.1", "192.0.2.8", "2001:db8:8000::", "::2", "localhost", "", "10.0.0"];
  for (const host of known) assert(ranges.has(host), host);
  for (const host of others) assert(!ranges.has(host), host);
  assert(new AddressRanges(["::ffff:0:0/96"], "it").has("203.0.113.1"));
  assert(new AddressRanges(["0.0.0.0/0"], "it").has("203.0.113.1"));
  assert(!new AddressRanges(["0.0.0.0/0"], "it").has("2001:db8::1"));
  assert(!new AddressRanges([], "it").has("127.0.0.1"));
  for (const text of ["", "10.0.0.0/33", "::/129", "host", "10.0.0.256", "1.2.3", "10.0.0.0/x"]) {
    assertThrows(() => new AddressRanges([text], "it"), InletError, "give an address");
  }
});

pure("ProxyArrivals keeps no connection that comes when the server has begun to stop", async () => {
  const arrivals = new ProxyArrivals(600_000);
  const [silent] = memoryPair();
  const waiting = arrivals.identify(silent);
  arrivals.close();
  const [late] = memoryPair();
  assertEquals(await arrivals.identify(late), undefined);
  assert(silent.isClosed && late.isClosed);
  await waiting.catch(() => {});
});

/** The fields of a request from 10.0.0.1, and who its client is; 10.0.0.0/8 are proxies. */
const FORWARDED: readonly (readonly [
  Record<string, string>,
  address?: string | undefined,
  scheme?: string,
])[] = [
  [{}],
  [{ "x-forwarded-for": "203.0.113.7" }, "203.0.113.7:0"],
  [{ "x-forwarded-for": "203.0.113.7:4711" }, "203.0.113.7:4711"],
  [{ "x-forwarded-for": "2001:db8::7" }, "[2001:db8::7]:0"],
  [{ "x-forwarded-for": "[2001:db8::7]:4711" }, "[2001:db8::7]:4711"],
  // What stands in front is what the client itself said.
  [{ "x-forwarded-for": "198.51.100.1, 203.0.113.7" }, "203.0.113.7:0"],
  [{ "x-forwarded-for": "203.0.113.7, 10.0.0.2,10.0.0.3" }, "203.0.113.7:0"],
  [{ "x-forwarded-for": "10.0.0.2, 10.0.0.3" }, "10.0.0.2:0"],
  [{ "x-forwarded-for": "203.0.113.7, unknown" }],
  [{ "x-forwarded-for": "203.0.113.7, unknown, 10.0.0.2" }, "10.0.0.2:0"],
  [{ "x-forwarded-for": "evil.example" }],
  [{ "x-forwarded-for": "" }],
  [{ "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https" }, "203.0.113.7:0", "https"],
  [{ "x-forwarded-proto": "HTTP" }, undefined, "http"],
  [{ "x-forwarded-proto": "gopher" }],
  [{ forwarded: "for=203.0.113.7;proto=https;by=10.0.0.1" }, "203.0.113.7:0", "https"],
  [{ forwarded: 'For="[2001:db8::7]:4711"' }, "[2001:db8::7]:4711"],
  [{ forwarded: 'for=198.51.100.1, for="203.0.113.7";proto=http' }, "203.0.113.7:0", "http"],
  [{ forwarded: 'for="198.51.100.1, for=198.51.100.2", for=203.0.113.7' }, "203.0.113.7:0"],
  [{ forwarded: "for=203.0.113.7, for=_hidden" }],
  [{ forwarded: "nonsense" }],
];

pure("forwardedIn() takes the last address that is no proxy's, from proxies alone", () => {
  const proxies = new AddressRanges(["10.0.0.0/8"], "it");
  for (const [headers, address, scheme] of FORWARDED) {
    const expected = { ...address && { address }, ...scheme && { scheme } };
    const shown = JSON.stringify(headers);
    assertEquals(forwardedIn(headers, "10.0.0.1:5", proxies) as unknown, expected, shown);
    assertEquals(forwardedIn(headers, "203.0.113.9:5", proxies), {}, shown);
  }
  // Of two ways to tell it one may be the client's own words, which the proxy has passed on.
  const both = { forwarded: "for=198.51.100.1", "x-forwarded-for": "203.0.113.7" };
  assertThrows(() => forwardedIn(both, "10.0.0.1:5", proxies), InletError, "Cannot tell who");
  assertEquals(forwardedIn(both, "203.0.113.9:5", proxies), {});
});

/** Runs nginx, which passes `/inlet/` on as docs/http.md has it, to a server that may have a key. */
async function startNginx(dir: string, port: number, to: TestServer): Promise<Running> {
  const text = await Deno.readTextFile(new URL("../docs/http.md", import.meta.url));
  const [, location] = /^```nginx\n([^]*?)^```$/m.exec(text)!;
  const encrypted = "https://$1; proxy_ssl_protocols TLSv1.3;";
  const passed = location!.replace("5000", String(to.port))
    .replace(/http:\/\/(.*);/, to.key === undefined ? "$&" : encrypted);
  const temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${dir}/${name};`).join("\n");
  Deno.writeTextFileSync(
    `${dir}/nginx.conf`,
    `daemon off; pid ${dir}/pid; error_log stderr notice; events {}
    http { access_log off; ${temps}
      server { listen 127.0.0.1:${port}; ${passed} } }`,
  );
  const args = ["-p", dir, "-c", `${dir}/nginx.conf`, "-e", "stderr"];
  const process = new Deno.Command("nginx", { args, stdout: "null", stderr: "piped" }).spawn();
  const running = new Running(process);
  await running.says(/start worker process \d+$/);
  return running;
}

integration("behind nginx all is below a path, and the log has the real client", async () => {
  await using local = await tempDir();
  await using server = await startServer({
    args: [
      "--proxy-from",
      "127.0.0.1",
      "--base-path",
      "/inlet",
      "--public-name",
      "files.example.org",
    ],
  });
  const port = freePort();
  await using _nginx = await startNginx(local.path, port, server);
  const url = `http://files.example.org:${port}/inlet`;
  const curl = async (...args: string[]) => {
    const resolve = [
      "--resolve",
      `files.example.org:${port}:127.0.0.1`,
      "--interface",
      "127.0.0.9",
    ];
    const { code, stdout, stderr } = await run("curl", [
      "-sS",
      "--noproxy",
      "*",
      ...resolve,
      ...args,
    ]);
    assertEquals([code, stderr], [0, ""]);
    return stdout;
  };
  const content = bytes(3_000_000);
  const file = await local.write("a b.bin", content);
  const put = await curl("-i", "-T", file, `${url}/`);
  assertMatch(put, /^HTTP\/1\.1 201 [^]*^Location: \/inlet\/files\/a%20b\.bin\r$/m);
  await local.write("got", "");
  await curl("-o", `${local.path}/got`, `${url}/files/a%20b.bin`);
  assertEquals(Deno.readFileSync(`${local.path}/got`), content);
  const list = await curl("-L", "-H", "Accept: application/json", `${url}/files/`);
  assertEquals(JSON.parse(list).files.map(({ href }: { href: string }) => href), ["./a%20b.bin"]);
  const form = await curl("-i", "-F", `file=@${file};filename=form.bin`, `${url}/files/`);
  assertMatch(form, /^Location: \/inlet\/files\/form\.bin\r$/m);
  const tus = ["-X", "POST", "-H", "Tus-Resumable: 1.0.0", "-H", "Upload-Length: 5"];
  const begun = await curl("-i", ...tus, `${url}/uploads/`);
  assertMatch(begun, /^Location: \/inlet\/uploads\/[0-9a-f]{32}\r$/m);
  const own = ["-o", `${local.path}/got`, "-w", "%{http_code}"];
  // A page of this server, as a browser has its origin; one elsewhere; and the metrics from elsewhere.
  const origin = (text: string) => curl(...own, "-H", `Origin: ${text}`, `${url}/files/`);
  assertEquals(await origin(`http://files.example.org:${port}`), "200");
  assertEquals(await origin(`https://files.example.org:${port}`), "403");
  assertEquals(await curl(...own, `${url}/metrics`), "403");
  await server.running.says(
    /client 1: comes from 127\.0\.0\.9:0, by the proxy at 127\.0\.0\.1:\d+$/,
  );
}, { programs: ["nginx", "curl"] });

integration("behind nginx a server with a key asks for it as ever", async () => {
  await using local = await tempDir();
  const args = ["--proxy-from", "127.0.0.1", "--base-path", "/inlet"];
  await using server = await startServer({ key: KEY, args });
  const port = freePort();
  await using _nginx = await startNginx(local.path, port, server);
  const file = await local.write("a", "hello\n");
  const curl = ["-sS", "--noproxy", "*", "-w", "%{http_code}", "-T", file];
  const url = `http://127.0.0.1:${port}/inlet/`;
  assertMatch((await run("curl", [...curl, url])).stdout, /"code":"denied"}\s401$/);
  assertMatch((await run("curl", [...curl, "-u", `ben:${KEY}`, url])).stdout, /"a",.*}\s201$/);
  await server.running.says(/is "ben"$/);
}, { programs: ["nginx", "curl"] });

integration("--base-path serves nothing beside the path, and nothing is above it", async () => {
  await using server = await startServer({ args: ["--base-path", "/a/b/"] });
  using wire = await HttpWire.dial(server);
  const statuses: Record<string, number> = {
    ...{ "/a/b/": 200, "/a/b/files/": 200, "/a/b/files/none": 404 },
    ...{ "/": 404, "/files/": 404, "/a/files/": 404, "/a/bc/files/": 404, "/a/b": 404 },
    ...{ "/a/b/a/b/files/": 404, "/a/b/../files/": 400, "/a/b/files/../../": 400 },
  };
  for (const [path, expected] of Object.entries(statuses)) {
    const { status } = await wire.asks(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
    assertEquals(status, expected, path);
  }
  const put = await wire.asks(`PUT /a/b/x HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`);
  assertEquals([put.status, put.headers.location], [201, "/a/b/files/x"]);
  for (const path of ["/x", "/a/x", "/a/b"]) {
    const request = `PUT ${path} HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`;
    const { status, body } = await wire.asks(request);
    assertEquals(status, 404, path);
    const { detail } = JSON.parse(new TextDecoder().decode(body));
    assertEquals(detail, `Cannot find "${path}": files are below /a/b/files/`);
  }
  assertEquals(names(server.dir), ["x"]);
});

integration("options for proxies that make no sense get one line", async () => {
  const cases: Record<string, readonly [string, string]> = {
    'Cannot use "10.0.0.0/33" as --proxy-from: give an address, a range such as 10.0.0.0/8, or unix for a Unix socket':
      [
        "--proxy-from",
        "10.0.0.0/33",
      ],
    'Cannot use "/a/../b" as --base-path: give a path such as /inlet, of letters, digits and -._~':
      ["--base-path", "/a/../b"],
    'Cannot use "inlet" as --base-path: give a path such as /inlet, of letters, digits and -._~': [
      "--base-path",
      "inlet",
    ],
  };
  for (const [line, args] of Object.entries(cases)) {
    assertRefused(await runScript("server.ts", ["0", ...args]), 2, line);
  }
});

/** What a test sends by the fields of a proxy. */
async function asks(wire: HttpWire, line: string, ...fields: string[]): Promise<Response> {
  return await wire.asks([`${line} HTTP/1.1`, "Host: localhost", ...fields, "", ""].join("\r\n"));
}

integration("X-Forwarded-For counts for the limits by address, from proxies alone", async () => {
  const limits = ["--max-per-address", "1", "--max-clients", "10"];
  await using server = await startServer({ args: [...limits, "--proxy-from", "127.0.0.0/8"] });
  const put = "PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n";
  using first = await HttpWire.dial(server);
  assertEquals((await first.asks(`${put}X-Forwarded-For: 203.0.113.7\r\n\r\n`)).status, 100);
  // Connections of the proxy itself have no limit, and those of each client have one.
  using second = await HttpWire.dial(server);
  const busy = await asks(second, "GET /files/", "X-Forwarded-For: 203.0.113.7");
  assertEquals([busy.status, problemIn(busy).code], [503, "busy"]);
  const other = await asks(second, "GET /files/", "X-Forwarded-For: 203.0.113.8");
  assertEquals(other.status, 200);
  const both = await asks(
    second,
    "GET /",
    "X-Forwarded-For: 203.0.113.8",
    "Forwarded: for=1.2.3.4",
  );
  assertEquals(both.status, 400);
  await first.says("hello");
  assertEquals((await first.response())?.status, 201);
  // The place is free once the server has seen that the response is out.
  const ask = () => asks(second, "GET /files/", "X-Forwarded-For: 203.0.113.7");
  let { status } = await ask();
  while (status === 503) ({ status } = await ask());
  assertEquals(status, 200);
  await server.running.stop();
  const came = [...server.running.log.matchAll(/client (\d): comes from (\S+),/g)];
  assertEquals(came.map(([, number, address]) => `${number} ${address}`), [
    ...["1 203.0.113.7:0", "2 203.0.113.7:0", "2 203.0.113.8:0", "2 203.0.113.7:0"],
  ]);
});

integration("fields of a proxy that nobody has named count for nothing", async () => {
  await using server = await startServer({ args: ["--proxy-from", "10.0.0.1", "--log", "json"] });
  using wire = await HttpWire.dial(server);
  const fields = ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https", "Forwarded: for=a"];
  assertEquals((await asks(wire, "GET /files/", ...fields)).status, 200);
  const origin = await asks(wire, "GET /files/", ...fields, "Origin: https://localhost");
  assertEquals(origin.status, 403);
  await server.running.stop();
  assert(!server.running.log.includes("203.0.113.7"));
});

integration("X-Forwarded-Proto tells the scheme of a page's origin", async () => {
  await using server = await startServer({ args: ["--proxy-from", "127.0.0.1"] });
  using wire = await HttpWire.dial(server);
  const statusOf = async (...fields: string[]) =>
    (await asks(wire, "GET /files/", ...fields)).status;
  const [https, http] = ["Origin: https://localhost", "Origin: http://localhost"];
  assertEquals(await statusOf("X-Forwarded-Proto: https", https), 200);
  assertEquals(await statusOf("X-Forwarded-Proto: https", http), 403);
  assertEquals(await statusOf(https), 403);
  assertEquals(await statusOf(http), 200);
});

const SIGNATURE = new TextEncoder().encode("\r\n\r\n\0\r\nQUIT\n");

/** A PROXY header of version 2. */
function header(command: number, family: number, rest: readonly number[]): Uint8Array<ArrayBuffer> {
  const length = [rest.length >> 8, rest.length & 255];
  return Uint8Array.of(...SIGNATURE, command, family, ...length, ...rest);
}

const IPV4 = [203, 0, 113, 7, 127, 0, 0, 1, 0x12, 0x67, 0x13, 0x88];
const IPV6 = [
  ...[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
  ...[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x12, 0x67, 0x13, 0x88],
];
const TCP4 = header(0x21, 0x11, IPV4);

integration("a PROXY header tells the client of every wire, whole or in pieces", async () => {
  await using server = await startServer({ args: ["--proxy-from", "127.0.0.1"] });
  const headers: [bytes: Uint8Array, from: RegExp][] = [
    [TCP4, /^203\.0\.113\.7:4711$/],
    [header(0x21, 0x21, IPV6), /^\[2001:db8::7\]:4711$/],
    // What proxies add: an ALPN, and a checksum.
    [header(0x21, 0x11, [...IPV4, 1, 0, 2, 0x68, 0x32]), /^203\.0\.113\.7:4711$/],
    [header(0x20, 0, []), /^127\.0\.0\.1:\d+$/],
    [header(0x21, 0, [1, 2, 3]), /^127\.0\.0\.1:\d+$/],
    [header(0x21, 0x31, new Array(216).fill(0)), /^127\.0\.0\.1:\d+$/],
    [new Uint8Array(0), /^127\.0\.0\.1:\d+$/],
  ];
  let client = 0;
  for (const [head, from] of headers) {
    for (const pieces of [1, head.length]) {
      using conn = await dial(server);
      const size = Math.max(Math.ceil(head.length / pieces), 1);
      for (let at = 0; at < head.length; at += size) await sendTo(conn, head.slice(at, at + size));
      await sendTo(conn, "hello 1 ben\nexit\n");
      assertMatch(await readAll(conn), /^welcome client \d+ of 100\nok bye\n$/);
      const [, address] = await server.running.says(
        new RegExp(`client ${++client}: connected from (\\S+),`),
      );
      assertMatch(address!, from);
    }
  }
  using conn = await dial(server);
  await sendTo(conn, concat([TCP4, new TextEncoder().encode(`GET /files/ HTTP/1.0\r\n\r\n`)]));
  assertMatch(await readAll(conn), /^HTTP\/1\.1 200 /);
  // A client of the proxy is no proxy, whatever it says itself.
  using twice = await dial(server);
  await sendTo(twice, concat([TCP4, TCP4]));
  assertMatch(
    await readAll(twice),
    /^error denied Cannot take a PROXY header from 203\.0\.113\.7: /,
  );
});

integration("the limits by address are those of the client that a PROXY header names", async () => {
  const args = ["--proxy-from", "127.0.0.1", "--max-per-address", "1", "--max-clients", "5"];
  await using server = await startServer({ args });
  const greet = async (head: Uint8Array): Promise<string> => {
    const wire = await Wire.dial(server);
    wires.push(wire);
    await wire.says(head);
    await wire.says("hello 1 ben\n");
    return await wire.line();
  };
  const wires: Wire[] = [];
  using _ = { [Symbol.dispose]: () => wires.forEach((wire) => wire.close()) };
  assertMatch(await greet(TCP4), /^welcome/);
  assertMatch(await greet(TCP4), /^busy;limit=address 1 of 1/);
  assertMatch(await greet(header(0x21, 0x21, IPV6)), /^welcome/);
  // The proxy itself has no limit.
  for (let count = 0; count < 3; count++) assertMatch(await greet(new Uint8Array(0)), /^welcome/);
});

integration("TLS may stand behind a PROXY header", async () => {
  await using server = await startServer({ key: KEY, args: ["--proxy-from", "127.0.0.1"] });
  const stream = new TcpStream(await dial(server));
  await stream.write(TCP4);
  const { server: identity } = await credentialOf(KEY);
  const secured: ByteStream = await connectTls(stream, identity);
  const request = `GET /files/ HTTP/1.0\r\nAuthorization: Bearer ${KEY}\r\n\r\n`;
  await secured.write(new TextEncoder().encode(request));
  const room = new Uint8Array(1000);
  const read = await secured.read(room);
  assertMatch(new TextDecoder().decode(room.subarray(0, read!)), /^HTTP\/1\.1 200 /);
  secured.close();
  await server.running.says(/client 1: connected from 203\.0\.113\.7:4711,/);
  // The native client comes without one.
  assertEquals((await runClient(server, ["--list"])).code, 0);
});

integration("a PROXY header that is none, or of nobody's proxy, gets nothing", async () => {
  await using server = await startServer({ args: ["--proxy-from", "127.0.0.1"] });
  const broken: Record<string, Uint8Array> = {
    "of version 1": header(0x11, 0x11, IPV4),
    "of another command": header(0x22, 0x11, IPV4),
    "that is too short": header(0x21, 0x11, IPV4.slice(1)),
    "that is too long": header(0x21, 0x11, new Array(5000).fill(0)),
  };
  for (const [what, head] of Object.entries(broken)) {
    using conn = await dial(server);
    await sendTo(conn, head).catch(() => {});
    assertEquals(await readAll(conn), "", what);
  }
  await server.running.says(/Cannot take this PROXY header: /, 4);
  for (let cut = 1; cut < TCP4.length; cut++) {
    using conn = await dial(server);
    await sendTo(conn, TCP4.slice(0, cut));
    await conn.closeWrite();
    const answer = await readAll(conn);
    assert(answer === "" || /^error bad-request/.test(answer), answer);
  }
  await using other = await startServer({ args: ["--proxy-from", "10.0.0.0/8"] });
  using conn = await dial(other);
  await sendTo(conn, concat([TCP4, new TextEncoder().encode("hello 1 ben\n")]));
  assertEquals(
    await readAll(conn),
    "error denied Cannot take a PROXY header from 127.0.0.1: " +
      "give --proxy-from ADDRESS if it is a proxy of yours\n",
  );
});

integration("a proxy that says nothing is let go, and holds up no shutdown", async () => {
  const args = ["--proxy-from", "127.0.0.1", "--max-clients", "1", "--greeting-timeout", "1"];
  await using server = await startServer({ args });
  using silent = await dial(server);
  using half = await dial(server);
  await sendTo(half, SIGNATURE);
  // They hold no place.
  using wire = await Wire.greet(server);
  assertEquals([await readAll(silent), await readAll(half)], ["", ""]);
  wire.close();
  await using patient = await startServer({
    args: [...args.slice(0, 2), "--greeting-timeout", "600"],
  });
  using _held = await dial(patient);
  assertEquals((await patient.running.stop()).code, 0);
});
