/**
 * Sends all items of one run, over as many connections as the mode needs, with retries after a lost
 * connection.
 *
 * @module
 */

import { explain, InletError } from "../lib/errors.ts";
import { FileSource, type Item, type Source } from "../lib/body/sources.ts";
import { isTurnDue, takeTurns } from "../lib/turns.ts";
import type { Dialer } from "./dialer.ts";
import type { Items } from "./items.ts";
import type { ItemResult } from "../modes/files/answers.ts";
import type { FilesClient } from "../modes/files/client.ts";
import type { Mode } from "../modes/mode.ts";

/** Options of {@linkcode sendAll}. */
export interface SendAllOptions {
  mode: Mode;
  /** Skips files that the server has already, and fails those that cannot be compared. */
  skipSame: boolean;
  /** Compares content too, whatever the times say. */
  checksum?: boolean;
  /** Called with the result of each item, as soon as it is known. */
  onResult(item: Item, result: ItemResult): void;
}

/** Sends all items. An item counts as sent once the server acknowledges it. */
export async function sendAll(
  dialer: Dialer,
  items: Items,
  options: SendAllOptions,
): Promise<void> {
  await new SendQueue(dialer, items, options).sendAll();
}

class SendQueue {
  readonly #dialer: Dialer;
  readonly #options: SendAllOptions;
  readonly #items: Items;
  /** Bytes that earlier attempts read from sources. */
  #movedBefore = 0;
  /** Items that a failed attempt sent whole: the server may have stored them. */
  #unanswered: ReadonlySet<Item> = new Set();
  /** Whether the server was asked once for all that it has. */
  #isCompared = false;
  /** Items of which an attempt sent something. */
  readonly #tried = new Set<Item>();
  /** Failure to retry after. */
  #failure: InletError | undefined;

  constructor(dialer: Dialer, items: Items, options: SendAllOptions) {
    this.#dialer = dialer;
    this.#options = options;
    this.#items = items;
  }

  /** Repeats attempts until every item has a result. A final failure is the result of the rest. */
  async sendAll(): Promise<void> {
    try {
      await this.#dialer.retries.run(async () => {
        while (!this.#items.isDone || this.#dialer.openFolders > 0) {
          this.#failure = undefined;
          this.#showProgress();
          await this.#attempt().catch((error) => this.#failure = explain(error));
          const isOpen = !this.#items.isDone || this.#dialer.openFolders > 0;
          if (this.#failure && isOpen) throw this.#failure;
          // What keeps a folder open is then the result of its items.
          if (this.#items.isDone) break;
        }
      });
    } catch (error) {
      if (this.#items.isDone) this.#dialer.tellOpenFolders(explain(error));
      // Also those that were not found yet. Without a welcome nobody has told whether one arrived.
      for (const item of this.#items.remaining()) {
        const untried = !this.#tried.has(item) && !this.#unanswered.has(item);
        this.#report(item, { error: explain(error), ...(untried && { untried }) });
        // The first one is told at once, however many there are.
        if (isTurnDue()) await takeTurns();
      }
    }
  }

  async #attempt(): Promise<void> {
    const send = await this.#options.mode.send?.();
    using connection = await this.#dialer.open({ resettable: send !== undefined });
    this.#movedBefore = this.#dialer.context.progress.moved;
    if (send) {
      const [source] = this.#items.remaining() as Iterable<Source>;
      if (!source) return;
      this.#dialer.context.progress.name(source.label);
      const result = await send(connection, source, this.#dialer.context)
        .then((stored): ItemResult => ({ stored }))
        .catch((error): ItemResult => ({ error: explain(error) }));
      return this.#tell(source, result);
    }
    const client = await this.#dialer.approach(connection);
    await this.#compare(client);
    this.#unanswered = client.unanswered;
    await client.send(this.#items.remaining(), (item, result) => this.#tell(item, result), {
      total: () => this.#items.total,
      idle: () => void this.#items.look(),
    });
    await client.exit();
  }

  /** Skips what the server has already: where asked to, and where a command is repeated. */
  async #compare(client: FilesClient): Promise<void> {
    const { skipSame, checksum = false } = this.#options;
    const { progress, compares } = this.#dialer.context;
    const asksForAll = !this.#isCompared && (skipSame || compares());
    if (!asksForAll && this.#unanswered.size === 0) return;
    const { compareItems, findUnanswered } = await import("./compared_items.ts");
    const onFound = (item: Item, name: string, same?: true): void => {
      progress.skip(item.size ?? 0);
      const size = item instanceof FileSource && { size: item.size };
      this.#report(item, { stored: { name, ...size }, ...same && { same } });
    };
    if (!asksForAll) {
      return await findUnanswered(client, this.#items.left, this.#unanswered, onFound);
    }
    await compareItems(client, this.#items.remaining(), {
      byContent: checksum,
      progress,
      onAnswer: (item, answer) => {
        if (answer === "same") onFound(item, item.name, true);
        // Without --skip-same it is sent, and what is wrong with it shows then.
        const isFatal = answer instanceof InletError && skipSame && !client.ended;
        if (isFatal) this.#tell(item, { error: answer });
      },
    });
    this.#isCompared = true;
  }

  #tell(item: Item, result: ItemResult): void {
    const { retries, context: { progress } } = this.#dialer;
    if (!("error" in result)) {
      retries.progressed();
      return this.#report(item, result);
    }
    if (!result.untried) this.#tried.add(item);
    // What was read from a stream cannot be sent again, and other wires than the native one cannot
    // tell what of a file has arrived.
    const canResume = item.size !== null && !this.#options.mode.send;
    const isUnsent = progress.moved === this.#movedBefore && item.size !== 0;
    const isRepeatable = canResume || isUnsent;
    if (isRepeatable && retries.allows(result.error)) this.#failure ??= result.error;
    else this.#report(item, result);
  }

  #report(item: Item, result: ItemResult): void {
    this.#items.finish(item, result);
    if (!("error" in result)) this.#dialer.context.progress.addFiles(1);
    this.#options.onResult(item, result);
  }

  #showProgress(): void {
    const { progress } = this.#dialer.context;
    this.#items.lookAtNamed();
    progress.begin(() => this.#items.bytes, () => this.#items.count);
    progress.skip(this.#items.doneBytes);
    progress.addFiles(this.#items.doneCount);
  }
}
