/**
 * What waits for a reader of the library, and must not wait for ever.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { Flow } from "../client/library/flow.ts";
import type { Session } from "../client/library/session.ts";

Deno.test("whoever waits for the reader of a stream goes on when the stream fails", async () => {
  const flow = new Flow<string>(
    { timeoutMs: 600_000, isWanted: false } as Session,
    new CountQueuingStrategy({ highWaterMark: 1 }),
  );
  const written = flow.write("a");
  const reason = new Error("the server left");
  flow.fail(reason);
  // Its timer would keep the program from ending, which the test's sanitizers tell too.
  await written;
  assertEquals(await assertRejects(() => flow.stream.getReader().read()), reason);
});
