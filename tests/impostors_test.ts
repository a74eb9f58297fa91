/**
 * Whoever stands in the place of the server, and has not its key: the client says nothing but the
 * first line of TLS, and ends with one line of its own.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { X509Certificate } from "node:crypto";
import { identityOf, type PublicIdentity } from "../lib/auth/identity.ts";
import { secretOf } from "../lib/auth/secret.ts";
import { connect } from "../lib/net/connect.ts";
import {
  dial,
  type Ended,
  fixture,
  integration,
  names,
  readAll,
  run,
  runClient,
  sendTo,
  startServer,
  tempDir,
} from "./helpers.ts";
import {
  assertHelloAlone,
  KEY,
  OTHER_KEY,
  Recorder,
  stranger,
  tlsStranger,
  type Words,
} from "./interception.ts";
import { proxyTo } from "./proxy.ts";
import { dialAsStranger } from "./secure.ts";
import { serveByHand } from "./tls_by_hand.ts";
import { impostor } from "./wire.ts";

const NOT_ENCRYPTED =
  "Cannot use the key: what answers is no inlet server with a key, and does not encrypt; " +
  "nothing was sent";

const OTHER = "Cannot trust the server: it does not hold this key, so nothing was sent; " +
  "check the address and the key";

const OURS = "is it an inlet server with a key?";

const CLOSED = `The server closed the connection in the TLS handshake; ${OURS}`;

const BROKEN =
  "Cannot trust the server: its part of the TLS handshake is broken, or was changed on " +
  `its way; ${OURS}`;

/** Sends a file with the key, from a key file that nobody else can read. */
async function put(server: { port: number }, ...args: readonly string[]): Promise<Ended> {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await Deno.chmod(key, 0o600);
  return await runClient(server, [fixture("hello.txt"), "--token-file", key, ...args]);
}

function assertSaid({ code, stdout, stderr }: Ended, expected: number, line: string): void {
  assertEquals([code, stdout, stderr], [expected, "", `inlet: ${line}\n`]);
}

const STRANGERS: Readonly<Record<string, [Words, code: number, line: string]>> = {
  "answers in HTTP": [
    { words: "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n" },
    5,
    `${NOT_ENCRYPTED}; it says "HTTP/1.1 400 Bad Request"`,
  ],
  "speaks SSH": [
    { words: "SSH-2.0-OpenSSH_9.6\r\n" },
    5,
    `${NOT_ENCRYPTED}; it says "SSH-2.0-OpenSSH_9.6"`,
  ],
  "asks for a proof in the clear": [
    { words: `challenge ${"0".repeat(64)}\n` },
    5,
    `${NOT_ENCRYPTED}; it says "challenge ${"0".repeat(64)}"`,
  ],
  "says only a line ending": [{ words: "\n" }, 5, NOT_ENCRYPTED],
  "answers with a broken record": [
    { words: Uint8Array.of(0x16, 3, 3, 0, 4, 2, 255, 255, 255) },
    5,
    BROKEN,
  ],
  "answers with half a record": [
    { words: Uint8Array.of(0x16, 3), ends: "behind its words" },
    4,
    CLOSED,
  ],
  "breaks the handshake off": [
    { words: Uint8Array.of(0x15, 3, 3, 0, 2, 2, 40) },
    5,
    `Cannot trust the server: it breaks the TLS handshake off; ${OURS}`,
  ],
  "closes without a word": [{ ends: "behind its words" }, 4, CLOSED],
};

for (const [what, [words, code, line]] of Object.entries(STRANGERS)) {
  integration(`a client with a key leaves a server that ${what}`, async () => {
    using server = stranger(words);
    assertSaid(await put(server), code, line);
    assertHelloAlone(await server.said);
  });
}

integration(
  "a client with a key leaves a server that closes at once, or says nothing",
  async () => {
    using closed = stranger({ ends: "at once" });
    const { code, stderr } = await put(closed);
    assertEquals(code, 4);
    assertMatch(stderr, /^inlet: [^\n]*\n$/);
    using silent = stranger({});
    const late = `Cannot connect to 127.0.0.1:${silent.port}: no answer within 1 s`;
    assertSaid(await put(silent, "--timeout", "1"), 4, late);
    assertHelloAlone(await silent.said);
  },
);

const NO_KEY =
  "Cannot use the key: this inlet server has none, and does not encrypt; nothing was sent";

const SERVERS: Readonly<Record<string, [key: string | undefined, code: number, line: string]>> = {
  "no key": [undefined, 5, NO_KEY],
  "another key": [OTHER_KEY, 5, OTHER],
};

