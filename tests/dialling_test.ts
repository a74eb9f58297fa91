/**
 * Connections of the wires of other programs, over `node:net`: servers that reset at once, and those
 * that talk while they are sent to.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { TextLineStream } from "@std/streams";
import { connect } from "../lib/net/connect.ts";
import type { InletError } from "../lib/errors.ts";
import {
  bytes,
  dial,
  integration,
  names,
  PYTHON,
  readAll,
  runClient,
  sendTo,
  tempDir,
} from "./helpers.ts";
import { serve } from "../server.ts";
import { impostor } from "./wire.ts";

/** Resets every connection as soon as it is there. */
const RESETTER = `
import socket, struct
with socket.create_server(("127.0.0.1", 0)) as listener:
    print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    while True:
        conn, _ = listener.accept()
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()
`;

integration("a connection that is reset at once fails, and never hangs", async () => {
  const server = new Deno.Command("python3", { args: ["-c", RESETTER], stdout: "piped" }).spawn();
  const lines = server.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream()).getReader();
  const port = Number(/:(\d+)$/.exec((await lines.read()).value!)![1]);
  const { signal } = new AbortController();
  const attempt = async (): Promise<void> => {
    try {
      const address = { hostname: "127.0.0.1", port };
      using connection = await connect(address, { timeoutMs: 600_000, signal, resettable: true });
      assertEquals(await connection.peek(), null);
    } catch (error) {
      assertEquals((error as InletError).code, "lost");
    }
  };
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 20 }, attempt));
  server.kill();
  await server.status;
  await lines.cancel();
}, PYTHON);

integration("--linger 0 loses nothing at a server that talks while it takes", async () => {
  using server = impostor();
  await using local = await tempDir();
  // More than the system takes in, so that the client hears something before it has sent all.
  const file = await local.write("large", bytes(24_000_000));
  const client = runClient(server, [file, "--mode", "raw", "--linger", "0"]);
  using wire = await server.accept();
  let received = 0;
  for (let chunk; (chunk = await wire.bytes(100_000)).length > 0; received += chunk.length) {
    await wire.says("got some\n").catch(() => {});
  }
  assertEquals(received, 24_000_000);
  assertEquals((await client).code, 0);
});

integration("a client that waits for the server's disk is not silent", async () => {
  await using local = await tempDir();
  const sync = Promise.withResolvers<void>();
  const syncing = Promise.withResolvers<void>();
  const open: typeof Deno.open = async (path, options) => {
    const file = await Deno.open(path, options);
    const own = file.sync.bind(file);
    return Object.assign(file, {
      async sync(): Promise<void> {
        syncing.resolve();
        await sync.promise;
        await own();
      },
    });
  };
  await using server = await serve({
    ...{ mode: "raw", directory: local.path, fsync: true, maxClients: 1, timeoutMs: 300 },
    ...{ disk: { ...Deno, open }, log: { quiet: true } },
  });
  const { port } = server.address;
  using waiting = await dial({ port });
  await sendTo(waiting, "hello");
  await waiting.closeWrite();
  await syncing.promise;
  // Longer than the limit on silence.
  await new Promise((resolve) => setTimeout(resolve, 600));
  using next = await dial({ port });
  await sendTo(next, "x");
  assertEquals(await readAll(next), "busy 1 of 1\n");
  sync.resolve();
  assertEquals(await readAll(waiting), "");
  assertEquals(names(local.path), ["1.file"]);
});
