/** A store that takes its time: its clients wait, and are not taken for silent. */

import { assertMatch } from "@std/assert";
import { DirectoryStore } from "../lib/store/directory.ts";
import { exchange, integration, tempDir } from "./helpers.ts";
import { serveHere } from "./in_process.ts";

integration("a client whose store needs longer than the idle timeout is not cut", async () => {
  await using dir = await tempDir();
  const store = await DirectoryStore.open(dir.path);
  const receive = store.receive.bind(store);
  store.receive = (...given) => {
    const upload = receive(...given);
    const write = upload.write.bind(upload);
    upload.write = async (chunk) => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      await write(chunk);
    };
    return upload;
  };
  await using server = await serveHere({ dir: dir.path, store, idleTimeoutMs: 50 });
  const answer = await exchange(server, "hello 1\nput 6 hello.txt\nhello\nend 363a3020\n");
  assertMatch(answer, /\nok 6 363a3020 hello.txt\n/);
});
