/**
 * Lines that come back reversed: many on one connection, and many connections at once.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { compare, type Entrant } from "../compare.ts";
import { clientCommand, pythonCommand, serverCommand } from "../peers.ts";
import { run, startServer } from "../processes.ts";
import type { Section } from "../report.ts";
import { empty, verify, type Workspace, writeRepeated } from "../workspace.ts";
import type { Bench } from "./workload.ts";

const INLET = "inlet server";
const PYTHON = "Python, a thread a client";

const LINE_BYTES = 80;
const BLOCK_LINES = 13_107;
const BLOCKS = 100;
const CLIENTS = 1000;
const LINES_EACH = 100;

/**
 * What socat writes at once. While it waits for a write it reads nothing, so a block has to fit into
 * the buffers of the connection, or both sides would wait for each other.
 */
const CLIENT_BLOCK_BYTES = 64 * 1024;

/** Time of many lines on one connection, with socat as the client of both servers. */
export async function reverse({ workspace, runs }: Bench): Promise<Section> {
  const { source, size, answers, check } = manyLines(workspace);
  const client = (port: number): Promise<void> =>
    run([
      ...["socat", "-b", String(CLIENT_BLOCK_BYTES), "-t", "600"],
      ...[`OPEN:${source},rdonly!!CREATE:${answers}/out`, `TCP:127.0.0.1:${port}`],
    ]);
  return await compare({
    name: "reverse",
    title: `reverse: ${formatBytes(size)} of lines of ${LINE_BYTES} bytes, socat as the client`,
    runs,
    bytes: size,
    entrants: servers(workspace, ["socat"], {
      client,
      clear: () => empty(answers),
      check,
    }),
    goals: [{ of: INLET, against: PYTHON, atLeast: 5 }],
  });
}

/** Time of many lines on one connection, with our server and each of the clients. */
export async function reverseClient({ workspace, runs }: Bench): Promise<Section> {
  const { source, size, answers, check } = manyLines(workspace);
  const python = await pythonCommand("reverse_client.py", ["127.0.0.1"]);
  const client = (
    name: string,
    needs: readonly string[],
    command: (port: number) => string[],
  ): Entrant =>
    entrant(name, needs, () => Promise.resolve([ourServer(workspace)]), {
      client: (port) => run(command(port), { stdout: `${answers}/out` }),
      clear: () => empty(answers),
      check,
    });
  return await compare({
    name: "reverse-client",
    title: `reverse-client: ${formatBytes(size)} of lines, our server; ours compares the answers`,
    runs,
    bytes: size,
    entrants: [
      client("inlet client", [], (port) => clientCommand(port, [source, "--mode", "reverse"])),
      client("Python client", ["python3"], (port) => [...python, String(port), source]),
    ],
    goals: [],
  });
}

/** Time of many connections at once. The client fails if one answer is not right. */
export async function reverseMany({ workspace, runs }: Bench): Promise<Section> {
  const command = await pythonCommand("reverse_client_many.py", ["127.0.0.1"]);
  const client = (port: number): Promise<void> =>
    run([...command, String(port), String(CLIENTS), String(LINES_EACH)]);
  return await compare({
    name: "reverse-many",
    title:
      `reverse-many: ${CLIENTS} clients at once, ${LINES_EACH} lines each, all answers checked`,
    runs,
    entrants: servers(workspace, ["python3"], { client, clear: () => {}, check: () => {} }),
    goals: [],
  });
}

/** What a client does with a server, and what is checked afterwards. */
interface Work {
  client: (port: number) => Promise<void>;
  clear: () => void;
  check: () => void;
}

/** Both servers with one client. */
function servers(workspace: Workspace, needs: readonly string[], work: Work): Entrant[] {
  return [
    entrant(INLET, needs, () => Promise.resolve([ourServer(workspace)]), work),
    entrant(
      PYTHON,
      ["python3", ...needs],
      async () => [await pythonCommand("reverse_server.py", ["0"]), "/dev/stderr"],
      work,
    ),
  ];
}

function ourServer(workspace: Workspace): string[] {
  const limits = ["--max-clients", String(CLIENTS), "--backlog", String(CLIENTS)];
  return serverCommand(workspace.directory(), ["--mode", "reverse", ...limits]);
}

function entrant(
  name: string,
  needs: readonly string[],
  serve: () => Promise<[command: string[], stdout?: string]>,
  { client, clear, check }: Work,
): Entrant {
  return {
    name,
    needs,
    async enter(stack) {
      const [command, stdout] = await serve();
      const { port, pid } = stack.use(await startServer(command, stdout ? { stdout } : {}));
      return {
        pids: [pid],
        ready: () => Promise.resolve(() => client(port)),
        clear: async () => await Promise.resolve(clear()),
        check: async () => await Promise.resolve(check()),
      };
    },
  };
}

/** A file of many lines, and a directory for the answers. */
function manyLines(
  workspace: Workspace,
): { source: string; size: number; answers: string; check: () => void } {
  const source = `${workspace.directory()}/lines`;
  const answers = workspace.directory();
  const { forth, back } = blocks();
  const { size } = writeRepeated(source, forth, BLOCKS);
  const expected = writeRepeated(`${answers}/expected`, back, BLOCKS);
  return { source, size, answers, check: () => verify(`${answers}/out`, expected) };
}

/** Some lines of letters and digits, and the same lines reversed. */
function blocks(): { forth: Uint8Array; back: Uint8Array } {
  const lines = Array.from(
    { length: BLOCK_LINES },
    (_, number) => `line ${number} `.padEnd(LINE_BYTES - 1, "abcdefghijklmnopqrstuvwxyz0123456789"),
  );
  const encode = (all: string[]): Uint8Array =>
    new TextEncoder().encode(all.map((line) => `${line}\n`).join(""));
  return {
    forth: encode(lines),
    back: encode(lines.map((line) => [...line].reverse().join(""))),
  };
}
