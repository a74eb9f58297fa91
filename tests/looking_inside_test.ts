/**
 * Programs of other people that look inside a server with a key, by the commands of README.md.
 *
 * @module
 */

import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { type Ended, integration, run, startServer, tempDir, type TestServer } from "./helpers.ts";

/** Starts a server with a new key, and reads the pin off its log. */
async function startWithKey(): Promise<TestServer & { pin: string }> {
  const local = await tempDir();
  const args = ["--token-file", `${local.path}/inlet.token`, "--generate-token"];
  const server = await startServer({ args });
  const [, pin] = await server.running.says(/public key (sha256\/\/[A-Za-z0-9+/]{43}=)$/);
  return {
    ...server,
    pin: pin!,
    async [Symbol.asyncDispose](): Promise<void> {
      await server[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
    },
  };
}

/** Types lines into `openssl s_client`. */
async function openssl(
  { port }: TestServer,
  stdin: string,
  ...args: readonly string[]
): Promise<Ended> {
  const connect = ["s_client", "-quiet", "-connect", `127.0.0.1:${port}`, ...args];
  return await run("openssl", connect, { stdin });
}

async function curl({ port }: TestServer, ...args: readonly string[]): Promise<Ended> {
  const quiet = ["-sS", "--noproxy", "*"];
  return await run("curl", [...quiet, "-k", ...args, `https://127.0.0.1:${port}/files/`]);
}

integration("openssl s_client gets a challenge for the greeting that is typed", async () => {
  await using server = await startWithKey();
  // Without an answer the server ends, and so does openssl.
  const { stdout } = await openssl(server, "hello 1 ben\nlist\n");
  assertMatch(stdout, /^challenge [0-9a-f]{64}\nerror denied Cannot authenticate: [^\n]*\n$/);
}, { programs: ["openssl"] });

integration("openssl s_client sees TLS 1.3, and is refused with TLS 1.2", async () => {
  await using server = await startWithKey();
  const newer = await openssl(server, "hello 1 ben\nlist\n", "-brief");
  assertStringIncludes(newer.stderr, "Protocol version: TLSv1.3");
  const older = await openssl(server, "hello 1 ben\nlist\n", "-brief", "-tls1_2");
  assertEquals(older.stdout, "");
  assertNotEquals(older.code, 0);
  await server.running.says(
    /client 2: Cannot complete the TLS handshake: the client does not speak TLS 1\.3$/,
  );
}, { programs: ["openssl"] });

integration("curl --pinnedpubkey takes the pin that the server prints, and no other", async () => {
  await using server = await startWithKey();
  const right = await curl(server, "--pinnedpubkey", server.pin);
  assertEquals(right.code, 0, right.stderr);
  assertEquals(
    JSON.parse(right.stdout).detail,
    "Cannot go on: this server requires a key, as the password or as a Bearer token",
  );
  const other = server.pin.replace(/(?<=^sha256\/\/)./, (digit) => digit === "A" ? "B" : "A");
  const wrong = await curl(server, "--pinnedpubkey", other);
  assertEquals([wrong.code, wrong.stdout], [90, ""], wrong.stderr);
  const { code } = await curl(server, "--tls-max", "1.2", "--pinnedpubkey", server.pin);
  assertEquals(code, 35);
}, { programs: ["curl"] });
