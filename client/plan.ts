/**
 * Turns a command line into a plan, and checks it before the client acts.
 *
 * @module
 */

import { dirname } from "@std/path/dirname";
import type { ServerAddress } from "../lib/address.ts";
import { isStdin } from "../lib/body/path_source.ts";
import { checkModes, type CommandLine, contradiction } from "../lib/cli/command_line.ts";
import { type Need, needsOfAddress } from "../lib/cli/permissions.ts";
import type { ProgressStyle } from "../lib/cli/progress.ts";
import { explain, InletError } from "../lib/errors.ts";
import { RateLimit } from "../lib/net/rate_limit.ts";
import { EVERYTHING, safeName } from "../lib/store/names.ts";
import { printable, quoted } from "../lib/text.ts";
import type { Mode } from "../modes/mode.ts";
import { hasNoPut } from "../modes/table.ts";
import { addressIn } from "./given_address.ts";
import type { ListedNames, ListedPaths } from "./listed.ts";
import { acceptAction, checkNoCode, type Meeting, nothingToOffer } from "./meeting_plan.ts";
import { type ClientValues, PROGRAM } from "./options.ts";
import type { SendOptions } from "./send_options.ts";
import { type WireOptions, wireOptionsOf } from "./wire_options.ts";

/** A checked command line. */
export interface Plan {
  address: ServerAddress;
  mode: Mode;
  action: Action;
  options: TransferOptions & WireOptions & { name?: string; timeoutMs: number; rate?: RateLimit };
  /** Milliseconds that a download's partial file is kept. */
  keepPartialsMs: number;
  tokenFile: string | undefined;
  /** The list that is read before anything else, and completes the action. */
  filesFrom: FilesFrom | undefined;
  /** Whether a terminal gets the exact bytes, too. */
  raw: boolean;
  quiet: boolean;
  progress: ProgressStyle;
  /** Whether the results are JSON on the standard output. */
  json: boolean;
  /** Whether nothing is transferred, only listed. */
  dryRun: boolean;
}

/** A list of paths or names. */
export interface FilesFrom {
  /** `-` for the standard input. */
  readonly path: string;
  /** Whether a NUL ends each, and not the line. */
  readonly isNull: boolean;
}

/** The action of one run. */
export type Action =
  | Transfer
  | { type: "say" }
  | { type: "list"; names: readonly ServerName[] }
  | { type: "status" }
  | SessionAction
  | Meeting;

/** A session. */
export interface SessionAction {
  readonly type: "session";
  /** Whose offers a script receives. */
  readonly acceptFrom: string | undefined;
  /** Whether files may go directly to others. */
  readonly isDirect: boolean;
}

/** An action that transfers files. */
export type Transfer =
  | { type: "send"; files: string[]; as: string | undefined; listed?: ListedPaths }
  | {
    type: "get";
    names: readonly ServerName[];
    output: string | undefined;
    listed?: ListedNames;
  };

/** What a person asks the server for. */
export interface ServerName {
  /** Without a slash at its end, or {@linkcode EVERYTHING}. */
  readonly name: string;
  readonly isFolder: boolean;
}

type TransferOptions = Required<
  Pick<SendOptions, "exclude" | "links" | "skipSame" | "checksum" | "resume" | "retries" | "strict">
>;

/**
 * Makes a plan from a command line.
 *
 * @throws {InletError} `usage` if arguments contradict each other or the mode
 */
export function makePlan(
  { positional, options: values, given }: CommandLine<typeof PROGRAM.options>,
): Plan {
  const { address, files } = addressIn(positional);
  const { mode, name, limit } = values;
  checkModes(given, PROGRAM.options, [mode.name]);
  checkArguments(files, values);
  checkList(files, values);
  const action = actionOf(files, values);
  const options: TransferOptions = {
    exclude: values.exclude,
    links: values.links,
    skipSame: values["skip-same"] || values.checksum,
    checksum: values.checksum,
    resume: values.resume,
    strict: values.strict,
    retries: values.retry ?? 0,
  };
  checkDryRun(action, values);
  if (values.json) checkJson(action);
  checkTransferOptions(action, options, mode.send ? `in mode ${mode.name}` : undefined);
  if (options.resume && values["keep-partials"] === 0) {
    throw contradiction("--resume with --keep-partials 0");
  }
  if (mode.needsSize && action.type === "send" && action.files.includes("-")) {
    throw contradiction(`the standard input in mode ${mode.name}, which needs the size first`);
  }
  return {
    address,
    mode,
    action,
    options: {
      ...options,
      ...(name !== undefined && { name }),
      timeoutMs: values.timeout,
      ...wireOptionsOf(values),
      ...(limit !== undefined && { rate: new RateLimit(limit) }),
    },
    keepPartialsMs: values["keep-partials"],
    tokenFile: values["token-file"],
    filesFrom: values["files-from"] === undefined
      ? undefined
      : { path: values["files-from"], isNull: values.null },
    raw: values.raw,
    quiet: values.quiet,
    progress: values.progress,
    json: values.json,
    dryRun: values["dry-run"],
  };
}

