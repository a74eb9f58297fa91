import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import type { Connection } from "../lib/net/connection.ts";
import { performDialogue } from "../lib/net/dialogue.ts";
import { escaped, parseEscapes, parseSteps } from "../lib/net/dialogue_steps.ts";
import {
  integration,
  names,
  pure,
  run,
  runClient,
  startClient,
  startServer,
  tempDir,
} from "./helpers.ts";
import { impostor, Wire } from "./wire.ts";

const decoder = new TextDecoder();

pure("parseEscapes() reads every escape, and escaped() writes it", () => {
  const bytes = parseEscapes("a\\r\\n\\t\\0\\\\\\x00\\xfFé", "step");
  assertEquals([...bytes], [97, 13, 10, 9, 0, 92, 0, 255, 0xc3, 0xa9]);
  assertEquals(escaped(bytes), "a\\r\\n\\t\\0\\\\\\0\\xff\\xc3\\xa9");
  assertEquals(parseEscapes(escaped(bytes), "step"), bytes);
});

pure("parseSteps() says what is wrong with a step", () => {
  for (
    const [text, why] of [
      [
        "",
        'Cannot use "" as the step: give send:TEXT, expect:TEXT, expect-any, skip-to:TEXT or accio',
      ],
      ["say:hello", 'Cannot use "say:hello" as the step'],
      ["send:\\q", 'Cannot use "\\q" in the step: give \\r, \\n, \\t, \\0, \\\\ or \\xHH'],
      ["send:\\x4", 'Cannot use "\\x" in the step'],
      ["send:a\\", 'Cannot use "\\" in the step'],
      ["expect:", "Cannot use the step: its text is empty, give 1 to 4096 bytes"],
      [`expect:${"x".repeat(4097)}`, "Cannot use the step: its text has 4097 bytes"],
    ] as const
  ) {
    const error = assertThrows(() => parseSteps(text, "step", "client"), InletError);
    assertEquals(error.code, "usage");
    assertStringIncludes(error.message, why);
  }
});

pure("parseSteps() has accio for both sides", () => {
  const acted = (side: "server" | "client"): string[] =>
    parseSteps("accio", "step", side).map((step) =>
      `${step.type} ${"text" in step ? escaped(step.text) : ""}`
    );
  assertEquals(acted("server"), [
    "send accio\\r\\n",
    "expect confirm-accio\\r\\n",
    "send accio\\r\\n",
    "expect confirm-accio-again\\r\\n\\r\\n",
  ]);
  assertEquals(acted("client"), [
    "expect accio\\r\\n",
    "send confirm-accio\\r\\n",
    "expect accio\\r\\n",
    "send confirm-accio-again\\r\\n\\r\\n",
  ]);
});

for (const [program, args] of [["server.ts", ["0"]], ["client.ts", ["h", "1", "x"]]] as const) {
  integration(`${program} --dialogue refuses bad steps with exit code 2`, async () => {
    for (const step of ["send", "send:\\q", "expect:"]) {
      const command = ["run", "-A", program, ...args, "--mode", "raw", "--dialogue", step];
      const { code, stderr } = await run(Deno.execPath(), command);
      assertEquals(code, 2);
      assertMatch(stderr, /^inlet: Cannot use .*--dialogue.*\n$/);
    }
    const native = await run(Deno.execPath(), [
      ...["run", "-A", program, ...args],
      ...["--dialogue", "accio"],
    ]);
    assertEquals(native.code, 2);
    assertMatch(
      native.stderr,
      /^inlet: Cannot use --dialogue in mode files, it is for upload, raw/,
    );
  });
}

integration(
  "server.ts --dialogue takes each step byte by byte, and stores none of it",
  async () => {
    const steps = ["send:one", "expect:two\\r\\n", "skip-to:--", "send:three"];
    const args = ["--mode", "raw", ...steps.flatMap((step) => ["--dialogue", step])];
    await using server = await startServer({ args });
    using wire = await Wire.dial(server);
    assertEquals(decoder.decode(await wire.bytes(3)), "one");
    await wire.saysSlowly("two\r\nany-thing--");
    assertEquals(decoder.decode(await wire.bytes(5)), "three");
    await wire.says("body");
    await wire.closeWrite();
    assertEquals(await wire.rest(), "");
    assertEquals(Deno.readTextFileSync(`${server.dir}/1.file`), "body");
    await server.running.says(/client 1: said "two\\r\\n"/);
  },
);

