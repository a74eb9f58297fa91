import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { LineReverser, MAX_REVERSED_LINE_BYTES } from "../modes/reverse_lines.ts";
import {
  dial,
  exchange,
  fixture,
  integration,
  PYTHON,
  readAll,
  ROOT,
  run,
  runClient,
  Running,
  runPeer,
  sendTo,
  startPeer,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";

function startReverse(...args: string[]): Promise<TestServer> {
  return startServer({ args: ["--mode", "reverse", ...args] });
}

/** The answer to a text that comes in chunks. */
function reversed(...chunks: (string | Uint8Array)[]): string {
  const reverser = new LineReverser();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let answer = "";
  for (const chunk of chunks) {
    const content = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk.slice();
    for (const piece of reverser.add(content)) answer += decoder.decode(piece, { stream: true });
  }
  return answer + decoder.decode(reverser.end());
}

const LINES: Record<string, [line: string, answer: string]> = {
  "LF": ["Hello\n", "olleH\n"],
  "CR LF": ["Hello\r\n", "olleH\r\n"],
  "blank lines": ["\n\r\na\n\n", "\n\r\na\n\n"],
  "tabs and spaces": ["\ta b  \n", "  b a\t\n"],
  "a missing last newline": ["one\ntwo", "eno\nowt"],
  "empty input": ["", ""],
  "a CR within a line": ["a\rb\n", "b\ra\n"],
  "a CR at the end of the input": ["ab\r", "\rba"],
  "accents that are one character": ["né\n", "én\n"],
  "combining accents": ["ne\u0301e\n", "ee\u0301n\n"],
  "flags": ["a🇩🇪🇫🇷b\n", "b🇫🇷🇩🇪a\n"],
  "family emoji": ["👨‍👩‍👧‍👦!👍🏽\n", "👍🏽!👨‍👩‍👧‍👦\n"],
  "Hangul made of parts": ["한글\n", "글한\n"],
  "scripts of several bytes a letter": ["日本語 текст\n", "тскет 語本日\n"],
  "a byte order mark": ["\ufeffab\n", "ba\ufeff\n"],
};

for (const [what, [line, answer]] of Object.entries(LINES)) {
  Deno.test(`LineReverser reverses ${what}, however it is cut into chunks`, () => {
    assertEquals(reversed(line), answer);
    const content = new TextEncoder().encode(line);
    assertEquals(reversed(...Array.from(content, (byte) => new Uint8Array([byte]))), answer);
    for (let at = 0; at <= content.length; at++) {
      assertEquals(reversed(content.subarray(0, at), content.subarray(at)), answer);
    }
  });
}

Deno.test("LineReverser gives a whole line back as Intl.Segmenter would, whatever is in it", () => {
  const parts = [
    "a",
    "b",
    " ",
    "é",
    "e\u0301",
    "日",
    "🇩🇪",
    "👨‍👩‍👧",
    "\u0600",
    "\u200d",
    "ᄒ",
    "ᅡ",
    "©",
    "क्ष",
  ];
  const segmenter = new Intl.Segmenter();
  let state = 1;
  for (let round = 0; round < 5000; round++) {
    let line = "";
    for (let length = round % 9; length >= 0; length--) {
      state = Math.imul(state, 1664525) + 1013904223;
      line += parts[(state >>> 16) % parts.length];
    }
    const expected = Array.from(segmenter.segment(line), ({ segment }) => segment).reverse();
    assertEquals(reversed(`${line}\n`), `${expected.join("")}\n`);
  }
});

Deno.test("LineReverser reverses bytes that are not UTF-8 as bytes", () => {
  const reverser = new LineReverser();
  const [answer] = reverser.add(new Uint8Array([0xff, 0xc3, 0xa9, 0x61, 0x0d, 0x0a]));
  assertEquals(answer, new Uint8Array([0x61, 0xa9, 0xc3, 0xff, 0x0d, 0x0a]));
});

Deno.test("LineReverser takes a line of 1 MiB, and none that is a byte longer", () => {
  const longest = "é".repeat(MAX_REVERSED_LINE_BYTES / 2);
  assertEquals(reversed(longest + "\r\n"), longest + "\r\n");
  assertEquals(reversed(longest.slice(7), longest.slice(0, 7), "\r", "\n"), longest + "\r\n");
  for (const ending of ["", "\n", "\r\n"]) {
    assertThrows(() => reversed(longest, "x", ending), InletError, "longer than 1048576 bytes");
  }
});

integration("reverse server answers a Python client", async () => {
  await using server = await startReverse();
  await using dir = await tempDir();
  const { "a missing last newline": last, ...others } = LINES;
  const whole = Object.values(others).filter(([line]) => line.endsWith("\n"));
  const [text, answer] = [0, 1].map((side) => [...whole, last!].map((pair) => pair[side]).join(""));
  const file = await dir.write("lines.txt", text!);
  const args = ["127.0.0.1", String(server.port), file];
  const { code, stdout, stderr } = await runPeer("reverse_client.py", args);
  assertEquals(code, 0, stderr);
  assertEquals(stdout, answer);
}, PYTHON);

integration("reverse server answers every one of many Python clients", async () => {
  await using server = await startReverse("--max-clients", "200", "--backlog", "200");
  const args = ["127.0.0.1", String(server.port), "150", "100"];
  const { code, stdout, stderr } = await runPeer("reverse_client_many.py", args);
  assertEquals([code, stdout], [0, "ok 150 100\n"], stderr);
}, PYTHON);

integration("reverse server answers a line at once, without waiting for the end", async () => {
  await using server = await startReverse();
  using conn = await dial(server);
  conn.setNoDelay(true);
  const buffer = new Uint8Array(100);
  for (const byte of "Hello\r\n") await sendTo(conn, byte);
  let answer = "";
  while (!answer.endsWith("\n")) {
    answer += new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
  }
  assertEquals(answer, "olleH\r\n");
});

integration("reverse server ends at a line over 1 MiB, with the reason in its log", async () => {
  await using server = await startReverse();
  using conn = await dial(server);
  const answer = readAll(conn);
  await sendTo(conn, "before\n" + "x".repeat(2 * MAX_REVERSED_LINE_BYTES)).catch(() => {});
  assertEquals(await answer, "erofeb\n");
  await server.running.says(/client 1: Cannot reverse a line: it is longer than 1048576 bytes/);
});

integration("reverse server closes on a client that falls silent", async () => {
  await using server = await startReverse("--session-timeout", "0.5");
  using conn = await dial(server);
  await sendTo(conn, "Hello\nunfinished");
  assertEquals(await readAll(conn), "olleH\n");
  await server.running.says(/client 1: No data in either direction for 0\.5 s/);
});

integration("reverse server cuts a client that never reads its answers", async () => {
  await using server = await startReverse("--session-timeout", "0.5");
  using conn = await dial(server);
  const lines = new TextEncoder().encode(("x".repeat(79) + "\n").repeat(10_000));
  const sending = (async () => {
    for (;;) await sendTo(conn, lines);
  })().catch(() => {});
  await server.running.says(/client 1: No data in either direction for 0\.5 s/);
  await sending;
});

integration("reverse server goes on after a connection that is reset", async () => {
  await using server = await startReverse();
  const args = ["127.0.0.1", String(server.port), fixture("1MiB.txt"), "--reset-after", "100000"];
  assertEquals((await runPeer("raw_client.py", args)).code, 0);
  // Connections are accepted in order: whatever became of the first one, it was before this. Its
  // reset can come before the server has accepted it, and is not logged then.
  for (const _ of [1, 2]) assertEquals(await exchange(server, "still here"), "ereh llits");
}, PYTHON);

integration("reverse server runs with --allow-net alone", async () => {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net", "server.ts", "0", "--mode", "reverse"],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  await using running = new Running(process);
  const [, port] = await running.says(/listening on \S+:(\d+)/);
  assertEquals(await exchange({ port: Number(port) }, "abc\n"), "cba\n");
});

integration("reverse client prints the answers of a Python server", async () => {
  await using server = await startPeer("reverse_server.py", []);
  await using dir = await tempDir();
  const file = await dir.write("lines.txt", "Hello\r\n\n\tné\nlast");
  const fromFile = await runClient(server, [file, "--mode", "reverse", "--quiet"]);
  assertEquals(fromFile, { ...fromFile, code: 0, stdout: "olleH\r\n\nén\t\ntsal", stderr: "" });
  const fromStdin = await runClient(server, ["--mode", "reverse"], { stdin: "one\ntwo\n" });
  assertEquals([fromStdin.code, fromStdin.stdout], [0, "eno\nowt\n"]);
  const ofNothing = await runClient(server, ["--mode", "reverse"], { stdin: "" });
  assertEquals([ofNothing.code, ofNothing.stdout], [0, ""]);
}, PYTHON);

integration("reverse client reads while it sends, so that no buffer fills up", async () => {
  await using server = await startReverse();
  await using dir = await tempDir();
  const line = "0123456789".repeat(8) + "\n";
  const file = await dir.write("lines.txt", line.repeat(400_000));
  const { code, stdoutBytes, stderr } = await runClient(server, [file, "--mode", "reverse"]);
  assertEquals(code, 0, stderr);
  const answer = new TextDecoder().decode(stdoutBytes);
  assert(answer === ("9876543210".repeat(8) + "\n").repeat(400_000));
});

integration("reverse client sends each FILE over a connection of its own", async () => {
  await using server = await startReverse();
  await using local = await tempDir();
  const files = [await local.write("a", "Hello\n"), await local.write("b", "world\n")];
  const { code, stdout } = await runClient(server, [...files, "--mode", "reverse"]);
  assertEquals([code, stdout], [0, "olleH\ndlrow\n"]);
  await server.running.says(/client 2: had/);
});

integration("reverse client prints an answer while its stdin is still open", async () => {
  await using server = await startReverse();
  const client = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "client.ts", "127.0.0.1", String(server.port)].concat(
      // Each answer has to come within this.
      ["--mode", "reverse", "--timeout", "5"],
    ),
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = client.stdin.getWriter();
  const reader = client.stdout.pipeThrough(new TextDecoderStream()).getReader();
  await writer.write(new TextEncoder().encode("one\nunfini"));
  assertEquals((await reader.read()).value, "eno\n");
  // Longer than the timeout: nothing is owed meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 5500));
  await writer.write(new TextEncoder().encode("shed\n"));
  assertEquals((await reader.read()).value, "dehsinifnu\n");
  await writer.close();
  assertEquals((await reader.read()).done, true);
  assertEquals((await client.status).code, 0);
});