for (const [what, [key, code, line]] of Object.entries(SERVERS)) {
  integration(`a client with a key leaves a server of ours with ${what}`, async () => {
    await using local = await tempDir();
    const args = key === undefined ? [] : ["--token-file", await local.write("key", key)];
    await using server = await startServer({ args });
    const up = new Recorder();
    await using proxy = proxyTo(server, { toServer: up.change });
    assertSaid(await put(proxy), code, line);
    assertHelloAlone(up.bytes);
    await server.running.says(/left, 0 connected/);
    assertEquals(names(server.dir), []);
    const told = key === undefined
      ? "Cannot speak TLS: this is an inlet server without a key, on plain TCP"
      : "The client does not trust this server: the client has another key, or none";
    await server.running.says(new RegExp(`client 1: ${told}$`));
  });
}

integration(
  "a client leaves who shows its server's certificate without the key to it",
  async () => {
    const { certificate, privateKey } = await identityOf(await secretOf(KEY));
    const der = new Uint8Array(new X509Certificate(certificate).raw);
    const serve = async (key?: string): Promise<[Ended, string]> => {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const serving = listener.accept().then((conn) => serveByHand(conn, der, key));
      return [await put(listener.addr), await serving];
    };
    const [ended, said] = await serve();
    assertSaid(ended, 5, OTHER);
    assertEquals(said, "");
    // The same server with the key is trusted: the signature alone was wrong.
    const [, words] = await serve(privateKey);
    assertEquals(words, "hello 1 inlet\n");
  },
);

/** Connects to whoever shows a certificate and signs nothing right; what became of it. */
async function outcomeOf(server: PublicIdentity, certificate: Uint8Array): Promise<string> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = listener.accept().then((conn) => serveByHand(conn, certificate));
  const how = { timeoutMs: 60_000, signal: new AbortController().signal, server };
  const outcome = await connect(listener.addr, how).then((connection) => {
    connection[Symbol.dispose]();
    return "connected";
  }, (error) => error.code);
  assertEquals(await serving, "");
  return outcome;
}

integration("a client trusts no certificate that is not the one, byte for byte", async () => {
  const server = await identityOf(await secretOf(KEY));
  const der = new Uint8Array(new X509Certificate(server.certificate).raw);
  // Of one that it cannot parse, the TLS library of Deno 2.9 takes every signature.
  const behind = concat([der, Uint8Array.of(5, 0)]);
  const within = concat([der, Uint8Array.of(5, 0)]);
  within[3]! += 2;
  const version1 = der.slice();
  version1[der.indexOf(0xa0) + 4] = 0;
  assertEquals(await outcomeOf(server, behind), "untrusted");
  assertEquals(await outcomeOf(server, within), "untrusted");
  assertEquals(await outcomeOf(server, version1), "untrusted");
  for (let index = 0; index < der.length; index += 3) {
    const flipped = der.slice();
    flipped[index]! ^= 1;
    assertEquals(await outcomeOf(server, flipped), "untrusted", `the bit of byte ${index}`);
  }
});

integration("no nonce of a server is answered on a connection that is not encrypted", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await using server = await startServer({ args: ["--token-file", key] });
  const middle = await dialAsStranger(server);
  using _ = { [Symbol.dispose]: () => middle.destroy() };
  middle.write("hello 1 inlet\n");
  const challenge = await new Promise((resolve) => middle.once("data", (chunk) => resolve(chunk)));
  assertMatch(String(challenge), /^challenge [0-9a-f]{64}\n$/);
  using plain = impostor();
  const running = runClient(plain, ["--list"]);
  using wire = await plain.accept();
  assertEquals(await wire.line(), "hello 1 inlet");
  await wire.says(String(challenge));
  assertEquals(await wire.rest(), "");
  const line =
    "Cannot trust the server: it asks for a key and does not encrypt, as no inlet server " +
    "does; it was told none";
  assertSaid(await running, 5, line);
  using other = stranger({ words: String(challenge) });
  assertEquals((await put(other)).code, 5);
  assertHelloAlone(await other.said);
});

integration(
  "a client answers one challenge of the server that has the key, and no second",
  async () => {
    const { certificate: cert, privateKey: key } = await identityOf(await secretOf(KEY));
    await using server = await tlsStranger(
      { cert, key },
      (said) => said.endsWith("\n") ? `challenge ${"0".repeat(64)}\n` : "",
    );
    assertSaid(await put(server), 3, "The server sent an unexpected reply: challenge");
    const said = await server.said();
    assertMatch(said, /^hello 1 inlet\nanswer [0-9a-f]{64}\n/);
    assertEquals(said.match(/^answer/gm)?.length, 1);
  },
);

