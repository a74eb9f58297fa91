/**
 * Two clients that meet by a code, of which one means ill, or the server does.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { crc32 } from "node:zlib";
import { enterWithProof, openToProof } from "../client/meeting/tunnel.ts";
import { formatCrc, type Reach } from "../protocol.ts";
import { codeSecret } from "../lib/auth/code_secret.ts";
import { Connection } from "../lib/net/connection.ts";
import { ConnectionStream } from "../lib/net/connection_stream.ts";
import { connectTls } from "../lib/net/tls_connect.ts";
import { bytes, integration, names, type Reachable, startServer, tempDir } from "./helpers.ts";
import { accept, startOffer } from "./meeting.ts";
import { End, join, offer, SALT } from "./meeting_ends.ts";
import { startMeetingServer } from "./meeting_server.ts";

const SECRET = "walnut-carbon-ladder-pebble";
const secret = codeSecret(SECRET, Uint8Array.fromHex(SALT));
const LIMITS = { idleTimeoutMs: 30_000 };

/** Has a real client accept what a script offers, and gives how it ended. */
async function offerBy(
  server: Reachable,
  inbox: string,
  script: (tunnel: Connection) => Promise<void>,
  args: readonly string[] = [],
) {
  using offering = await offer(server, { plate: "?-mango" });
  const taking = accept(server, `${offering.plate}-${SECRET}`, ["--output", inbox, ...args]);
  await join(offering, "");
  const stream = new ConnectionStream(offering.end.connection);
  const { connection } = await openToProof(stream, await secret, LIMITS);
  await script(connection);
  await connection.finish();
  offering.end.connection[Symbol.dispose]();
  await End.asks(server, `offer ${offering.plate} ${SALT} 1`).then((end) => end[Symbol.dispose]());
  return await taking;
}

/** The CRC-32 of a text. */
function crcOf(text: string): string {
  return formatCrc(crc32(text));
}

/** Says a line, and gives the next one that is no note. */
async function ask(tunnel: Connection, line: string): Promise<string> {
  await tunnel.write(new TextEncoder().encode(`${line}\n`));
  for (;;) {
    const reply = await tunnel.readLine();
    if (!reply?.startsWith("note ")) return reply ?? "";
  }
}

integration("who accepts takes what it has agreed to, whatever is sent", async () => {
  await using server = await startServer();
  await using dir = await tempDir();
  const inbox = `${dir.path}/in`;
  await Deno.mkdir(`${inbox}/there`, { recursive: true });
  await Deno.writeTextFile(`${inbox}/private.txt`, "private");
  const replies: string[] = [];
  const taken = await offerBy(server, inbox, async (tunnel) => {
    const hello = "hello;files=2;folders=1;bytes=12;names=a.txt%0Aphotos/ 1 ben";
    assertMatch(await ask(tunnel, hello), /^welcome /);
    for (
      const line of [
        "push 1 ../x\n1\nend 83dcefb7",
        "push 1 /etc/x\n1\nend 83dcefb7",
        "push 1 .bashrc\n1\nend 83dcefb7",
        "push 1 there/x\n1\nend 83dcefb7",
        "push 1 a.txt/../../x\n1\nend 83dcefb7",
        "push 1 a.txt/x\n1\nend 83dcefb7",
        "push 1 photos\n1\nend 83dcefb7",
        "put 13 a.txt",
        "mkdir there",
        "symlink;to=../.. photos/up",
        "symlink;to=/etc photos/etc",
        "get private.txt",
        "tree /",
        "list",
        "compare 7 - 2026-11-21T08:38:00Z private.txt",
        "diff 1 /\n7 2026-11-21T08:38:00Z private.txt",
      ]
    ) {
      replies.push(await ask(tunnel, line.replace("\n1\n", "\n1")));
    }
    assertEquals(await ask(tunnel, "push 6 a.txt\nhello\nend 363a3020"), "ok 6 363a3020 a.txt");
    assertMatch(await ask(tunnel, "put - photos/b.txt"), /^go 0$/);
    assertMatch(await ask(tunnel, "data 7\n1234567end 83dcefb7"), /^error too-large /);
    const push = "push 1 photos/b.txt\n1end 83dcefb7";
    assertEquals(await ask(tunnel, push), "ok 1 83dcefb7 photos/b.txt");
    const third = "push 1 photos/c.txt\n1end 83dcefb7";
    assertMatch(await ask(tunnel, third), /^error bad-name .* more than 2 files/);
    assertMatch(await ask(tunnel, "mkdir photos/more"), /^error bad-name .* more than 1 folder/);
    assertEquals(await ask(tunnel, "exit"), "ok bye");
  });
  for (const reply of replies) assertMatch(reply, /^error (bad-name|too-large|denied) /);
  assertEquals(names(dir.path), ["in"]);
  assertEquals(names(inbox), ["a.txt", "photos", "private.txt", "there"]);
  assertEquals([names(`${inbox}/photos`), names(`${inbox}/there`)], [["b.txt"], []]);
  assert(taken.code > 0);
});

