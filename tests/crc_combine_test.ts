import { assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { combineCrc } from "../lib/body/crc_combine.ts";

Deno.test("combineCrc() gives the CRC-32 of two parts, as zlib does of their bytes", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 5000 }),
      fc.uint8Array({ maxLength: 5000 }),
      (first, second) => {
        const whole = crc32(second, crc32(first));
        assertEquals(combineCrc(crc32(first), crc32(second), second.length), whole);
      },
    ),
    { seed: 25, numRuns: 500 },
  );
});

Deno.test("combineCrc() knows any number of zeros that zlib can be asked to read", () => {
  const zeros = new Uint8Array(1 << 20);
  const first = crc32("inlet");
  for (const size of [0, 1, 2, 3, 7, 8, 255, 65_535, 65_536, (1 << 20) - 1, 1 << 20]) {
    const rest = zeros.subarray(0, size);
    assertEquals(combineCrc(first, crc32(rest), size), crc32(rest, first), `${size}`);
  }
});

Deno.test("combineCrc() agrees with itself up to 2^53 - 1 bytes, however a file is cut", () => {
  const bytes = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const crc = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(
    fc.property(crc, crc, crc, bytes, bytes, (one, two, three, twoBytes, threeBytes) => {
      const both = Number.MAX_SAFE_INTEGER;
      const [a, b] = twoBytes > both - threeBytes
        ? [Math.floor(twoBytes / 2), Math.floor(threeBytes / 2)]
        : [twoBytes, threeBytes];
      assertEquals(
        combineCrc(combineCrc(one, two, a), three, b),
        combineCrc(one, combineCrc(two, three, b), a + b),
      );
    }),
    { seed: 25, numRuns: 500 },
  );
});

Deno.test("combineCrc() keeps a CRC-32 behind nothing, and in front of nothing", () => {
  const crc = crc32("hello\n");
  assertEquals(combineCrc(crc, 0, 0), crc);
  for (const size of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    assertEquals(combineCrc(0, crc, size), crc);
  }
});
