/**
 * The server as people write it: in one word, as a URL, by a name of the config file, in the
 * environment, and wrong.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { serversIn } from "../client/config.ts";
import { PROGRAM } from "../client/options.ts";
import { readCommandLine } from "../client/typed_server.ts";
import { parseCommandLine } from "../lib/cli/command_line.ts";
import type { InletError } from "../lib/errors.ts";
import {
  assertRefused,
  fixture,
  integration,
  KEY,
  pure,
  run,
  startServer,
  tempDir,
} from "./helpers.ts";

const TABLE = PROGRAM.options;

const SAME: [typed: string, plain: string][] = [
  ["127.0.0.1 5000 a.txt", "127.0.0.1 5000 a.txt"],
  ["localhost:5000 a.txt", "localhost 5000 a.txt"],
  [":5000 a.txt", "127.0.0.1 5000 a.txt"],
  ["[::1]:5000 a.txt", "[::1] 5000 a.txt"],
  ["::1 5000 a.txt", "::1 5000 a.txt"],
  ["--as b:1 :5000 a.txt", "--as b:1 127.0.0.1 5000 a.txt"],
  ["--as=b :5000 -", "--as=b 127.0.0.1 5000 -"],
  ["-0 --files-from - h:1", "-0 --files-from - h 1"],
  ["--quiet -- h:1 --odd", "--quiet -- h 1 --odd"],
  ["notes:2024 5000 a", "notes:2024 5000 a"],
  ["inlet://h:5000", "h 5000"],
  ["inlet://h:5000/ a.txt", "h 5000 a.txt"],
  ["inlet://h:5000/a.txt", "--get=a.txt h 5000"],
  ["inlet://[::1]:5000/a%20b/c/ --output x", "--get=a_b/c/ [::1] 5000 --output x"],
  ["--quiet -- inlet://h:5000/a --odd", "--get=a --quiet -- h 5000 --odd"],
  ["inlet://h:5000/--quiet --list", "h 5000 --list -- --quiet"],
  ["inlet://h:5000/photos --list", "h 5000 photos --list"],
  ["INLET://h:5000/a", "--get=a h 5000"],
  ["unix:a.sock 5000 a.txt", `unix:${Deno.cwd()}/a.sock 5000 a.txt`],
  ["--list unix:/run/x/../a.sock", "--list unix:/run/a.sock"],
  ["--quiet -- unix:a.sock --odd", `--quiet -- unix:${Deno.cwd()}/a.sock --odd`],
  ["unix:///run/a.sock a.txt", "unix:/run/a.sock a.txt"],
  ["--help h:1", "--help h:1"],
  ["a.txt b.txt", "a.txt b.txt"],
];

for (const [typed, plain] of SAME) {
  pure(`client.ts ${typed} is client.ts ${plain}`, async () => {
    const words = plain.split(" ").map((word) => word.replace("_", " "));
    assertEquals(await readCommandLine(typed.split(" ")), parseCommandLine(words, TABLE));
  });
}

const WRONG: [word: string, message: string][] = [
  ["http://127.0.0.1:5000/a", "give 127.0.0.1:5000, and the file behind it"],
  ["https://h/", "give h:PORT, and the file behind it"],
  ["inlet://h/a", "give its port too, inlet://h:PORT"],
  ["inlet://:5000/a", "give HOST:PORT, or inlet://HOST:PORT/NAME for a file"],
  ["inlet://h:99999/a", "give HOST:PORT, or inlet://HOST:PORT/NAME for a file"],
  ["inlet://ben:secret@h:1/a", "a key does not belong there: use --token-file"],
  ["inlet://h:1/a?b", "write ? as %3F and # as %23"],
  ["inlet://h:1/a#b", "write ? as %3F and # as %23"],
  ["inlet://h:1/100%", "write % as %25"],
];

for (const [word, message] of WRONG) {
  pure(`client.ts ${word} is told what to type`, async () => {
    const failure = await readCommandLine([word]).catch((error) => error);
    assertEquals(failure.code, "usage");
    assertEquals(failure.message, `Cannot use "${word}" as the server: ${message}`);
  });
}

const PLACE = { path: "/home/ann/.config/inlet/config.json", home: "/home/ann", table: TABLE };

/** A config file with one server. */
function withServer(server: unknown, name = "home"): string {
  return JSON.stringify({ servers: { [name]: server } });
}

