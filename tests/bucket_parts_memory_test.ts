/**
 * The bounds of parts, and the memory for them.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { delay } from "@std/async/delay";
import { crc32 } from "node:zlib";
import { ArrivedParts, crcOf } from "../lib/bucket/arrived_parts.ts";
import { type PartHolder, PartPool } from "../lib/bucket/part_pool.ts";
import { decodeSchedule, partRange, scheduleFor } from "../lib/bucket/part_schedule.ts";
import { bytesOf, type NotedPart } from "../lib/bucket/state.ts";
import { InletError } from "../lib/errors.ts";
import { pure } from "./helpers.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

pure("parts of a known size grow only where 10,000 would not hold it", () => {
  assertEquals(scheduleFor(0), [[10_000, 8 * MIB]]);
  assertEquals(scheduleFor(10_000 * 8 * MIB), [[10_000, 8 * MIB]]);
  assertEquals(scheduleFor(10_000 * 8 * MIB + 1), [[10_000, 9 * MIB]]);
  assertEquals(scheduleFor(625 * 1000 * 1000 * 1000), [[10_000, 60 * MIB]]);
  assertEquals(scheduleFor(10_000 * 64 * MIB), [[10_000, 64 * MIB]]);
  assertThrows(
    () => scheduleFor(10_000 * 64 * MIB + 1),
    InletError,
    "the limit of a bucket is 625 GiB",
  );
});

pure("parts of an unknown size follow each other without gaps, and have an end", () => {
  const schedule = scheduleFor(null);
  let end = 0;
  for (let number = 1; number <= 10_000; number++) {
    const { offset, bytes } = partRange(schedule, number);
    assertEquals(offset, end);
    assert(bytes >= 8 * MIB && bytes <= 64 * MIB);
    end += bytes;
  }
  assert(end > 460 * GIB, `${end}`);
  assertThrows(() => partRange(schedule, 10_001), InletError, "the limit of a bucket is 461");
});

pure("a schedule that was read is checked", () => {
  for (const size of [0, 900 * GIB / 2, null]) {
    const schedule = scheduleFor(size);
    assertEquals(decodeSchedule(JSON.parse(JSON.stringify(schedule))), schedule);
  }
  const wrong = [
    null,
    [],
    [[1]],
    [[0, 8 * MIB]],
    [[10_001, 8 * MIB]],
    [[1, 4 * MIB]],
    [[1, GIB]],
    [
      [9_999, 8 * MIB],
      [2, 8 * MIB],
    ],
    [["1", 8 * MIB]],
    [[1.5, 8 * MIB]],
  ];
  for (const value of wrong) assertEquals(decodeSchedule(value), undefined, JSON.stringify(value));
});

/** A holder that notes when it is asked to give way. */
class Holder implements PartHolder {
  readonly #asked = Promise.withResolvers<void>();
  readonly asked: Promise<void> = this.#asked.promise;
  isAsked = false;

  constructor(readonly filledBytes: number) {}

  giveWay(): void {
    this.isAsked = true;
    this.#asked.resolve();
  }
}

pure("memory is lent within the budget, in the order of the requests", async () => {
  const pool = new PartPool({ budgetBytes: 16 * MIB, patienceMs: 1e6 });
  const order: string[] = [];
  const first = pool.tryLend(8 * MIB, new Holder(0))!;
  const second = pool.tryLend(5 * MIB, new Holder(0))!;
  assertEquals([first.memory.length, second.memory.length], [8 * MIB, 5 * MIB]);
  const large = pool.lend(8 * MIB, new Holder(0)).then((lent) => (order.push("large"), lent));
  // This one would fit, and would keep the large one waiting.
  assertEquals(pool.tryLend(MIB, new Holder(0)), undefined);
  const small = pool.lend(1, new Holder(0)).then((lent) => (order.push("small"), lent));
  assertEquals(pool.waiting, 2);
  second[Symbol.dispose]();
  second[Symbol.dispose]();
  (await large)[Symbol.dispose]();
  assertEquals((await small).memory.length, 64 * 1024);
  assertEquals(order, ["large", "small"]);
  first[Symbol.dispose]();
  (await small)[Symbol.dispose]();
  assertEquals([pool.lentBytes, pool.waiting], [0, 0]);
  await assertRejects(
    () => pool.lend(17 * MIB, new Holder(0)),
    InletError,
    "larger than the memory",
  );
});

pure("an upload that leaves the queue lets the next one go on", async () => {
  const pool = new PartPool({ budgetBytes: 8 * MIB, patienceMs: 1e6 });
  using _first = pool.tryLend(4 * MIB, new Holder(0))!;
  const leaving = new AbortController();
  const large = pool.lend(8 * MIB, new Holder(0), leaving.signal);
  const small = pool.lend(MIB, new Holder(0));
  leaving.abort(new Error("left"));
  await assertRejects(() => large, Error, "left");
  (await small)[Symbol.dispose]();
});

