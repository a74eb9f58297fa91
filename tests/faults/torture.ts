/**
 * What `deno task torture` runs: every fault of the tests with other seeds again and again, then a
 * mixed load on one server. It prints what it saw, and exits with 1 if any promise broke.
 *
 * ```sh
 * deno task torture --minutes 10 --seed 1
 * ```
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { formatBytes } from "../../lib/text.ts";
import { parseCommandLine, runMain } from "../../lib/cli/command_line.ts";
import { helpText } from "../../lib/cli/help.ts";
import { parseCount } from "../../lib/cli/option_values.ts";
import { flag, option } from "../../lib/cli/options.ts";
import { Visitor } from "../browser.ts";
import { canMountExfat, exfatDisk } from "../exfat.ts";
import { KEY, names, scriptPath, startServer, tempDir } from "../helpers.ts";
import { killTabs } from "../killed_tab.ts";
import { OwnCeph } from "../ceph/own_ceph.ts";
import { cutAnswersEverywhere } from "./broken_answers.ts";
import { tortureBucket } from "./bucket_torture.ts";
import { Dice } from "./content.ts";
import { cutEverywhere, cutRawEverywhere } from "./cuts.ts";
import { failEverywhere, lookAt, WAYS_IN } from "./disk_faults.ts";
import { cutEncrypted, cutHandshakes } from "./handshakes.ts";
import { leave } from "./leavers.ts";
import { idle, IDLERS_ARGS } from "./idlers.ts";
import { lie } from "./liars.ts";
import { killClients, killServers } from "./kills.ts";
import { killAndStop } from "./linkless.ts";
import { load, type LoadFigures } from "./load.ts";
import { meddle } from "./meddling.ts";
import { overtake } from "./overtaking.ts";
import { WAYS } from "./peer.ts";
import { cutAndResumeEverywhere } from "./resumes.ts";
import { blockLog } from "./slow_logs.ts";
import { stallDisk } from "./stalls.ts";
import { SWAPS, swapUnderClient, swapUnderServer } from "./swaps.ts";
import { Trial } from "./trial.ts";

const PROGRAM = {
  title: "inlet torture: injects faults, then loads a server, and counts what is lost",
  usage: "deno task torture [OPTIONS]",
  command: "torture",
  arguments: [],
  options: {
    "minutes": option({
      value: "N",
      parse: (text, what) => parseCount(text, what, { min: 1, max: 10_000 }),
      default: "10",
      help: "run for N minutes at least: half of it faults and fuzzing, the rest load",
    }),
    "seed": option({
      value: "S",
      parse: (text, what) => parseCount(text, what, { min: 0, max: 999_999_999 }),
      help: "repeat the run of this seed",
      note: "default: a random one, which is printed",
    }),
    "encrypted": flag({
      help: "give the servers a key, so that clients are encrypted: kills, departures and load",
    }),
    "swaps": flag({
      help: "for all of the time, only swap folders for links under servers and clients",
    }),
    "bucket": flag({
      help:
        "for all of the time, kill servers on a bucket of a throwaway Ceph, its disks and gateway",
    }),
    "help": flag({ help: "print this help", standsAlone: true }),
  },
  exitCodes: { 0: "every promise was kept", 1: "one broke", 2: "wrong use" },
};

/** Size of the file that is sent by tabs that are killed, in MiB. */
const TABS_FILE_MIB = 5120;

/** The share of the time that is for faults. */
const FAULTS_SHARE = 0.5;

/** Cases of the fuzzers for each minute: a million and half a million requests of HTTP in ten. */
const CASES_A_MINUTE = 150_000;

/** What a server's memory may grow by after its first minute under load. */
const MOST_GROWTH_BYTES = 20 * 2 ** 20;

/** How long the answer to a list may take, but for one in a hundred. */
const MOST_LIST_MS = 250;

/** Milliseconds of one round of a fault that goes on, beside a load. */
const ROUND_MS = 5000;

/** Hostile servers that each request of the client meets in one round. */
const LIARS = 3;

/** Kills of one round. */
const SERVER_KILLS = 30;
const CLIENT_KILLS = 6;

/** Encrypted connections that are cut anywhere, in each way of one round. */
const ENCRYPTED_CUTS = 350;

/** Clients of HTTP at rest in one round, for each of which a server needs a descriptor. */
const IDLERS = 10_000;
const ENCRYPTED_IDLERS = 1000;

/** Of so many bytes of an encrypted conversation, it is cut after one. */
const SAMPLE = 3;

/** Milliseconds from one kill of a server on a bucket to the next. */
const KILL_EVERY_MS = 60_000;

/** Milliseconds after which a file that broke off goes on at another server, in half of all cases. */
const MOST_GONE_ON_MS = 2000;

const ARGS = ["--max-clients", "1000", "--backlog", "1000"];

