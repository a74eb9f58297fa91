/**
 * Unix sockets in the place of a port: every action and every wire over one, with other programs too.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { concat } from "@std/bytes/concat";
import { connect as connectClient, InletError, send, SendError } from "../client.ts";
import { clientOf, formatAddress, hostOf, isNear, unixPathIn, unixPeer } from "../lib/address.ts";
import { connect } from "../lib/net/connect.ts";
import { AddressRanges } from "../lib/net/address_ranges.ts";
import { Clients } from "../lib/server/clients.ts";
import { serve } from "../server.ts";
import {
  assertRefused,
  bytes,
  fixture,
  freePort,
  integration,
  KEY,
  names,
  pure,
  run,
  Running,
  runScript,
  scriptPath,
  startServer,
  tempDir,
  uploadGrows,
} from "./helpers.ts";
import { openTerminal } from "./tmux.ts";
import { runUnixClient, startUnixClient, startUnixServer, type UnixServer } from "./unix_server.ts";

const CURL = { programs: ["curl"] };

const QUIET = { quiet: true };

pure("an address can be a Unix socket, whose peers are on this machine and have numbers", () => {
  assertEquals(unixPathIn("unix:/run/inlet.sock"), "/run/inlet.sock");
  assertEquals([unixPathIn("unix:"), unixPathIn("127.0.0.1:1")], ["", undefined]);
  assertEquals(formatAddress({ path: "/run/inlet.sock" }), "unix:/run/inlet.sock");
  const peer = unixPeer(7);
  assertEquals([peer, hostOf(peer), isNear(peer), clientOf({ remote: peer })], [
    ...["unix:7", "unix", true, "unix:7"],
  ]);
  assertEquals([isNear("[::1]:5"), isNear("127.0.0.1:5"), isNear("192.0.2.7:5")], [
    ...[true, true, false],
  ]);
});

pure("peers at a Unix socket share no places unless they are told to, and may be a proxy", () => {
  assertEquals(new Clients(100).limitFor(unixPeer(1)), Infinity);
  const few = new Clients(100, 2);
  assert(few.admit(unixPeer(1)) && few.admit(unixPeer(2)));
  assertEquals(few.admit(unixPeer(3)), undefined);
  const ranges = new AddressRanges(["10.0.0.0/8", "unix"], "it");
  assertEquals([ranges.has("unix"), ranges.has("10.0.0.1"), ranges.has("127.0.0.1")], [
    ...[true, true, false],
  ]);
  assert(!new AddressRanges(["0.0.0.0/0", "::/0"], "it").has("unix"));
});

for (const key of [undefined, KEY]) {
  const how = key === undefined ? "in the clear" : "encrypted";
  integration(`client.ts unix:PATH does all that it does at a port, ${how}`, async () => {
    await using server = await startUnixServer({ key });
    await using local = await tempDir();
    const client = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runUnixClient(server, args);
      assertEquals(code, 0, stderr);
      return stdout + stderr;
    };
    const hello = fixture("hello.txt");
    await client(hello, fixture("1MiB.txt"), "--resume");
    Deno.mkdirSync(`${local.path}/photos/deep`, { recursive: true });
    await local.write("photos/a.bin", bytes(5_000_000));
    await local.write("photos/deep/b", "b");
    assertMatch(await client(`${local.path}/photos`), /photos: 2 files, /);
    assertMatch(
      await client(`${local.path}/photos`, "--skip-same"),
      /2 files already there|already/,
    );
    assertMatch(await client("--list"), /hello\.txt[^]*photos/);
    assertMatch(await client("--status"), /^client \d+ \| inlet \| unix:\d+ \| Start/m);
    assertStringIncludes(await client("--get", "hello.txt", "--output", "-"), "hello");
    Deno.mkdirSync(`${local.path}/got`);
    await client("--get", "photos/", "--output", `${local.path}/got`);
    assertEquals(Deno.readFileSync(`${local.path}/got/photos/a.bin`), bytes(5_000_000));
    await runUnixClient(server, ["--name", "ann"], { stdin: "water\n" });
    const session = await runUnixClient(server, ["--session"], { stdin: "list\nmilk\n" });
    assertEquals(session.code, 0, session.stderr);
    assertMatch(session.stdout, /hello\.txt[^]*milk ACK/);
    await server.running.stop();
    assertEquals(await server.stdout, "water\n");
    assertMatch(server.running.log, /^\S+ \S+ client 1: connected from unix:1, 1 connected$/m);
  });
}

const MODES: [mode: string, args: string[], says: RegExp][] = [
  ["upload", [fixture("1MiB.txt")], /: 1 MiB, CRC-32 /],
  ["raw", [fixture("1MiB.txt")], /: 1 MiB, CRC-32 /],
  ["message", [fixture("hello.txt")], /: 6 B, CRC-32 /],
  ["reverse", [fixture("hello.txt")], /olleh/],
];

for (const [mode, args, says] of MODES) {
  integration(`mode ${mode} goes over a Unix socket`, async () => {
    await using server = await startUnixServer({ args: ["--mode", mode] });
    const ended = await runUnixClient(server, ["--mode", mode, ...args]);
    assertEquals(ended.code, 0, ended.stderr);
    assertMatch(ended.stdout + ended.stderr, says);
    await server.running.stop();
    const file = Deno.readFileSync(args[0]!);
    if (mode === "message") assertEquals(await server.stdout, new TextDecoder().decode(file));
    if (mode === "message" || mode === "reverse") return;
    const [name] = names(server.dir);
    assertEquals(Deno.readFileSync(`${server.dir}/${name}`), file);
  });
}

integration("mode talk and other fallbacks go over a Unix socket", async () => {
  await using server = await startUnixServer({ args: ["--mode", "talk"] });
  Deno.mkdirSync(server.dir, { recursive: true });
  Deno.writeTextFileSync(`${server.dir}/a.txt`, "water");
  const listed = await runUnixClient(server, ["--mode", "talk", "--list"]);
  assertEquals([listed.code, listed.stdout], [0, "a.txt\n"], listed.stderr);
  await using both = await startUnixServer({ args: ["--fallback", "message"] });
  using conn = await Deno.connect({ transport: "unix", path: both.path });
  await conn.write(new TextEncoder().encode("just words\n"));
  await conn.closeWrite();
  assertEquals(await restOf(conn), "");
  assertEquals((await runUnixClient(both, [fixture("hello.txt")])).code, 0);
  await both.running.stop();
  assertEquals(await both.stdout, "just words\n");
});

/** All that comes until the other side closes. */
async function restOf(conn: Deno.Conn): Promise<string> {
  return await new Response(conn.readable).text();
}

