/**
 * The sending side: {@linkcode send} as a library, and its command line.
 *
 * ```sh
 * deno run client.ts 127.0.0.1 5000 file.txt
 * ```
 *
 * ```ts ignore
 * import { send } from "@inlet/inlet/client";
 *
 * const results = await send({ hostname: "127.0.0.1", port: 5000 }, ["file.txt"]);
 * ```
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import denoJson from "./deno.json" with { type: "json" };
import { type CommandLine, parseCommandLine, runMain, STOP_SIGNALS } from "./lib/command_line.ts";
import { connect, type ServerAddress } from "./lib/connect.ts";
import type { Connection } from "./lib/connection.ts";
import { formatAddress } from "./lib/connection.ts";
import { exitCode, explain, InletError } from "./lib/errors.ts";
import { parsePort, parseSeconds } from "./lib/limits.ts";
import { formatLocalTime } from "./lib/log.ts";
import { safeName } from "./lib/names.ts";
import { ensurePermissions, type Need } from "./lib/permissions.ts";
import { Progress } from "./lib/progress.ts";
import { pathSource, type Source, stdinSource } from "./lib/sources.ts";
import { writeStdout } from "./lib/stdout.ts";
import { formatBytes, formatSpeed, printable, quoted } from "./lib/text.ts";
import { FilesClient, type OnResult } from "./modes/files.ts";
import { findMode, MODES } from "./modes/table.ts";
import { formatCrc, type ListEntry, type Stored } from "./protocol.ts";

export type { ServerAddress };

/** Options of {@linkcode send}. */
export interface SendOptions {
  /**
   * Name of the conversation, as in the table of modes.
   *
   * @default {"files"}
   */
  mode?: string;
  /**
   * What this client calls itself.
   *
   * @default {"inlet"}
   */
  name?: string;
  /**
   * Milliseconds that connecting may take, and that nothing may move.
   *
   * @default {30_000}
   */
  timeoutMs?: number;
  /** Stops sending. Its reason is what every unfinished file fails with. */
  signal?: AbortSignal;
  /** A line that shows what moves. */
  progress?: Progress;
  /**
   * Takes what the server answers, in modes that answer with data. A chunk is valid until what this
   * returns has settled.
   *
   * @default drops it
   */
  output?: (chunk: Uint8Array) => Promise<void>;
  /** Told how each file fared, as soon as that is known. */
  onResult?: (result: SendResult) => void;
}

/** How one file fared. */
export interface SendResult {
  /** What was sent: a path, or `standard input`. */
  readonly label: string;
  /** What the server acknowledged, as far as its wire says. */
  readonly stored?: Partial<Stored>;
  /** Why nothing was stored. */
  readonly error?: InletError;
}

/**
 * Sends files, in order.
 *
 * @param files Paths of files.
 * @returns One result a file. It is a success only after the server's acknowledgement.
 * @throws {InletError} `usage` if a file cannot be sent at all: nothing was sent then
 */
export async function send(
  address: ServerAddress,
  files: readonly string[],
  options: SendOptions = {},
): Promise<SendResult[]> {
  return await sendSources(
    address,
    await Promise.all(files.map((file) => pathSource(file))),
    options,
  );
}

async function sendSources(
  address: ServerAddress,
  sources: readonly Source[],
  options: SendOptions,
): Promise<SendResult[]> {
  const progress = options.progress ?? new Progress(false);
  const context = { progress, output: options.output ?? (() => Promise.resolve()) };
  const { send } = findMode(options.mode ?? "files");
  const results: SendResult[] = [];
  const report: OnResult = ({ label }, result) => {
    const sent = result instanceof InletError
      ? { label, error: result }
      : { label, stored: result };
    results.push(sent);
    options.onResult?.(sent);
  };
  progress.begin(totalSize(sources));
  for (let rest = sources; rest.length > 0;) {
    try {
      using connection = await open(address, options);
      if (send) {
        const [source, ...others] = rest as [Source, ...Source[]];
        progress.name(source.label);
        report(source, await send(connection, source, context).catch(explain));
        rest = others;
      } else {
        const client = await FilesClient.greet(connection, options.name ?? "inlet", context);
        rest = await client.send(rest, report);
        await client.exit();
      }
    } catch (error) {
      // Not let in: what stopped this file stops the others too.
      rest.forEach((source) => report(source, explain(error)));
      rest = [];
    }
  }
  return results;
}