pure("a config file gives a server its address, token file and options", () => {
  const options = { retry: 5, limit: "5M", quiet: true, raw: false };
  for (
    const [file, path] of [["t", "/home/ann/.config/inlet/t"], ["~/t", "/home/ann/t"], ["/t", "/t"]]
  ) {
    const text = withServer({ address: "h:5000", "token-file": file, options });
    assertEquals(serversIn(text, PLACE).get("home"), {
      address: "h:5000",
      options: new Map([
        ["retry", ["5"]],
        ["limit", ["5M"]],
        ["quiet", [""]],
        ["token-file", [path!]],
      ]),
    });
  }
  assertEquals(serversIn("{}", PLACE).size, 0);
  assertEquals(serversIn("\ufeff{}\r\n", PLACE).size, 0);
  for (
    const [address, place] of [
      ["unix:/run/a.sock", "unix:/run/a.sock"],
      ["unix:a.sock", "unix:/home/ann/.config/inlet/a.sock"],
      ["unix:~/a.sock", "unix:/home/ann/a.sock"],
    ]
  ) assertEquals(serversIn(withServer({ address }), PLACE).get("home")!.address, place);
});

const BROKEN: [text: string, message: string][] = [
  ["", "it is not JSON: "],
  ['{"servers": {', "it is not JSON: "],
  ["[]", "it has to be an object"],
  ["null", "it has to be an object"],
  ['{"server": {}}', 'it has no "server": the nearest is servers, give one of servers'],
  ['{"servers": []}', '"servers" has to be an object'],
  [withServer("h:1"), 'the server "home" has to be an object'],
  [
    '{"servers": {"right": {"address": "h:1"}, "home": "h:1"}}',
    'the server "home" has to be an object',
  ],
  [withServer({}), 'the server "home" needs an "address" like "192.0.2.5:5000"'],
  [withServer({ address: "h" }), 'the server "home" needs an "address" like "192.0.2.5:5000"'],
  [withServer({ address: "unix:" }), 'the server "home" needs an "address" like "192.0.2.5:5000"'],
  [withServer({ address: "@home" }), 'the server "home" needs an "address" like "192.0.2.5:5000"'],
  [
    withServer({ address: "unix:a\0" }),
    'the server "home" needs an "address" like "192.0.2.5:5000"',
  ],
  [withServer({ address: 5000 }), 'the server "home" needs an "address" like "192.0.2.5:5000"'],
  [withServer({ address: "h:1" }, "a b"), 'the server "a b" needs a name of letters'],
  [withServer({ adress: "h:1" }), 'the server "home" has no "adress": the nearest is address'],
  [
    withServer({ address: "h:70000" }),
    'the server "home": Cannot use "70000" as the port: give a whole number from 1 to 65535',
  ],
  [
    withServer({ address: "h:1", options: { quiet: true, progress: "plain" } }),
    'the server "home" cannot have "progress" and "quiet"',
  ],
  [
    withServer({ address: "h:1", "token-file": 5 }),
    '"token-file" of the server "home" has to be a',
  ],
  [
    withServer({ address: "h:1", "token-file": "" }),
    '"token-file" of the server "home" has to be a',
  ],
  [
    withServer({ address: "h:1", options: { name: "a\nb" } }),
    'the server "home": Cannot use "a\\u{a}b" as the name: give a text of one line',
  ],
  [
    withServer({ address: "h:1", options: [] }),
    '"options" of the server "home" has to be an object',
  ],
  [
    withServer({ address: "h:1", options: { get: "a" } }),
    '"options" of the server "home" has no "get": give one of limit, mode, name, progress, quiet, raw, retry',
  ],
  [
    withServer({ address: "h:1", options: { quiet: "yes" } }),
    '"quiet" of the server "home" has to be true or false',
  ],
  [
    withServer({ address: "h:1", options: { retry: [5] } }),
    '"retry" of the server "home" has to be a text or a number',
  ],
  [
    withServer({ address: "h:1", options: { limit: "5 apples" } }),
    'the server "home": Cannot use "5 apples" as the limit: give one of the units',
  ],
];

for (const [text, message] of BROKEN) {
  pure(`the config file ${text} is refused in one line`, () => {
    try {
      serversIn(text, PLACE);
    } catch (error) {
      assertEquals((error as InletError).code, "usage");
      return assertStringIncludes(
        (error as InletError).message,
        `Cannot use "${PLACE.path}": ${message}`,
      );
    }
    throw new Error("It was taken");
  });
}

