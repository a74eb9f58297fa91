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
import type { Comer, WaitingOffer } from "./waiting_offer.ts";
import { type Terms, termsFields } from "./terms.ts";
import { offerWay, type WayOptions } from "./ways.ts";

/** Bytes from which on a direct way is worth the time that it takes to find one. */
const MIN_DIRECT_BYTES = 4 * 1024 * 1024;

/** Sends to whoever comes with the code, as if that were a server. */
export class OfferDialer extends Dialer {
  /** How what is sent gets to the receiver. */
  way: "direct" | "relayed" = "relayed";
  readonly #offer: WaitingOffer;
  readonly #terms: () => Terms;
  readonly #ways: Omit<WayOptions, "standing">;
  #proved: Comer | undefined;

  /** @param ways How to find the way to who comes. */
  constructor(
    offer: WaitingOffer,
    terms: () => Terms,
    ways: Omit<WayOptions, "standing">,
    options: DialerOptions,
  ) {
    let isAgain = false;
    super({ path: "" }, {
      ...options,
      key: undefined,
      resume: true,
      greeting: () => termsFields(terms()),
      compares: () => isAgain,
      retrying: new Coming(options),
    });
    this.#offer = offer;
    this.#terms = terms;
    this.#ways = ways;
    this.#onProved = (proved) => isAgain = proved.isAgain || isAgain;
  }

  readonly #onProved: (proved: Comer) => void;

  override async open(): Promise<Connection> {
    const { progress } = this.context;
    if (this.#proved) this.#offer.lost(this.#proved);
    this.#proved = undefined;
    progress.doing("waiting for the receiver");
    const proved = await this.#offer.next();
    this.#proved = proved;
    this.#onProved(proved);
    const { bytes } = this.#terms();
    const isWorthIt = bytes === null || bytes >= MIN_DIRECT_BYTES;
    const way = await offerWay(proved, {
      ...this.#ways,
      standing: proved.standing,
      isDirect: this.#ways.isDirect && isWorthIt,
    });
    this.way = way.isDirect ? "direct" : "relayed";
    proved.connection = way.connection;
    progress.follow(proved.connection);
    return proved.connection;
  }

  override async approach(connection: Connection): Promise<FilesClient> {
    const client = await super.approach(connection);
    const proved = this.#proved!;
    this.context.progress.doing("waiting until the receiver agrees");
    client.welcomed.then(() => this.#offer.welcomed(proved), () => {});
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
