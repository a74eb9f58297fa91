/**
 * A client that gives up within a body, on the wires where the end of the stream is the end of the
 * body: the other side has to read an error, and not an end.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { TextLineStream } from "@std/streams";
import {
  bytes,
  integration,
  PROC,
  PYTHON,
  run,
  runClient,
  startClient,
  tempDir,
} from "./helpers.ts";

/** Listens as another program's server, which tells how the bytes of a client end. */
function listen(): { port: number; accept(): Promise<Deno.TcpConn> } & Disposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return {
    port: listener.addr.port,
    accept: () => listener.accept(),
    [Symbol.dispose]: () => listener.close(),
  };
}

/** How the bytes of a connection end, and how many came. */
async function ending(conn: Deno.TcpConn): Promise<{ how: "end" | "reset"; size: number }> {
  const buffer = new Uint8Array(64 * 1024);
  let size = 0;
  try {
    for (let read; (read = await conn.read(buffer)) !== null;) size += read;
    return { how: "end", size };
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionReset) return { how: "reset", size };
    throw error;
  }
}

/**
 * How the bytes of the next connection end, which may be before it is accepted.
 *
 * @param unread Nothing is read of them before this settles.
 */
async function nextEnding(
  server: ReturnType<typeof listen>,
  unread?: Promise<unknown>,
): Promise<"end" | "reset"> {
  try {
    using conn = await server.accept();
    await unread;
    return (await ending(conn)).how;
  } catch (error) {
    // Whoever has ended in order still has an address.
    if (error instanceof Deno.errors.NotConnected) return "reset";
    throw error;
  }
}

const encoder = new TextEncoder();
const STREAMS = ["raw", "message", "reverse"];

/** Begins to send from a standard input that stays open, and waits until some bytes are there. */
async function begin(
  server: ReturnType<typeof listen>,
  mode: string,
): Promise<{ conn: Deno.TcpConn; client: ReturnType<typeof startClient> }> {
  const client = startClient(server, ["--mode", mode]);
  const conn = await server.accept();
  await client.process.stdin.getWriter().write(encoder.encode("half a file\nand more"));
  await conn.read(new Uint8Array(5));
  return { conn, client };
}

for (const mode of STREAMS) {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    integration(`${mode} client that gets ${signal} resets the connection`, async () => {
      using server = listen();
      const { conn, client } = await begin(server, mode);
      using _ = conn;
      const ended = ending(conn);
      client.process.kill(signal);
      assertEquals((await ended).how, "reset");
      assertEquals((await client.ended()).code, signal === "SIGINT" ? 130 : 143);
      await client[Symbol.asyncDispose]();
    });
  }

  integration(`${mode} client whose source fails to be read resets the connection`, async () => {
    using server = listen();
    // Linux gives this file to everybody, and then refuses to read its first bytes.
    const command =
      `"$0" run -A client.ts 127.0.0.1 ${server.port} --mode ${mode} < /proc/self/mem`;
    const client = run("sh", ["-c", command, Deno.execPath()]);
    assertEquals(await nextEnding(server), "reset");
    assertMatch((await client).stderr, /^inlet: Cannot send "standard input"/);
  }, PROC);

  integration(`${mode} client that gives up a silent server resets the connection`, async () => {
    using server = listen();
    await using local = await tempDir();
    const line = "x".repeat(1023) + "\n";
    const file = await local.write("large", line.repeat(16 * 1024));
    const client = runClient(server, [file, "--mode", mode, "--timeout", "0.5"]);
    assertEquals(await nextEnding(server, client), "reset");
    assertEquals((await client).code, 4);
  });
}

for (const mode of ["raw", "message"]) {
  integration(`${mode} client that is refused resets the connection`, async () => {
    using server = listen();
    const { conn, client } = await begin(server, mode);
    using _ = conn;
    await conn.write(encoder.encode("error no-space Cannot store the file: the disk is full\n"));
    assertEquals((await ending(conn)).how, "reset");
    assertEquals((await client.ended()).code, 3);
    await client[Symbol.asyncDispose]();
  });
}

