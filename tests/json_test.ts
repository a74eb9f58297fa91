/**
 * `client.ts --json`, by real programs: what it prints for everything that it does.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  type Ended,
  freePort,
  integration,
  KEY,
  type Reachable,
  ROOT,
  run,
  runClient,
  type RunOptions,
  scriptPath,
  startServer,
  tempDir,
} from "./helpers.ts";
import { objectsFrom, objectsIn, type Printed, rowsUnder, withoutTimes } from "./json_lines.ts";
import { relayTo } from "./relay.ts";
import { makeTree } from "./trees.ts";
import { impostor, Wire } from "./wire.ts";

/** Runs the client with `--json` to its end. */
async function runJson(
  server: Reachable,
  args: readonly string[],
  options?: RunOptions,
): Promise<Ended & { objects: Printed[] }> {
  const ended = await runClient(server, ["--json", ...args], options);
  return { ...ended, objects: objectsIn(ended.stdout) };
}

/** What the sums of a transfer are, where they are not 0. */
function sums(some: Printed, exitCode = 0): Printed {
  const none = { files: 0, folders: 0, links: 0, same: 0 };
  const others = { failed: 0, untried: 0, excluded: 0, bytes: 0 };
  return { event: "summary", ...none, ...others, exitCode, ...some };
}

/** Starts the client with `--json`, for a test that reads its stdout as it comes. */
function spawnJson(
  { port }: Reachable,
  args: readonly string[],
  stdin: "null" | "piped" = "null",
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", scriptPath("client.ts"), "127.0.0.1", String(port), "--json", ...args],
    stdin,
    stdout: "piped",
    stderr: "null",
  }).spawn();
}

/** Names that JSON, a terminal or a reader of lines could take for something else. */
const NAMES = ['q"u\\o', "bi\u202edi", "e\u0301", "☕", "{}", "a, b", "\ufeffbom", "  x  "];

integration(
  "--json tells each file, folder and link that is sent, with its exact name",
  async () => {
    await using server = await startServer();
    await using local = await tempDir();
    makeTree(`${local.path}/in`, Object.fromEntries(NAMES.map((name) => [name, "hello\n"])));
    Deno.mkdirSync(`${local.path}/in/empty`);
    Deno.symlinkSync("☕", `${local.path}/in/link`);
    const first = await runJson(server, ["in"], { cwd: local.path });
    const stored = (name: string) => ({
      ...{ event: "stored", path: `in/${name}`, file: `in/${name}` },
      ...{ bytes: 6, crc: "363a3020", folder: "in" },
    });
    const byPath = (one: Printed, other: Printed) => one.path < other.path ? -1 : 1;
    const [summary, ...results] = withoutTimes(first.objects).reverse();
    assertEquals(
      results.sort(byPath),
      [
        ...NAMES.map(stored),
        { event: "folder", path: "in/empty", file: "in/empty", folder: "in" },
        { event: "link", path: "in/link", file: "in/link", folder: "in" },
      ].sort(byPath),
    );
    const { length } = NAMES;
    assertEquals(summary, sums({ files: length, folders: 1, links: 1, bytes: 6 * length }));
    assertEquals([first.code, first.stderr], [0, ""]);

    const again = await runJson(server, ["in", "--skip-same"], { cwd: local.path });
    const unchanged = again.objects.at(-1)!;
    assertEquals([unchanged.same, unchanged.files, unchanged.bytes], [length + 2, 0, 0]);
    assert(again.objects.slice(0, -1).every(({ same, crc }) => same === true && crc === undefined));

    const listed = await runJson(server, ["--list", "in"]);
    const entries = new Map(listed.objects.map(({ file, ...facts }) => [file, facts]));
    for (const name of NAMES) assertEquals(entries.get(`in/${name}`)!.bytes, 6);
    assertEquals([entries.get("in/link")!.to, entries.get("in/link")!.bytes], ["☕", null]);
    assertEquals([entries.get("in")!.bytes, entries.get("in/empty")!.bytes], [null, null]);
    assertEquals((await runJson(server, ["--list"])).objects, listed.objects);

    const got = await runJson(server, ["--get", "in/", "--output", `${local.path}/in`]);
    assertEquals(
      got.objects.filter(({ event }) => event === "got").map(({ file, path }) => [file, path])
        .sort(),
      NAMES.map((name) => [`in/${name}`, `${local.path}/in/in/${name}`]).sort(),
    );
    const { event, path } = got.objects.find(({ file }) => file === "in/link")!;
    assertEquals([event, path], ["link", `${local.path}/in/in/link`]);
    for (const { event, path } of got.objects) if (event !== "summary") Deno.lstatSync(path);
  },
);

