import { assert, assertEquals } from "@std/assert";
import { BufferPool, LARGE_BUFFER_BYTES, LEAST_LENT_BYTES } from "../lib/body/buffer_pool.ts";
import { pure } from "./helpers.ts";

pure("BufferPool lends again what came back", () => {
  const pool = new BufferPool();
  const first = pool.borrow()!;
  const second = pool.borrow()!;
  assertEquals([first.length, second.length], [LARGE_BUFFER_BYTES, LARGE_BUFFER_BYTES]);
  assert(first.buffer !== second.buffer);
  pool.giveBack(first);
  assert(pool.borrow() === first);
});

pure("BufferPool lends no more than is wanted, in sizes that double", () => {
  const pool = new BufferPool();
  const sizes = [1, 32_768, 32_769, 2 * LARGE_BUFFER_BYTES]
    .map((wanted) => pool.borrow(wanted)!.length);
  assertEquals(sizes, [32_768, 32_768, 65_536, 1_048_576]);
});

pure("BufferPool lends each of many an equal share, and never more than its budget", () => {
  const pool = new BufferPool(4 * LARGE_BUFFER_BYTES);
  const held: Uint8Array<ArrayBuffer>[] = [];
  for (let clients = 1; clients <= 64; clients++) {
    // Each exchanges what it holds when that is more than its share by now.
    held.forEach((buffer, index) => {
      if (buffer.length <= pool.shareBytes) return;
      held[index] = pool.borrow(LARGE_BUFFER_BYTES, buffer)!;
      pool.giveBack(buffer);
    });
    held.push(pool.borrow()!);
    assert(pool.lentBytes <= 4 * LARGE_BUFFER_BYTES);
  }
  assert(held.slice(0, -1).every(({ length }) => length === LEAST_LENT_BYTES));
  while (pool.borrow());
  assertEquals(pool.lentBytes, 4 * LARGE_BUFFER_BYTES);
});

pure("BufferPool lends the memory that was forgotten to nobody", () => {
  const pool = new BufferPool(LARGE_BUFFER_BYTES);
  const first = pool.borrow()!;
  pool.forget(first);
  assertEquals(pool.lentBytes, 0);
  assert(pool.borrow()!.buffer !== first.buffer);
});

pure("BufferPool lends nothing on a budget smaller than its smallest buffer", () => {
  assertEquals(new BufferPool(LEAST_LENT_BYTES - 1).borrow(), undefined);
});
