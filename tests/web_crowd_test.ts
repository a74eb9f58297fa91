/**
 * Many clients of HTTP that rest, and some that take nothing: what they may hold of a server.
 *
 * @module
 */

import { assertEquals, assertLess } from "@std/assert";
import { idle, IDLERS_ARGS } from "./faults/idlers.ts";
import { integration, KEY, PROC, PROMPT_GC, residentBytes, startServer } from "./helpers.ts";
import { fieldsFor, HttpWire } from "./http_wire.ts";

/** What a client that takes nothing may cost, in bytes. */
const MOST_BYTES = 40 * 2 ** 20;

/** Bytes of a file that takes no space. */
const LARGE_BYTES = 2 ** 30;

integration("a thousand clients of HTTP at rest hold no place, and little memory", async () => {
  await using server = await startServer({ args: IDLERS_ARGS, env: PROMPT_GC });
  await idle(server, 1000);
}, { ...PROC, descriptors: 3000 });

for (const key of [undefined, KEY]) {
  const over = key === undefined ? "" : " over TLS";
  integration(`a client of HTTP that takes nothing${over} costs the server no memory`, async () => {
    const args = ["--timeout", "5", "--min-rate", "0"];
    await using server = await startServer({ args, key, env: PROMPT_GC });
    const large = await Deno.create(`${server.dir}/large`);
    await large.truncate(LARGE_BYTES);
    large.close();
    const fields = fieldsFor(server);
    using first = await HttpWire.dial(server);
    const part = await first.asks(
      `GET /files/large HTTP/1.1\r\n${fields}Range: bytes=0-524287\r\n\r\n`,
    );
    assertEquals(part.status, 206);
    const before = residentBytes(server);
    using deaf = await HttpWire.dial(server);
    await deaf.says(`GET /files/large HTTP/1.1\r\n${fields}\r\n`);
    await server.running.says(/No data in either direction for 5 s/);
    assertLess(residentBytes(server) - before, MOST_BYTES);
  }, PROC);
}
