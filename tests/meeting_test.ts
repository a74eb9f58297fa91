/**
 * Two clients that meet at a real server: every state of an offer and of a try, by the line.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import { startsWith } from "@std/bytes/starts-with";
import { SocketStream } from "../lib/net/byte_stream.ts";
import { type LoggedEvent, serve } from "../server.ts";
import { freePort, integration, KEY, startServer, tempDir } from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { accept, End, join, meet, offer, OTHER_SALT, SALT } from "./meeting_ends.ts";
import { Wire } from "./wire.ts";

const DENIED = "error denied Cannot accept: no offer has this code; it is mistyped, over, or taken";

for (const key of [undefined, KEY]) {
  const where = key === undefined ? "a plain server" : "a server with a key";

  integration(`two clients meet at ${where}, and each gets the other's bytes whole`, async () => {
    await using server = await startServer({ ...key !== undefined && { key } });
    using pair = await meet(server);
    const sent = [random(3_000_000), random(3_000_000)] as const;
    const [offered, accepted] = await Promise.all([
      digestOf(pair.offerer),
      digestOf(pair.acceptor),
      pair.offerer.says(sent[0]).then(() => pair.offerer.connection.closeWrite()),
      pair.acceptor.says(sent[1]).then(() => pair.acceptor.connection.closeWrite()),
    ]);
    assertEquals(accepted, await digest(sent[0]));
    assertEquals(offered, await digest(sent[1]));
    await server.running.says(/relayed 5\.72 MiB both ways/);
  });
}

integration("each direction of a pipe ends by itself", async () => {
  await using server = await startServer();
  using pair = await meet(server);
  await pair.acceptor.says("that is all");
  await pair.acceptor.connection.closeWrite();
  assertEquals(await pair.offerer.rest(), "that is all");
  await pair.offerer.says("and now I");
  await pair.offerer.connection.closeWrite();
  assertEquals(await pair.acceptor.rest(), "and now I");
});

for (const who of ["offerer", "acceptor"] as const) {
  integration(`an ${who} that leaves a pipe ends it for the other`, async () => {
    await using server = await startServer();
    using pair = await meet(server);
    const [one, other] = who === "offerer"
      ? [pair.offerer, pair.acceptor]
      : [pair.acceptor, pair.offerer];
    // More than the buffers hold, so that what the one has not read makes a reset of its end.
    const sending = other.says(new Uint8Array(30_000_000)).then(() => "sent", () => "broken off");
    await one.text(10_000);
    one[Symbol.dispose]();
    assertEquals(await sending, "broken off");
    assertEquals(await other.rest(), "");
    await server.running.says(/left, 0 connected/);
  });
}

integration("PROTOCOL.md: its meeting can be typed as it stands", async () => {
  await using server = await startServer();
  const text = await Deno.readTextFile(new URL("../PROTOCOL.md", import.meta.url));
  const start = text.indexOf("```\nO: hello 1 ben") + 4;
  const lines = text.slice(start, text.indexOf("```", start)).trim().split("\n");
  using o = await Wire.dial(server);
  using a = await Wire.dial(server);
  const ids = { plate: "4713-maple", id: "1" };
  for (const line of lines) {
    const isOfA = line.startsWith("  ");
    const [who, words] = [line.trim().slice(0, 1), line.trim().slice(3)];
    const wire = isOfA ? a : o;
    // A server ticks after a while of silence, which the test does not wait for.
    if (words === "tick") continue;
    if (/^the bytes of/.test(words)) {
      assertEquals(new TextDecoder().decode(await wire.bytes(5)), "bytes");
    } else if (who !== "S") {
      const said = words.replace("4713-maple", ids.plate).replace("join 1", `join ${ids.id}`);
      await wire.says(words === "bytes" ? "bytes" : `${said}\n`);
    } else {
      const came = await wire.line();
      ids.plate = /^ok (\d{4}-maple)/.exec(came)?.[1] ?? ids.plate;
      ids.id = /^knock (\d+)/.exec(came)?.[1] ?? ids.id;
      const shape = (said: string): string =>
        said.replaceAll(/\d{4,}/g, "N").replace(/ \d /, " I ")
          .replace(/ \d$/, " I");
      assertEquals(shape(came), shape(words));
    }
  }
});

integration("an offerer that comes again takes the place of its old connection", async () => {
  await using server = await startServer();
  using first = await offer(server);
  const { plate } = first;
  using second = await offer(server, { plate, seconds: 3000 });
  assertMatch(await first.end.line(), /^error aborted Another connection has taken the place/);
  assertEquals(await first.end.line(), "");
  // The old one is gone for good by now, which must not make the new one's offer an absent one.
  await server.running.says(/left, 1 connected/);
  using acceptor = await accept(server, plate);
  assertEquals(await join(second), "first");
  assertMatch(await acceptor.line(), /^met \d+$/);
});

integration("an acceptor waits for an offerer that is away, and is told so", async () => {
  await using server = await startServer();
  const first = await offer(server);
  first[Symbol.dispose]();
  await server.running.says(/left, 0 connected/);
  using acceptor = await accept(server, first.plate);
  assertMatch(await acceptor.line(), /^note The one who offers is not connected/);
  using second = await offer(server, { plate: first.plate });
  await join(second);
  assertMatch(await acceptor.line(), /^met \d+$/);
  await acceptor.says("more");
  assertEquals(await second.end.text(4), "more");
});

integration("an offerer that leaves before it joins gets the same bytes again", async () => {
  await using server = await startServer();
  const first = await offer(server);
  const early = "x".repeat(16 * 1024);
  using acceptor = await accept(server, first.plate, early);
  const knock = await first.end.line();
  assertMatch(knock, /^knock \d+ 127\.0\.0\.1:\d+$/);
  first[Symbol.dispose]();
  await server.running.says(/client 1: .*left/);
  using second = await offer(server, { plate: first.plate });
  assertEquals(await second.end.line(), knock);
  assertEquals(await second.end.text(5), "xxxxx");
  await second.end.says(`join ${knock.split(" ")[1]}\nback`);
  assertMatch(await acceptor.line(), /^met \d+$/);
  assertEquals(await acceptor.text(4), "back");
  await acceptor.says("y");
  await acceptor.connection.closeWrite();
  assertEquals(await second.end.rest(), "x".repeat(early.length - 5) + "y");
});

integration("a second connection takes over a try that the first has not joined", async () => {
  await using server = await startServer();
  using first = await offer(server);
  using acceptor = await accept(server, first.plate);
  const knock = await first.end.line();
  using second = await offer(server, { plate: first.plate });
  // Its line would stand within the bytes of the acceptor.
  assertEquals(await first.end.rest(), "first");
  assertEquals(await second.end.line(), knock);
  assertEquals(await second.end.text(5), "first");
  await second.end.says(`join ${knock.split(" ")[1]}\n`);
  assertMatch(await acceptor.line(), /^met \d+$/);
});

integration("an acceptor that leaves uses up the connection that was told of it", async () => {
  await using server = await startServer();
  const first = await offer(server);
  const gone = await accept(server, first.plate);
  assertMatch(await first.end.line(), /^knock/);
  gone[Symbol.dispose]();
  assertEquals(await first.end.rest(), "first");
  await server.running.says(/client 1: The client that came for the offer has left/);
  using second = await offer(server, { plate: first.plate });
  using acceptor = await accept(server, first.plate, "again");
  assertEquals(await join(second, "again"), "again");
  assertMatch(await acceptor.line(), /^met \d+$/);
});

integration("an offerer that has begun anew sends acceptors back for its new salt", async () => {
  await using server = await startServer();
  const first = await offer(server);
  const { plate } = first;
  first[Symbol.dispose]();
  await server.running.says(/left, 0 connected/);
  using waiting = await accept(server, plate);
  using silent = await accept(server, plate, "");
  assertMatch(await waiting.line(), /^note /);
  using second = await offer(server, { plate, salt: OTHER_SALT });
  const again = /^error wait Cannot accept at the moment: the one who offers has begun anew$/;
  assertMatch(await waiting.line(), again);
  assertEquals(await waiting.line(), "");
  await silent.says("late");
  assertMatch(await silent.line(), again);
  using third = await End.asks(server, `accept ${plate}`);
  assertMatch(await third.line(), new RegExp(`^ok ${OTHER_SALT} `));
  await third.says("first");
  assertEquals(await join(second), "first");
  assertMatch(await third.line(), /^met/);
});

integration(
  "a plate that no offer has is denied after a second, and the same as one that is over",
  async () => {
    await using server = await startServer();
    using offering = await offer(server);
    await offering.end.says("withdraw\n");
    assertEquals([await offering.end.line(), await offering.end.line()], ["ok bye", ""]);
    for (const plate of [offering.plate, "0000-nobody"]) {
      const asked = performance.now();
      using end = await End.asks(server, `accept ${plate}`);
      assertEquals([await end.line(), await end.line()], [DENIED, ""]);
      assert(performance.now() - asked >= 1000);
    }
  },
);

integration("an offer that is withdrawn or over ends the wait for it", async () => {
  await using server = await startServer();
  const away = await offer(server);
  away[Symbol.dispose]();
  await server.running.says(/left, 0 connected/);
  using waiting = await accept(server, away.plate);
  assertMatch(await waiting.line(), /^note/);
  using back = await offer(server, { plate: away.plate });
  assertMatch(await back.end.line(), /^knock/);
  assertEquals(await back.end.text(5), "first");
  await back.end.says("withdraw\n");
  assertEquals(await back.end.rest(), "");
  assertEquals([await waiting.line(), await waiting.line()], [DENIED, ""]);
  using short = await offer(server, { seconds: 1 });
  assertEquals(await short.end.line(), "error denied The offer is over: nobody came for it");
  assertEquals(await short.end.line(), "");
});

integration("a restarted server takes a plate that it does not know for a new offer", async () => {
  const port = freePort();
  const plate = await (async (): Promise<string> => {
    await using server = await startServer({ port });
    using first = await offer(server);
    assertEquals((await server.running.stop("SIGKILL")).signal, "SIGKILL");
    assertEquals(await first.end.line(), "");
    return first.plate;
  })();
  await using server = await startServer({ port });
  using second = await offer(server, { plate });
  assertEquals(second.plate, plate);
  using acceptor = await accept(server, plate);
  await join(second);
  assertMatch(await acceptor.line(), /^met/);
});

integration("a client that waits is asked every while whether it is there", async () => {
  await using local = await tempDir();
  // In this process, so that a moment in which the machine is busy is nobody's silence.
  await using running = await serve({ directory: local.path, timeoutMs: 1000, log: () => {} });
  const server = running.address;
  using there = await offer(server);
  for (let ticks = 0; ticks < 4; ticks++) {
    assertEquals(await there.end.line(), "tick");
    await there.end.says("tick\n");
  }
  using gone = await offer(server);
  assertEquals(await gone.end.line(), "tick");
  assertMatch(await gone.end.line(), /^error timeout No data in either direction for 1\.5 s/);
  // It is away, and not over.
  using back = await offer(server, { plate: gone.plate });
  assertEquals(back.plate, gone.plate);
});

integration("a pipe in which nothing moves ends after the --timeout", async () => {
  await using local = await tempDir();
  const told = Promise.withResolvers<void>();
  const log = ({ message }: LoggedEvent): void => {
    if (/No data in either direction for 3 s/.test(message)) told.resolve();
  };
  const limits = { timeoutMs: 3000, minRate: 2 ** 30 };
  await using server = await serve({ directory: local.path, log, ...limits });
  using pair = await meet(server.address);
  // No rate is too low for a pipe.
  await pair.acceptor.says("a few bytes");
  assertEquals([await pair.acceptor.rest(), await pair.offerer.rest()], ["", "a few bytes"]);
  await told.promise;
});

integration("a server that stops lets pipes end, and tells those who wait", async () => {
  await using server = await startServer();
  using waiting = await offer(server);
  using away = await offer(server, { plate: "?-walnut" });
  using pair = await meet(server);
  away[Symbol.dispose]();
  await server.running.says(/left/);
  using asking = await accept(server, away.plate);
  assertMatch(await asking.line(), /^note/);
  const stopping = server.running.stop();
  await server.running.says(/stopping: 2 transfers have 5 s to finish/);
  for (const end of [waiting.end, asking]) {
    assertMatch(await end.line(), /^error shutdown/);
  }
  await pair.acceptor.says("still");
  assertEquals(await pair.offerer.text(5), "still");
  await Promise.all([pair.acceptor, pair.offerer].map((end) => end.connection.closeWrite()));
  assertEquals((await stopping).code, 0);
});

const NOT_HERE: Record<string, [args: string[], why: string]> = {
  "that relays nothing": [["--no-relay"], "clients do not meet at this server (--no-relay)"],
  "that is read-only": [["--read-only"], "this server is read-only"],
  "for uploads only": [["--drop-only"], "this server only accepts uploads"],
};

for (const [which, [args, why]] of Object.entries(NOT_HERE)) {
  integration(`nobody meets at a server ${which}, and one line says so`, async () => {
    await using server = await startServer({ args });
    using end = await End.greet(server);
    await end.says(`offer ?-maple ${SALT} 600\n`);
    assertEquals(await end.line(), `error denied Cannot offer: ${why}`);
    await end.says("accept 4713-maple\n");
    assertEquals(await end.line(), `error denied Cannot accept: ${why}`);
    await end.says("offer me a cup of tea\n");
    assertEquals(await end.line(), "offer me a cup of tea ACK");
  });
}

integration("what is no meeting is refused where one is expected", async () => {
  await using server = await startServer();
  for (const line of ["list", "join 1", "hello 1 ben", "x".repeat(5000)]) {
    using offering = await offer(server);
    await offering.end.says(`${line}\n`);
    assertMatch(await offering.end.line(), /^error bad-request /);
    assertEquals(await offering.end.line(), "");
  }
  using offering = await offer(server);
  using acceptor = await accept(server, offering.plate);
  assertMatch(await offering.end.line(), /^knock/);
  await offering.end.says("join 999999\n");
  assertEquals(await offering.end.rest(), "first");
  using back = await offer(server, { plate: offering.plate });
  await join(back);
  assertMatch(await acceptor.line(), /^(note|met)/);
});

integration("the log and the status tell that clients meet, and no plate", async () => {
  await using server = await startServer({ args: ["--log", "json"] });
  using watching = await End.greet(server, "eve");
  const status = async (): Promise<string> => {
    await watching.says("status\n");
    let text = "";
    for (let line = ""; !line.startsWith("end "); text += `${line}\n`) line = await watching.line();
    return text;
  };
  using waiting = await offer(server, { plate: "?-walnut" });
  assertStringIncludes(await status(), "Still Connected | offers\n");
  {
    using pair = await meet(server);
    await pair.acceptor.says("bytes");
    await pair.offerer.text(5);
    assertMatch(await status(), /(Still Connected \| is relayed\n.*){2}/);
  }
  await server.running.says(/"event":"relayed".*"bytes":5/);
  const { log } = server.running;
  for (const event of ["offered", "met"]) assertStringIncludes(log, `"event":"${event}"`);
  for (const secret of [waiting.plate, "walnut", "maple", SALT]) assert(!log.includes(secret));
});

function random(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65_536, size)));
  }
  return bytes;
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Has this process come back late from writing a knock, as a busy one does. */
function lateBehindKnocks(): Disposable {
  const { write } = SocketStream.prototype;
  const knock = new TextEncoder().encode("knock ");
  SocketStream.prototype.write = async function (bytes): Promise<number> {
    const written = await write.call(this, bytes);
    if (startsWith(bytes, knock)) await delay(100);
    return written;
  };
  return { [Symbol.dispose]: () => void (SocketStream.prototype.write = write) };
}

integration("who has joined somebody waits on, also where that was read first", async () => {
  await using local = await tempDir();
  await using server = await serveHere({ dir: local.path });
  using _ = lateBehindKnocks();
  using offering = await offer(server);
  using acceptor = await accept(server, offering.plate);
  await join(offering);
  using again = await offer(server, { plate: offering.plate });
  assertMatch(await acceptor.line(), /^met \d+$/);
  await acceptor.says("hello");
  assertEquals(await offering.end.text(5), "hello");
  assertEquals(again.plate, offering.plate);
});

/** The digest of all that comes to an end. */
async function digestOf({ connection }: End): Promise<string> {
  const stream = connection.body().pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => controller.enqueue(chunk.slice()),
    }),
  );
  return await digest(await new Response(stream as BodyInit).bytes());
}
