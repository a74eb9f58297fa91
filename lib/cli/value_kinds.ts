/**
 * Kinds of values that a program gives to the library. A program without type checking can give
 * anything, and is told in one line what was wrong, before anything is done.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { nearest } from "./nearest.ts";

/** A kind of value. */
export interface Kind {
  /** What to give, for the message: `a text`. */
  readonly give: string;
  is(value: unknown): boolean;
  /** Whether no message may show the value. */
  readonly isSecret?: boolean;
}

/** The longest time that a timer can wait, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const TEXT: Kind = { give: "a text", is: (value) => typeof value === "string" };

export const SOME_TEXT: Kind = {
  give: "a text that is not empty",
  is: (value) => TEXT.is(value) && value !== "",
};

export const TEXTS: Kind = {
  give: "a list of texts",
  is: (value) => Array.isArray(value) && value.every((one) => typeof one === "string"),
};

export const FLAG: Kind = { give: "true or false", is: (value) => typeof value === "boolean" };

export const FUNCTION: Kind = { give: "a function", is: (value) => typeof value === "function" };

export const OBJECT: Kind = {
  give: "an object",
  is: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
};

export const MILLISECONDS: Kind = milliseconds(1);

export const MILLISECONDS_OR_NONE: Kind = milliseconds(0);

/** A number of bytes, of bytes per second, or of milliseconds that no timer waits for. */
export const AMOUNT: Kind = {
  give: "a number from 0",
  is: (value) => isWithin(value, 0, Infinity),
};

/** A whole number within a range. */
export function wholeNumber(min: number, max: number): Kind {
  return {
    give: `a whole number from ${min}${max === Infinity ? "" : ` to ${max}`}`,
    is: (value) => Number.isInteger(value) && isWithin(value, min, max),
  };
}

/** One of a set of words. */
export function oneOf(words: readonly string[]): Kind {
  return { give: `one of ${words.join(", ")}`, is: (value) => words.some((one) => one === value) };
}

/**
 * Checks options, none of which has to be given.
 *
 * @throws {InletError} `usage` for the first one that does not exist, or is of another kind
 */
export function checkOptions(options: object, kinds: Readonly<Record<string, Kind>>): void {
  const known = Object.keys(kinds);
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const near = nearest(unknown, known);
    const hint = near === undefined ? `give some of ${known.join(", ")}` : `the nearest is ${near}`;
    throw new InletError("usage", `Cannot use ${quoted(unknown)} as an option: ${hint}`);
  }
  checkValues(options, kinds, { optional: true });
}

/**
 * Checks the values of an object, which may have others too.
 *
 * @param options.optional Whether a value may be `undefined`, and gets its default elsewhere.
 * @throws {InletError} `usage` for the first one that is of another kind
 */
export function checkValues(
  values: object,
  kinds: Readonly<Record<string, Kind>>,
  { optional }: { optional: boolean },
): void {
  for (const [name, { give, is, isSecret = false }] of Object.entries(kinds)) {
    const value = (values as Record<string, unknown>)[name];
    if (is(value) || (optional && value === undefined)) continue;
    const what = isSecret ? "this value" : shown(value);
    throw new InletError("usage", `Cannot use ${what} as ${name}: give ${give}`);
  }
}

function milliseconds(min: number): Kind {
  return {
    give: `milliseconds from ${min} to ${MAX_TIMER_MS}`,
    is: (value) => isWithin(value, min, MAX_TIMER_MS),
  };
}

function isWithin(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && value >= min && value <= max;
}

/** A value for a message: `"5000"` is a text, and `5000` a number. */
function shown(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "this list";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
