/**
 * Sends files and folders, for the library and for the command line.
 *
 * @module
 */

import { contradiction } from "../lib/cli/command_line.ts";
import { InletError } from "../lib/errors.ts";
import type { Progress } from "../lib/cli/progress.ts";
import { formatCount } from "../lib/text.ts";
import type { ServerAddress } from "../lib/address.ts";
import { pathSource, stdinSource } from "../lib/body/path_source.ts";
import { type Item, SymbolicLink } from "../lib/body/sources.ts";
import { Dialer } from "./dialer.ts";
import type { ListedPaths } from "./listed.ts";
import { Items } from "./items.ts";
import { pathItems } from "./path_items.ts";
import type { Named } from "./repeated_paths.ts";
import type { SendResult, SentItem } from "./result.ts";
import type { SendOptions } from "./send_options.ts";
import { sendAll } from "./send_queue.ts";
import type { ItemResult } from "../modes/files/answers.ts";
import type { Mode } from "../modes/mode.ts";
import { findMode } from "../modes/table.ts";

/** Thrown by {@linkcode send} unless everything was sent. Its code is that of the first failure. */
export class SendError extends InletError {
  /** The results of all items, also of those that were sent. */
  readonly results: readonly SendResult[];

  /**
   * Sums up a call.
   *
   * @param cause The first failure.
   */
  constructor(cause: InletError, results: readonly SendResult[]) {
    const failed = results.filter(({ error }) => error).length;
    const others = results.length > 1 ? ` (not sent: ${failed} of ${results.length})` : "";
    super(cause.code, cause.message + others, { cause });
    this.results = results;
  }
}

/**
 * Sends files, and folders with their contents, in order. It resolves only if all of it was sent. An
 * item counts as sent once the server acknowledges it.
 *
 * If a function of the caller throws, the first such error is rethrown after all files are done.
 * Promises that such functions return are awaited then.
 *
 * @param files Paths of files and folders.
 * @returns One result for each file and each empty folder.
 * @throws {SendError} if anything was not sent
 * @throws the reason of the signal, whatever it is, if it was aborted before everything was sent
 * @throws {InletError} `usage` if an option cannot be used, a path cannot be sent at all, a glob is
 * none, or everything is excluded; nothing is sent in that case
 */
export async function send(
  address: ServerAddress,
  files: readonly string[],
  options: SendOptions = {},
): Promise<SentItem[]> {
  const { Caller } = await import("./caller.ts");
  using caller = new Caller(address, files, options);
  const mode = findMode(options.mode ?? "files");
  if (mode.send && options.key !== undefined) throw contradiction(`a key in mode ${mode.name}`);
  const dialer = new Dialer(address, caller.options);
  const results: SendResult[] = [];
  const onResult = (result: SendResult): void => {
    results.push(result);
    caller.options.onResult?.(result);
  };
  await sendFiles(dialer, files, { ...caller.options, mode, onResult }).catch(async (error) => {
    await caller.check(false);
    throw error;
  });
  const failure = results.find(({ error }) => error)?.error;
  await caller.check(failure === undefined);
  if (failure) throw new SendError(failure, results);
  return results.filter((result) => !result.error);
}

/** {@linkcode SendOptions} with the mode itself instead of its name. */
export interface SendFilesOptions extends Omit<SendOptions, "mode"> {
  readonly mode: Mode;
  /** Progress line to draw on. */
  progress?: Progress;
}

/** What only the command line supports. */
export interface TypedOptions {
  /**
   * The name to store under, instead of the last part of the path. With a `/` at its end, it is a
   * folder to put all in.
   */
  as: string | undefined;
  /** Paths of a list, which are sent too. */
  listed?: ListedPaths | undefined;
  /** Called with the number of excluded entries of each folder that has some. */
  onLeftOut(folder: string, count: number): void;
  /** Called with the path of each excluded entry. */
  onExcluded?: (path: string) => void;
  /** Takes the items, in place of sending them. */
  instead?: (items: Items) => Promise<void>;
}

/**
 * Like {@linkcode send}, with what only the command line supports: `-` for the standard input. The
 * results are told and not kept, as there may be many.
 */
