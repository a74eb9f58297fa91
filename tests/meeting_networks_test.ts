/**
 * Two clients and a server in networks of their own: on which way a file goes from the one to the
 * other. Each test has a network that people have, and the way that is right for it.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { formatAddress } from "../lib/address.ts";
import { bytes, integration, KEY, names, startServer, tempDir } from "./helpers.ts";
import { accept, type MeetingOptions, SLOW_CLOCK, startAccept, startOffer } from "./meeting.ts";
import { type Host, NETWORKS, Networks, SILENT_INBOUND } from "./networks.ts";

/** A file that is worth a direct way. */
const CONTENT = bytes(5_000_000);

const SERVER = "203.0.113.1";

type Way = "direct" | "relayed";

/** Who is where, and what becomes of it. */
interface Case {
  readonly name: string;
  readonly offerer: (hosts: Hosts) => Host;
  readonly accepter: (hosts: Hosts) => Host;
  readonly way: Way;
  /** The server's address, where it is not {@linkcode SERVER}. */
  readonly server?: string;
  /** Permissions, where they are not all, by side. */
  readonly scoped?: readonly ("offerer" | "accepter")[];
  /** Arguments, by side. */
  readonly offererArgs?: readonly string[];
  readonly accepterArgs?: readonly string[];
}

const CASES: readonly Case[] = [
  { name: "on one LAN", offerer: (h) => h.lan1, accepter: (h) => h.lan2, way: "direct" },
  {
    name: "with the offering one behind a NAT",
    ...{ offerer: (h) => h.home1, accepter: (h) => h.lan1, way: "direct" },
  },
  {
    name: "with the accepting one behind a NAT",
    ...{ offerer: (h) => h.lan1, accepter: (h) => h.home1, way: "direct" },
  },
  {
    name: "behind the same NAT",
    ...{ offerer: (h) => h.home1, accepter: (h) => h.home2, way: "direct" },
  },
  {
    name: "behind different NATs, with the same private address",
    ...{ offerer: (h) => h.home1, accepter: (h) => h.other, way: "relayed" },
  },
  {
    name: "with IPv6 only",
    ...{ offerer: (h) => h.six1, accepter: (h) => h.six2, way: "direct", server: "2001:db8::1" },
  },
  {
    name: "with a firewall before the offering one that drops in silence",
    ...{ offerer: (h) => h.silent1, accepter: (h) => h.lan1, way: "direct" },
  },
  {
    name: "with a firewall before the accepting one that drops in silence",
    ...{ offerer: (h) => h.lan1, accepter: (h) => h.silent1, way: "direct" },
  },
  {
    name: "with a firewall before each that drops in silence",
    ...{ offerer: (h) => h.silent1, accepter: (h) => h.silent2, way: "relayed" },
  },
  ...([["offerer"], ["accepter"], ["offerer", "accepter"]] as const).map((scoped): Case => ({
    name: `on one LAN, with permission for the server alone: ${scoped.join(" and ")}`,
    ...{ offerer: (h) => h.lan1, accepter: (h) => h.lan2, way: "relayed", scoped },
  })),
  {
    name: "on one LAN, with --no-direct of the offering one",
    ...{ offerer: (h) => h.lan1, accepter: (h) => h.lan2, way: "relayed" },
    offererArgs: ["--no-direct"],
  },
  {
    name: "on one LAN, with --no-direct of the accepting one",
    ...{ offerer: (h) => h.lan1, accepter: (h) => h.lan2, way: "relayed" },
    accepterArgs: ["--no-direct"],
  },
];

for (const what of CASES) {
  const how = what.way === "direct" ? "directly" : "through the server";
  integration(`a file goes ${how} between two clients ${what.name}`, async () => {
    const { hosts, port } = await (scene ??= makeScene());
    await using temp = await tempDir();
    const path = await temp.write("film.bin", CONTENT);
    const into = `${temp.path}/into`;
    await Deno.mkdir(into);
    const server = what.server ?? SERVER;
    const at = { port, key: KEY };
    const scope = formatAddress({ hostname: server, port });
    const options = (who: "offerer" | "accepter"): MeetingOptions => ({
      host: server,
      under: what[who](hosts).under,
      permissions: [
        ...what.way === "direct" ? SLOW_CLOCK : [],
        what.scoped?.includes(who) ? `--allow-net=${scope}` : "--allow-net",
        ...["--no-prompt", "--allow-read", "--allow-write", "--allow-env"],
      ],
    });
    await using offerer = await startOffer(
      ...[at, [path, ...what.offererArgs ?? []], options("offerer")] as const,
    );
    const args = ["--output", into, ...what.accepterArgs ?? []];
    const accepted = await accept(at, offerer.code, args, options("accepter"));
    assertEquals(accepted.code, 0, `${offerer.running.log}\n${accepted.stderr}`);
    const offered = await offerer.ended();
    assertEquals(offered.code, 0, offered.stderr);
    assertEquals(names(into), ["film.bin"]);
    assertEquals(await Deno.readFile(`${into}/film.bin`), CONTENT);
    assertEquals(accepted.stdout, "");
    for (const { stderr } of [offered, accepted]) {
      assertMatch(stderr, new RegExp(`film\\.bin: .*, ${what.way}$`, "m"));
    }
  }, NETWORKS);
}

