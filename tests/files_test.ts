import { assertEquals, assertMatch } from "@std/assert";
import { integration, runClient, startServer, tempDir } from "./helpers.ts";

integration("put stores a file and says what it became", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const file = await local.write("hello.txt", "hello\n");
  const { code, stderr } = await runClient(server, [file]);
  assertEquals(code, 0);
  assertMatch(stderr, /hello\.txt: stored as "hello\.txt", 6 B, CRC-32 363a3020/);
  assertEquals(await Deno.readTextFile(`${server.dir}/hello.txt`), "hello\n");
});
