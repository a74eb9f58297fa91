import { assert, assertEquals } from "@std/assert";
import { BufferPool, LARGE_BUFFER_BYTES } from "../lib/buffers.ts";
import { pure } from "./helpers.ts";

pure("BufferPool lends large buffers up to its budget, and again what came back", () => {
  const pool = new BufferPool(2 * LARGE_BUFFER_BYTES + 1);
  const first = pool.borrow()!;
  const second = pool.borrow()!;
  assertEquals([first.length, second.length], [LARGE_BUFFER_BYTES, LARGE_BUFFER_BYTES]);
  assert(first.buffer !== second.buffer);
  assertEquals(pool.borrow(), undefined);
  pool.giveBack(first);
  assert(pool.borrow() === first);
  assertEquals(pool.borrow(), undefined);
});

pure("BufferPool lends nothing on a budget smaller than one buffer", () => {
  assertEquals(new BufferPool(LARGE_BUFFER_BYTES - 1).borrow(), undefined);
});