export async function sendFiles(
  dialer: Dialer,
  files: readonly string[],
  options: SendFilesOptions,
  typed?: TypedOptions,
): Promise<void> {
  let isAnyTold = false;
  const report = (result: SendResult): void => {
    isAnyTold = true;
    options.onResult?.(result);
  };
  const { mode, skipSame = false, checksum = false, exclude = [], links } = options;
  const { signal, onNotice } = options;
  const isOneWay = mode.send !== undefined;
  const { as, listed } = typed ?? {};
  // Loaded on demand, because most sends exclude nothing.
  const excluding = exclude.length > 0 ? await import("./exclude.ts") : undefined;
  const excludes = excluding && new excluding.Excludes(exclude);
  const pagesAt = async (path: string, as?: string): Promise<Iterable<readonly Item[]>> => {
    if (typed && path === "-") return [[stdinSource(as ?? "")]];
    if (isOneWay) return [[pathSource(path, as, { onNotice, signal })]];
    return await pathItems(path, {
      as,
      exclude: excludes?.at(path),
      links,
      onLeftOut: (count) => typed?.onLeftOut(path, count),
      onExcluded: typed?.onExcluded,
      signal,
      onSkip: (text) => onNotice?.(text),
      onFailure: (label, error) => report({ label, folder: path, error }),
    });
  };
  const found = listed && await listed.find({
    itemsAt: pagesAt,
    excludes,
    signal,
    onNotice: (text) => onNotice?.(text),
    onFailure: (label, error) => report({ label, error }),
  });
  const items = new Items(
    await pagesOf(files, (path) => pagesAt(path, as), { typed, found, onNotice }),
  );
  // Patterns are refused before anything is sent, and several files are measured by then.
  const count = files.length + (listed?.count ?? 0);
  if (excluding || count > 1) await items.measure(signal);
  if (excluding && count > 0 && items.isOver && !isAnyTold) {
    throw excluding.nothingLeft();
  }
  excludes?.reportUnused((text) => onNotice?.(text));
  if (typed?.instead) return await typed.instead(items);
  const first = items.first;
  // No server waits as long as a pipe's writer may take.
  if (first && "ready" in first) {
    const { progress } = dialer.context;
    progress.doing("waiting for the other end of the pipe");
    await first.ready?.();
    progress.doing(undefined);
  }
  await sendAll(dialer, items, {
    mode,
    skipSame: skipSame || checksum,
    checksum,
    onResult: (item, result) => report(resultOf(item, result)),
  });
}

/** What is reported of an item. */
export function resultOf(item: Item, result: ItemResult): SendResult {
  const { label, name, folder } = item;
  const kind = isLink(item) && { isLink: true as const };
  return { label, name, ...folder !== undefined && { folder }, ...kind, ...result };
}

/** The items of all paths, in pages, those that two of a command line's paths lead to once. */
async function pagesOf(
  files: readonly string[],
  pagesAt: (path: string) => Promise<Iterable<readonly Item[]>>,
  { typed, found, onNotice }: {
    typed: unknown;
    found: readonly Named[] | undefined;
    onNotice: ((text: string) => void) | undefined;
  },
): Promise<Iterable<readonly Item[]>> {
  const pages = await Promise.all(files.map(pagesAt));
  if (pages.length === 1 && !found) return pages[0]!;
  const named = files.map((path, index) => ({ path, items: [...pages[index]!].flat() }));
  if (!typed) return withLinksLast(named.flatMap(({ items }) => items));
  const { withoutRepeats } = await import("./repeated_paths.ts");
  if (!found) return withLinksLast(withoutRepeats(named, (text) => onNotice?.(text)));
  // A list of all that is in a folder, and of the folder too, is no list of mistakes.
  let repeats = 0;
  const items = withoutRepeats([...named, ...found], () => void repeats++);
  const what = repeats === 1 ? "1 path" : `${formatCount(repeats)} paths`;
  if (repeats > 0) onNotice?.(`Skipped ${what}: named twice, or in a folder that is sent`);
  return withLinksLast(items);
}

/** No link of one path may stand where a file of another is to go. */
function withLinksLast(items: readonly Item[]): readonly Item[][] {
  const links = items.filter(isLink);
  return links.length === 0 ? [[...items]] : [items.filter((item) => !isLink(item)), links];
}

function isLink(item: Item): boolean {
  return item instanceof SymbolicLink;
}
