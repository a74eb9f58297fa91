/**
 * Everything that one run of the client sends: over as many connections as the mode needs, and again
 * where a connection was lost and that was asked for.
 *
 * @module
 */

import { explain, InletError } from "../lib/errors.ts";
import { FileSource, type Item, type Source } from "../lib/body/sources.ts";
import type { Stored } from "../protocol.ts";
import type { Dialer } from "./dialer.ts";
import type { FilesClient } from "../modes/files/client.ts";
import type { Mode } from "../modes/mode.ts";

/** How one item fared: what was stored, whether it was there before, or why it was not sent. */
export type Fared = { stored: Partial<Stored>; same?: true } | { error: InletError };

/** Options of {@linkcode sendAll}. */
export interface SendAllOptions {
  mode: Mode;
  /** Sends only what the server does not have. */
  skipSame: boolean;
  /** Told how each item fared, as soon as that is known. */
  onResult(item: Item, result: Fared): void;
}

/** Sends all items. Each fares well only after the server's acknowledgement. */
export async function sendAll(
  call: Dialer,
  items: readonly Item[],
  options: SendAllOptions,
): Promise<void> {
  await new SendQueue(call, items, options).run();
}

class SendQueue {
  readonly #call: Dialer;
  readonly #options: SendAllOptions;
  /** What nobody was told of yet, in order. */
  readonly #left: Set<Item>;
  readonly #items: readonly Item[];
  #doneBytes = 0;
  /** What an attempt that broke off may have stored after all. */
  #unanswered: ReadonlySet<Item> = new Set();
  /** Why something is to be tried again. */
  #failure: InletError | undefined;

  constructor(call: Dialer, items: readonly Item[], options: SendAllOptions) {
    this.#call = call;
    this.#options = options;
    this.#left = new Set(items);
    this.#items = items;
  }

  async run(): Promise<void> {
    while (this.#left.size > 0) {
      this.#failure = undefined;
      this.#showProgress();
      try {
        await this.#attempt([...this.#left]);
      } catch (error) {
        this.#failure = explain(error);
      }
      if (this.#failure && this.#left.size > 0) await this.#waitOrGiveUp(this.#failure);
    }
  }

  async #attempt(items: Item[]): Promise<void> {
    const { mode: { send }, skipSame } = this.#options;
    using connection = await this.#call.open();
    if (send) {
      const source = items[0] as Source;
      this.#call.context.progress.name(source.label);
      return this.#tell(source, await send(connection, source, this.#call.context).catch(explain));
    }
    const client = await this.#call.greet(connection);
    if (skipSame) await this.#compare(client, items);
    else await this.#compare(client, items.filter((item) => this.#unanswered.has(item)));
    this.#unanswered = client.unanswered;
    const left = items.filter((item) => this.#left.has(item));
    await client.send(left, (item, result) => this.#tell(item, result));
    await client.exit();
  }

  /** Leaves out what the server has already. */
  async #compare(client: FilesClient, items: readonly Item[]): Promise<void> {
    const files = items.filter((item) => item instanceof FileSource);
    await client.compare(files, (file, name) => {
      const wasSent = this.#unanswered.has(file);
      if (name instanceof InletError) return wasSent ? undefined : this.#tell(file, name);
      if (name === "") return;
      this.#call.context.progress.skip(file.size);
      const stored = { size: file.size, name };
      this.#report(file, wasSent ? { stored } : { stored, same: true });
    });
  }

  #tell(item: Item, result: Partial<Stored> | InletError): void {
    if (!(result instanceof InletError)) {
      this.#call.retries.progressed();
      return this.#report(item, { stored: result });
    }
    // What a stream gave is gone with the connection.
    const isRepeatable = item.size !== null && this.#call.retries.allows(result);
    if (isRepeatable) this.#failure ??= result;
    else this.#report(item, { error: result });
  }

  #report(item: Item, result: Fared): void {
    this.#left.delete(item);
    this.#doneBytes += item.size ?? 0;
    this.#call.context.progress.addFiles(1);
    this.#options.onResult(item, result);
  }

  /** Not let in, or lost: what stopped this attempt stops all that is left, unless it may pass. */
  async #waitOrGiveUp(failure: InletError): Promise<void> {
    const { retries } = this.#call;
    try {
      if (!retries.allows(failure)) throw failure;
      await retries.wait(failure);
    } catch (error) {
      for (const item of [...this.#left]) this.#report(item, { error: explain(error) });
    }
  }

  #showProgress(): void {
    const { progress } = this.#call.context;
    progress.begin(() => totalSize(this.#items), this.#items.length);
    progress.skip(this.#doneBytes);
    progress.addFiles(this.#items.length - this.#left.size);
  }
}

/** All bytes to come, or `null` where one source does not know. */
function totalSize(items: readonly Item[]): number | null {
  return items.reduce<number | null>(
    (sum, { size }) => sum === null || size === null ? null : sum + size,
    0,
  );
}
