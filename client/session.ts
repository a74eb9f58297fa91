/**
 * A session: one conversation with a server, driven by a user at a terminal or by a script.
 *
 * Loaded on demand, because `node:readline` takes longer to load than a small file takes to send.
 *
 * @module
 */

import { bold, dim, green } from "@std/fmt/colors";
import { errorLine } from "../lib/body/stderr.ts";
import { FilesClient } from "../modes/files/client.ts";
import { explain, InletError } from "../lib/errors.ts";
import { DEFAULT_NAME, type Dialer } from "./dialer.ts";
import { type Lines, ScriptLines, TerminalLines } from "./prompt.ts";
import { formatEntry, listLines, statusLines, TextReport } from "./report.ts";
import type { Report } from "./report_forms.ts";
import type { Exchange } from "./exchange.ts";
import { Offers } from "./session_offers.ts";
import { People } from "./people.ts";
import { pathItems } from "./path_items.ts";
import { getFile } from "./get_file.ts";
import { COMMANDS, HELP, meaningOf, nameIn, writtenName } from "./session_words.ts";
import { printPages } from "./print_pages.ts";
import { publishedAt, savePath } from "./save_path.ts";
import { resultOf } from "./send.ts";
import { type ServerName, serverName } from "./plan.ts";
import { labelOf } from "./server_names.ts";
import { EmptyFolder, SymbolicLink } from "../lib/body/sources.ts";
import { printable, quoted } from "../lib/text.ts";

/** What a session needs. */
interface SessionOptions {
  /** Connects to the server. */
  dialer: Pick<Dialer, "context" | "join">;
  /** Name of this client. If it is missing, an interactive session asks for one. */
  name: string | undefined;
  /** Name where none is given. */
  defaultName: string;
  /** Whether a user types the lines. A script stops at its first error instead. */
  interactive: boolean;
  /** Aborted to end the session at once. */
  stopping: AbortController;
  /** Whose offers a script takes. */
  acceptFrom: string | undefined;
  /** What moves files between people. */
  exchange(): Promise<Exchange>;
}

/** Most names of the server that are offered as completions. */
const MOST_COMPLETIONS = 100_000;

/**
 * Runs a session to its end.
 *
 * @returns The exit code.
 * @throws {InletError} when the server or the connection ends it, or a command of a script fails; `usage`
 * for what only a script has
 */
export async function runSession(
  dialer: Dialer,
  { stopping, acceptFrom, exchange }: Pick<
    SessionOptions,
    "stopping" | "acceptFrom" | "exchange"
  >,
): Promise<number> {
  const interactive = Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
  if (interactive && acceptFrom !== undefined) {
    throw new InletError("usage", "Cannot use --accept-from in a terminal: type accept there");
  }
  const session = new Session({
    name: await dialer.name(),
    defaultName: DEFAULT_NAME,
    interactive,
    ...{ dialer, stopping, acceptFrom, exchange },
  });
  using _ = session.lines;
  await session.run();
  return 0;
}