/** Runs curl to a server at a Unix socket. */
async function curl({ path, key }: UnixServer, ...args: string[]): Promise<string> {
  const proof = key === undefined ? [] : ["-k", "-u", `ben:${key}`];
  const ended = await run("curl", ["-sS", "--unix-socket", path, ...proof, ...args]);
  assertEquals([ended.code, ended.stderr], [0, ""]);
  return ended.stdout;
}

for (const key of [undefined, KEY]) {
  const scheme = key === undefined ? "http" : "https";
  integration(`curl --unix-socket speaks ${scheme} to the server, tus and events too`, async () => {
    await using server = await startUnixServer({ key });
    await using local = await tempDir();
    const url = `${scheme}://localhost`;
    const content = bytes(3_000_000);
    const file = await local.write("a b.bin", content);
    assertMatch(await curl(server, "-i", "-T", file, `${url}/`), /^HTTP\/1\.1 201 /m);
    await curl(server, "-o", `${local.path}/got`, `${url}/files/a%20b.bin`);
    assertEquals(Deno.readFileSync(`${local.path}/got`), content);
    assertMatch(await curl(server, `${url}/`), /<title>/);
    assertMatch(await curl(server, `${url}/metrics`), /^inlet_stored_files_total 1$/m);
    const tus = ["-i", "-H", "Tus-Resumable: 1.0.0"];
    const begun = await curl(
      ...[server, ...tus, "-X", "POST", "-H", "Upload-Length: 5"] as const,
      ...["-H", `Upload-Metadata: filename ${btoa("tus.txt")}`, `${url}/uploads/`],
    );
    const [, upload] = /^Location: (\/uploads\/\S+)\r$/m.exec(begun)!;
    const patch = ["-X", "PATCH", "-H", "Upload-Offset: 0", "--data-binary", "water"];
    const type = ["-H", "Content-Type: application/offset+octet-stream"];
    const sent = await curl(server, ...tus, ...patch, ...type, url + upload);
    assertMatch(sent, /^HTTP\/1\.1 204 /);
    assertEquals(Deno.readTextFileSync(`${server.dir}/tus.txt`), "water");
    // A proxy may pass on what a page of others has sent.
    const origin = ["-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: evil.example"];
    assertEquals(await curl(server, ...origin, `${url}/files/`), "421");
    const events = ["-m", "20", "-N", `${url}/events?name=ann`];
    const reading = new Deno.Command("curl", {
      args: [
        "-sS",
        "--unix-socket",
        server.path,
        ...key ? ["-k", "-u", `ann:${key}`] : [],
        ...events,
      ],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let text = "";
    for await (const chunk of reading.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (/event: welcome/.test(text)) break;
    }
    reading.kill();
    await reading.status;
    assertStringIncludes(text, '"name":"ann"');
  }, CURL);
}

/** An nginx before a server at a Unix socket, as docs/http.md has it for a port. */
async function startNginx(dir: string, port: number, socket: string): Promise<Running> {
  const text = await Deno.readTextFile(new URL("../docs/http.md", import.meta.url));
  const [, location] = /^```nginx\n([^]*?)^```$/m.exec(text)!;
  const temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${dir}/${name};`).join("\n");
  const user = Deno.uid() === 0 ? "user root;" : "";
  Deno.writeTextFileSync(
    `${dir}/nginx.conf`,
    `${user} daemon off; pid ${dir}/pid; error_log stderr notice; events {}
    http { access_log off; ${temps} server { listen 127.0.0.1:${port};
      ${location!.replace("http://127.0.0.1:5000", `http://unix:${socket}`)} } }`,
  );
  const args = ["-p", dir, "-c", `${dir}/nginx.conf`, "-e", "stderr"];
  const process = new Deno.Command("nginx", { args, stdout: "null", stderr: "piped" }).spawn();
  const running = new Running(process);
  await running.says(/start worker process \d+$/);
  return running;
}

integration("behind nginx at its Unix socket, the server knows the real client", async () => {
  await using local = await tempDir();
  const args = ["--proxy-from", "unix", "--base-path", "/inlet"];
  await using server = await startUnixServer({ args });
  const port = freePort();
  await using _nginx = await startNginx(local.path, port, server.path);
  const file = await local.write("a.bin", bytes(3_000_000));
  const from = ["-sS", "--noproxy", "*", "--interface", "127.0.0.9"];
  const url = `http://127.0.0.1:${port}/inlet`;
  const put = await run("curl", [...from, "-w", "%{http_code}", "-T", file, `${url}/`]);
  assertMatch(put.stdout, /201$/, put.stderr);
  assertEquals(Deno.readFileSync(`${server.dir}/a.bin`), bytes(3_000_000));
  // The metrics are for this machine alone, and nginx asks for others.
  const metrics = await run("curl", [...from, "-w", "%{http_code}", `${url}/metrics`]);
  assertMatch(metrics.stdout, /403$/);
  await server.running.says(/client 1: comes from 127\.0\.0\.9:0, by the proxy at unix:1$/);
}, { programs: ["nginx", "curl"] });

const PROXY_HEADER = concat([
  new TextEncoder().encode("\r\n\r\n\0\r\nQUIT\n"),
  Uint8Array.of(0x21, 0x11, 0, 12, 203, 0, 113, 7, 127, 0, 0, 1, 0x12, 0x67, 0x13, 0x88),
]);

integration("a PROXY header at a Unix socket counts with --proxy-from unix alone", async () => {
  for (const [args, line] of [[["--proxy-from", "unix"], ""], [[], "error denied"]] as const) {
    await using server = await startUnixServer({ args });
    using conn = await Deno.connect({ transport: "unix", path: server.path });
    await conn.write(concat([PROXY_HEADER, new TextEncoder().encode("hello 1 ann\nbye\n")]));
    await conn.closeWrite();
    const answer = await restOf(conn);
    if (line === "") await server.running.says(/connected from 203\.0\.113\.7:4711, 1 connected$/);
    else assertStringIncludes(answer, "Cannot take a PROXY header from unix: give --proxy-from");
  }
});

integration("a session in a terminal goes over a Unix socket", async () => {
  await using server = await startUnixServer();
  await using local = await tempDir();
  const command = [Deno.execPath(), "run", "-A", scriptPath("client.ts"), `unix:${server.path}`];
  await using terminal = await openTerminal([...command, "--name", "ann"], { cwd: local.path });
  await terminal.shows(/^Welcome, ann: [^]*^ann>$/m);
  await terminal.type("status");
  await terminal.press("Enter");
  await terminal.shows(/^client 1 \| ann \| unix:1 \| Start: /m);
  await terminal.type("exit");
  await terminal.press("Enter");
  await terminal.shows(/^exit 0$/m);
}, { programs: ["tmux"] });

integration("a client with --retry goes on at the server that comes back", async () => {
  await using local = await tempDir();
  const file = await local.write("large.bin", bytes(5_000_000));
  await using first = await startUnixServer({ folder: local.path });
  await using client = startUnixClient(first, [file, "--retry", "20", "--limit", "1MB"]);
  await uploadGrows(first.dir, 100_000);
  await first.running.stopInsistently("SIGTERM");
  await client.says(/trying again in/);
  await using second = await startUnixServer({ folder: local.path });
  await second.running.says(/stored "large\.bin"/);
  assertEquals((await client.ended()).code, 0);
  assertEquals(Deno.readFileSync(`${second.dir}/large.bin`), bytes(5_000_000));
});

integration("a client that is killed within a file leaves nothing of it", async () => {
  await using local = await tempDir();
  const file = await local.write("large.bin", bytes(20_000_000));
  await using server = await startUnixServer();
  await using client = startUnixClient(server, [file, "--limit", "1MB"]);
  await uploadGrows(server.dir, 100_000);
  await client.stop("SIGKILL");
  await server.running.says(/left, 0 connected/);
  assertEquals(names(server.dir), []);
});

integration(
  "in the modes that end a body with the stream, a server that goes is noticed",
  async () => {
    await using local = await tempDir();
    const file = await local.write("large.bin", bytes(20_000_000));
    await using server = await startUnixServer({ args: ["--mode", "raw"] });
    await using client = startUnixClient(server, [file, "--mode", "raw", "--limit", "1MB"]);
    await uploadGrows(server.dir, 100_000);
    await server.running.stop("SIGKILL");
    assertEquals((await client.ended()).code, 4);
  },
);

integration(
  "a client of mode raw that gives up cannot reset a Unix socket, as is documented",
  async () => {
    await using local = await tempDir();
    const file = await local.write("large.bin", bytes(20_000_000));
    for (const mode of ["raw", "upload"]) {
      await using server = await startUnixServer({ args: ["--mode", mode] });
      await using client = startUnixClient(server, [file, "--mode", mode, "--limit", "1MB"]);
      await uploadGrows(server.dir, 100_000);
      assertEquals((await client.stopInsistently("SIGINT")).code, 130);
      await server.running.says(/left, 0 connected/);
      // A size tells the end too.
      assertEquals(names(server.dir), mode === "raw" ? ["1.file"] : []);
    }
  },
);

integration("the log in JSON has the path of the socket", async () => {
  await using server = await startUnixServer({ args: ["--log", "json"] });
  const { event, path, hostname, port } = JSON.parse(server.running.log.split("\n")[0]!);
  assertEquals([event, path, hostname, port], ["listening", server.path, undefined, undefined]);
});

integration("serve(), send() and connect() of the library take a path", async () => {
  await using local = await tempDir();
  const path = `${local.path}/inlet.sock`;
  const directory = `${local.path}/received`;
  {
    await using server = await serve({ path, directory, key: KEY, log: QUIET });
    assertEquals(server.address, { transport: "unix", path });
    const [sent] = await send(server.address, [fixture("hello.txt")], { key: KEY });
    assertEquals(sent!.stored.name, "hello.txt");
    await using client = await connectClient({ path }, { key: KEY });
    assertEquals((await client.put("a.bin", bytes(100_000))).name, "a.bin");
    assertEquals(await new Response((await client.get("a.bin")).body).bytes(), bytes(100_000));
    await assertRejects(
      () => serve({ path, directory, log: QUIET }),
      InletError,
      "another server listens",
    );
  }
  assertEquals(names(local.path), ["received"]);
  const error = await assertRejects(() => send({ path }, [fixture("hello.txt")]), SendError);
  assertEquals([error.code, error.message], [
    "lost",
    `Cannot connect to unix:${path}: there is no such socket; is the server running?`,
  ]);
  const wrong: [options: object, message: string][] = [
    [{ path, port: 1 }, "Cannot use port with path; try --help"],
    [{ path: "" }, 'Cannot use "" as path: give a text that is not empty'],
    [{ path, socketMode: 0o1000 }, "Cannot use 512 as socketMode: give permissions from 0o000"],
    [{ socketMode: 0o600 }, "Cannot use socketMode without path; try --help"],
  ];
  for (const [options, message] of wrong) {
    const failure = await serve(options).then(() => undefined, (error) => error);
    assertStringIncludes(failure?.message, message);
  }
});

integration("a client waits where the server's queue of connections is full", async () => {
  await using local = await tempDir();
  const path = `${local.path}/inlet.sock`;
  using listener = Deno.listen({ transport: "unix", path });
  const queued: Deno.Conn[] = [];
  try {
    for (;;) queued.push(await Deno.connect({ transport: "unix", path }));
  } catch (error) {
    assert(error instanceof Deno.errors.WouldBlock, String(error));
  }
  const { signal } = new AbortController();
  const late = await assertRejects(() => connect({ path }, { timeoutMs: 100, signal }));
  assertEquals((late as Error).message, `Cannot connect to unix:${path}: no answer within 0.1 s`);
  const connecting = connect({ path }, { timeoutMs: 60_000, signal });
  (await listener.accept()).close();
  using connection = await connecting;
  assertEquals(connection.remote, `unix:${path}`);
  for (const conn of queued) conn.close();
});

integration("what is no address of a Unix socket gets one line", async () => {
  const give = "give a path, like unix:/run/inlet.sock";
  for (const script of ["client.ts", "server.ts"]) {
    assertRefused(await runScript(script, ["unix:"]), 2, `Cannot use "unix:": ${give}`);
  }
  const server: [args: string[], line: string][] = [
    [["unix:a.sock", "--host", "::1"], "Cannot use --host with a Unix socket; try --help"],
    [["unix:a.sock", "--backlog", "5"], "Cannot use --backlog with a Unix socket; try --help"],
    [["0", "--socket-mode", "600"], "Cannot use --socket-mode with a port; try --help"],
    [
      ["unix:a.sock", "--socket-mode", "888"],
      'Cannot use "888" as the --socket-mode: give three octal digits, like 600 or 660',
    ],
  ];
  for (const [args, line] of server) assertRefused(await runScript("server.ts", args), 2, line);
  await using port = await startServer();
  const { code, stderr } = await runScript("client.ts", [
    ...["unix:/nowhere/inlet.sock", "5000", "--as", String(port.port)],
  ]);
  // A number behind it is a file.
  assertEquals([code, stderr], [2, 'inlet: Cannot send "5000": it does not exist\n']);
});
