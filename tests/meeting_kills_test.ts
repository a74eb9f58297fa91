/**
 * Two clients that meet by a code, of which one is killed or stopped, or the server is: the same code
 * goes on, and what has arrived has arrived once and whole.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import {
  bytes,
  freePort,
  integration,
  names,
  onTmpfs,
  ownFiles,
  runClient,
  startServer,
  tempDir,
  uploadGrows,
} from "./helpers.ts";
import { accept, SLOW_CLOCK, startAccept, startOffer } from "./meeting.ts";
import { relayTo } from "./relay.ts";

/** Numbers from 0 to 1 that are the same in each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => (state = Math.imul(state, 1664525) + 1013904223 >>> 0) / 2 ** 32;
}

const CONTENT = bytes(6_000_000);

/** A rate at which the file takes a second and more. */
const SLOW = ["--limit", "4MB"];

/** So many bytes take longer at that rate than any test. */
const ENDLESS_BYTES = 2 ** 30;

/** Both ways that a transfer can take: on one machine it is a direct one by itself. */
const WAYS = { direct: [], relayed: ["--no-direct"] };

/** Pauses of a kill: a moment within the meeting, or within the transfer. */
const MOST_MS = 1800;

/** A folder to receive into, and a file to offer. */
async function scene() {
  const dir = await tempDir();
  const inbox = `${dir.path}/in`;
  await Deno.mkdir(inbox);
  return {
    dir,
    inbox,
    into: ["--output", inbox],
    path: await dir.write("a.bin", CONTENT),
    async arrived(): Promise<void> {
      assertEquals(names(inbox), ["a.bin"]);
      assertEquals(await Deno.readFile(`${inbox}/a.bin`), CONTENT);
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

/** Makes what is in flight in a folder so many seconds older. */
function age(folder: string, seconds: number): void {
  const past = Date.now() / 1000 - seconds;
  for (const path of ownFiles(folder)) Deno.utimeSync(path, past, past);
}

integration("a receiver that is killed at any moment goes on by the same command", async () => {
  await using server = await startServer();
  Deno.mkdirSync(server.dir, { recursive: true });
  await Deno.writeTextFile(`${server.dir}/b.txt`, "b");
  const random = seeded(1);
  for (const way of Object.values(WAYS)) {
    await using here = await scene();
    await using offer = await startOffer(server, [here.path, ...SLOW, ...way]);
    let isDone = false;
    for (let kill = 0; kill < 2 && !isDone; kill++) {
      const taking = startAccept(server, offer.code, ["--yes", ...here.into]);
      await delay(random() * MOST_MS);
      isDone = (await taking.stop("SIGKILL")).success;
      // Nobody waits for its writer then.
      age(here.inbox, 60);
    }
    const taken = isDone ? undefined : await accept(server, offer.code, here.into);
    const { code, stderr } = await offer.ended();
    // One that is killed as it ends has told the other side that all is there, and forgotten the offer.
    const isOver = taken?.stderr.includes("no offer has this code");
    assertEquals([isOver ? 0 : taken?.code ?? 0, code], [0, 0], `${taken?.stderr}\n${stderr}`);
    // What a receiver had in flight in the moment of its end may be left beside what the next one has gone
    // on with. Whoever receives there a day later removes it.
    age(here.inbox, 90_000);
    const later = await runClient(server, ["--get", "b.txt", ...here.into]);
    assertEquals(later.code, 0, later.stderr);
    await Deno.remove(`${here.inbox}/b.txt`);
    await here.arrived();
  }
});

integration("an offering client that is killed at any moment goes on with its code", async () => {
  await using server = await startServer();
  const random = seeded(2);
  for (const way of Object.values(WAYS)) {
    await using here = await scene();
    const first = await startOffer(server, [here.path, ...SLOW, ...way]);
    const { code } = first;
    const taking = startAccept(server, code, ["--yes", ...here.into]);
    await delay(random() * MOST_MS);
    await first.kill();
    await using offer = await startOffer(server, [here.path, ...SLOW, ...way], {
      env: { INLET_CODE: code },
    });
    assertEquals(offer.code, code);
    const [ended, status] = await Promise.all([offer.ended(), taking.ended()]);
    assertEquals([ended.code, status.code], [0, 0], `${ended.stderr}\n${taking.log}`);
    await here.arrived();
  }
});

for (const [way, args] of Object.entries(WAYS)) {
  integration(
    `a server that is killed and started again is met again by both: ${way}`,
    async () => {
      await using here = await scene();
      const port = freePort();
      await using killed = await startServer({ port });
      const isDirect = way === "direct";
      const permissions = [...isDirect ? SLOW_CLOCK : [], "-A"];
      // What goes over the server stands still within the file until the server is killed.
      using relay = await relayTo(killed, { direction: "up", bytes: 3_000_000, way: "silence" });
      const slow = isDirect ? ["--limit", "12MB"] : [];
      await using offer = await startOffer(
        ...[isDirect ? killed : relay, [here.path, ...slow, ...args], { permissions }] as const,
      );
      const taking = startAccept(killed, offer.code, ["--yes", ...here.into], { permissions });
      // A direct transfer may be done before it is seen to have begun.
      await Promise.race([uploadGrows(here.inbox, 1_000_000), taking.ended()]);
      await killed.running.stop("SIGKILL");
      await using _ = await startServer({ port });
      const [ended, status] = await Promise.all([offer.ended(), taking.ended()]);
      assertEquals([ended.code, status.code], [0, 0], `${ended.stderr}\n${taking.log}`);
      assertMatch(taking.log, new RegExp(`^a\\.bin: saved as .*, ${way}$`, "m"));
      // A direct transfer does not need the server. The other one goes on where it was.
      const resumed = /; trying to reach the server again$[^]*a\.bin: resuming at [1-9]/m;
      assertEquals(resumed.test(ended.stderr), way === "relayed", ended.stderr);
      await here.arrived();
    },
  );
}

integration(
  "Ctrl-C on either side is told to the other one",
  async () => {
    await using server = await startServer();
    {
      await using here = await scene();
      await Deno.truncate(here.path, ENDLESS_BYTES);
      await using offer = await startOffer(server, [here.path, ...SLOW]);
      const taking = startAccept(server, offer.code, ["--yes", ...here.into]);
      await uploadGrows(here.inbox, 1_000_000);
      assertEquals((await taking.stop("SIGINT")).code, 130);
      const { code, stderr } = await offer.ended();
      assertEquals(code, 3);
      assertMatch(stderr, /The receiver has stopped/);
    }
    await using here = await scene();
    await Deno.truncate(here.path, ENDLESS_BYTES);
    await using offer = await startOffer(server, [here.path, ...SLOW]);
    const taking = startAccept(server, offer.code, ["--yes", ...here.into]);
    await uploadGrows(here.inbox, 1_000_000);
    assertEquals((await offer.running.stop("SIGINT")).code, 130);
    const { code } = await taking.ended();
    assertEquals(code, 3, taking.log);
    assertMatch(taking.log, /^inlet: The offer is over, or the one who offers has stopped$/m);
  },
);

integration("a disk that is full at the receiver is told on both sides", async () => {
  await using server = await startServer();
  await using here = await scene();
  await using offer = await startOffer(server, [here.path]);
  const under = onTmpfs(here.inbox, "size=1m");
  const taken = await accept(server, offer.code, here.into, { under });
  const { code, stderr } = await offer.ended();
  assertEquals([taken.code, code], [6, 3], `${taken.stderr}\n${stderr}`);
  assertMatch(taken.stderr, /^inlet: Cannot store "a\.bin": .*this machine's disk/m);
  assertMatch(stderr, /^inlet: Cannot store "a\.bin": /m);
}, { mounts: true });