async function open(address: ServerAddress, options: SendOptions): Promise<Connection> {
  const { timeoutMs = 30_000, signal = new AbortController().signal } = options;
  return await connect(address, { timeoutMs, signal });
}

/** All bytes to come, or `null` where one source does not know. */
function totalSize(sources: readonly Source[]): number | null {
  return sources.reduce<number | null>(
    (sum, { size }) => sum === null || size === null ? null : sum + size,
    0,
  );
}

const USAGE = `inlet client: sends files and messages over TCP

Usage: client.ts HOST PORT [FILE...] [OPTIONS]

  FILE                 a file to send; - is the standard input, and needs --as
  --as NAME            the name to store it under
  --list               lists the files of the server
  --get NAME           gets a file
  --output PATH        where to write it (default: its name, here); - is the standard output
  --status             lists the clients of the server
  --mode MODE          the conversation (default files): ${Object.keys(MODES).join(", ")}
  --name NAME          what this client calls itself (default inlet)
  --timeout SECONDS    silence after which the server is given up (default 30)
  --quiet              says errors only
  --help, --version

Without a FILE, what comes on the standard input is sent as a message to the server's output.

Exit codes: 0 acknowledged, 2 wrong use, 3 refused, 4 no connection or lost, 5 not verified`;

/** Everything that a command line asks for, checked. */
interface Plan {
  address: ServerAddress;
  action: Action;
  options: SendOptions & { timeoutMs: number; name: string; mode: string };
  quiet: boolean;
}

type ClientCommandLine = CommandLine<
  "as" | "get" | "output" | "mode" | "name" | "timeout",
  "list" | "status" | "quiet" | "help" | "version"
>;

/** What the client is to do. */
type Action =
  | { type: "send"; files: string[]; as: string | undefined }
  | { type: "say" }
  | { type: "list" }
  | { type: "status" }
  | { type: "get"; name: string; output: string };

async function main(args: readonly string[]): Promise<number> {
  const commandLine = parseCommandLine(args, {
    values: ["as", "get", "output", "mode", "name", "timeout"],
    flags: ["list", "status", "quiet", "help", "version"],
  });
  if (commandLine.flags.help) return console.log(USAGE), 0;
  if (commandLine.flags.version) return console.log(`inlet ${denoJson.version}`), 0;
  const plan = makePlan(commandLine);
  await ensurePermissions(needsOf(plan));
  const { address, action } = plan;
  const toStdout = action.type === "get"
    ? action.output === "-"
    : findMode(plan.options.mode).answers;
  const toScreen = toStdout && Deno.stdout.isTerminal();
  using progress = new Progress(Deno.stderr.isTerminal() && !plan.quiet && !toScreen);
  const context = { progress, output: writeStdout };
  const options = { ...plan.options, ...context, signal: stopSignal() };
  if (action.type === "send") return await runSend(address, action, options, plan.quiet);
  using connection = await open(address, options);
  const client = await FilesClient.greet(connection, options.name, context);
  switch (action.type) {
    case "say":
      progress.begin(null);
      await client.say(stdinSource(""));
      break;
    case "list":
      (await client.list()).forEach((entry) => console.log(formatEntry(entry)));
      break;
    case "status":
      (await client.status()).forEach((line) => console.log(printable(line)));
      break;
    case "get":
      await runGet(client, action, progress, plan.quiet);
      break;
  }
  await client.exit();
  return 0;
}

/** Options that contradict each other are refused here, before anything is done. */
function makePlan({ positional, values, flags }: ClientCommandLine): Plan {
  const [host, port, ...files] = positional;
  if (host === undefined || port === undefined) {
    throw new InletError("usage", "Cannot connect without a host and a port; try --help");
  }
  const mode = values.mode ?? "files";
  const { send, named } = findMode(mode);
  const asked = [
    files.length > 0 && "FILE",
    flags.list && "--list",
    flags.status && "--status",
    values.get !== undefined && "--get",
  ].filter((given) => given !== false);
  if (asked.length > 1) throw contradiction(`${asked[0]} together with ${asked[1]}`);
  if (values.output && !values.get) throw contradiction("--output without --get");
  if (values.as && asked.length > 0 && asked[0] !== "FILE") {
    throw contradiction(`--as with ${asked[0]}`);
  }
  if (values.as && !named) throw contradiction(`--as in mode ${mode}`);
  if (values.as && files.length > 1) throw contradiction("--as with several files");
  if (send && asked.length > 0 && asked[0] !== "FILE") {
    throw contradiction(`${asked[0]} in mode ${mode}`);
  }
  return {
    address: { hostname: host.replace(/^\[(.*)\]$/, "$1"), port: parsePort(port) },
    action: actionOf(files, values, flags, send !== undefined),
    options: {
      mode,
      name: values.name ?? "inlet",
      timeoutMs: parseSeconds(values.timeout ?? "30", "--timeout"),
    },
    quiet: flags.quiet,
  };
}