integration(
  "--json tells where files go: under other names, from stdin, here already",
  async () => {
    await using server = await startServer();
    await using local = await tempDir();
    await local.write("a.txt", "hello\n");
    await local.write("b.txt", "hello\n");
    const { path: cwd } = local;
    const told = async (args: string[], options?: RunOptions) =>
      withoutTimes((await runJson(server, args, { cwd, ...options })).objects);
    const facts = { bytes: 6, crc: "363a3020" };
    assertEquals(await told(["a.txt", "./b.txt"]), [
      { event: "stored", path: "a.txt", file: "a.txt", ...facts },
      { event: "stored", path: "./b.txt", file: "b.txt", ...facts },
      sums({ files: 2, bytes: 12 }),
    ]);
    assertEquals((await told(["a.txt"]))[0], {
      ...{ event: "stored", path: "a.txt", file: "a (2).txt", ...facts },
    });
    assertEquals((await told(["-", "--as", "in.txt"], { stdin: "hello\n" }))[0], {
      ...{ event: "stored", path: "-", file: "in.txt", ...facts },
    });
    await local.write("standard input", "hello\n");
    assertEquals((await told(["standard input"]))[0]!.path, "standard input");
    assertEquals((await told(["--get", "a.txt"]))[0], {
      ...{ event: "got", file: "a.txt", path: "./a (2).txt", ...facts },
    });
    assertEquals((await told(["--get", "a.txt", "--resume"]))[0], {
      ...{ event: "got", file: "a.txt", path: "./a.txt", bytes: 6, same: true },
    });
    assertEquals((await told(["--get", "a.txt", "--output", "/dev/null"]))[0], {
      ...{ event: "got", file: "a.txt", path: "/dev/null", ...facts },
    });
    const list = await local.write("list", "");
    assertEquals(await told(["--files-from", list]), [sums({})]);
    assertEquals(await told([], { stdin: "hello\n" }), [{ event: "message", ...facts }]);
    const running = await runJson(server, ["a.txt", "--quiet"], { cwd });
    assertEquals([running.objects.length, running.stderr], [2, ""]);
  },
);

for (const [mode, event] of [["upload", "stored"], ["raw", "stored"], ["message", "message"]]) {
  integration(`--json tells what was sent in mode ${mode}`, async () => {
    await using server = await startServer({ args: ["--mode", mode!] });
    await using local = await tempDir();
    const path = await local.write("a.txt", "hello\n");
    const { objects, code } = await runJson(server, [path, "--mode", mode!]);
    assertEquals(withoutTimes(objects), [
      { event, path, bytes: 6, crc: "363a3020" },
      sums({ files: 1, bytes: 6 }),
    ]);
    assertEquals(code, 0);
  });
}

integration("--status --json has the facts of each client, and what it moves", async () => {
  await using server = await startServer();
  using ann = await Wire.dial(server);
  await ann.says("hello 1 a|n☕n\n");
  await ann.line();
  await ann.says("put 1000 photos/a b.jpg\n");
  await ann.line();
  await ann.says("hello");
  using gone = await Wire.greet(server);
  await gone.says("exit\n");
  await gone.rest();
  await server.running.says(/left, 1 connected/);
  const { objects } = await runJson(server, ["--status", "--name", "ben"]);
  // More or less: what the connection has moved is counted.
  const { bytes, ...moving } = objects[0]!.moving;
  assert(bytes > 0 && bytes < 1000, bytes);
  Object.assign(objects[0]!, { moving });
  assertEquals(withoutTimes(objects).slice(0, 2), [
    {
      ...{ event: "client", id: 1, client: "a|n☕n", wire: "native" },
      moving: { file: "photos/a b.jpg", size: 1000 },
    },
    { event: "client", id: 2, client: "test", wire: "native" },
  ]);
  const [first, second] = objects;
  assertEquals([first!.until, typeof second!.until], [undefined, "string"]);
  assertMatch(first!.address, /^127\.0\.0\.1:\d+$/);
  assert(Math.abs(Date.now() - Date.parse(first!.since)) < 3_600_000, first!.since);
});

