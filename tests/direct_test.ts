/**
 * The direct way between two clients that have met: which addresses are named, who is let in by a
 * listener that lives for one try, and that exactly one way is chosen.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DirectTry } from "../client/meeting/direct_try.ts";
import { hostsToDial, ownHosts, type Standing } from "../client/meeting/reach.ts";
import { enterWithProof, makeReceiverId, openToProof } from "../client/meeting/tunnel.ts";
import { awaitWay, decideWay, reachOf, type Way } from "../client/meeting/ways.ts";
import { type CodeSecret, codeSecret } from "../lib/auth/code_secret.ts";
import { InletError } from "../lib/errors.ts";
import { type ByteStream, TcpStream } from "../lib/net/byte_stream.ts";
import type { Connection } from "../lib/net/connection.ts";
import { dialResettable } from "../lib/net/node_stream.ts";
import {
  decodeDirect,
  encodeDirect,
  formatReach,
  parseReach,
  ProtocolError,
  type Reach,
} from "../protocol.ts";
import { freePort, integration, pure } from "./helpers.ts";
import { Wire } from "./wire.ts";

const TICKET = "0123456789abcdef".repeat(2);

/** A client on the server's machine, and two that are elsewhere. */
const NEAR: Standing = { local: "127.0.0.1", seen: "127.0.0.1", isNear: true };
const BEHIND_NAT: Standing = { local: "192.168.1.5", seen: "203.0.113.7", isNear: false };
const IPV6: Standing = { local: "2001:db8::5", seen: "[2001:db8::5]", isNear: false };

pure("the lines of a direct way read as they were written", () => {
  const lines = [
    { type: "reach", reach: { ticket: TICKET, port: 1024, hosts: ["10.0.0.1", "2001:db8::1"] } },
    { type: "join", ticket: TICKET },
    { type: "over" },
    { type: "go" },
  ] as const;
  for (const line of lines) {
    const text = new TextDecoder().decode(encodeDirect(line)).trimEnd();
    assertEquals(decodeDirect(text), line);
  }
});

for (
  const [what, text] of [
    ["a port below 1024", `${TICKET} 1023 10.0.0.1`],
    ["a port that is none", `${TICKET} 65536 10.0.0.1`],
    ["no host", `${TICKET} 4000`],
    ["nine hosts", `${TICKET} 4000${" 10.0.0.1".repeat(9)}`],
    ["a short ticket", `${TICKET.slice(1)} 4000 10.0.0.1`],
    ["a second space", `${TICKET}  4000 10.0.0.1`],
  ] as const
) {
  pure(`where a client can be reached has not ${what}`, () => {
    assertThrows(() => parseReach(text), ProtocolError);
  });
}

pure("a client names its own address and the one that the server sees, and both once", () => {
  assertEquals(ownHosts(BEHIND_NAT), ["192.168.1.5", "203.0.113.7"]);
  assertEquals(ownHosts(IPV6), ["2001:db8::5"]);
  assertEquals(ownHosts({ ...BEHIND_NAT, local: "203.0.113.7" }), ["203.0.113.7"]);
});

pure("a client on the server's machine names no address, and is found by its like alone", () => {
  assertEquals(ownHosts(NEAR), ["loopback"]);
  assertEquals(hostsToDial(["loopback"], NEAR), ["127.0.0.1"]);
  assertEquals(hostsToDial(["loopback", "10.0.0.1"], BEHIND_NAT), ["10.0.0.1"]);
});

pure("an address of a single link is not named", () => {
  assertEquals(ownHosts({ ...IPV6, local: "fe80::5%eth0", seen: "[fe80::5]" }), []);
});

for (
  const host of [
    ...["127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.1.1", "224.0.0.1", "239.1.1.1"],
    ...["255.255.255.255", "240.0.0.1", "::1", "::", "::127.0.0.1", "::ffff:127.0.0.1"],
    ...["::ffff:7f00:1", "0:0:0:0:0:ffff:7f00:0001", "fe80::1", "febf::1", "ff02::1", "[::1]"],
    ...["localhost", "example.org", "10.0.0.1%lo", "0x7f.1", "2130706433", "10.1", "", "unix"],
  ]
) {
  pure(`nobody is connected to at "${host}"`, () => {
    for (const standing of [NEAR, BEHIND_NAT, IPV6]) {
      const error = assertThrows(
        () => hostsToDial(["10.0.0.1", host], standing),
        InletError,
        "Cannot connect directly: the other side names",
      );
      assertEquals(error.code, "denied");
    }
  });
}

for (const who of ["both", "accepting", "offering"] as const) {
  const what = who === "both"
    ? "two clients that can connect"
    : `the ${who} side alone can connect`;
  integration(
    `${what}: there is one direct way, and the way over the server is closed`,
    async () => {
      using pair = await Pair.make();
      const [offered, accepted] = await pair.decide({
        offererDials: who !== "accepting",
        accepterDials: who !== "offering",
      });
      assertEquals([offered.isDirect, accepted.isDirect], [true, true]);
      await assertJoined(offered, accepted);
      // The attempt that came too late may still be told of.
      for (let line; (line = await pair.accepterRelay.readLine()) !== null;) {
        assertEquals(line, "over");
      }
    },
  );
}

