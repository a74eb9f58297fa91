import { assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes/concat";
import fc from "fast-check";
import { TerminalOutput } from "../lib/body/terminal_output.ts";
import { printable } from "../lib/text.ts";
import { exchange, integration, pure, scriptPath, tempDir } from "./helpers.ts";
import { Terminal, TERMINAL_PROGRAMS } from "./pty.ts";
import { type Impostor, impostor, Wire } from "./wire.ts";

const TERMINAL = { programs: TERMINAL_PROGRAMS };

const encoder = new TextEncoder();

/** What a terminal is shown of these chunks. */
async function shown(...chunks: Uint8Array[]): Promise<string> {
  const written: Uint8Array[] = [];
  const output = new TerminalOutput((chunk) => Promise.resolve(void written.push(chunk)));
  for (const chunk of chunks) await output.write(chunk);
  await output.end();
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(concat(written));
}

pure("TerminalOutput escapes what a terminal would obey, and what is not UTF-8", async () => {
  const table: [string | number[], string][] = [
    ["plain\ttext\nnaïve ☕ 🇩🇪 👨‍👩‍👧\n", "plain\ttext\nnaïve ☕ 🇩🇪 👨‍👩‍👧\n"],
    ["\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"],
    ["one\r\ntwo\rthree\r", "one\ntwo\\u{d}three\\u{d}"],
    ["\u009b2J\x7f\x00\b", "\\u{9b}2J\\u{7f}\\u{0}\\u{8}"],
    ["\u202eabc\u2066\ufeff", "\\u{202e}abc\\u{2066}\\u{feff}"],
    [[0x9b, 0x32, 0x4a], "\\x9b2J"],
    [[0x61, 0xff, 0xc3, 0x28], "a\\xff\\xc3("],
    [[0xe2, 0x98], "\\xe2\\x98"],
    [[0xc0, 0x9b], "\\xc0\\x9b"],
    [[0xe0, 0x82, 0x9b], "\\xe0\\x82\\x9b"],
    [[0xed, 0xa0, 0x80], "\\xed\\xa0\\x80"],
    [[0xf4, 0x90, 0x80, 0x80], "\\xf4\\x90\\x80\\x80"],
  ];
  for (const [input, expected] of table) {
    const bytes = typeof input === "string" ? encoder.encode(input) : new Uint8Array(input);
    assertEquals(await shown(bytes), expected);
  }
});

pure("TerminalOutput shows the same wherever the bytes are cut", async () => {
  const pieces = fc.oneof(
    fc.constantFrom("\x1b[2J", "\r\n", "\r", "\u009b", "☕", "🇩🇪", "\u202e", "a", "\n")
      .map((text) => encoder.encode(text)),
    fc.uint8Array({ maxLength: 4 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(pieces), fc.array(fc.nat(6)), async (parts, cuts) => {
      const bytes = concat(parts);
      const whole = await shown(bytes);
      assertEquals(printable(whole.replaceAll(/[\n\t]/g, "")), whole.replaceAll(/[\n\t]/g, ""));
      let start = 0;
      const chunks = cuts.map((size) => bytes.subarray(start, start += size));
      assertEquals(await shown(...chunks, bytes.subarray(start)), whole);
    }),
    { seed: 21, numRuns: 500 },
  );
});

const HOSTILE = "a\x1b]0;title\x07b\u009b2Jc\r\nd\x1b[31m☕";

/** What a terminal is shown of that; it makes CR LF of a line feed. */
const ESCAPED = "a\\u{1b}]0;title\\u{7}b\\u{9b}2Jc\r\nd\\u{1b}[31m☕";

/** What Deno itself writes at its start. */
// deno-lint-ignore no-control-regex
const DENO = /^(?:\x1b\[(?:0G|2K|J))*/;

for (const raw of [false, true]) {
  const how = raw ? "unchanged with --raw" : "escaped";
  const option = raw ? "--raw" : "";
  // The terminal itself puts a CR before each line feed.
  const expected = raw ? HOSTILE.replace("\n", "\r\n") : ESCAPED;

  for (const mode of ["files", "message"]) {
    integration(`a server in mode ${mode} shows messages on a terminal ${how}`, async () => {
      await using dir = await tempDir();
      await using server = Terminal.run(
        `deno run -A ${scriptPath("server.ts")} 0 --quiet --mode ${mode} ${option}`,
        { cwd: dir.path },
      );
      const [, port] = await server.shows(/listening on \S+:(\d+)[^\n]*\n/);
      const before = server.screen.length;
      if (mode === "message") {
        await exchange({ port: Number(port) }, HOSTILE);
      } else {
        using wire = await Wire.greet({ port: Number(port) });
        // Cut within a sequence and within a character.
        const bytes = encoder.encode(HOSTILE);
        await wire.says("say -\ndata 2\n");
        await wire.says(bytes.subarray(0, 2));
        await wire.says(`data ${bytes.length - 3}\n`);
        await wire.says(bytes.subarray(2, -1));
        await wire.says("data 1\n");
        await wire.says(bytes.subarray(-1));
        await wire.says("end f542c174\n");
        assertEquals(await wire.line(), "go 0");
        assertMatch(await wire.line(), /^ok /);
      }
      await server.shows(/☕/);
      assertEquals(server.screen.slice(before), expected);
    }, TERMINAL);
  }

  integration(`the client shows a file on a terminal ${how}`, async () => {
    using server = impostor();
    await using client = startOnTerminal(server, `--get a.txt --output - ${option}`);
    using wire = await server.accept();
    await wire.line();
    await wire.says("welcome client 1 of 1\n");
    await wire.line();
    const bytes = encoder.encode(HOSTILE);
    await wire.says(`ok ${bytes.length}\ndata ${bytes.length}\n`);
    await wire.says(bytes);
    await wire.says("end f542c174\n");
    await wire.line();
    await wire.says("ok bye\n");
    assertEquals(await client.ended(), 0, client.screen);
    assertEquals(client.screen.replace(DENO, ""), expected);
  }, TERMINAL);

  integration(`the client shows reversed lines on a terminal ${how}`, async () => {
    using server = impostor();
    await using dir = await tempDir();
    const bytes = encoder.encode(HOSTILE);
    // Its answer is what it was made from: a reversal by bytes is one that the client takes.
    const file = await dir.write("lines", reversedBytes(bytes));
    await using client = startOnTerminal(server, `${file} --mode reverse --quiet ${option}`);
    using wire = await server.accept();
    await wire.bytes(bytes.length);
    // To its end: a server that closes earlier has not taken everything.
    assertEquals(await wire.rest(), "");
    await wire.says(bytes);
    await wire.closeWrite();
    assertEquals(await client.ended(), 0, client.screen);
    assertEquals(client.screen.replace(DENO, ""), expected);
  }, TERMINAL);
}

/** Each line with its bytes in reverse order. */
function reversedBytes(bytes: Uint8Array): Uint8Array {
  const reversed = bytes.slice();
  for (let start = 0; start < reversed.length;) {
    const end = reversed.indexOf(0x0a, start) + 1 || reversed.length + 1;
    reversed.subarray(start, end - 1).reverse();
    start = end;
  }
  return reversed;
}

function startOnTerminal(server: Impostor, args: string): Terminal {
  return Terminal.run(`deno run -A ${scriptPath("client.ts")} 127.0.0.1 ${server.port} ${args}`);
}