integration("control characters in what is offered do not reach the terminal", async () => {
  await using server = await startServer();
  await using dir = await tempDir();
  const taken = await offerBy(server, dir.path, async (tunnel) => {
    await ask(tunnel, "hello;files=1;folders=0;bytes=1;names=%1B]0a%07 1 b\u001b[2Jen");
    await ask(tunnel, "push 1 \u001b]0a\u0007\n1end 83dcefb7");
    await ask(tunnel, "exit");
  });
  // deno-lint-ignore no-control-regex -- they are what is looked for
  assert(!/[\x00-\x09\x0b-\x1f]/.test(taken.stderr), taken.stderr);
  assertStringIncludes(taken.stderr, "\\u{1b}]0a");
});

integration("a message comes only as it was offered, and with nothing beside it", async () => {
  await using server = await startServer();
  await using dir = await tempDir();
  const say = async (tunnel: Connection, text: string): Promise<string> => {
    const go = await ask(tunnel, `say ${text.length}`);
    return go === "go 0" ? await ask(tunnel, `${text}end ${crcOf(text)}`) : go;
  };
  for (const args of [[], ["--json"]]) {
    const file = await offerBy(server, dir.path, async (tunnel) => {
      await ask(tunnel, "hello;files=1;folders=0;bytes=6;names=a.txt 1 ben");
      assertMatch(await say(tunnel, "secret"), /^error denied .*: that was not offered$/);
      await ask(tunnel, "exit");
    }, args);
    const longer = await offerBy(server, dir.path, async (tunnel) => {
      await ask(tunnel, "hello;files=0;folders=0;bytes=5;message=yes 1 ben");
      assertMatch(await say(tunnel, "secret"), /^error too-large .* more than the 5 B /);
      assertEquals(await say(tunnel, "short"), `ok 5 ${crcOf("short")}`);
      assertEquals(await say(tunnel, "again"), `ok 5 ${crcOf("again")}`);
      await ask(tunnel, "exit");
    }, args);
    assert(!`${file.stdout}${longer.stdout}`.includes("secret"), longer.stdout);
    assert(!longer.stdout.includes("again"), longer.stdout);
    assertStringIncludes(longer.stdout, "short");
  }
  for (const what of ["files=1;folders=0;bytes=5;names=.bashrc", "files=0;folders=0;bytes=-"]) {
    const taken = await offerBy(server, dir.path, async (tunnel) => {
      const reply = await ask(tunnel, `hello;${what};message=yes 1 ben`);
      assertMatch(reply, /^error bad-request .*a message has /);
    });
    assertEquals([taken.code, names(dir.path)], [3, []], taken.stderr);
  }
});

integration(
  "who offers cannot ask for name after name, nor be refused without an end",
  async () => {
    await using server = await startServer();
    await using dir = await tempDir();
    await Deno.mkdir(`${dir.path}/photos`);
    await Deno.writeTextFile(`${dir.path}/photos/c.txt`, "private");
    const replies: string[] = [];
    const taken = await offerBy(server, dir.path, async (tunnel) => {
      await ask(tunnel, "hello;files=1;folders=1;bytes=1;names=photos/ 1 ben");
      const entry = (name: string): string => `7 2026-11-21T08:38:00Z ${name}.txt`;
      for (const name of ["a", "b", "b"]) {
        replies.push(await ask(tunnel, `diff 1 photos\n${entry(name)}`));
      }
      replies.push(await ask(tunnel, `diff 1 photos\n${entry("c")}`));
      replies.push(await ask(tunnel, `compare ${entry("photos/c").replace(" ", " - ")}`));
      for (let reply; (reply = await ask(tunnel, "list")) !== "";) replies.push(reply);
    });
    assertEquals(replies.slice(0, 3), ["ok .", "ok .", "ok ."]);
    for (const reply of replies.slice(3, 5)) assertMatch(reply, /^error .* more than 2 names/);
    assertMatch(replies.at(-1)!, /^error denied Cannot go on: /);
    assert(replies.length < 120, String(replies.length));
    assertEquals([taken.code, taken.stderr.split("\n").length < 120], [3, true], taken.stderr);
  },
);