integration("neither side can connect: the way is over the server, without a wait", async () => {
  using pair = await Pair.make();
  // What would take the two seconds is not used: nothing listens, and nobody connects.
  const [offered, accepted] = await pair.decide({ offererDials: false, accepterDials: false });
  assertEquals([offered.isDirect, accepted.isDirect], [false, false]);
  await assertJoined(offered, accepted);
});

integration(
  "the other side falls silent: the way is over the server after two seconds",
  async () => {
    using pair = await Pair.make();
    const own = await pair.accepterTry();
    const deciding = decideWay(pair.accepterRelay, own, FAR);
    const reach = { ticket: TICKET, port: 4000, hosts: ["loopback"] };
    await pair.offererRelay.write(encodeDirect({ type: "reach", reach }));
    assertEquals(await pair.offererRelay.readLine(), "go");
    await pair.offererRelay.write(encodeDirect({ type: "over" }));
    assertEquals((await deciding).isDirect, false);
  },
);

integration("an offer that is not sent directly begins over the server, unread", async () => {
  using pair = await Pair.make();
  const own = await pair.accepterTry();
  const { port } = own;
  await pair.offererRelay.write(new TextEncoder().encode("hello 1 ben\n"));
  const way = await decideWay(pair.accepterRelay, own, NEAR);
  assertEquals([way.isDirect, await way.connection.readLine()], [false, "hello 1 ben"]);
  await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port }));
});

for (const host of ["127.0.0.1", "224.0.0.1", "localhost"]) {
  for (const who of ["offering", "accepting"] as const) {
    integration(
      `the ${who} side names ${host}: the other refuses it, and both say why`,
      async () => {
        using pair = await Pair.make();
        const hostile: Reach = { ticket: TICKET, port: 4000, hosts: [host] };
        const why =
          `Cannot connect directly: the other side names "${host}", which is no address of a host`;
        if (who === "offering") {
          const deciding = decideWay(pair.accepterRelay, await pair.accepterTry(), NEAR);
          await pair.offererRelay.write(encodeDirect({ type: "reach", reach: hostile }));
          const line = pair.offererRelay.readLine();
          await assertRejects(() => deciding, InletError, why);
          assertEquals(await line, `error denied ${why}`);
        } else {
          const waiting = awaitWay(
            pair.offererRelay,
            await pair.offererTry(),
            formatReach(hostile),
            NEAR,
          );
          const line = pair.accepterRelay.readLine().finally(() => pair[Symbol.dispose]());
          await assertRejects(() => waiting, InletError, why);
          assertEquals(await line, `error denied ${why}`);
        }
      },
    );
  }
}

for (
  const [what, first] of [
    ["nothing", ""],
    ["another ticket", `join ${TICKET}\n`],
    ["TLS at once", "\x16\x03\x01\x00\x05hello"],
    ["HTTP", "GET / HTTP/1.1\r\n\r\n"],
    ["a line without end", "x".repeat(5000)],
  ] as const
) {
  integration(`a stranger who says ${what} to a direct listener gets nothing`, async () => {
    using pair = await Pair.make();
    using own = await pair.offererTry();
    own.accept(() => assert(false, "a stranger came in"));
    using stranger = await Wire.dial(own);
    if (first !== "") await stranger.says(first).catch(() => {});
    assertEquals(await stranger.bytes(1).catch(() => new Uint8Array(0)), new Uint8Array(0));
  });
}

integration("who has the ticket and not the words gets a handshake, and no further", async () => {
  using pair = await Pair.make();
  const other = await codeSecret("other-words-than-these", SALT);
  using own = await pair.offererTry();
  own.accept(() => assert(false, "a stranger came in"));
  using stranger = await Wire.dial(own);
  await stranger.says(encodeDirect({ type: "join", ticket: own.ticket }));
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: own.port });
  const stream = new TcpStream(conn);
  await stream.write(encodeDirect({ type: "join", ticket: own.ticket }));
  const id = makeReceiverId();
  const error = await assertRejects(
    () => enterWithProof(stream, other, { id, isAgain: false }, pair.tunnel),
    InletError,
  );
  assertEquals(error.code, "denied");
});

integration("who has the words and not the ticket is not let in", async () => {
  using pair = await Pair.make();
  using own = await pair.offererTry();
  own.accept(() => assert(false, "a stranger came in"));
  const stream = new TcpStream(await Deno.connect({ hostname: "127.0.0.1", port: own.port }));
  await stream.write(encodeDirect({ type: "join", ticket: TICKET }));
  const error = await assertRejects(() => pair.enter(stream), InletError);
  assertEquals(error.code, "lost");
});

