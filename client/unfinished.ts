/**
 * The stores that this process writes downloads into, so that a forced end can tidy them. Apart from
 * the stores themselves, which take longer to load than a small file takes to send.
 *
 * @module
 */

import type { Store } from "../lib/store/store.ts";

/** The stores in use. Each adds and removes itself. */
export const unfinished: Set<Pick<Store, "discardAll">> = new Set();
