import { assertEquals } from "@std/assert";
import { LogLimit } from "../lib/server/log_limit.ts";
import { pure } from "./helpers.ts";

/** A limit with a clock of its own, and what it told. */
function limited(): { limit: LogLimit; told: [string, number][]; clock: { ms: number } } {
  const told: [string, number][] = [];
  const clock = { ms: 0 };
  const limit = new LogLimit((host, lines) => told.push([host, lines]), () => clock.ms);
  return { limit, told, clock };
}

/** How many of so many lines at once are written. */
function admitted(limit: LogLimit, host: string, lines: number): number {
  return Array.from({ length: lines }, () => limit.admits(host)).filter(Boolean).length;
}

pure("LogLimit lets an address have 100 lines at once, then 20 a second", () => {
  const { limit, clock } = limited();
  assertEquals(admitted(limit, "a", 150), 100);
  clock.ms += 49;
  assertEquals(admitted(limit, "a", 5), 0);
  clock.ms += 1;
  assertEquals(admitted(limit, "a", 5), 1);
  clock.ms += 1000;
  assertEquals(admitted(limit, "a", 500), 20);
  clock.ms += 3_600_000;
  assertEquals(admitted(limit, "a", 500), 100);
  limit.flush();
});

pure("LogLimit counts each address by itself", () => {
  const { limit } = limited();
  assertEquals(admitted(limit, "a", 150), 100);
  assertEquals(admitted(limit, "b", 100), 100);
  limit.flush();
});

pure("LogLimit tells once how many lines were left out, and of which address", () => {
  const { limit, told } = limited();
  admitted(limit, "a", 107);
  admitted(limit, "b", 100);
  admitted(limit, "c", 101);
  limit.flush();
  assertEquals(told, [["a", 7], ["c", 1]]);
  limit.flush();
  assertEquals(told.length, 2);
});

pure("LogLimit tells by itself, soon after the first line that it left out", async () => {
  const { promise, resolve } = Promise.withResolvers<[string, number]>();
  const limit = new LogLimit((host, lines) => resolve([host, lines]), () => 0);
  // Its own timer keeps no program alive, and so not this test either.
  const alive = setTimeout(() => {}, 60_000);
  admitted(limit, "a", 103);
  assertEquals(await promise, ["a", 3]);
  clearTimeout(alive);
});

pure("LogLimit keeps count of 10,000 addresses, and forgets the one quiet for longest", () => {
  const { limit, told } = limited();
  assertEquals(admitted(limit, "first", 101), 100);
  for (let number = 0; number < 9998; number++) limit.admits(String(number));
  assertEquals(admitted(limit, "first", 1), 0);
  limit.admits("9998");
  limit.admits("9999");
  assertEquals([admitted(limit, "first", 1), told.length], [0, 0]);
  for (let number = 0; number < 10_000; number++) limit.admits(`another ${number}`);
  assertEquals(told, [["first", 3]]);
  assertEquals(admitted(limit, "first", 101), 100);
  limit.flush();
});
