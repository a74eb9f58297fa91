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
import { join } from "@std/path/join";
import denoJson from "./deno.json" with { type: "json" };
import { formatAddress } from "./lib/address.ts";
import {
  type CommandLine,
  parseCommandLine,
  runMain,
  STOP_SIGNALS,
} from "./lib/cli/command_line.ts";
import type { ServerAddress } from "./lib/net/connect.ts";
import { exitCode, explain, InletError } from "./lib/errors.ts";
import { parseCount, parsePort, parseSeconds, parseSize } from "./lib/cli/option_values.ts";
import { readKey } from "./lib/auth/key.ts";
import { safeName } from "./lib/store/names.ts";
import { ensurePermissions, type Need } from "./lib/cli/permissions.ts";
import { Progress } from "./lib/cli/progress.ts";
import { RateLimit } from "./lib/net/rate_limit.ts";
import { printPages } from "./client/print_pages.ts";
import { listLines, Report, statusLines } from "./client/report.ts";
import { stdinSource } from "./lib/body/sources.ts";
import { writeStdout } from "./lib/body/stdio.ts";
import { printable } from "./lib/text.ts";
import { DEFAULT_NAME, Dialer } from "./client/dialer.ts";
import type { ItemResult } from "./modes/files/answers.ts";
import { send, sendFiles, type SendOptions, type SendResult } from "./client/send.ts";
import { findMode, MODES } from "./modes/table.ts";

export { RateLimit, send, type SendOptions, type SendResult, type ServerAddress };

const USAGE = `inlet client: sends files and messages over TCP

Usage: client.ts HOST PORT [FILE...] [OPTIONS]

  In a terminal and without a FILE it opens a session, which help explains.

  FILE                 a file or folder to send; - is the standard input, and needs --as
  --as NAME            the name to store it under
  --list               lists the files of the server
  --get NAME           gets a file; --get NAME/ gets a folder
  --output PATH        where to write it: a file, or a folder to put it in (default: this one);
                       - is the standard output
  --exclude GLOB       leaves out what matches, by name, or by path if it has a / (repeatable)
  --skip-same          leaves out files that are there already: same size, time and CRC-32
  --resume             keeps what arrived when the connection breaks, and goes on with it
  --retry N            tries again up to N times after a lost connection; implies --resume
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

Exit codes: 0 acknowledged, 2 wrong use, 3 refused, 4 no connection or lost, 5 not verified,
130 interrupted`;

/** Everything that a command line asks for, checked. */
interface Plan {
  address: ServerAddress;
  action: Action;
  options: TransferOptions & { name?: string; timeoutMs: number; rate?: RateLimit; mode: string };
  tokenFile: string | undefined;
  quiet: boolean;
}

type ClientCommandLine = CommandLine<
  "as" | "get" | "output" | "mode" | "name" | "retry" | "timeout" | "limit" | "token-file",
  "list" | "status" | "session" | "skip-same" | "resume" | "quiet" | "help" | "version",
  "exclude"
>;

/** What the client is to do. */
type Action =
  | Transfer
  | { type: "say" }
  | { type: "list" }
  | { type: "status" }
  | { type: "session" };

/** What moves files. */
type Transfer =
  | { type: "send"; files: string[]; as: string | undefined }
  | { type: "get"; name: string; output: string | undefined }
  | { type: "get folder"; name: string; directory: string };

