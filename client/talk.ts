/**
 * What the client does in mode talk: one request, or a session that a user or a script leads.
 *
 * Loaded on demand: few commands use this mode, and `node:readline` takes longer to load than a small
 * file takes to send.
 *
 * @module
 */

import { bold, dim, green } from "@std/fmt/colors";
import { errorLine } from "../lib/body/stderr.ts";
import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import { concat } from "@std/bytes/concat";
import { MAX_CLIENT_NAME_BYTES } from "../protocol.ts";
import type { TerminalOutput } from "../lib/body/terminal_output.ts";
import { exitCode, explain, InletError } from "../lib/errors.ts";
import type { WireContext } from "../lib/cli/client_context.ts";
import type { Connection } from "../lib/net/connection.ts";
import { formatBytes, printable, quoted } from "../lib/text.ts";
import { greetTalk } from "../modes/talk.ts";
import type { TalkClient } from "../modes/talk/client.ts";
import type { Received } from "../modes/talk/receive_file.ts";
import { DEFAULT_NAME, type Dialer } from "./dialer.ts";
import { LocalStore } from "./local_store.ts";
import { OutputTarget } from "./output.ts";
import type { PathOutputOptions } from "./path_output.ts";
import type { Plan } from "./plan.ts";
import { nameIn, writtenName } from "./session_words.ts";
import { type Lines, ScriptLines, TerminalLines } from "./prompt.ts";
import { savedAt, TextReport } from "./report.ts";
import { checkFolder, publishedAt, savePath } from "./save_path.ts";
import { distinct } from "./server_names.ts";

const HELP = "Type status, list, get NAME, help or exit; anything else is sent as it is";

/** Completions of an empty line. */
const COMMANDS = ["status", "list", "get ", "help", "exit"] as const;

/** Most names of the server that are offered as completions. */
const MOST_COMPLETIONS = 10_000;

const LF = 0x0a;

/** Options of {@linkcode talk}. */
export interface TalkOptions {
  /** Aborted to end at once. */
  stopping: AbortController;
  /** The terminal that the server's bytes go to, if they do. */
  screen: TerminalOutput | undefined;
}

/**
 * Does what the command line asks for, in mode talk. Returns the exit code.
 *
 * @throws {InletError} when the server or the connection ends the session, or a request fails
 */
export async function talk(
  dialer: Dialer,
  { action, raw, options: { name = DEFAULT_NAME } }: Plan,
  { stopping, screen }: TalkOptions,
): Promise<number> {
  checkName(name);
  const isSession = action.type === "session";
  let code = 0;
  const interactive = isSession && Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
  if (isSession) {
    const session = new TalkSession(dialer, { name, interactive, stopping });
    using _ = session.lines;
    await session.run();
  } else {
    code = await request(dialer, name, action, { raw, signal: stopping.signal });
  }
  await screen?.end();
  return code;
}

/** Refuses a name that would be several messages, or that servers of ours refuse. */
function checkName(name: string): void {
  const { length } = new TextEncoder().encode(name);
  if (/^\P{Cc}+$/u.test(name) && length <= MAX_CLIENT_NAME_BYTES) return;
  const limit = `give 1 to ${MAX_CLIENT_NAME_BYTES} bytes without control characters`;
  throw new InletError("usage", `Cannot use ${quoted(name)} as the --name: ${limit}`);
}

/** Connects and begins a session, under the name if the server wants one. */
async function join(
  dialer: Dialer,
  name: string,
): Promise<{ connection: Connection; client: TalkClient }> {
  return await dialer.join((connection) => greetTalk(connection, name, dialer.context));
}

/** Makes one request in a session of its own, or gets several files. Returns the exit code. */
async function request(
  dialer: Dialer,
  name: string,
  action: Plan["action"],
  options: PathOutputOptions,
): Promise<number> {
  const { connection, client } = await join(dialer, name);
  using _ = connection;
  let code = 0;
  switch (action.type) {
    case "get":
      code = await getAll(dialer, client, action, options);
      break;
    case "list":
    case "status":
      await print(dialer, await client.ask(action.type));
  }
  await client.exit();
  return code;
}

/** Gets each of the names. One that fails does not stop the others. Returns the exit code. */
async function getAll(
  dialer: Dialer,
  client: TalkClient,
  { names, output }: Extract<Plan["action"], { type: "get" }>,
  options: PathOutputOptions,
): Promise<number> {
  const { context } = dialer;
  const report = new TextReport(context.progress);
  if (output !== undefined && names.length > 1) checkFolder(output);
  for (const { name } of distinct(names, (text) => context.onNotice(text))) {
    try {
      // Some servers take a name for that of a file only behind a list.
      if (context.wire.bareNames) await client.ask("list");
      context.onNotice(await get(dialer, client, name, output, options));
    } catch (error) {
      if (client.ended || options.signal?.aborted || names.length === 1) throw error;
      report.fail(explain(error));
    }
  }
  const failure = report.end();
  return failure ? exitCode(failure) : 0;
}

/**
 * Downloads a file, to the standard output, a pipe or a device, or into a folder.
 *
 * @returns The line that tells of it.
 */
async function get(
  { context }: Dialer,
  client: TalkClient,
  name: string,
  output: string | undefined,
  options: PathOutputOptions,
): Promise<string> {
  const { progress } = context;
  progress.begin(null);
  progress.name(name);
  try {
    const line = await getTo(output, context, client, name, options);
    progress.end({ isComplete: true });
    return line;
  } finally {
    progress.end();
  }
}

