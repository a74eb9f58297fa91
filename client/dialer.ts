/**
 * A caller's side of any conversation: how the server is reached, under which name, and what happens
 * when the connection is lost.
 *
 * @module
 */

import { connect, type ServerAddress } from "../lib/net/connect.ts";
import type { Connection } from "../lib/net/connection.ts";
import type { ClientContext } from "../lib/cli/client_context.ts";
import { Progress } from "../lib/cli/progress.ts";
import type { RateLimit } from "../lib/net/rate_limit.ts";
import { resumption } from "./report.ts";
import { Retries } from "./retry.ts";
import { FilesClient } from "../modes/files/client.ts";

/** What a client calls itself when nobody says. */
export const DEFAULT_NAME = "inlet";

/** Options of a {@linkcode Dialer}. */
export interface DialerOptions {
  /**
   * What this client calls itself.
   *
   * @default {"inlet"}
   */
  name?: string;
  /**
   * Milliseconds that connecting may take, and that nothing may move.
   *
   * @default {30_000}
   */
  timeoutMs?: number;
  /**
   * The key of the server, where it asks for one.
   *
   * @default {undefined}
   */
  key?: string | undefined;
  /**
   * The limit of bytes a second, both ways together, over everything that is handed the same one.
   *
   * @default {undefined}
   */
  rate?: RateLimit | undefined;
  /** Stops everything. Its reason is what every unfinished file fails with. */
  signal?: AbortSignal;
  /** A line that shows what moves. */
  progress?: Progress;
  /**
   * Takes what the server answers, in modes that answer with data. A chunk is valid until what this
   * returns has settled.
   *
   * @default drops it
   */
  output?: (chunk: Uint8Array) => Promise<void>;
  /**
   * Whether what arrived of a large file is kept when the connection breaks, so that a later call goes
   * on with it.
   *
   * @default {false}
   */
  resume?: boolean;
  /**
   * How often to try again after the connection was lost, or could not be made, with longer and longer
   * waits of up to a minute. More than none implies `resume`.
   *
   * @default {0}
   */
  retries?: number;
  /** Told what a person may want to know: what is skipped, where a file goes on, what is waited for. */
  onNotice?: (text: string) => void;
}

/** What it takes to talk to one server, as often as needed. */
export class Dialer {
  readonly context: ClientContext;
  readonly retries: Retries;
  readonly #address: ServerAddress;
  readonly #options: DialerOptions;

  constructor(address: ServerAddress, options: DialerOptions) {
    const { progress = new Progress(false), key, resume = false, retries = 0, onNotice } = options;
    this.#address = address;
    this.#options = options;
    this.retries = new Retries({
      limit: retries,
      signal: options.signal,
      onNotice: (text) => onNotice?.(text),
    });
    this.context = {
      progress,
      key,
      output: options.output ?? (() => Promise.resolve()),
      resume: resume || retries > 0,
      onResume: (label, offset, size) => {
        this.retries.reached(label, offset);
        onNotice?.(resumption(label, offset, size));
      },
    };
  }

  /** Connects to the server. */
  async open(): Promise<Connection> {
    const { timeoutMs = 30_000, signal = new AbortController().signal, rate } = this.#options;
    const connection = await connect(this.#address, { timeoutMs, signal, rate });
    this.context.progress.follow(connection);
    return connection;
  }

  /** Opens the native conversation. */
  async greet(connection: Connection): Promise<FilesClient> {
    return await FilesClient.greet(connection, this.#options.name ?? DEFAULT_NAME, this.context);
  }

  /** Holds the native conversation, anew where it was lost and that was asked for. */
  async withSession(action: (client: FilesClient) => Promise<void>): Promise<void> {
    await this.retries.run(async () => {
      using connection = await this.open();
      const client = await this.greet(connection);
      await action(client);
      await client.exit();
    });
  }
}
