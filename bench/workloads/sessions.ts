/**
 * Many sessions open at once: the memory they take while nobody says anything, and how long a line
 * of talk waits for its answer while the server receives a big file.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { VERSION } from "../../protocol.ts";
import { Wire } from "../../tests/wire.ts";
import { summarise } from "../measure.ts";
import { clientCommand, serverCommand } from "../peers.ts";
import { peakBytes } from "../proc.ts";
import { finish, start, startServer } from "../processes.ts";
import type { Figure, Row, Section } from "../report.ts";
import { empty, type SourceFile } from "../workspace.ts";
import type { Bench } from "./workload.ts";

const SESSIONS = 1000;

/** Room for all of them and the client that puts, also when they come all at once. */
const LIMITS = ["--max-clients", "1100", "--backlog", "1024"];

const MEGABYTE = 1e6;
const GOAL_MEGABYTES = 150;
const GOAL_MS = 100;

/** How often it is looked whether the file is on its way yet, in milliseconds. */
const POLL_MS = 1;

/** Memory of idle sessions, and the time to an answer during a put. */
export async function sessions({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  const received = workspace.directory();
  const all: Result[] = [];
  for (let round = 0; round <= runs; round++) {
    const result = await measureSessions(file, received);
    // The first one touches pages for the first time, as everywhere.
    if (round > 0) all.push(result);
    empty(received);
  }
  const idle = all.map(({ idleBytes }) => idleBytes).filter((bytes) => bytes !== undefined);
  const memory = idle.length > 0 ? [rowOf("server, all idle", "MB", idle.map(megabytes))] : [];
  const median = rowOf("answer, median", "ms", all.map(({ waitsMs }) => rank(waitsMs, 0.5)));
  const rows = [
    ...memory,
    median,
    rowOf("answer, 99th percentile", "ms", all.map(({ waitsMs }) => rank(waitsMs, 0.99))),
    rowOf("answer, longest", "ms", all.map(({ waitsMs }) => rank(waitsMs, 1))),
  ];
  const figures: Figure[] = [
    ...memory.map(({ name, max }): Figure => ({
      what: `most of the ${name}`,
      value: max,
      unit: "MB",
      goal: { under: GOAL_MEGABYTES },
    })),
    { what: median.name, value: median.median, unit: "ms", goal: { under: GOAL_MS } },
  ];
  const title = `sessions: ${SESSIONS} at once, a line from each during a put of ${
    formatBytes(size)
  }`;
  const skipped = memory.length > 0 ? [] : ["memory: no /proc to ask"];
  return { name: "sessions", title, rows, figures, skipped, failed: [] };
}

interface Result {
  /** Most memory resident in the server with all sessions open, where the system tells it. */
  idleBytes: number | undefined;
  /** From each line to its answer, in milliseconds. */
  waitsMs: number[];
}

/** A server of its own for each run: a process does not forget its peak. */
async function measureSessions(file: SourceFile, received: string): Promise<Result> {
  await using server = await startServer(serverCommand(received, LIMITS));
  using stack = new DisposableStack();
  const wires = await Promise.all(
    Array.from({ length: SESSIONS }, async () => {
      const wire = stack.use(await Wire.dial(server));
      await ask(wire, `hello ${VERSION} bench`, /^welcome /);
      return wire;
    }),
  );
  const idleBytes = peakBytes(server.pid);
  const waitsMs: number[] = [];
  while (waitsMs.length < SESSIONS) {
    const left = wires.slice(waitsMs.length);
    waitsMs.push(...await talkDuringPut(left, server.port, file, received));
  }
  return { idleBytes, waitsMs };
}

/**
 * Puts the file, and has one session after the other say a line for as long as it is on its way. One
 * put may be over before all have had their turn: what is measured is never a server at rest.
 *
 * @returns From each line to its answer, in milliseconds; of the first sessions, at least one.
 */
async function talkDuringPut(
  wires: readonly Wire[],
  port: number,
  file: SourceFile,
  received: string,
): Promise<number[]> {
  empty(received);
  const command = clientCommand(port, [file.path, "--quiet"]);
  const child = start(command);
  let ended = false;
  child.status.then(() => ended = true);
  while (!ended && !isArriving(received)) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const waitsMs: number[] = [];
  for (const wire of wires) {
    const start = performance.now();
    await ask(wire, "Hello", /^Hello ACK$/);
    waitsMs.push(performance.now() - start);
    if (!isArriving(received)) break;
  }
  await finish(command, child);
  return waitsMs;
}

/** Whether a file is in flight. */
function isArriving(directory: string): boolean {
  return [...Deno.readDirSync(directory)].some(({ name }) => name.endsWith(".temp"));
}

/**
 * Says a line and waits for its answer.
 *
 * @throws {Error} if it is another one
 */
async function ask(wire: Wire, line: string, answer: RegExp): Promise<void> {
  await wire.says(`${line}\n`);
  const said = await wire.line();
  if (!answer.test(said)) throw new Error(`the answer to ${line} was "${said}"`);
}

function rowOf(name: string, unit: Row["unit"], values: readonly number[]): Row {
  return { name, unit, ...summarise(values) };
}

/** The least value that a share of all values, from 0 to 1, is not above. */
function rank(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

function megabytes(bytes: number): number {
  return bytes / MEGABYTE;
}
