/**
 * One client sends thousands of requests at once, or the largest of a kind. Others are answered
 * meanwhile.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  busyMs,
  dial,
  integration,
  PROC,
  sendTo,
  startServer,
  type TestServer,
} from "./helpers.ts";
import { Wire } from "./wire.ts";

/** The deepest folder of a name: 128 parts are allowed. */
function deep(top: string): string {
  return `${top}/` + "a/".repeat(126);
}

/** A request so many times, each with its number. */
function times(count: number, request: (number: number) => string): string {
  return Array.from({ length: count }, (_, number) => request(number)).join("");
}

/**
 * What one client sends in one write, with a single answer to each line or body. What it makes has
 * another name in each round, so that none is less work than the first.
 */
interface Flood {
  requests(round: number): string;
  /** How many answers there are. */
  answers: number;
  /** What is in the directory of the server before. */
  prepare?(server: TestServer): void;
}

/** Each keeps a server busy for about a second of its processor. */
const FLOODS: Readonly<Record<string, Flood>> = {
  "empty pushes": {
    requests: (round) => times(5000, (number) => `push 0 ${round}-${number}\nend 00000000\n`),
    answers: 5000,
  },
  "pushes of one name": {
    requests: (round) => times(12_000, () => `push 0 same-${round}\nend 00000000\n`),
    answers: 12_000,
  },
  "pushes into deep folders": {
    requests: (round) =>
      times(1000, (number) => `push 0 ${deep(`${round}-${number % 2}`)}x\nend 00000000\n`),
    answers: 1000,
  },
  "mkdir of deep folders": {
    requests: (round) => times(160, (number) => `mkdir ${deep(`${round}-${number}`)}x\n`),
    answers: 160,
  },
  "refused names": {
    requests: () => times(50_000, () => "mkdir ../x\n"),
    answers: 50_000,
  },
  "files that are not there": {
    requests: () => times(5000, () => "get nothing\n"),
    answers: 5000,
  },
  "talk": {
    requests: () => times(50_000, () => "Hello\n"),
    answers: 50_000,
  },
  "one compare with many numbered copies": {
    requests: () => "compare 1 00000000 2020-02-29T12:00:00Z a\n",
    answers: 1,
    prepare(server) {
      for (let number = 1; number <= 40_000; number++) {
        Deno.writeTextFileSync(`${server.dir}/a${number === 1 ? "" : ` (${number})`}`, "");
      }
    },
  },
};

/**
 * Floods before a test fails. Where this program, and not the server, had to wait for the processor,
 * one says nothing; a server that keeps others waiting does so in each.
 */
const ROUNDS = 5;

/** Sends it all, and waits for as many answers. */
async function flood(server: TestServer, requests: string, answers: number): Promise<void> {
  using conn = await dial(server);
  const sending = sendTo(conn, `hello 1 flood\n${requests}`);
  const buffer = new Uint8Array(256 * 1024);
  const decoder = new TextDecoder();
  // The welcome is one more; a note only says that it takes a while.
  for (let left = answers + 1; left > 0;) {
    const text = decoder.decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
    left -= text.split("\n").length - 1 - text.split("note ").length + 1;
  }
  await sending;
}

for (const [what, { requests, answers, prepare }] of Object.entries(FLOODS)) {
  integration(`server.ts answers others during ${what}`, async () => {
    await using server = await startServer();
    prepare?.(server);
    using honest = await Wire.greet(server);
    for (let round = 0; round < ROUNDS; round++) {
      let isOver = false;
      const over = flood(server, requests(round), answers).then(() => isOver = true);
      const begun = busyMs(server);
      let longestMs = 0;
      while (!isOver) {
        const start = busyMs(server);
        await honest.says("whoami\n");
        assertEquals(await honest.line(), "ok test");
        longestMs = Math.max(longestMs, busyMs(server) - start);
      }
      await over;
      const totalMs = busyMs(server) - begun;
      if (longestMs < totalMs / 4) return;
      const worst = `one waited for ${longestMs} ms of ${totalMs} ms of work`;
      assert(round + 1 < ROUNDS, worst);
    }
  }, PROC);
}