integration(
  "server.ts --dialogue says what was expected and what came, and stores nothing",
  async () => {
    await using server = await startServer({ args: ["--mode", "raw", "--dialogue", "accio"] });
    using wire = await Wire.dial(server);
    assertEquals(await wire.line(), "accio\r");
    await wire.says("confirm-nothing\nbody");
    const told = 'Cannot go on: expected "confirm-accio\\r\\n", got "confirm-nothing\\n"';
    assertEquals(await wire.rest(), `error bad-request ${told}\n`);
    assertEquals(names(server.dir), []);
  },
);

/** Tells for how long at most this process has not run since. */
class Pauses implements Disposable {
  longestMs = 0;
  #ran = performance.now();
  readonly #timer = setInterval(() => {
    const now = performance.now();
    this.longestMs = Math.max(this.longestMs, now - this.#ran);
    this.#ran = now;
  }, 10);

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

integration("client.ts --dialogue sends its steps apart, and then the body", async () => {
  using server = impostor();
  const steps = ["send:a", "send:b", "expect-any", "send:c"];
  const client = runClient(server, [
    ...["--mode", "raw", ...steps.flatMap((step) => ["--dialogue", step])],
  ], { stdin: "body" });
  using wire = await server.accept();
  using pauses = new Pauses();
  const arrived = [...await wire.arrivals("abc", () => wire.says("go")), await wire.rest()];
  assertEquals(arrived.join(""), "abcbody");
  // What comes while this process does not run arrives together.
  if (pauses.longestMs < 100) assertEquals(arrived, ["a", "b", "c", "body"]);
  wire.close();
  const { code, stderr } = await client;
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "The server said: go\n");
});

/** What a server says instead of `accio`, and what our client says of it. */
const WRONG = {
  "another greeting": ["hello\n", 3, 'Cannot go on: expected "accio\\r\\n", got "hello\\n"'],
  "half of it and no more": ["acc", 3, 'Cannot go on: expected "accio\\r\\n", got "accZ"'],
  "a refusal": ["busy 3 of 3\n", 3, "The server is full: 3 of 3 clients"],
  "nothing": ["", 4, 'Cannot go on: expected "accio\\r\\n", the other side closed'],
} as const;

for (const [what, [said, exit, line]] of Object.entries(WRONG)) {
  integration(`client.ts --dialogue ends at ${what}`, async () => {
    using server = impostor();
    const client = runClient(server, ["--mode", "raw", "--dialogue", "accio"], { stdin: "body" });
    using wire = await server.accept();
    await wire.says(said);
    if (said === "acc") await wire.says("Z");
    if (said === "") wire.close();
    const { code, stderr } = await client;
    assertEquals([code, stderr], [exit, `inlet: ${line}\n`]);
    assertEquals(await wire.rest().catch(() => ""), "");
  });
}

for (const step of ["expect-any", "skip-to:never"]) {
  integration(`client.ts --dialogue ${step} bounds a greeting without end`, async () => {
    using server = impostor();
    const client = runClient(server, ["--mode", "raw", "--dialogue", step], { stdin: "body" });
    using wire = await server.accept();
    const greeting = "hello ".repeat(10_000);
    await (async () => {
      for (;;) await wire.says(greeting);
    })().catch(() => {});
    const { code, stderr } = await client;
    assertEquals(code, 3);
    assertMatch(stderr, /^inlet: Cannot go on: expected .*, \d+ bytes came instead\n$/);
  });
}

