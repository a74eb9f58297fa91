import { assert } from "@std/assert";
import { cutHandshakes } from "./handshakes.ts";

/** In this file a sample of the offsets; `deno task torture` tries all. */
const STEP = 13;

for (const direction of ["up", "down"] as const) {
  for (const why of ["end", new Deno.errors.ConnectionReset("cut")] as const) {
    Deno.test(`a handshake that breaks off ${direction}, by ${why}, is lost`, async () => {
      const first = crypto.getRandomValues(new Uint8Array(1))[0]! % STEP;
      console.log(`from byte ${first}`);
      const cuts = await cutHandshakes(direction, why, { first, step: STEP });
      assert(cuts * STEP > 300, `it is complete after ${cuts * STEP} bytes`);
    });
  }
}