async function getTo(
  output: string | undefined,
  context: WireContext,
  client: TalkClient,
  name: string,
  options: PathOutputOptions,
): Promise<string> {
  if (output === "-") {
    return told(name, await client.get(name, new OutputTarget(name, context.output)));
  }
  const { path, isStream } = savePath(name, output);
  if (isStream) {
    const { PathOutput } = await import("./path_output.ts");
    const onNotice = (text: string): void => context.onNotice(text);
    const opening = PathOutput.open(name, path, { ...options, onNotice });
    using stream = await client.pause(opening);
    const received = await client.get(name, stream);
    await stream.finish();
    return told(name, received, savedAt(path, true));
  }
  await using store = await LocalStore.open(dirname(path));
  await using file = await client.pause(store.receive(basename(path), false));
  const received = await client.get(name, file);
  return told(name, received, savedAt(publishedAt(path, await file.publish({}))));
}

/** Such as `a.txt: saved as "./a.txt", 6 B, ended by the marker "EOF"`. */
function told(name: string, { size, endedBy, proved }: Received, where?: string): string {
  const doubt = proved ? "" : ": it may be incomplete";
  return `${name}: ${where === undefined ? "" : `${where}, `}${
    formatBytes(size)
  }, ended by ${endedBy}${doubt}`;
}

/** Prints an answer, and ends its last line. */
async function print({ context }: Dialer, answer: Uint8Array): Promise<void> {
  if (answer.every((byte) => byte === LF || byte === 0x0d)) return;
  await context.output(answer.at(-1) === LF ? answer : concat([answer, Uint8Array.of(LF)]));
}

/** Options of a {@linkcode TalkSession}. */
interface SessionOptions {
  name: string;
  /** Whether a user types the lines. A script stops at its first error instead. */
  interactive: boolean;
  stopping: AbortController;
}

class TalkSession {
  readonly lines: Lines;
  readonly #dialer: Dialer;
  readonly #options: SessionOptions;
  /** Lines of the last list, for completion. */
  #names: string[] = [];
  #isOpen = false;

  constructor(dialer: Dialer, options: SessionOptions) {
    this.#dialer = dialer;
    this.#options = options;
    const { stopping } = options;
    this.lines = options.interactive
      ? new TerminalLines({
        complete: (typed) => this.#complete(typed),
        onInterrupt: () => stopping.abort(new InletError("interrupted", "Interrupted")),
        renewsLines: () => this.#isOpen,
        signal: stopping.signal,
      })
      : new ScriptLines();
  }

  async run(): Promise<void> {
    const { name, interactive } = this.#options;
    const { connection, client } = await join(this.#dialer, name);
    using _ = connection;
    this.#isOpen = true;
    this.#say(client.welcome);
    if (interactive) this.lines.say(dim(HELP));
    for (;;) {
      const line = await this.#next(client);
      if (line === null || line.trim().toLowerCase() === "exit") break;
      if (line.trim() === "") continue;
      await this.#obey(client, line).catch((error) => this.#failed(client, error));
    }
    this.#say(await client.exit());
  }

  /** A script is read without a look at the server: its last line may have ended the session. */
  async #next(client: TalkClient): Promise<string | null> {
    if (!this.#options.interactive) return await client.pause(this.lines.next(""));
    return await client.rest(this.lines.next(bold(green(`${printable(client.name)}>`)) + " "));
  }

  async #obey(client: TalkClient, line: string): Promise<void> {
    // What the server knows as `x` may be typed as `./x`.
    const [, name] = /^\s*get\s+(?:\.\/+)*(\S|\S.*\S)\s*$/i.exec(line) ?? [];
    if (name !== undefined) {
      const { signal } = this.#options.stopping;
      const told = await get(this.#dialer, client, nameIn(name), undefined, { signal });
      return this.lines.say(printable(told));
    }
    // Other programs know these words in lower case only.
    const word = line.trim().toLowerCase();
    if (word === "help") return this.lines.say(HELP);
    const isRequest = word === "list" || word === "status";
    const answer = await client.ask(isRequest ? word : line);
    if (word === "list") this.#learn(answer);
    await print(this.#dialer, answer);
  }

  /** Says what is no answer, if there is any of it. */
  #say(words: string): void {
    for (const line of words.split(/\r?\n/)) {
      if (line.trim() !== "") this.#dialer.context.onNotice(line);
    }
  }

  #learn(answer: Uint8Array): void {
    const names = new TextDecoder().decode(answer).split(/\r?\n/).slice(0, MOST_COMPLETIONS);
    this.#names = names.filter((name) => name !== "" && name === printable(name));
  }

  #complete(typed: string): string[] {
    const lines = /^get /i.test(typed)
      ? this.#names.map((name) => `get ${writtenName(name, typed.slice(4))}`)
      : COMMANDS;
    return lines.filter((line) => line.startsWith(typed));
  }

  /** Reports a failed request. An interactive session continues while the connection lasts. */
  #failed(client: TalkClient, error: unknown): void {
    const known = explain(error);
    if (!this.#options.interactive || client.ended) throw known;
    this.lines.say(errorLine(known.message));
  }
}
