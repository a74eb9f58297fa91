/**
 * Files that people in sessions send each other.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { AgreementKey, checkOfferKey, pinOf } from "../lib/auth/agreed_secret.ts";
import { type CodeSecret, codeSecret } from "../lib/auth/code_secret.ts";
import { WaitingOffer } from "../client/meeting/waiting_offer.ts";
import { Dialer } from "../client/dialer.ts";
import { keyPairOf, makeScalar } from "../lib/auth/identity.ts";
import {
  decodePeopleRequest,
  decodeUnasked,
  encodePeopleRequest,
  encodeUnasked,
} from "../protocol/people_lines.ts";
import {
  bytes,
  collect,
  integration,
  names,
  onTmpfs,
  pure,
  run,
  runClient,
  Running,
  scriptPath,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { SLOW_CLOCK } from "./meeting.ts";
import { End } from "./meeting_ends.ts";
import { openTerminal, type Terminal } from "./tmux.ts";
import { makeUsers } from "./user_files.ts";
import { Wire } from "./wire.ts";

const decoder = new TextDecoder();

/** A point, as far as the wire is concerned. */
const KEY = `04${"ab".repeat(64)}`;

pure("lines about files decode to what was encoded, and broken ones are refused", () => {
  const sending = { plate: "4713-maple", key: KEY, size: 6, name: "a b.txt" };
  for (const size of [6, null]) {
    const request = { type: "send", to: 3, ...sending, size } as const;
    const line = decoder.decode(encodePeopleRequest(request)).slice(0, -1);
    assertEquals(line, `send 3 4713-maple ${KEY} ${size ?? "-"} a b.txt`);
    assertEquals(decodePeopleRequest(line), request);
    const offered = { type: "offered", from: 3, ...sending, size } as const;
    assertEquals(decodeUnasked(decoder.decode(encodeUnasked(offered)).slice(0, -1)), offered);
  }
  const broken = [
    ...["send", "send help", "take me", "decline", "decline 3 maple", "take 3 4713-maple 04ab"],
    ...[`send 3 4713-maple ${KEY} 6`, `send 3 4713-maple ${KEY} six a`, `send 3 ?-x ${KEY} 6 a`],
  ];
  for (const line of broken) {
    let message = "";
    try {
      decodePeopleRequest(line);
    } catch (error) {
      ({ message } = error as Error);
    }
    assertNotEquals(message, "", line);
  }
});

Deno.test("AgreementKey agrees with the other side alone, and refuses what is no key", async () => {
  const [one, other, third] = await Promise.all([1, 2, 3].map(() => AgreementKey.draw()));
  const agreed = await one!.agree(other!.point);
  assertMatch(agreed, /^[0-9a-f]{64}$/);
  assertEquals(agreed, await other!.agree(one!.point));
  assertNotEquals(agreed, await third!.agree(one!.point));
  let message = "";
  await one!.agree(KEY).catch((error) => message = error.message);
  assertMatch(message, /^Cannot use the key of the other side/);
});

integration(
  "a server passes on send, take and decline to who attends, and to nobody else",
  async () => {
    await using server = await startServer();
    const ask = async (wire: Wire, line: string): Promise<string> => {
      await wire.says(`${line}\n`);
      return await wire.line();
    };
    using ben = await Wire.greet(server);
    using anna = await Wire.greet(server);
    assertEquals(await ask(anna, "attend"), "ok");
    const offer = `4713-maple ${KEY} 6 a b.txt`;
    // Not there yet for others by the time that it reads its welcome.
    let here = await ask(anna, "who");
    while (!here.startsWith("1 ")) {
      if (here.startsWith("end ")) await anna.says("who\n");
      here = await anna.line();
    }
    assertEquals(await anna.line(), "end 1");
    assertMatch(await ask(anna, `send 1 ${offer}`), /^error denied .*it cannot take files/);
    assertEquals(await ask(ben, "attend"), "ok");
    assertEquals(await anna.line(), "came 1 test");
    // The other one has its last answer a moment before it is between two requests.
    const passed = /^ok( later)?$/;
    assertMatch(await ask(anna, `send 1 ${offer}`), passed);
    assertEquals(await ben.line(), `offered 2 ${offer}`);
    assertMatch(await ask(ben, `take 2 4713-maple ${KEY}`), passed);
    assertEquals(await anna.line(), `taken 1 4713-maple ${KEY}`);
    assertMatch(await ask(ben, "decline 2 4713-maple"), passed);
    assertEquals(await anna.line(), "declined 1 4713-maple");
    assertMatch(await ask(anna, `send 9 ${offer}`), /^error not-found/);
    assertMatch(await ask(anna, "send help"), /^error bad-request/);
  },
);

