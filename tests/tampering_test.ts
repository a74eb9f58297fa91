/**
 * What somebody on the way does to encrypted bytes: flips one of them, or ends the connection as if it
 * were complete. Nothing that is published is wrong, and nothing that is cut counts as whole.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { getFile } from "../client/get_file.ts";
import { type Credential, credentialOf } from "../lib/auth/credential.ts";
import { pathSource } from "../lib/body/path_source.ts";
import { Progress } from "../lib/cli/progress.ts";
import { exitCode } from "../lib/errors.ts";
import { connect } from "../lib/net/connect.ts";
import { FilesClient } from "../modes/files/client.ts";
import {
  bytes,
  integration,
  names,
  runClient,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { endingBehind, KEY, Recorder, recordsIn } from "./interception.ts";
import { all, Flipper, type Proxy, proxyTo } from "./proxy.ts";

const CONTENT = bytes(200);

/** More than one record, and than the buffers of one read. */
const LARGE = bytes(1_000_000);

/** Bytes of the head of a record, which says nothing: RFC 8446, section 5.2. */
const HEAD_BYTES = 5;

/** Milliseconds after which the client gives up: a flip can make both sides wait for each other. */
const PATIENCE_MS = 1000;

/** The same where nothing is flipped, on a machine that is very busy. */
const LONG_MS = 60_000;

/** Conversations that are had at once. */
const AT_ONCE = 32;

/** One bit of one direction. */
interface Flip {
  readonly direction: "toServer" | "toClient";
  readonly offset: number;
  readonly bit: number;
}

/** Bytes of which one is flipped: the next test takes other ones. */
const STRIDE = 5;

/** Puts a file and gets it, under the name that it was stored under, while a bit is flipped. */
async function converse(
  server: TestServer,
  { server: identity, prove }: Credential,
  folder: string,
  { direction, offset, bit }: Flip,
): Promise<{ error: unknown; sent: Uint8Array }> {
  const [recorder, flipper] = [new Recorder(), new Flipper()];
  flipper.arm(offset, bit);
  await using proxy = proxyTo(server, { [direction]: all(recorder.change, flipper.change) });
  const conversation = async (): Promise<void> => {
    const signal = new AbortController().signal;
    const timeoutMs = offset === Infinity ? LONG_MS : PATIENCE_MS;
    using connection = await connect(proxy, { timeoutMs, signal, server: identity });
    const context = { progress: new Progress(), output: () => Promise.resolve(), prove };
    const client = await FilesClient.greet(connection, "t", context);
    const { name } = await client.put(await pathSource(`${folder}/sent`));
    await getFile(client, name!, `${folder}/got`);
    await client.exit();
  };
  const error = await conversation().then(() => undefined, (error) => error);
  return { error, sent: recorder.bytes };
}

/** Whether a flip changes nothing that is said: heads of records are not, nor is what ends TLS. */
function isHarmless({ offset }: Flip, sent: Uint8Array): boolean {
  const records = recordsIn(sent);
  const record = records.find(({ end }) => end > offset);
  return record === undefined || record === records.at(-1) || offset - record.start < HEAD_BYTES;
}

for (const direction of ["toServer", "toClient"] as const) {
  integration(
    `a flipped bit of TLS ${direction} is noticed, and nothing wrong is kept`,
    async () => {
      await using local = await tempDir();
      await local.write("sent", CONTENT);
      const key = await local.write("key", KEY);
      await using server = await startServer({ args: ["--token-file", key] });
      const credential = await credentialOf(KEY);
      const tryOut = (flip: Flip) => converse(server, credential, local.path, flip);
      const nowhere: Flip = { direction, offset: Infinity, bit: 0 };
      const { error, sent } = await tryOut(nowhere);
      assertEquals(error, undefined);
      const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
      const flips = Array.from({ length: Math.floor(sent.length / STRIDE) }, (_, index): Flip => {
        const bit = Math.imul(seed + index, 0x9e3779b1) >>> 29;
        return { direction, offset: index * STRIDE + seed % STRIDE, bit };
      }).values();
      const wrong: string[] = [];
      const work = async (): Promise<void> => {
        for (const flip of flips) {
          const { error, sent } = await tryOut(flip);
          const why = Deno.inspect(error);
          const what = `bit ${flip.bit} of byte ${flip.offset}, seed ${seed}: ${why}`;
          const isRight = error === undefined
            ? isHarmless(flip, sent)
            : [4, 5].includes(exitCode(error));
          if (!isRight) wrong.push(what);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      assertEquals(wrong, []);
      assertEquals((await tryOut(nowhere)).error, undefined);
      await server.running.stop();
      assert(!server.running.log.includes("internal error"), server.running.log);
      const kept = [server.dir, local.path].flatMap((folder) =>
        names(folder).map((name) => `${folder}/${name}`)
      );
      assert(kept.length > 3);
      for (const path of kept) {
        if (path !== key) assertEquals(Deno.readFileSync(path), CONTENT, path);
      }
    },
  );
}

/** What client.ts does at a server that has `large`, and a folder of many names. */
const COMMANDS: Readonly<Record<string, [direction: "up" | "down", args: string[]]>> = {
  "put": ["up", ["sent/large", "--as", "new"]],
  "put of the standard input": ["up", ["-", "--as", "new"]],
  "get": ["down", ["--get", "large"]],
  "get to stdout": ["down", ["--get", "large", "--output", "-"]],
  "list": ["down", ["--list", "many/"]],
};

for (const [what, [direction, args]] of Object.entries(COMMANDS)) {
  integration(`a ${what} that is changed or cut on its way does not count as whole`, async () => {
    await using local = await tempDir();
    const key = await local.write("key", KEY);
    await Deno.chmod(key, 0o600);
    Deno.mkdirSync(`${local.path}/sent`);
    await local.write("sent/large", LARGE);
    await using server = await startServer({ args: ["--token-file", key] });
    Deno.mkdirSync(`${server.dir}/many`);
    for (let name = 0; name < 2000; name++) {
      Deno.writeTextFileSync(`${server.dir}/many/${name}`, "");
    }
    Deno.writeFileSync(`${server.dir}/large`, LARGE);
    let tried = 0;
    const tryOut = async (through: Proxy): Promise<void> => {
      const ended = await runClient(through, [...args, "--token-file", "key"], {
        ...{ cwd: local.path, stdin: LARGE },
      });
      assert([4, 5].includes(ended.code), `${ended.code}`);
      // The second one tells how to go on.
      assertMatch(ended.stderr, /^inlet: [^\n]*\n(inlet: (To|With) [^\n]*\n)?$/);
      assertEquals(names(local.path), ["key", "sent"]);
      await server.running.says(/left, 0 connected/, ++tried);
      assertEquals(names(server.dir), ["large", "many"]);
    };
    const flipper = new Flipper();
    flipper.arm(40_000, 3);
    const way = direction === "up" ? "toServer" : "toClient";
    await using flipping = proxyTo(server, { [way]: flipper.change });
    await tryOut(flipping);
    await using ending = endingBehind(server, direction, 12);
    await tryOut(ending);
  });
}
