/**
 * Two clients at a server that lies: it swaps whom it introduces, stands between them, replays what it
 * has recorded, and tells wrong addresses. Nothing gets to anybody who does not know the words.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { openToProof } from "../client/meeting/tunnel.ts";
import { codeSecret } from "../lib/auth/code_secret.ts";
import type { ByteStream } from "../lib/net/byte_stream.ts";
import { bytes, integration, names, tempDir } from "./helpers.ts";
import { accept, SLOW_CLOCK, startOffer } from "./meeting.ts";
import { End } from "./meeting_ends.ts";
import { type Line, startMeetingServer } from "./meeting_server.ts";

/** What a client says to whoever is not the one with the words. */
const REFUSAL =
  /^inlet: Cannot trust who answers: the words of the code are wrong, or somebody stands in between; nothing was received$/m;

integration("a server that introduces somebody else's offer gives nobody anything", async () => {
  await using server = startMeetingServer({ swaps: true });
  await using dir = await tempDir();
  const path = await dir.write("a.bin", bytes(100_000));
  await using one = await startOffer(server, [path]);
  await using other = await startOffer(server, [path]);
  const taken = await accept(server, one.code, ["--output", dir.path]);
  assertEquals(taken.code, 3);
  assertMatch(taken.stderr, REFUSAL);
  assertEquals(names(dir.path), ["a.bin"]);
  await other.running.says(/other words, or stands in between \(1 of 10\)/);
});

integration("a server that stands between, with a key of its own, is told nothing", async () => {
  const heard: unknown[] = [];
  const secret = await codeSecret("walnut-carbon-ladder-pebble", new Uint8Array(16));
  await using server = startMeetingServer({
    pose: async (line) => {
      const tunnel = { idleTimeoutMs: 10_000 };
      await openToProof(streamOf(line), secret, tunnel).then(
        ({ id }) => heard.push(id),
        () => {},
      );
      line.close();
    },
  });
  await using dir = await tempDir();
  const path = await dir.write("a.bin", bytes(100_000));
  await using offering = await startOffer(server, [path]);
  const taken = await accept(server, offering.code, ["--output", dir.path]);
  assertEquals([taken.code, heard], [3, []]);
  assertMatch(taken.stderr, REFUSAL);
  assertEquals(names(dir.path), ["a.bin"]);
});

integration("what was recorded opens nothing when it is played again", async () => {
  const recorded = { offer: [] as Uint8Array[], accept: [] as Uint8Array[] };
  await using dir = await tempDir();
  const path = await dir.write("a.bin", bytes(100_000));
  const into = `${dir.path}/into`;
  await Deno.mkdir(into);
  let code: string;
  {
    await using server = startMeetingServer({
      change: (bytes, from) => {
        recorded[from].push(bytes.slice());
        return bytes;
      },
    });
    await using offering = await startOffer(server, [path]);
    ({ code } = offering);
    const taken = await accept(server, code, ["--output", into]);
    assertEquals([taken.code, (await offering.ended()).code], [0, 0]);
  }
  await Deno.remove(`${into}/a.bin`);
  const replay = {
    pose: async (line: Line): Promise<void> => {
      await line.write(concat(recorded.offer));
      await line.closeWrite();
      while (await line.bytes());
      line.close();
    },
  };
  await using server = startMeetingServer(replay);
  // The offer is made again with the same code, so only what is recorded can answer.
  await using _offering = await startOffer(server, [path], { env: { INLET_CODE: code } });
  const taken = await accept(server, code, ["--output", into]);
  assertEquals([taken.code, names(into)], [3, []], taken.stderr);
  // And the other way round: what the receiver has said is said to the one who offers.
  await using honest = startMeetingServer();
  await using again = await startOffer(honest, [path], { env: { INLET_CODE: code } });
  using thief = await End.asks(honest, `accept ${code.split("-").slice(0, 2).join("-")}`);
  await thief.line();
  await thief.says(concat(recorded.accept));
  assertMatch(await thief.line(), /^met \d+$/);
  assert(!(await thief.rest()).includes("a.bin"));
  const honestly = await accept(honest, code, ["--output", into]);
  assertEquals([honestly.code, (await again.ended()).code], [0, 0], honestly.stderr);
  assertEquals(names(into), ["a.bin"]);
});

for (const seen of ["203.0.113.9:1", "nowhere"]) {
  integration(`a direct transfer: the server sees none of it, and may say "${seen}"`, async () => {
    await using server = startMeetingServer({ seen });
    await using dir = await tempDir();
    const content = bytes(5_000_000);
    const path = await dir.write("film.bin", content);
    const into = `${dir.path}/into`;
    await Deno.mkdir(into);
    const permissions = [...SLOW_CLOCK, "-A"];
    // The server sees the first word, which has nothing of what it may not see, like "outreach".
    const env = { INLET_CODE: "4713-mango-walnut-carbon-ladder-pebble" };
    await using offering = await startOffer(server, [path], { permissions, env });
    const taken = await accept(server, offering.code, ["--output", into], { permissions });
    assertEquals([taken.code, (await offering.ended()).code], [0, 0], taken.stderr);
    assertEquals(await Deno.readFile(`${into}/film.bin`), content);
    assertMatch(taken.stderr, /, direct$/m);
    const recorded = concat(server.recorded);
    assert(recorded.length < 50_000, `${recorded.length} bytes`);
    const text = new TextDecoder("latin1").decode(recorded);
    for (const hidden of ["reach", "loopback", "film"]) assert(!text.includes(hidden), hidden);
  });
}

/** A connection at the server as the transport of TLS. */
function streamOf(line: Line): ByteStream {
  return {
    remote: line.address,
    async read(into) {
      const read = await line.bytes();
      if (read === null) return null;
      const part = read.subarray(0, into.length);
      into.set(part);
      if (part.length < read.length) line.unread(read.slice(part.length));
      return part.length;
    },
    async write(bytes) {
      await line.write(bytes);
      return bytes.length;
    },
    touch: () => Promise.resolve(),
    closeWrite: () => line.closeWrite(),
    close: () => line.close(),
    reset: () => line.close(),
  };
}
