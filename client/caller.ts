/**
 * What a program hands to `send()`: values that no parser has read, a signal, and functions to call.
 * What goes wrong with them is the program's own affair, and is told to it as it is. It must not look
 * like the failure of a transfer.
 *
 * @module
 */

import { InletError } from "../lib/errors.ts";
import type { ServerAddress } from "../lib/address.ts";
import { RateLimit } from "../lib/net/rate_limit.ts";
import {
  checkOptions,
  checkValues,
  FLAG,
  FUNCTION,
  type Kind,
  MILLISECONDS,
  MILLISECONDS_OR_NONE,
  OBJECT,
  oneOf,
  SOME_TEXT,
  TEXT,
  TEXTS,
  wholeNumber,
} from "../lib/cli/value_kinds.ts";
import { CLIENT_NAME, isClientName } from "../lib/cli/option_values.ts";
import { LINK_RULES } from "../lib/store/link_rules.ts";
import { Calls } from "./calls.ts";
import type { ConnectOptions, SendOptions } from "./send_options.ts";

const HOST_AND_PORT = { hostname: TEXT, port: wholeNumber(1, 65_535) };

const SOCKET = { path: SOME_TEXT };

const ADDRESS: Kind = { ...OBJECT, give: "{ hostname, port } or { path }" };

/** Those that `connect()` has too. */
export const CLIENT_OPTIONS: Record<keyof ConnectOptions, Kind> = {
  name: { give: CLIENT_NAME, is: (value) => typeof value === "string" && isClientName(value) },
  timeoutMs: MILLISECONDS,
  key: { ...TEXT, isSecret: true },
  rate: { give: "a RateLimit", is: (value) => value instanceof RateLimit },
  signal: { give: "an AbortSignal", is: (value) => value instanceof AbortSignal },
  resume: FLAG,
  strict: FLAG,
  retries: wholeNumber(0, Infinity),
  onNotice: FUNCTION,
};

const OPTIONS: Record<keyof SendOptions, Kind> = {
  ...CLIENT_OPTIONS,
  mode: TEXT,
  output: FUNCTION,
  onResult: FUNCTION,
  exclude: TEXTS,
  links: oneOf(Object.keys(LINK_RULES)),
  skipSame: FLAG,
  checksum: FLAG,
  dialogue: TEXTS,
  lingerMs: MILLISECONDS_OR_NONE,
  lockStep: FLAG,
  end: TEXT,
  lineEnd: FLAG,
  lineGapMs: MILLISECONDS,
  getMarker: TEXT,
  bareNames: FLAG,
  acceptUnproved: FLAG,
};

/** @throws {InletError} `usage` */
export function checkAddress(address: ServerAddress): void {
  checkValues({ address }, { address: ADDRESS }, { optional: false });
  checkValues(address, "path" in address ? SOCKET : HOST_AND_PORT, { optional: false });
}

const FILES: Kind = {
  give: "a list of one or more paths",
  is: (value) => TEXTS.is(value) && (value as readonly string[]).length > 0,
};

/** One call of `send()`. Dispose of it at the end of the call. */
export class Caller implements Disposable {
  /** The options, with a signal and functions that never fail in a way of their own. */
  readonly options: SendOptions;
  readonly #signal: AbortSignal | undefined;
  readonly #stop = new AbortController();
  readonly #calls = new Calls();

  /**
   * @throws the reason of a signal that is aborted already
   * @throws {InletError} `usage` for a value that is of the wrong kind
   */
  constructor(address: ServerAddress, files: readonly string[], given: SendOptions) {
    checkAddress(address);
    checkValues({ files, options: given }, { files: FILES, options: OBJECT }, { optional: false });
    checkOptions(given, OPTIONS);
    const { signal, onNotice, onResult, output } = given;
    signal?.throwIfAborted();
    signal?.addEventListener("abort", this.#onAbort);
    this.#signal = signal;
    this.options = {
      ...given,
      signal: this.#stop.signal,
      onNotice: (text) => this.#calls.make(() => onNotice?.(text)),
      onResult: (result) => this.#calls.make(() => onResult?.(result)),
      ...output && { output: (chunk) => this.#take(() => output(chunk)) },
    };
  }

  /** Throws what the call has to end with, if that is not its results. */
  async check(isComplete: boolean): Promise<void> {
    if (!isComplete) this.#signal?.throwIfAborted();
    await this.#calls.check();
  }

  [Symbol.dispose](): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => {
    const cause = this.#signal?.reason;
    this.#stop.abort(new InletError("interrupted", "Interrupted", { cause }));
  };

  /** Calls a function that takes data. An error of it ends the transfer that the data is of. */
  async #take(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (cause) {
      this.#calls.note(cause);
      throw new InletError("aborted", "The output was not taken", { cause });
    }
  }
}