async function main(args: readonly string[]): Promise<number> {
  const commandLine: ClientCommandLine = parseCommandLine(args, {
    values: ["as", "get", "output", "mode", "name", "retry", "timeout", "limit", "token-file"],
    lists: ["exclude"],
    flags: ["list", "status", "session", "skip-same", "resume", "quiet", "help", "version"],
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
  const stopping = stopOnSignals();
  const options: SendOptions = {
    ...plan.options,
    progress,
    key,
    output: writeStdout,
    signal: stopping.signal,
    onNotice: (text) => !plan.quiet && progress.say(printable(text)),
  };
  const dialer = new Dialer(address, options);
  switch (action.type) {
    case "session":
      return await startSession(dialer, options.name, stopping);
    case "send":
    case "get":
    case "get folder":
      return await runTransfer(dialer, action, plan.quiet, options);
  }
  using connection = await dialer.open();
  const client = await dialer.greet(connection);
  switch (action.type) {
    case "say":
      progress.begin(null);
      await client.say(stdinSource(""));
      break;
    case "list":
      await printPages(listLines(client));
      break;
    case "status":
      await printPages(statusLines(client));
      break;
  }
  await client.exit();
  return 0;
}

/** Options that contradict each other are refused here, before anything is done. */
function makePlan({ positional, values, lists, flags }: ClientCommandLine): Plan {
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
  const options = transferOptions(values, lists, flags);
  checkTransferOptions(action, options, send ? `in mode ${mode}` : undefined);
  if (needsSize && action.type === "send" && action.files.includes("-")) {
    throw contradiction(`the standard input in mode ${mode}, which needs a size first`);
  }
  return {
    address: { hostname: host.replace(/^\[(.*)\]$/, "$1"), port: parsePort(port) },
    action,
    options: {
      mode,
      ...(values.name !== undefined && { name: values.name }),
      ...options,
      timeoutMs: parseSeconds(values.timeout ?? "30", "--timeout"),
      ...(values.limit !== undefined &&
        { rate: new RateLimit(parseSize(values.limit, "--limit")) }),
    },
    tokenFile: values["token-file"],
    quiet: flags.quiet,
  };
}

type TransferOptions = Required<Pick<SendOptions, "exclude" | "skipSame" | "resume" | "retries">>;

function transferOptions(
  { retry }: ClientCommandLine["values"],
  { exclude }: ClientCommandLine["lists"],
  flags: ClientCommandLine["flags"],
): TransferOptions {
  return {
    exclude,
    skipSame: flags["skip-same"],
    resume: flags.resume,
    retries: retry === undefined ? 0 : parseCount(retry, "--retry", { min: 1, max: 1_000_000 }),
  };
}

/** @param where Why no transfer can take them, whatever it is. */
function checkTransferOptions(
  action: Action,
  { exclude, skipSame, resume, retries }: TransferOptions,
  where: string | undefined,
): void {
  const ofFolders = [exclude.length > 0 && "--exclude", skipSame && "--skip-same"];
  const ofFiles = [resume && "--resume", retries > 0 && "--retry"];
  const refuse = (given: (string | false)[], why: string): void => {
    const first = given.find((option) => option !== false);
    if (first) throw contradiction(`${first} ${why}`);
  };
  const all = [...ofFolders, ...ofFiles];
  if (where !== undefined) refuse(all, where);
  if (action.type === "get") {
    refuse(ofFolders, "with --get of a file; of a folder it is --get NAME/");
    if (action.output === "-") refuse(ofFiles, "with --output -");
  } else if (action.type === "send") {
    if (action.files.includes("-")) refuse(ofFiles, "with the standard input");
  } else if (action.type !== "get folder") {
    refuse(all, "without a FILE or --get");
  }
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
    const name = get.replace(/\/+$/, "");
    checkName(name);
    if (name === get) return { type: "get", name, output };
    if (output === "-") throw contradiction("--output - with a folder");
    return { type: "get folder", name, directory: output ?? "." };
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

/** A name that no server has is wrong use, whatever a server would dialer it. */
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
      const path = dirname(action.output ?? "./");
      return [...needs, { name: "read", path }, { name: "write", path }];
    }
    case "get folder": {
      const path = action.directory;
      return [...needs, { name: "read", path }, { name: "write", path }];
    }
    case "session":
      return [...needs, { name: "read", path: "." }, { name: "write", path: "." }];
    default:
      return needs;
  }
}

async function startSession(
  dialer: Dialer,
  name: string | undefined,
  stopping: AbortController,
): Promise<number> {
  const { runSession } = await import("./client/session.ts");
  await runSession({
    name,
    defaultName: DEFAULT_NAME,
    interactive: Deno.stdin.isTerminal() && Deno.stderr.isTerminal(),
    context: dialer.context,
    open: () => dialer.open(),
    stopping,
  });
  return 0;
}

async function runTransfer(
  dialer: Dialer,
  action: Transfer,
  quiet: boolean,
  options: SendOptions,
): Promise<number> {
  const { progress, resume } = dialer.context;
  const several = action.type === "send" && action.files.length > 1;
  const report = new Report(progress, { quiet, several });
  try {
    switch (action.type) {
      case "send": {
        const onResult = (result: SendResult): void => report.add(result);
        await sendFiles(dialer, action.files, { ...options, onResult }, { as: action.as });
        break;
      }
      case "get":
        await get(dialer, action, report);
        break;
      case "get folder":
        await runGetFolder(dialer, action, options, report);
    }
  } catch (error) {
    report.fail(explain(error));
  }
  const failure = report.end();
  if (!failure) return 0;
  const wasLost = exitCode(failure) === 4 && progress.moved > 0;
  if (wasLost && !quiet && isRepeatable(action, options)) {
    const how = resume
      ? "The same command"
      : "With --retry N the client tries again by itself, and";
    progress.say(`inlet: ${how} goes on where it broke off`);
  }
  return exitCode(failure);
}

/** Whether a transfer can be tried again, and goes on then. */
function isRepeatable(action: Transfer, { mode = "files" }: SendOptions): boolean {
  if (action.type === "send") return mode === "files" && !action.files.includes("-");
  return action.type === "get folder" || action.output !== "-";
}

async function get(
  dialer: Dialer,
  { name, output }: Extract<Transfer, { type: "get" }>,
  report: Report,
): Promise<void> {
  const { progress, resume } = dialer.context;
  await dialer.withSession(async (client) => {
    progress.begin(null);
    if (output === "-") return void await client.get(name, { write: writeStdout });
    const { getFile } = await import("./client/get_file.ts");
    const stored = await getFile(client, name, savePath(name, output), { resume });
    report.add({ label: name, stored });
  });
}

/** Where a file is saved: into a folder under its own name, as other programs do. */
function savePath(name: string, output: string | undefined): string {
  // A file that is called - is saved like any other: nobody asked for the standard output.
  if (output === undefined) return `./${basename(name)}`;
  return output.endsWith("/") || isFolder(output) ? join(output, basename(name)) : output;
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

async function runGetFolder(
  dialer: Dialer,
  { name, directory }: Extract<Transfer, { type: "get folder" }>,
  { exclude = [], skipSame = false }: SendOptions,
  report: Report,
): Promise<void> {
  const { progress, resume } = dialer.context;
  const done = new Set<string>();
  const { getFolder } = await import("./client/get_folder.ts");
  const onResult = (label: string, result: ItemResult): void => {
    if (!("error" in result)) dialer.retries.progressed();
    report.add({ label, folder: `${name}/`, ...result });
  };
  const options = { directory, exclude, skipSame, resume, progress, done, onResult };
  await dialer.withSession((client) => getFolder(client, name, options));
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
