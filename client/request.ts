/**
 * Runs the actions that are one request and transfer no files.
 *
 * A module of its own, because a transfer needs none of it.
 *
 * @module
 */

import { stdinSource } from "../lib/body/path_source.ts";
import { exitCode, explain } from "../lib/errors.ts";
import type { FilesClient } from "../modes/files/client.ts";
import type { Dialer } from "./dialer.ts";
import type { Action, Plan, ServerName, Transfer } from "./plan.ts";
import { printPages } from "./print_pages.ts";
import { listLines, statusLines, TextReport } from "./report.ts";
import type { Answers, Report } from "./report_forms.ts";

/**
 * Runs an action. It is tried again, where retries are allowed, until a byte of the message has been
 * read, or a line of the answer has arrived.
 *
 * @returns The exit code.
 * @throws {InletError} when the server refuses the message or the status, or the connection fails for good
 */
export async function runRequest(
  dialer: Dialer,
  action: Exclude<Action, Transfer | { type: "session" }>,
  { json }: Pick<Plan, "json">,
): Promise<number> {
  const { progress } = dialer.context;
  const message = stdinSource("");
  let isUntouched = true;
  const answers = json
    ? (await import("./json_report.ts")).jsonAnswers()
    : textAnswers(new TextReport(progress));
  const { report } = answers;
  const print = async (client: FilesClient): Promise<void> => {
    const printAll = (pages: AsyncIterable<string[]>): Promise<void> =>
      printPages(client, noting(pages, () => isUntouched = false), answers.printer);
    if (action.type !== "list") return await printAll(answers.clients(client));
    for (const name of namesOf(action.names)) {
      await printAll(answers.entries(client, name)).catch((error) => {
        if (client.ended) throw error;
        report.fail(explain(error), { file: name });
      });
    }
  };
  const say = async (client: FilesClient): Promise<void> => {
    progress.begin(null);
    const stored = await client.say(message);
    answers.said?.(stored);
  };
  await dialer.withSession(
    action.type === "say" ? say : print,
    () => isUntouched && progress.moved === 0,
  );
  const failure = await report.end();
  return failure ? exitCode(failure) : 0;
}

function textAnswers(report: Report): Answers {
  return { report, entries: listLines, clients: statusLines };
}

/** The names to list, each once. */
function namesOf(names: readonly ServerName[]): Iterable<string | undefined> {
  return names.length === 0 ? [undefined] : new Set(names.map(({ name }) => name));
}

/** Passes pages on, and tells of each. */
async function* noting<T>(pages: AsyncIterable<T>, onPage: () => void): AsyncGenerator<T> {
  for await (const page of pages) {
    onPage();
    yield page;
  }
}
