import { crc32 } from "node:zlib";
import { assertEquals } from "@std/assert";
import { buffers } from "../lib/body/buffer_pool.ts";
import { Prefix } from "../lib/body/prefix_crc.ts";
import { borrowAll, bytes, integration, tempDir } from "./helpers.ts";

const MIB = 2 ** 20;
const SIZE = 20 * MIB + 5;

for (const ahead of [0, MIB, SIZE, 2 * SIZE]) {
  integration(`Prefix gives the CRC-32 of any beginning, having read ${ahead} ahead`, async () => {
    await using local = await tempDir();
    const content = bytes(SIZE);
    using file = Deno.openSync(await local.write("a.bin", content));
    const lent = buffers.lentBytes;
    {
      using prefix = new Prefix(file);
      prefix.readAhead(ahead);
      for (const size of [SIZE, 0, 1, MIB - 1, MIB, MIB + 1, 9 * MIB + 7, SIZE]) {
        assertEquals(await prefix.crc(size), crc32(content.subarray(0, size)), `${size}`);
      }
      assertEquals(await prefix.crc(SIZE + 1), undefined);
    }
    assertEquals(buffers.lentBytes, lent);
  });
}

integration("Prefix works with a small buffer when the large ones are lent out", async () => {
  await using local = await tempDir();
  const content = bytes(3 * MIB);
  using file = Deno.openSync(await local.write("a.bin", content));
  using _ = borrowAll();
  using prefix = new Prefix(file);
  prefix.readAhead(MIB);
  assertEquals(await prefix.crc(2 * MIB + 1), crc32(content.subarray(0, 2 * MIB + 1)));
});
