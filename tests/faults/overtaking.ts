/**
 * Two servers on one directory whose locks do not reach each other: both sweep all the time, what is
 * in flight looks old, and each is stopped at random moments. Clients begin at one and go on at the
 * other.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { tryTo } from "../../lib/store/temp_file.ts";
import { ownFiles } from "../helpers.ts";
import type { Dice } from "./content.ts";
import { type OddServer, startOddServer } from "./odd_servers.ts";
import { type Uploaded, uploadSlowly } from "./slow_uploads.ts";
import { givesBack, holdingsOf, isAtLeast, type Trial } from "./trial.ts";

/** Clients at once. */
const CLIENTS = 8;

/** Most milliseconds that a server is stopped for, and that it runs between. */
const MOST_STOP_MS = 400;
const MOST_RUN_MS = 600;

/** Most milliseconds between two files that are made old. */
const AGE_PAUSE_MS = 20;

/** Milliseconds after which another server takes a file over, and after which it sweeps it. */
const QUIET_MS = 20_000;
const ABANDONED_MS = 3_700_000;

/** What there was to see. */
export interface Overtaken extends Uploaded {
  /** How often a server was stopped. */
  stops: number;
  /** How often the servers swept. */
  sweeps: number;
}

/** Where it happens. */
interface Around {
  dir: string;
  trial: Trial;
  dice: Dice;
  /** The least of what there has to be before it ends, however long that takes. */
  wanted?: Partial<Overtaken>;
}

/** Uploads to two such servers for so long, and looks at all of it then. */
export async function overtake(
  durationMs: number,
  { dir, trial, dice, wanted = {} }: Around,
): Promise<Overtaken> {
  await using one = await startOddServer(dir);
  await using other = await startOddServer(dir);
  const servers = [one, other];
  const before = servers.map(holdingsOf);
  const started = performance.now();
  const seen = { files: 0, resumed: 0, refused: 0, stops: 0 };
  let isDone = false;
  const isLate = (): boolean => performance.now() - started > durationMs;
  const isEnough = (): boolean => isAtLeast(wanted, { ...seen, sweeps: one.sweeps + other.sweeps });
  const isOver = (): boolean => isDone || isLate() && isEnough();
  const around = { servers, trial, dice, leavesOpen: true, uploaded: seen };
  const uploading = uploadSlowly(CLIENTS, isOver, around).finally(() => isDone = true);
  // They go on while the last uploads do: those may wait for a file to look old.
  await Promise.all([
    uploading,
    stopAtRandom(servers, dice, { seen, isOver: () => isDone }),
    makeOld(dir, dice, { isLate, isDone: () => isDone }),
  ]);
  for (const [nth, server] of servers.entries()) await givesBack(server, before[nth]!);
  const sweeps = await one.end() + await other.end();
  // A wrong end leaves a partial file, which is to be there for the next client.
  for (const path of ownFiles(dir)) if (path.includes("/kept-")) Deno.removeSync(path);
  for (const server of servers) await trial.assertSound(server);
  return { ...seen, sweeps };
}

/** Stops one of the servers after the other for a moment, and counts that. */
async function stopAtRandom(
  servers: readonly OddServer[],
  dice: Dice,
  { seen, isOver }: { seen: { stops: number }; isOver(): boolean },
): Promise<void> {
  while (!isOver()) {
    const { process } = dice.of(servers).running;
    process.kill("SIGSTOP");
    await delay(dice.below(MOST_STOP_MS));
    process.kill("SIGCONT");
    seen.stops++;
    await delay(dice.below(MOST_RUN_MS));
  }
}

/** Makes files in flight look as if nobody had written them for a time. */
async function makeOld(
  dir: string,
  dice: Dice,
  { isLate, isDone }: { isLate(): boolean; isDone(): boolean },
): Promise<void> {
  while (!isDone()) {
    const paths = ownFiles(dir).filter((path) => path.endsWith(".temp"));
    if (paths.length > 0) {
      // What is never resumed is swept; what is resumed belongs to whoever resumes it.
      const path = dice.of(paths);
      const isResumable = /\/(kept-)?[0-9a-f]{64}-/.test(path);
      const time = new Date(Date.now() - (isResumable ? QUIET_MS : ABANDONED_MS));
      // The last upload would be swept at each attempt, if it takes longer than the sweeps are apart.
      if (isResumable || !isLate()) tryTo(() => Deno.utimeSync(path, time, time));
    }
    await delay(dice.below(AGE_PAUSE_MS));
  }
}