integration("--status --json takes the line of a server that tells no facts", async () => {
  using server = impostor();
  const running = runJson(server, ["--status"]);
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 9\n");
  assertEquals(await wire.line(), "status;facts=yes");
  const line = "client 1 | ben | 127.0.0.1:5 | Start: 2026-11-21 09:38:00 | End: Still Connected";
  await wire.says(`ok\n${line}\nend 1\n`);
  await wire.rest();
  const { objects, code } = await running;
  assertEquals([withoutTimes(objects), code], [[{ event: "client", message: line }], 0]);
});

integration("--dry-run --json tells the state of each entry, both ways", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const { path: cwd } = local;
  makeTree(`${cwd}/in`, { a: "hello\n", b: "hello\n" });
  await runClient(server, ["in"], { cwd });
  makeTree(`${cwd}/in`, { b: "other", c: "new", "d.log": "no" });
  const sent = await runJson(server, ["in", "--dry-run", "--exclude", "*.log"], { cwd });
  const states = ({ objects }: { objects: Printed[] }) =>
    objects.slice(0, -1).map(({ state, path, file, bytes }) => `${state} ${path ?? file} ${bytes}`)
      .sort();
  const expected = ["changed in/b 5", "excluded in/d.log null", "new in/c 3", "same in/a 6"];
  assertEquals(states(sent), expected);
  assertEquals(withoutTimes(sent.objects).at(-1), {
    ...{ event: "summary", new: 1, changed: 1, same: 1, excluded: 1, bytes: 14, exitCode: 0 },
  });
  const got = await runJson(server, ["--get", "in/", "--dry-run", "--exclude", "a"], { cwd });
  assertEquals(states(got), ["changed in/b 6", "excluded in/a 6"]);
  const missing = await runJson(server, ["--get", "nothing", "--dry-run"]);
  assertEquals(missing.objects.map(({ event, code }) => code ?? event), ["not-found", "summary"]);
  assertEquals([missing.code, missing.objects[1]!.exitCode], [3, 3]);
});

integration(
  "--json tells a usage error as one object, wherever it stands on the line",
  async () => {
    await using local = await tempDir();
    const path = await local.write("a.txt", "hello\n");
    const to = ["127.0.0.1", "5000"];
    const lines = [
      ["--json"],
      ["127.0.0.1", "--json"],
      ["5000", "127.0.0.1", "--json", path],
      [...to, path, "--frob", "--json"],
      [...to, path, "--as", "--json", "--json", "--frob"],
      [...to, path, "--json", "--timeout"],
      [...to, path, "--json=yes"],
      [...to, path, "--json", "--retry", "many"],
      [...to, "--json", "--session"],
      [...to, "--json", "--get", "a", "--output", "-"],
      [...to, "--json", "--mode", "talk", "--list"],
      [...to, "--json", "--mode", "reverse", path],
      [...to, "--json", "--mode", "frob", path],
      [...to, "--json", "--list", "--status"],
      [...to, "--json", "--get", "../a"],
      [...to, "--json", `${local.path}/nothing`],
      [...to, "--json", "--get", "a", "--output", `${local.path}/nothing/`],
      [...to, "--json", path, "--dry-run", "-"],
      [...to, "--json", "--files-from", `${local.path}/nothing`],
      ["@nobody", "--json", path],
      ["http://127.0.0.1:5000/", "--json", path],
    ];
    const env = { XDG_CONFIG_HOME: local.path };
    for (const line of lines) {
      const args = ["run", "-A", "client.ts", ...line];
      const { code, stdout, stderr } = await run(Deno.execPath(), args, { env });
      const told = `${line.join(" ")}: ${stdout}${stderr}`;
      const [error, ...others] = objectsIn(stdout);
      assertEquals([code, error!.code, error!.exitCode, others], [2, "usage", 2, []], told);
      assertMatch(error!.message, /^Cannot /, told);
      assertEquals(stderr, "", told);
    }
    const [missing] = objectsIn(
      (await run(Deno.execPath(), ["run", "client.ts", ...to, "--json"])).stdout,
    );
    assertStringIncludes(missing!.message, "run: deno run --allow-net=127.0.0.1:5000");
  },
);

