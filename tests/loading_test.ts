/**
 * What the two programs load before they know whether there is a key, or a client of HTTP: neither
 * costs anybody else its time.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { integration, ROOT, run, scriptPath } from "./helpers.ts";

/** A part of what `deno info --json` tells. */
interface Graph {
  roots: string[];
  modules: {
    specifier: string;
    dependencies?: { code?: { specifier: string }; isDynamic?: boolean }[];
  }[];
}

for (const script of ["client.ts", "server.ts"]) {
  integration(`${script} loads nothing of TLS and HTTP on its start`, async () => {
    const loaded = await loadedBy(script);
    const ofTls = loaded.filter((module) => /^node:|\/tls_|\/auth\//.test(module));
    const cheap = ["access.ts", "key.ts", "key_file.ts", "watched_file.ts"].map((name) =>
      `/auth/${name}`
    );
    assertEquals(loaded.filter((module) => module.startsWith(new URL("web/", ROOT).href)), []);
    const dear = ofTls.filter((module) => !cheap.some((end) => module.endsWith(end)));
    // CRC-32 is needed with and without a key. It brings node:buffer, by which servers find zeros. The
    // store opens files by node:fs, so as to follow no link.
    const ofStore = ["node:buffer", "node:fs", "node:zlib"];
    assertEquals(dear.toSorted(), script === "server.ts" ? ofStore : ["node:zlib"]);
  });
}

integration("server.ts loads nothing of a bucket on its start", async () => {
  const loaded = await loadedBy("server.ts");
  const ofBuckets = /\/lib\/(?:s3|bucket)\/|\/lib\/server\/bucket\.ts$/;
  assertEquals(loaded.filter((module) => ofBuckets.test(module)), []);
});

integration("client.ts loads nothing of what connect() gives to programs", async () => {
  const loaded = await loadedBy("client.ts");
  const library = new URL("client/library/", ROOT).href;
  assertEquals(loaded.filter((module) => module.startsWith(library)), []);
  assertEquals(loaded.filter((module) => module.endsWith("/given_body.ts")), []);
});

/** What of web/ only some requests need: forms, archives, lists, metrics, tus and the page. */
const RARE =
  /\/web\/(?:about|archive|event|form_|list_|metrics|packages|page|post_|sessions|shown_|sign_|tus|get_list)/;

integration("HTTP loads nothing of other routes for a file that is got or stored", async () => {
  const entries = ["server.ts", "web/serve.ts", "web/get_file.ts", "web/put_file.ts"];
  const loaded = [...new Set((await Promise.all(entries.map(loadedBy))).flat())];
  const node = ["buffer", "fs", "http", "net", "stream", "zlib"].map((name) => `node:${name}`);
  assertEquals(loaded.filter((module) => module.startsWith("node:")).toSorted(), node);
  assertEquals(loaded.filter(isPackage), []);
  assertEquals(
    loaded.filter((module) => RARE.test(module) || module.endsWith("/http/etag.js")),
    [],
  );
});

/** Whether a module is of a package, other than the standard library. */
function isPackage(module: string): boolean {
  return module.startsWith("npm:") && !module.startsWith("npm:deno-std@");
}

/** The modules that a file loads, without those that it loads on demand. */
async function loadedBy(file: string): Promise<string[]> {
  const { stdout } = await run(Deno.execPath(), ["info", "--json", scriptPath(file)]);
  return loadedAtOnce(JSON.parse(stdout));
}

/** The modules that a program loads without being asked for anything. */
function loadedAtOnce({ roots, modules }: Graph): string[] {
  const known = new Map(modules.map((module) => [module.specifier, module]));
  const loaded = new Set(roots);
  for (const specifier of loaded) {
    for (const { code, isDynamic } of known.get(specifier)?.dependencies ?? []) {
      if (code && !isDynamic) loaded.add(code.specifier);
    }
  }
  return [...loaded];
}
