/**
 * Minutes of a mixed load on one server, with what it holds and how long it takes to answer.
 *
 * @module
 */

import { assert } from "@std/assert";
import { ROOT, startServer, tempDir, type TestServer } from "../helpers.ts";
import { type Dice, isRight } from "./content.ts";
import { Crowd, type Deeds } from "./crowd.ts";
import { KILLINGS } from "./kills.ts";
import { givesBack, type Holdings, holdingsOf, type Trial, withClient } from "./trial.ts";

/** Clients at once. */
const CLIENTS = 16;

/** Files that stay, to be listed and got. All others are taken away when they have been looked at. */
const KEPT_FILES = 200;

/** Milliseconds from one killed client to the next. */
const KILL_PAUSE_MS = 1500;

/** Milliseconds between two looks at what the server holds. */
const SAMPLE_MS = 1000;

/** Milliseconds until a server has seen everything once. */
const WARM_MS = 60_000;

/** What a load has shown. */
export interface LoadFigures extends Deeds {
  /** Real clients that were killed. */
  kills: number;
  /** Bytes of memory after the first minute, and at the end: medians of ten seconds. */
  rssWarmBytes: number;
  rssEndBytes: number;
  descriptorsBefore: number;
  descriptorsAfter: number;
  /** Milliseconds that the answer to a list took. */
  listP50Ms: number;
  listP99Ms: number;
  listMaxMs: number;
}

/**
 * Loads one server for so long.
 *
 * @param dir A directory for the server.
 * @throws at the first error that was not made on purpose
 */
export async function load(
  durationMs: number,
  { trial, dice, dir, key }: { trial: Trial; dice: Dice; dir: string; key?: string | undefined },
): Promise<LoadFigures> {
  const args = ["--max-clients", "1000", "--backlog", "1000", "--quiet"];
  await using server = await startServer({ dir, args, key });
  await withClient(server, (client) => trial.useHonestly(client));
  const before = holdingsOf(server);
  const samples: Holdings[] = [];
  const started = performance.now();
  let failed = false;
  const isOver = (): boolean => failed || performance.now() - started > durationMs;
  const keeper = new Keeper(server, trial, dice);
  const crowd = new Crowd({ server, trial, dice, ...keeper.callbacks });
  const sampling = setInterval(() => samples.push(holdingsOf(server)), SAMPLE_MS);
  const probing = probe(server);
  try {
    const stop = (error: unknown): never => {
      failed = true;
      throw error;
    };
    const [kills] = await Promise.all([
      killWhile(server, trial, dice, keeper, isOver).catch(stop),
      crowd.run(CLIENTS, isOver).catch(stop),
    ]);
    const latenciesMs = (await probing.stop()).sort((a, b) => a - b);
    const at = (share: number): number => {
      const index = Math.min(Math.floor(latenciesMs.length * share), latenciesMs.length - 1);
      return Math.round(latenciesMs[index]! * 10) / 10;
    };
    await trial.assertSound(server);
    const after = await givesBack(server, before);
    const warm = Math.min(WARM_MS, durationMs / 4) / SAMPLE_MS;
    return {
      ...crowd.deeds,
      kills,
      rssWarmBytes: medianRss(samples.slice(Math.max(warm - 5, 0), warm + 5)),
      rssEndBytes: medianRss(samples.slice(-10)),
      descriptorsBefore: before.descriptors,
      descriptorsAfter: after.descriptors,
      listP50Ms: at(0.5),
      listP99Ms: at(0.99),
      listMaxMs: at(1),
    };
  } finally {
    clearInterval(sampling);
  }
}

/** Looks at each file as it is acknowledged, keeps some, and takes the others away. */
class Keeper {
  readonly #server: TestServer;
  readonly #trial: Trial;
  readonly #dice: Dice;
  readonly #kept: string[] = [];

  constructor(server: TestServer, trial: Trial, dice: Dice) {
    this.#server = server;
    this.#trial = trial;
    this.#dice = dice;
  }

  get callbacks() {
    return {
      pick: () => this.#kept.length > 0 ? this.#dice.of(this.#kept) : undefined,
      onFile: (name: string) => this.file(name),
      onPossible: (name: string) => void this.#check(name),
    };
  }

  /** Takes care of a file that was acknowledged. */
  file(name: string): void {
    if (this.#kept.length < KEPT_FILES) {
      this.#kept.push(name);
      return;
    }
    this.#trial.acknowledged.delete(name);
    if (this.#check(name)) return;
    this.#trial.lost++;
    throw new Error(`${name} was acknowledged, and is not there`);
  }

  /** Looks at a file and takes it away. Gives whether it was there. */
  #check(name: string): boolean {
    const path = `${this.#server.dir}/${name}`;
    try {
      if (!isRight(path, name, this.#trial.seed)) {
        this.#trial.partial++;
        throw new Error(`${name} is not what was sent`);
      }
      Deno.removeSync(path);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }
}

/** Kills one real client after the other. Gives how many. */
async function killWhile(
  server: TestServer,
  trial: Trial,
  dice: Dice,
  keeper: Keeper,
  isOver: () => boolean,
): Promise<number> {
  let kills = 0;
  while (!isOver()) {
    await using local = await tempDir();
    const acknowledged = await KILLINGS[kills % KILLINGS.length]!(server, local.path, trial, dice);
    for (const name of acknowledged) {
      trial.acknowledged.add(name);
      keeper.file(name);
    }
    const unknown = [...Deno.readDirSync(local.path)].filter(({ name }) =>
      trial.possible.has(name) && !acknowledged.includes(name)
    );
    unknown.forEach(({ name }) => keeper.callbacks.onPossible(name));
    kills++;
    await new Promise((resolve) => setTimeout(resolve, KILL_PAUSE_MS));
  }
  return kills;
}

/** Starts tests/faults/probe.ts. */
function probe(server: TestServer): { stop(): Promise<number[]> } {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      new URL("tests/faults/probe.ts", ROOT).href,
      String(server.port),
      server.key ?? "",
    ],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  return {
    async stop() {
      await process.stdin.close();
      const { success, stdout } = await process.output();
      assert(success, "the probe was refused");
      return JSON.parse(new TextDecoder().decode(stdout));
    },
  };
}

function medianRss(samples: Holdings[]): number {
  const sorted = samples.map(({ rssBytes }) => rssBytes).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
