/**
 * How a server with a bucket starts, and what it says when it cannot. Nothing of it listens then.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname } from "@std/path/dirname";
import { serve } from "../server.ts";
import { InletError } from "../lib/errors.ts";
import { MODES } from "../modes/table.ts";
import { BucketScene } from "./bucket_scene.ts";
import { sharedCeph } from "./ceph/shared.ts";
import {
  assertRefused,
  CEPH,
  type Ended,
  freePort,
  integration,
  names,
  run,
  runClient,
  Running,
  scriptPath,
  startServer,
  tempDir,
} from "./helpers.ts";
import { StoreProxy, type StoreRequest } from "./faults/store_proxy.ts";
import { objectsIn } from "./json_lines.ts";
import { openTerminal } from "./tmux.ts";

const SERVER = scriptPath("server.ts");

/** Starts a server that is expected to end. */
async function refused(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  permissions: readonly string[] = ["-A"],
): Promise<Ended> {
  await using local = await tempDir();
  const ended = await run(Deno.execPath(), ["run", ...permissions, SERVER, "0", ...args], {
    cwd: local.path,
    env: { ...NONE, ...env },
  });
  assertEquals(names(local.path), []);
  return ended;
}

/** Starts a server without waiting for it. */
function started(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Running {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", SERVER, "0", ...args],
    ...{ cwd, env: { ...NONE, ...env } },
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  });
  return new Running(command.spawn());
}

/** An environment in which nothing of a bucket is. */
const NONE = {
  AWS_ACCESS_KEY_ID: "",
  AWS_SECRET_ACCESS_KEY: "",
  AWS_SESSION_TOKEN: "",
  AWS_ENDPOINT_URL_S3: "",
  AWS_ENDPOINT_URL: "",
  AWS_REGION: "",
  AWS_DEFAULT_REGION: "",
  AWS_PROFILE: "",
  AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
  INLET_STORE: "",
};

const KEYS = { AWS_ACCESS_KEY_ID: "somekey", AWS_SECRET_ACCESS_KEY: "VERYSECRET" };

const WRONG: readonly (readonly [args: readonly string[], line: string])[] = [
  [
    ["--store", "received"],
    'Cannot use "received" as the --store: give s3://BUCKET/PREFIX, or a directory as --dir',
  ],
  [
    ["--store", "https://s3.example.org/inbox"],
    'Cannot use "https://s3.example.org/inbox" as the --store: give s3://BUCKET/PREFIX, and the ' +
    "URL of the object store as --s3-endpoint",
  ],
  [
    ["--dir", "s3://inbox"],
    'Cannot use "s3://inbox" as the --dir: give a directory of this machine, or a bucket as ' +
    "--store s3://BUCKET/PREFIX",
  ],
  [["--store", "s3://inbox", "--dir", "d"], "Cannot use --store together with --dir; try --help"],
  [["--store", "s3://inbox", "--fsync"], "Cannot use --store together with --fsync; try --help"],
  [["--s3-region", "eu-central-1"], "Cannot use --s3-region without --store; try --help"],
  [["--s3-endpoint", "http://x"], "Cannot use --s3-endpoint without --store; try --help"],
  [["--store", "s3://"], 'Cannot use "s3://": an address of a bucket is s3://BUCKET/PREFIX'],
  [
    ["--store", "s3://ab"],
    'Cannot use "s3://ab": the name of a bucket is 3 to 63 letters, digits, dots and hyphens',
  ],
  [
    ["--store", "s3://inbox/a/../b"],
    'Cannot use "s3://inbox/a/../b": the prefix has a part that is empty, . or ..',
  ],
  [
    ["--store", "s3://inbox", "--s3-endpoint", "localhost:9000"],
    'Cannot use the endpoint "localhost:9000": an endpoint begins with https:// or http://',
  ],
  [
    ["--store", "s3://inbox", "--s3-endpoint", "http://ben:VERYSECRET@localhost"],
    "Cannot use the endpoint: it has a user or a password in it",
  ],
];

integration("a server refuses what is no address of a bucket, or goes with none", async () => {
  const all = WRONG.map(async ([args, line]) => assertRefused(await refused(args, KEYS), 2, line));
  await Promise.all(all);
});