integration("reverse client gives up with exit code 4 when no answer comes", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  // Whoever gives up resets the connection, which has to be accepted before.
  const args = ["--mode", "reverse", "--timeout", "4"];
  const client = runClient(listener.addr as Deno.NetAddr, args, { stdin: "Hello\n" });
  using conn = await listener.accept();
  assertEquals(await readAll(conn), "Hello\n");
  const { code, stdout, stderr } = await client;
  assertEquals([code, stdout], [4, ""]);
  assertMatch(stderr, /^the other side says nothing: .*\ninlet: No reply for 4 s\n$/);
});

integration(
  "reverse client gives up when no answer comes, however much it still sends",
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const command = `yes | "$0" run -A client.ts 127.0.0.1 ${port} --mode reverse --timeout 4`;
    const client = run("sh", ["-c", command, Deno.execPath()]);
    using conn = await listener.accept();
    const buffer = new Uint8Array(1024 * 1024);
    while (await conn.read(buffer).catch(() => null) !== null);
    const { code, stderr } = await client;
    assertEquals(code, 4);
    assertMatch(stderr, /^the other side says nothing: .*\ninlet: No reply for 4 s\n$/);
  },
);

integration("reverse client reports an answer that breaks off, with exit code 4", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const client = runClient(listener.addr as Deno.NetAddr, ["--mode", "reverse"], {
    stdin: "one\ntwo\n",
  });
  using conn = await listener.accept();
  await readAll(conn);
  await sendTo(conn, "eno\n");
  conn.close();
  const { code, stdout, stderr } = await client;
  assertEquals([code, stdout], [4, "eno\n"]);
  assertEquals(stderr, "inlet: The server closed with 4 bytes unanswered\n");
});

