/**
 * Compares what is to be sent with what the server has, while it is still being found.
 *
 * A module of its own, because most sends compare nothing.
 *
 * @module
 */

import { EmptyFolder, FileSource, type Item, SymbolicLink } from "../lib/body/sources.ts";
import { fileFigures, type Progress } from "../lib/cli/progress.ts";
import type { FilesClient } from "../modes/files/client.ts";
import { Comparison } from "../modes/files/compare.ts";
import { type DiffAnswer, type Diffed, FolderDiffs } from "../modes/files/diff.ts";

/**
 * A folder or link, as it is compared: a folder by its name alone, as one that exists is not changed,
 * and a link by its target.
 */
class ComparedPlace implements Diffed {
  readonly item: EmptyFolder | SymbolicLink;
  readonly size = null;

  constructor(item: EmptyFolder | SymbolicLink) {
    this.item = item;
  }

  get label(): string {
    return this.item.label;
  }

  get name(): string {
    return this.item.name;
  }

  get mode(): number | undefined {
    return this.item instanceof EmptyFolder ? this.item.mode : undefined;
  }

  get to(): string | undefined {
    return this.item instanceof EmptyFolder ? undefined : this.item.target;
  }

  get modified(): Date {
    return this.item.modified ?? new Date(0);
  }
}

/** How items are compared. */
export interface CompareOptions {
  /** Whether the content of files is compared, whatever their times say. */
  byContent: boolean;
  progress: Progress;
  /** Called once for each item that is compared. */
  onAnswer(item: Item, answer: DiffAnswer): void;
}

/**
 * Asks for every file, empty folder and link. A stream is left out, as nothing is known of it.
 *
 * @throws {InletError} what ended the session
 */
export async function compareItems(
  client: FilesClient,
  items: Iterable<Item>,
  { byContent, progress, onAnswer }: CompareOptions,
): Promise<void> {
  let compared = 0;
  const word = (): string => `comparing: ${fileFigures(compared, null)} so far`;
  // Until then the progress line says that it waits for the server.
  client.welcomed.then(() => progress.doing(word), () => {});
  const diffs = new FolderDiffs<FileSource | ComparedPlace>(...client.parts, {
    byContent,
    onAnswer: (it, answer) => {
      compared++;
      onAnswer(it instanceof FileSource ? it : it.item, answer);
    },
  });
  for (const item of items) {
    const wait = item instanceof FileSource
      ? diffs.add(item)
      : item instanceof EmptyFolder || item instanceof SymbolicLink
      ? diffs.add(new ComparedPlace(item))
      : undefined;
    if (wait) await wait;
  }
  await diffs.end();
  progress.doing(undefined);
}

/**
 * Finds the files that the server has stored although their answer was lost.
 *
 * @param left The items without a result.
 * @param unanswered Those that were sent whole.
 * @param onFound Called with each that is there, and its name.
 * @throws {InletError} what ended the session
 */
export async function findUnanswered(
  client: FilesClient,
  left: Iterable<Item>,
  unanswered: ReadonlySet<Item>,
  onFound: (item: Item, name: string) => void,
): Promise<void> {
  const asked = [...left].filter((item) => unanswered.has(item));
  const files = asked.filter((item) => item instanceof FileSource);
  await client.welcomed;
  await new Comparison(...client.parts).run(files, (file, name) => {
    // What cannot be compared is sent again, and tells why.
    if (typeof name === "string" && name !== "") onFound(file, name);
  });
}
