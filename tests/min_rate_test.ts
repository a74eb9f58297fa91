import { assertEquals, assertThrows } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { MinRateMeter } from "../lib/net/min_rate.ts";
import { pure } from "./helpers.ts";

const FLOOR = { bytesPerSecond: 1024, windowMs: 60_000 };

pure("MinRateMeter bears a stall that the rest of its window makes up for", () => {
  const pace = new MinRateMeter(FLOOR);
  pace.count(60 * 1024, 100);
  pace.count(0, 59_000);
  pace.count(1, 900);
});

pure("MinRateMeter says how slow a window was, and what the floor is", () => {
  const pace = new MinRateMeter(FLOOR);
  for (let second = 0; second < 59; second++) pace.count(12, 1000);
  const error = assertThrows(() => pace.count(12, 1000), InletError);
  assertEquals(error.code, "timeout");
  assertEquals(
    error.message,
    "Cannot continue at 12 B/s over 60 s: the minimum is 1 KiB/s",
  );
});

pure("MinRateMeter looks at each window by itself: a fast one pays for no slow one", () => {
  const pace = new MinRateMeter(FLOOR);
  pace.count(1e9, 60_000);
  assertThrows(() => pace.count(60 * 1024 - 1, 60_000), InletError);
  const exact = new MinRateMeter(FLOOR);
  for (let window = 0; window < 3; window++) exact.count(60 * 1024, 60_000);
});