integration(
  "a direct listener accepts sixteen connections, and not the right one behind",
  async () => {
    using pair = await Pair.make();
    using own = await pair.offererTry();
    own.accept(() => assert(false, "it came in"));
    using guard = new DisposableStack();
    for (let count = 0; count < 16; count++) guard.use(await Wire.dial(own));
    await assertRejects(async () => {
      const stream = new TcpStream(await Deno.connect({ hostname: "127.0.0.1", port: own.port }));
      await stream.write(encodeDirect({ type: "join", ticket: own.ticket }));
      guard.use(await pair.enter(stream));
    });
  },
);

integration(
  "a stranger who resets a connection before it is accepted keeps nobody out",
  async () => {
    using pair = await Pair.make();
    using own = await pair.offererTry();
    const { signal } = new AbortController();
    const stranger = await dialResettable({ hostname: "127.0.0.1", port: own.port }, signal);
    stranger.reset();
    const { promise: proved, resolve } = Promise.withResolvers<Connection>();
    const stream = new TcpStream(await Deno.connect({ hostname: "127.0.0.1", port: own.port }));
    own.accept(resolve);
    await stream.write(encodeDirect({ type: "join", ticket: own.ticket }));
    using entered = await pair.enter(stream);
    using _way = await proved;
    assert(entered.isEncrypted);
  },
);

integration("a direct listener is closed by itself", async () => {
  using pair = await Pair.make();
  using own = await pair.offererTry();
  let ways = 0;
  // It settles when nobody is accepted any more; by then another program may have the port.
  await own.accept(() => void ways++);
  assertEquals(ways, 0);
});

const SALT = new Uint8Array(16);
const SECRET: { made?: Promise<CodeSecret> } = {};

/** A client that is not on the server's machine, and so connects to nobody who is. */
const FAR: Standing = { ...NEAR, isNear: false };

/** Fails unless two ways are the ends of one. */
async function assertJoined(one: Way, other: Way): Promise<void> {
  await one.connection.write(new TextEncoder().encode("there\n"));
  assertEquals(await other.connection.readLine(), "there");
  await other.connection.write(new TextEncoder().encode("and back\n"));
  assertEquals(await one.connection.readLine(), "and back");
}

/** The two sides, and the tunnel over the server between them, which here is one connection. */
class Pair implements Disposable {
  readonly #over = new AbortController();
  readonly #secret: CodeSecret;
  readonly #id = makeReceiverId();
  readonly #guard = new DisposableStack();
  offererRelay!: Connection;
  accepterRelay!: Connection;

  private constructor(secret: CodeSecret) {
    this.#secret = secret;
  }

  static async make(): Promise<Pair> {
    const pair = new Pair(await (SECRET.made ??= codeSecret("the-four-secret-words", SALT)));
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const dialling = Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
    const accepting = listener.accept();
    const [offerer, accepter] = await Promise.all([
      accepting.then((conn) => pair.#offererSecures(new TcpStream(conn))),
      dialling.then((conn) => pair.#accepterSecures(new TcpStream(conn))),
    ]);
    pair.offererRelay = pair.#guard.use(offerer);
    pair.accepterRelay = pair.#guard.use(accepter);
    return pair;
  }

  get tunnel() {
    return { idleTimeoutMs: 300_000, signal: this.#over.signal };
  }

  async offererTry(): Promise<DirectTry> {
    return (await DirectTry.open("127.0.0.1", {
      ...this.tunnel,
      secure: (stream) => this.#offererSecures(stream),
    }))!;
  }

  async accepterTry(): Promise<DirectTry> {
    return (await DirectTry.open("127.0.0.1", {
      ...this.tunnel,
      secure: (stream) => this.#accepterSecures(stream),
    }))!;
  }

  /** Proves the accepting side on a connection. */
  enter(stream: ByteStream): Promise<Connection> {
    return this.#accepterSecures(stream);
  }

  /** Lets both decide. */
  async decide({ offererDials = true, accepterDials = true }): Promise<[Way, Way]> {
    const own = await this.accepterTry();
    const reach = reachOf(own, NEAR)!;
    const theirs = offererDials ? reach : { ...reach, port: await freePort() };
    const ways = await Promise.all([
      awaitWay(this.offererRelay, await this.offererTry(), formatReach(theirs), NEAR),
      decideWay(this.accepterRelay, own, accepterDials ? NEAR : FAR),
    ]);
    ways.forEach(({ connection }) => this.#guard.use(connection));
    return ways;
  }

  [Symbol.dispose](): void {
    this.#guard.dispose();
  }

  async #offererSecures(stream: ByteStream): Promise<Connection> {
    return (await openToProof(stream, this.#secret, this.tunnel)).connection;
  }

  #accepterSecures(stream: ByteStream): Promise<Connection> {
    return enterWithProof(stream, this.#secret, { id: this.#id, isAgain: false }, this.tunnel);
  }
}
