import { assertEquals, assertRejects } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { InletError } from "../lib/errors.ts";
import { HeldBytes } from "../lib/server/held_bytes.ts";
import {
  MAX_HELD_BYTES,
  type Sender,
  type StdoutMessage,
  StdoutQueue,
} from "../lib/server/stdout_queue.ts";
import { pure } from "./helpers.ts";

const encoder = new TextEncoder();

/** A queue that keeps what is written, until `block` is called. */
class KeepingQueue extends StdoutQueue {
  readonly #written: Uint8Array[];
  readonly #gate: { open: Promise<void>; arrived: () => void };

  constructor() {
    const written: Uint8Array[] = [];
    const gate = { open: Promise.resolve(), arrived: () => {} };
    super({
      write: async (chunk) => {
        gate.arrived();
        await gate.open;
        written.push(chunk.slice());
      },
    });
    this.#written = written;
    this.#gate = gate;
  }

  /** What was written, with runs of a letter longer than ten told by their length. */
  get text(): string {
    const text = new TextDecoder().decode(concat(this.#written));
    return text.replaceAll(/(.)\1{9,}/g, (run, letter) => `${letter}*${run.length}`);
  }

  /** Holds up all writes, until `goOn` is called. `blocked` settles when the next one is held up. */
  block(): { blocked: Promise<void>; goOn(): void } {
    const { promise: open, resolve: goOn } = Promise.withResolvers<void>();
    const { promise: blocked, resolve: arrived } = Promise.withResolvers<void>();
    Object.assign(this.#gate, { open, arrived });
    return { blocked, goOn };
  }
}

/** A client whose minimum rate is only noted. */
function sender(): Sender & { enforced: boolean } {
  const from = {
    enforced: false,
    connection: {
      patient: true,
      enforceMinRate(): Disposable {
        from.enforced = true;
        return { [Symbol.dispose]: () => from.enforced = false };
      },
    },
    log: {
      info(): void {},
      record: () => {
        throw new Error("nobody asks for it");
      },
      ms: 0,
    },
  };
  return from;
}

async function say(message: StdoutMessage, ...parts: string[]): Promise<void> {
  using _ = message;
  for (const part of parts) await message.write(encoder.encode(part));
  await message.end();
}

const LONG = MAX_HELD_BYTES + 1;

pure("StdoutQueue writes messages in the order in which they are whole", async () => {
  const queue = new KeepingQueue();
  using slow = queue.begin(sender());
  await slow.write(encoder.encode("slo"));
  await say(queue.begin(sender()), "a", "b");
  await say(queue.begin(sender()), "c");
  assertEquals(queue.text, "abc");
  await say(slow, "w");
  assertEquals(queue.text, "abcslow");
});

pure("StdoutQueue writes large messages whole, and small ones before those that wait", async () => {
  const queue = new KeepingQueue();
  using first = queue.begin(sender());
  await first.write(encoder.encode("1".repeat(LONG)));
  const second = say(queue.begin(sender()), "2".repeat(LONG), "2".repeat(10));
  const small = say(queue.begin(sender()), "small");
  await say(first, "1".repeat(10));
  await Promise.all([second, small]);
  assertEquals(queue.text, `1*${LONG + 10}small2*${LONG + 10}`);
});

pure("StdoutQueue takes the turn from a message that breaks off", async () => {
  const queue = new KeepingQueue();
  const first = queue.begin(sender());
  await first.write(encoder.encode("1".repeat(LONG)));
  const second = say(queue.begin(sender()), "second");
  first[Symbol.dispose]();
  await second;
  assertEquals(queue.text, `1*${LONG}second`);
});

pure("StdoutQueue forgets a message that breaks off while it waits, or before", async () => {
  const queue = new KeepingQueue();
  using first = queue.begin(sender());
  await first.write(encoder.encode("1".repeat(LONG)));
  const leaving = queue.begin(sender());
  leaving.write(encoder.encode("2".repeat(LONG)));
  const broken = queue.begin(sender());
  await broken.write(encoder.encode("half"));
  leaving[Symbol.dispose]();
  broken[Symbol.dispose]();
  const last = say(queue.begin(sender()), "last");
  await say(first);
  await last;
  assertEquals(queue.text, `1*${LONG}last`);
});

pure("StdoutQueue lets a blocked write end before the next message begins", async () => {
  const queue = new KeepingQueue();
  const first = queue.begin(sender());
  await first.write(encoder.encode("1".repeat(LONG)));
  const { blocked, goOn } = queue.block();
  const under = first.write(encoder.encode("under way"));
  const behind = first.write(encoder.encode("behind"));
  await blocked;
  first[Symbol.dispose]();
  const second = say(queue.begin(sender()), "second");
  goOn();
  await under;
  await assertRejects(() => behind, InletError, "it was given up");
  await second;
  assertEquals(queue.text, `1*${LONG}under waysecond`);
});

pure("StdoutQueue enforces the minimum rate while others wait, and only then", async () => {
  const queue = new KeepingQueue();
  const from = sender();
  using first = queue.begin(from);
  await first.write(encoder.encode("1".repeat(LONG)));
  assertEquals(from.enforced, false);
  const waiting = queue.begin(sender());
  const written = say(waiting, "waiting");
  await first.write(encoder.encode("1"));
  assertEquals(from.enforced, true);
  waiting[Symbol.dispose]();
  await first.write(encoder.encode("1"));
  assertEquals(from.enforced, false);
  const again = say(queue.begin(sender()), "again");
  await first.write(encoder.encode("1"));
  assertEquals(from.enforced, true);
  first[Symbol.dispose]();
  assertEquals(from.enforced, false);
  await again;
  assertEquals(queue.text, `1*${LONG + 3}again`);
  void written;
});

pure("HeldBytes holds copies up to its limit", () => {
  const held = new HeldBytes(5000);
  const chunk = encoder.encode("abc");
  for (let bytes = 0; bytes < 4998; bytes += 3) assertEquals(held.add(chunk), true);
  assertEquals(held.add(chunk), false);
  assertEquals(held.add(chunk.subarray(0, 2)), true);
  chunk.fill(0);
  assertEquals(new TextDecoder().decode(held.take()), "abc".repeat(1666) + "ab");
  assertEquals(held.take().length, 0);
});
