/**
 * Goes on with values that may still be promises, without a promise where there is none.
 *
 * @module
 */

import type { Maybe } from "./store.ts";

/** Goes on with a value, or with that of a promise. */
export function then<T, R>(value: Maybe<T>, next: (value: T) => Maybe<R>): Maybe<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