integration("more names than files are not all told", async () => {
  await using server = await startServer();
  await using dir = await tempDir();
  const many = Array.from({ length: 300 }, (_, at) => `a${at}`).join("%0A");
  const taken = await offerBy(server, dir.path, async (tunnel) => {
    await ask(tunnel, `hello;files=1;folders=0;bytes=1;names=${many} 1 ben`);
    await ask(tunnel, "exit");
  });
  assertStringIncludes(taken.stderr, '"a9", and more');
  assert(!taken.stderr.includes('"a10"'), taken.stderr);
});

integration("a greeting that does not tell what is offered is refused", async () => {
  await using server = await startServer();
  await using dir = await tempDir();
  for (const hello of ["hello 1 ben", "hello;files=1;folders=0;bytes=x 1 ben", "put 1 a.txt", ""]) {
    const taken = await offerBy(server, dir.path, async (tunnel) => {
      assertMatch(await ask(tunnel, hello), /^error bad-request /);
    });
    assertEquals([taken.code, names(dir.path)], [3, []], taken.stderr);
  }
});

/** Accepts what a real client offers, by a script, and gives how that client ended. */
async function acceptBy(
  server: Reachable,
  script: (tunnel: Connection) => Promise<void>,
  { content = new TextEncoder().encode("hello\n"), reach }: {
    readonly content?: Uint8Array;
    readonly reach?: Reach;
  } = {},
) {
  await using dir = await tempDir();
  await using offering = await startOffer(server, [await dir.write("a.txt", content)], {
    env: { INLET_CODE: `4713-mango-${SECRET}` },
  });
  const [salt, end] = await acceptOf(server);
  const stream = new ConnectionStream(end.connection, met(end));
  const known = await codeSecret(SECRET, Uint8Array.fromHex(salt));
  const receiver = {
    ...{ id: "0123456789abcdef", isAgain: false },
    reach: () => Promise.resolve(reach),
  };
  const tunnel = await enterWithProof(stream, known, receiver, LIMITS);
  await script(tunnel);
  tunnel[Symbol.dispose]();
  const ended = await offering.ended();
  end[Symbol.dispose]();
  return ended;
}

/** Asks for the offer, and gives its salt. */
async function acceptOf(server: Reachable): Promise<[salt: string, end: End]> {
  const end = await End.asks(server, "accept 4713-mango");
  const [, salt = ""] = /^ok ([0-9a-f]{32}) /.exec(await end.line())!;
  return [salt, end];
}

async function met(end: End): Promise<void> {
  assertMatch(await end.line(), /^met /);
}

integration("who offers believes no receiver that claims what is not so", async () => {
  await using server = await startServer();
  const welcome = "welcome client 1 of 1";
  const cases: [answers: string[], code: number, said: RegExp][] = [
    [["error denied The receiver has declined"], 3, /^inlet: The receiver has declined$/m],
    [[welcome, "ok 6 00000000 a.txt"], 5, /a\.txt/],
    [[welcome, "ok 7 363a3020 a.txt"], 5, /a\.txt/],
    [[welcome, "error no-space Cannot store \u001b[2J"], 3, /Cannot store \\u\{1b\}/],
    [[welcome, "go 0"], 3, /unexpected reply/],
    [["\u001b[2J nonsense"], 3, /./],
  ];
  for (const [answers, code, said] of cases) {
    const ended = await acceptBy(server, async (tunnel) => {
      const hello = await tunnel.readLine();
      assertMatch(hello ?? "", /^hello;files=1;folders=0;bytes=6;names=a\.txt 1 /);
      await tunnel.write(new TextEncoder().encode(answers.join("\n") + "\n"));
    });
    assertEquals([ended.code, ended.stdout], [code, `4713-mango-${SECRET}\n`], ended.stderr);
    assertMatch(ended.stderr, said);
  }
});

/** Addresses that are nobody's business, and how the other side refuses them. */
const NOBODY: [host: string, port: number, why: RegExp][] = [
  ["127.0.0.1", 4000, /Cannot connect directly: the other side names "127\.0\.0\.1", which is no/],
  ["192.168.1.5", 80, /a port to connect to directly is 1024 to 65535/],
];

