/**
 * A server with a certificate of an authority beside its own: which of the two is shown to whom, and
 * what happens when the files change or are of no use.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  fixture,
  integration,
  KEY,
  names,
  run,
  runClient,
  runScript,
  startServer,
  type TempDir,
  tempDir,
  type TestServer,
} from "./helpers.ts";

const PROGRAMS = { programs: ["openssl", "curl"] };

const NAME = "files.example.org";

/** What openssl makes a key of. */
const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

/** Makes a certificate, `NAME.pem`, which is its own authority, and its key, `NAME.key`. */
async function certify(local: TempDir, name: string, options: {
  alternative?: string;
  newkey?: readonly string[];
  subject?: string;
} = {}): Promise<{ cert: string; key: string; args: string[] }> {
  const { alternative = `DNS:${name}`, newkey = EC, subject = name } = options;
  const [cert, key] = [`${local.path}/${name}.pem`, `${local.path}/${name}.key`];
  const { code, stderr } = await run("openssl", [
    ...["req", "-x509", ...newkey, "-nodes", "-days", "30", "-keyout", key, "-out", cert],
    ...["-subj", `/CN=${subject}`, "-addext", `subjectAltName=${alternative}`],
  ]);
  assertEquals(code, 0, stderr);
  return { cert, key, args: ["--cert", cert, "--cert-key", key] };
}

/** The common name in the certificate that is shown to who sends this name, or none. */
async function shown(server: TestServer, name?: string): Promise<string> {
  const sni = name === undefined ? ["-noservername"] : ["-servername", name];
  const { stdout } = await run("openssl", [
    ...["s_client", "-connect", `127.0.0.1:${server.port}`, ...sni],
  ]);
  return /^subject=CN ?= ?(.*)$/m.exec(stdout)![1]!;
}

/** Runs curl, which trusts that certificate alone, at that name. */
async function curl(server: TestServer, cert: string, ...args: readonly string[]) {
  return await run("curl", [
    ...["-sS", "--noproxy", "*", "--cacert", cert, "--resolve", `${NAME}:${server.port}:127.0.0.1`],
    ...args,
  ]);
}

integration(
  "who sends a name of the certificate is shown it, and everybody else the key's",
  async () => {
    await using local = await tempDir();
    const alternative = `DNS:${NAME},DNS:*.wild.example,IP:127.0.0.1`;
    const newkey = ["-newkey", "rsa:2048"];
    const { cert, args } = await certify(local, NAME, { alternative, newkey });
    await using server = await startServer({ key: KEY, args: [...args, "--public-name", NAME] });
    const expected: Record<string, string> = {
      [NAME]: NAME,
      "Files.Example.ORG": NAME,
      "a.wild.example": NAME,
      "wild.example": "inlet",
      "a.b.wild.example": "inlet",
      "evil.example": "inlet",
      "localhost": "inlet",
    };
    for (const [name, subject] of Object.entries(expected)) {
      assertEquals(await shown(server, name), subject, name);
    }
    assertEquals(await shown(server), "inlet");
    const file = fixture("hello.txt");
    const url = `https://${NAME}:${server.port}/`;
    const put = await curl(server, cert, "-u", `:${KEY}`, "-T", file, url);
    assertEquals(JSON.parse(put.stdout || "{}").name, "hello.txt", put.stderr);
    // Who knows the key proves the server by it, as ever.
    assertEquals((await runClient(server, [file])).code, 0);
    const [, pin] = await server.running.says(/public key (sha256\/\/\S+)$/);
    const pinned = await run("curl", [
      ...["-sS", "--noproxy", "*", "-k", "--pinnedpubkey", pin!, "-u", `:${KEY}`, "-T", file],
      `https://127.0.0.1:${server.port}/`,
    ]);
    assertEquals(JSON.parse(pinned.stdout || "{}").name, "hello (3).txt", pinned.stderr);
    assertEquals(names(server.dir).length, 3);
  },
  PROGRAMS,
);

integration("without a key the certificate is for all who speak TLS", async () => {
  await using local = await tempDir();
  const { cert, args } = await certify(local, NAME);
  // No permission is needed but that to read the two files.
  const dir = `${local.path}/received`;
  const permissions = ["--no-prompt", "--allow-net", `--allow-read=${local.path}`];
  await using server = await startServer({
    ...{ dir, args: [...args, "--public-name", NAME] },
    permissions: [...permissions, `--allow-write=${dir}`],
  });
  assertEquals([await shown(server, NAME), await shown(server)], [NAME, NAME]);
  const file = fixture("hello.txt");
  const put = await curl(server, cert, "-T", file, `https://${NAME}:${server.port}/`);
  assertEquals(JSON.parse(put.stdout || "{}").name, "hello.txt", put.stderr);
  const plain = await curl(server, cert, "-T", file, `http://127.0.0.1:${server.port}/`);
  assertEquals(JSON.parse(plain.stdout || "{}").name, "hello (2).txt", plain.stderr);
  assertEquals((await runClient(server, [file])).code, 0);
}, PROGRAMS);