integration(
  "a server is used by its address in one word, by a URL, and by INLET_SERVER",
  async () => {
    await using temp = await tempDir();
    await using server = await startServer();
    await temp.write("a b.txt", "water");
    const env = { INLET_SERVER: `:${server.port}` };
    const client = async (
      args: string[],
      permissions = ["-A"],
    ): Promise<[number, string, string]> => {
      const all = ["run", ...permissions, "client.ts", ...args];
      const { code, stdout, stderr } = await run(Deno.execPath(), all, { env });
      return [code, stdout, stderr];
    };
    assertEquals((await client([`:${server.port}`, `${temp.path}/a b.txt`, "--quiet"]))[0], 0);
    const url = `inlet://localhost:${server.port}/a%20b.txt`;
    assertEquals((await client([url, "--output", "-", "--quiet"])).slice(0, 2), [0, "water"]);
    assertStringIncludes((await client(["--list"]))[1], "a b.txt");
    // It is looked at only where Deno permits it already.
    const [code, , stderr] = await client(["--list"], ["--allow-net", "--allow-env=INLET_TOKEN"]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "Cannot connect without a server");
  },
);

integration("a config file that never ends, or has no end of names, gets one line", async () => {
  await using temp = await tempDir();
  Deno.mkdirSync(`${temp.path}/inlet`);
  const path = `${temp.path}/inlet/config.json`;
  const client = (): ReturnType<typeof run> => {
    const args = [
      "run",
      "--allow-read",
      "--allow-env=XDG_CONFIG_HOME",
      "client.ts",
      "@x",
      "--list",
    ];
    return run(Deno.execPath(), args, { env: { XDG_CONFIG_HOME: temp.path } });
  };
  const cannot = `Cannot use @x: cannot read "${path}": `;
  await run("mkfifo", [path]);
  assertRefused(await client(), 2, `${cannot}it is no file`);
  Deno.removeSync(path);
  Deno.symlinkSync("/dev/zero", path);
  assertRefused(await client(), 2, `${cannot}it is no file`);
  Deno.removeSync(path);
  await temp.write("inlet/config.json", " ".repeat(1024 * 1024 + 1));
  assertRefused(await client(), 2, `${cannot}it has more than 1 MiB`);
  const servers = Array.from({ length: 30_000 }, (_, index) => [`${index}`, { address: "h:1" }]);
  const text = JSON.stringify({ servers: Object.fromEntries(servers) });
  await temp.write("inlet/config.json", text);
  const { code, stderr } = await client();
  assertEquals(code, 2);
  assertStringIncludes(stderr, "has no such server: give one of 0, 1, 2");
  assertStringIncludes(stderr, ", 49 and 29,950 more\n");
}, { programs: ["mkfifo"] });

integration("@NAME is a server of the config file, with its token and its options", async () => {
  await using temp = await tempDir();
  await using server = await startServer({ key: KEY });
  Deno.mkdirSync(`${temp.path}/inlet`);
  Deno.writeTextFileSync(`${temp.path}/inlet/home.token`, KEY, { mode: 0o600 });
  const home = {
    address: `127.0.0.1:${server.port}`,
    "token-file": "home.token",
    options: { name: "ann" },
  };
  await temp.write("inlet/config.json", withServer(home));
  const env = { XDG_CONFIG_HOME: temp.path };
  const client = (args: string[], permissions: string[]): ReturnType<typeof run> =>
    run(Deno.execPath(), ["run", ...permissions, "client.ts", ...args], { env });
  const permitted = ["--allow-net", "--allow-read", "--allow-env=XDG_CONFIG_HOME,HOME"];
  const status = await client(["@home", "--status"], permitted);
  assertEquals([status.code, status.stderr], [0, ""]);
  assertStringIncludes(status.stdout, "ann");
  // What is typed comes first.
  assertStringIncludes(
    (await client(["@home", "--status", "--name", "bob"], permitted)).stdout,
    "bob",
  );
  // Also where the two contradict each other.
  const logged = { ...home, options: { progress: "plain" } };
  await temp.write("inlet/config.json", withServer(logged));
  const sent = await client(["@home", fixture("hello.txt"), "--quiet"], permitted);
  assertEquals([sent.code, sent.stderr], [0, ""]);
  await temp.write("inlet/config.json", withServer({ ...home, options: { quiet: true } }));
  const shown = await client(["@home", fixture("hello.txt"), "--progress", "plain"], permitted);
  assertEquals(shown.code, 0, shown.stderr);
  const path = `${temp.path}/inlet/config.json`;
  assertRefused(
    await client(["@hme", "--list"], permitted),
    2,
    `Cannot use @hme: "${path}" has no such server: the nearest is home, give one of home`,
  );
  assertRefused(
    await client(["@home", "--list"], ["--allow-net", "--allow-env=XDG_CONFIG_HOME"]),
    2,
    `Cannot use @home: Deno reads its config file with --allow-read=${path}`,
  );
  assertRefused(
    await client(["@home", "--list"], ["--allow-net", "--allow-read"]),
    2,
    "Cannot use @home: its address is in a file below HOME, which Deno reads with --allow-env=HOME",
  );
});
