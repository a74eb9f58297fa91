/**
 * Two servers on one directory of a disk without hard links, which are stopped at random moments and
 * killed at others.
 *
 * @module
 */

import { assert } from "@std/assert";
import { delay } from "@std/async/delay";
import { anHourPasses, startServer, type TestServer } from "../helpers.ts";
import type { Dice } from "./content.ts";
import { Crowd, isLost } from "./crowd.ts";
import type { Trial } from "./trial.ts";

/** Clients of each server. */
const CLIENTS = 4;

/** Files that are acknowledged before a server is killed, at most. */
const MOST_FILES = 60;

/** Most milliseconds that the servers run between two stops. */
const MOST_RUN_MS = 200;

const ARGS = ["--max-clients", "1000", "--backlog", "1000"];

/** What there was to see. */
export interface Stopped {
  kills: number;
  /** How often a server was stopped. */
  stops: number;
}

/**
 * Has two servers take files, and looks at all of it whenever one of them was killed.
 *
 * @param mostStopMs A lock is broken after 5,000.
 */
export async function killAndStop(
  dir: string,
  { rounds, mostStopMs, trial, dice }: {
    rounds: number;
    mostStopMs: number;
    trial: Trial;
    dice: Dice;
  },
): Promise<Stopped> {
  let stops = 0;
  for (let round = 0; round < rounds; round++) {
    anHourPasses(dir);
    await using one = await startServer({ dir, args: ARGS });
    await using other = await startServer({ dir, args: ARGS });
    await trial.look(dir);
    stops += await killOne([one, other], { mostStopMs, trial, dice });
  }
  anHourPasses(dir);
  await using _last = await startServer({ dir, args: ARGS });
  await trial.look(dir);
  return { kills: rounds, stops };
}

/** Gives how often a server was stopped. */
async function killOne(
  servers: readonly [TestServer, TestServer],
  { mostStopMs, trial, dice }: { mostStopMs: number; trial: Trial; dice: Dice },
): Promise<number> {
  const victim = dice.of(servers);
  let files = 1 + dice.below(MOST_FILES);
  let isOver = false;
  const onFile = (): void => {
    if (--files > 0 || isOver) return;
    isOver = true;
    victim.running.process.kill("SIGKILL");
  };
  const pick = (): string | undefined => trial.acknowledged.values().next().value;
  const crowds = servers.map((server) => new Crowd({ server, trial, dice, pick, onFile }));
  const [stops, ...ends] = await Promise.all([
    stopAtRandom(servers, { mostStopMs, dice, isOver: () => isOver }),
    ...crowds.map((crowd) =>
      Promise.allSettled(Array.from({ length: CLIENTS }, () => crowd.run(1, () => isOver)))
    ),
  ]);
  for (const [index, crowd] of ends.entries()) {
    const wasKilled = servers[index] === victim;
    for (const end of crowd) {
      if (end.status === "fulfilled") continue;
      assert(wasKilled && isLost(end.reason), Deno.inspect(end.reason));
    }
  }
  return stops;
}

async function stopAtRandom(
  servers: readonly TestServer[],
  { mostStopMs, dice, isOver }: { mostStopMs: number; dice: Dice; isOver(): boolean },
): Promise<number> {
  let stops = 0;
  while (!isOver()) {
    const { process } = dice.of(servers).running;
    try {
      process.kill("SIGSTOP");
      await delay(dice.below(mostStopMs));
      process.kill("SIGCONT");
    } catch {
      // It was killed.
    }
    stops++;
    await delay(dice.below(MOST_RUN_MS));
  }
  return stops;
}
