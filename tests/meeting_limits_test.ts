/**
 * What strangers, floods, kills and stopped peers cost a server at which clients meet, and the honest
 * ones.
 *
 * @module
 */

import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { hostOf } from "../lib/address.ts";
import { dial, integration, KEY, PROC, PROMPT_GC, residentBytes, startServer } from "./helpers.ts";
import { Dice } from "./faults/content.ts";
import { givesBack, holdingsOf } from "./faults/trial.ts";
import { accept, End, join, meet, offer, SALT } from "./meeting_ends.ts";
import { dialWithKey, type SecureConn } from "./secure.ts";
import { makeUsers } from "./user_files.ts";
import { Wire } from "./wire.ts";

const DENIED = /^error denied Cannot accept: no offer has this code/;
const MIB = 2 ** 20;

integration("of an offer four tries are open at once, and a further one comes again", async () => {
  await using server = await startServer();
  const away = await offer(server);
  away[Symbol.dispose]();
  await server.running.says(/left, 0 connected/);
  const four = await Promise.all([1, 2, 3, 4].map(() => accept(server, away.plate)));
  for (const end of four) assertMatch(await end.line(), /^note /);
  using fifth = await accept(server, away.plate);
  assertMatch(await fifth.line(), /^error wait Cannot accept at the moment: too many others try/);
  four[0]![Symbol.dispose]();
  await server.running.says(/left, 3 connected/);
  using sixth = await accept(server, away.plate);
  const waiting = [...four.slice(1), sixth];
  const backs = [];
  for (const _ of waiting) {
    const back = await offer(server, { plate: away.plate });
    await join(back);
    backs.push(back);
  }
  await Promise.all(waiting.map(met));
  for (const one of [...backs, ...waiting]) one[Symbol.dispose]();
});

integration("1,000 guesses open no offer, and an honest client of that address meets", async () => {
  const places = ["--max-clients", "40", "--max-per-address", "30"];
  await using server = await startServer({ args: [...places, "--backlog", "1024", "--quiet"] });
  using offering = await offer(server);
  const numbers = Array.from({ length: 1001 }, (_, number) => String(number).padStart(4, "0"))
    .filter((number) => !offering.plate.startsWith(number)).slice(0, 1000);
  const guesses = numbers.map(async (number) => {
    using guesser = await Wire.dial(server);
    await guesser.says(`hello 1 eve\naccept ${number}-maple\n`);
    return await guesser.rest();
  });
  using acceptor = await untilAdmitted(() => accept(server, offering.plate));
  assertEquals(await join(offering), "first");
  assertMatch(await acceptor.line(), /^met/);
  await acceptor.says("through");
  assertEquals(await offering.end.text(7), "through");
  const answers = await Promise.all(guesses);
  assert(answers.some((answer) => DENIED.test(answer.split("\n")[1] ?? "")));
  // Those who found no place were told that the server is full.
  for (const answer of answers) assert(!/^ok|^note|^met/m.test(answer), answer);
});

/** As a client does that is told that the server is full, or has been closed before it could read that. */
async function untilAdmitted(attempt: () => Promise<End>): Promise<End> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!/no welcome: (?:busy|$)|Broken pipe|reset/i.test(String(error))) throw error;
    }
  }
}

integration("from the 100th offer of one address on, its own that is away makes room", async () => {
  const args = ["--proxy-from", "127.0.0.1", "--quiet"];
  await using server = await startServer({ args });
  using other = await offerFrom(server, 7, "0001-other");
  other.close();
  using attached = await offerFrom(server, 8, "0001-maple");
  stays(attached);
  for (let number = 2; number <= 101; number++) {
    using _ = await offerFrom(server, 8, `${String(number).padStart(4, "0")}-maple`);
  }
  assertEquals(await knows(server, "0001-maple"), true, "it is there, and no longer the oldest");
  assertEquals(await knows(server, "0002-maple"), false);
  assertEquals(await knows(server, "0003-maple"), true);
  assertEquals(await knows(server, "0001-other"), true);
  using again = await offerFrom(server, 8, "0002-maple");
  assertEquals(await knows(server, "0002-maple"), true);
  assertEquals(await knows(server, "0003-maple"), false);
  again.close();
  attached.close();
});

