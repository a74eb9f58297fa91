import { assertEquals, assertMatch } from "@std/assert";
import { fuzzCodec } from "./fuzz/codec.ts";
import { fuzzConversations } from "./fuzz/conversation.ts";
import { fuzzNames } from "./fuzz/names.ts";
import { fixture, integration, pure, startServer } from "./helpers.ts";
import { Wire } from "./wire.ts";

/** The same in every run. tests/fuzz/main.ts tries others, and more of them. */
const SEED = 20250101;

pure("the decoders answer or throw ProtocolError, and what they took stays as it is", () => {
  fuzzCodec(5000, SEED);
});

pure("the functions of names refuse a name, or make one that is safe on every system", () => {
  fuzzNames(4000, SEED);
});

integration("a server holds any conversation, and has what it acknowledged", async () => {
  await fuzzConversations(1000, SEED);
});

integration("a get goes on when a line comes that only looks like a stop", async () => {
  await using server = await startServer();
  Deno.copyFileSync(fixture("hello.txt"), `${server.dir}/hello.txt`);
  using wire = await Wire.greet(server);
  await wire.says("get hello.txt\n\ufeffstop\n");
  for (const line of ["ok 6", "data 6", "hello"]) assertEquals(await wire.line(), line);
  assertMatch(await wire.line(), /^end\S* 363a3020 /);
  assertEquals(await wire.line(), "\ufeffstop ACK");
});