integration(
  "reverse client in lock-step that gets a wrong answer resets the connection",
  async () => {
    using server = listen();
    const client = runClient(server, ["--mode", "reverse", "--lock-step"], { stdin: "one\ntwo\n" });
    using conn = await server.accept();
    await conn.read(new Uint8Array(3));
    await conn.write(encoder.encode("one"));
    assertEquals((await ending(conn)).how, "reset");
    assertEquals((await client).code, 5);
  },
);

// The zeros in place of what a file has lost are a line, and one that is too long in the larger file.
for (const lines of [16, 64]) {
  integration(
    `reverse client in lock-step whose ${lines} lines shrink resets the connection`,
    async () => {
      using server = listen();
      await using local = await tempDir();
      const file = await local.write("lines", `${"x".repeat(65_535)}\n`.repeat(lines));
      const client = runClient(server, [file, "--mode", "reverse", "--lock-step"]);
      using conn = await server.accept();
      const buffer = new Uint8Array(2 ** 21);
      const answering = (async () => {
        for (let read; (read = await conn.read(buffer)) !== null;) {
          await Deno.truncate(file, 0);
          await conn.write(buffer.slice(0, read).reverse());
        }
      })();
      await assertRejects(() => answering, Deno.errors.ConnectionReset);
      assertEquals((await client).code, 5);
    },
  );
}

integration("a client whose dialogue fails resets the connection", async () => {
  using server = listen();
  const client = runClient(server, ["--mode", "raw", "--dialogue", "accio"], { stdin: "body" });
  using conn = await server.accept();
  await conn.write(encoder.encode("hello\n"));
  assertEquals((await ending(conn)).how, "reset");
  assertEquals((await client).code, 3);
});

integration("reverse client that gets a wrong answer resets the connection", async () => {
  using server = listen();
  const { conn, client } = await begin(server, "reverse");
  using _ = conn;
  await conn.write(encoder.encode("half a file\n"));
  assertEquals((await ending(conn)).how, "reset");
  assertEquals((await client.ended()).code, 5);
  await client[Symbol.asyncDispose]();
});

integration("upload client that is stopped within the body resets the connection", async () => {
  using server = listen();
  await using local = await tempDir();
  const file = await local.write("large.bin", bytes(4_000_000));
  await using client = startClient(server, [file, "--mode", "upload", "--limit", "500kB"]);
  using conn = await server.accept();
  await conn.read(new Uint8Array(100));
  await conn.write(encoder.encode("go ahead"));
  await conn.read(new Uint8Array(100));
  const ended = ending(conn);
  client.process.kill("SIGINT");
  assertEquals((await ended).how, "reset");
});

integration(
  "raw client that is done ends in order, and so does one with an empty file",
  async () => {
    using server = listen();
    for (const [text, size] of [["whole", 5], ["", 0]] as const) {
      const client = runClient(server, ["--mode", "raw"], { stdin: text });
      using conn = await server.accept();
      assertEquals(await ending(conn), { how: "end", size });
      conn.close();
      assertEquals((await client).code, 0);
    }
  },
);

/** Reads one client to its end, and tells how that came. */
const READER = `
import socket
with socket.create_server(("127.0.0.1", 0)) as listener:
    print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    conn, _ = listener.accept()
    print("begun", len(conn.recv(5)), flush=True)
    try:
        while conn.recv(1024): pass
        print("end")
    except ConnectionError as error:
        print(type(error).__name__)
`;

integration("a Python server that reads to the end sees an error of who gives up", async () => {
  const reader = new Deno.Command("python3", { args: ["-c", READER], stdout: "piped" }).spawn();
  const lines = reader.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream()).getReader();
  const port = Number(/:(\d+)$/.exec((await lines.read()).value!)![1]);
  await using client = startClient({ port }, ["--mode", "raw"]);
  await client.process.stdin.getWriter().write(bytes(3000));
  assertEquals((await lines.read()).value, "begun 5");
  client.process.kill("SIGINT");
  assertEquals((await lines.read()).value, "ConnectionResetError");
  await reader.status;
}, PYTHON);
