import { assert, assertEquals } from "@std/assert";
import { integration, tempDir } from "../helpers.ts";
import { SWAPS, swapUnderClient, swapUnderServer } from "./swaps.ts";

/** Milliseconds of each swap. */
const ROUND_MS = 300;

for (const swap of SWAPS) {
  integration(`nothing leads out where ${swap.entry} is swapped for a ${swap.by}`, async () => {
    await using base = await tempDir();
    const seen = await swapUnderServer(ROUND_MS, { base: base.path, swap });
    assert(seen.swaps > 0 && seen.done > 0, Deno.inspect(seen));
    assertEquals({ outside: seen.outside, told: seen.told, lost: seen.lost }, NOTHING);
  });
}

const NOTHING = { outside: 0, told: 0, lost: 0 };

for (const swap of SWAPS.slice(0, 3)) {
  integration(`--get saves nothing outside where ${swap.entry} is swapped for a link`, async () => {
    await using base = await tempDir();
    const seen = await swapUnderClient(ROUND_MS, { base: base.path, swap });
    assert(seen.swaps > 0, Deno.inspect(seen));
    assertEquals({ outside: seen.outside, told: seen.told, lost: seen.lost }, NOTHING);
  });
}
