/**
 * How long others wait while one client asks for the most that one request can be. Each row is one
 * kind of request at its worst size; the other client sends talk and empty files all the time.
 *
 * @module
 */

import { formatCrc, formatTime } from "../../protocol.ts";
import { formatBytes } from "../../lib/text.ts";
import { dial, sendTo } from "../../tests/helpers.ts";
import { summarise } from "../measure.ts";
import { serverCommand } from "../peers.ts";
import { Prober } from "../prober.ts";
import { startServer } from "../processes.ts";
import type { Figure, Row, Section } from "../report.ts";
import { empty, type SourceFile } from "../workspace.ts";
import type { Bench } from "./workload.ts";

const GOAL_MS = 100;
const LISTED = 100_000;
const COPIES = 60_000;
const SESSIONS = 1000;
/** What the most folders that a name can have look like: 501 of them. */
const DEEP = "d/".repeat(501);
const LIMITS = ["--max-clients", "1200", "--backlog", "1024", "--quiet"];
const MODIFIED = new Date("2026-01-01T00:00:00Z");

/** One kind of request at its worst. */
interface Heavy {
  readonly what: string;
  /** Makes the server's directory ready. */
  prepare?(directory: string): void;
  /** What the client sends behind its greeting. It then waits for all answers. */
  requests(): Iterable<string | Uint8Array>;
  /** How often the client asks, one connection after the other. */
  readonly times?: number;
}

/** The longest wait of another client, by what is asked. */
export async function waits({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  const rows: Row[] = [];
  const failed: string[] = [];
  for (const heavy of requestsOf(file)) {
    const directory = workspace.directory();
    try {
      heavy.prepare?.(directory);
      rows.push({
        name: heavy.what,
        unit: "ms",
        ...summarise(await measure(heavy, directory, runs)),
      });
    } catch (error) {
      failed.push(`${heavy.what}: ${(error as Error).message}`);
    }
    empty(directory);
  }
  const [quiet, ...asked] = rows;
  const worst = Math.max(...asked.map(({ median }) => median));
  const figures: Figure[] = [
    { what: "the worst of these medians", value: worst, unit: "ms", goal: { under: GOAL_MS } },
  ];
  const title = "waits: the longest wait of another client during one request" +
    (quiet ? ", and with none" : "");
  return { name: "waits", title, rows, figures, skipped: [], failed };
}

async function measure(heavy: Heavy, directory: string, runs: number): Promise<number[]> {
  const command = serverCommand(directory, LIMITS);
  const longest: number[] = [];
  await using server = await startServer(command, { stdout: "/dev/null" });
  await using prober = await Prober.start(server.port);
  for (let run = 0; run < runs; run++) {
    longest.push(
      await prober.longestWaitDuring(async () => {
        for (let time = 0; time < (heavy.times ?? 1); time++) await ask(server, heavy);
      }),
    );
  }
  return longest;
}

/** Sends requests while it reads their answers, and waits for the end of both. */
async function ask(server: { port: number }, { requests }: Heavy): Promise<void> {
  using conn = await dial(server);
  const sending = (async () => {
    await sendTo(conn, "hello 1 heavy\n");
    for (const piece of requests()) await sendTo(conn, piece);
    await sendTo(conn, "exit\n");
  })();
  const buffer = new Uint8Array(1024 * 1024);
  let end = "";
  for (let read; (read = await conn.read(buffer)) !== null;) {
    end = new TextDecoder().decode(buffer.subarray(Math.max(0, read - 200), read));
  }
  await sending;
  if (!end.endsWith("ok bye\n")) throw new Error(`the server said ${end}`);
}

function* requestsOf(file: SourceFile): Iterable<Heavy> {
  const big = formatBytes(file.size);
  const facts = `${file.size} ${formatCrc(file.crc)}`;
  /** As in a real directory: a link to the big file, so that it is there only once. */
  const prepareBig = (directory: string): void => {
    Deno.linkSync(file.path, `${directory}/big`);
    Deno.utimeSync(file.path, MODIFIED, MODIFIED);
  };
  const body = function* (head: string): Iterable<string | Uint8Array> {
    yield head;
    yield* piecesOf(file);
    yield `end ${formatCrc(file.crc)}\n`;
  };
  const time = formatTime(MODIFIED);
  const prepareMany = (directory: string): void =>
    makeFiles(directory, LISTED, (number) => `${number}.txt`);
  const prepareCopies = (directory: string): void =>
    makeFiles(directory, COPIES, (number) => number === 1 ? "a.txt" : `a (${number}).txt`);
  yield { what: "nothing", requests: () => ["Hello\n"], times: 1000 };
  yield { what: `put of ${big}`, requests: () => body(`put ${file.size} big\n`) };
  yield { what: `get of ${big}`, prepare: prepareBig, requests: () => ["get big\n"] };
  yield { what: `say of ${big}`, requests: () => body(`say ${file.size}\n`) };
  yield {
    what: `compare of ${big}`,
    prepare: prepareBig,
    requests: () => [`compare ${facts} ${time} big\n`],
  };
  yield {
    what: `reget with ${big} there`,
    prepare: prepareBig,
    requests: () => [`reget ${facts} big\n`],
  };
  yield { what: `list of ${LISTED} files`, prepare: prepareMany, requests: () => ["list\n"] };
  yield {
    what: `tree of ${LISTED} files`,
    prepare: (directory) => {
      Deno.mkdirSync(`${directory}/t`);
      prepareMany(`${directory}/t`);
    },
    requests: () => ["tree t\n"],
  };
  yield {
    what: `compare, ${COPIES} numbered copies`,
    prepare: prepareCopies,
    requests: () => [`compare 1 00000000 ${time} a.txt\n`],
  };
  yield {
    what: `push, ${COPIES} numbered copies`,
    prepare: prepareCopies,
    requests: () => ["push 0 a.txt\nend 00000000\n"],
  };
  yield {
    what: "250 pushes, 501 folders each",
    requests: () => [`push 0 ${DEEP}a\nend 00000000\n`.repeat(250)],
  };
  yield {
    what: "12,000 empty pushes",
    requests: () => ["push 0 a\nend 00000000\n".repeat(12_000)],
  };
  yield {
    what: "100 mkdir of 501 folders",
    requests: () => Array.from({ length: 100 }, (_, number) => `mkdir ${number}/${DEEP}e\n`),
  };
  yield { what: `status of ${SESSIONS} clients`, requests: () => ["status\n"], times: SESSIONS };
}

/** A file in pieces, read while it is sent. */
function* piecesOf({ path }: SourceFile): Iterable<Uint8Array> {
  using file = Deno.openSync(path);
  const buffer = new Uint8Array(1024 * 1024);
  for (let read; (read = file.readSync(buffer)) !== null;) yield buffer.subarray(0, read);
}

function makeFiles(directory: string, count: number, nameOf: (number: number) => string): void {
  for (let number = 1; number <= count; number++) {
    Deno.writeFileSync(`${directory}/${nameOf(number)}`, new Uint8Array(0));
  }
}
