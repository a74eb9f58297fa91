/**
 * A dry run: lists what would be transferred, and why, and changes nothing on either side.
 *
 * The list goes to the standard output, a line for each file, link and empty folder: a word, its size
 * in bytes and its name, with tabs between them. Names have control characters escaped. The words:
 *
 * - `new`: there is nothing of that name.
 * - `changed`: something else has the name; it would be stored under a numbered one.
 * - `same`: it is there already. Only with `--skip-same`, and what implies it, is it left alone.
 * - `excluded`: `--exclude` leaves it out, with all that is in it.
 *
 * A size that is not known, and that of a folder, is `-`. The sums go to stderr.
 *
 * @module
 */

import { dirname } from "@std/path/dirname";
import { basename } from "@std/path/basename";
import { FileSource } from "../lib/body/sources.ts";
import { exitCode, explain, InletError } from "../lib/errors.ts";
import { outputError } from "../lib/local_errors.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import { formatBytes, formatCount, printable } from "../lib/text.ts";
import type { FilesClient } from "../modes/files/client.ts";
import { isFolderEntry } from "../protocol.ts";
import { entryOf, findHere } from "./already_here.ts";
import { compareItems } from "./compared_items.ts";
import type { Dialer } from "./dialer.ts";
import type { Exclude } from "./exclude.ts";
import type { ListedNames } from "./listed.ts";
import { wantedOf } from "./get_folder.ts";
import type { Items } from "./items.ts";
import type { Plan, ServerName, Transfer } from "./plan.ts";
import { Printer } from "./print_pages.ts";
import { Report } from "./report.ts";
import { savePath } from "./save_path.ts";
import { sendFiles, type SendFilesOptions } from "./send.ts";
import { distinct } from "./server_names.ts";

/** Characters that are collected before they are printed. */
const COLLECTED = 64 * 1024;

const WORDS = ["new", "changed", "same", "excluded"] as const;
type Word = typeof WORDS[number];

/**
 * Lists what a transfer would do.
 *
 * @returns The exit code.
 */
export async function runDry(
  dialer: Dialer,
  action: Transfer,
  plan: Plan,
  options: SendFilesOptions,
): Promise<number> {
  const { progress } = dialer.context;
  const report = new Report(progress, { quiet: plan.quiet });
  const run = new DryRun(dialer, options, report);
  try {
    progress.begin(null);
    if (action.type === "send") await run.send(action);
    else await run.get(action);
  } catch (error) {
    report.fail(explain(error));
  }
  await run.print().catch((error) => report.fail(explain(error)));
  if (!plan.quiet) progress.say(run.summary());
  const failure = report.end();
  return failure ? exitCode(failure) : 0;
}

class DryRun {
  readonly #dialer: Dialer;
  readonly #options: SendFilesOptions;
  readonly #report: Report;
  readonly #printer = new Printer();
  readonly #counts = new Map<Word, number>();
  #lines = "";
  #bytes = 0;

  constructor(dialer: Dialer, options: SendFilesOptions, report: Report) {
    this.#dialer = dialer;
    this.#options = options;
    this.#report = report;
  }

  get #skipsSame(): boolean {
    return (this.#options.skipSame ?? false) || (this.#dialer.context.resume ?? false);
  }

