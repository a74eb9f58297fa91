/**
 * Tells results as JSON: what `--json` prints of a transfer, a dry run and a list. docs/json.md
 * describes the objects.
 *
 * @module
 */

import { jsonOutput } from "../lib/cli/json_output.ts";
import { signalled } from "../lib/cli/signals.ts";
import { STDIN_LABEL } from "../lib/body/path_source.ts";
import { errorLine, stderr } from "../lib/body/stderr.ts";
import { exitCode, explain, type InletError } from "../lib/errors.ts";
import { EVERYTHING } from "../lib/store/names.ts";
import type { FilesClient } from "../modes/files/client.ts";
import { clientFactsOf, formatCrc, formatTime, type Stored, WITH_FACTS } from "../protocol.ts";
import { checkPrinted } from "./print_pages.ts";
import type { Transfer } from "./plan.ts";
import { worse } from "./report.ts";
import type { Answers, DryList, Failing, Outcome, Report } from "./report_forms.ts";
import { pathIn } from "./save_path.ts";

/** What an object holds. */
type Facts = Readonly<Record<string, unknown>>;

/** Tells failures, and nothing else: for what has a form of its own. */
class JsonErrors implements Report {
  readonly #begun = performance.now();
  readonly #stop: AbortSignal | undefined;
  #worstError: InletError | undefined;

  /** @param stop Ends the wait for a reader of stdout that does not read. */
  constructor(stop?: AbortSignal) {
    this.#stop = stop;
  }

  add(outcome: Outcome): void {
    if (outcome.error) this.tell(outcome.error, { path: outcome.label });
  }

  begin(): void {}

  endTransfer(): void {}

  leftOut(_folder: string, _count: number): void {}

  fail(error: InletError, { file, path }: Failing = {}): void {
    this.tell(error, { ...file !== undefined && { file }, ...path !== undefined && { path } });
  }

  /** Tells a failure, and what it is about. */
  protected tell(error: InletError, about: Facts): void {
    this.#worstError = worse(this.#worstError, error);
    jsonOutput.addError(error, about);
  }

