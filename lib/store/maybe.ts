/**
 * Goes on with values that may still be promises, without a promise where there is none.
 *
 * @module
 */

/** A value, or a promise of it if that takes a wait. */
export type Maybe<T> = T | Promise<T>;

/** Goes on with a value, or with that of a promise. */
export function then<T, R>(value: Maybe<T>, next: (value: T) => Maybe<R>): Maybe<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
