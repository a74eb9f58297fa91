/**
 * What somebody sees who records both directions between a client and a server with a key: that they
 * speak TLS, when, and how much.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { type Credential, credentialOf } from "../lib/auth/credential.ts";
import { integration, runClient, startServer, tempDir } from "./helpers.ts";
import { KEY, Recorder } from "./interception.ts";
import { proxyTo } from "./proxy.ts";
import { dialWithKey } from "./secure.ts";

/** All that is said, and must not be seen. */
const SAID = {
  "the name of a file": "payroll-2031.csv",
  "its content": "Ada Lovelace;4711;gold\n",
  "talk": "meet me behind the boiler house",
  "the name of the client": "whistleblower",
} as const;

/** What both sides know, and what they say in every conversation. */
function secretsOf({ server }: Credential): Record<string, Uint8Array> {
  const certificate = Uint8Array.from(new X509Certificate(server.certificate).raw);
  return {
    "the key": Uint8Array.fromHex(KEY),
    "the certificate": certificate.subarray(0, 80),
    "the public key": server.spki,
    "its point": server.spki.subarray(-64),
    "its digest": server.pin,
  };
}

/** Has the same conversations through a relay that records, and returns both directions. */
async function overhear(
  server: { port: number },
  folder: string,
  withKey: readonly string[],
): Promise<{ up: Buffer; down: Buffer }> {
  const [up, down] = [new Recorder(), new Recorder()];
  await using proxy = proxyTo(server, { toServer: up.change, toClient: down.change });
  const client = async (args: readonly string[], stdin = ""): Promise<string> => {
    const who = [...withKey, "--name", SAID["the name of the client"]];
    const ended = await runClient(proxy, [...args, ...who], { cwd: folder, stdin });
    assertEquals(ended.code, 0, ended.stderr);
    return ended.stdout;
  };
  const name = SAID["the name of a file"];
  await client([name]);
  const script = `say ${SAID["talk"]}\nlist\nget ${name}\nexit\n`;
  assertStringIncludes(await client(["--session"], script), name);
  assertStringIncludes(await client(["--list"]), name);
  assertStringIncludes(await client(["--status"]), SAID["the name of the client"]);
  return { up: Buffer.from(up.bytes), down: Buffer.from(down.bytes) };
}

integration("nothing that a client and a server with a key say is seen on the way", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await Deno.chmod(key, 0o600);
  await local.write(SAID["the name of a file"], SAID["its content"].repeat(1000));
  await using open = await startServer();
  const seen = await overhear(open, local.path, []);
  for (const [what, text] of Object.entries(SAID)) {
    assert(seen.up.includes(text) && seen.down.includes(text), `${what} is seen without a key`);
  }
  await using server = await startServer({ args: ["--token-file", key] });
  const hidden = await overhear(server, local.path, ["--token-file", key]);
  const words = ["hello 1", "challenge", "answer", "welcome", "inlet"];
  const secrets = Object.entries(secretsOf(await credentialOf(KEY)));
  for (const [direction, bytes] of Object.entries(hidden)) {
    assert(bytes.length > 2000, direction);
    for (const text of [...Object.values(SAID), ...words, KEY]) {
      assert(!bytes.includes(text), `${text} goes ${direction}`);
    }
    for (const [what, secret] of secrets) {
      for (const form of [Buffer.from(secret), secret.toHex(), secret.toBase64()]) {
        assert(!bytes.includes(form), `${what} goes ${direction}`);
      }
    }
  }
});

integration("neither a nonce nor its proof is seen on the way", async () => {
  await using local = await tempDir();
  await using server = await startServer({ args: ["--token-file", await local.write("key", KEY)] });
  const [up, down] = [new Recorder(), new Recorder()];
  const said: string[] = [];
  {
    await using proxy = proxyTo(server, { toServer: up.change, toClient: down.change });
    using conn = await dialWithKey(proxy, KEY);
    await conn.send("hello 1 ben\n");
    const nonce = await conn.challenge();
    const proof = await conn.credential.prove(nonce);
    await conn.send(`answer ${proof}\n`);
    assertEquals(await conn.line(), "welcome client 1 of 100");
    said.push(nonce, proof);
  }
  for (const bytes of [up.bytes, down.bytes].map((bytes) => Buffer.from(bytes))) {
    assert(bytes.length > 300);
    for (const secret of said) {
      assert(!bytes.includes(secret) && !bytes.includes(Buffer.from(secret, "hex")), secret);
    }
  }
});
