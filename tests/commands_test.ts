import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  assertRefused,
  fixture,
  integration,
  names,
  run,
  runClient,
  runScript,
  startServer,
  tempDir,
} from "./helpers.ts";
import { MODES } from "../modes/table.ts";
import { Wire } from "./wire.ts";

const PORT = "a whole number from 1024 to 65535";
const UNITS =
  "B, kB, MB, GB, TB (powers of 1,000), KiB, MiB, GiB, TiB or K, M, G, T (powers of 1,024)";
const SIZE = "a size of at least 1 byte, like 500, 64KiB, 10MB or 1.5GiB";

const ONE_PORT = "give one port, a folder with --dir, and an address with --host";

const SERVER_MISUSE: [string[], string][] = [
  [[], "Cannot listen without a port: give one, like 5000; try --help"],
  [["http"], `Cannot use "http" as the port: give ${PORT}`],
  [["80"], `Cannot use "80" as the port: give ${PORT}`],
  [["1023"], `Cannot use "1023" as the port: give ${PORT}`],
  [["65536"], `Cannot use "65536" as the port: give ${PORT}`],
  [["5000.5"], `Cannot use "5000.5" as the port: give ${PORT}`],
  [["0", "1"], `Cannot use "1": ${ONE_PORT}`],
  [["5000", "received"], `Cannot use "received": ${ONE_PORT}`],
  [["--port", "5000"], withoutOption("--port", "port")],
  [["-p", "5000"], withoutOption("-p", "port")],
  [
    ["127.0.0.1", "5000"],
    'Cannot use "127.0.0.1" as the port: the port stands alone, like 5000 --host 127.0.0.1',
  ],
  [
    ["localhost:5000"],
    'Cannot use "localhost:5000" as the port: the port stands alone, like 5000 --host localhost',
  ],
  [
    ["0", "--max-clients", "5", "--max-per-address", "10"],
    "Cannot serve 10 clients from one address: the server serves 5 at once",
  ],
  [["0", "--max-client", "3"], nearest("--max-client", "max-clients")],
  [["0", "--fsnc"], nearest("--fsnc", "fsync")],
  [["0", "--dir"], "Cannot use --dir without a value: give --dir DIR"],
  [["0", "--dir", "a", "--dir", "b"], "Cannot use --dir twice"],
  [
    ["0", "--mode", "ftp"],
    `Cannot use the mode "ftp": give one of ${Object.keys(MODES).join(", ")}`,
  ],
  [["0", "--log", "xml"], 'Cannot use "xml" as the --log: give one of text, json'],
  [
    ["0", "--max-size", "10 apples"],
    `Cannot use "10 apples" as the --max-size: give one of the units ${UNITS}`,
  ],
  [["0", "--max-size", "0"], `Cannot use "0" as the --max-size: give ${SIZE}`],
  [["0", "--timeout", "-5"], 'Cannot use "-5" as the --timeout: give seconds from 0.1 to 86400'],
  [
    ["0", "--max-clients", "0"],
    'Cannot use "0" as the --max-clients: give a whole number from 1 to 100000',
  ],
];

function nearest(given: string, known: string): string {
  return `Cannot use "${given}": there is no such option, the nearest is --${known}`;
}

function withoutOption(given: string, what: string): string {
  return `Cannot use "${given}": there is no such option, the ${what} is typed without one`;
}

for (const [args, line] of SERVER_MISUSE) {
  integration(`${["server.ts", ...args].join(" ")} exits 2 with one line`, async () => {
    assertRefused(await runScript("server.ts", args), 2, line);
  });
}

const TOGETHER = "Cannot use --list together with --status; try --help";

const GIVE_ADDRESS = "give HOST PORT or HOST:PORT, like 127.0.0.1 5000; try --help";

const GIVE_FIRST = "give HOST PORT or HOST:PORT, and then the files, like 127.0.0.1 5000 file.txt";

