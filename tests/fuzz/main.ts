/**
 * Everything that is fuzzed, in one function: `deno run -A tests/fuzz/main.ts --cases 1500000 --seed 1`.
 *
 * A failure names its seed and its counterexample, the smallest that was found.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { fuzzCodec } from "./codec.ts";
import { fuzzConversations } from "./conversation.ts";
import { fuzzHttp } from "./http.ts";
import { fuzzNames } from "./names.ts";

/** Cases after which it is told how far it is. */
const SLICE = 15_000;

/** What a part has of so many cases. A step of a conversation takes a hundred times as long as a line. */
const SHARES: readonly [number, (cases: number, seed: number) => void | Promise<void>][] = [
  [5, fuzzCodec],
  [4, fuzzNames],
  [1, fuzzConversations],
  [5, fuzzHttp],
];
const OF = 15;

/**
 * Tries so many lines, names, steps of conversations with a server, and requests of HTTP to one.
 *
 * @param report Told every now and then how many cases are done.
 * @throws {Error} with the seed and the counterexample
 */
export async function fuzz(
  cases: number,
  seed: number,
  report: (done: number) => void = () => {},
): Promise<void> {
  for (let done = 0; done < cases;) {
    const slice = Math.min(SLICE, cases - done);
    for (const [share, part] of SHARES) await part(Math.ceil(slice * share / OF), seed + done);
    report(done += slice);
  }
}

if (import.meta.main) {
  const given = parseArgs(Deno.args, { string: ["cases", "seed"] });
  const cases = Number(given.cases ?? 1_500_000);
  const seed = Number(given.seed ?? Date.now() % 1_000_000_007);
  console.log(`${cases} cases, seed ${seed}`);
  const started = performance.now();
  await fuzz(cases, seed, (done) => {
    console.log(`${done} cases, ${Math.round((performance.now() - started) / 1000)} s`);
  });
}