integration("client.ts hints at --dialogue when the server says nothing", async () => {
  await using local = await tempDir();
  const file = await local.write("a.txt", "hello\n");
  await Promise.all(["raw", "upload", "reverse", "talk"].map(async (mode) => {
    using server = impostor();
    const does = mode === "talk" ? ["--list", "--line-gap", "60000"] : [file];
    await using client = startClient(server, [...does, "--mode", mode]);
    using _wire = await server.accept();
    await client.says(/the other side says nothing: if it waits for a greeting, see --dialogue/);
  }));
});

integration("server.ts hints at --dialogue when a client says nothing", async () => {
  await using server = await startServer({ args: ["--mode", "raw"] });
  using _wire = await Wire.dial(server);
  await server.running.says(/client 1: the other side says nothing: .* see --dialogue/);
});

integration(
  "a greeting that a raw client does not expect is shown, and is no refusal",
  async () => {
    for (
      const greeting of [
        "Welcome!",
        "Welcome!\r\n",
        "er",
        "error",
        "busy now",
        "error 404 x\n",
        "busybody\n",
      ]
    ) {
      using server = impostor();
      const client = runClient(server, ["--mode", "raw"], { stdin: "body" });
      using wire = await server.accept();
      await wire.says(greeting);
      assertEquals(await wire.rest(), "body");
      wire.close();
      const { code, stderr } = await client;
      assertEquals(code, 0, stderr);
      if (greeting.length > 5) {
        assertStringIncludes(stderr, `says "${greeting.trim()}"; if it waits`);
      }
    }
  },
);

integration("server.ts --banner greets first", async () => {
  await using server = await startServer({ args: ["--mode", "reverse", "--banner", "Hi!\\n"] });
  using wire = await Wire.dial(server);
  assertEquals(await wire.line(), "Hi!");
  await wire.says("abc\n");
  assertEquals(await wire.line(), "cba");
});

integration("client.ts --dialogue gives up a step that does not end within --timeout", async () => {
  using server = impostor();
  const args = ["--mode", "raw", "--dialogue", "accio", "--timeout", "2"];
  const client = runClient(server, args, { stdin: "body" });
  using wire = await server.accept();
  // The first at once: without a byte for so long, it would be the silence that it gives up.
  await wire.says("a");
  const left = [..."ccio\r"];
  const dripping = setInterval(() => wire.says(left.shift() ?? "").catch(() => {}), 400);
  const { code, stderr } = await client.finally(() => clearInterval(dripping));
  assertEquals(code, 4);
  const line = 'Cannot go on: expected "accio\\r\\n": it was not complete within 2 s';
  assertEquals(stderr, `inlet: ${line}\n`);
});

/** What one side sends: the time of each write. */
function recorder(): { connection: Connection; writes: number[] } {
  const writes: number[] = [];
  const connection = {
    write: () => Promise.resolve(void writes.push(performance.now())),
  } as unknown as Connection;
  return { connection, writes };
}

Deno.test("performDialogue() keeps what one side sends apart, the body included", async () => {
  const { connection, writes } = recorder();
  const steps = ["send:a", "send:b"].flatMap((step) => parseSteps(step, "step", "client"));
  const options = { limitMs: 1000, said: () => {} };
  await performDialogue(connection, steps, { ...options, sendsNext: true });
  const [first = 0, second = 0] = writes;
  // A timer hardly ends early.
  assert(second - first >= 190);
  assert(performance.now() - second >= 190);
});

for (const mode of ["raw", "message", "upload"]) {
  integration(`${mode} client gives up a server that talks without end`, async () => {
    using server = impostor();
    await using local = await tempDir();
    const file = await local.write("a.txt", "hello\n");
    const client = runClient(server, [file, "--mode", mode]);
    using wire = await server.accept();
    if (mode === "upload") {
      await wire.bytes(13);
      await wire.says("go ahead");
    }
    await (async () => {
      for (;;) await wire.says("hello there\n".repeat(5000));
    })().catch(() => {});
    const { code, stderr } = await client;
    assertEquals(code, 5, stderr);
    assertMatch(stderr, /inlet: Cannot go on: the server talks without end, over 1 MiB\n$/);
  });
}