/** Refuses what contradicts FILE or the mode. Options declare their conflicts with each other. */
function checkArguments(files: readonly string[], values: ClientValues): void {
  const { mode, as } = values;
  const action = [
    values.list && "--list",
    values.status && "--status",
    values.session && "--session",
    values.get !== undefined && "--get",
    values.accept && "--accept",
  ].find((given) => given !== false);
  if (values.accept) checkNoCode(files);
  const takesNames = action === "--get" || action === "--list";
  if (mode.asks && files.length > 0 && !takesNames) throw hasNoPut(files[0]!);
  if (action && files.length > 0 && !takesNames) {
    throw contradiction(`FILE together with ${action}`);
  }
  if (as && !mode.named) throw contradiction(`--as in mode ${mode.name}`);
  if (as && !as.endsWith("/") && files.length > 1) {
    const how = `for a folder to put them in, give --as ${printable(as)}/`;
    throw new InletError("usage", `Cannot use --as ${printable(as)} for several files: ${how}`);
  }
  if (!mode.send) return;
  if (values["token-file"]) throw contradiction(`--token-file in mode ${mode.name}`);
  if (mode.asks && values.list && files.length > 0) {
    throw contradiction(`--list with a name in mode ${mode.name}`);
  }
  if (action && !mode.asks) throw contradiction(`${action} in mode ${mode.name}`);
}

/** Refuses what contradicts a list. */
function checkList(files: readonly string[], values: ClientValues): void {
  const { as, get, "files-from": list, "token-file": tokenFile } = values;
  if (list === undefined) return;
  if (get !== undefined) {
    if (files.length > 0) throw contradiction("--files-from with several names");
    if (!partsOf(get).isFolder) {
      throw contradiction("--files-from with --get of a file; for a folder, use --get NAME/");
    }
  } else if (files.includes("-")) {
    throw contradiction("--files-from with the standard input as FILE");
  }
  if (as && !as.endsWith("/")) {
    const how = `for a folder to put all in, give --as ${printable(as)}/`;
    throw new InletError("usage", `Cannot use --as ${printable(as)} with --files-from: ${how}`);
  }
  const others = [...files, ...(tokenFile === undefined ? [] : [tokenFile])];
  const twice = list === "-" || isStdin(list) ? others.find(isStdin) : undefined;
  if (twice) throw contradiction(`the standard input as ${quoted(twice)} and for --files-from`);
}

/** Refuses a dry run of what cannot be compared. */
function checkDryRun(action: Action, { mode, ...values }: ClientValues): void {
  if (!values["dry-run"]) return;
  if (mode.send || mode.asks) throw contradiction(`--dry-run in mode ${mode.name}`);
  if (action.type === "send") {
    if (action.files.includes("-")) throw contradiction("--dry-run with the standard input");
  } else if (action.type !== "get") {
    throw contradiction("--dry-run without a FILE or --get");
  } else if (action.output === "-") throw contradiction("--dry-run with --output -");
}

/** Refuses JSON beside data, or a session, on the standard output. */
function checkJson(action: Action): void {
  if (action.type === "session") {
    throw contradiction("--json in a session: give a FILE, or pipe data");
  }
  if (action.type === "get" && action.output === "-") {
    throw contradiction("--json with --output -");
  }
}

/** @param where Set where the mode supports none of these options: the words for the message. */
function checkTransferOptions(
  action: Action,
  { exclude, skipSame, checksum, resume, strict }: TransferOptions,
  where: string | undefined,
): void {
  const same = checksum ? "--checksum" : "--skip-same";
  const ofFolders = [exclude.length > 0 && "--exclude", skipSame && same];
  const refuse = (given: (string | false)[], why: string): void => {
    const first = given.find((option) => option !== false);
    if (first) throw contradiction(`${first} ${why}`);
  };
  const all = [...ofFolders, resume && "--resume"];
  if (where !== undefined) refuse(all, where);
  if (action.type === "get") {
    if (where !== undefined && action.names.some(({ isFolder }) => isFolder)) {
      throw contradiction(`--get of a folder ${where}`);
    }
    if (action.names.every(({ isFolder }) => !isFolder)) {
      refuse(ofFolders, "with --get of a file; for a folder, use --get NAME/");
    }
    if (action.output === "-") refuse([resume && "--resume"], "with --output -");
  } else if (action.type === "send" || action.type === "offer") {
    if (action.files.includes("-")) refuse([resume && "--resume"], "with the standard input");
  } else {
    // A session can put and get.
    refuse([...all, action.type !== "session" && strict && "--strict"], "without a FILE or --get");
  }
}

