import { assertEquals, assertRejects } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { StdoutQueue } from "../lib/server/stdout_queue.ts";
import { pure } from "./helpers.ts";

const encoder = new TextEncoder();

/** An output that keeps what is written, and lets others go on between two writes. */
function keepingOutput(): { text(): string; write(chunk: Uint8Array): Promise<void> } {
  const written: Uint8Array[] = [];
  return {
    text: () => new TextDecoder().decode(concat(written)),
    write(chunk): Promise<void> {
      written.push(chunk);
      return Promise.resolve();
    },
  };
}

pure("Messages writes each message whole, in the order in which they were begun", async () => {
  const output = keepingOutput();
  const queue = new StdoutQueue(output.write);
  const expected: string[] = [];
  await Promise.all(Array.from({ length: 20 }, async (_, index) => {
    const text = `message ${index} ${"x".repeat(index * 5)}\n`;
    expected.push(text);
    using lock = queue.lock();
    await lock.ready;
    for (const part of [text.slice(0, 9), text.slice(9)]) await lock.write(encoder.encode(part));
  }));
  assertEquals(output.text(), expected.join(""));
});

pure("Messages lets the next one speak when one breaks off", async () => {
  const output = keepingOutput();
  const queue = new StdoutQueue(output.write);
  const failing = (async () => {
    using lock = queue.lock();
    await lock.ready;
    await lock.write(encoder.encode("half"));
    throw new Error("the client is gone");
  })();
  const following = (async () => {
    using lock = queue.lock();
    await lock.ready;
    await lock.write(encoder.encode("|whole"));
  })();
  await assertRejects(() => failing, Error, "the client is gone");
  await following;
  assertEquals(output.text(), "half|whole");
});
