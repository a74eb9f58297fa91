/**
 * What happens at a server, told to whoever watches it: the page for browsers, and the operator's hook.
 * While nobody does, it costs nothing.
 *
 * @module
 */

import type { Stored } from "../../protocol.ts";
import type { Subject } from "./clients.ts";

/** Is told at once what happens. */
export interface Watcher {
  /** A file was stored. */
  stored(stored: Pick<Stored, "name" | "size">): void;
  /** A client that may talk to others said something. */
  said(from: string, text: string): void;
}

/** Is told at once of each stored file, and who sent it. */
export interface Hook {
  stored(stored: Stored, sender: Subject): void;
}

/** Is told at once of each client that comes, says its name and leaves. */
export interface ClientWatcher {
  tell(type: "came" | "named" | "left", subject: Subject): void;
}

/** Is told at once of each normal event of the log, also where none is written. */
export interface EventWatcher {
  /** @param event What its line has in JSON. */
  tell(event: { readonly event: string }): void;
}

/** The places of those who are told. */
export class Feed {
  watcher: Watcher | undefined;
  /** What is done with each stored file. */
  hook: Hook | undefined;
  /** What is done when clients come and leave. */
  clients: ClientWatcher | undefined;
  /** Who prints events. */
  events: EventWatcher | undefined;
}
