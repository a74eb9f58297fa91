/**
 * Clients at servers of another mode, and at servers that are no inlet: what both sides are told.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { SendResult } from "../client.ts";
import { Dialer } from "../client/dialer.ts";
import { sendFiles } from "../client/send.ts";
import { explain } from "../lib/errors.ts";
import { Connection } from "../lib/net/connection.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { noteStranger } from "../modes/strangers.ts";
import { greetTalk } from "../modes/talk.ts";
import { findMode, MODES } from "../modes/table.ts";
import { bytes, fixture, integration, startServer, tempDir, uploadGrows } from "./helpers.ts";
import { impostor, Wire } from "./wire.ts";

/** What a client in this process does at a server: all that its user is told, in order. */
async function toldTo(
  { port }: { port: number },
  mode: string,
  { path = fixture("hello.txt"), timeoutMs = 30_000, onNotice = (_: string): void => {} } = {},
): Promise<string> {
  const told: string[] = [];
  const dialer = new Dialer({ hostname: "127.0.0.1", port }, {
    timeoutMs,
    onNotice: (text) => {
      told.push(text);
      onNotice(text);
    },
  });
  if (mode === "talk") {
    const list = async (): Promise<void> => {
      using connection = await dialer.open();
      const client = await greetTalk(connection, "inlet", dialer.context);
      await client.ask("list");
    };
    await list().then(() => told.push("done"), (error) => told.push(explain(error).message));
    return told.join("\n");
  }
  const onResult = ({ error }: SendResult): void => void told.push(error?.message ?? "done");
  await sendFiles(dialer, [path], { mode: findMode(mode), onResult });
  return told.join("\n");
}

const TAKES_BYTES = /if it only takes bytes, use --mode raw or --mode message/;
const WAITS = /if it waits for a line, --mode reverse/;
const SENDS_LINES = /needs a server with --mode raw, --mode message or --mode reverse/;
const SENDS_TEXT = /needs a server with --mode talk or --mode reverse/;
const USE_REVERSE = /use --mode reverse$/;
const USE_TALK = /as one of mode talk does; use --mode talk$/m;
const DONE = /^done$/;

/** What a client, above, is told by a server, at the left. */
const PAIRS: Record<string, Record<string, RegExp>> = {
  files: {
    ...{ files: DONE, upload: DONE, raw: SENDS_LINES, message: SENDS_LINES },
    ...{ reverse: SENDS_LINES, talk: SENDS_TEXT },
  },
  upload: {
    files: /a client of mode files: this is a server of mode upload; use --mode upload$/,
    ...{ upload: DONE, raw: SENDS_LINES, message: SENDS_LINES },
    ...{ reverse: SENDS_LINES, talk: SENDS_TEXT },
  },
  raw: {
    ...{ files: TAKES_BYTES, upload: TAKES_BYTES, raw: DONE, message: DONE },
    ...{ reverse: TAKES_BYTES, talk: TAKES_BYTES },
  },
  message: {
    ...{ files: TAKES_BYTES, upload: TAKES_BYTES, raw: DONE, message: DONE },
    ...{ reverse: TAKES_BYTES, talk: TAKES_BYTES },
  },
  reverse: {
    ...{ files: USE_REVERSE, upload: WAITS },
    ...{ raw: /"olleh"; .*--mode reverse\n/, message: /"olleh"; .*--mode reverse\n/ },
    ...{ reverse: DONE, talk: WAITS },
  },
  talk: {
    ...{ files: USE_TALK, upload: USE_TALK, raw: USE_TALK, message: USE_TALK },
    ...{ reverse: USE_TALK, talk: DONE },
  },
};

/** What those are told that get no answer to the end of their patience. */
const UNANSWERED = [TAKES_BYTES, WAITS];

for (const [server, clients] of Object.entries(PAIRS)) {
  integration(
    `a client of each mode at a server of mode ${server} is told which to use`,
    async () => {
      assertEquals(Object.keys(clients), Object.keys(MODES));
      await using local = await tempDir();
      const path = await local.write("a.txt", "hello\nworld\n");
      await using running = await startServer({ args: ["--mode", server, "--max-clients", "9"] });
      await Promise.all(
        Object.entries(clients).map(async ([client, told]) => {
          const timeoutMs = UNANSWERED.includes(told) ? 1000 : 30_000;
          assertMatch(await toldTo(running, client, { path, timeoutMs }), told, client);
        }),
      );
    },
  );
}

/** Servers that answer a greeting in a way of their own, and what the user is told of them. */
const ANSWERS: Record<string, [string, RegExp]> = {
  "reverses lines": ["telni 1 olleh\n", /"telni 1 olleh", as one of mode reverse does; .*reverse$/],
  "asks for the body": ["go ahead", /"go ahead", as one of mode upload does; use --mode upload$/],
  "acknowledges": ["hello 1 inlet ACK", /as one of mode talk does; use --mode talk$/],
  "echoes": ["hello 1 inlet\n", /as one does that sends everything back; is the port right\?$/],
  "has a banner": ["Welcome!", /"Welcome!", .* use --mode talk; .* see --dialogue$/],
  "has a banner like ours": ["welcome to my server\n", /"welcome to my server", .* --mode talk;/],
  "speaks HTTP": [
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    /"HTTP\/1.1 400 Bad Request", as a web server/,
  ],
  "speaks SSH": ["SSH-2.0-OpenSSH_9.2\r\n", /as an SSH server does; is the port right\?$/],
  "speaks TLS": ["\x15\x03\x03\0\x02\x02\x46", /as a TLS server does; is the port right\?$/],
  "speaks SMTP": [
    "220 mail.example ESMTP\r\n",
    /as a mail or FTP server does; is the port right\?$/,
  ],
};

