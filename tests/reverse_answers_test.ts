import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { ReverseAnswers } from "../modes/reverse_answers.ts";
import { reversalsOf } from "../modes/reverse_lines.ts";
import { integration, pure, runClient, startClient, startServer, tempDir } from "./helpers.ts";
import { impostor, Wire } from "./wire.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What comes of an answer to some text, whole and byte by byte. */
function checked(text: string, answer: string): { given: string; wrong: string | undefined } {
  const whole = check(text, [encoder.encode(answer)]);
  const apart = check(text, Array.from(encoder.encode(answer), (byte) => Uint8Array.of(byte)));
  assertEquals(apart.given, whole.given);
  assertEquals(apart.wrong === undefined, whole.wrong === undefined);
  return whole;
}

function check(text: string, chunks: Uint8Array[]): { given: string; wrong: string | undefined } {
  const answers = new ReverseAnswers();
  const given = [...answers.send(encoder.encode(text)).right, ...answers.end().right];
  for (const chunk of chunks) {
    const { right, wrong } = answers.check(chunk);
    given.push(...right);
    if (wrong) return { given: decoder.decode(concat(given)), wrong: wrong.message };
  }
  return { given: decoder.decode(concat(given)), wrong: undefined };
}

pure("ReverseAnswers takes the answer of programs that reverse in any usual way", () => {
  const text = "Hello\r\nne\u0301e\n\nlast";
  for (
    const answer of [
      "olleH\r\nee\u0301n\n\ntsal",
      "olleH\r\ne\u0301en\n\ntsal",
      "\rolleH\nee\u0301n\n\ntsal",
    ]
  ) assertEquals(checked(text, answer), { given: answer, wrong: undefined });
  const byBytes = check("né\n", [Uint8Array.of(0xa9, 0xc3, 0x6e, 0x0a)]);
  assertEquals(byBytes.wrong, undefined);
});

pure("ReverseAnswers says which answer is wrong, and gives out those before it", () => {
  const hint = "; for a greeting, see --dialogue; for lines without line ends, --lock-step";
  assertEquals(checked("one\ntwo\nthree\n", "eno\ntwo\n"), {
    given: "eno\n",
    wrong: `The answer to line 2 is "two" and not "owt"${hint}`,
  });
  assertEquals(checked("one\n", "Welcome!eno\n").given, "");
  assertStringIncludes(checked("one\n", "Welcome!eno\n").wrong!, "The answer to line 1 is");
  assertEquals(checked("one\n", "eno\nmore"), {
    given: "eno\n",
    wrong: `The server sent "more" after the answer to line 1${hint}`,
  });
  assertEquals(checked("", "x"), {
    given: "",
    wrong: `The server sent "x" before it had a line${hint}`,
  });
});

pure("ReverseAnswers holds an answer that comes before its line is whole", () => {
  const answers = new ReverseAnswers();
  answers.send(encoder.encode("abc"));
  assertEquals(answers.check(encoder.encode("cb")), { right: [] });
  assertEquals(decoder.decode(concat(answers.end().right)), "");
  assertEquals(decoder.decode(concat(answers.check(encoder.encode("a")).right)), "cba");
  assertEquals([answers.sent, answers.received, answers.dueBytes], [3, 3, 0]);
});

pure("reversalsOf() gives reversals of the length of the line", () => {
  for (const line of ["", "\n", "\r\n", "ab\r", "ne\u0301e\r\n", "🇩🇪x"]) {
    const bytes = encoder.encode(line);
    for (const reversal of reversalsOf(bytes)) assertEquals(reversal.length, bytes.length);
  }
});

/** A server that does not reverse, what it says at once and to each arrival, and what is told. */
const WRONG: Record<string, [first: string, each: string, line: RegExp]> = {
  "greets": [
    "Welcome!",
    "",
    /^inlet: The .* "Welcome!" .*; for a greeting, see --dialogue; .*--lock-step$/,
  ],
  "answers something else": [
    "",
    "done\n",
    /^inlet: The answer to line 1 is "done" and not "eno"; /,
  ],
  "answers without end": ["", "eno\n".repeat(100_000), /^inlet: The answer to line 2 is "eno" and/],
};

