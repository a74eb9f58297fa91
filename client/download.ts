/**
 * Runs the downloads of the command line: files, folders, or one file to the standard output. A lost
 * connection is retried.
 *
 * A module of its own, because an upload needs none of it.
 *
 * @module
 */

import { contradiction } from "../lib/cli/command_line.ts";
import { explain } from "../lib/errors.ts";
import { MadeFolders } from "../lib/store/made_folders.ts";
import { quoted } from "../lib/text.ts";
import type { ItemResult } from "../modes/files/answers.ts";
import type { FilesClient } from "../modes/files/client.ts";
import type { Dialer } from "./dialer.ts";
import type { ListedNames } from "./listed.ts";
import type { LocalStoreOptions } from "./local_store.ts";
import { OutputTarget } from "./output.ts";
import type { PathOutput } from "./path_output.ts";
import type { ServerName, Transfer } from "./plan.ts";
import type { Report } from "./report_forms.ts";
import { checkFolder, publishedAt, savePath } from "./save_path.ts";
import type { SendOptions } from "./send_options.ts";
import type { ServerExcludes } from "./server_excludes.ts";
import { distinct, labelOf } from "./server_names.ts";

/** Options of {@linkcode download}. */
export interface DownloadOptions
  extends
    LocalStoreOptions,
    Pick<SendOptions, "exclude" | "links" | "skipSame" | "checksum" | "resume" | "signal"> {
  /** Whether a terminal gets the exact bytes. */
  raw?: boolean;
}

/** The options of one folder. */
type FolderOptions = Omit<DownloadOptions, "exclude"> & {
  directory: string;
  excludes: ServerExcludes | undefined;
  listed: ListedNames | undefined;
};

type Get = Extract<Transfer, { type: "get" }>;

/**
 * Downloads what an action asks for, and reports the results. A name that fails does not stop the
 * others.
 *
 * @throws {InletError} when the connection fails for good, or nothing can be saved there
 */
export async function download(
  dialer: Dialer,
  { names, output, listed }: Get,
  options: DownloadOptions,
  report: Report,
): Promise<void> {
  if (output === "-") return await getToOutput(dialer, names[0]!.name);
  if (output !== undefined && names.length > 1) checkFolder(output);
  const { warn } = options;
  const excludes = await excludesOf(options);
  const wanted = distinct(names, (text) => warn?.(text));
  const left: Download[] = [];
  using streams = new DisposableStack();
  for (const asked of excludes ? excludes.keep(wanted) : wanted) {
    const one = await prepare(dialer, asked, { output, excludes, listed }, options, report);
    if (one.stream) streams.use(one.stream);
    left.push(one);
  }
  let current: Download | undefined;
  try {
    await dialer.withSession(async (client) => {
      for (; (current = left.at(0)); left.shift()) {
        await current.get(client).catch((error) => {
          // Behind the last one there is nothing to ask for, not even the end of the session.
          if (client.ended || options.signal?.aborted || left.length === 1) throw error;
          report.fail(explain(error), { file: current!.label });
        });
        report.endTransfer();
      }
    });
  } catch (thrown) {
    const error = explain(thrown);
    const folder = current?.label;
    const within = current?.left?.() ?? [];
    if (within.length === 0) report.fail(error, { file: current?.label });
    else for (const label of within) report.add({ label, folder: folder!, error, untried: true });
    if (names.length === 1) return;
    for (const one of left) {
      if (one !== current) report.add({ label: one.label, error, untried: true });
    }
  }
}

async function excludesOf(
  { exclude = [], warn }: DownloadOptions,
): Promise<ServerExcludes | undefined> {
  if (exclude.length === 0) return undefined;
  const { ServerExcludes } = await import("./server_excludes.ts");
  return new ServerExcludes(exclude, (text) => warn?.(text));
}

/** One name, and how to get it. */
interface Download {
  label: string;
  /** The pipe or device that it goes to. */
  stream?: PathOutput;
  get(client: FilesClient): Promise<void>;
  /** The files of a folder that have no result, once getting it has failed. */
  left?(): readonly string[];
}

async function prepare(
  dialer: Dialer,
  asked: ServerName,
  { output, excludes, listed }: {
    output: string | undefined;
    excludes: ServerExcludes | undefined;
    listed: ListedNames | undefined;
  },
  options: DownloadOptions,
  report: Report,
): Promise<Download> {
  if (asked.isFolder) {
    const directory = output ?? ".";
    checkFolder(directory);
    const all = { ...options, directory, excludes, listed };
    return folderDownload(dialer, asked, all, report);
  }
  const { name } = asked;
  const { progress, resume } = dialer.context;
  const { path, isStream } = savePath(name, output);
  if (isStream) {
    if (options.resume) throw contradiction(`--resume with ${quoted(path)}, a pipe or a device`);
    const { getToStream, PathOutput } = await import("./path_output.ts");
    progress.doing("waiting for the other end of the pipe");
    const stream = await PathOutput.open(name, path, { ...options, onNotice: options.warn });
    progress.doing(undefined);
    const get = async (client: FilesClient): Promise<void> => {
      if (!stream.isTerminal) progress.begin(null);
      const stored = await getToStream(client, name, stream, options.signal);
      report.add({ label: name, stored, path, isStream: true });
    };
    return { label: name, stream, get };
  }
  const { getFile } = await import("./get_file.ts");
  const get = async (client: FilesClient): Promise<void> => {
    progress.begin(null);
    if (resume) {
      const { findOneHere } = await import("./already_here.ts");
      const here = await findOneHere(client, name, path, options);
      if (here) {
        const found = publishedAt(path, here.name);
        return report.add({ label: name, stored: here, same: true, path: found });
      }
    }
    const stored = await getFile(client, name, path, { ...options, resume, progress });
    report.add({ label: name, stored, path: publishedAt(path, stored.name) });
  };
  return { label: name, get };
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

/** A folder. What one connection completed, the next one leaves out. */
function folderDownload(
  dialer: Dialer,
  asked: ServerName,
  { directory, excludes, listed, skipSame = false, ...options }: FolderOptions,
  report: Report,
): Download {
  const { progress, resume } = dialer.context;
  const done = new Set<string>();
  const folder = labelOf(asked);
  const made = new MadeFolders();
  const onResult = (label: string, result: ItemResult, name: string, isLink?: true): void => {
    if (!("error" in result)) dialer.retries.progressed();
    report.add({ label, name, folder, directory, ...isLink && { isLink }, ...result });
  };
  const onBegin = (path: string): void => report.begin(folder, path);
  const onLeftOut = (count: number): void => {
    if (count > 0) report.leftOut(folder, count);
    excludes?.listed(asked);
    listed?.reportMissing((file, error) => report.fail(error, { file }));
  };
  let left: readonly string[] = [];
  const onLeft = (names: readonly string[]): void => void (left = names);
  const exclude = excludes?.of(asked);
  const all = {
    ...{ ...options, directory, exclude, listed, skipSame, resume, progress, done, made },
    ...{ onBegin, onResult, onLeftOut, onLeft },
  };
  const get = async (client: FilesClient): Promise<void> => {
    const { getFolder } = await import("./get_folder.ts");
    await getFolder(client, asked.name, all);
  };
  return { label: folder, get, left: () => left };
}