integration("a server has 1,000 offers, of which one that is away makes room", async () => {
  const args = ["--proxy-from", "127.0.0.1", "--max-clients", "2000", "--quiet"];
  await using server = await startServer({ args });
  using away = await offerFrom(server, 1, "0001-away");
  away.close();
  const waiting: Wire[] = [];
  for (let number = 0; number < 999; number++) {
    const plate = `${String(number).padStart(4, "0")}-maple`;
    const wire = await offerFrom(server, 2 + number % 20, plate);
    stays(wire);
    waiting.push(wire);
  }
  assertEquals(await knows(server, "0001-away"), true);
  waiting.push(await offerFrom(server, 30, "0000-more"));
  assertEquals(await knows(server, "0001-away"), false);
  using refused = await greetFrom(server, 31);
  await refused.says(`offer ?-maple ${SALT} 600\n`);
  const line = "error overloaded Cannot offer: this server has 1000 offers already";
  assertEquals(await refused.line(), line);
  // The session goes on, and an offer that is there is attached all the same.
  await refused.says(`offer 0007-maple ${SALT} 600\n`);
  assertMatch(await refused.line(), /^ok 0007-maple /);
  waiting.forEach((wire) => wire.close());
}, { descriptors: 4096 });

/** Answers when the server asks whether a client that waits is there, until its connection is closed. */
async function stays(wire: Wire): Promise<void> {
  try {
    while (await wire.line() === "tick") await wire.says("tick\n");
  } catch {
    // The test has closed it.
  }
}

/** Greets a server as the client of a proxy on this machine, from 203.0.113.HOST. */
async function greetFrom(server: { port: number }, host: number): Promise<Wire> {
  const conn = await dial(server);
  const wire = new Wire(conn);
  const addresses = [203, 0, 113, host, 127, 0, 0, 1, 0x12, 0x67, 0x13, 0x88];
  const signature = new TextEncoder().encode("\r\n\r\n\0\r\nQUIT\n");
  const header = Uint8Array.of(0x21, 0x11, 0, addresses.length, ...addresses);
  await wire.says(concat([signature, header, new TextEncoder().encode("hello 1 test\n")]));
  assertMatch(await wire.line(), /^welcome /);
  return wire;
}

async function offerFrom(server: { port: number }, host: number, plate: string): Promise<Wire> {
  const wire = await greetFrom(server, host);
  await wire.says(`offer ${plate} ${SALT} 600\n`);
  const answer = await wire.line();
  assertEquals(hostOf(answer.split(" ")[3]!), `203.0.113.${host}`);
  return wire;
}

/** Whether a server knows an offer. */
async function knows(server: { port: number }, plate: string): Promise<boolean> {
  using wire = await greetFrom(server, 99);
  await wire.says(`accept ${plate}\n`);
  return (await wire.line()).startsWith("ok ");
}

for (const key of [undefined, KEY]) {
  const where = key === undefined ? "a plain server" : "a server with a key";

  integration(`200 offers that wait take ${where} less than 30 MB more than one`, async () => {
    await using server = await startServer({
      args: ["--max-clients", "300"],
      env: PROMPT_GC,
      key,
    });
    const offers = [await offer(server)];
    const before = residentBytes(server);
    while (offers.length <= 200) offers.push(await offer(server));
    assertEquals(new Set(offers.map(({ plate }) => plate)).size, 201);
    assertLess(residentBytes(server) - before, 30e6);
    for (const waiting of offers) waiting[Symbol.dispose]();
  }, PROC);

  integration(`a receiver that stops costs ${where} less than 120 MB`, async () => {
    const args = ["--timeout", "5"];
    await using server = await startServer({ args, key, env: PROMPT_GC });
    using pair = await meet(server);
    const chunk = new Uint8Array(MIB);
    let sent = 0;
    try {
      for (;; sent++) await pair.offerer.says(chunk);
    } catch {
      // Until nothing has moved for as long as the server waits.
    }
    await server.running.says(/No data in either direction for 5 s/);
    assertLess(sent, 40, "the sender is not kept from sending");
    assertLess(residentBytes(server), 120e6);
  }, PROC);

  integration(`ends that leave at any moment leave nothing behind at ${where}`, async () => {
    await using server = await startServer({ ...key !== undefined && { key } });
    const dice = new Dice(29);
    {
      using pair = await meet(server);
      await pair.acceptor.says("all code is loaded");
    }
    using watching = await End.greet(server, "watching");
    await untilAlone(watching);
    const before = holdingsOf(server);
    let plate = "?-maple";
    for (let round = 0; round < 40; round++) plate = await leaveSomewhere(server, plate, dice);
    const acceptor = await untilAdmitted(() => accept(server, plate));
    const meeting = met(acceptor);
    for (let isMet = false; !isMet;) {
      using last = await offer(server, { plate });
      if (await join(last).catch(() => "") !== "first") continue;
      isMet = await Promise.race([meeting, last.end.rest()]) === undefined;
      if (!isMet) continue;
      await last.end.says("whole");
      assertEquals(await acceptor.text(5), "whole");
    }
    acceptor[Symbol.dispose]();
    await untilAlone(watching);
    await givesBack(server, before);
    assert(!/internal|defect|TypeError/i.test(server.running.log), server.running.log);
  }, PROC);
}