integration("a direct way that breaks is resumed through the server", async () => {
  const { hosts, port } = await (scene ??= makeScene());
  await using temp = await tempDir();
  const content = bytes(12_000_000);
  const path = await temp.write("film.bin", content);
  const into = `${temp.path}/into`;
  await Deno.mkdir(into);
  const at = { port, key: KEY };
  // It breaks by itself, once so much has gone.
  await hosts.lan1.filters(`
    table inet broken {
      chain out {
        type filter hook output priority 0; policy accept;
        ip daddr ${
    hosts.lan2.addresses[0]!.split("/")[0]
  } meta l4proto tcp quota over 3 mbytes reject with tcp reset
      }
    }`);
  const permissions = [...SLOW_CLOCK, "-A"];
  await using offerer = await startOffer(
    ...[at, [path], { host: SERVER, under: hosts.lan1.under, permissions }] as const,
  );
  await using accepter = startAccept(
    ...[at, offerer.code, ["--yes", "--output", into, "--timeout", "3"]] as const,
    { host: SERVER, under: hosts.lan2.under, permissions },
  );
  const ends = await Promise.all([offerer.ended(), accepter.ended()]);
  await hosts.lan1.runs("nft delete table inet broken");
  assertEquals(ends.map(({ code }) => code), [0, 0], `${ends[0].stderr}\n${accepter.log}`);
  assertEquals(names(into), ["film.bin"]);
  assertEquals(await Deno.readFile(`${into}/film.bin`), content);
  assertMatch(ends[0].stderr, /film\.bin: resuming at /);
  assertMatch(accepter.log, /film\.bin: .*, relayed$/m);
}, NETWORKS);

/** All hosts of the tests. */
type Hosts = Readonly<
  Record<
    "lan1" | "lan2" | "home1" | "home2" | "other" | "six1" | "six2" | "silent1" | "silent2",
    Host
  >
>;

interface Scene extends AsyncDisposable {
  readonly hosts: Hosts;
  readonly port: number;
}

let scene: Promise<Scene> | undefined;

Deno.test.afterAll(async () => await (await scene)?.[Symbol.asyncDispose]());

/** An internet with a server, hosts, and homes behind routers. */
async function makeScene(): Promise<Scene> {
  const guard = new AsyncDisposableStack();
  const networks = guard.use(await Networks.make());
  const [serving, lan1, lan2, silent1, silent2, six1, six2, router1, router2] = await Promise.all([
    networks.host([`${SERVER}/24`, "2001:db8::1/64"]),
    networks.host(["203.0.113.11/24"]),
    networks.host(["203.0.113.12/24"]),
    networks.host(["203.0.113.13/24"]),
    networks.host(["203.0.113.14/24"]),
    networks.host(["2001:db8::11/64"]),
    networks.host(["2001:db8::12/64"]),
    networks.nat("203.0.113.21/24", "192.168.1.1/24"),
    networks.nat("203.0.113.22/24", "192.168.1.1/24"),
  ]);
  const [home1, home2, other] = await Promise.all([
    networks.host(["192.168.1.5/24"], router1),
    networks.host(["192.168.1.6/24"], router1),
    networks.host(["192.168.1.5/24"], router2),
  ]);
  await Promise.all([
    ...[home1, home2, other].map((host) => host.runs("ip route add default via 192.168.1.1")),
    ...[silent1, silent2].map((host) => host.filters(SILENT_INBOUND)),
  ]);
  const server = guard.use(
    await startServer({ under: serving.under, key: KEY, args: ["--host", "::"] }),
  );
  return {
    hosts: { lan1, lan2, home1, home2, other, six1, six2, silent1, silent2 },
    port: server.port,
    [Symbol.asyncDispose]: () => guard.disposeAsync(),
  };
}
