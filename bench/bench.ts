/**
 * Measures inlet beside other programs, in one run, and prints the ratios.
 *
 * ```sh
 * deno task bench
 * ```
 *
 * @module
 */

import { parseCommandLine, runMain } from "../lib/cli/command_line.ts";
import { onStopSignals } from "../lib/cli/signals.ts";
import { helpText } from "../lib/cli/help.ts";
import { InletError } from "../lib/errors.ts";
import { parseCount, parseSize } from "../lib/cli/option_values.ts";
import { flag, option } from "../lib/cli/options.ts";
import { quoted } from "../lib/text.ts";
import { drawPlots, type Results } from "./plots.ts";
import { killAll } from "./processes.ts";
import { formatSection, type Section } from "./report.ts";
import { Workspace } from "./workspace.ts";
import {
  bucketFiles,
  bucketGet,
  bucketList,
  bucketMemory,
  bucketPut,
  bucketServers,
} from "./workloads/bucket.ts";
import { clients, tlsClients } from "./workloads/clients.ts";
import { compares } from "./workloads/compares.ts";
import { fairness } from "./workloads/fairness.ts";
import { files, filesFsync, filesGet } from "./workloads/files.ts";
import { get } from "./workloads/get.ts";
import { growthClients, growthFiles } from "./workloads/growth.ts";
import { httpFirst, httpGet, httpPut, httpsGet, httpsPut } from "./workloads/http.ts";
import { meeting } from "./workloads/meeting.ts";
import { memory } from "./workloads/memory.ts";
import { message } from "./workloads/message.ts";
import { page, pagePut } from "./workloads/page.ts";
import { places } from "./workloads/places.ts";
import { put } from "./workloads/put.ts";
import { raw } from "./workloads/raw.ts";
import { resume } from "./workloads/resume.ts";
import { reverse, reverseClient, reverseMany } from "./workloads/reverse.ts";
import { sessions } from "./workloads/sessions.ts";
import { start, warm } from "./workloads/start.ts";
import { tlsFiles, tlsGet, tlsPut } from "./workloads/tls.ts";
import { treeAgain, treeGet, treePut } from "./workloads/trees.ts";
import { tusPut } from "./workloads/tus.ts";
import { waits } from "./workloads/waits.ts";
import type { Workload } from "./workloads/workload.ts";

/** In the order in which they run. */
const WORKLOADS: Readonly<Record<string, Workload>> = {
  put,
  get,
  resume,
  compares,
  files,
  "files-get": filesGet,
  "files-fsync": filesFsync,
  "tree-put": treePut,
  "tree-get": treeGet,
  "tree-again": treeAgain,
  clients,
  fairness,
  "growth-clients": growthClients,
  "growth-files": growthFiles,
  memory,
  start,
  warm,
  "tls-put": tlsPut,
  "tls-get": tlsGet,
  "tls-files": tlsFiles,
  "tls-clients": tlsClients,
  meeting,
  "http-put": httpPut,
  "http-get": httpGet,
  "https-put": httpsPut,
  "https-get": httpsGet,
  "http-first": httpFirst,
  "tus-put": tusPut,
  "page-put": pagePut,
  page,
  raw,
  message,
  reverse,
  "reverse-client": reverseClient,
  "reverse-many": reverseMany,
  sessions,
  places,
  waits,
  "bucket-put": bucketPut,
  "bucket-get": bucketGet,
  "bucket-files": bucketFiles,
  "bucket-servers": bucketServers,
  "bucket-memory": bucketMemory,
  "bucket-list": bucketList,
};

const RESULTS = new URL("results.json", import.meta.url);

