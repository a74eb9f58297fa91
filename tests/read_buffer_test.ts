import { assert, assertEquals } from "@std/assert";
import { buffers } from "../lib/body/buffer_pool.ts";
import { ReadBuffer } from "../lib/net/read_buffer.ts";
import { borrowAll, bytes, pure } from "./helpers.ts";

/** What one read brings: all that there is room for, or so many bytes of it. */
function read(buffer: ReadBuffer, most: number, content: Uint8Array): number {
  const room = buffer.room(most);
  const piece = content.subarray(0, room.length);
  room.set(piece);
  buffer.filled(piece.length);
  return piece.length;
}

pure("ReadBuffer begins small, grows with what fills it, and shrinks when less comes", () => {
  const buffer = new ReadBuffer();
  const much = new Uint8Array(2 ** 21);
  const rooms: number[] = [];
  for (let reads = 0; reads < 5; reads++) {
    rooms.push(read(buffer, Infinity, much));
    buffer.take(buffer.length);
  }
  assertEquals(rooms, [1024, 32_768, 131_072, 524_288, 1_048_576]);
  assertEquals(buffers.lentBytes, 1_048_576);
  read(buffer, Infinity, bytes(1000));
  buffer.take(1000);
  assertEquals([buffer.room(Infinity).length, buffers.lentBytes], [32_768, 32_768]);
  buffer.rest();
});

pure("ReadBuffer keeps what is there in order, whatever memory it moves to", () => {
  const content = bytes(3 * 2 ** 20);
  for (const takes of [1, 1000, 100_000]) {
    const buffer = new ReadBuffer();
    let came = 0;
    let taken = 0;
    while (taken < content.length) {
      came += read(buffer, 200_000, content.subarray(came));
      while (buffer.length > 8000 || (came === content.length && buffer.length > 0)) {
        const piece = buffer.take(Math.min(takes * 100, buffer.length));
        assertEquals(piece, content.subarray(taken, taken + piece.length));
        taken += piece.length;
      }
    }
    buffer.rest();
    assertEquals(buffers.lentBytes, 0);
  }
});

pure("ReadBuffer goes on with little while the budget is lent out, and has more afterwards", () => {
  const buffer = new ReadBuffer();
  const much = new Uint8Array(2 ** 20);
  const readAll = (): number => {
    const came = read(buffer, Infinity, much);
    buffer.take(came);
    return came;
  };
  {
    using _ = borrowAll();
    for (let reads = 0; reads < 5; reads++) assert(readAll() <= 16_384);
  }
  assertEquals(readAll(), 65_536);
  buffer.rest();
  assertEquals(buffers.lentBytes, 0);
});

pure("ReadBuffer borrows nothing after the end of its connection", () => {
  const buffer = new ReadBuffer();
  const much = new Uint8Array(2 ** 20);
  read(buffer, Infinity, much);
  read(buffer, Infinity, much);
  assert(buffers.lentBytes > 0);
  buffer.abandon();
  buffer.take(buffer.length);
  assertEquals([buffer.room(Infinity).length > 0, buffers.lentBytes], [true, 0]);
});