  get #byContent(): boolean {
    return this.#options.checksum ?? false;
  }

  async send({ files, as, listed }: Extract<Transfer, { type: "send" }>): Promise<void> {
    const onResult: SendFilesOptions["onResult"] = ({ error }) => error && this.#report.fail(error);
    await sendFiles(this.#dialer, files, { ...this.#options, onResult }, {
      as,
      listed,
      onLeftOut: () => {},
      onExcluded: (path) => this.#add("excluded", null, path),
      instead: (items) => this.#compare(items),
    });
  }

  async #compare(items: Items): Promise<void> {
    const taken = function* (): Generator<NonNullable<ReturnType<Items["take"]>>, void> {
      for (let item; (item = items.take());) yield item;
    };
    await this.#once(async (client) => {
      await compareItems(client, taken(), {
        byContent: this.#byContent,
        progress: this.#dialer.context.progress,
        onAnswer: (item, answer) => {
          if (answer instanceof InletError) this.#report.fail(answer);
          else this.#add(answer, item instanceof FileSource ? item.size : null, item.label);
        },
      });
    });
  }

  async get({ names, output, listed }: Extract<Transfer, { type: "get" }>): Promise<void> {
    const { exclude = [], onNotice } = this.#options;
    const warn = (text: string): void => onNotice?.(text);
    const excludes = exclude.length > 0
      ? new (await import("./server_excludes.ts")).ServerExcludes(exclude, warn)
      : undefined;
    const wanted = distinct(names, warn);
    await this.#once(async (client) => {
      for (const asked of excludes ? excludes.keep(wanted) : wanted) {
        await (asked.isFolder
          ? this.#getFolder(client, asked, output ?? ".", { exclude: excludes?.of(asked), listed })
          : this.#getFile(client, asked.name, output));
        excludes?.listed(asked);
      }
    });
  }

  async #getFolder(
    client: FilesClient,
    { name }: ServerName,
    directory: string,
    { exclude, listed }: { exclude: Exclude | undefined; listed: ListedNames | undefined },
  ): Promise<void> {
    const wanted = await wantedOf(name, client, {
      exclude,
      links: this.#options.links,
      warn: this.#options.onNotice,
      listed,
      onExcluded: (entry) => this.#add("excluded", entry.size, entry.name),
      done: new Set(),
      onResult: (_, result) => {
        if ("error" in result) this.#report.fail(result.error);
      },
    });
    listed?.reportMissing((_, error) => this.#report.fail(error));
    await this.#findHere(client, directory, wanted.filter(({ entry }) => !isFolderEntry(entry)));
  }

  async #getFile(client: FilesClient, name: string, output: string | undefined): Promise<void> {
    const { path } = savePath(name, output);
    const entry = await entryOf(client, name);
    if (!entry) throw new InletError("not-found", `Cannot get "${printable(name)}": no such file`);
    await this.#findHere(client, dirname(path), [{ entry, local: basename(path) }]);
  }

  async #findHere(
    client: FilesClient,
    directory: string,
    files: Parameters<typeof findHere>[2],
  ): Promise<void> {
    // It makes nothing: neither the directory nor a folder of its own.
    const store = new DirectoryStore(directory, { downloads: true, readOnly: true });
    await findHere(client, store, files, {
      byContent: this.#byContent,
      onAnswer: ({ entry }, answer) => this.#add(answer, entry.size, entry.name),
    });
  }

  /** What was listed cannot be taken back, so a lost connection ends the run. */
  async #once(action: (client: FilesClient) => Promise<void>): Promise<void> {
    await this.#dialer.withSession(action, () => false);
  }

  #add(word: Word, size: number | null, name: string): void {
    this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1);
    const isSent = word === "new" || word === "changed" || (word === "same" && !this.#skipsSame);
    if (isSent) this.#bytes += size ?? 0;
    this.#lines += `${word}\t${size ?? "-"}\t${printable(name)}\n`;
    if (this.#lines.length >= COLLECTED) this.#flush();
  }

  #flush(): void {
    // On a terminal the list begins where the progress line is.
    if (Deno.stdout.isTerminal()) this.#dialer.context.progress.end();
    this.#printer.add(this.#lines);
    this.#lines = "";
  }

  /** Prints what is left. @throws {InletError} `local-disk` if it could not all be printed */
  async print(): Promise<void> {
    if (this.#lines !== "") this.#flush();
    await this.#printer.printed;
    if (this.#printer.failure) throw outputError(this.#printer.failure);
  }

  /** Such as `dry run: 2 new, 1 changed, 10 same; 12 KiB would be transferred`. */
  summary(): string {
    const counts = WORDS.filter((word) => this.#counts.has(word))
      .map((word) => `${formatCount(this.#counts.get(word)!)} ${word}`);
    const what = counts.length > 0 ? counts.join(", ") : "nothing";
    return `dry run: ${what}; ${formatBytes(this.#bytes)} would be transferred`;
  }
}