/** What ends a silence soon. */
const SHORT = ["--timeout", "3", "--session-timeout", "3"];

/** What was counted. */
interface Figures {
  /** Connections that were cut. */
  cuts: number;
  /** Servers and clients that were killed. */
  kills: number;
  /** Operations of the disk that failed. */
  diskFaults: number;
  /** Files in flight that another program removed, replaced, truncated, linked or renamed. */
  meddled: number;
  /** Times that a server without locks was stopped, and uploads that another connection resumed. */
  stops: number;
  resumed: number;
  /** Files that were stored while hardly anybody read the log. */
  filesUnread: number;
  /** Times that a disk stalled. */
  stalls: number;
  /** Clients that left within heavy work. */
  left: number;
  /** Times that a folder or a file was swapped for a link while clients used it. */
  swaps: number;
  /** Clients of HTTP that kept a connection at rest. */
  idlers: number;
  /** Hostile servers that the client met. */
  liars: number;
  /** Lines, names, steps of conversations and requests of HTTP that the fuzzers made up. */
  fuzzCases: number;
  /** Acknowledged, and not there. */
  lost: number;
  /** Under a final name, and not what was sent. */
  partial: number;
  /** Beside the directory of received files. */
  outside: number;
}

/** What a round has to work with. */
interface Round {
  trial: Trial;
  dice: Dice;
  figures: Figures;
  /** The key of the servers, if they are to have one. */
  key: string | undefined;
  /** A directory for servers that is not there yet, and one for clients. */
  received: string;
  local: string;
}

/** Once in a run, as it takes about a minute. */
async function killTabsOfPage({ figures, received, local }: Round): Promise<void> {
  await using visitor = await Visitor.arrive("chromium");
  await killTabs(visitor, TABS_FILE_MIB, { received, local });
  figures.kills += 3;
}

async function cutConversations({ trial, figures, received }: Round): Promise<void> {
  for (const way of WAYS) {
    const args = [...ARGS, ...way === "silence" ? SHORT : []];
    await using server = await startServer({ dir: received, args });
    figures.cuts += await cutEverywhere(server, trial, way);
    trial.clear(server);
    figures.cuts += await cutAndResumeEverywhere(server, trial, way);
    trial.clear(server);
    await using raw = await startServer({ dir: received, args: ["--mode", "raw", ...args] });
    figures.cuts += await cutRawEverywhere(raw, trial, way, []);
    trial.clear(server);
  }
}

async function cutEncryptedConversations({ trial, dice, figures, received }: Round): Promise<void> {
  for (const way of WAYS) {
    const args = [...ARGS, ...way === "silence" ? SHORT : []];
    await using server = await startServer({ dir: received, args, key: KEY });
    figures.cuts += await cutEverywhere(server, trial, way, SAMPLE);
    figures.cuts += await cutAndResumeEverywhere(server, trial, way, SAMPLE);
    await cutEncrypted(server, trial, way, { cuts: ENCRYPTED_CUTS, dice });
    figures.cuts += ENCRYPTED_CUTS;
    trial.clear(server);
  }
  for (const direction of ["up", "down"] as const) {
    for (const why of ["end", new Deno.errors.ConnectionReset("cut")] as const) {
      figures.cuts += await cutHandshakes(direction, why, { first: 0, step: 1 });
    }
  }
}

async function cutAnswers({ trial, figures, received, local }: Round): Promise<void> {
  await using server = await startServer({ dir: received, args: ARGS });
  for (const way of WAYS) figures.cuts += await cutAnswersEverywhere(server, trial, way, local);
}

async function failDisks({ dice, figures, received, local }: Round): Promise<void> {
  for (const way of Object.keys(WAYS_IN)) {
    for (const fsync of [false, true]) {
      const dir = `${received}/${way}-${fsync}`;
      const { faults, acknowledged } = await failEverywhere(way, { dir, local, fsync, dice });
      figures.diskFaults += faults;
      await using _next = await startServer({ dir });
      const { stored, temporary } = await lookAt(dir);
      assertEquals(temporary, []);
      figures.lost += acknowledged.difference(stored).size;
    }
  }
}

async function killAll({ trial, dice, figures, received, key }: Round): Promise<void> {
  await killServers(received, { kills: SERVER_KILLS, trial, dice, key });
  figures.kills += SERVER_KILLS;
  await using server = await startServer({ dir: received, args: ARGS, key });
  trial.clear(server);
  await killClients(server, { kills: CLIENT_KILLS, trial, dice });
  figures.kills += CLIENT_KILLS;
}

async function meddleWithAll({ trial, dice, figures, received: dir }: Round): Promise<void> {
  for (const servers of [1, 2]) {
    const { deeds, resumed } = await meddle(ROUND_MS, { dir, servers, trial, dice });
    figures.meddled += sum(deeds);
    figures.resumed += resumed;
  }
}