integration("reverse client says busy to a person, and to nobody else", async () => {
  await using server = await startReverse("--max-clients", "1");
  // The answer to this is what a full server says.
  const text = "1 fo 1 ysub\n";
  const taken = await runClient(server, ["--mode", "reverse"], { stdin: text });
  assertEquals([taken.code, taken.stdout], [0, "busy 1 of 1\n"]);
  using holder = await dial(server);
  await sendTo(holder, "x\n");
  await holder.read(new Uint8Array(2));
  const refused = await runClient(server, ["--mode", "reverse"], { stdin: "hello world\n" });
  assertEquals([refused.code, refused.stdout], [3, ""]);
  assertEquals(refused.stderr, "inlet: The server is full: 1 of 1 clients\n");
});

integration("reverse client ends when nobody reads its stdout", async () => {
  await using server = await startReverse();
  const client = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "client.ts", "127.0.0.1", String(server.port), "--mode", "reverse"],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await client.stdout.cancel();
  await client.stdin.getWriter().write(new TextEncoder().encode("Hello\n"));
  const stderr = await new Response(client.stderr).text();
  assertEquals((await client.status).code, 6);
  assertMatch(stderr, /^inlet: Cannot write to the standard output: its reader has closed it\n$/);
});

integration("reverse works with the netcat commands of docs/modes.md", async () => {
  await using server = await startReverse("--session-timeout", "5");
  const command = `printf 'Hello\\n' | nc -N 127.0.0.1 ${server.port}`;
  const { code, stdout } = await run("sh", ["-c", command]);
  assertEquals([code, stdout], [0, "olleH\n"]);
}, { programs: ["nc -N"] });
