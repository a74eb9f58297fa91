/** A store that takes its time: its clients wait, and nobody is taken for silent. */

import { assertEquals, assertMatch } from "@std/assert";
import { send } from "../client.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import { exchange, integration, tempDir } from "./helpers.ts";
import { serveHere } from "./in_process.ts";

/** A store that needs so long for the first chunk of each upload. */
async function slowStore(dir: string, milliseconds: number): Promise<DirectoryStore> {
  const store = await DirectoryStore.open(dir);
  const receive = store.receive.bind(store);
  store.receive = (...given) => {
    const upload = receive(...given);
    const write = upload.write.bind(upload);
    upload.write = async (chunk) => {
      upload.write = write;
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      await write(chunk);
    };
    return upload;
  };
  return store;
}

integration("a client whose store needs longer than the idle timeout is not cut", async () => {
  await using dir = await tempDir();
  const store = await slowStore(dir.path, 500);
  await using server = await serveHere({ dir: dir.path, store, idleTimeoutMs: 50 });
  const answer = await exchange(server, "hello 1\nput 6 hello.txt\nhello\nend 363a3020\n");
  assertMatch(answer, /\nok 6 363a3020 hello.txt\n/);
});

integration("a client is told that the store is at work, and waits for longer", async () => {
  await using dir = await tempDir();
  const store = await slowStore(dir.path, 3000);
  await using server = await serveHere({ dir: dir.path, store });
  const large = `${dir.path}/large`;
  await Deno.writeFile(large, new Uint8Array(600_000));
  // In this process, so that what stops one side for a while stops the clock of the other one too.
  const address = { hostname: "127.0.0.1", port: server.port };
  const [result] = await send(address, [large], { timeoutMs: 2000 });
  assertEquals([result?.error, result?.stored?.size], [undefined, 600_000]);
});
