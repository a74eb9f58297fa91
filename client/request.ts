/**
 * Runs the actions that are one request and transfer no files.
 *
 * A module of its own, because a transfer needs none of it.
 *
 * @module
 */

import { stdinSource } from "../lib/body/sources.ts";
import type { FilesClient } from "../modes/files/client.ts";
import type { Dialer } from "./dialer.ts";
import type { Action, Transfer } from "./plan.ts";
import { printPages } from "./print_pages.ts";
import { listLines, statusLines } from "./report.ts";

/**
 * Runs an action. It is tried again, where retries are allowed, until a byte of the message has been
 * read, or a line of the answer has arrived.
 *
 * @returns The exit code.
 * @throws {InletError} when the server refuses, or the connection fails for good
 */
export async function runRequest(
  dialer: Dialer,
  action: Exclude<Action, Transfer | { type: "session" }>,
): Promise<number> {
  const { progress } = dialer.context;
  const message = stdinSource("");
  let isUntouched = true;
  const print = async (client: FilesClient): Promise<void> => {
    const pages = action.type === "list" ? listLines(client) : statusLines(client);
    await printPages(client, noting(pages, () => isUntouched = false));
  };
  const say = async (client: FilesClient): Promise<void> => {
    progress.begin(null);
    await client.say(message);
  };
  await dialer.withSession(
    action.type === "say" ? say : print,
    () => isUntouched && progress.moved === 0,
  );
  return 0;
}

/** Passes pages on, and tells of each. */
async function* noting<T>(pages: AsyncIterable<T>, onPage: () => void): AsyncGenerator<T> {
  for await (const page of pages) {
    onPage();
    yield page;
  }
}