const CLIENT_MISUSE: [string[], string][] = [
  [[], `Cannot connect without a server: ${GIVE_ADDRESS}`],
  [["127.0.0.1"], `Cannot connect to "127.0.0.1" without a port: ${GIVE_ADDRESS}`],
  [
    ["5000", "localhost", "a"],
    'Cannot use "5000" as the host: the host comes first, like 127.0.0.1 5000',
  ],
  [["::1:5000", "a"], 'Cannot use "::1:5000" without a port: give [::1]:5000'],
  [["::1:5000"], 'Cannot use "::1:5000" without a port: give [::1]:5000'],
  [["fe80::1", "a"], `Cannot use "a" as the port: ${GIVE_FIRST}`],
  [
    ["127.0.0.1", "http", "a"],
    `Cannot use "http" as the port: ${GIVE_FIRST}`,
  ],
  [["127.0.0.1", "a"], `Cannot use "a" as the port: ${GIVE_FIRST}`],
  [["a", "127.0.0.1", "5000"], `Cannot use "a" as the host: ${GIVE_FIRST}`],
  [["a", "b", "127.0.0.1:5000"], `Cannot use "a" as the host: ${GIVE_FIRST}`],
  [["a", "localhost:5000"], `Cannot use "a" as the host: ${GIVE_FIRST}`],
  [
    ["127.0.0.1:", "5000", "a"],
    'Cannot use "127.0.0.1:" as the host: give the name or the address of a host',
  ],
  [
    ["127.0.0.1", ":5000", "a"],
    'Cannot use ":5000" as the port: give 5000, without the colon; files come behind the port',
  ],
  [["--host", "127.0.0.1", "--port=5000", "a"], withoutOption("--host", "host")],
  [["127.0.0.1", "--port=5000", "a"], withoutOption("--port=5000", "port")],
  [["127.0.0.1", "-p", "5000", "a"], withoutOption("-p", "port")],
  [["127.0.0.1", "5000", "-get", "a"], nearest("-get", "get")],
  [["127.0.0.1", "0", "a"], 'Cannot use "0" as the port: give a whole number from 1 to 65535'],
  [["127.0.0.1", "5000", "--lst"], nearest("--lst", "list")],
  [
    ["127.0.0.1", "5000", "--mode", "revers"],
    `Cannot use the mode "revers": the nearest is reverse, give one of ${
      Object.keys(MODES).join(", ")
    }`,
  ],
  [["127.0.0.1", "5000", "none.txt"], 'Cannot send "none.txt": it does not exist'],
  [
    ["127.0.0.1", "5000", "~/none.txt"],
    'Cannot send "~/none.txt": it does not exist; ~ is not expanded here, give the whole path',
  ],
  [
    ["127.0.0.1", "5000", "--get", "a", "--exclude", "b"],
    "Cannot use --exclude with --get of a file; for a folder, use --get NAME/; try --help",
  ],
  [
    ["127.0.0.1", "5000", "--get", "a/", "--output", "-"],
    "Cannot use --output - with a folder; try --help",
  ],
  [
    ["127.0.0.1", "5000", "--get", "a", "--output", "-", "--resume"],
    "Cannot use --resume with --output -; try --help",
  ],
  [
    ["127.0.0.1", "5000", "--get", "a", "--resume", "--keep-partials", "0"],
    "Cannot use --resume with --keep-partials 0; try --help",
  ],
  [
    ["127.0.0.1", "5000", "--get", "../a/"],
    'Cannot take the name "../a": it leads out of the directory',
  ],
  [
    ["127.0.0.1", "5000", "-", "--as", "a", "--resume", "--retry", "3"],
    "Cannot use --resume with the standard input; try --help",
  ],
  [["127.0.0.1", "5000", ""], "Cannot send a file without a name"],
  [
    ["127.0.0.1", "5000", "--list", "--resume", "--retry", "3"],
    "Cannot use --resume without a FILE or --get; try --help",
  ],
  [
    ["127.0.0.1", "5000", "--list", "--strict"],
    "Cannot use --strict without a FILE or --get; try --help",
  ],
  [
    ["127.0.0.1", "5000", "a", "--mode", "raw", "--resume", "--retry", "3"],
    "Cannot use --resume in mode raw; try --help",
  ],
  [
    ["127.0.0.1", "5000", "a", "--skip-same", "--mode", "upload"],
    "Cannot use --skip-same in mode upload; try --help",
  ],
  [
    ["127.0.0.1", "5000", "a", "--retry", "0"],
    'Cannot use "0" as the --retry: give a whole number from 1 to 1000000',
  ],
  [
    ["127.0.0.1", "5000", "deno.json/a"],
    'Cannot send "deno.json/a": a part of the path is not a folder',
  ],
  [["127.0.0.1", "5000", "--list", "--status"], TOGETHER],
  [["127.0.0.1", "5000", "a", "--status"], "Cannot use FILE together with --status; try --help"],
  [
    ["127.0.0.1", "5000", "--get", "./../a"],
    'Cannot take the name "../a": it leads out of the directory',
  ],
  [
    ["127.0.0.1", "5000", "--get", "a", "b", "--output", "-"],
    "Cannot use --output - with several files; try --help",
  ],
  [
    ["127.0.0.1", "5000", "--output", "a"],
    "Cannot use --output without --get or --accept; try --help",
  ],
  [
    ["127.0.0.1", "5000", "a", "b", "--as", "c"],
    "Cannot use --as c for several files: for a folder to put them in, give --as c/",
  ],
  [
    ["127.0.0.1", "5000", "a", "-", "--as", "c/"],
    'Cannot store the standard input as "c/": it names a folder; give --as c/NAME',
  ],
  [
    ["127.0.0.1", "5000", "--list", "--as", "c"],
    "Cannot use --as together with --list; try --help",
  ],
  [
    ["127.0.0.1", "5000", "--list", "--mode", "upload"],
    "Cannot use --list in mode upload; try --help",
  ],
  [
    ["127.0.0.1", "5000", "--mode", "ftp"],
    `Cannot use the mode "ftp": give one of ${Object.keys(MODES).join(", ")}`,
  ],
  [
    ["127.0.0.1", "5000", "-"],
    "Cannot store the standard input without a name: give --as NAME",
  ],
];

