/**
 * Networks of a test's own: hosts, and routers with the rules of nftables, each in a namespace of the
 * kernel. They are gone when the test ends, in whatever way.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import type { Requirements } from "./helpers.ts";

/** What makes a router of a host that hides those behind it: NAT, and no way in for strangers. */
const NAT = `
table ip nat {
  chain out { type nat hook postrouting priority 100; oifname "eth0" masquerade; }
}
table inet filter {
  chain through {
    type filter hook forward priority 0; policy accept;
    iifname "eth0" ct state established,related accept
    iifname "eth0" drop
  }
}`;

/** What drops, without a word, all that begins elsewhere. */
export const SILENT_INBOUND = `
table inet filter {
  chain in {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iifname "lo" accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}`;

/** What a test of networks needs. */
export const NETWORKS: Requirements = {
  programs: ["unshare", "nsenter", "ip", "nft"],
  succeeds: [
    `unshare -rn sh -ec 'ip link add veth0 type veth peer name veth1; ip link add switch type bridge
nft -f - <<RULES
${NAT}
RULES'`,
    "to be allowed to make networks: veth, bridge and nftables",
  ],
};

/** A host of a network. */
export class Host {
  /** Its addresses. The first one is that by which others know it. */
  readonly addresses: readonly string[];
  readonly #pid: number;

  constructor(pid: number, addresses: readonly string[]) {
    this.#pid = pid;
    this.addresses = addresses;
  }

  /** A command that runs another one on it. */
  get under(): string[] {
    return ["nsenter", "-t", String(this.#pid), "-U", "-n", "--preserve-credentials"];
  }

  /** Runs a shell script on it. */
  async runs(script: string): Promise<void> {
    const [command, ...args] = [...this.under, "sh", "-ec", script];
    const { success, stderr } = await new Deno.Command(command!, { args, stdin: "null" }).output();
    if (!success) throw new Error(`${script}:\n${new TextDecoder().decode(stderr)}`);
  }

  /** Gives it rules of nftables. */
  async filters(rules: string): Promise<void> {
    await this.runs(`nft -f - <<'RULES'\n${rules}\nRULES`);
  }
}

/** A few hosts, each linked to the next switch up. Dispose of it to remove them. */
export class Networks implements AsyncDisposable {
  readonly #guard = new AsyncDisposableStack();
  readonly #top: Host;
  #count = 0;

  private constructor(top: Host, guard: AsyncDisposableStack) {
    this.#top = top;
    this.#guard = guard;
  }

  /** The internet: a switch to which hosts can be linked. */
  static async make(): Promise<Networks> {
    const guard = new AsyncDisposableStack();
    const pid = await space(guard, ["unshare", "-rn"]);
    const top = new Host(pid, []);
    await top.runs("ip link add switch type bridge && ip link set switch up");
    return new Networks(top, guard);
  }

  /** Adds a host to the internet, or to the network behind a router. */
  async host(addresses: readonly string[], router?: Host): Promise<Host> {
    const behind = router ?? this.#top;
    const pid = await space(this.#guard, [...this.#top.under, "unshare", "-n"]);
    const host = new Host(pid, addresses);
    const link = `link${++this.#count}`;
    await behind.runs(`
      ip link add ${link} type veth peer name eth0 netns ${pid}
      ip link set ${link} master switch up`);
    await host.runs(`
      ip link set lo up
      ip link set eth0 up
      ${addresses.map((address) => `ip addr add ${address} dev eth0 nodad`).join("\n")}`);
    return host;
  }

  /** Adds a router that hides what is behind it, as one at home does. */
  async nat(address: string, inside: string): Promise<Host> {
    const router = await this.host([address]);
    await router.runs(`
      ip link add switch type bridge && ip link set switch up
      ip addr add ${inside} dev switch
      echo 1 > /proc/sys/net/ipv4/ip_forward`);
    await router.filters(NAT);
    return router;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#guard.disposeAsync();
  }
}

/** Makes a namespace that lives as long as it is not disposed of, and this process lives. */
async function space(guard: AsyncDisposableStack, command: readonly string[]): Promise<number> {
  const [program, ...args] = [...command, "sh", "-c", "echo ready; exec cat"];
  const process = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped" }).spawn();
  guard.defer(async () => {
    await process.stdin.close();
    await process.status;
  });
  const lines = process.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream()).getReader();
  const { value } = await lines.read();
  if (value !== "ready") throw new Error("no namespace was made");
  guard.defer(() => lines.cancel());
  return process.pid;
}
