/**
 * Web clients at a server of ours that does not serve them: it says so in words that they show.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { integration, KEY, names, run, startServer, tempDir } from "./helpers.ts";
import { Wire } from "./wire.ts";

const NO_PAGE = "Cannot speak HTTP: this is an inlet server, and it has no web page\n";

const NEEDS_KEY = "Cannot go on: this server requires a key and is encrypted: use https://\n";

/** The head of the response to a request, and what follows it. */
function responseWith(text: string, body = text): string {
  return "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n" +
    `Content-Length: ${text.length}\r\nConnection: close\r\n\r\n${body}`;
}

const HOST = "HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** Requests, by what is special about them. */
const REQUESTS: Record<string, string> = {
  "that asks for a page": `GET / ${HOST}`,
  "with half a header": "GET / HTTP/1.1\r\nHost: loc",
  "of HTTP/1.0": "GET /a%20b HTTP/1.0\r\n\r\n",
  "that posts a body": `POST / HTTP/1.1\r\nContent-Length: 4194304\r\n\r\n${"x".repeat(4_194_304)}`,
  "that is followed by others": `GET /favicon.ico ${HOST}GET /b ${HOST}HEAD /c ${HOST}`,
  "that begins HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0",
};

/** Servers, by their arguments, and what they say. */
const SERVERS: readonly [string, readonly string[], string][] = [
  ["a server with --no-web", ["--no-web"], NO_PAGE],
  ["an upload server", ["--mode", "upload"], NO_PAGE],
  ["a server with a key", ["--token-file", "KEY"], NEEDS_KEY],
];

for (const [what, args, text] of SERVERS) {
  integration(`${what} answers a request of HTTP in HTTP, once, and ends`, async () => {
    await using local = await tempDir();
    const key = await local.write("key", KEY);
    const given = args.map((arg) => arg === "KEY" ? key : arg);
    await using server = await startServer({ args: given });
    for (const [manner, request] of Object.entries(REQUESTS)) {
      using wire = await Wire.dial(server);
      // The server takes what still comes for a second only.
      const sent = wire.says(Uint8Array.from(request, (character) => character.charCodeAt(0)))
        .catch(() => {});
      assertEquals(await wire.rest(), responseWith(text), `a request ${manner}`);
      await sent;
    }
    using head = await Wire.dial(server);
    await head.says(`HEAD / ${HOST}`);
    assertEquals(await head.rest(), responseWith(text, ""));
    await server.running.stop();
    const told = server.running.log.split("\n").filter((line) => line.endsWith(text.trimEnd()));
    assertEquals(told.length, Object.keys(REQUESTS).length + 1);
    assertEquals(names(server.dir), []);
  });
}

integration("curl shows what a server says in HTTP, also while it sends a file", async () => {
  await using local = await tempDir();
  const file = await local.write("large", new Uint8Array(16 * 1024 * 1024));
  await using server = await startServer({ args: ["--no-web"] });
  const url = `http://127.0.0.1:${server.port}/`;
  for (const args of [[url], ["--data-binary", `@${file}`, url]]) {
    const { code, stdout, stderr } = await curl(args);
    assertEquals([code, stdout], [0, NO_PAGE], stderr);
  }
  const { stdout } = await curl(["--head", url]);
  assertStringIncludes(stdout, "HTTP/1.1 400 Bad Request");
}, { programs: ["curl"] });

async function curl(args: readonly string[]) {
  return await run("curl", ["-sS", "--noproxy", "*", ...args]);
}
