/**
 * Clients of HTTP that have had a response and keep their connections, as browsers do.
 *
 * @module
 */

import { assertEquals, assertLess } from "@std/assert";
import { fieldsFor, HttpWire } from "../http_wire.ts";
import {
  givesBack,
  type Holdings,
  holdingsOf,
  isAlone,
  type ServerOnTrial,
  withClient,
} from "./trial.ts";

/** Bytes that each connection may cost the server, plain and encrypted. */
const MOST_BYTES_EACH = { plain: 64 * 1024, encrypted: 160 * 1024 };

/** Places of such a server. */
const PLACES = 8;

/** Arguments of a server for them: few places, and patience. */
export const IDLERS_ARGS: readonly string[] = [
  ...["--max-clients", String(PLACES), "--backlog", "1000", "--quiet"],
  ...["--timeout", "600", "--session-timeout", "600"],
];

/** Requests after which a server has loaded and made all that it needs for them. */
const WARM_REQUESTS = 50;

/**
 * Opens so many connections, and leaves each at rest behind a response. They hold no client's place
 * and little memory, and each gets a further response. When they close, the server gives all back.
 *
 * @param server One with {@linkcode IDLERS_ARGS}, and nobody else on it.
 * @returns Bytes that each cost it.
 */
export async function idle(server: ServerOnTrial, count: number): Promise<number> {
  const request = `GET /files/ HTTP/1.1\r\n${fieldsFor(server)}Accept: application/json\r\n\r\n`;
  const before = await warm(server, request);
  const wires: HttpWire[] = [];
  // A request takes a place while it is answered, and for a moment longer than its client knows.
  const atOnce = PLACES / 2;
  const ask = async (some: readonly HttpWire[]): Promise<void> => {
    const statuses = await Promise.all(some.map(async (wire) => (await wire.asks(request)).status));
    assertEquals(statuses, some.map(() => 200));
  };
  try {
    while (wires.length < count) {
      const some = await Promise.all(Array.from({ length: atOnce }, () => HttpWire.dial(server)));
      wires.push(...some);
      await ask(some);
    }
    const bytesEach = (holdingsOf(server).rssBytes - before.rssBytes) / count;
    // All places are free for others.
    await fill(server, PLACES);
    // Those have left for the server, too.
    await withClient(server, isAlone);
    for (let first = 0; first < count; first += atOnce) {
      await ask(wires.slice(first, first + atOnce));
    }
    assertLess(bytesEach, MOST_BYTES_EACH[server.key === undefined ? "plain" : "encrypted"]);
    return bytesEach;
  } finally {
    for (const wire of wires) wire[Symbol.dispose]();
    await givesBack(server, before);
  }
}

/** Has it load all that the requests need. */
async function warm(server: ServerOnTrial, request: string): Promise<Holdings> {
  const before = holdingsOf(server);
  using wire = await HttpWire.dial(server);
  for (let nth = 0; nth < WARM_REQUESTS; nth++) await wire.asks(request);
  return { ...holdingsOf(server), descriptors: before.descriptors };
}

/** So many clients are served at once. */
async function fill(server: ServerOnTrial, clients: number): Promise<void> {
  await withClient(server, async (client) => {
    await client.whoami();
    if (clients > 1) await fill(server, clients - 1);
  });
}