function actionOf(
  files: string[],
  { as, get, output }: ClientCommandLine["values"],
  flags: ClientCommandLine["flags"],
  oneWay: boolean,
): Action {
  if (flags.list) return { type: "list" };
  if (flags.status) return { type: "status" };
  if (get !== undefined) {
    safeName(get);
    return { type: "get", name: get, output: output ?? basename(get) };
  }
  if (files.length === 0) {
    if (Deno.stdin.isTerminal()) {
      throw new InletError("usage", "Cannot send nothing: give a FILE, or pipe something in");
    }
    if (!oneWay && as === undefined) return { type: "say" };
    files = ["-"];
  }
  if (!oneWay && as === undefined && files.includes("-")) {
    throw new InletError("usage", "Cannot store the standard input without a name: give --as NAME");
  }
  return { type: "send", files, as };
}

function contradiction(what: string): InletError {
  return new InletError("usage", `Cannot use ${what}; try --help`);
}

function needsOf({ address, action }: Plan): Need[] {
  const network: Need = { name: "net", host: formatAddress(address) };
  switch (action.type) {
    case "send": {
      const files = action.files.filter((file) => file !== "-");
      return [network, ...files.map((path) => ({ name: "read" as const, path }))];
    }
    case "get": {
      if (action.output === "-") return [network];
      const path = dirname(action.output);
      return [network, { name: "read", path }, { name: "write", path }];
    }
    default:
      return [network];
  }
}

async function runSend(
  address: ServerAddress,
  { files, as }: Extract<Action, { type: "send" }>,
  options: SendOptions & { progress: Progress },
  quiet: boolean,
): Promise<number> {
  const sources = await Promise.all(
    files.map((file) => file === "-" ? stdinSource(as ?? "") : pathSource(file, as)),
  );
  let started = performance.now();
  const onResult = ({ label, stored, error }: SendResult): void => {
    const elapsedMs = performance.now() - started;
    started = performance.now();
    if (error) options.progress.say(`inlet: ${printable(error.message)}`);
    else if (stored && !quiet) options.progress.say(summary(label, stored, elapsedMs));
  };
  const results = await sendSources(address, sources, { ...options, onResult });
  const failed = results.find(({ error }) => error !== undefined);
  return failed ? exitCode(failed.error) : 0;
}

async function runGet(
  client: FilesClient,
  { name, output }: Extract<Action, { type: "get" }>,
  progress: Progress,
  quiet: boolean,
): Promise<void> {
  if (output === "-") {
    await client.get(name, writeStdout);
    return;
  }
  const started = performance.now();
  // Loaded here because it takes longer to load than a small file takes to send.
  const { Store } = await import("./lib/store.ts");
  const store = await Store.open(dirname(output));
  using file = store.create(basename(output));
  const { bytes: size, crc } = await client.get(name, (chunk) => file.write(chunk));
  const stored = { size, crc, name: await file.publish() };
  if (!quiet) progress.say(summary(name, stored, performance.now() - started));
}

/** One line for one file: what it became, its size, its checksum, and how fast it moved. */
function summary(label: string, stored: Partial<Stored>, elapsedMs: number): string {
  const facts: string[] = [];
  if (stored.name) facts.push(`stored as ${quoted(stored.name)}`);
  if (stored.size !== undefined) facts.push(formatBytes(stored.size));
  if (stored.crc !== undefined) facts.push(`CRC-32 ${formatCrc(stored.crc)}`);
  if (stored.size) facts.push(formatSpeed(stored.size, elapsedMs));
  return `${printable(label)}: ${facts.join(", ")}`;
}

function formatEntry({ size, modified, name }: ListEntry): string {
  return `${String(size).padStart(13)}  ${formatLocalTime(modified)}  ${printable(name)}`;
}

/** Aborted by the first signal, so that nothing partial stays. A second one ends at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) Deno.exit(130);
    controller.abort(new InletError("interrupted", "Interrupted"));
  };
  for (const signal of STOP_SIGNALS) Deno.addSignalListener(signal, stop);
  return controller.signal;
}

if (import.meta.main) await runMain(() => main(Deno.args));
