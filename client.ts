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
import { formatAddress } from "./lib/address.ts";
import { exitCode, explain, InletError } from "./lib/errors.ts";
import { parsePort, parseSeconds, parseSize } from "./lib/limits.ts";
import { readKey } from "./lib/key.ts";
import { safeName } from "./lib/names.ts";
import { ensurePermissions, type Need } from "./lib/permissions.ts";
import { Progress } from "./lib/progress.ts";
import { Rate } from "./lib/rate.ts";
import { formatEntry, summary } from "./lib/report.ts";
import { pathSource, type Source, stdinSource } from "./lib/sources.ts";
import { writeStdout } from "./lib/stdio.ts";
import { printable } from "./lib/text.ts";
import { FilesClient, type OnResult } from "./modes/files.ts";
import type { ClientContext } from "./lib/mode.ts";
import { findMode, MODES } from "./modes/table.ts";
import type { Stored } from "./protocol.ts";

export { Rate, type ServerAddress };

/** What a client calls itself when nobody says. */
const DEFAULT_NAME = "inlet";

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
  /**
   * The key of the server, where it asks for one.
   *
   * @default {undefined}
   */
  key?: string | undefined;
  /**
   * The limit of bytes a second, both ways together, over everything that is handed the same one.
   *
   * @default {undefined}
   */
  rate?: Rate | undefined;
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
  return await sendSources(address, files.map((file) => pathSource(file)), options);
}

