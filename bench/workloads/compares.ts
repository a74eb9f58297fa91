/**
 * Ten comparisons of one big file: the processor time of the server, which reads the file at most
 * once.
 *
 * @module
 */

import { formatCrc, formatTime } from "../../protocol.ts";
import { formatBytes } from "../../lib/text.ts";
import { dial, sendTo } from "../../tests/helpers.ts";
import { summarise } from "../measure.ts";
import { inletSender, serverCommand } from "../peers.ts";
import { cpuMs } from "../proc.ts";
import { type ServerProcess, startServer } from "../processes.ts";
import type { Figure, Row, Section } from "../report.ts";
import { empty, type SourceFile } from "../workspace.ts";
import type { Bench } from "./workload.ts";

const TIMES = 10;
const GOAL_MS = 100;
const STORED = "of a file just stored";
const OTHER = "of a file that another program has put there";

/** Ten comparisons, of a file that the server has stored and of one that it has not. */
export async function compares({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  const title = `compares: ${TIMES} comparisons of ${formatBytes(size)}, ` +
    "the processor time of the server";
  const took = { [STORED]: [] as number[], [OTHER]: [] as number[] };
  for (let run = 0; run < runs; run++) {
    for (const [name, times] of Object.entries(took)) {
      const directory = workspace.directory();
      const ms = await measure(directory, file, name === STORED);
      empty(directory);
      if (ms === undefined) {
        return { name: "compares", title, rows: [], figures: [], skipped: [NO_PROC], failed: [] };
      }
      times.push(ms);
    }
  }
  const rows = Object.entries(took).map(([name, times]): Row => ({
    ...{ name, unit: "ms" },
    ...summarise(times),
  }));
  const { median: value } = rows[0]!;
  const figures: Figure[] = [{ what: STORED, value, unit: "ms", goal: { under: GOAL_MS } }];
  return { name: "compares", title, rows, figures, skipped: [], failed: [] };
}

const NO_PROC = "the system does not tell the processor time of a process";

async function measure(
  directory: string,
  file: SourceFile,
  isStored: boolean,
): Promise<number | undefined> {
  await using server = await startServer(serverCommand(directory, ["--quiet"]));
  const name = file.path.slice(file.path.lastIndexOf("/") + 1);
  if (isStored) await inletSender()(server.port, file.path);
  else await Deno.copyFile(file.path, `${directory}/${name}`);
  const before = cpuMs([server.pid]);
  await compare(server, file, name);
  const after = cpuMs([server.pid]);
  return before === undefined || after === undefined ? undefined : after - before;
}

/** @throws {Error} if the server does not say each time that it has the file */
async function compare(
  server: ServerProcess,
  { path, size, crc }: SourceFile,
  name: string,
): Promise<void> {
  const time = formatTime(Deno.statSync(path).mtime ?? new Date(0));
  using conn = await dial(server);
  await sendTo(conn, "hello 1 bench\n");
  for (let asked = 0; asked < TIMES; asked++) {
    await sendTo(conn, `compare ${size} ${formatCrc(crc)} ${time} ${name}\n`);
  }
  await sendTo(conn, "exit\n");
  const said = await new Response(conn.readable).text();
  const answers = said.split("\n").filter((line) => line === `ok ${name}`).length;
  if (answers !== TIMES) throw new Error(`the server said ${said}`);
}
