import { assert, assertEquals, assertMatch } from "@std/assert";
import { send } from "../client.ts";
import { connect } from "../lib/net/connect.ts";
import { exitCode, explain } from "../lib/errors.ts";
import { Progress } from "../lib/cli/progress.ts";
import { pathSource } from "../lib/body/path_source.ts";
import type { Source } from "../lib/body/sources.ts";
import { FilesClient } from "../modes/files/client.ts";
import { getFile } from "../client/get_file.ts";
import { encodeBodyLine, encodeReply, encodeRequest } from "../protocol.ts";
import {
  allOf,
  bytes,
  fixture,
  integration,
  names,
  runClient,
  startServer,
  tempDir,
} from "./helpers.ts";
import type { ItemResult } from "../modes/files/answers.ts";
import { type InProcessServer, serveHere } from "./in_process.ts";
import { all, type Changes, delays, Flipper, joins, proxyTo, splits, truncates } from "./proxy.ts";

const CONTENT = bytes(200);

/** Milliseconds after which either side gives up. */
const PATIENCE_MS = 30_000;

/** The same where a flip can make both wait for each other. */
const IMPATIENCE_MS = 300;

/** Conversations that are had at once. Most of those that take long wait. */
const AT_ONCE = 64;

/** A server in this process that has a file, a folder to save into, and the file to send. */
interface Scene extends AsyncDisposable {
  readonly server: InProcessServer;
  readonly patienceMs: number;
  /** What the server has stored. */
  readonly dir: string;
  /** What the client has saved. */
  readonly local: string;
  readonly source: Source;
}

