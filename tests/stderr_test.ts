import { assertEquals } from "@std/assert";
import { LineWriter } from "../lib/body/stderr.ts";
import { pure } from "./helpers.ts";

pure(
  "LineWriter writes a line whenever it comes, also just as the lines before are done",
  async () => {
    // After each number of microtasks behind the end of a write.
    for (let later = 0; later < 20; later++) {
      const decoder = new TextDecoder();
      let written = "";
      const { promise, resolve } = Promise.withResolvers<void>();
      const writer = new LineWriter(async (bytes) => {
        if (written === "") await promise;
        written += decoder.decode(bytes);
      });
      writer.add("one");
      await Promise.resolve();
      resolve();
      for (let step = 0; step < later; step++) await Promise.resolve();
      writer.add("two");
      assertEquals(await writer.flush(60_000), true);
      assertEquals(written, "one\ntwo\n", `${later} microtasks later`);
    }
  },
);