async function stopServers({ trial, dice, figures, received: dir }: Round): Promise<void> {
  const { stops, resumed } = await overtake(ROUND_MS, { dir, trial, dice });
  figures.stops += stops;
  figures.resumed += resumed;
}

/** A lock that is left is broken after five seconds. */
async function stopWithoutLinks({ trial, dice, figures }: Round): Promise<void> {
  if (!canMountExfat()) return console.log("no disk without hard links can be mounted here");
  await using disk = await exfatDisk();
  const dir = `${disk.path}/received`;
  const rounds = dice.below(2) + 1;
  const { stops, kills } = await killAndStop(dir, { rounds, mostStopMs: 7000, trial, dice });
  figures.stops += stops;
  figures.kills += kills;
}

async function holdUp({ trial, dice, figures, received: dir }: Round): Promise<void> {
  figures.filesUnread += (await blockLog(ROUND_MS, { dir, trial, dice })).files;
  figures.stalls += (await stallDisk(ROUND_MS, { dir, trial, dice })).stalls;
}

async function leaveAll({ trial, dice, figures, received: dir, key }: Round): Promise<void> {
  figures.left += sum(await leave(ROUND_MS, { dir, trial, dice, key }));
}

/** Each swap for the time of one round. With `--swaps` this is all that is run. */
async function swapForLinks({ figures, received }: Round): Promise<void> {
  for (const [nth, swap] of SWAPS.entries()) {
    for (const swapUnder of [swapUnderServer, swapUnderClient]) {
      const base = `${received}/${nth}-${swapUnder.name}`;
      await Deno.mkdir(base, { recursive: true });
      const seen = await swapUnder(ROUND_MS, { base, swap });
      figures.swaps += seen.swaps;
      figures.outside += seen.outside + seen.told;
      figures.lost += seen.lost;
    }
  }
}

async function lieToClients({ dice, figures }: Round): Promise<void> {
  figures.liars += await lie(LIARS, dice);
}

async function keepAlive({ figures, received: dir, key }: Round): Promise<void> {
  await using server = await startServer({ dir, args: IDLERS_ARGS, key });
  const idlers = key === undefined ? IDLERS : ENCRYPTED_IDLERS;
  await idle(server, idlers);
  figures.idlers += idlers;
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((one, other) => one + other, 0);
}

type Act = (round: Round) => Promise<LoadFigures | void>;

/** The short ones come first. */
const ROUNDS: readonly Act[] = [
  meddleWithAll,
  stopServers,
  stopWithoutLinks,
  holdUp,
  leaveAll,
  swapForLinks,
  lieToClients,
  keepAlive,
  cutConversations,
  cutEncryptedConversations,
  cutAnswers,
  failDisks,
  killAll,
];

/** One run, with what it has counted and which promises broke. */
class Run {
  readonly figures: Figures = {
    cuts: 0,
    kills: 0,
    diskFaults: 0,
    meddled: 0,
    stops: 0,
    resumed: 0,
    filesUnread: 0,
    stalls: 0,
    left: 0,
    swaps: 0,
    idlers: 0,
    liars: 0,
    fuzzCases: 0,
    lost: 0,
    partial: 0,
    outside: 0,
  };
  readonly broken: string[] = [];
  loaded: LoadFigures | undefined;
  readonly #dice: Dice;

  readonly #key: string | undefined;

  constructor(seed: number, key: string | undefined) {
    this.#key = key;
    this.#dice = new Dice(seed);
  }

  /** Lets each kind of fault have its turn, again and again for so long, and each at least once. */
  async injectFaults(durationMs: number, rounds: readonly Act[] = ROUNDS): Promise<void> {
    const deadline = performance.now() + durationMs;
    for (let turn = 0; turn < rounds.length || performance.now() < deadline; turn++) {
      await this.#attempt(rounds[turn % rounds.length]!);
    }
  }