integration("addresses that are nobody's business end it in one line on both sides", async () => {
  await using server = await startServer();
  await using dir = await tempDir();
  const ticket = "0123456789abcdef".repeat(2);
  for (const [host, port, why] of NOBODY) {
    const taken = await offerBy(server, dir.path, async (tunnel) => {
      assertMatch(await ask(tunnel, `reach ${ticket} ${port} ${host}`), why);
    }, ["--quiet"]);
    assertEquals([taken.code, names(dir.path)], [3, []], taken.stderr);
    assertMatch(taken.stderr, /^inlet: .*$/);
    assertMatch(taken.stderr, why);
    const ended = await acceptBy(server, async (tunnel) => {
      assertMatch(await tunnel.readLine() ?? "", why);
    }, { content: bytes(5_000_000), reach: { ticket, port, hosts: [host] } });
    assertEquals(ended.code, 3, ended.stderr);
    assertMatch(ended.stderr, new RegExp(`^inlet: .*${why.source}`, "m"));
  }
});

integration("bits that flip on the way, and a salt that is a lie, open nothing", async () => {
  const flipping = (at: number) => {
    let seen = 0;
    return (bytes: Uint8Array, from: string): Uint8Array => {
      const before = seen;
      if (from === "offer") seen += bytes.length;
      if (from === "offer" && before <= at && at < seen) bytes[at - before]! ^= 1;
      return bytes;
    };
  };
  for (
    const [lies, code] of [
      // Within the handshake, then within a file.
      [{ change: flipping(40) }, 3],
      [{ change: flipping(300) }, 3],
      [{ change: flipping(500_000) }, 5],
      [{ salt: "00".repeat(16) }, 3],
    ] as const
  ) {
    await using server = startMeetingServer(lies);
    await using dir = await tempDir();
    await Deno.mkdir(`${dir.path}/in`);
    await using offering = await startOffer(server, [await dir.write("a.bin", bytes(1_000_000))]);
    const taken = await accept(server, offering.code, ["--output", `${dir.path}/in`, "--quiet"]);
    assertEquals([taken.code, names(`${dir.path}/in`).includes("a.bin")], [code, false]);
    assertMatch(taken.stderr, /^inlet: .*$/);
  }
});

integration(
  "who comes without the proof is told nothing, and the next one gets the offer",
  async () => {
    await using server = await startServer();
    await using dir = await tempDir();
    await Deno.mkdir(`${dir.path}/in`);
    const code = `4713-mango-${SECRET}`;
    await using offering = await startOffer(server, [await dir.write("a.txt", "hello\n")], {
      env: { INLET_CODE: code },
    });
    const [salt, end] = await acceptOf(server);
    const known = await codeSecret(SECRET, Uint8Array.fromHex(salt));
    const stream = new ConnectionStream(end.connection, met(end));
    const receiver = { id: "0123456789abcdef", isAgain: false };
    const wrong = { ...known, proof: "00".repeat(32) };
    const tunnel = await enterWithProof(stream, wrong, receiver, LIMITS);
    assertEquals(await tunnel.readLine().catch(() => null), null);
    await offering.running.says(/other words, or stands in between \(1 of 10\)$/);
    const taken = await accept(server, code, ["--output", `${dir.path}/in`]);
    assertEquals([taken.code, (await offering.ended()).code], [0, 0], taken.stderr);
    end[Symbol.dispose]();
  },
);

integration(
  "whoever was shown the public key and proves nothing counts, in whatever way it goes on; a stranger does not",
  async () => {
    await using server = await startServer();
    await using dir = await tempDir();
    await using offering = await startOffer(server, [await dir.write("a.txt", "hello\n")], {
      env: { INLET_CODE: `4713-mango-${SECRET}` },
    });
    const counted = (count: number) =>
      offering.running.says(new RegExp(`stands in between \\(${count} of 10\\)$`));
    for (const garbage of ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x02no, it is none"]) {
      const [, end] = await acceptOf(server);
      await end.says(garbage);
      await met(end);
      await end.rest();
      end[Symbol.dispose]();
    }
    const [salt] = await acceptOf(server);
    const known = await codeSecret(SECRET, Uint8Array.fromHex(salt));
    let count = 0;
    for (const line of ["put;=\n", "proof\n", "hello 1 ben\n", "\n", "x".repeat(5000), ""]) {
      const [, end] = await acceptOf(server);
      const stream = new ConnectionStream(end.connection, met(end));
      const tunnel = new Connection(await connectTls(stream, known.identity), LIMITS);
      if (line === "") end.connection[Symbol.dispose]();
      else await tunnel.write(new TextEncoder().encode(line));
      await tunnel.readLine().catch(() => null);
      tunnel[Symbol.dispose]();
      await counted(++count);
    }
    assertEquals((await accept(server, offering.code, ["--output", dir.path])).code, 0);
    assertEquals((await offering.ended()).code, 0);
    assert(!offering.running.log.includes(`(${count + 1} of 10)`), offering.running.log);
  },
);
