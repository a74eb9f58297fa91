/**
 * Addresses that cannot be used as they are: each is told in one clear line.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { parseHost } from "../lib/cli/option_values.ts";
import { addressReason } from "../lib/net/address_reasons.ts";
import { serve } from "../server.ts";
import {
  assertRefused,
  type Ended,
  fixture,
  IN_NETWORK,
  integration,
  LINK_LOCAL,
  pure,
  run,
  runScript,
  scriptPath,
  startServer,
} from "./helpers.ts";

integration("a server on a link-local address prints one that a client can use", async () => {
  const args = ["--host", `${LINK_LOCAL}%lo`, "--open"];
  await using server = await startServer({ under: IN_NETWORK, args });
  assertMatch(server.running.log, /listening on \[fe80::77%lo\]:\d+ \(open to the network\)/);
  const beside = ["-t", String(server.pid), "-U", "-n", "--preserve-credentials", Deno.execPath()];
  const client = async (
    host: string,
    args: readonly string[],
    ...permissions: string[]
  ): Promise<Ended> => {
    const allow = permissions.length > 0 ? permissions : ["-A"];
    const script = ["run", ...allow, scriptPath("client.ts"), host, String(server.port), ...args];
    return await run("nsenter", [...beside, ...script]);
  };
  const status = await client("[fe80::77%lo]", ["--status"]);
  assertEquals(status.code, 0, status.stderr);
  assertMatch(status.stdout, / \[fe80::77%lo\]:\d+ \|/);
  await server.running.says(/client 1: connected from \[fe80::77%lo\]:/);
  const upload = await client("fe80::77%lo", [fixture("hello.txt"), "--mode", "upload"]);
  assertEquals(upload.code, 0, upload.stderr);
  const to = `Cannot connect to [fe80::77]:${server.port}: `;
  const why = "it needs a zone, the name of a network interface, such as ";
  const [bare, unlisted, unknown] = await Promise.all([
    client("fe80::77", ["--list"]),
    client("fe80::77", ["--list"], "--allow-net"),
    client("fe80::77%nope", ["--list"], "--allow-net"),
  ]);
  assertRefused(bare, 4, `${to}${why}fe80::77%lo; this machine has lo`);
  assertRefused(unlisted, 4, `${to}${why}fe80::77%eth0`);
  assertEquals(unknown.code, 4);
  assertMatch(unknown.stderr, /^inlet: Cannot connect to \[fe80::77%nope\]:\d+: .* zone "nope"\n$/);
}, { networks: true, programs: ["nsenter"] });

integration("serve() on a link-local address without a zone asks for it", async () => {
  const error = await serve({ hostname: LINK_LOCAL, open: true }).then(
    () => undefined,
    (error) => error,
  );
  assertEquals(error?.code, "listen");
  assertMatch(error.message, /^Cannot listen on \[fe80::77\]:0: it needs a zone, .* fe80::77%\w+/);
}, { ipv6: true });

pure("addressReason() leaves no number of the system's where its reason is known", () => {
  const reasons = {
    "Permission denied (os error 13)": "the system does not permit it",
    "Invalid argument (os error 22)": "the system does not accept that address",
    "Too many open files (os error 24)": "too many files are open",
    "Address family not supported by protocol (os error 97)":
      "this machine has no network of that kind",
    "Network is down (os error 100)": "the peer cannot be reached",
  };
  for (const [message, reason] of Object.entries(reasons)) {
    const [, number] = /error (\d+)/.exec(message)!;
    const codes: Record<string, string> = {
      13: "EACCES",
      22: "EINVAL",
      24: "EMFILE",
      97: "EAFNOSUPPORT",
      100: "ENETDOWN",
    };
    const error = Object.assign(new Error(message), { code: codes[number!] });
    assertEquals(addressReason("127.0.0.1", error), reason);
  }
});

pure("parseHost() takes names and addresses, and says what else is wrong", () => {
  const hosts = {
    "a-b.example": "a-b.example",
    "[::1]": "::1",
    "::1": "::1",
    "fe80::1%eth0": "fe80::1%eth0",
    "[fe80::1%eth0.2]": "fe80::1%eth0.2",
    "127.0.0.1": "127.0.0.1",
    "bücher.example": "bücher.example",
    "a_b": "a_b",
  };
  for (const [typed, host] of Object.entries(hosts)) assertEquals(parseHost(typed), host);
  const wrong = {
    "http://host":
      /^Cannot use "http:\/\/host" as the host: give the host alone, without http:\/\/$/,
    "unix:/run/a.sock":
      /^Cannot use "unix:\/run\/a\.sock" as the host: give it in the place of the port$/,
    "host:5000": /: give the host alone, host, and 5000 as the port$/,
    "[::1]:5000": /: give the host alone, \[::1\], and 5000 as the port$/,
    "host/path": /: give the name or the address of a host$/,
    "user@host:5000": /: give the name or the address of a host$/,
    "user@host": /the name or the address of a host$/,
    "a b": /the name or the address of a host$/,
    "": /the name or the address of a host$/,
  };
  for (const [typed, message] of Object.entries(wrong)) {
    const error = assertThrows(() => parseHost(typed), InletError);
    assert(message.test(error.message), error.message);
    assertEquals(error.code, "usage");
  }
});

integration("both programs refuse a host with a port in it for the host, with exit 2", async () => {
  const why =
    'Cannot use "127.0.0.1:5000" as the host: give the host alone, 127.0.0.1, and 5000 as the port';
  const client = await runScript("client.ts", ["127.0.0.1:5000", "5000", fixture("hello.txt")]);
  assertRefused(client, 2, why);
  const server = await runScript("server.ts", ["0", "--host", "127.0.0.1:5000"]);
  assertRefused(server, 2, why.replace("the host:", "the --host:"));
});