for (const [what, [answer, told]] of Object.entries(ANSWERS)) {
  integration(`the default client at a server that ${what} ends at once and says so`, async () => {
    using theirs = impostor();
    const client = toldTo(theirs, "files");
    using wire = await theirs.accept();
    await wire.line();
    await wire.says(answer);
    assertMatch(await client, told);
  });
}

integration(
  "the default client hints at --mode when its greeting is not answered, and waits on",
  async () => {
    using theirs = impostor();
    const { promise: hinted, resolve: onNotice } = Promise.withResolvers<string>();
    const client = toldTo(theirs, "files", { timeoutMs: 2000, onNotice });
    using wire = await theirs.accept();
    await wire.line();
    assertMatch(await hinted, /^the server does not answer the greeting: /);
    await wire.says("error denied not today\n");
    assertMatch(await client, /--mode upload\nnot today$/);
  },
);

integration("the default client hears out a server whose first words come in pieces", async () => {
  using theirs = impostor();
  const { promise: hinted, resolve: onNotice } = Promise.withResolvers<string>();
  const client = toldTo(theirs, "files", { timeoutMs: 4000, onNotice });
  using wire = await theirs.accept();
  await wire.line();
  await wire.says("welcome to ");
  const first = await Promise.race([hinted, client]);
  assertMatch(first, /^the server does not answer the greeting: /);
  await wire.says("my server\n");
  assertMatch(await client, /"welcome to my server", as none of mode files does;/);
});

integration("a server that takes any bytes logs a client that waits for an answer", async () => {
  await using server = await startServer({ args: ["--mode", "raw"] });
  using native = await Wire.dial(server);
  await native.says("hello 1 ann\n");
  using upload = await Wire.dial(server);
  await upload.says("\0\0\0\0\0\0\0\x06a.txt");
  using web = await Wire.dial(server);
  await web.says("GET / HTTP/1.1\r\n\r\n");
  const { running } = server;
  await running.says(/client 1: begins as a client of mode files does: .* server of mode raw$/);
  await running.says(/client 2: begins as a client of mode upload does: .* server of mode raw$/);
  await running.says(/client 3: begins as a web client does: .* server of mode raw$/);
  // It is no fault to begin so: who goes on is served.
  await native.closeWrite();
  assertEquals(await native.rest(), "");
  assertEquals(await Deno.readTextFile(`${server.dir}/1.file`), "hello 1 ann\n");
  using whole = await Wire.dial(server);
  await whole.says("hello 1 bob\n");
  await whole.closeWrite();
  assertEquals(await whole.rest(), "");
  assert(!running.log.includes("client 4: begins"));
});

integration("a client that sends a file behind its greeting is logged all the same", async () => {
  const pieces = ["hello 1 ann\n", "push 6 a.txt\nhello\nend 363a3020\n"];
  using connection = new Connection({
    remote: "127.0.0.1:1",
    read: async (into) => {
      const piece = pieces.shift();
      if (piece === undefined) await new Promise(() => {});
      return new TextEncoder().encodeInto(piece!, into).written;
    },
    write: (bytes) => Promise.resolve(bytes.length),
    touch: () => Promise.resolve(),
    closeWrite: () => Promise.resolve(),
    close: () => {},
    reset: () => {},
  }, { idleTimeoutMs: 60_000 });
  await connection.peek();
  const logged: string[] = [];
  const log = { info: (_: string, text: string) => logged.push(text) };
  const context = { log } as unknown as ServerContext;
  await noteStranger(connection, context, { mode: "raw", answers: false });
  assertEquals(logged, ["begins as a client of mode files does: this is a server of mode raw"]);
});

integration(
  "a raw server stores a large file while it comes, whatever it begins with",
  async () => {
    await using server = await startServer({ args: ["--mode", "raw"] });
    const heads = ["\0", "\x16\x03", "hello 1 ann\n", "GET /", "GET / HTTP/1.1\r\n"];
    for (const [index, head] of heads.entries()) {
      const content = bytes(4 * 1024 * 1024);
      content.set(new TextEncoder().encode(head));
      using wire = await Wire.dial(server);
      await wire.says(content);
      // Its end is still to come.
      await uploadGrows(server.dir, content.length);
      await wire.closeWrite();
      assertEquals(await wire.rest(), "");
      const stored = await Deno.readFile(`${server.dir}/${index + 1}.file`);
      assertEquals(stored, content, JSON.stringify(head));
    }
  },
);

integration("an upload server says so to clients of HTTP and TLS", async () => {
  await using server = await startServer({ args: ["--mode", "upload"] });
  for (
    const [text, told] of [["GET / HTTP/1.1\r\n\r\n", /HTTP/], ["\x16\x03\x01\x02", /TLS/]] as const
  ) {
    using wire = await Wire.dial(server);
    await wire.says(text);
    assertMatch(await wire.rest(), told);
  }
});
