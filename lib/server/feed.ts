/**
 * What happens at a server, told to whoever watches it: the page for browsers. While nobody does, it
 * costs nothing.
 *
 * @module
 */

import type { Stored } from "../../protocol.ts";

/** Is told at once what happens. */
export interface Watcher {
  /** A file was stored. */
  stored(stored: Pick<Stored, "name" | "size">): void;
  /** A client that may talk to others said something. */
  said(from: string, text: string): void;
}

/** The place of a watcher. */
export class Feed {
  watcher: Watcher | undefined;
}