  /**
   * Waits until all is printed.
   *
   * @param summary Printed behind everything else, unless the command was wrong.
   */
  async end(summary?: Facts): Promise<InletError | undefined> {
    const isWrong = this.#worstError?.code === "usage" && jsonOutput.objects === 1;
    if (summary && !isWrong) {
      const ms = Math.round(performance.now() - this.#begun);
      const code = this.#worstError ? signalled(exitCode(this.#worstError)) : 0;
      jsonOutput.add({ event: "summary", ...summary, ms, exitCode: code });
    }
    await jsonOutput.printed(this.#stop);
    try {
      checkPrinted(jsonOutput.printer);
    } catch (error) {
      // There is no other place left.
      const failure = explain(error);
      stderr.add(errorLine(failure.message));
      return worse(this.#worstError, failure);
    }
    return this.#worstError;
  }
}

/** Tells each result of a transfer, and the sums at the end. */
export class JsonReport extends JsonErrors {
  readonly #action: Transfer;
  readonly #mode: string;
  readonly #sums = {
    ...{ files: 0, folders: 0, links: 0, same: 0 },
    ...{ failed: 0, untried: 0, excluded: 0, bytes: 0 },
  };

  /** @param mode The name of the mode. */
  constructor(action: Transfer, mode: string, stop?: AbortSignal) {
    super(stop);
    this.#action = action;
    this.#mode = mode;
  }

  override add(outcome: Outcome): void {
    const { label, folder, stored, same, error, untried, isLink, way } = outcome;
    const within = folder !== undefined && { folder };
    if (error) {
      this.#sums[untried ? "untried" : "failed"]++;
      return this.tell(error, { ...this.#named(label), ...within, ...untried && { untried } });
    }
    const { size: bytes, crc } = stored;
    const event = isLink ? "link" : bytes === undefined ? "folder" : this.#moved;
    const kind = event === "link" ? "links" : event === "folder" ? "folders" : "files";
    this.#sums[same ? "same" : kind]++;
    if (!same) this.#sums.bytes += bytes ?? 0;
    jsonOutput.add({
      event,
      ...this.#named(label),
      ...this.#isGet ? { path: pathOf(outcome) } : { file: nameOf(stored) },
      ...bytes !== undefined && { bytes },
      ...crc !== undefined && { crc: formatCrc(crc) },
      ...within,
      ...same && { same },
      ...way !== undefined && { way },
    });
  }

  override leftOut(_folder: string, count: number): void {
    this.#sums.excluded += count;
  }

  override fail(error: InletError, how?: Failing): void {
    this.#sums.failed++;
    super.fail(error, how);
  }

  override end(): Promise<InletError | undefined> {
    return super.end(this.#sums);
  }

  get #isGet(): boolean {
    return this.#action.type === "get";
  }

  /** The name of an item: on the server for a download, else the path here, `-` for the standard input. */
  #named(label: string): Facts {
    if (this.#action.type === "get") return { file: label };
    const isStdin = label === STDIN_LABEL && this.#action.files.includes("-");
    return { path: isStdin ? "-" : label };
  }

  get #moved(): string {
    if (this.#isGet) return "got";
    return this.#mode === "message" ? "message" : "stored";
  }
}

/** Where a download is on this machine. */
function pathOf({ path, directory, stored }: Outcome): string | undefined {
  if (path !== undefined || directory === undefined || !stored?.name) return path;
  return pathIn(directory, stored.name);
}

/** The name on the server. Not every mode tells it. */
function nameOf({ name }: Partial<Stored>): string | undefined {
  return name === "" ? undefined : name;
}

/** The list of a dry run. Behind it stands a summary with the numbers of each kind. */
export function jsonDryList({ type }: Transfer, stop?: AbortSignal): DryList {
  const name = type === "get" ? "file" : "path";
  const report = new JsonErrors(stop);
  return {
    report,
    printer: jsonOutput.printer,
    line: (state, bytes, label) =>
      jsonOutput.line({ event: "dry-run", state, [name]: label, bytes }),
    end: (counts, bytes) =>
      report.end({ ...{ new: 0, changed: 0, same: 0, excluded: 0 }, ...counts, bytes }),
  };
}

/** The answers to requests that transfer no files. */
export function jsonAnswers(): Answers {
  return {
    report: new JsonErrors(),
    printer: jsonOutput.printer,
    entries: entryLines,
    clients: clientLines,
    said: ({ size, crc }) => jsonOutput.add({ event: "message", bytes: size, crc: formatCrc(crc) }),
  };
}

/** The lines of a list, folders and links included. @param name Without it, everything. */
async function* entryLines(
  client: Pick<FilesClient, "tree">,
  name = EVERYTHING,
): AsyncGenerator<string[]> {
  for await (const page of client.tree(name)) {
    yield page.map(({ name, size, modified, to }) =>
      jsonOutput.line({
        ...{ event: "entry", file: name, bytes: size, modified: formatTime(modified) },
        ...to !== undefined && { to },
      })
    );
  }
}

/** The lines of `status`. */
async function* clientLines(client: Pick<FilesClient, "status">): AsyncGenerator<string[]> {
  for await (const page of client.status(WITH_FACTS)) {
    yield page.map((line) => jsonOutput.line({ event: "client", ...clientFacts(line) }));
  }
}

/** The facts in a line of `status`; of a server that tells none, the line. */
function clientFacts(line: string): Facts {
  const facts = clientFactsOf(line);
  if (!facts) return { message: line };
  const { id, name, since, until, ...others } = facts;
  return {
    ...{ id, ...name !== "" && { client: name }, ...others },
    since: formatTime(since),
    ...until && { until: formatTime(until) },
  };
}
