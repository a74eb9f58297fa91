/**
 * The offering client's way to the receiver: each connection is a tunnel that the receiver has made.
 *
 * @module
 */

import { explain, type InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { FilesClient } from "../../modes/files/client.ts";
import { Dialer, type DialerOptions } from "../dialer.ts";
import { Retries } from "../retry.ts";
import type { Attendance } from "./attendance.ts";
import { type Terms, termsFields } from "./terms.ts";
import type { Proved } from "./tunnel.ts";

/** Sends to whoever comes with the code, as if that were a server. */
export class OfferDialer extends Dialer {
  readonly #attendance: Attendance;
  #proved: Proved | undefined;

  constructor(attendance: Attendance, terms: () => Terms, options: DialerOptions) {
    let isAgain = false;
    super({ path: "" }, {
      ...options,
      key: undefined,
      resume: true,
      greeting: () => termsFields(terms()),
      compares: () => isAgain,
      retrying: new Coming(options),
    });
    this.#attendance = attendance;
    this.#onProved = (proved) => isAgain = proved.isAgain || isAgain;
  }

  readonly #onProved: (proved: Proved) => void;

  override async open(): Promise<Connection> {
    const { progress } = this.context;
    if (this.#proved) this.#attendance.lost(this.#proved);
    this.#proved = undefined;
    progress.doing("waiting for the receiver");
    const proved = await this.#attendance.next();
    this.#proved = proved;
    this.#onProved(proved);
    progress.follow(proved.connection);
    return proved.connection;
  }

  override async approach(connection: Connection): Promise<FilesClient> {
    const client = await super.approach(connection);
    const proved = this.#proved!;
    this.context.progress.doing("waiting until the receiver agrees");
    client.welcomed.then(() => this.#attendance.welcomed(proved), () => {});
    return client;
  }
}

/** Waits for the receiver, who can come again until the offer is over. */
class Coming extends Retries {
  readonly #onNotice: (text: string) => void;

  constructor({ onNotice = () => {}, signal }: DialerOptions) {
    super({ limit: Infinity, onNotice, signal });
    this.#onNotice = onNotice;
  }

  override wait(error: InletError): Promise<void> {
    const { message } = explain(error);
    this.#onNotice(`${message}; the receiver can come again with the same code`);
    return Promise.resolve();
  }
}