/** Asks a server until no other client is there. */
async function untilAlone(end: End): Promise<void> {
  for (let connected = 0; connected !== 1;) {
    connected = 0;
    await end.says("status\n");
    for (let line = ""; !line.startsWith("end ");) {
      line = await end.line();
      if (line.includes("Still Connected")) connected++;
    }
  }
}

/** Reads lines until it has met the client that offers. */
async function met(acceptor: End): Promise<void> {
  for (;;) {
    const line = await acceptor.line();
    if (line.startsWith("met ")) return;
    if (!line.startsWith("note ")) throw new Error(`it says ${line}`);
  }
}

/** One end or both leave at a step of a meeting. Returns the plate. */
async function leaveSomewhere(
  server: Parameters<typeof offer>[0],
  plate: string,
  dice: Dice,
): Promise<string> {
  const leaves = (): boolean => dice.below(5) === 0;
  using offering = await offer(server, { plate });
  const found = offering.plate;
  if (leaves()) return found;
  using acceptor = await End.asks(server, `accept ${found}`);
  if (leaves()) return found;
  if (!/^ok/.test(await acceptor.line()) || leaves()) return found;
  await acceptor.says("first");
  if (leaves()) offering[Symbol.dispose]();
  if (leaves()) return found;
  try {
    await join(offering);
    if (leaves()) return found;
    // It may have joined one who has left just before.
    const end = await Promise.race([met(acceptor), offering.end.rest()]);
    if (end !== undefined) return found;
    if (leaves()) acceptor[Symbol.dispose]();
    await offering.end.says(new Uint8Array(1_000_000));
    if (leaves()) offering[Symbol.dispose]();
    await acceptor.text(10_000);
  } catch {
    // One of the two has left.
  }
  return found;
}

integration("others are served beside a pipe at full speed", async () => {
  await using server = await startServer();
  using pair = await meet(server);
  using other = await End.greet(server);
  let isOver = false;
  const pouring = (async () => {
    const chunk = new Uint8Array(MIB);
    while (!isOver) await pair.offerer.says(chunk);
    await pair.offerer.connection.closeWrite();
  })();
  const draining = pair.acceptor.rest();
  for (let asked = 0; asked < 20; asked++) {
    await other.says(`say ${asked} again\n`.replace("say", "chat"));
    assertEquals(await other.line(), `${asked} again ACK`);
  }
  isOver = true;
  await pouring;
  await draining;
});

integration("a user who is revoked waits and is relayed no more, and rights hold", async () => {
  await using users = await makeUsers({ ann: "all", ben: "all", ron: "read", dan: "drop" });
  await using server = await startServer({ args: ["--users", users.file] });
  const greet = async (name: string): Promise<SecureConn> => {
    const conn = await dialWithKey(server, users.token(name));
    await conn.prove(name);
    await conn.line();
    return conn;
  };
  for (const [name, why] of [["ron", "you may only read"], ["dan", "you may only upload"]]) {
    using conn = await greet(name!);
    await conn.send(`offer ?-maple ${SALT} 600\naccept 4713-maple\n`);
    assertEquals(await conn.line(), `error denied Cannot offer: ${why}`);
    assertEquals(await conn.line(), `error denied Cannot accept: ${why}`);
  }
  using offering = await greet("ben");
  await offering.send(`offer 4713-maple ${SALT} 600\n`);
  await offering.line();
  using acceptor = await greet("ann");
  await acceptor.send("accept 4713-maple\n");
  await acceptor.line();
  await acceptor.send("x");
  const [, id] = /^knock (\d+)/.exec(await offering.line())!;
  await offering.send(`join ${id}\n`);
  assertMatch(await acceptor.line(), /^met/);
  using waiting = await greet("ben");
  await waiting.send(`offer 4713-maple ${SALT} 600\n`);
  assertMatch(await waiting.line(), /^ok/);
  users.remove("ben");
  assertMatch(await waiting.rest(), /^error denied Cannot go on: the key of the user "ben" was/);
  await acceptor.rest().catch(() => {});
  await server.running.says(/"ann".*|The other side of the relay has left/);
});