integration("a new certificate is shown without a restart, and a broken one never", async () => {
  await using local = await tempDir();
  const used = await certify(local, NAME);
  const next = await certify(local, "next", { alternative: `DNS:${NAME}` });
  await using server = await startServer({ key: KEY, args: used.args });
  const { running } = server;
  const asked = () => shown(server, NAME);
  assertEquals(await asked(), NAME);
  // The key first, then the certificate, as programs do that renew them.
  await Deno.copyFile(next.key, used.key);
  assertEquals(await asked(), NAME);
  const unfit = /is the key of another one; the last certificate stays$/;
  await running.says(unfit);
  assertEquals(await asked(), NAME);
  await Deno.copyFile(next.cert, used.cert);
  assertEquals(await asked(), "next");
  await running.says(/read ".*\.pem" again: a new certificate$/);
  await Deno.writeTextFile(used.cert, "no certificate\n");
  assertEquals(await asked(), "next");
  await running.says(/it is no certificate in PEM; the last certificate stays$/);
  await Deno.remove(used.key);
  assertEquals(await asked(), "next");
  await running.says(/Cannot read the certificate's key ".*" again: it does not exist/);
  await Deno.copyFile(next.key, used.key);
  await Deno.copyFile(next.cert, used.cert);
  running.process.kill("SIGHUP");
  await running.says(/read ".*\.pem" again: the same certificate$/);
  assertEquals(await asked(), "next");
  assertEquals(running.log.split("\n").filter((line) => unfit.test(line)).length, 1);
}, PROGRAMS);

integration("files that are of no use get one line, and no server", async () => {
  await using local = await tempDir();
  const good = await certify(local, NAME);
  const other = await certify(local, "other");
  const nameless = await certify(local, "nameless", { alternative: "IP:127.0.0.1" });
  const text = await local.write("text", "hello\n");
  const damaged = await local.write(
    "damaged",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
  );
  const one = Deno.readTextFileSync(good.cert);
  const chain = await local.write("chain", one + Deno.readTextFileSync(damaged));
  const half = await local.write("half", one + one.slice(0, 100));
  const locked = `${local.path}/locked`;
  await run("openssl", ["pkey", "-in", good.key, "-aes128", "-passout", "pass:x", "-out", locked]);
  const cases: [args: string[], line: string][] = [
    [["--cert", text, "--cert-key", good.key], "it is no certificate in PEM"],
    [["--cert", good.key, "--cert-key", good.key], "it is no certificate in PEM"],
    [["--cert", damaged, "--cert-key", good.key], "it is damaged"],
    [["--cert", chain, "--cert-key", good.key], "it is damaged"],
    [["--cert", half, "--cert-key", good.key], "it is damaged"],
    [["--cert", nameless.cert, "--cert-key", nameless.key], "it is for no host name"],
    [["--cert", good.cert, "--cert-key", text], "it is no private key in PEM"],
    [["--cert", good.cert, "--cert-key", good.cert], "it is no private key in PEM"],
    [["--cert", good.cert, "--cert-key", locked], "it is encrypted by a pass phrase"],
    [["--cert", good.cert, "--cert-key", other.key], `"${other.key}" is the key of another one`],
    [["--cert", `${text}2`, "--cert-key", good.key], "it does not exist"],
    [["--cert", good.cert, "--cert-key", `${text}2`], "it does not exist"],
    [["--cert", local.path, "--cert-key", good.key], "it is a folder"],
    [["--cert", good.cert], "--cert-key"],
    [["--cert-key", good.key], "--cert"],
    [[...good.args, "--mode", "raw"], "--cert"],
  ];
  for (const [args, line] of cases) {
    const { code, stderr } = await runScript("server.ts", [
      "0",
      "--dir",
      `${local.path}/d`,
      ...args,
    ]);
    assertEquals([code, stderr.split("\n").length], [2, 2], stderr);
    assertMatch(stderr, /^inlet: Cannot /);
    assertStringIncludes(stderr, line);
  }
}, PROGRAMS);

integration("others who can read the certificate's key are a warning", async () => {
  await using local = await tempDir();
  const { args, key } = await certify(local, NAME);
  await Deno.chmod(key, 0o644);
  await using server = await startServer({ args });
  await server.running.says(/the certificate's key ".*" can be read by others on this machine/);
}, PROGRAMS);
