import { assertEquals } from "@std/assert";
import { MinRateMeter } from "../lib/net/min_rate.ts";
import { pure } from "./helpers.ts";

const FLOOR = { bytesPerSecond: 1024, windowMs: 60_000 };

pure("MinRateMeter bears a stall that the rest of its window makes up for", () => {
  const pace = new MinRateMeter(FLOOR);
  assertEquals(pace.count(60 * 1024, 100), undefined);
  assertEquals(pace.count(0, 59_000), undefined);
  assertEquals(pace.count(1, 900), null);
});

pure("MinRateMeter says how slow a window was, and what the floor is", () => {
  const pace = new MinRateMeter(FLOOR);
  for (let second = 0; second < 59; second++) pace.count(12, 1000);
  const error = pace.count(12, 1000);
  assertEquals(error?.code, "timeout");
  assertEquals(
    error?.message,
    "Cannot continue at 12 B/s over 60 s: the minimum is 1 KiB/s",
  );
});

pure("MinRateMeter looks at each window by itself: a fast one pays for no slow one", () => {
  const pace = new MinRateMeter(FLOOR);
  pace.count(1e9, 60_000);
  assertEquals(pace.count(60 * 1024 - 1, 60_000)?.code, "timeout");
  const exact = new MinRateMeter(FLOOR);
  for (let window = 0; window < 3; window++) assertEquals(exact.count(60 * 1024, 60_000), null);
});