for (const [what, [first, each, line]] of Object.entries(WRONG)) {
  integration(`reverse client exits 5 where a server ${what}`, async () => {
    using server = impostor();
    await using client = startClient(server, ["--mode", "reverse"]);
    using wire = await server.accept();
    if (first !== "") await wire.says(first);
    await client.process.stdin.getWriter().write(encoder.encode("one\ntwo\n")).catch(() => {});
    if (each !== "") {
      await wire.line();
      await wire.says(each).catch(() => {});
    }
    const { code } = await client.ended();
    assertEquals(code, 5);
    await client.says(/^inlet: /);
    assertMatch(client.log.trim(), line);
  });
}

integration("reverse client is done when all answers are in, though nobody closes", async () => {
  using server = impostor();
  const client = runClient(server, ["--mode", "reverse"], { stdin: "one\nlast" });
  using wire = await server.accept();
  assertEquals(await wire.rest(), "one\nlast");
  await wire.says("eno\ntsal");
  const { code, stdout, stderr } = await client;
  assertEquals([code, stdout, stderr.match(/inlet: .*/)], [0, "eno\ntsal", null]);
});

integration("reverse client gives out no part of a wrong answer", async () => {
  using server = impostor();
  const client = runClient(server, ["--mode", "reverse"], { stdin: "one\nabc\n" });
  using wire = await server.accept();
  await wire.rest();
  await wire.says("eno\ncbX");
  const { code, stdout } = await client;
  assertEquals([code, stdout], [5, "eno\n"]);
});

integration("reverse client refuses a line that is too long to be compared", async () => {
  await using server = await startServer({ args: ["--mode", "reverse"] });
  const line = "x".repeat(2 ** 20 + 2);
  const { code, stderr } = await runClient(server, ["--mode", "reverse"], { stdin: line });
  assertEquals([code, stderr], [3, "inlet: Cannot send a line of more than 1,048,576 bytes\n"]);
});

const STEP = ["--mode", "reverse", "--lock-step"];

integration("--lock-step sends a line without its ending, and awaits its answer", async () => {
  using server = impostor();
  await using local = await tempDir();
  const file = await local.write("lines", "one\r\n\nné\nlast");
  const client = runClient(server, [file, ...STEP, "--end", "exit", "--quiet"]);
  using wire = await server.accept();
  for (const [line, answer] of [["one", "eno"], ["né", "én"], ["last", "tsal"]] as const) {
    const { length } = encoder.encode(line);
    assertEquals(decoder.decode(await wire.bytes(length)), line);
    await wire.saysSlowly(answer);
  }
  assertEquals(await wire.rest(), "exit");
  const { code, stdout, stderr } = await client;
  assertEquals([code, stdout, stderr], [0, "eno\r\n\nén\ntsal", ""]);
});

for (
  const [answer, line] of [
    ["onx", /^inlet: The answer to line 1 is "onx" and not "eno"; .*\n$/],
    ["eno\n", /^inlet: The server sent "" after the answer to line 1; .*\n$/],
  ] as const
) {
  integration(`--lock-step exits 5 at the answer ${JSON.stringify(answer)}`, async () => {
    using server = impostor();
    const client = runClient(server, STEP, { stdin: "one\ntwo\n" });
    using wire = await server.accept();
    await wire.bytes(3);
    await wire.says(answer);
    const { code, stderr } = await client;
    assertEquals(code, 5);
    assertMatch(stderr, line);
    assertEquals(await wire.rest(), "");
  });
}

integration("--lock-step exits 4 when no answer comes, or not all of it", async () => {
  using server = impostor();
  // Whoever gives up resets the connection, which has to be accepted before.
  const silent = runClient(server, [...STEP, "--timeout", "4"], { stdin: "one\n" });
  using wire = await server.accept();
  assertEquals((await silent).code, 4);
  assertEquals(await wire.rest(), "one");
  const client = runClient(server, STEP, { stdin: "one\n" });
  using other = await server.accept();
  await other.bytes(3);
  await other.says("e");
  await other.closeWrite();
  const { code, stderr } = await client;
  assertEquals([code, stderr], [4, "inlet: The server closed with 2 bytes unanswered\n"]);
});

