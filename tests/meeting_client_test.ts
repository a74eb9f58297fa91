/**
 * Two clients that meet by a code: what goes from one to the other, and what the server sees of it.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { concat } from "@std/bytes/concat";
import { Dialer } from "../client/dialer.ts";
import { WaitingOffer } from "../client/meeting/waiting_offer.ts";
import { codeSecret, SALT_BYTES } from "../lib/auth/code_secret.ts";
import { Progress } from "../lib/cli/progress.ts";
import { serve } from "../server.ts";
import {
  bytes,
  fixture,
  integration,
  KEY,
  names,
  runClient,
  startServer,
  tempDir,
  type TestServerOptions,
} from "./helpers.ts";
import { accept, type Offerer, startOffer } from "./meeting.ts";
import { accept as comeTo } from "./meeting_ends.ts";
import { treeOf } from "./trees.ts";
import { startMeetingServer } from "./meeting_server.ts";

/**
 * Words that are in nothing that a server may see. Of those that are drawn some are: "come" is in its
 * welcome, and one word in the other that the clients meet by.
 */
const OFFERED = { INLET_CODE: "4713-mango-walnut-carbon-ladder-pebble" };

integration("a file goes to whoever has the code, and the server sees none of it", async () => {
  await using server = startMeetingServer();
  await using dir = await tempDir();
  const content = bytes(3_000_000);
  const path = await dir.write("secret plans.bin", content);
  const { mode } = Deno.statSync(path);
  await Deno.mkdir(`${dir.path}/in`);
  await using offer = await startOffer(server, [path], { env: OFFERED });
  assertEquals(offer.code, OFFERED.INLET_CODE);
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

/** The exit codes of both sides. */
async function codes(
  offer: Offerer,
  taken: { code: number },
): Promise<[offering: number, accepting: number]> {
  return [(await offer.ended()).code, taken.code];
}

/** Starts a real server, in a directory of its own, and a folder to receive into. */
async function scene(options: TestServerOptions = {}) {
  const dir = await tempDir();
  const server = await startServer(options);
  await Deno.mkdir(`${dir.path}/in`);
  return {
    server,
    dir,
    inbox: `${dir.path}/in`,
    into: ["--output", `${dir.path}/in`],
    async [Symbol.asyncDispose](): Promise<void> {
      await server[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

for (const key of [undefined, KEY]) {
  const where = key === undefined ? "a plain server" : "a server with a key";
  integration(`over ${where} several files and a folder arrive as they are`, async () => {
    await using here = await scene({ key });
    const { server, dir, inbox } = here;
    const one = await dir.write("one.txt", "one");
    const empty = await dir.write("empty", "");
    await Deno.mkdir(`${dir.path}/tree/deep/empty`, { recursive: true });
    await dir.write("tree/a.txt", "a");
    await dir.write("tree/deep/large.bin", bytes(2_000_000));
    await Deno.symlink("a.txt", `${dir.path}/tree/link`);
    await Deno.chmod(`${dir.path}/tree/a.txt`, 0o750);
    await Deno.chmod(`${dir.path}/tree/deep`, 0o700);
    await Deno.utime(`${dir.path}/tree/deep`, 1e9, 1e9);
    await using offer = await startOffer(server, [one, empty, `${dir.path}/tree`]);
    const taken = await accept(server, offer.code, here.into);
    assertEquals([taken.code, await codes(offer, taken)], [0, [0, 0]], taken.stderr);
    assertMatch(taken.stderr, /Receiving 5 files, 3 folders, 1\.91 MiB: ".*one\.txt", /);
    assertMatch(taken.stderr, /tree: 2 files into ".*in\/tree", 1\.91 MiB.*, 1 symbolic link/);
    assertEquals(treeOf(`${inbox}/tree`), treeOf(`${dir.path}/tree`));
    assertEquals(names(inbox), ["empty", "one.txt", "tree"]);
  });
}

integration("the standard input arrives as a file, and a line of text as a message", async () => {
  await using here = await scene();
  const { server, inbox } = here;
  const content = bytes(300_000);
  {
    await using offer = await startOffer(server, ["-", "--as", "given.bin"], { input: content });
    const taken = await accept(server, offer.code, here.into);
    assertEquals(await codes(offer, taken), [0, 0], taken.stderr);
    assertMatch(taken.stderr, /Receiving "given\.bin", of unknown size/);
    assertEquals(await Deno.readFile(`${inbox}/given.bin`), content);
  }
  await using offer = await startOffer(server, [], { input: "nine o'clock\n" });
  const taken = await accept(server, offer.code, here.into);
  assertEquals(await codes(offer, taken), [0, 0], taken.stderr);
  assertEquals([taken.stdout, names(inbox)], ["nine o'clock\n", ["given.bin"]]);
});

/** What a receiver with wrong words says. */
const WRONG_WORDS =
  /^inlet: Cannot trust who answers: the words of the code are wrong, or somebody stands in between; nothing was received$/;

integration("wrong words get one line and exit code 3, and ten of them end the offer", async () => {
  await using here = await scene();
  const { server, dir, inbox } = here;
  await using offer = await startOffer(server, [await dir.write("a.txt", "a")]);
  const wrong = offer.code.replace(/-\w+$/, offer.code.endsWith("-zoom") ? "-zone" : "-zoom");
  const begun = performance.now();
  const tries = async (): Promise<void> => {
    const taken = await accept(server, wrong, [...here.into, "--quiet"]);
    assertEquals(taken.code, 3);
    assertMatch(taken.stderr, WRONG_WORDS);
  };
  await tries();
  assert(performance.now() - begun >= 1000);
  await offer.running.says(/other words, or stands in between \(1 of 10\)$/);
  await Promise.all(
    Array.from({ length: 3 }, async () => {
      for (let time = 0; time < 3; time++) await tries();
    }),
  );
  const { code, stderr } = await offer.ended();
  assertEquals(code, 3);
  assertMatch(
    stderr,
    /^inlet: The offer is over: 10 times somebody came with other words; offer it again$/m,
  );
  const late = await accept(server, offer.code, [...here.into, "--quiet"]);
  assertEquals([late.code, names(inbox)], [3, []]);
  assertMatch(
    late.stderr,
    /^inlet: Cannot accept: no offer has this code; it is mistyped, over, or taken$/,
  );
});

integration("an offer that ends while no connection waits is over at the server, too", async () => {
  await using local = await tempDir();
  // In this process: while it does not run, the two seconds that an offer has for its end do not pass.
  await using running = await serve({ directory: local.path, log: { quiet: true } });
  const server = running.address;
  const again = Promise.withResolvers<void>();
  const ending = Promise.withResolvers<void>();
  const reach = (signal: AbortSignal): Dialer => {
    const dialer = new Dialer(server, { signal, progress: new Progress() });
    const open = dialer.open.bind(dialer);
    let times = 0;
    dialer.open = async (...how) => {
      if (times++ > 0) {
        again.resolve();
        await ending.promise;
      }
      return await open(...how);
    };
    return dialer;
  };
  const { signal } = new AbortController();
  const salt = new Uint8Array(SALT_BYTES);
  const offering = new WaitingOffer({
    plate: { word: "mango" },
    salt,
    secret: codeSecret("a-b-c-d", salt),
    seconds: 600,
    tunnel: { idleTimeoutMs: 60_000, signal },
    signal,
    reach,
    onNotice: () => {},
  });
  const plate = await offering.opened;
  using _ = await comeTo(server, plate);
  await again.promise;
  const ended = offering[Symbol.asyncDispose]();
  ending.resolve();
  await ended;
  await assertRejects(() => comeTo(server, plate), Error, "error denied Cannot accept: no offer");
});

integration("of two receivers one gets it, and the other one is told", async () => {
  await using here = await scene();
  const { server, dir } = here;
  await Deno.mkdir(`${dir.path}/other`);
  const input = new TransformStream<Uint8Array>();
  const writer = input.writable.getWriter();
  const offering = startOffer(server, ["-", "--as", "a.bin"], { input: input.readable });
  await writer.write(bytes(100_000));
  await using offer = await offering;
  const folders = [here.inbox, `${dir.path}/other`];
  const both = folders.map(async (folder, index) => ({
    ...await accept(server, offer.code, ["--output", folder]),
    index,
  }));
  // The one who gets it is not done before the end of the input.
  const told = await Promise.race(both);
  assertEquals(told.code, 3);
  assertMatch(told.stderr, /The offer is taken: somebody else has this code too/);
  await writer.close();
  const won = 1 - told.index;
  assertEquals([(await both[won]!).code, (await offer.ended()).code], [0, 0]);
  assertEquals([names(folders[won]!), names(folders[told.index]!)], [["a.bin"], []]);
});

integration(
  "an offer that nobody takes ends in time, and a code that is over opens nothing",
  async () => {
    await using here = await scene();
    const { server, dir } = here;
    await using offer = await startOffer(server, [
      await dir.write("a.txt", "a"),
      ...["--expires", "1s"],
    ]);
    const { code, stderr } = await offer.ended();
    assertEquals(code, 3);
    assertMatch(stderr, /^inlet: The offer is over: nobody (has come in time|came for it)$/m);
    assertEquals((await accept(server, offer.code, here.into)).code, 3);
  },
);

integration("what cannot be meant gets one line and exit code 2", async () => {
  await using dir = await tempDir();
  // Nobody is asked anything, the server least of all.
  const nowhere = { port: 9 };
  const cases: [args: string[], why: RegExp][] = [
    [["--offer"], /^inlet: Cannot offer nothing: the message is empty$/],
    [["--offer", "-"], /give --as NAME$/],
    [["--offer", `${dir.path}/none`], /none/],
    [["--offer", "--accept"], /--offer together with --accept|--accept together with --offer/],
    ...["2h", "0", "soon"].map((time): [string[], RegExp] => [
      ["--offer", fixture("hello.txt"), "--expires", time],
      new RegExp(`"${time}" as the --expires: give a time from 1s to 1h, like 10m$`),
    ]),
    [["--expires", "1m", fixture("hello.txt")], /--expires without --offer/],
    [["--yes"], /--yes without --accept; try/],
    [["--no-direct", "--list"], /--no-direct without --offer, --accept or --session; try/],
    [["--accept"], /^inlet: Cannot ask whether to receive what is offered: give --yes$/],
    [
      ["--accept", "--yes", "4713-mango-walnut-carbon-ladder-pebble"],
      /^inlet: Cannot take the code as an argument: others on this machine can read it there/,
    ],
    [["--accept", "--yes", "file.txt"], /FILE together with --accept/],
    [["--accept", "--yes", "--output", "-"], /--output - with --accept/],
    [
      ["--accept", "--yes", "--output", `${dir.path}/none`],
      /^inlet: Cannot save into ".*none": it does not exist/,
    ],
    [["--accept", "--yes"], /^inlet: Cannot accept without a code: write it on the standard input/],
  ];
  for (const [args, why] of cases) {
    const { code, stdout, stderr } = await runClient(nowhere, args, { stdin: "" });
    assertEquals([code, stdout, stderr.trimEnd().includes("\n")], [2, "", false], stderr);
    assertMatch(stderr.trimEnd(), why);
  }
  const typed = ["--accept", "--yes", "--output", dir.path];
  const { code, stderr } = await runClient(nowhere, typed, {
    stdin: "4713 mango walnut carbon ladder peble\n",
  });
  assertEquals(code, 2);
  assertMatch(stderr, /"peble" is no word of a code, the nearest is "pebble"/);
});

integration(
  "a code is taken from a line of the standard input, however it is written",
  async () => {
    await using here = await scene();
    const { server, dir } = here;
    await using offer = await startOffer(server, [await dir.write("a.txt", "a")]);
    const input = `  ${offer.code.toUpperCase().replaceAll("-", " ")}\r\n`;
    const taken = await accept(server, offer.code, here.into, { input });
    assertEquals(await codes(offer, taken), [0, 0], taken.stderr);
  },
);

integration("--json tells the code, and the results of both sides", async () => {
  await using here = await scene();
  const { server, dir } = here;
  const running = startOffer(server, [await dir.write("a.txt", "hello\n"), "--json"]);
  await using offer = await running;
  const { words } = JSON.parse(offer.code);
  assertMatch(words, /^\d{4}(-[a-z]{3,9}){5}$/);
  const taken = await accept(server, words, [...here.into, "--json"]);
  const ended = await offer.ended();
  const objects = (text: string) => text.trimEnd().split("\n").map((line) => JSON.parse(line));
  const withoutMs = ({ ms: _, ...object }: Record<string, unknown>) => object;
  const [path, saved] = [`${dir.path}/a.txt`, `${here.inbox}/a.txt`];
  const sums = { files: 1, folders: 0, links: 0, same: 0, failed: 0, untried: 0, excluded: 0 };
  const summary = { event: "summary", ...sums, bytes: 6, exitCode: 0 };
  assertEquals(objects(ended.stdout).map(withoutMs), [
    { version: 1, event: "offered", words },
    { event: "stored", path, file: "a.txt", bytes: 6, crc: "363a3020", way: "relayed" },
    summary,
  ]);
  assertEquals(objects(taken.stdout).map(withoutMs), [
    {
      version: 1,
      event: "got",
      file: "a.txt",
      path: saved,
      bytes: 6,
      crc: "363a3020",
      way: "relayed",
    },
    summary,
  ]);
  await using message = await startOffer(server, ["--json"], { input: "hello\n" });
  const said = await accept(server, JSON.parse(message.code).words, [...here.into, "--json"]);
  assertEquals(objects((await message.ended()).stdout)[1], {
    ...{ event: "message", bytes: 6, crc: "363a3020" },
  });
  assertEquals(objects(said.stdout)[0], {
    version: 1,
    event: "message",
    bytes: 6,
    text: "hello\n",
  });
});

integration("what is there already is told to the receiver too", async () => {
  await using here = await scene();
  const { server, dir, inbox, into } = here;
  await Deno.mkdir(`${dir.path}/photos`);
  await dir.write("photos/b.txt", "b");
  await Deno.symlink("b.txt", `${dir.path}/photos/link`);
  const args = [await dir.write("a.txt", "a"), `${dir.path}/photos`, "--skip-same"];
  const again = async (...options: string[]) => {
    await using offer = await startOffer(server, args);
    const taken = await accept(server, offer.code, [...into, ...options]);
    assertEquals(await codes(offer, taken), [0, 0], taken.stderr);
    return taken;
  };
  await again();
  const { stderr } = await again();
  assertMatch(stderr, /^a\.txt: already there$/m);
  assertMatch(stderr, /^photos: 0 files into "[^"]*", 0 B, 2 already there$/m);
  const { stdout } = await again("--json");
  const events = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(events.slice(0, -1).map(({ event, file, same }) => [event, file, same]).sort(), [
    ["got", "a.txt", true],
    ["got", "photos/b.txt", true],
    ["link", "photos/link", true],
  ]);
  assertEquals([events.at(-1).files, events.at(-1).same], [0, 3]);
  assertEquals(names(inbox), ["a.txt", "photos"]);
});
