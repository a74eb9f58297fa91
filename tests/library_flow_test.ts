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
    { timeoutMs: 100, isWanted: true } as Session,
    new CountQueuingStrategy({ highWaterMark: 1 }),
  );
  const written = flow.write("a");
  const reason = new Error("the server left");
  flow.fail(reason);
  // Otherwise its timer is left, which keeps a program from ending, and it is late at last.
  await written;
  assertEquals(await assertRejects(() => flow.stream.getReader().read()), reason);
});
