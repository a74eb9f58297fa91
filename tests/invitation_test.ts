/**
 * What a server shows in a terminal to whoever opens it to the network.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { renderUnicodeCompact } from "uqr";
import { certificateFingerprint } from "../lib/auth/certificate.ts";
import { identityOf } from "../lib/auth/identity.ts";
import { integration, KEY, pure, startServer, tempDir } from "./helpers.ts";
import { Terminal, TERMINAL_PROGRAMS } from "./pty.ts";

const TERMINAL = { programs: TERMINAL_PROGRAMS };

/** A server in a terminal with a key, stopped once it has shown a pattern. */
async function shownBy(
  args: string,
  { permissions = "-A", until = /Never install/, env = {} } = {},
): Promise<string> {
  await using local = await tempDir();
  const file = await local.write("key", KEY);
  Deno.chmodSync(file, 0o600);
  await using server = Terminal.run(
    `deno run ${permissions} server.ts 0 --dir ${local.path} --token-file ${file} ${args}`,
    { env },
  );
  await server.shows(until);
  await server.types("\x03");
  assertEquals(await server.ended(), 0);
  return server.text.replaceAll("\r", "");
}

integration("a server that is opened to the network shows its address as a QR code", async () => {
  const text = await shownBy("--host 0.0.0.0");
  const [, address] = /^In a browser: (https:\/\/\d+\.\d+\.\d+\.\d+:\d+\/)$/m.exec(text)!;
  const addresses = Deno.networkInterfaces().map(({ address }) => address);
  assert(addresses.includes(new URL(address!).hostname), address);
  assertStringIncludes(text, renderUnicodeCompact(address!, { border: 2 }));
  assertMatch(text, /compare its SHA-256 fingerprint [^]*\n {2}(?:[0-9A-F]{2}:){31}[0-9A-F]{2}\n/);
  assert(!/trust/i.test(text), text);
}, TERMINAL);

integration("it asks for no permission to know its address, and says what is missing", async () => {
  const text = await shownBy("--host 0.0.0.0", {
    permissions: "--allow-net --allow-read --allow-write --allow-env=INLET_TOKEN",
  });
  assertMatch(
    text,
    /^In a browser: https:\/\/HOST:\d+\/ \(HOST is the address of this machine\)$/m,
  );
  assert(!/Deno requests|█/.test(text), text);
}, TERMINAL);

integration("a public name and a base path are in the code, which is dark on light", async () => {
  const text = await shownBy("--host 0.0.0.0 --public-name nas --base-path /inlet", {
    env: { NO_COLOR: "" },
  });
  assertMatch(text, /^In a browser: https:\/\/nas:\d+\/inlet\/$/m);
  // deno-lint-ignore no-control-regex
  assertMatch(text, /\x1b\[48;5;16m\x1b\[38;5;231m█/);
}, TERMINAL);

integration("a server for this machine, and one without a terminal, show none", async () => {
  await using local = await tempDir();
  await using server = Terminal.run(`deno run -A server.ts 0 --dir ${local.path}`);
  await server.shows(/listening on/);
  await server.types("\x03");
  assertEquals(await server.ended(), 0);
  assert(!server.screen.includes("In a browser"), server.screen);
  await using piped = await startServer({ key: KEY, args: ["--host", "0.0.0.0"] });
  await piped.running.stop();
  assert(!piped.running.log.includes("In a browser"), piped.running.log);
}, TERMINAL);

pure("the fingerprint of a certificate is that of other programs", async () => {
  const { certificate } = await identityOf(new Uint8Array(32).fill(7));
  assertEquals(
    await certificateFingerprint(certificate),
    new X509Certificate(certificate).fingerprint256,
  );
});
