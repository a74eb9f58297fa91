/**
 * Memory that each side needs for one big file, and for one four times as big.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { summarise } from "../measure.ts";
import { clientCommand, serverCommand } from "../peers.ts";
import { availableBytes, peakBytes, peakBytesUntilEnd } from "../proc.ts";
import { finish, start, startServer } from "../processes.ts";
import type { Figure, Row, Section } from "../report.ts";
import { empty, type SourceFile } from "../workspace.ts";
import type { Bench } from "./workload.ts";

const MEGABYTE = 1e6;
const GOAL_MEGABYTES = 120;

/** Most memory resident in the server and in the client. */
export async function memory({ workspace, runs, size }: Bench): Promise<Section> {
  const rows: Row[] = [];
  const skipped: string[] = [];
  for (const bytes of [size, 4 * size]) {
    const enough = (availableBytes() ?? 0) > 3 * bytes;
    if (!enough) {
      skipped.push(`${formatBytes(bytes)}: too little memory to keep it twice, or no /proc to ask`);
      continue;
    }
    const file = workspace.source(bytes);
    const received = workspace.directory();
    const peaks: Peaks[] = [];
    for (let run = 0; run < runs; run++) {
      peaks.push(await peaksOfPut(file, received));
      empty(received);
    }
    if (bytes !== size) workspace.drop(file);
    rows.push(rowOf("server", bytes, peaks.map(({ server }) => server)));
    rows.push(rowOf("client", bytes, peaks.map(({ client }) => client)));
  }
  const figures = rows.map(({ name, max }): Figure => ({
    what: `most of the ${name}`,
    value: max,
    unit: "MB",
    goal: { under: GOAL_MEGABYTES },
  }));
  const title = "memory: most resident during one put";
  return { name: "memory", title, rows, figures, skipped, failed: [] };
}

interface Peaks {
  server: number;
  client: number;
}

/** A server of its own for each run: a process does not forget its peak. */
async function peaksOfPut(file: SourceFile, received: string): Promise<Peaks> {
  await using server = await startServer(serverCommand(received));
  const command = clientCommand(server.port, [file.path]);
  const child = start(command);
  const [client] = await Promise.all([peakBytesUntilEnd(child), finish(command, child)]);
  return { server: peakBytes(server.pid)! / MEGABYTE, client: client! / MEGABYTE };
}

function rowOf(side: string, bytes: number, megabytes: number[]): Row {
  return { name: `${side}, ${formatBytes(bytes)}`, unit: "MB", ...summarise(megabytes) };
}