integration("neither side takes what was recorded of the other", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await using server = await startServer({ args: ["--token-file", key, "--max-clients", "1"] });
  const [up, down] = [new Recorder(), new Recorder()];
  {
    await using proxy = proxyTo(server, { toServer: up.change, toClient: down.change });
    assertEquals((await put(proxy)).code, 0);
  }
  await Deno.remove(`${server.dir}/hello.txt`);
  using again = await dial(server);
  await sendTo(again, up.bytes);
  await again.closeWrite();
  await readAll(again);
  await server.running.says(/client 2: left, 0 connected/);
  assertEquals(names(server.dir), []);
  assertEquals((await runClient(server, ["--status", "--token-file", key])).code, 0);
  using impostor = stranger({ words: down.bytes });
  const { code, stderr } = await put(impostor);
  assertEquals(code, 5);
  assertMatch(stderr, /^inlet: Cannot trust the server: [^\n]*\n$/);
  assertHelloAlone(await impostor.said);
});

integration("TLS 1.2 is refused on both sides, in one line", async () => {
  await using local = await tempDir();
  const { certificate: cert, privateKey: key } = await identityOf(await secretOf(KEY));
  await using old = await tlsStranger({ cert, key, maxVersion: "TLSv1.2" });
  const line = `Cannot trust the server: it does not speak TLS 1.3; ${OURS}`;
  assertSaid(await put(old), 5, line);
  assertEquals(await old.said(), "");
  await using server = await startServer({ args: ["--token-file", await local.write("key", KEY)] });
  const at = `127.0.0.1:${server.port}`;
  for (const version of ["-tls1_2", "-tls1_3"]) {
    const { stdout, stderr } = await run("openssl", ["s_client", version, "-connect", at], {
      stdin: "",
    });
    assertEquals(/alert protocol version/.test(stderr), version === "-tls1_2", stderr);
    assertEquals(/New, TLSv1\.3, Cipher is TLS_/.test(stdout), version === "-tls1_3", stdout);
  }
  const refusal = /Cannot complete the TLS handshake: the client does not speak TLS 1\.3$/;
  await server.running.says(refusal);
}, { programs: ["openssl"] });

integration("the certificate holds whatever the clock says", async () => {
  await using local = await tempDir();
  const { certificate } = await identityOf(await secretOf(KEY));
  const path = await local.write("certificate", certificate);
  const { stdout } = await run("openssl", ["x509", "-in", path, "-noout", "-dates"]);
  assertEquals(stdout, "notBefore=Jan  1 00:00:00 1970 GMT\nnotAfter=Dec 31 23:59:59 9999 GMT\n");
}, { programs: ["openssl"] });

/** Makes an authority that this machine trusts, and a certificate of it for every name of ours. */
async function certify(folder: string): Promise<{ root: string; cert: string; key: string }> {
  const names = "subjectAltName=DNS:inlet,DNS:localhost,IP:127.0.0.1,IP:::1";
  const make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const root = ["-nodes", "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=An authority"];
  const leaf = ["-nodes", "-keyout", "leaf.key", "-out", "leaf.pem", "-subj", "/CN=inlet"];
  const signed = ["-CA", "root.pem", "-CAkey", "root.key", "-addext", names];
  const usage = ["-addext", "basicConstraints=critical,CA:FALSE"];
  for (const args of [[...make, ...root], [...make, ...leaf, ...signed, ...usage]]) {
    const { code, stderr } = await run("openssl", args, { cwd: folder });
    assertEquals(code, 0, stderr);
  }
  const read = (name: string): string => Deno.readTextFileSync(`${folder}/${name}`);
  return { root: `${folder}/root.pem`, cert: read("leaf.pem"), key: read("leaf.key") };
}

integration("no authority counts, however the runtime is told to trust it", async () => {
  await using local = await tempDir();
  const { root, cert, key } = await certify(local.path);
  await using middle = await tlsStranger({ cert, key });
  const own = await local.write("key", KEY);
  await Deno.chmod(own, 0o600);
  const ways: [flags: string[], env: Record<string, string>][] = [
    [[], { DENO_CERT: root }],
    [[], { NODE_EXTRA_CA_CERTS: root }],
    [["--cert", root], {}],
    [[], { DENO_TLS_CA_STORE: "system", SSL_CERT_FILE: root }],
    [["--unsafely-ignore-certificate-errors"], {}],
    [["--unsafely-ignore-certificate-errors=127.0.0.1,inlet"], { DENO_CERT: root }],
    [[], { NODE_TLS_REJECT_UNAUTHORIZED: "0" }],
    [["--unsafely-ignore-certificate-errors"], { NODE_TLS_REJECT_UNAUTHORIZED: "0" }],
  ];
  for (const [flags, env] of ways) {
    const args = ["run", ...flags, "-A", "client.ts", "127.0.0.1", String(middle.port)];
    const { code, stderr } = await run(
      Deno.execPath(),
      [...args, fixture("hello.txt"), "--token-file", own, "--timeout", "5"],
      { env },
    );
    assertEquals(code, 5, stderr);
    assertEquals(stderr.replace(/^DANGER:.*\n/, ""), `inlet: ${OTHER}\n`);
  }
  assertEquals(await middle.said(), "");
}, { programs: ["openssl"] });
