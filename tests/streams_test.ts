import { assert, assertEquals, assertRejects } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { buffers, LARGE_BUFFER_BYTES } from "../lib/body/buffer_pool.ts";
import { fileBody, readerBody, Tally, untilAborted, writeFully } from "../lib/body/streams.ts";
import { borrowAll, bytes, collect, fixture, integration, pure, tempDir } from "./helpers.ts";

pure("Tally carries the CRC-32 of ISO 3309, however the bytes are cut", () => {
  const content = new TextEncoder().encode("123456789");
  for (let cut = 0; cut <= content.length; cut++) {
    const tally = new Tally();
    tally.add(content.subarray(0, cut));
    tally.add(content.subarray(cut));
    assertEquals([tally.bytes, tally.crc], [9, 0xcbf43926]);
  }
  assertEquals(new Tally().crc, 0);
});

pure("writeFully() writes all of a chunk to what takes a few bytes at a time", () => {
  const written: number[] = [];
  const slow = {
    writeSync(chunk: Uint8Array): number {
      written.push(...chunk.subarray(0, 3));
      return Math.min(chunk.length, 3);
    },
  };
  writeFully(slow, bytes(1000));
  assertEquals(new Uint8Array(written), bytes(1000));
});

const FIXTURES = [
  ["empty.bin", 0, 0],
  ["one_byte.bin", 1, undefined],
  ["hello.txt", 6, 0x363a3020],
  ["every_byte.bin", undefined, undefined],
  ["1MiB_minus_1.txt", 2 ** 20 - 1, undefined],
  ["1MiB.txt", 2 ** 20, undefined],
  ["1MiB_plus_1.txt", 2 ** 20 + 1, undefined],
] as const;

for (const [name, size, crc] of FIXTURES) {
  integration(`fileBody() streams ${name} whole, counted and summed`, async () => {
    const content = await Deno.readFile(fixture(name));
    if (size !== undefined) assertEquals(content.length, size);
    using file = await Deno.open(fixture(name));
    let moved = 0;
    const body = fileBody(file, content.length, (count) => moved += count);
    assertEquals(await collect(body.stream), content);
    const expected = new Tally();
    expected.add(content);
    assertEquals(body.tally, expected);
    if (crc !== undefined) assertEquals(body.tally.crc, crc);
    assertEquals([body.change(), moved], [undefined, content.length]);
  });
}

integration(
  "fileBody() sends zeros for what is missing, and says that the file changed",
  async () => {
    await using local = await tempDir();
    for (const [had, announced] of [[0, 1], [5, 8], [70_000, 3 * 2 ** 20]] as const) {
      using file = await Deno.open(await local.write("short", bytes(had)));
      const body = fileBody(file, announced);
      const sent = await collect(body.stream);
      assertEquals(sent.length, announced);
      assertEquals(sent.subarray(0, had), bytes(had));
      assert(sent.subarray(had).every((byte) => byte === 0));
      assertEquals([body.change(), body.tally.bytes], ["changed", announced]);
    }
  },
);

integration(
  "fileBody() sends no more than was announced, and says that the file grew",
  async () => {
    await using local = await tempDir();
    for (const [has, announced] of [[1, 0], [9, 8], [2 ** 20 + 1, 2 ** 20]] as const) {
      using file = await Deno.open(await local.write("long", bytes(has)));
      const body = fileBody(file, announced);
      assertEquals(await collect(body.stream), bytes(announced));
      assertEquals(body.change(), "grew");
    }
  },
);

integration("fileBody() says that what it sends was written meanwhile", async () => {
  await using local = await tempDir();
  const size = 3 * 2 ** 20;
  using file = await Deno.open(await local.write("log", bytes(size)));
  const body = fileBody(file, size);
  const reader = body.stream.getReader();
  await reader.read();
  Deno.utimeSync(`${local.path}/log`, new Date(), new Date(0));
  while (!(await reader.read()).done);
  assertEquals(body.change(), "changed");
});

integration("fileBody() goes on with a small buffer when the large ones are lent out", async () => {
  using _ = borrowAll();
  using file = await Deno.open(fixture("1MiB_plus_1.txt"));
  const body = fileBody(file, 2 ** 20 + 1);
  assertEquals(await collect(body.stream), await Deno.readFile(fixture("1MiB_plus_1.txt")));
  assertEquals(body.change(), undefined);
});

integration(
  "fileBody() gives its buffer back at the end, on cancelling, and on failing",
  async () => {
    const path = fixture("1MiB_plus_1.txt");
    {
      using file = await Deno.open(path);
      await collect(fileBody(file, 2 ** 20 + 1).stream);
      assertEquals(buffers.lentBytes, 0);
    }
    {
      using file = await Deno.open(path);
      const { stream } = fileBody(file, 2 ** 20 + 1);
      assertEquals(buffers.lentBytes, LARGE_BUFFER_BYTES);
      await stream.cancel();
      assertEquals(buffers.lentBytes, 0);
    }
    const file = await Deno.open(path);
    const { stream } = fileBody(file, 2 ** 20 + 1);
    file.close();
    await assertRejects(() => collect(stream));
    assertEquals(buffers.lentBytes, 0);
  },
);

pure("readerBody() streams what a reader gives, for as long as it gives", async () => {
  const pieces = [bytes(3), bytes(LARGE_BUFFER_BYTES), bytes(1)];
  const expected = concat(pieces);
  let moved = 0;
  const reader = {
    read(buffer: Uint8Array): Promise<number | null> {
      const piece = pieces.shift();
      if (piece) buffer.set(piece);
      return Promise.resolve(piece?.length ?? null);
    },
  };
  assertEquals(await collect(readerBody(reader, (count) => moved += count)), expected);
  assertEquals(moved, expected.length);
});

pure("readerBody() lends its buffer to nobody while a read into it is under way", async () => {
  for (const outcome of [5, null, new Error("the pipe broke")]) {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    const begun = Promise.withResolvers<void>();
    const read = (): Promise<number | null> => {
      begun.resolve();
      return promise;
    };
    const reader = readerBody({ read }).getReader();
    const waiting = reader.read();
    await begun.promise;
    await reader.cancel();
    assertEquals((await waiting).done, true);
    assertEquals(buffers.lentBytes, LARGE_BUFFER_BYTES);
    if (outcome instanceof Error) reject(outcome);
    else resolve(outcome);
    await new Promise((resolve) => setTimeout(resolve));
    assertEquals(buffers.lentBytes, 0);
  }
});

pure("untilAborted() leaves its signal at every end, which may outlive many streams", async () => {
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  signal.addEventListener = (_: string, listener: unknown) => void listeners.add(listener);
  signal.removeEventListener = (_: string, listener: unknown) => void listeners.delete(listener);
  const ends: Record<string, (stream: ReadableStream<Uint8Array>) => Promise<unknown>> = {
    "its end": collect,
    "a reader that leaves": (stream) => stream.cancel(),
  };
  for (const [what, end] of Object.entries(ends)) {
    await end(untilAborted(new Blob(["hello"]).stream(), signal));
    assertEquals(listeners.size, 0, what);
  }
  const broken = new ReadableStream<Uint8Array>({
    pull: () => Promise.reject(new Error("broken")),
  });
  await assertRejects(() => collect(untilAborted(broken, signal)), Error, "broken");
  assertEquals(listeners.size, 0, "a failure");
});
