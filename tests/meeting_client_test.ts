/**
 * Two clients that meet by a code: what goes from one to the other, and what the server sees of it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { bytes, integration, names, tempDir } from "./helpers.ts";
import { accept, startOffer } from "./meeting.ts";
import { startMeetingServer } from "./meeting_server.ts";

integration("a file goes to whoever has the code, and the server sees none of it", async () => {
  await using server = startMeetingServer();
  await using dir = await tempDir();
  const content = bytes(3_000_000);
  const path = await dir.write("secret plans.bin", content);
  const { mode } = Deno.statSync(path);
  await Deno.mkdir(`${dir.path}/in`);
  await using offer = await startOffer(server, [path]);
  assertMatch(offer.code, /^\d{4}(-[a-z]{3,9}){5}$/);
  const taken = await accept(server, offer.code, ["--output", `${dir.path}/in`]);
  assertEquals([taken.code, taken.stdout], [0, ""]);
  assertStringIncludes(taken.stderr, 'Receiving "secret plans.bin", 2.86 MiB');
  const { code, stdout, stderr } = await offer.ended();
  assertEquals([code, stdout], [0, `${offer.code}\n`]);
  assertStringIncludes(stderr, 'stored as "secret plans.bin", 2.86 MiB');
  const saved = `${dir.path}/in/secret plans.bin`;
  assertEquals(await Deno.readFile(saved), content);
  assertEquals(Deno.statSync(saved).mode, mode);
  assertEquals(Deno.statSync(saved).mtime, Deno.statSync(path).mtime);
  assertEquals(names(`${dir.path}/in`), ["secret plans.bin"]);
  const seen = new TextDecoder("latin1").decode(concat(server.recorded));
  const words = offer.code.split("-").slice(2);
  for (const hidden of ["secret plans", "hello;", "proof", ...words]) {
    assert(!seen.includes(hidden), hidden);
  }
  // Any 16 bytes of the file would do.
  for (let at = 0; at < content.length; at += 100_000) {
    const piece = new TextDecoder("latin1").decode(content.subarray(at, at + 16));
    assert(!seen.includes(piece));
  }
});