integration("--lock-step speaks to our server with --line-gap", async () => {
  await using server = await startServer({ args: ["--mode", "reverse", "--line-gap", "100"] });
  const { code, stdout } = await runClient(server, STEP, { stdin: "one\n\ntwo\nlast" });
  assertEquals([code, stdout], [0, "eno\n\nowt\ntsal"]);
});

integration("--line-gap takes bytes for a line after a pause, however they came", async () => {
  await using server = await startServer({ args: ["--mode", "reverse", "--line-gap", "1000"] });
  using wire = await Wire.dial(server);
  await wire.saysSlowly("Hello");
  assertEquals(decoder.decode(await wire.bytes(5)), "olleH");
  await wire.says("one\ntwo");
  assertEquals(decoder.decode(await wire.bytes(7)), "eno\nowt");
  await wire.says("end");
  await wire.closeWrite();
  assertEquals(await wire.rest(), "dne");
});

integration("without --line-gap a server waits for the end of a line", async () => {
  await using server = await startServer({ args: ["--mode", "reverse"] });
  using wire = await Wire.dial(server);
  await wire.says("Hel");
  await new Promise((resolve) => setTimeout(resolve, 600));
  await wire.says("lo\n");
  assertEquals(await wire.line(), "olleH");
});

for (const mode of ["raw", "message"]) {
  integration(`${mode} client says what it sent to a server that never closes`, async () => {
    for (
      const [args, exit] of [
        [["--timeout", "0.5"], 4],
        [["--linger", "0.5", "--timeout", "60"], 4],
        [["--linger", "0", "--timeout", "60"], 0],
      ] as const
    ) {
      using server = impostor();
      const client = runClient(server, ["--mode", mode, ...args], { stdin: "x".repeat(12_345) });
      using wire = await server.accept();
      assertEquals((await wire.rest()).length, 12_345);
      const { code, stderr } = await client;
      assertEquals(code, exit);
      if (exit === 0) continue;
      const line = "inlet: 12,345 bytes sent; the server has not closed the connection\n";
      assertStringIncludes(stderr, line);
    }
  });
}

integration("--linger is longer than --timeout where it says so", async () => {
  using server = impostor();
  const args = ["--mode", "raw", "--timeout", "0.5", "--linger", "60"];
  const client = runClient(server, args, { stdin: "body" });
  using wire = await server.accept();
  await wire.rest();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  wire.close();
  assertEquals((await client).code, 0);
});

integration(
  "a full server is told as such, in lock-step and before the first line is whole",
  async () => {
    await using server = await startServer({ args: ["--mode", "reverse", "--max-clients", "1"] });
    using holder = await Wire.dial(server);
    await holder.says("x\n");
    assertEquals(await holder.line(), "x");
    const full = "inlet: The server is full: 1 of 1 clients\n";
    for (const stdin of ["one\n", "a line that is longer than the refusal\n"]) {
      const { code, stderr } = await runClient(server, STEP, { stdin });
      assertEquals([code, stderr], [3, full]);
    }
    await using early = startClient(server, ["--mode", "reverse"]);
    await early.process.stdin.getWriter().write(encoder.encode("a line without an end"));
    assertEquals((await early.ended()).code, 3);
    assertStringIncludes(early.log, full.trim());
  },
);

integration("reverse client leaves a bounded number of lines unanswered", async () => {
  using server = impostor();
  await using local = await tempDir();
  const file = await local.write("lines", ("x".repeat(1023) + "\n").repeat(150 * 1024));
  const client = runClient(server, [file, "--mode", "reverse", "--timeout", "3"]);
  using wire = await server.accept();
  let received = 0;
  for (let chunk; (chunk = await wire.bytes(2 ** 20)).length > 0;) received += chunk.length;
  assertEquals((await client).code, 4);
  assert(received < 80 * 2 ** 20, `${received} bytes were sent`);
});
