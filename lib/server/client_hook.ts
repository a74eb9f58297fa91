/**
 * What a program is told of the clients of its server.
 *
 * @module
 */

import type { Subject } from "./clients.ts";
import type { ClientWatcher } from "./feed.ts";
import type { Log } from "./log.ts";
import { knownClient, type ServedClient } from "./stored_hook.ts";

/**
 * Something that a client did: it came, its name became known, and with it the user that it has proved to
 * be, or it left. On a server with a key, one that has come need not have the key.
 */
export interface ClientEvent {
  /** `named` comes only on wires with names; over HTTP it can come again. */
  readonly type: "came" | "named" | "left";
  /** The client, as it is known by then. */
  readonly client: ServedClient;
}

/** Is called with what clients do. No client waits for it. */
export type OnClient = (event: ClientEvent) => unknown;

/** Calls a function with what clients do. What it throws is logged. */
export class ClientHook implements ClientWatcher {
  readonly #call: OnClient;
  readonly #log: Log;
  readonly #wire: string;

  /** @param wire The wire of clients that have no other: the mode. */
  constructor(call: OnClient, { log, wire }: { log: Log; wire: string }) {
    this.#call = call;
    this.#log = log;
    this.#wire = wire;
  }

  /** Tells of a client. */
  tell(type: ClientEvent["type"], subject: Subject): void {
    const event = { type, client: knownClient(subject, this.#wire) };
    // Not within the work for the client.
    Promise.resolve(event).then(this.#call).catch((error) => {
      const why = error instanceof Error ? error.message : String(error);
      this.#log.forClient(subject).warn("hook-failed", `the hook for clients failed: ${why}`);
    });
  }
}
