/**
 * Heavy work: few pieces at once, in the order of asking, each done once for all who want it, and
 * ended when nobody wants it any more.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { Semaphore } from "../lib/semaphore.ts";
import { SharedWork } from "../lib/store/shared_work.ts";
import { checksumOf, readInTurn } from "../lib/store/checksums.ts";
import { pure } from "./helpers.ts";

const LARGE = 64 * 1024 * 1024;

pure("Semaphore serves in the order of asking, without those who have left", async () => {
  const semaphore = new Semaphore(1);
  const served: string[] = [];
  const first = await semaphore.acquire();
  const leaving = new AbortController();
  const waiting = ["a", "b", "c"].map(async (name) => {
    using _ = await semaphore.acquire(name === "b" ? leaving.signal : undefined);
    served.push(name);
  });
  leaving.abort(new Error("left"));
  await assertRejects(() => waiting[1]!, Error, "left");
  assertEquals(served, []);
  first[Symbol.dispose]();
  await Promise.all([waiting[0], waiting[2]]);
  assertEquals(served, ["a", "c"]);
  (await semaphore.acquire())[Symbol.dispose]();
});

pure("SharedWork does the same work once, and other work beside it", async () => {
  const work = new SharedWork<number>();
  let begun = 0;
  const count = (): Promise<number> => Promise.resolve(++begun);
  assertEquals(await Promise.all([work.get("a", count), work.get("a", count)]), [1, 1]);
  assertEquals(await Promise.all([work.get("a", count), work.get("b", count)]), [2, 3]);
});

pure("SharedWork goes on for those who stay, and ends when the last one leaves", async () => {
  const work = new SharedWork<string>();
  const ends: AbortSignal[] = [];
  const finish: ((value: string) => void)[] = [];
  const endless = (signal: AbortSignal): Promise<string> => {
    ends.push(signal);
    return new Promise((resolve) => finish.push(resolve));
  };
  const first = new AbortController();
  const second = new AbortController();
  const one = work.get("a", endless, first.signal);
  const other = work.get("a", endless, second.signal);
  first.abort(new Error("left"));
  await assertRejects(() => one, Error, "left");
  assertEquals([ends.length, ends[0]!.aborted], [1, false]);
  second.abort(new Error("left too"));
  await assertRejects(() => other, Error, "left too");
  assertEquals(ends[0]!.aborted, true);
  // Work that was given up is not handed to the next one.
  const next = work.get("a", endless);
  finish[1]!("done");
  assertEquals([await next, ends.length], ["done", 2]);
});

pure("SharedWork that fails, fails for all who wait, and is tried again by the next", async () => {
  const work = new SharedWork<string>();
  const fail = () => Promise.reject(new Error("no"));
  const both = [work.get("a", fail), work.get("a", fail)];
  for (const result of both) await assertRejects(() => result, Error, "no");
  assertEquals(await work.get("a", () => Promise.resolve("yes")), "yes");
});

/** Readings that end when they are told to. */
class Readings {
  /** In the order in which they began. */
  readonly begun: string[] = [];
  readonly #ends = new Map<string, () => void>();

  read(what: string, client?: string): Promise<void> {
    return readInTurn(LARGE, () => {
      this.begun.push(what);
      return new Promise((resolve) => this.#ends.set(what, resolve));
    }, { client });
  }

  end(what: string): void {
    this.#ends.get(what)!();
  }
}

/** Lets everything go on that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await null;
}

pure("two large files are read at once, and small ones do not wait for them", async () => {
  const readings = new Readings();
  const large = ["a", "b", "c"].map((what) => readings.read(what));
  await readInTurn(1, () => Promise.resolve());
  await settle();
  assertEquals(readings.begun, ["a", "b"]);
  readings.end("a");
  await large[0];
  await settle();
  assertEquals(readings.begun, ["a", "b", "c"]);
  readings.end("b");
  readings.end("c");
  await Promise.all(large);
});

pure("a client has one large file read at a time, so that others find a place", async () => {
  const readings = new Readings();
  const of = (client: string) => (what: string) => readings.read(what, client);
  const greedy = ["a", "b", "c"].map(of("greedy"));
  await settle();
  assertEquals(readings.begun, ["a"]);
  const modest = of("modest")("d");
  await settle();
  assertEquals(readings.begun, ["a", "d"]);
  readings.end("d");
  await modest;
  await settle();
  // The other place stays free for others, and those of the greedy one follow in their order.
  assertEquals(readings.begun, ["a", "d"]);
  for (const [index, what] of ["a", "b", "c"].entries()) {
    readings.end(what);
    await greedy[index];
    await settle();
  }
  assertEquals(readings.begun, ["a", "d", "b", "c"]);
});

pure(
  "who wants the same checksum does not wait behind what else another has asked for",
  async () => {
    const readings = new Readings();
    const own = readings.read("own", "greedy");
    const queued = readings.read("queued", "greedy");
    let opened = 0;
    const open = () => {
      opened++;
      let left = LARGE;
      return {
        readNext: (into: Uint8Array) => (left -= into.length) < 0 ? 0 : into.length,
        [Symbol.dispose]: () => {},
      };
    };
    const behind = checksumOf("v2", LARGE, open, { client: "greedy" });
    await settle();
    assertEquals(opened, 0);
    const modest = checksumOf("v2", LARGE, open, { client: "modest" });
    assertEquals([(await modest).crc, opened], [(await behind).crc, 1]);
    assertEquals(readings.begun, ["own"]);
    readings.end("own");
    await own;
    await settle();
    readings.end("queued");
    await queued;
  },
);

pure("a reading that all have given up before its turn is not done", async () => {
  const readings = new Readings();
  const held = ["a", "b"].map((what) => readings.read(what));
  const leaving = new AbortController();
  const open = (): never => {
    throw new Error("opened");
  };
  const sum = checksumOf("v3", LARGE, open, { client: "c", signal: leaving.signal });
  await settle();
  leaving.abort(new Error("left"));
  await assertRejects(() => sum, Error, "left");
  for (const what of ["a", "b"]) readings.end(what);
  await Promise.all(held);
  // Its turn was not lost with it.
  const after = readings.read("c", "c");
  await settle();
  readings.end("c");
  await after;
});

pure("a file is opened once for all who ask for the same checksum, and closed", async () => {
  let opened = 0;
  let closed = 0;
  const open = () => {
    opened++;
    let left = LARGE;
    return {
      readNext(into: Uint8Array): number {
        left -= into.length;
        return left < 0 ? 0 : into.length;
      },
      [Symbol.dispose]: () => void closed++,
    };
  };
  const all = Array.from({ length: 20 }, () => checksumOf("v1", LARGE, open));
  const sums = await Promise.all(all);
  assertEquals(new Set(sums.map(({ crc }) => crc)).size, 1);
  assertEquals([opened, closed], [1, 1]);
});
