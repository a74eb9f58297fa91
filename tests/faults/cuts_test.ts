import { assert } from "@std/assert";
import { integration, KEY, startServer, WHOLE_GC } from "../helpers.ts";
import { Dice } from "./content.ts";
import { cutEverywhere, cutRawEverywhere } from "./cuts.ts";
import { cutEncrypted } from "./handshakes.ts";
import { type Way, WAYS } from "./peer.ts";
import { cutAndResumeEverywhere } from "./resumes.ts";
import { givesBack, holdingsOf, Trial, withClient } from "./trial.ts";

/** What code and caches that were not needed before may take of a server's memory, in bytes. */
const RSS_GROWTH = 32 * 2 ** 20;

/** Encrypted, each byte takes longer: of so many, one is tried here, and all by `deno task torture`. */
const SAMPLE = 8;

/** All silences end at the same time, and long after the last word of the slowest. */
const ARGS: Record<Way, string[]> = {
  end: [],
  reset: [],
  silence: ["--timeout", "6", "--session-timeout", "6"],
};

for (const way of WAYS) {
  integration(
    `a client's ${way} after any byte of an encrypted conversation loses nothing`,
    async () => {
      const args = ["--max-clients", "1000", "--backlog", "1000", ...ARGS[way]];
      const seed = crypto.getRandomValues(new Uint16Array(1))[0]!;
      console.log(`seed ${seed}`);
      await using server = await startServer({ args, env: WHOLE_GC, key: KEY });
      const trial = new Trial(seed);
      await withClient(server, (client) => trial.useHonestly(client));
      const before = holdingsOf(server);
      await cutEverywhere(server, trial, way, SAMPLE);
      await cutAndResumeEverywhere(server, trial, way, SAMPLE);
      await cutEncrypted(server, trial, way, { cuts: 40, dice: new Dice(seed) });
      const growth = (await givesBack(server, before)).rssBytes - before.rssBytes;
      assert(growth < RSS_GROWTH, `its memory grew by ${growth} bytes`);
    },
  );
  const args = ["--max-clients", "1000", "--backlog", "1000", ...ARGS[way]];
  integration(`server.ts loses nothing to a client's ${way} after any byte`, async () => {
    await Promise.all([cutFiles(way, args), cutRaw(way, args), cutAndResume(way, args)]);
  });
}

async function cutFiles(way: Way, args: string[]): Promise<void> {
  await using server = await startServer({ args, env: WHOLE_GC });
  const trial = new Trial(1);
  await withClient(server, (client) => trial.useHonestly(client));
  const before = holdingsOf(server);
  assert(await cutEverywhere(server, trial, way) > 300);
  const after = await givesBack(server, before);
  const growth = after.rssBytes - before.rssBytes;
  assert(growth < RSS_GROWTH, `its memory grew by ${growth} bytes`);
}

async function cutRaw(way: Way, args: string[]): Promise<void> {
  await using server = await startServer({ args: ["--mode", "raw", ...args] });
  assert(await cutRawEverywhere(server, new Trial(1), way, []) > 20);
}

async function cutAndResume(way: Way, args: string[]): Promise<void> {
  await using server = await startServer({ args });
  assert(await cutAndResumeEverywhere(server, new Trial(1), way) > 90);
}
