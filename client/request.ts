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
import type { Action, ServerName, Transfer } from "./plan.ts";
import { printPages } from "./print_pages.ts";
import { listLines, Report, statusLines } from "./report.ts";

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
): Promise<number> {
  const { progress } = dialer.context;
  const message = stdinSource("");
  let isUntouched = true;
  const report = new Report(progress);
  const print = async (client: FilesClient): Promise<void> => {
    const printAll = (pages: AsyncIterable<string[]>): Promise<void> =>
      printPages(client, noting(pages, () => isUntouched = false));
    if (action.type !== "list") return await printAll(statusLines(client));
    for (const name of namesOf(action.names)) {
      await printAll(listLines(client, name)).catch((error) => {
        if (client.ended) throw error;
        report.fail(explain(error));
      });
    }
  };
  const say = async (client: FilesClient): Promise<void> => {
    progress.begin(null);
    await client.say(message);
  };
  await dialer.withSession(
    action.type === "say" ? say : print,
    () => isUntouched && progress.moved === 0,
  );
  const failure = report.end();
  return failure ? exitCode(failure) : 0;
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
