/**
 * Wrong keys on every wire: they wait together, so that no wire is the one to guess on, and hold up
 * nobody but themselves.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { Pause } from "../lib/server/pause.ts";
import { integration, KEY, tempDir } from "./helpers.ts";
import { HttpWire } from "./http_wire.ts";
import { serveHere } from "./in_process.ts";
import { dialWithKey } from "./secure.ts";

const WRONG = "0".repeat(64);

/** What wrong keys wait in, for as long as a test wants. It holds for this whole process. */
function holdPauses() {
  const { stay } = Pause.prototype;
  const over = Promise.withResolvers<void>();
  const pauses: Pause[] = [];
  let onCome = (): void => {};
  Pause.prototype.stay = function (): Promise<void> {
    pauses.push(this);
    onCome();
    return over.promise;
  };
  return {
    pauses,
    /** Settles when the next one waits. */
    next: () => new Promise<void>((resolve) => onCome = resolve),
    end: over.resolve,
    [Symbol.dispose]: () => void (Pause.prototype.stay = stay),
  };
}

integration("wrong keys wait together, hold no place, and keep nobody out", async () => {
  await using local = await tempDir();
  await using server = await serveHere({ dir: local.path, key: KEY, maxClients: 1 });
  using held = holdPauses();
  const lines = [
    "GET /files/ HTTP/1.1\r\nAuthorization: Basic OnJ1bQ==\r\n",
    `GET /files/ HTTP/1.1\r\nAuthorization: Bearer ${WRONG}\r\n`,
    // It is open to strangers, and heeds a key all the same.
    `GET /about HTTP/1.1\r\nAuthorization: Bearer ${WRONG}\r\n`,
    "POST /sign-in HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
    "Content-Length: 7\r\n",
  ];
  const wires: HttpWire[] = [];
  for (const line of lines) {
    const wire = await HttpWire.dial(server);
    wires.push(wire);
    const waits = held.next();
    await wire.says(`${line}Host: localhost\r\n\r\n${line.startsWith("POST") ? "key=rum" : ""}`);
    await waits;
    assertEquals(await statusOf(server), 200, line);
  }
  using native = await dialWithKey(server, KEY);
  await native.send("hello 1 eve\n");
  await native.challenge();
  const waits = held.next();
  await native.send(`answer ${WRONG}\n`);
  await waits;
  assertEquals(await statusOf(server), 200);
  assertEquals([held.pauses.length, new Set(held.pauses).size], [lines.length + 1, 1]);
  held.end();
  for (const wire of wires) {
    assertEquals(await wire.status(), 401);
    wire[Symbol.dispose]();
  }
  assertMatch(await native.rest(), /^error denied /);
});

/** The status for who has the key. */
async function statusOf(server: { port: number; key: string | undefined }): Promise<number> {
  using wire = await HttpWire.dial(server);
  return (await wire.asks(`GET /files/ HTTP/1.1\r\n${wire.fields}\r\n`)).status;
}

Deno.test("Pause is over at once for the one that came first, where too many wait", async () => {
  const pause = new Pause(3_600_000, 2);
  const coming = Promise.withResolvers<string>();
  const [first, ...others] = [1, 2, 3].map(() => pause.atMost(coming.promise));
  assertEquals(await first, undefined);
  coming.resolve("there");
  assertEquals(await Promise.all(others), ["there", "there"]);
});
