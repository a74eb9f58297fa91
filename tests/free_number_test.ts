import { assert, assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import { freeNumber } from "../lib/store/free_number.ts";
import { integration, pure, startServer } from "./helpers.ts";
import { Wire } from "./wire.ts";

const TIME = new Date("2020-02-29T12:00:00Z");

pure("freeNumber() finds the first free number where none are missing in between", () => {
  for (let last = 1; last < 2000; last++) {
    for (const taken of [1, 2, 7, last].filter((number) => number <= last)) {
      assertEquals(freeNumber(taken, (number) => number <= last), last + 1);
    }
  }
});

pure("freeNumber() looks at few numbers, however many are taken", () => {
  for (const [last, most] of [[1, 1], [60_000, 32], [1_000_000, 40]] as const) {
    let looks = 0;
    const free = freeNumber(1, (number) => {
      looks++;
      return number <= last;
    });
    assertEquals(free, last + 1);
    assert(looks <= most, `${looks} for ${last}`);
  }
});

pure("freeNumber() gives a free number where some are missing, and never a taken one", () => {
  let state = 1;
  const random = (below: number): number => (state = state * 48271 % 2147483647) % below;
  for (let round = 0; round < 2000; round++) {
    const taken = new Set([1]);
    for (let count = random(60); count > 0; count--) taken.add(1 + random(80));
    const free = freeNumber(1, (number) => taken.has(number));
    assert(!taken.has(free) && taken.has(free - 1), `${free} of ${[...taken]}`);
  }
});

integration(
  "compare finds the same file among numbered copies, and none that differs",
  async () => {
    await using server = await startServer();
    for (let number = 1; number <= 300; number++) {
      const path = `${server.dir}/a${number === 1 ? "" : ` (${number})`}.txt`;
      Deno.writeTextFileSync(path, `${number}`);
      Deno.utimeSync(path, TIME, TIME);
    }
    using wire = await Wire.greet(server);
    for (const number of [1, 2, 150, 300]) {
      const crc = crc32(String(number)).toString(16).padStart(8, "0");
      const name = number === 1 ? "a.txt" : `a (${number}).txt`;
      await wire.says(`compare ${String(number).length} ${crc} 2020-02-29T12:00:00Z a.txt\n`);
      assertEquals(await wire.line(), `ok ${name}`);
    }
    await wire.says("compare 3 00000000 2020-02-29T12:00:00Z a.txt\n");
    assertEquals(await wire.line(), "ok");
  },
);
