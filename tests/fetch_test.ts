/**
 * Which packages a person downloads who runs the programs for the first time.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  type Ended,
  fixture,
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

integration("client.ts fetches no other package either when it sends a file", async () => {
  await using server = await startServer();
  const fetched = await packagesFetchedBy((env) =>
    runClient(server, [fixture("hello.txt")], { env })
  );
  assertEquals(names(server.dir), ["hello.txt"]);
  assertEquals(fetched, ["deno-std"]);
}, ONLINE);
