/** A store that takes its time: its clients wait, and nobody is taken for silent. */

import { assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import { send } from "../client.ts";
import { MemoryStore } from "../docs/memory_store.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { BatchedFile, StoreBatch } from "../lib/store/store_batch.ts";
import { exchange, integration, tempDir } from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { Wire } from "./wire.ts";

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

/** The ways in which a store in memory can need half a second, and what it is asked then. */
const SLOW: Record<string, { slow(store: MemoryStore): void; says: string; answer: string[] }> = {
  "to begin an upload": {
    slow(store): void {
      const receive = store.receive.bind(store);
      // A store of a program may return a promise.
      Object.assign(store, { receive: (name: string) => delay(500).then(() => receive(name)) });
    },
    says: "put 6 a\nhello\nend 363a3020\n",
    answer: ["go 0", "ok 6 363a3020 a"],
  },
  "to take a small file": {
    slow: (store) =>
      slowBatch(store, (batch) => ({
        ...batch,
        put: (...file) => delay(500).then(() => batch.put(...file)),
      })),
    says: "push 6 a\nhello\nend 363a3020\n",
    answer: ["ok 6 363a3020 a"],
  },
  "to store a small file that it has taken": {
    slow: (store) => slowBatch(store, settlingLate),
    says: "push 6 a\nhello\nend 363a3020\n",
    answer: ["ok 6 363a3020 a"],
  },
  "to commit small files": {
    slow: (store) => slowBatch(store, (batch) => ({ ...batch, commit: () => delay(500) })),
    says: "push 6 a\nhello\nend 363a3020\n",
    answer: ["ok 6 363a3020 a"],
  },
  "to make a folder": {
    slow: (store) =>
      slowBatch(store, (batch) => ({
        ...batch,
        makeFolder: (...folder) => delay(500).then(() => batch.makeFolder(...folder)),
      })),
    says: "mkdir a\n",
    answer: ["ok a"],
  },
};

function slowBatch(store: MemoryStore, slowed: (batch: StoreBatch) => StoreBatch): void {
  const batch = store.batch.bind(store);
  store.batch = () => slowed(batch());
}

/** A batch whose files have no name yet for half a second, as those of a bucket. */
function settlingLate(batch: StoreBatch): StoreBatch {
  let settling: Promise<void> | undefined;
  return {
    ...batch,
    get settling() {
      return settling;
    },
    put(...given) {
      const file: BatchedFile = {};
      settling = delay(500).then(() => {
        settling = undefined;
        Object.assign(file, batch.put(...given));
      });
      return file;
    },
    commit: () => settling,
  };
}

for (const [what, { slow, says, answer }] of Object.entries(SLOW)) {
  integration(`a client is not cut while its store needs long ${what}`, async () => {
    await using dir = await tempDir();
    const store = new MemoryStore();
    slow(store);
    await using server = await serveHere({ dir: dir.path, store, idleTimeoutMs: 50 });
    using wire = await Wire.greet(server);
    await wire.says(says);
    for (const line of answer) assertEquals(await wire.line(), line);
  });
}

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
