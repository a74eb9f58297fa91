import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Code, InletError } from "../lib/errors.ts";
import { Retries } from "../client/retry.ts";
import { integration, pure } from "./helpers.ts";

const LOST = new InletError("lost", "The server closed the connection");

/** Retries that never wait to the end, and what they said. */
function retriesOf(limit: number): { retries: Retries; said: string[] } {
  const said: string[] = [];
  const signal = AbortSignal.abort(new InletError("interrupted", "Interrupted"));
  return { retries: new Retries({ limit, signal, onNotice: (text) => said.push(text) }), said };
}

pure("Retries allows what may pass, and nothing that will not", () => {
  const { retries } = retriesOf(1);
  const codes: Code[] = ["lost", "timeout", "shutdown", "busy", "overloaded"];
  for (const code of codes) assert(retries.allows(new InletError(code, "")), code);
  const final: Code[] = ["denied", "disk", "bad-name", "checksum", "usage", "interrupted", "wait"];
  for (const code of final) assert(!retries.allows(new InletError(code, "")), code);
  assert(!retriesOf(0).retries.allows(LOST));
});

integration("Retries waits twice as long each time, up to a minute, and at random", async () => {
  const { retries, said } = retriesOf(10);
  for (let count = 0; count < 10; count++) await retries.wait(LOST).catch(() => {});
  for (const [index, line] of said.entries()) {
    const [, seconds, count] = /; trying again in ([\d.]+) s \((\d+) of 10\)$/.exec(line)!;
    const most = Math.min(2 ** index, 60);
    assert(Number(seconds) >= most / 2 - 0.05 && Number(seconds) <= most, line);
    assertEquals(Number(count), index + 1);
  }
  assert(!retries.allows(LOST));
});

integration("Retries counts anew after progress: a file done, or further than before", async () => {
  const { retries } = retriesOf(1);
  const fail = async (): Promise<void> => {
    await retries.wait(LOST).catch(() => {});
    assert(!retries.allows(LOST));
  };
  await fail();
  retries.progressed();
  assert(retries.allows(LOST));
  await fail();
  retries.reached("a.bin", 100);
  assert(retries.allows(LOST));
  await fail();
  retries.reached("a.bin", 100);
  assert(!retries.allows(LOST));
});

integration("Retries ends a wait with the reason of its signal", async () => {
  const stop = new AbortController();
  const { signal } = stop;
  const retries = new Retries({ limit: 5, signal, onNotice: () => {} });
  const waiting = retries.wait(LOST);
  stop.abort(new InletError("interrupted", "Interrupted"));
  await assertRejects(() => waiting, InletError, "Interrupted");
});