function actionOf(files: string[], values: ClientValues): Action {
  const { as, get, output } = values;
  if (values.list) return { type: "list", names: files.map(serverName) };
  if (values.status) return { type: "status" };
  if (get !== undefined) return getAction([get, ...files].map(serverName), output);
  const { "accept-from": acceptFrom, "no-direct": noDirect } = values;
  const isDirect = !noDirect;
  if (values.accept) return acceptAction({ ...values, isDirect });
  if (values.session || values.mode.asks) return { type: "session", acceptFrom, isDirect };
  const isOneWay = values.mode.send !== undefined;
  const terms = { seconds: Math.ceil(values.expires / 1000), isDirect };
  if (files.length === 0 && values["files-from"] === undefined) {
    const isMessage = !isOneWay && as === undefined;
    if (Deno.stdin.isTerminal()) {
      if (values.offer) throw nothingToOffer();
      if (isMessage) return { type: "session", acceptFrom, isDirect };
      throw new InletError("usage", "Cannot send: give a FILE, or pipe data to the standard input");
    }
    if (isMessage && values.offer) return { type: "offer", files, as, isMessage, ...terms };
    if (isMessage) return { type: "say" };
    files = ["-"];
  }
  if (!isOneWay && as === undefined && files.includes("-")) {
    throw new InletError("usage", "Cannot store the standard input without a name: give --as NAME");
  }
  if (as?.endsWith("/") && files.includes("-")) {
    const how = `it names a folder; give --as ${printable(as)}NAME`;
    throw new InletError("usage", `Cannot store the standard input as ${quoted(as)}: ${how}`);
  }
  const given = { files, as: as === undefined ? as : givenName(as) };
  if (values.offer) return { type: "offer", ...given, isMessage: false, ...terms };
  return { type: "send", ...given };
}

/** The value of `--as`: a path from the server's directory, as for `--get`. */
function givenName(as: string): string {
  const { name, isFolder } = partsOf(as);
  // What is no name is refused by the server, in its own words.
  if (!as.endsWith("/")) return isFolder ? as : name;
  return name === "" ? "" : `${name}/`;
}

function getAction(names: ServerName[], output: string | undefined): Action {
  if (output === undefined || !STDOUT.test(output)) return { type: "get", names, output };
  if (names.some(({ isFolder }) => isFolder)) throw contradiction("--output - with a folder");
  if (names.length > 1) throw contradiction("--output - with several files");
  return { type: "get", names, output: "-" };
}

/**
 * Reads a path from the server's directory: `./a.txt` is `a.txt`, `photos/` a folder, and `/` or `.`
 * everything.
 *
 * @throws {InletError} `usage` if no file of the server can have the name
 */
export function serverName(typed: string): ServerName {
  const { name, isFolder } = partsOf(typed);
  if (name === "" && isFolder) return { name: EVERYTHING, isFolder };
  checkName(name);
  return { name, isFolder };
}

/** Without the parts of a path that stand for nothing. */
function partsOf(typed: string): ServerName {
  const name = typed.split("/").filter((part) => part !== "" && part !== ".").join("/");
  return { name, isFolder: typed !== "" && /(^|\/)\.?$/.test(typed) };
}

/** Reports an invalid name as a usage error, before the server is asked. */
function checkName(name: string): void {
  try {
    safeName(name);
  } catch (error) {
    throw new InletError("usage", explain(error).message, { cause: error });
  }
}

/** The names of the standard output. Deno opens the paths among them with every permission only. */
const STDOUT = /^(-|\/dev\/stdout|\/dev\/fd\/1|\/proc\/self\/fd\/1)$/;

/** The permissions that a plan needs. */
export function needsOf({ address, action, tokenFile, filesFrom }: Plan): Need[] {
  const needs = needsOfAddress(address);
  if (tokenFile !== undefined) needs.push({ name: "read", path: tokenFile });
  if (filesFrom && filesFrom.path !== "-" && !isStdin(filesFrom.path)) {
    needs.push({ name: "read", path: filesFrom.path });
  }
  switch (action.type) {
    case "offer":
    case "send": {
      const named = [...action.files, ...(action.listed?.reads ?? [])];
      const files = named.filter((file) => file !== "-" && !isStdin(file));
      return [...needs, ...files.map((path) => ({ name: "read" as const, path }))];
    }
    case "get": {
      const { names, output = "." } = action;
      if (output === "-") return needs;
      const isFile = names.length === 1 && !names[0]!.isFolder && action.output !== undefined;
      const path = isFile ? dirname(output) : output;
      return [...needs, { name: "read", path }, { name: "write", path }];
    }
    case "accept": {
      const { output: path = "." } = action;
      return [...needs, { name: "read", path }, { name: "write", path }];
    }
    case "session":
      return [...needs, { name: "read", path: "." }, { name: "write", path: "." }];
    default:
      return needs;
  }
}