Deno.test("checkOfferKey() takes what a user has signed for this offer, and nothing else", async () => {
  const user = await keyPairOf(makeScalar());
  const key = await AgreementKey.draw();
  const signed = await key.offered("send", "4713-maple", user);
  assertEquals(await checkOfferKey("send", "4713-maple", signed), {
    point: key.point,
    pin: await pinOf(user),
  });
  const bare = await key.offered("send", "4713-maple", undefined);
  assertEquals(await checkOfferKey("send", "4713-maple", bare), {
    point: key.point,
    pin: undefined,
  });
  const { point: other } = await AgreementKey.draw();
  const refused: Parameters<typeof checkOfferKey>[] = [
    ["take", "4713-maple", signed],
    ["send", "4714-maple", signed],
    // Somebody between the two has a key of their own, and not the user's.
    ["send", "4713-maple", signed.replace(key.point, other)],
    ["send", "4713-maple", `${signed}0`],
    ["send", "4713-maple", KEY.slice(1)],
  ];
  for (const given of refused) {
    let message = "";
    await checkOfferKey(...given).catch((error) => message = error.message);
    assertMatch(message, /^Cannot use the key of the other side/);
  }
});

integration("who offers keeps the connection of a knock until the other key has come", async () => {
  await using server = await startServer();
  const stop = new AbortController();
  const secret = Promise.withResolvers<CodeSecret>();
  const dialer = new Dialer({ hostname: "127.0.0.1", port: server.port }, { name: "anna" });
  await using waiting = new WaitingOffer({
    reach: () => dialer,
    ...{ plate: { number: "4713", word: "maple" }, salt: new Uint8Array(16) },
    ...{ secret: secret.promise, seconds: 60, signal: stop.signal, onNotice: () => {} },
    tunnel: { idleTimeoutMs: 30_000, signal: stop.signal },
  });
  await waiting.opened;
  using ben = await Wire.greet(server);
  await ben.says("accept 4713-maple\n");
  await ben.line();
  await ben.says("hello");
  // In the time of these, a fresh connection would long be there, in the place of the one that knows.
  for (let count = 0; count < 20; count++) (await Wire.greet(server))[Symbol.dispose]();
  secret.resolve(await codeSecret("a", new Uint8Array(16)));
  assertEquals(await ben.line(), "met 1");
  assert(!server.running.log.includes("taken the place"), server.running.log);
});

const CLIENT = [Deno.execPath(), "run", "-A", scriptPath("client.ts"), "127.0.0.1"];

/** The same for a session of a script, which may have to find the direct way. */
const SLOW_CLIENT = ["run", ...SLOW_CLOCK, ...CLIENT.slice(2)];

/** Opens a session in a terminal. */
async function openSession(
  server: TestServer,
  name: string,
  { cwd, under = [] }: { cwd: string; under?: readonly string[] },
): Promise<Terminal> {
  const command = [...under, ...CLIENT, String(server.port), "--name", name];
  const terminal = await openTerminal(command, { cwd, columns: 140 });
  await terminal.shows(new RegExp(`^${name}>$`, "m"));
  return terminal;
}

/** Types a command. */
async function enter(terminal: Terminal, command: string): Promise<void> {
  await terminal.type(command);
  await terminal.press("Enter");
}