async function setScene(patienceMs = PATIENCE_MS): Promise<Scene> {
  const [dir, local] = [await tempDir(), await tempDir()];
  const server = await serveHere({ dir: dir.path, idleTimeoutMs: patienceMs });
  const source = await pathSource(await local.write("b", CONTENT));
  Deno.mkdirSync(`${local.path}/out`);
  Deno.writeFileSync(`${dir.path}/a`, CONTENT);
  return {
    server,
    patienceMs,
    dir: dir.path,
    local: `${local.path}/out`,
    source,
    async [Symbol.asyncDispose](): Promise<void> {
      await server[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
    },
  };
}

/** Has a conversation with a server through whatever there is in between. */
async function converse(
  { server, patienceMs }: Scene,
  changes: Changes,
  action: (client: FilesClient) => Promise<unknown>,
): Promise<void> {
  await using proxy = proxyTo(server, changes);
  const signal = new AbortController().signal;
  using connection = await connect(proxy, { timeoutMs: patienceMs, signal });
  const context = { progress: new Progress(), output: () => Promise.resolve() };
  const client = await FilesClient.greet(connection, "t", context);
  await action(client);
  await client.exit();
}

/** What each request does, and where its body begins in the direction that it goes. */
interface Transfer {
  direction: keyof Changes;
  bodyAt: number;
  run(client: FilesClient, scene: Scene): Promise<unknown>;
}

const greeting = encodeRequest({ type: "hello", version: 1, name: "t" }).length;
const welcome = encodeReply({ type: "welcome", client: 1, limit: 100 }).length;

const TRANSFERS: Readonly<Record<"put" | "push" | "get", Transfer>> = {
  put: {
    direction: "toServer",
    bodyAt: encodeRequest({ type: "put", size: CONTENT.length, name: "b" }).length,
    run: (client, { source }) => client.put(source),
  },
  push: {
    direction: "toServer",
    bodyAt: encodeRequest({ type: "push", size: CONTENT.length, name: "b" }).length,
    async run(client, { source }) {
      const results: ItemResult[] = [];
      await client.send([source], (_, result) => results.push(result));
      if ("error" in results[0]!) throw results[0].error;
    },
  },
  get: {
    direction: "toClient",
    bodyAt: encodeReply({ type: "ok", detail: String(CONTENT.length) }).length +
      encodeBodyLine({ type: "data", size: CONTENT.length }).length,
    run: (client, { local }) => getFile(client, "a", `${local}/a`),
  },
};

/** Every file that either side has is the one that was sent, and nothing is left in flight. */
function checkFiles({ dir, local }: Scene): void {
  for (const folder of [dir, local]) {
    for (const name of names(folder)) {
      assert(!name.endsWith(".temp"), `${name} was left`);
      assertEquals(Deno.readFileSync(`${folder}/${name}`), CONTENT, name);
    }
  }
}

for (const [name, transfer] of Object.entries(TRANSFERS)) {
  integration(`each flipped bit of a body that is ${name} fails with checksum`, async () => {
    await using scene = await setScene();
    const flipper = new Flipper();
    await converse(scene, { [transfer.direction]: flipper.change }, async (client) => {
      for (let bit = 0; bit < CONTENT.length * 8; bit++) {
        flipper.arm(transfer.bodyAt + (bit >> 3), bit & 7);
        const error = explain(
          await transfer.run(client, scene).then(() => undefined, (error) => error),
        );
        assertEquals(
          [error.code, exitCode(error)],
          ["checksum", 5],
          `bit ${bit}: ${error.message}`,
        );
        assertEquals([names(scene.dir), names(scene.local)], [["a"], []]);
      }
      // Whoever made sure of that has not lost step.
      await transfer.run(client, scene);
    });
    checkFiles(scene);
    assertEquals(names(scene.dir).length + names(scene.local).length, 2);
  });
}

/** Does something for each number, many at once. */
async function forEach(count: number, action: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await action(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Bytes that a conversation moves in a direction, and which of them are the body. */
async function measure({ direction, bodyAt, run }: Transfer) {
  await using scene = await setScene();
  const passed = { toServer: 0, toClient: 0 };
  const count = (direction: keyof Changes): Changes => ({
    [direction]: async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        passed[direction] += chunk.length;
        yield chunk;
      }
    },
  });
  await converse(
    scene,
    { ...count("toServer"), ...count("toClient") },
    (client) => run(client, scene),
  );
  const start = (direction === "toServer" ? greeting : welcome) + bodyAt;
  return { passed, body: { start, end: start + CONTENT.length } };
}

for (const name of ["put", "get"] as const) {
  integration(`a flipped bit of a line of a ${name} publishes nothing wrong`, async () => {
    const transfer = TRANSFERS[name];
    await using scene = await setScene(IMPATIENCE_MS);
    const { passed, body } = await measure(transfer);
    for (const direction of ["toServer", "toClient"] as const) {
      await forEach(passed[direction] * 8, async (bit) => {
        const offset = bit >> 3;
        if (direction === transfer.direction && offset >= body.start && offset < body.end) return;
        const flipper = new Flipper();
        flipper.arm(offset, bit & 7);
        try {
          await converse(
            scene,
            { [direction]: flipper.change },
            (client) => transfer.run(client, scene),
          );
        } catch (error) {
          assert(exitCode(error) >= 3, String(error));
          assert(explain(error).code !== "internal", String(error));
        }
      });
    }
    await scene.server.idle();
    checkFiles(scene);
    assertEquals(scene.server.failures.filter(({ code }) => code === "internal"), []);
  });

  integration(`a ${name} that is cut after any byte publishes nothing partial`, async () => {
    const transfer = TRANSFERS[name];
    await using scene = await setScene();
    const { passed, body } = await measure(transfer);
    const before = names(scene.dir).length + names(scene.local).length;
    const { direction } = transfer;
    await forEach(body.end, async (offset) => {
      const error = await converse(
        scene,
        { [direction]: truncates(offset) },
        (client) => transfer.run(client, scene),
      ).then(() => undefined, explain);
      assertEquals(error && exitCode(error), 4, `after ${offset} bytes: ${error?.message}`);
    });
    await scene.server.idle();
    checkFiles(scene);
    assertEquals(names(scene.dir).length + names(scene.local).length, before);
    // Behind the body it is there, or it is not: whole in either case.
    await forEach(passed[direction] - body.end, async (behind) => {
      const changes = { [direction]: truncates(body.end + behind) };
      await converse(scene, changes, (client) => transfer.run(client, scene)).catch(explain);
    });
    await scene.server.idle();
    checkFiles(scene);
  });
}

/** Everything that leaves the bytes as they are. */
const HARMLESS: Readonly<Record<string, (seed: number) => Changes>> = {
  splits: (seed) => ({ toServer: splits(seed), toClient: splits(seed + 1) }),
  joins: () => ({ toServer: joins, toClient: joins }),
  delays: (seed) => ({ toServer: delays(seed), toClient: delays(seed + 1) }),
  "splits, delays and joins": (seed) => ({
    toServer: all(splits(seed), delays(seed), joins),
    toClient: all(joins, splits(seed), delays(seed)),
  }),
};

for (const [how, changes] of Object.entries(HARMLESS)) {
  integration(`a connection that ${how} changes nothing of a file or an answer`, async () => {
    await using scene = await setScene();
    for (const seed of [1, 2, 3]) {
      await using proxy = proxyTo(scene.server, changes(seed));
      const files = ["every_byte.bin", "hello.txt", "empty.bin", "1MiB.txt"].map(fixture);
      // A megabyte byte by byte takes its time.
      const results = await send(proxy, how === "joins" ? files : files.slice(0, 3));
      assertEquals(results.map(({ error }) => error), results.map(() => undefined));
      for (const { label, stored } of results) {
        assertEquals(Deno.readFileSync(`${scene.dir}/${stored!.name}`), Deno.readFileSync(label));
      }
      await converse(scene, changes(seed), async (client) => {
        assertEquals(await client.chat("Hello"), "Hello ACK");
        await client.put(scene.source);
        const saved = await getFile(client, "b", `${scene.local}/b`);
        assertEquals(Deno.readFileSync(`${scene.local}/${saved.name}`), CONTENT);
        assertEquals((await allOf(client.list())).length, names(scene.dir).length);
      });
    }
  });
}

integration(
  "client.ts exits 5 after a flipped bit, and 4 after a cut, with nothing stored",
  async () => {
    await using server = await startServer();
    await using local = await tempDir();
    const name = "1MiB.txt";
    const put = [fixture(name)];
    const flipper = new Flipper();
    const tries: [Changes, number, RegExp][] = [
      [{ toServer: flipper.change }, 5, /it arrived with CRC-32 /],
      [{ toServer: truncates(500_000) }, 4, /^inlet: /],
    ];
    flipper.arm(500_000, 3);
    for (const [index, [changes, code, said]] of tries.entries()) {
      await using proxy = proxyTo(server, changes);
      const ended = await runClient(proxy, put);
      assertEquals(ended.code, code, ended.stderr);
      assertMatch(ended.stderr, said);
      await server.running.says(new RegExp(`client ${index + 1}: left`));
      assertEquals(names(server.dir), []);
    }
    Deno.copyFileSync(fixture(name), `${server.dir}/${name}`);
    const back = new Flipper();
    back.arm(500_000, 3);
    for (const [change, code] of [[back.change, 5], [truncates(500_000), 4]] as const) {
      await using proxy = proxyTo(server, { toClient: change });
      const ended = await runClient(proxy, ["--get", name], { cwd: local.path });
      assertEquals(ended.code, code, ended.stderr);
      assertEquals(names(local.path), []);
    }
  },
);