const PROGRAM = {
  title: "inlet bench: measures inlet beside other programs",
  usage: "deno task bench [OPTIONS]",
  command: "bench",
  arguments: [],
  options: {
    "runs": option({
      value: "N",
      parse: (text, what) => parseCount(text, what, { min: 1, max: 1000 }),
      default: "5",
      help: "count N runs of each candidate",
    }),
    "only": option({
      value: "NAME[,NAME]",
      parse: (text) => text.split(",").map((name) => [name, findWorkload(name)] as const),
      help: `measure these workloads alone: ${Object.keys(WORKLOADS).join(", ")}`,
    }),
    "size": option({
      value: "SIZE",
      parse: parseSize,
      default: "1GiB",
      help: "size of the big file; memory is measured at four times that size too",
    }),
    "files": option({
      value: "N",
      parse: (text, what) => parseCount(text, what, { min: 1, max: 100_000 }),
      default: "10000",
      help: "small files in a folder; growth is measured up to ten times as many",
    }),
    "tree": option({
      value: "PATH",
      parse: (path) => path,
      default: "/usr/share",
      help: "a folder of which a copy is sent as an example of a real tree",
    }),
    "clients": option({
      value: "N",
      parse: (text, what) => parseCount(text, what, { min: 1, max: 1000 }),
      default: "1000",
      help: "clients at once",
    }),
    "plots": flag({ help: "measure nothing: draw the plots of bench/results.json again" }),
    "help": flag({ help: "print this help", standsAlone: true }),
  },
  notes: [
    "A program that is not installed is left out, and said. Files are kept in memory, in /dev/shm " +
    "where there is one: three times the size of the big file has to be free there, and for its " +
    "fourfold twelve times, or that is left out. A tree needs six times its size. What is put into a bucket lies below TMPDIR: 40 GiB. A run of all workloads at the default sizes " +
    "writes bench/results.json and draws docs/bench-*.svg.",
  ],
};

async function main(args: readonly string[]): Promise<number> {
  const { positional, options } = parseCommandLine(args, PROGRAM.options);
  if (options.help) return console.log(helpText(PROGRAM)), 0;
  if (positional[0] !== undefined) {
    throw new InletError("usage", `Cannot use ${quoted(positional[0])}; try --help`);
  }
  if (options.plots) return drawPlots(JSON.parse(Deno.readTextFileSync(RESULTS))), 0;
  const { only: workloads = Object.entries(WORKLOADS), runs, size, files, clients, tree } = options;
  using workspace = new Workspace();
  tidyOnSignals(workspace);
  const about = machine(workspace);
  console.log(Object.values(about).join(", ") + `; median of ${runs}\n`);
  const sections: Section[] = [];
  for (const [name, workload] of workloads) {
    const section = await workload({ workspace, runs, size, files, clients, tree }).catch((error) =>
      broken(name, error)
    );
    console.log(formatSection(section));
    sections.push(section);
  }
  const { options: whole } = parseCommandLine([], PROGRAM.options);
  const isWhole = options.only === undefined &&
    (["size", "files", "clients", "tree"] as const).every((name) => options[name] === whole[name]);
  if (isWhole) {
    const date = new Date().toISOString();
    const results: Results = { date, machine: about, runs, size, files, clients, sections };
    Deno.writeTextFileSync(RESULTS, JSON.stringify(results, null, 2) + "\n");
    drawPlots(results);
  }
  return sections.some(({ failed }) => failed.length > 0) ? 1 : 0;
}

function findWorkload(name: string): Workload {
  const workload = Object.hasOwn(WORKLOADS, name) ? WORKLOADS[name] : undefined;
  if (workload) return workload;
  const known = Object.keys(WORKLOADS).join(", ");
  throw new InletError("usage", `Cannot measure ${quoted(name)}: there are ${known}`);
}

/** A workload that could not be measured does not keep the others from it. */
function broken(name: string, error: unknown): Section {
  const failed = [(error as Error).message];
  return { name, title: name, rows: [], figures: [], skipped: [], failed };
}

/** The kind of machine, and nothing that would name it. */
function machine(workspace: Workspace): Record<string, string> {
  return {
    deno: `Deno ${Deno.version.deno}`,
    system: `${Deno.build.os} ${Deno.build.arch}`,
    cores: `${navigator.hardwareConcurrency} cores`,
    files: workspace.inMemory ? "tmpfs" : "the disk's own file system",
    network: "loopback",
  };
}

/** What was started and stored goes, also when a person has seen enough. */
function tidyOnSignals(workspace: Workspace): void {
  const tidy = (): number => {
    killAll();
    workspace[Symbol.dispose]();
    return 130;
  };
  onStopSignals({ stop: () => Deno.exit(tidy()), force: () => Promise.resolve(tidy()) });
}

if (import.meta.main) await runMain(() => main(Deno.args));