for (const [args, line] of CLIENT_MISUSE) {
  integration(`${["client.ts", ...args].join(" ")} exits 2 with one line`, async () => {
    assertRefused(await runScript("client.ts", args), 2, line);
  });
}

for (const script of ["server.ts", "client.ts"]) {
  integration(`${script} --help and --version go to stdout, without a permission`, async () => {
    const help = await run(Deno.execPath(), ["run", script, "--help"]);
    assertEquals([help.code, help.stderr], [0, ""]);
    assertStringIncludes(help.stdout, `Usage: ${script} `);
    for (const line of help.stdout.split("\n")) assert(line.length <= 100, line);
    const { version } = JSON.parse(await Deno.readTextFile(`${fixture("..")}/deno.json`));
    const printed = await run(Deno.execPath(), ["run", script, "--version"]);
    assertEquals([printed.code, printed.stdout], [0, `inlet ${version}\n`]);
  });
}

integration("server.ts on a port that is taken exits 4 with one line", async () => {
  await using first = await startServer();
  await using local = await tempDir();
  assertRefused(
    await runScript("server.ts", [String(first.port), "--dir", `${local.path}/received`]),
    4,
    `Cannot listen on 127.0.0.1:${first.port}: the address is in use; ` +
      "stop the other server, or choose another port (0 for any free one)",
  );
});

for (const [text, limit] of [["2kB", 2000], ["1.5 KiB", 1536], ["10", 10]] as const) {
  integration(`server.ts --max-size ${text} is ${limit} bytes`, async () => {
    await using limited = await startServer({ args: ["--max-size", text] });
    using wire = await Wire.greet(limited);
    await wire.says(`put ${limit + 1} a\n`);
    assertStringIncludes(await wire.line(), `the limit is ${limit} bytes`);
    await wire.says(`put ${limit} a\n`);
    assertEquals(await wire.line(), "go 0");
  });
}

integration("server.ts --log json writes one object a line", async () => {
  await using ours = await startServer({ args: ["--log", "json"] });
  await runClient(ours, [fixture("hello.txt"), "--as", "ü .txt", "--name", "\x1b[31mben"]);
  await ours.running.says(/"event":"left"/);
  const events = ours.running.log.split("\n").map((line) => JSON.parse(line));
  assertEquals(
    events.map(({ event }) => event),
    ["listening", "connected", "welcome", "stored", "left"],
  );
  assertEquals(events[0].port, ours.port);
  const { file, bytes, crc, id, client, level } = events[3];
  assertEquals([file, bytes, crc, id, level], ["ü .txt", 6, "363a3020", 1, "info"]);
  assertEquals([client, events[2].client], ["\x1b[31mben", "\x1b[31mben"]);
  assert(events.every(({ time }) => !Number.isNaN(Date.parse(time))));
});

integration("server.ts --quiet says the first line and errors", async () => {
  await using ours = await startServer({ args: ["--quiet"] });
  await runClient(ours, [fixture("hello.txt")]);
  await runClient(ours, [fixture("hello.txt"), "--as", "inlet~1"]);
  await ours.running.stop();
  const [first, second, ...rest] = ours.running.log.split("\n");
  assertStringIncludes(first!, "listening on 127.0.0.1:");
  assertStringIncludes(second!, 'Cannot take the name "inlet~1"');
  assertEquals(rest, []);
});

integration("client.ts --quiet says errors only", async () => {
  await using ours = await startServer();
  const { code, stdout, stderr } = await runClient(ours, [fixture("hello.txt"), "--quiet"]);
  assertEquals([code, stdout, stderr], [0, "", ""]);
  const refused = await runClient(ours, [fixture("hello.txt"), "--as", "inlet~1", "--quiet"]);
  assertEquals(refused.code, 3);
  assertStringIncludes(refused.stderr, 'Cannot take the name "inlet~1"');
});

integration("server.ts --fsync stores files and folders", async () => {
  await using ours = await startServer({ args: ["--fsync"] });
  const files = ["hello.txt", "1MiB.txt"].map(fixture);
  assertEquals((await runClient(ours, files)).code, 0);
  assertEquals((await runClient(ours, [files[0]!, "--as", "a/b/c.txt"])).code, 0);
  assertEquals(names(ours.dir), ["1MiB.txt", "a", "hello.txt"]);
});

integration("server.ts says whether the network can reach it", async () => {
  await using local = await startServer();
  assertStringIncludes(local.running.log, "(this machine only)");
  await using open = await startServer({ args: ["--host", "0.0.0.0", "--open"] });
  assertStringIncludes(open.running.log, "(open to the network)");
  assertEquals((await runClient(open, [fixture("hello.txt")])).code, 0);
});
