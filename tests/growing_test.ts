import { assertEquals, assertMatch } from "@std/assert";
import { FilesClient } from "../modes/files/client.ts";
import { Dialer } from "../client/dialer.ts";
import { getFolder } from "../client/get_folder.ts";
import { send } from "../client.ts";
import { bytes, integration, names, resultsOf, tempDir } from "./helpers.ts";
import { type InProcessServer, serveHere } from "./in_process.ts";
import { LONG_AGO } from "./trees.ts";
import { impostor } from "./wire.ts";

/** More than sockets hold: a server is still sending it when its client has the first bytes. */
const LARGE = 32 * 2 ** 20;

function addressOf({ port }: { port: number }): { hostname: string; port: number } {
  return { hostname: "127.0.0.1", port };
}

function append(path: string): void {
  Deno.writeTextFileSync(path, "one line more\n", { append: true });
}

/** Gets a file that changes when its first bytes have arrived. Returns what the user is told. */
async function getChanging(
  server: InProcessServer,
  change: () => void,
  strict = false,
): Promise<{ moved: number; told: string[]; failure: string | undefined }> {
  const told: string[] = [];
  const dialer = new Dialer(addressOf(server), { strict, onNotice: (text) => told.push(text) });
  using connection = await dialer.open();
  const client = await FilesClient.greet(connection, "", dialer.context);
  let moved = 0;
  const write = (chunk: Uint8Array): void => {
    if (moved === 0) change();
    moved += chunk.length;
  };
  const failure = await client.get("app.log", { write }).then(() => undefined, (error) => error);
  await client.exit();
  return { moved, told, failure: failure?.message };
}

integration("a file that grows on the server is got as it was, and the user is told", async () => {
  await using inbox = await tempDir();
  const path = await inbox.write("app.log", new Uint8Array(LARGE));
  await using server = await serveHere({ dir: inbox.path });
  assertEquals(await getChanging(server, () => append(path)), {
    moved: LARGE,
    told: [`"app.log" grew while it was sent: only its first 33,554,432 bytes were sent`],
    failure: undefined,
  });
  const { failure, told } = await getChanging(server, () => append(path), true);
  assertEquals([failure, told], [`Cannot get "app.log": it grew while it was sent`, []]);
});

for (
  const [how, change] of Object.entries({
    "is shortened": (path: string) => Deno.truncateSync(path, 10),
    "is written": (path: string) => Deno.utimeSync(path, new Date(), new Date(0)),
  })
) {
  integration(`a get fails if the file ${how} on the server meanwhile`, async () => {
    await using inbox = await tempDir();
    const path = await inbox.write("app.log", new Uint8Array(LARGE));
    await using server = await serveHere({ dir: inbox.path });
    const { failure } = await getChanging(server, () => change(path));
    assertMatch(failure!, /^Cannot get "app.log": .*"app\.log" changed while it was sent$/);
  });
}

integration("a small file that outgrows its place in a list is got alone", async () => {
  await using inbox = await tempDir();
  await using local = await tempDir();
  Deno.mkdirSync(`${inbox.path}/logs`);
  await inbox.write("logs/app.log", bytes(10));
  await inbox.write("logs/other.log", bytes(20));
  Deno.utimeSync(`${inbox.path}/logs`, LONG_AGO, LONG_AGO);
  await using server = await serveHere({ dir: inbox.path });
  const dialer = new Dialer(addressOf(server), {});
  const failed: string[] = [];
  await dialer.withSession((client) => {
    // The list is read before the files are asked for.
    const { ask } = client;
    let growing: Promise<string> | undefined;
    client.ask = async (...args) => {
      await (growing ??= inbox.write("logs/app.log", bytes(700_000)));
      return await ask.apply(client, args);
    };
    return getFolder(client, "logs", {
      ...{ directory: local.path, skipSame: false, done: new Set() },
      progress: dialer.context.progress,
      onResult: (label, result) => "error" in result && failed.push(label),
    });
  });
  assertEquals(failed, []);
  assertEquals(names(`${local.path}/logs`), ["app.log", "other.log"]);
  assertEquals(Deno.readFileSync(`${local.path}/logs/app.log`), bytes(700_000));
  // It came into its folder behind all others.
  assertEquals(Deno.statSync(`${local.path}/logs`).mtime, LONG_AGO);
});

for (const [before, after] of [[10, 20], [20, 10], [10, 600_000], [600_000, 600_010]] as const) {
  integration(
    `a file of ${before} bytes that has ${after} when its turn comes is sent whole`,
    async () => {
      await using inbox = await tempDir();
      await using local = await tempDir();
      await using server = await serveHere({ dir: inbox.path });
      const files = [
        await local.write("large", bytes(600_000)),
        await local.write("app.log", bytes(before)),
      ];
      const sending = send(addressOf(server), files, {
        // Both are measured by then, and the second one is not sent ahead of the first answer.
        onResult: ({ label }) => label === files[0] && Deno.writeFileSync(files[1]!, bytes(after)),
      });
      await sending;
      assertEquals(Deno.readFileSync(`${inbox.path}/app.log`), bytes(after));
    },
  );
}

for (const strict of [false, true]) {
  const how = strict ? "fails with strict" : "is sent as it was";
  integration(`on the upload wire a file that grows ${how}`, async () => {
    using theirs = impostor();
    await using local = await tempDir();
    const file = await local.write("app.log", bytes(10));
    const told: string[] = [];
    const options = { mode: "upload", strict, onNotice: (text: string) => told.push(text) };
    const sending = resultsOf(send(addressOf(theirs), [file], options));
    using wire = await theirs.accept();
    assertEquals((await wire.bytes(15)).at(7), 10);
    append(file);
    await wire.says("go ahead");
    assertEquals(await wire.bytes(10), bytes(10));
    wire.close();
    const [result] = await sending;
    assertEquals(
      result?.error?.message,
      strict ? `Cannot send "${file}": it grew while it was sent` : undefined,
    );
    assertEquals(told.length, strict ? 0 : 1);
  });
}