  /** Fuzzes, in a process of its own: it leaves no time for anything else in the one it is in. */
  async fuzz(cases: number): Promise<void> {
    const seed = this.#dice.below(2 ** 31);
    const script = scriptPath("tests/fuzz/main.ts");
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", script, "--cases", String(cases), "--seed", String(seed)],
    }).output();
    const done = [...new TextDecoder().decode(stdout).matchAll(/^(\d+) cases, \d+ s$/gm)];
    this.figures.fuzzCases += Number(done.at(-1)?.[1] ?? 0);
    if (!success) this.broken.push(`fuzz, seed ${seed}: ${new TextDecoder().decode(stderr)}`);
  }

  async load(durationMs: number): Promise<void> {
    await this.#attempt(async function loadOneServer({ trial, dice, received, key }) {
      return await load(durationMs, { trial, dice, dir: received, key });
    });
  }

  async #attempt(act: Act): Promise<void> {
    const seed = this.#dice.below(2 ** 31);
    const [trial, dice] = [new Trial(seed), new Dice(seed)];
    const { figures, broken } = this;
    await using base = await tempDir();
    const [received, local] = [`${base.path}/received`, `${base.path}/local`];
    await Deno.mkdir(local);
    const started = performance.now();
    try {
      this.loaded = await act({ trial, dice, figures, key: this.#key, received, local }) ??
        this.loaded;
    } catch (error) {
      broken.push(`${act.name}, seed ${seed}: ${(error as Error).stack}`);
    }
    figures.lost += trial.lost;
    figures.partial += trial.partial;
    figures.outside += names(base.path).filter((name) => !/^(received|local)$/.test(name)).length;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${act.name}, seed ${seed}: ${seconds} s, ${JSON.stringify(figures)}`);
  }
}

/** What was promised of a server under load, and not kept. */
function* complaints(loaded: LoadFigures): Generator<string> {
  const growth = loaded.rssEndBytes - loaded.rssWarmBytes;
  if (growth > MOST_GROWTH_BYTES) yield `memory grew by ${formatBytes(growth)}`;
  if (loaded.listP99Ms > MOST_LIST_MS) yield `a list took ${loaded.listP99Ms} ms (p99)`;
  const { descriptorsBefore, descriptorsAfter } = loaded;
  if (descriptorsAfter > descriptorsBefore) yield `${descriptorsAfter} descriptors are open`;
}

async function main(args: readonly string[]): Promise<number> {
  const { options } = parseCommandLine(args, PROGRAM.options);
  if (options.help) return console.log(helpText(PROGRAM)), 0;
  const { minutes, seed = crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000 } = options;
  const { encrypted = false, swaps = false, bucket = false } = options;
  const flags = Object.entries({ encrypted, swaps, bucket }).filter(([, isOn]) => isOn);
  const again = flags.map(([name]) => ` --${name}`).join("");
  console.log(`deno task torture --minutes ${minutes} --seed ${seed}${again}`);
  if (bucket) return await killAroundBucket(minutes, seed);
  const run = new Run(seed, encrypted ? KEY : undefined);
  if (swaps) await run.injectFaults(minutes * 60_000, [swapForLinks]);
  else {
    await Promise.all([
      run.fuzz(minutes * CASES_A_MINUTE),
      run.injectFaults(minutes * 60_000 * FAULTS_SHARE),
    ]);
    await run.injectFaults(0, [killTabsOfPage]);
    await run.load(minutes * 60_000 * (1 - FAULTS_SHARE));
  }
  const { figures, loaded, broken } = run;
  if (loaded) broken.push(...complaints(loaded));
  for (const [name, count] of Object.entries(figures).slice(-3)) {
    if (count > 0) broken.push(`${name}: ${count}`);
  }
  report({ minutes, seed, ...machine(), ...figures, ...(loaded && totals(figures, loaded)) });
  broken.forEach((what) => console.error(`broken: ${what}`));
  return broken.length === 0 ? 0 : 1;
}

/** Servers on a bucket, and all that is under them. */
async function killAroundBucket(minutes: number, seed: number): Promise<number> {
  await using ceph = await OwnCeph.start({ managed: true, say: (line) => console.log(line) });
  const { figures, refusals, wrong } = await tortureBucket(ceph, {
    ...{ seed, durationMs: minutes * 60_000, killEveryMs: KILL_EVERY_MS, leastKills: 1 },
    clients: { small: 3, large: 3 },
  });
  const broken = [...wrong];
  if (figures.goneOnP50Ms > MOST_GONE_ON_MS) {
    broken.push(`files that broke off went on after ${figures.goneOnP50Ms} ms (p50)`);
  }
  report({ minutes, seed, ...machine(), ...figures });
  refusals.forEach((what) => console.log(`refused: ${what}`));
  broken.forEach((what) => console.error(`broken: ${what}`));
  return broken.length === 0 ? 0 : 1;
}

function machine(): Record<string, number> {
  return { cores: navigator.hardwareConcurrency, loadAverage: Deno.loadavg()[0]! };
}

/** The facts of a load beside those of the faults before it. */
function totals(figures: Figures, loaded: LoadFigures): Record<string, number> {
  return { ...loaded, cuts: figures.cuts + loaded.cuts, kills: figures.kills + loaded.kills };
}

/** A table for people, and the same as one line of JSON for programs. */
function report(facts: Record<string, number>): void {
  console.log("");
  for (const [name, value] of Object.entries(facts)) {
    const shown = name.endsWith("Bytes") || name === "bytes" ? formatBytes(value) : String(value);
    console.log(`${name.padEnd(20)} ${shown}`);
  }
  console.log(`\n${JSON.stringify(facts)}`);
}

if (import.meta.main) await runMain(() => main(Deno.args));