integration("an error is text if --json is the value of an option, or behind --", async () => {
  for (const line of [["--as", "--json", "--frob"], ["--frob", "--", "--json"], ["--jsonn"]]) {
    const args = ["run", "-A", "client.ts", "127.0.0.1", "5000", ...line];
    const { code, stdout, stderr } = await run(Deno.execPath(), args);
    assertEquals([code, stdout], [2, ""]);
    assertMatch(stderr, /^inlet: Cannot use "--/);
  }
});

integration(
  "--json has an error for each file that fails, and the results of the others",
  async () => {
    await using server = await startServer({ args: ["--max-size", "10"] });
    await using local = await tempDir();
    const { path: cwd } = local;
    makeTree(`${cwd}/in`, { a: "hello\n", "b\n": "hello\n", "c\u001b": "", large: "x".repeat(11) });
    const { objects, code } = await runJson(server, ["in", "in/a"], { cwd });
    const errors = objects.filter(({ event }) => event === "error");
    assertEquals(
      errors.map(({ path, folder, code, exitCode }) => [path, folder, code, exitCode]).sort(),
      [
        ["in/b\n", "in", "bad-name", 3],
        ["in/c\u001b", "in", "bad-name", 3],
        ["in/large", "in", "too-large", 3],
      ],
    );
    const { files, failed, exitCode } = objects.at(-1)!;
    assertEquals([files, failed, exitCode, code], [1, 3, 3, 3]);

    const gets = await runJson(server, ["--get", "nothing", "in/a", "none/"], { cwd });
    assertEquals(
      gets.objects.map(({ event, file, code }) => [event, file, code]),
      [
        ["error", "nothing", "not-found"],
        ["got", "in/a", undefined],
        ["error", "none/", "not-found"],
        ["summary", undefined, undefined],
      ],
    );
    const lists = await runJson(server, ["--list", "nothing", "in/a"]);
    assertEquals(lists.objects.map(({ event, file }) => [event, file]), [
      ["error", "nothing"],
      ["entry", "in/a"],
    ]);
    assertEquals([gets.code, lists.code], [3, 3]);
  },
);

integration("--json tells what a lost connection leaves: stored, failed, not tried", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const { path: cwd } = local;
  makeTree(cwd, { a: "hello\n", b: "x".repeat(3_000_000), c: "x".repeat(3_000_000) });
  // There is no server to come back to.
  const onCut = () => relay[Symbol.dispose]();
  using relay = await relayTo(server, { direction: "up", bytes: 1_500_000, way: "end", onCut });
  const { objects, code } = await runJson(relay, ["a", "b", "c"], { cwd });
  assertEquals(
    objects.map(({ event, path, code, untried }) => [event, path, code, untried]),
    [
      ["stored", "a", undefined, undefined],
      ["error", "b", "lost", undefined],
      ["error", "c", "lost", true],
      ["summary", undefined, undefined, 1],
    ],
  );
  assertEquals([code, objects.at(-1)!.exitCode], [4, 4]);
});

integration("--json tells that there is no server, and that one has another key", async () => {
  await using local = await tempDir();
  const path = await local.write("a.txt", "hello\n");
  const none = await runJson({ port: freePort() }, [path]);
  assertEquals(none.objects.map(({ event, code }) => code ?? event), ["lost", "summary"]);
  assertEquals(none.code, 4);
  await using server = await startServer({ key: KEY });
  const key = KEY.replace("0", "1");
  for (const args of [[path], ["--list"], ["--status"], ["--get", "a.txt"]]) {
    const { objects, code, stderr } = await runJson({ ...server, key }, args);
    assertEquals([objects[0]!.code, objects[0]!.exitCode, code, stderr], ["untrusted", 5, 5, ""]);
  }
  const { objects } = await runJson(server, [path]);
  assertEquals(objects.map(({ event }) => event), ["stored", "summary"]);
});

integration("--json tells what a signal has stopped, with its exit code", async () => {
  await using server = await startServer();
  for (const [signal, exitCode] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    const client = spawnJson(server, ["-", "--as", `${signal}.txt`], "piped");
    const input = client.stdin.getWriter();
    await input.write(new TextEncoder().encode("hello\n"));
    // Until the server has asked for it.
    for (let isMoving = false; !isMoving;) {
      const { objects } = await runJson(server, ["--status"]);
      isMoving = objects.some(({ moving }) => moving?.file === `${signal}.txt`);
    }
    client.kill(signal);
    const objects = await Array.fromAsync(objectsFrom(client.stdout));
    const { code } = await client.status;
    await input.close().catch(() => {});
    assertEquals(
      objects.map(({ event, path, code, exitCode }) => [event, path, code, exitCode]),
      [["error", "-", "interrupted", exitCode], ["summary", undefined, undefined, exitCode]],
    );
    assertEquals(code, exitCode);
  }
});

