/**
 * Runs the downloads of the command line: a file, a folder, or a file to the standard output. A lost
 * connection is retried.
 *
 * A module of its own, because an upload needs none of it.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import type { ItemResult } from "../modes/files/answers.ts";
import type { Dialer } from "./dialer.ts";
import type { LocalStoreOptions } from "./local_store.ts";
import { OutputTarget } from "./output.ts";
import type { Transfer } from "./plan.ts";
import type { Report } from "./report.ts";
import type { SendOptions } from "./send_options.ts";

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
    report.add({ label: name, stored: await getFile(client, name, path, { ...options, resume }) });
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
  const excluding = exclude.length > 0 ? await import("./exclude.ts") : undefined;
  const excludes = excluding && new excluding.Excludes(exclude);
  const isExcluded = excludes?.of({ name: basename(name), paths: [basename(name), name] });
  if (isExcluded?.("", true)) throw excluding!.nothingLeft();
  const folder = `${name}/`;
  const onResult = (label: string, result: ItemResult, name: string): void => {
    if (!("error" in result)) dialer.retries.progressed();
    report.add({ label, name, folder, ...result });
  };
  const onLeftOut = (count: number): void => {
    if (count > 0) report.leftOut(folder, count);
    excludes?.reportUnused((text) => options.warn?.(text));
  };
  const all = {
    ...{ ...options, directory, exclude: isExcluded, skipSame, resume, progress, done },
    ...{ onResult, onLeftOut },
  };
  await dialer.withSession((client) => getFolder(client, name, all));
}