async function sendSources(
  address: ServerAddress,
  sources: readonly Source[],
  options: SendOptions,
): Promise<SendResult[]> {
  const { progress = new Progress(false), key } = options;
  const output = options.output ?? (() => Promise.resolve());
  const context = { progress, key, output };
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
        const client = await FilesClient.greet(connection, options.name ?? DEFAULT_NAME, context);
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
  const { timeoutMs = 30_000, signal = new AbortController().signal, rate } = options;
  const connection = await connect(address, { timeoutMs, signal, rate });
  options.progress?.follow(connection);
  return connection;
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

  In a terminal and without a FILE it opens a session, which help explains.

  FILE                 a file to send; - is the standard input, and needs --as
  --as NAME            the name to store it under
  --list               lists the files of the server
  --get NAME           gets a file
  --output PATH        where to write it (default: its name, here); - is the standard output
  --status             lists the clients of the server
  --session            runs a session from a script on the standard input, a command a line
  --token-file FILE    the key of the server, where it asks for one (or in INLET_TOKEN)
  --mode MODE          the conversation (default files): ${Object.keys(MODES).join(", ")}
  --name NAME          what this client calls itself (default inlet)
  --timeout SECONDS    silence after which the server is given up (default 30)
  --limit RATE         most bytes a second, like 500kB or 10MB (default: no limit)
  --quiet              says errors only
  --help, --version

Without a FILE: a session in a terminal; elsewhere the standard input is a message to the server's
output.

Exit codes: 0 acknowledged, 2 wrong use, 3 refused, 4 no connection or lost, 5 not verified`;

/** Everything that a command line asks for, checked. */
interface Plan {
  address: ServerAddress;
  action: Action;
  options: SendOptions & { timeoutMs: number; mode: string };
  tokenFile: string | undefined;
  quiet: boolean;
}

type ClientCommandLine = CommandLine<
  "as" | "get" | "output" | "mode" | "name" | "timeout" | "limit" | "token-file",
  "list" | "status" | "session" | "quiet" | "help" | "version"
>;

/** What the client is to do. */
type Action =
  | { type: "send"; files: string[]; as: string | undefined }
  | { type: "say" }
  | { type: "list" }
  | { type: "status" }
  | { type: "session" }
  | { type: "get"; name: string; output: string };

async function main(args: readonly string[]): Promise<number> {
  const commandLine = parseCommandLine(args, {
    values: ["as", "get", "output", "mode", "name", "timeout", "limit", "token-file"],
    flags: ["list", "status", "session", "quiet", "help", "version"],
  });
  if (commandLine.flags.help) return console.log(USAGE), 0;
  if (commandLine.flags.version) return console.log(`inlet ${denoJson.version}`), 0;
  const plan = makePlan(commandLine);
  await ensurePermissions(needsOf(plan));
  const { address, action } = plan;
  const { answers } = findMode(plan.options.mode);
  const toStdout = action.type === "get" ? action.output === "-" : answers;
  const toScreen = toStdout && Deno.stdout.isTerminal();
  using progress = new Progress(Deno.stderr.isTerminal() && !plan.quiet && !toScreen);
  const key = plan.options.mode === "files" ? readKey(plan.tokenFile) : undefined;
  const context = { progress, key, output: writeStdout };
  const stopping = stopOnSignals();
  const options = { ...plan.options, ...context, signal: stopping.signal };
  if (action.type === "session") return await startSession(address, options, context, stopping);
  if (action.type === "send") return await runSend(address, action, options, plan.quiet);
  using connection = await open(address, options);
  const client = await FilesClient.greet(connection, options.name ?? DEFAULT_NAME, context);
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
  const { send, named, needsSize } = findMode(mode);
  const asked = [
    files.length > 0 && "FILE",
    flags.list && "--list",
    flags.status && "--status",
    flags.session && "--session",
    values.get !== undefined && "--get",
  ].filter((given) => given !== false);
  if (asked.length > 1) throw contradiction(`${asked[0]} together with ${asked[1]}`);
  if (values.output && !values.get) throw contradiction("--output without --get");
  if (values.as && asked.length > 0 && asked[0] !== "FILE") {
    throw contradiction(`--as with ${asked[0]}`);
  }
  if (values.as && !named) throw contradiction(`--as in mode ${mode}`);
  if (values.as && files.length > 1) throw contradiction("--as with several files");
  if (send && values["token-file"]) throw contradiction(`--token-file in mode ${mode}`);
  if (send && asked.length > 0 && asked[0] !== "FILE") {
    throw contradiction(`${asked[0]} in mode ${mode}`);
  }
  const action = actionOf(files, values, flags, send !== undefined);
  if (needsSize && action.type === "send" && action.files.includes("-")) {
    throw contradiction(`the standard input in mode ${mode}, which needs a size first`);
  }
  return {
    address: { hostname: host.replace(/^\[(.*)\]$/, "$1"), port: parsePort(port) },
    action,
    options: {
      mode,
      ...(values.name !== undefined && { name: values.name }),
      timeoutMs: parseSeconds(values.timeout ?? "30", "--timeout"),
      ...(values.limit !== undefined && { rate: new Rate(parseSize(values.limit, "--limit")) }),
    },
    tokenFile: values["token-file"],
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
  if (flags.session) return { type: "session" };
  if (get !== undefined) {
    checkName(get);
    // A file that is called - is saved like any other: nobody asked for the standard output.
    return { type: "get", name: get, output: output ?? `./${basename(get)}` };
  }
  if (files.length === 0) {
    if (Deno.stdin.isTerminal()) {
      if (!oneWay && as === undefined) return { type: "session" };
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

/** A name that no server has is wrong use, whatever a server would call it. */
function checkName(name: string): void {
  try {
    safeName(name);
  } catch (error) {
    throw new InletError("usage", explain(error).message, { cause: error });
  }
}

function contradiction(what: string): InletError {
  return new InletError("usage", `Cannot use ${what}; try --help`);
}

function needsOf({ address, action, tokenFile }: Plan): Need[] {
  const needs: Need[] = [{ name: "net", host: formatAddress(address) }];
  if (tokenFile !== undefined) needs.push({ name: "read", path: tokenFile });
  switch (action.type) {
    case "send": {
      const files = action.files.filter((file) => file !== "-");
      return [...needs, ...files.map((path) => ({ name: "read" as const, path }))];
    }
    case "get": {
      if (action.output === "-") return needs;
      const path = dirname(action.output);
      return [...needs, { name: "read", path }, { name: "write", path }];
    }
    case "session":
      return [...needs, { name: "read", path: "." }, { name: "write", path: "." }];
    default:
      return needs;
  }
}

async function startSession(
  address: ServerAddress,
  options: SendOptions,
  context: ClientContext,
  stopping: AbortController,
): Promise<number> {
  const { runSession } = await import("./modes/session.ts");
  await runSession({
    name: options.name,
    defaultName: DEFAULT_NAME,
    interactive: Deno.stdin.isTerminal() && Deno.stderr.isTerminal(),
    context,
    open: () => open(address, options),
    stopping,
  });
  return 0;
}

async function runSend(
  address: ServerAddress,
  { files, as }: Extract<Action, { type: "send" }>,
  options: SendOptions & { progress: Progress },
  quiet: boolean,
): Promise<number> {
  const sources = files.map((file) => file === "-" ? stdinSource(as ?? "") : pathSource(file, as));
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
  const { save } = await import("./modes/save.ts");
  const stored = await save(client, name, output);
  if (!quiet) progress.say(summary(name, stored, performance.now() - started));
}

/** Aborted by the first signal, so that nothing partial stays. A second one ends at once. */
function stopOnSignals(): AbortController {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) Deno.exit(130);
    controller.abort(new InletError("interrupted", "Interrupted"));
  };
  for (const signal of STOP_SIGNALS) Deno.addSignalListener(signal, stop);
  return controller;
}

if (import.meta.main) await runMain(() => main(Deno.args));