integration("a signal ends the wait of --json for a reader that does not read", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const name = "f".repeat(200);
  makeTree(
    `${local.path}/in`,
    Object.fromEntries([...Array(1000).keys()].map((at) => [`${name}${at}`, "x"])),
  );
  const client = spawnJson(server, [`${local.path}/in`]);
  await server.running.says(/left, 0 connected/);
  client.kill("SIGTERM");
  // All is sent.
  assertEquals((await client.status).code, 0);
  const first = await objectsFrom(client.stdout).next();
  assertEquals(first.value.event, "stored");
});

integration("--list --json prints entries as they come, and holds none back", async () => {
  using server = impostor();
  const client = spawnJson(server, ["--list"]);
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 9\n");
  await wire.line();
  await wire.says("ok\n");
  const objects = objectsFrom(client.stdout);
  await wire.says("6 2026-11-21T08:38:00Z \u001b[2J\u202e\n");
  assertEquals((await objects.next()).value.file, "\u001b[2J\u202e");
  for (let number = 1; number <= 3; number++) {
    await wire.says(`${number} 2026-11-21T08:38:00Z f${number}\n`);
    const { value } = await objects.next();
    assertEquals([value.file, value.bytes], [`f${number}`, number]);
  }
  // Many more.
  const page = Array.from({ length: 1000 }, (_, at) => `1 2026-11-21T08:38:00Z n${at}\n`).join("");
  const counting = Array.fromAsync(objects);
  for (let pages = 0; pages < 20; pages++) await wire.says(page);
  await wire.says("end 20004\n");
  await wire.rest();
  assertEquals((await counting).length, 20_000);
  assertEquals((await client.status).code, 0);
});

integration("--json goes on without a reader of its stdout, and tells a full disk", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const { path: cwd } = local;
  makeTree(`${cwd}/in`, Object.fromEntries([...Array(50).keys()].map((at) => [`f${at}`, "x"])));
  const shell = async (words: string): Promise<Ended> => {
    const client = `deno run -A ${scriptPath("client.ts")} :${server.port} --json ${words}`;
    return await run("bash", ["-c", `set -o pipefail; ${client}`], { cwd });
  };
  const headed = await shell("in | head -1");
  assertEquals([headed.code, objectsIn(headed.stdout).length, headed.stderr], [0, 1, ""]);
  assertEquals((await runJson(server, ["--list", "in"])).objects.length, 51);
  const listed = await shell("--list | head -1");
  assertEquals([listed.code, objectsIn(listed.stdout).length, listed.stderr], [0, 1, ""]);
  for (const words of ["in", "--list", "in --dry-run"]) {
    const { code, stderr } = await shell(`${words} > /dev/full`);
    assertEquals(code, 6, words);
    assertMatch(stderr, /^inlet: Cannot write to the standard output: .*\n$/);
  }
  const wrong = await shell("--frob > /dev/full");
  assertEquals([wrong.code, wrong.stderr.slice(0, 26)], [2, 'inlet: Cannot use "--frob"']);
}, { programs: ["bash", "head"] });

integration("docs/json.md and docs/json.schema.json have the same keys and events", async () => {
  const text = await Deno.readTextFile(new URL("docs/json.schema.json", ROOT));
  const { properties, oneOf } = JSON.parse(text);
  const sums = ["same", "untried"];
  assertEquals(
    rowsUnder("Keys").map(([key]) => key).sort(),
    [...Object.keys(properties), ...sums].sort(),
  );
  // deno-lint-ignore no-explicit-any
  const events = ({ anyOf }: any) =>
    // deno-lint-ignore no-explicit-any
    anyOf.flatMap(({ properties: { event } }: any) => event.enum ?? [event.const]);
  const inPage = (heading: string) => rowsUnder(heading).map(([event]) => event!).sort();
  assertEquals(inPage("The client"), [...new Set<string>(events(oneOf[0]))].sort());
  assertEquals(inPage("The server"), [...events(oneOf[1]), "error"].sort());
});
