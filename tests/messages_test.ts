import { assertEquals, assertRejects } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { Messages } from "../lib/messages.ts";
import { bytes, pure } from "./helpers.ts";

const encoder = new TextEncoder();

/** An output that takes a few bytes at a time, and lets others go on between two writes. */
function slowOutput(): { written: number[]; write(chunk: Uint8Array): Promise<number> } {
  const written: number[] = [];
  return {
    written,
    write(chunk): Promise<number> {
      const taken = chunk.subarray(0, 7);
      written.push(...taken);
      return Promise.resolve(taken.length);
    },
  };
}

pure("Messages writes each message whole, in the order in which they were begun", async () => {
  const output = slowOutput();
  const messages = new Messages(output);
  const expected: string[] = [];
  await Promise.all(Array.from({ length: 20 }, async (_, index) => {
    const text = `message ${index} ${"x".repeat(index * 5)}\n`;
    expected.push(text);
    using turn = await messages.turn();
    for (const part of [text.slice(0, 9), text.slice(9)]) await turn.write(encoder.encode(part));
  }));
  assertEquals(new TextDecoder().decode(new Uint8Array(output.written)), expected.join(""));
});

pure("Messages writes all of a chunk, however little the output takes at a time", async () => {
  const output = slowOutput();
  using turn = await new Messages(output).turn();
  await turn.write(bytes(10_000));
  assertEquals(new Uint8Array(output.written), bytes(10_000));
});

pure("Messages lets the next one speak when one breaks off", async () => {
  const output = slowOutput();
  const messages = new Messages(output);
  const failing = (async () => {
    using turn = await messages.turn();
    await turn.write(encoder.encode("half"));
    throw new Error("the client is gone");
  })();
  const following = (async () => {
    using turn = await messages.turn();
    await turn.write(encoder.encode("|whole"));
  })();
  await assertRejects(() => failing, Error, "the client is gone");
  await following;
  assertEquals(new TextDecoder().decode(new Uint8Array(output.written)), "half|whole");
});

pure("Messages says that nobody reads the output any more", async () => {
  const broken = Object.assign(new Error("Broken pipe"), { code: "EPIPE" });
  const messages = new Messages({ write: () => Promise.reject(broken) });
  using turn = await messages.turn();
  await assertRejects(
    () => turn.write(encoder.encode("x")),
    InletError,
    "Cannot write the message to the standard output",
  );
});