integration("people in terminals send each other files and folders", async () => {
  await using server = await startServer();
  await using from = await tempDir();
  await using to = await tempDir();
  const content = bytes(1_500_000);
  await from.write("report 1.bin", content);
  Deno.mkdirSync(`${from.path}/photos`);
  for (const name of ["a.jpg", "b.jpg"]) await from.write(`photos/${name}`, name);
  await using ben = await openSession(server, "ben", { cwd: to.path });
  await using anna = await openSession(server, "anna", { cwd: from.path });
  await enter(anna, "send ben report 1.bin");
  await anna.shows(
    /^report 1\.bin: offered to ben; decline 1 withdraws it\n.*could stand between/m,
  );
  await ben.shows(/^anna offers report 1\.bin, 1\.43 MiB: type accept 1 or decline 1$/m);
  await ben.shows(/could stand between/);
  // The prompt of neither is taken: both talk on.
  await enter(anna, "tell ben it is large");
  await ben.shows(/^anna: it is large$/m);
  await enter(ben, "accept");
  await ben.shows(/^report 1\.bin: saved as "\.\/report 1\.bin", 1\.43 MiB, CRC-32/m);
  await anna.shows(/^ben accepts report 1\.bin\nreport 1\.bin: sent to ben, 1\.43 MiB$/m);
  assertEquals(Deno.readFileSync(`${to.path}/report 1.bin`), content);
  await ben.type("tell anna th");
  await ben.shows(/^ben> tell anna th$/m);
  await enter(anna, "send ben photos");
  await ben.shows(/^anna offers photos\/, 10 B: type accept 2 or decline 2$/m);
  // A line that was begun before it came does not mean it.
  await ben.press("C-u");
  await ben.type("accept");
  await ben.press("Enter");
  await ben.shows(/^inlet: Cannot accept: it was offered while you were typing; say which: 2 \(/m);
  await enter(ben, "accept");
  await anna.shows(/^photos\/: sent to ben, 2 files, 10 B$/m);
  assertEquals(names(`${to.path}/photos`), ["a.jpg", "b.jpg"]);
  await enter(anna, "send ben photos");
  await ben.shows(/decline 3$/m);
  await enter(anna, "send ben report 1.bin");
  await ben.shows(/decline 4$/m);
  await enter(ben, "accept");
  await ben.shows(
    /^inlet: Cannot accept: several are offered; say which: 3 \(photos\/ of anna\), 4 \(/m,
  );
  await enter(ben, "decline 3");
  await anna.shows(/^inlet: Did not send "photos\/": ben has declined it$/m);
  await enter(anna, "decline 4");
  await ben.shows(/^4: report 1\.bin is not offered any more, anna has withdrawn it$/m);
  await enter(ben, "accept anna");
  await ben.shows(/^inlet: Cannot accept: nobody offers anything$/m);
}, { programs: ["tmux"] });

integration(
  "a send that ends early is one line on both sides, and the sessions go on",
  async () => {
    await using server = await startServer();
    await using from = await tempDir();
    await using to = await tempDir();
    await from.write("huge.bin", "");
    await Deno.truncate(`${from.path}/huge.bin`, 8 * 2 ** 30);
    await from.write("gone.txt", "gone");
    await using ben = await openSession(server, "ben", { cwd: to.path });
    await using anna = await openSession(server, "anna", { cwd: from.path });
    await enter(anna, "send ben nothing.txt");
    await anna.shows(/^inlet: Cannot send "nothing\.txt": it does not exist$/m);
    await enter(anna, "send eve gone.txt");
    await anna.shows(/^inlet: Cannot send to "eve": nobody here has that name; here: ben$/m);
    await enter(anna, "send ben gone.txt");
    await ben.shows(/accept 1 or decline 1$/m);
    Deno.removeSync(`${from.path}/gone.txt`);
    await enter(ben, "accept");
    await anna.shows(
      /^inlet: Did not send "gone\.txt": Cannot send "gone\.txt": it does not exist$/m,
    );
    await ben.shows(/^inlet: .*\nben>$/m);
    await enter(anna, "send ben huge.bin");
    await ben.shows(/accept 2 or decline 2$/m);
    await enter(ben, "accept");
    await ben.shows(/\d+ %/);
    await anna.press("C-c");
    await anna.shows(/^inlet: Did not send "huge\.bin": Stopped$/m);
    await ben.shows(/^inlet: Cannot receive "huge\.bin": anna has stopped sending it\nben>$/m);
    await enter(anna, "send ben huge.bin");
    await ben.shows(/accept 3 or decline 3$/m);
    await enter(ben, "accept");
    await ben.shows(/\d+ %/);
    await ben.press("C-c");
    await ben.shows(/^inlet: Stopped\nben>$/m);
    await anna.shows(/^inlet: Did not send "huge\.bin": ben has stopped it$/m);
    await enter(anna, "send ben huge.bin");
    await ben.shows(/accept 4 or decline 4$/m);
    await enter(ben, "exit");
    await anna.shows(/^inlet: Did not send "huge\.bin": ben has left$/m);
    await enter(anna, "who");
    await anna.shows(/^Nobody else is here$/m);
    assert(!names(to.path).includes("huge.bin"));
  },
  { programs: ["tmux"] },
);

integration("a full disk of the receiver is told on both sides", async () => {
  await using server = await startServer();
  await using from = await tempDir();
  await using to = await tempDir();
  await from.write("large.bin", bytes(3_000_000));
  const under = onTmpfs(to.path, "size=1m");
  const inside = ["sh", "-c", 'cd "$0" && exec "$@"', to.path];
  await using ben = await openSession(server, "ben", {
    cwd: to.path,
    under: [...under, ...inside],
  });
  await using anna = await openSession(server, "anna", { cwd: from.path });
  await enter(anna, "send ben large.bin");
  await ben.shows(/accept 1 or decline 1$/m);
  await enter(ben, "accept");
  await ben.shows(/^inlet: .*large\.bin.*disk has.*\nben>$/m);
  await anna.shows(/^inlet: Did not send "large\.bin": .*the disk has/m);
}, { programs: ["tmux"], mounts: true });

/** Starts a session of a script that receives what Anna offers, for as long as its stdin is open. */
async function startInbox(
  server: { port: number },
  cwd: string,
  args: readonly string[] = ["--name", "ben"],
): Promise<Running> {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...[...SLOW_CLIENT, String(server.port), "--session", "--accept-from", "anna", ...args],
    ],
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // It attends by the time that it reads its first line.
  const [writer, reader] = [process.stdin.getWriter(), process.stdout.getReader()];
  await writer.write(new TextEncoder().encode("say ready\n"));
  assertEquals(decoder.decode((await reader.read()).value), "ready ACK\n");
  writer.releaseLock();
  reader.releaseLock();
  return new Running(process);
}

/** Ends such a session, and gives what it has printed. */
async function endInbox(inbox: Running): Promise<string> {
  const { stdin, stdout } = inbox.process;
  const writer = stdin.getWriter();
  await writer.write(new TextEncoder().encode("say over\n"));
  await writer.close();
  const text = decoder.decode(await collect(stdout));
  assertEquals((await inbox.ended()).code, 0);
  return text;
}

integration(
  "users prove their keys to each other, as far as they have compared the pins",
  async () => {
    await using users = await makeUsers({ anna: "all", ben: "all" });
    await using server = await startServer({ args: ["--users", users.file] });
    await using from = await tempDir();
    await using to = await tempDir();
    await from.write("a.txt", "hello\n");
    const token = (name: string): string[] => ["--token-file", users.tokenFile(name)];
    await using ben = await startInbox(server, to.path, token("ben"));
    const stdin = "send ben a.txt\nsend ben a.txt\n";
    const anna = await runClient(server, ["--session", ...token("anna")], {
      stdin,
      cwd: from.path,
    });
    assertEquals(anna.code, 0, anna.stderr);
    const proof =
      /(\w+) has proved to hold the key (sha256\/\/\S{44}); yours is (sha256\/\/\S{44})$/gm;
    const [seen, ...more] = [...anna.stderr.matchAll(proof)].map(([, ...parts]) => parts);
    assertEquals(more, []);
    assertEquals(await endInbox(ben), "over ACK\n");
    assertEquals([...ben.log.matchAll(proof)].map(([, ...parts]) => parts), [
      ["anna", seen![2], seen![1]],
    ]);
    const pins = new Map(
      await Promise.all(
        [...Deno.readTextFileSync(users.file).matchAll(/^(\w+) (\S{124}) all$/gm)].map(
          async ([, name, spki]) =>
            [name, await pinOf({ spki: Uint8Array.fromBase64(spki!) })] as const,
        ),
      ),
    );
    assertEquals(seen, ["ben", pins.get("ben"), pins.get("anna")]);
    assertEquals(names(to.path), ["a (2).txt", "a.txt"]);
  },
);

integration("a user is told of a side that has proved no key", async () => {
  await using users = await makeUsers({ anna: "all", ben: "all" });
  await using server = await startServer({ args: ["--users", users.file] });
  await using dir = await tempDir();
  await dir.write("a.txt", "hello\n");
  const key = Deno.readTextFileSync(users.tokenFile("ben"));
  using ben = await End.greet({ port: server.port, key }, "ben");
  await ben.says("attend\n");
  assertEquals(await ben.line(), "ok");
  const token = ["--token-file", users.tokenFile("anna")];
  await using anna = await startInbox(server, dir.path, token);
  const { stdin, stdout } = anna.process;
  const writer = stdin.getWriter();
  await writer.write(new TextEncoder().encode("send ben a.txt\n"));
  let offered;
  while (!(offered = /^offered (\d+) (\S+) /.exec(await ben.line())));
  const [, from, plate] = offered;
  const { point } = await AgreementKey.draw();
  await ben.says(`take ${from} ${plate} ${point}\n`);
  await anna.says(/^ben has proved no key, and may be somebody else$/);
  await writer.close();
  await stdout.cancel();
});

/** Somebody between a client and its server, who changes what the client sends. */
function between(
  server: { port: number },
  change: (text: string) => string,
): { port: number } & Disposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const client of listener) {
      const onward = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
      const changed = new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) => {
          const text = new TextDecoder("latin1").decode(chunk);
          const other = change(text);
          controller.enqueue(other === text ? chunk : new TextEncoder().encode(other));
        },
      });
      client.readable.pipeThrough(changed).pipeTo(onward.writable).catch(() => {});
      onward.readable.pipeTo(client.writable).catch(() => {});
    }
  })();
  return { port: listener.addr.port, [Symbol.dispose]: () => listener.close() };
}

