/**
 * `INLET_STORE`, the server's directory in its environment.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  assertRefused,
  type Ended,
  integration,
  run,
  Running,
  scriptPath,
  tempDir,
} from "./helpers.ts";

const ALL = ["--allow-net", "--allow-read", "--allow-write"];
const PERMITTED = [...ALL, "--allow-env=INLET_STORE"];

/** How a server is started. */
interface Start {
  cwd: string;
  store: string;
  permissions?: readonly string[];
  args?: readonly string[];
}

function words({ permissions = PERMITTED, args = [] }: Start): string[] {
  return ["run", ...permissions, scriptPath("server.ts"), "0", ...args];
}

/** The directory that a server says it stores into. */
async function directoryOf(start: Start, command = words(start)): Promise<string> {
  await using server = new Running(
    new Deno.Command(Deno.execPath(), {
      args: command,
      cwd: start.cwd,
      env: { INLET_STORE: start.store, INIT_CWD: start.cwd },
      ...{ stdin: "null", stdout: "null", stderr: "piped" },
    }).spawn(),
  );
  const [, directory] = await server.says(/listening on .*, storing into "(.*)"/);
  return directory!;
}

async function refusal(start: Start): Promise<Ended> {
  return await run(Deno.execPath(), words(start), {
    cwd: start.cwd,
    env: { INLET_STORE: start.store },
  });
}

integration("INLET_STORE is the server's directory, unless --dir is given", async () => {
  await using local = await tempDir();
  const start = { cwd: local.path, store: "from the environment" };
  assertEquals(await directoryOf(start), "from the environment");
  assertEquals(await directoryOf({ ...start, store: `${local.path}/abs` }), `${local.path}/abs`);
  assertEquals(await directoryOf({ ...start, args: ["--dir", "typed"] }), "typed");
  assertEquals(await directoryOf({ ...start, args: ["--dir", "received"] }), "received");
  assertEquals(await directoryOf({ ...start, store: "" }), "received");
  assertEquals(await directoryOf({ ...start, permissions: ALL }), "received");
  const task = ["task", "--quiet", "--config", scriptPath("deno.json"), "server", "0"];
  assertEquals(await directoryOf(start, task), "from the environment");
});

integration("INLET_STORE and --dir take no URL, and a refusal keeps the variable", async () => {
  await using local = await tempDir();
  const start = { cwd: local.path, store: "http://bucket/folder" };
  const why = "give a directory of this machine, and no http://";
  const what = 'Cannot use "http://bucket/folder" as the';
  assertRefused(await refusal(start), 2, `${what} INLET_STORE: ${why}`);
  const args = ["--dir", "http://bucket/folder"];
  assertRefused(await refusal({ ...start, args }), 2, `${what} --dir: ${why}`);
  for (const store of ["s3:/bucket", "S3:bucket", "S3://bucket"]) {
    const bucket = "give a directory of this machine, or a bucket as --store s3://BUCKET/PREFIX";
    const line = `Cannot use "${store}" as the INLET_STORE: ${bucket}`;
    assertRefused(await refusal({ ...start, store }), 2, line);
  }
  const file = await local.write("file", "");
  const { code, stderr } = await refusal({ ...start, store: file });
  assertEquals(code, 2);
  assertStringIncludes(stderr, `Cannot store into "${file}": `);
  const narrow = ["--allow-net", "--allow-env=INLET_STORE"];
  const { stderr: refused } = await refusal({ ...start, store: "inbox", permissions: narrow });
  assertMatch(refused, /run: deno run .*--allow-read=inbox .*--allow-env=INLET_STORE /);
});