pure("the slowest holder gives way to one that waits, and no more of them", async () => {
  const pool = new PartPool({ budgetBytes: 24 * MIB, patienceMs: 1 });
  const [fast, slow, sending] = [new Holder(7 * MIB), new Holder(1), new Holder(0)];
  const [one, two, three] = [fast, slow, sending].map((each) => pool.tryLend(8 * MIB, each)!);
  // What is filled comes back by itself.
  three!.filled();
  const next = pool.lend(8 * MIB, new Holder(8 * MIB));
  three![Symbol.dispose]();
  using _next = await next;
  const another = pool.lend(8 * MIB, new Holder(0));
  await slow.asked;
  assertEquals(fast.isAsked, false);
  two![Symbol.dispose]();
  (await another)[Symbol.dispose]();
  one![Symbol.dispose]();
});

pure("those that were asked to give way have half of the memory while others wait", async () => {
  const pool = new PartPool({ budgetBytes: 16 * MIB, patienceMs: 1 });
  const [one, two, three] = [new Holder(1), new Holder(2), new Holder(3)];
  const [ofOne, ofTwo] = [pool.tryLend(8 * MIB, one)!, pool.tryLend(8 * MIB, two)!];
  const toThree = pool.lend(8 * MIB, three);
  await one.asked;
  ofOne[Symbol.dispose]();
  const ofThree = await toThree;
  const toOne = pool.lend(8 * MIB, one);
  const toFast = [4, 5].map(() => pool.lend(8 * MIB, new Holder(8 * MIB)));
  await Promise.all([two.asked, three.asked]);
  ofTwo[Symbol.dispose]();
  // It came later, but the slow ones have their half.
  const ofFast = await Promise.race([toFast[0]!, toOne.then(() => undefined)]);
  assert(ofFast !== undefined);
  ofThree[Symbol.dispose]();
  using again = await Promise.race([toOne, toFast[1]!.then(() => undefined)]);
  assert(again !== undefined, "the slow ones do not have their half");
  ofFast[Symbol.dispose]();
  (await toFast[1]!)[Symbol.dispose]();
});

pure("one that gets next to nothing gives way before one that had its part earlier", async () => {
  const pool = new PartPool({ budgetBytes: 16 * MIB, patienceMs: 500 });
  const [busy, idle] = [new Holder(MIB), new Holder(1)];
  using _ofBusy = pool.tryLend(8 * MIB, busy)!;
  await delay(1);
  const ofIdle = pool.tryLend(8 * MIB, idle)!;
  const waiting = pool.lend(8 * MIB, new Holder(MIB));
  await Promise.race([idle.asked, busy.asked]);
  assertEquals([idle.isAsked, busy.isAsked], [true, false]);
  ofIdle[Symbol.dispose]();
  (await waiting)[Symbol.dispose]();
});

pure("a holder is not asked before what was set aside is in its memory again", async () => {
  const pool = new PartPool({ budgetBytes: 16 * MIB, patienceMs: 1 });
  const [takingUp, filling] = [new Holder(1), new Holder(7 * MIB)];
  const [one, two] = [takingUp, filling].map((each) => pool.tryLend(8 * MIB, each)!);
  const taken = Promise.withResolvers<void>();
  one!.busyUntil(taken.promise);
  const next = pool.lend(8 * MIB, new Holder(8 * MIB));
  await filling.asked;
  assertEquals(takingUp.isAsked, false);
  two![Symbol.dispose]();
  using _next = await next;
  taken.resolve();
  const another = pool.lend(8 * MIB, new Holder(0));
  await takingUp.asked;
  one![Symbol.dispose]();
  (await another)[Symbol.dispose]();
});

pure("memory that was given back is lent again, and freed if it does not fit", () => {
  const pool = new PartPool({ budgetBytes: 64 * MIB });
  const first = pool.tryLend(8 * MIB, new Holder(0))!;
  const { memory } = first;
  first[Symbol.dispose]();
  const again = pool.tryLend(8 * MIB, new Holder(0))!;
  assert(again.memory === memory);
  again[Symbol.dispose]();
  using _large = pool.tryLend(64 * MIB, new Holder(0))!;
  assertEquals(memory.length, 0);
});

pure("of parts that are stored in any order, those without a gap have arrived", () => {
  const bytes = crypto.getRandomValues(new Uint8Array(4000));
  const part = (index: number): [NotedPart, number, Uint8Array] => {
    const content = bytes.subarray(index * 1000, index * 1000 + 1000);
    return [{ size: 1000, crc: crc32(content), etag: `${index}` }, index * 1000, content];
  };
  const arrived = new ArrivedParts({ parts: [], samples: [] });
  const told = (): string => {
    const { parts, tail, samples } = arrived.state;
    const all = bytesOf({ parts, tail });
    assertEquals(crcOf({ parts, tail }), crc32(bytes.subarray(0, all)));
    for (const { offset, bytes: sample } of samples) {
      assert(offset + sample.length <= all);
      assertEquals(sample, bytes.slice(offset, offset + sample.length));
    }
    assertEquals(samples.length, all > 0 ? 16 : 0);
    return `${arrived.count} ${all}`;
  };
  arrived.add(2, ...part(1));
  assertEquals(told(), "0 0");
  arrived.add(1, ...part(0));
  assertEquals(told(), "2 2000");
  arrived.setTail(
    { number: 7, size: 10, crc: crc32(bytes.subarray(2000, 2010)) },
    bytes.subarray(2000, 2010),
  );
  assertEquals(told(), "2 2010");
  arrived.add(4, ...part(3));
  assertEquals(told(), "2 2010");
  arrived.add(3, ...part(2));
  assertEquals(told(), "4 4000");
});