integration(
  "what somebody in between changes in an offer is noticed, and nothing received",
  async () => {
    const { point } = await AgreementKey.draw();
    const changes: Record<string, [RegExp, string]> = {
      "it is not what was offered": [/ 6 a\.txt$/m, " 5 a.txt"],
      "somebody stands in between": [/ 04[0-9a-f]{128} /, ` ${point} `],
    };
    for (const [message, change] of Object.entries(changes)) {
      await using server = await startServer();
      using proxy = between(
        server,
        (text) => text.startsWith("send ") ? text.replace(...change) : text,
      );
      await using from = await tempDir();
      await using to = await tempDir();
      await from.write("a.txt", "hello\n");
      await using ben = await startInbox(server, to.path);
      const args = ["--session", "--name", "anna"];
      const anna = await runClient(proxy, args, { stdin: "send ben a.txt\n", cwd: from.path });
      assertEquals(anna.code, 3, anna.stderr);
      assertEquals((await ben.ended()).code, 3, ben.log);
      assertMatch(ben.log, new RegExp(`^inlet: .*${message}`, "m"));
      assertEquals(names(to.path), []);
    }
  },
);

integration("a file goes directly, or with --no-direct through the server, unread", async () => {
  await using server = await startServer();
  await using from = await tempDir();
  await using to = await tempDir();
  const content = bytes(5_000_000);
  await from.write("film.bin", content);
  await using ben = await startInbox(server, to.path);
  for (const [way, how] of [["direct", []], ["relayed", ["--no-direct"]]] as const) {
    let seen = "";
    using proxy = between(server, (text) => {
      seen += text;
      return text;
    });
    const args = [...SLOW_CLIENT, String(proxy.port), "--session", "--name", "anna", ...how];
    const stdin = "send ben film.bin\n";
    const anna = await run(Deno.execPath(), args, { stdin, cwd: from.path });
    assertEquals(anna.code, 0, anna.stderr);
    await ben.says(new RegExp(`^film.*: saved as .*, ${way}$`));
    assertEquals(seen.length > content.length, way === "relayed");
    for (let at = 0; at < content.length; at += 100_000) {
      const piece = new TextDecoder("latin1").decode(content.subarray(at, at + 16));
      assert(!seen.includes(piece));
    }
  }
  await endInbox(ben);
  for (const name of names(to.path)) {
    assertEquals(Deno.readFileSync(`${to.path}/${name}`), content, name);
  }
  assertEquals(names(to.path), ["film (2).bin", "film.bin"]);
});