class Session {
  readonly lines: Lines;
  readonly #people: People;
  readonly #offers: Offers;
  readonly #options: SessionOptions;
  /** Stops the current transfer. */
  #transfer: AbortController | undefined;
  /** Names of the last list, for completion. */
  #names: string[] = [];
  #isOpen = false;
  /** Whether the user has been told that a line which is no command is sent. */
  #isTextKnown = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    const say = (line: string): void => this.lines.say(line);
    this.#people = new People(say, (line) => this.#offers.take(line));
    this.#offers = new Offers({
      ...{ people: this.#people, exchange: options.exchange, say },
      isTyping: () => this.lines.isTyping,
      ...!options.interactive && { script: { acceptFrom: options.acceptFrom } },
    });
    this.lines = options.interactive
      ? new TerminalLines({
        complete: (typed) => this.#complete(typed),
        onInterrupt: () => this.#stop(),
        renewsLines: () => this.#isOpen && (this.lines.isTyping || !this.#offers.isSending),
        signal: options.stopping.signal,
      })
      : new ScriptLines();
  }

  async run(): Promise<void> {
    const asked = await this.#askName();
    if (asked === null) return;
    const { context } = this.#options.dialer;
    const onNote = (text: string): void => this.lines.say(dim(printable(text)));
    const onUnasked = (line: string): boolean => this.#people.take(line);
    const { connection, client } = await this.#options.dialer.join((connection) =>
      FilesClient.greet(connection, asked, { ...context, onNote, onWarning: onNote, onUnasked })
    );
    using _ = connection;
    this.#isOpen = true;
    const name = await client.whoami();
    if (this.#options.interactive) await this.#welcome(client, asked, name);
    if (this.#options.acceptFrom !== undefined) await this.#people.attend(client);
    for (;;) {
      const next = this.lines.next(bold(green(`${printable(name)}>`)) + " ");
      const line = await this.#offers.until(client, next);
      if (line === null) break;
      const goesOn = await this.#obey(client, line).catch((error) => this.#failed(client, error));
      this.#offers.entered();
      if (goesOn === "exit") break;
    }
    this.#offers.end();
    await client.exit();
  }

  async #askName(): Promise<string | null> {
    const { name, defaultName, interactive, stopping } = this.#options;
    if (name !== undefined || !interactive) return name ?? defaultName;
    const typed = await this.lines.next(`Your name [${defaultName}]: `);
    stopping.signal.throwIfAborted();
    return typed === null ? null : typed.trim() || defaultName;
  }

  async #welcome(client: FilesClient, asked: string, name: string): Promise<void> {
    const { number, limit } = client;
    this.lines.say(
      `Welcome, ${printable(name)}: you are client ${number}; ` +
        `up to ${limit} clients can be connected at once`,
    );
    if (name !== asked) this.lines.say(`Another client is already called ${printable(asked)}`);
    this.lines.say("Type help for the commands; Tab completes");
    // A drop-only server refuses the list, but accepts files.
    await this.#learnNames(client).catch(() => {});
    await this.#people.attend(client);
  }

  async #obey(client: FilesClient, line: string): Promise<"exit" | void> {
    const { verb, rest, meant } = meaningOf(line, !this.#options.interactive);
    switch (verb) {
      case "get":
      case "put":
        return await this.#move(client, verb, nameIn(rest));
      case "list":
        return await printPages(client, rest ? listed(client, nameIn(rest)) : this.#list(client));
      case "help":
      case "status":
        return await this.#tell(client, verb);
      case "who":
        return await printPages(client, this.#people.who(client));
      case "tell":
        return await this.#people.tell(client, rest);
      case "send":
        return await this.#offers.send(client, rest, checkReadable);
      case "accept":
        return await this.#stoppable((signal) => this.#offers.accept(client, rest, signal));
      case "decline":
        return await this.#offers.decline(client, rest);
      case "say":
        return await this.#say(client, rest);
      case "text":
        if (this.#options.interactive && (meant || !this.#isTextKnown)) {
          this.#isTextKnown = true;
          const hint = meant ? `did you mean ${meant}?` : "type help for the commands";
          this.lines.say(dim(`No command, so it is sent as a text; ${hint}`));
        }
        return await this.#say(client, rest);
      case "exit":
        return verb;
    }
  }

  /** Does what Ctrl-C stops. */
  async #stoppable(action: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const transfer = this.#transfer = new AbortController();
    try {
      await action(transfer.signal);
    } finally {
      this.#options.dialer.context.progress.end();
      this.#transfer = undefined;
    }
  }

  async #say(client: FilesClient, text: string): Promise<void> {
    if (text === "") throw new InletError("usage", "Cannot say nothing; try: say hello");
    await printPages(client, [[printable(await this.#people.chat(client, text))]]);
  }

  async #tell(client: FilesClient, verb: "help" | "status"): Promise<void> {
    await printPages(client, verb === "help" ? [[HELP]] : statusLines(client));
  }

  async #learnNames(client: FilesClient): Promise<void> {
    for await (const _ of this.#list(client));
  }

  /** The lines of a list. Its first names become completions. */
  async *#list(client: FilesClient): AsyncGenerator<string[]> {
    const names = new Set<string>();
    for await (const page of client.list()) {
      for (const { name } of page) {
        if (names.size >= MOST_COMPLETIONS) break;
        for (const folder of foldersOf(name)) names.add(folder);
        names.add(name);
      }
      yield page.map(formatEntry);
    }
    this.#names = [...names].filter((name) => name === printable(name));
  }

  async #move(client: FilesClient, verb: "get" | "put", what: string): Promise<void> {
    if (what === "") {
      throw new InletError("usage", `Cannot ${verb} without a name; try: ${verb} report.pdf`);
    }
    const { progress } = this.#options.dialer.context;
    const transfer = this.#transfer = new AbortController();
    const untried = verb === "put" ? "not sent" : "not received";
    const report = new TextReport(progress, { untried });
    try {
      if (verb === "put") await this.#put(client, what, report, transfer.signal);
      else await this.#get(client, serverName(what), report, transfer.signal);
      const failure = report.end();
      if (failure) throw new InletError(failure.code, `Did not ${verb} all of ${quoted(what)}`);
    } finally {
      progress.end();
      this.#transfer = undefined;
    }
  }

  async #get(
    client: FilesClient,
    asked: ServerName,
    report: Report,
    signal: AbortSignal,
  ): Promise<void> {
    if (asked.isFolder) return await this.#getFolder(client, asked, report, signal);
    const { name } = asked;
    const { path, isStream } = savePath(name, undefined);
    if (isStream) return await this.#getToStream(client, name, path, report, signal);
    this.#options.dialer.context.progress.begin(null);
    const stored = await getFile(client, name, path, { signal });
    report.add({ label: name, stored, path: publishedAt(path, stored.name) });
  }

  async #getToStream(
    client: FilesClient,
    name: string,
    path: string,
    report: Report,
    signal: AbortSignal,
  ): Promise<void> {
    const { getToStream, PathOutput } = await import("./path_output.ts");
    const onNotice = (text: string): void => this.lines.say(printable(text));
    const { progress } = this.#options.dialer.context;
    progress.doing("waiting for the other end of the pipe");
    using stream = await client.rest(PathOutput.open(name, path, { signal, onNotice }));
    progress.doing(undefined);
    const stored = await getToStream(client, name, stream, signal);
    report.add({ label: name, stored, path, isStream: true });
  }

  async #getFolder(
    client: FilesClient,
    asked: ServerName,
    report: Report,
    signal: AbortSignal,
  ): Promise<void> {
    const folder = labelOf(asked);
    const { getFolder } = await import("./get_folder.ts");
    let left: readonly string[] = [];
    await getFolder(client, asked.name, {
      directory: ".",
      skipSame: false,
      signal,
      progress: this.#options.dialer.context.progress,
      done: new Set(),
      onBegin: (path) => report.begin(folder, path),
      warn: (text) => this.lines.say(printable(text)),
      onResult: (label, result, local) => report.add({ label, name: local, folder, ...result }),
      onLeft: (names) => left = names,
    }).catch((error) => reportStop(client, signal, error, report, { folder, left }));
  }

  async #put(
    client: FilesClient,
    path: string,
    report: Report,
    signal: AbortSignal,
  ): Promise<void> {
    checkReadable(path);
    const { progress } = this.#options.dialer.context;
    const items = [
      ...await pathItems(path, {
        onSkip: (text) => progress.say(printable(text)),
        onFailure: (label, error) => report.add({ label, folder: path, error }),
        signal,
      }),
    ].flat();
    const [first] = items;
    if (
      first && first.folder === undefined &&
      !(first instanceof EmptyFolder || first instanceof SymbolicLink)
    ) {
      progress.begin(first.size);
      progress.name(first.label);
      const stored = await client.put(first, signal);
      if (stored.name === printable(stored.name)) this.#names.push(stored.name);
      return report.add({ label: first.label, stored });
    }
    const total = items.reduce((sum, { size }) => sum + (size ?? 0), 0);
    progress.begin(total, items.length);
    const left = new Set(items.map(({ label }) => label));
    await client.send(items, (item, result) => {
      left.delete(item.label);
      if (!("error" in result)) progress.addFiles(1);
      report.add({ ...resultOf(item, result), folder: path });
    }, { signal, total: () => items.length > 1 ? total : undefined })
      .catch((error) => reportStop(client, signal, error, report, { folder: path, left }));
  }

  /** Reports a failed command. An interactive session continues while the connection lasts. */
  #failed(client: FilesClient, error: unknown): void {
    const known = explain(error);
    if (!this.#options.interactive || client.ended) throw known;
    this.lines.say(errorLine(known.message));
  }

  /** Handles Ctrl-C: stops the transfer, or, without one or at the second press, the session. */
  #stop(): void {
    if (!this.#transfer && this.#offers.isSending) return this.#offers.stop();
    const stops = this.#transfer && !this.#transfer.signal.aborted;
    const stopping = stops ? this.#transfer! : this.#options.stopping;
    stopping.abort(new InletError("interrupted", stops ? "Stopped" : "Interrupted"));
  }

  #complete(typed: string): string[] {
    const [, verb, begun = ""] = /^((?:get|list|tell|send) )(.*)$/i.exec(typed) ?? [];
    const isTell = /^(tell|send)/i.test(typed);
    const names = isTell ? this.#people.names : this.#names;
    const end = isTell ? " " : "";
    const lines = verb === undefined
      ? COMMANDS
      : names.map((name) => verb + writtenName(name, begun) + end);
    return lines.filter((line) => line.startsWith(typed));
  }
}

/** Reports what Ctrl-C left of a folder; its summary says what was done before. */
function reportStop(
  client: FilesClient,
  signal: AbortSignal,
  error: unknown,
  report: Report,
  { folder, left }: { folder: string; left: Iterable<string> },
): void {
  if (!signal.aborted || client.ended) throw error;
  for (const label of left) report.add({ label, folder, error: explain(error), untried: true });
}

/** The lines of a list of one folder. */
function listed(client: FilesClient, typed: string): AsyncGenerator<string[]> {
  return listLines(client, serverName(typed).name);
}

/** The folders of a name, as `get` accepts them: `a/`, `a/b/`. */
function foldersOf(name: string): string[] {
  return [...name.matchAll(/\//g)].map(({ index }) => name.slice(0, index + 1));
}

/** Refuses a path that would make Deno prompt for permission, which would garble the terminal. */
function checkReadable(path: string): void {
  if (Deno.permissions.querySync({ name: "read", path }).state === "granted") return;
  throw new InletError(
    "usage",
    `Cannot send ${quoted(path)}: Deno may not read it without --allow-read`,
  );
}
