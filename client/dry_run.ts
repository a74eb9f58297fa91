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
import { Printer } from "../lib/body/printer.ts";
import { FileSource } from "../lib/body/sources.ts";
import { exitCode, explain, InletError } from "../lib/errors.ts";
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
import { checkPrinted } from "./print_pages.ts";
import { TextReport } from "./report.ts";
import type { DryCounts, DryList, DryWord, Report } from "./report_forms.ts";
import { savePath } from "./save_path.ts";
import { sendFiles, type SendFilesOptions } from "./send.ts";
import { distinct } from "./server_names.ts";

const WORDS = ["new", "changed", "same", "excluded"] as const satisfies readonly DryWord[];

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
  const list = plan.json
    ? (await import("./json_report.ts")).jsonDryList(action, options.signal)
    : textList(progress, plan.quiet);
  const run = new DryRun(dialer, options, list);
  try {
    progress.begin(null);
    if (action.type === "send") await run.send(action);
    else await run.get(action);
  } catch (error) {
    list.report.fail(explain(error));
  }
  const failure = await run.end();
  return failure ? exitCode(failure) : 0;
}

/** Lines for people, on the standard output, and the sums on stderr. */
function textList(progress: Dialer["context"]["progress"], quiet: boolean): DryList {
  const report = new TextReport(progress, { quiet });
  const printer = new Printer();
  return {
    report,
    printer,
    line: (word, size, name) => `${word}\t${size ?? "-"}\t${printable(name)}`,
    end: async (counts, bytes) => {
      await printer.printed;
      try {
        checkPrinted(printer);
      } catch (error) {
        report.fail(explain(error));
      }
      if (!quiet) progress.say(summary(counts, bytes));
      return report.end();
    },
  };
}

/** Such as `dry run: 2 new, 1 changed, 10 same; 12 KiB would be transferred`. */
function summary(counts: DryCounts, bytes: number): string {
  const given = WORDS.filter((word) => counts[word])
    .map((word) => `${formatCount(counts[word]!)} ${word}`);
  const what = given.length > 0 ? given.join(", ") : "nothing";
  return `dry run: ${what}; ${formatBytes(bytes)} would be transferred`;
}

class DryRun {
  readonly #dialer: Dialer;
  readonly #options: SendFilesOptions;
  readonly #list: DryList;
  readonly #report: Report;
  readonly #counts: Partial<Record<DryWord, number>> = {};
  #bytes = 0;

  constructor(dialer: Dialer, options: SendFilesOptions, list: DryList) {
    this.#dialer = dialer;
    this.#options = options;
    this.#list = list;
    this.#report = list.report;
  }

  get #skipsSame(): boolean {
    return (this.#options.skipSame ?? false) || (this.#dialer.context.resume ?? false);
  }

  get #byContent(): boolean {
    return this.#options.checksum ?? false;
  }

  async send({ files, as, listed }: Extract<Transfer, { type: "send" }>): Promise<void> {
    const onResult: SendFilesOptions["onResult"] = ({ label, error }) =>
      error && this.#report.fail(error, { path: label });
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
          if (answer instanceof InletError) this.#report.fail(answer, { path: item.label });
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
      onResult: (file, result) => {
        if ("error" in result) this.#report.fail(result.error, { file });
      },
    });
    listed?.reportMissing((file, error) => this.#report.fail(error, { file }));
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

  #add(word: DryWord, size: number | null, name: string): void {
    this.#counts[word] = (this.#counts[word] ?? 0) + 1;
    const isSent = word === "new" || word === "changed" || (word === "same" && !this.#skipsSame);
    if (isSent) this.#bytes += size ?? 0;
    // On a terminal the list begins where the progress line is.
    if (Deno.stdout.isTerminal()) this.#dialer.context.progress.end();
    this.#list.printer.add(`${this.#list.line(word, size, name)}\n`);
  }

  /** Tells the sums. Returns the failure with the highest exit code. */
  async end(): Promise<InletError | undefined> {
    return await this.#list.end(this.#counts, this.#bytes);
  }
}