integration("scripts send to each other, and decline what they do not expect", async () => {
  await using server = await startServer();
  await using from = await tempDir();
  await using to = await tempDir();
  await from.write("a.txt", "hello\n");
  await using ben = await startInbox(server, to.path);
  const send = (name: string) =>
    runClient(server, ["--session", "--name", name], {
      ...{ stdin: "send ben a.txt\nwhoami?\n", cwd: from.path },
    });
  const anna = await send("anna");
  assertEquals([anna.code, anna.stdout], [0, "whoami? ACK\n"]);
  assertMatch(
    anna.stderr,
    /^a\.txt: offered to ben\n[^\n]*could stand between[^\n]*\nben accepts a\.txt\na\.txt: sent to ben, 6 B\n$/,
  );
  const eve = await send("eve");
  assertEquals([eve.code, eve.stdout], [3, ""]);
  assertMatch(eve.stderr, /inlet: Did not send "a\.txt": ben has declined it\n$/);
  await ben.says(/^eve offers a\.txt, 6 B: declined; --accept-from "eve" accepts it$/);
  assertEquals(await endInbox(ben), "over ACK\n");
  assertMatch(ben.log, /^anna is here\na\.txt: saved as "\.\/a\.txt", 6 B, CRC-32 363a3020/);
  assertEquals(names(to.path), ["a.txt"]);
  assertEquals(Deno.readTextFileSync(`${to.path}/a.txt`), "hello\n");
});