integration("INLET_STORE can be a bucket, and contradicts what a bucket contradicts", async () => {
  const env = { ...KEYS, INLET_STORE: "s3://inbox" };
  const what = "Cannot use --fsync with a bucket, which INLET_STORE names; try --help";
  assertRefused(await refused(["--fsync"], env), 2, what);
  const wrong = { ...env, INLET_STORE: "s3://inbox/a//b" };
  assertRefused(
    await refused([], wrong),
    2,
    'Cannot use "s3://inbox/a//b": the prefix has a part that is empty, . or ..',
  );
});

integration("a server without keys of its bucket says so before it listens", async () => {
  const line = "Cannot sign requests to the bucket: set AWS_ACCESS_KEY_ID and " +
    "AWS_SECRET_ACCESS_KEY in the server's environment";
  const endpoint = ["--s3-endpoint", "http://127.0.0.1:1"];
  assertRefused(await refused(["--store", "s3://inbox", ...endpoint]), 2, line);
  const hint = "; give --s3-endpoint if the object store is not that of AWS";
  assertRefused(await refused(["--store", "s3://inbox"]), 2, line + hint);
  const half = await refused(["--store", "s3://inbox"], { AWS_SECRET_ACCESS_KEY: "VERYSECRET" });
  assertRefused(
    half,
    2,
    "Cannot sign requests: AWS_SECRET_ACCESS_KEY is set, and AWS_ACCESS_KEY_ID is not",
  );
});

/** The line that tells what a start waits for. */
function waitsFor(endpoint: string): RegExp {
  const what = `waiting for the object store at ${endpoint}: the server gives up after 10 s`;
  return new RegExp(`^\\S+ \\S+ ${what} without an answer$`);
}

integration("a server whose object store does not answer says once that it waits", async () => {
  const asked = Promise.withResolvers<void>();
  const waiting = Promise.withResolvers<void>();
  await using store = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async () => {
      asked.resolve();
      await waiting.promise;
      return new Response("<Error><Code>AccessDenied</Code></Error>", { status: 403 });
    },
  );
  const endpoint = `http://127.0.0.1:${store.addr.port}`;
  const args = ["--store", "s3://inbox", "--s3-endpoint", endpoint];
  await using local = await tempDir();
  await using server = started([...args, "--quiet"], local.path, KEYS);
  await asked.promise;
  await server.says(waitsFor(endpoint));
  // It still waits: what comes now is the answer.
  waiting.resolve();
  await server.says(/^inlet: Cannot use "s3:\/\/inbox": .*does not permit it/);
  const { code } = await server.ended();
  assertEquals([code, server.log.split("\n").length], [2, 2], server.log);
});

integration("modes that store nothing refuse a bucket, and ignore INLET_STORE", async () => {
  const options = [["--store", "s3://inbox"], ["--s3-endpoint", "http://x"], ["--s3-region", "x"]];
  for (const [name, { stores }] of Object.entries(MODES)) {
    if (stores) continue;
    for (const [option, value] of options) {
      const what = `Cannot use ${option} in mode ${name}, it is for files, upload, raw, talk`;
      const ended = await refused(["--mode", name, option!, value!], KEYS);
      assertRefused(ended, 2, `${what}; try --help`);
    }
    for (const INLET_STORE of ["s3://inbox", "s3://inbox/a//b", "https://inbox"]) {
      await using local = await tempDir();
      await using server = started(["--mode", name, "--fsync"], local.path, { INLET_STORE });
      await server.says(/listening on \S+ \(this machine only\)$/);
    }
  }
});

integration("a server at what is no object store says so before it listens", async () => {
  const args = ["--store", "s3://inbox", "--s3-endpoint"];
  const nobody = `http://127.0.0.1:${freePort()}`;
  const { code, stdout, stderr } = await refused([...args, nobody], KEYS);
  assertEquals([code, stdout], [4, ""]);
  const gone = `it refuses connections (the endpoint is ${nobody})`;
  const [waits, ...last] = stderr.split("\n");
  assertMatch(waits!, waitsFor(nobody));
  assertEquals(last, [`inlet: Cannot reach the object store: ${gone}`, ""]);
  await using page = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("<h1>Hello</h1>"),
  );
  const other = await refused([...args, `http://127.0.0.1:${page.addr.port}`], KEYS);
  assertEquals([other.code, other.stdout], [2, ""]);
  assertMatch(other.stderr, /^inlet: Cannot use "s3:\/\/inbox": .*no object store.*\n$/);
});

