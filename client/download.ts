/**
 * Runs the downloads of the command line: a file, a folder, or a file to the standard output. A lost
 * connection is retried.
 *
 * A module of its own, because an upload needs none of it.
 *
 * @module
 */

import { explain } from "../lib/errors.ts";
import type { ItemResult } from "../modes/files/answers.ts";
import type { Dialer } from "./dialer.ts";
import type { LocalStoreOptions } from "./local_store.ts";
import { OutputTarget } from "./output.ts";
import type { Transfer } from "./plan.ts";
import type { Report } from "./report.ts";
import type { SendOptions } from "./send.ts";

/** Options of {@linkcode download}. */
export interface DownloadOptions
  extends LocalStoreOptions, Pick<SendOptions, "exclude" | "skipSame"> {}

/**
 * Downloads what an action asks for, and reports the results.
 *
 * @throws {InletError} when the connection fails for good, or the server refuses all of it
 */
export async function download(
  dialer: Dialer,
  action: Exclude<Transfer, { type: "send" }>,
  options: DownloadOptions,
  report: Report,
): Promise<void> {
  if (action.type === "get folder") await getFolder(dialer, action, options, report);
  else if (action.output === "-") await getToOutput(dialer, action.name);
  else await getFile(dialer, action, options, report);
}

async function getToOutput(dialer: Dialer, name: string): Promise<void> {
  const { progress, output } = dialer.context;
  const target = new OutputTarget(name, output);
  await dialer.withSession(async (client) => {
    progress.begin(null);
    await client.pause(target.settled());
    await client.get(name, target);
  });
}

async function getFile(
  dialer: Dialer,
  { name, output }: Extract<Transfer, { type: "get" }>,
  options: DownloadOptions,
  report: Report,
): Promise<void> {
  const { progress, resume } = dialer.context;
  const { getFile, savePath } = await import("./get_file.ts");
  await dialer.withSession(async (client) => {
    progress.begin(null);
    const path = savePath(name, output);
    const all = { ...options, resume, progress };
    if (resume) {
      const { findOneHere } = await import("./already_here.ts");
      const here = await findOneHere(client, name, path, options);
      if (here) return report.add({ label: name, stored: here, same: true });
    }
    report.add({ label: name, stored: await getFile(client, name, path, all) });
  });
}

async function getFolder(
  dialer: Dialer,
  { name, directory }: Extract<Transfer, { type: "get folder" }>,
  { exclude = [], skipSame = false, ...options }: DownloadOptions,
  report: Report,
): Promise<void> {
  const { progress, resume } = dialer.context;
  const done = new Set<string>();
  const { getFolder } = await import("./get_folder.ts");
  const onResult = (label: string, result: ItemResult): void => {
    if (!("error" in result)) dialer.retries.progressed();
    report.add({ label, folder: `${name}/`, ...result });
  };
  let left: string[] = [];
  const onLeft = (names: string[]): string[] => left = names;
  const all = {
    ...options,
    directory,
    exclude,
    skipSame,
    resume,
    progress,
    done,
    onResult,
    onLeft,
  };
  try {
    await dialer.withSession((client) => getFolder(client, name, all));
  } catch (error) {
    if (left.length === 0) throw error;
    for (const label of left) {
      report.add({ label, folder: `${name}/`, error: explain(error), untried: true });
    }
  }
}