integration("a server that its bucket refuses says why before it listens", async () => {
  await using scene = await BucketScene.make();
  const { env, store } = scene;
  const tries: readonly (readonly [Readonly<Record<string, string>>, string, RegExp])[] = [
    [
      { AWS_SECRET_ACCESS_KEY: "VERYSECRET" },
      store,
      /the secret access key is not the one of the access key/,
    ],
    [{ AWS_ACCESS_KEY_ID: "somekey" }, store, /access key/],
    [
      {},
      "s3://no-such-bucket-at-all/x",
      /: the object store has no bucket of that name \(the endpoint is http:\/\/127\.0\.0\.1:\d+\)\n/,
    ],
  ];
  for (const [other, address, why] of tries) {
    const { code, stdout, stderr } = await refused(["--store", address], { ...env, ...other });
    assertEquals([code, stdout, stderr.split("\n").length], [2, "", 2], stderr);
    assertMatch(stderr, why);
    assertStringIncludes(stderr, `inlet: Cannot use "${address}": `);
    assert(!stderr.includes("SECRET") && !stderr.includes(env.AWS_SECRET_ACCESS_KEY!), stderr);
  }
  assertEquals(await scene.names(), []);
}, CEPH);

integration("a bucket with versions is refused: a name could be taken twice there", async () => {
  const ceph = await sharedCeph();
  await using bucket = await ceph.makeBucket();
  const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
  await (await ceph.fetch(`${bucket.name}?versioning`, { method: "PUT", body })).body?.cancel();
  const { code, stdout, stderr } = await refused(["--store", bucket.store], ceph.variables);
  assertEquals([code, stdout], [2, ""]);
  assertMatch(stderr, /^inlet: Cannot use "s3:.*": .*version.*\n$/);
}, CEPH);

/** A server that is started by a whole command, as it is typed. */
async function typed(
  command: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<Running> {
  const args = ["-c", `exec ${command}`];
  const process = new Deno.Command("sh", {
    args,
    cwd,
    env: { ...NONE, ...env, PATH: pathWithDeno() },
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  });
  await Promise.resolve();
  return new Running(process.spawn());
}

function pathWithDeno(): string {
  return `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`;
}

integration("a server that Deno keeps from its bucket names the whole command", async () => {
  await using scene = await BucketScene.make();
  await using local = await tempDir();
  const { host } = new URL(scene.ceph.endpoint);
  const args = ["--store", scene.store, "--s3-endpoint", scene.ceph.endpoint];
  const without = await refused(args, scene.env, ["--no-prompt", "--allow-net=127.0.0.1:0"]);
  assertEquals([without.code, without.stdout], [2, ""]);
  const [, what, command] = /^inlet: Cannot go on without permission to (.*); run: (.*)\n$/
    .exec(without.stderr)!;
  assertEquals(what, `use the network (${host})`);
  assertStringIncludes(command!, ` --allow-net=127.0.0.1:0,${host} `);
  assertStringIncludes(
    command!,
    " --allow-env=AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY,AWS_SESSION_TOKEN ",
  );
  assert(!/--allow-(read|write|sys)/.test(command!), command);
  // Without the option, it may be a variable that names the endpoint.
  const hidden = await refused(args.slice(0, 2), scene.env, ["--no-prompt", "--allow-net"]);
  assertStringIncludes(hidden.stderr, ",AWS_SESSION_TOKEN,AWS_ENDPOINT_URL_S3,AWS_REGION ");
  // Without a directory it needs no other permission, and the command that it names works.
  await using server = await typed(command!, local.path, scene.env);
  await server.says(/listening on .*, storing into "s3:/);
  assertEquals(names(local.path), []);
}, CEPH);

integration("a server asks in no terminal for what its bucket needs", async () => {
  await using local = await tempDir();
  const args = ["run", "--allow-net=127.0.0.1:0", SERVER, "0", "--store", "s3://inbox"];
  await using terminal = await openTerminal(["env", "PS1=$ ", "bash", "--norc"], {
    cwd: local.path,
    columns: 1000,
  });
  await terminal.type(`${[Deno.execPath(), ...args].join(" ")}; echo ended $?`);
  await terminal.press("Enter");
  const screen = await terminal.shows(/^ended \d+$/m);
  assertMatch(screen, /^inlet: Cannot go on without permission to .*; run: deno run .*$/m);
  assertMatch(screen, /^ended 2$/m);
  assert(!/Allow\?|requests/.test(screen), screen);
}, { programs: ["tmux", "bash"] });

integration("a server tells where it stores, and never a secret", async () => {
  await using scene = await BucketScene.make();
  await using server = await scene.serve({ args: ["--log", "json", "--json"] });
  const [line] = await server.running.says(/.*"listening".*/);
  const { store, directory, message } = JSON.parse(line);
  assertEquals([store, directory], [scene.store, undefined]);
  assertStringIncludes(message, `storing into "${scene.store}"`);
  const metrics = await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text();
  assert(!metrics.includes("free_bytes"));
  await server.running.stopInsistently("SIGTERM");
  const [listening] = objectsIn(await server.stdout, "server");
  assertEquals(listening!.store, scene.store);
  const said = server.running.log + await server.stdout;
  assert(!said.includes(scene.env.AWS_SECRET_ACCESS_KEY!));
}, CEPH);

integration("a server listens before it clears away what others have left", async () => {
  await using scene = await BucketScene.make();
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const { promise: looked, resolve: look } = Promise.withResolvers<void>();
  const isLook = ({ query }: StoreRequest): boolean =>
    query.includes(encodeURIComponent(".inlet/up/"));
  await using proxy = await StoreProxy.start(scene.ceph, {
    fault(request) {
      if (!isLook(request)) return undefined;
      look();
      return held.then(() => undefined);
    },
  });
  await using server = await startServer({ store: scene.store, env: proxy.variables });
  await looked;
  await using local = await tempDir();
  const { code, stderr } = await runClient(server, [await local.write("a.txt", "hello\n")]);
  assertEquals(code, 0, stderr);
  release();
}, CEPH);

integration("serve() takes a bucket, and the same variables", async () => {
  await using scene = await BucketScene.make();
  const { ceph, store } = scene;
  const source = `
    import { serve } from ${JSON.stringify(new URL("../server.ts", import.meta.url).href)};
    import { connect } from ${JSON.stringify(new URL("../client.ts", import.meta.url).href)};
    const [store, s3Endpoint] = Deno.args;
    await using server = await serve({ store, s3Endpoint, log: { quiet: true } });
    await using client = await connect(server.address);
    console.log((await client.put("a.txt", new Blob(["hello"]))).name);`;
  await using local = await tempDir();
  const path = await local.write("script.ts", source);
  const permissions = ["-A", "--config", scriptPath("deno.json")];
  const args = ["run", ...permissions, path, store, ceph.endpoint];
  const { stdout, code, stderr } = await run(Deno.execPath(), args, {
    env: { ...ceph.variables, AWS_ENDPOINT_URL_S3: "http://127.0.0.1:1" },
  });
  assertEquals([code, stdout], [0, "a.txt\n"], stderr);
  assertEquals(await scene.names(), ["a.txt"]);
}, CEPH);

integration("serve() refuses options that contradict a bucket", async () => {
  const store = "s3://inbox";
  const wrong: [Parameters<typeof serve>[0], string][] = [
    [{ store, directory: "x" }, "Cannot use directory with store; try --help"],
    [{ store, fsync: true }, "Cannot use fsync with store; try --help"],
    [{ s3Region: "x" }, "Cannot use s3Region without store; try --help"],
    [{ store: "inbox" }, 'Cannot use "inbox" as store: give an object, or s3://BUCKET/PREFIX'],
  ];
  for (const [options, line] of wrong) {
    const error = await serve(options).then(() => undefined, (error) => error);
    assert(error instanceof InletError);
    assertEquals([error.code, error.message], ["usage", line]);
  }
});
