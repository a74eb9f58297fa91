/**
 * Properties of the functions that make names on disk, whatever they are fed.
 *
 * @module
 */

import { assert } from "@std/assert";
import fc from "fast-check";
import { InletError } from "../../lib/errors.ts";
import { numberedName, safeName } from "../../lib/store/names.ts";
import { checkName, hostileName } from "../hostile_names.ts";

/** Most bytes of one component that a file system takes. */

function attempt(make: () => string): string | undefined {
  try {
    return make();
  } catch (error) {
    assert(
      error instanceof InletError && error.code === "bad-name",
      `not refused but broken: ${error}`,
    );
    assert(!/\p{Cc}/u.test(error.message), "the refusal carries a control character");
    return undefined;
  }
}

function checkNames(name: string, number: number): void {
  const safe = attempt(() => safeName(name));
  if (safe === undefined) return;
  checkName(safe);
  assert(safeName(safe) === safe, "another name the second time");
  const numbered = attempt(() => numberedName(safe, number));
  if (numbered === undefined) return;
  checkName(numbered);
  assert(safeName(numbered) === numbered, "another name with its number");
  assert((numbered === safe) === (number === 1), "no number in the name");
}

/** Tries so many names. */
export function fuzzNames(cases: number, seed: number): void {
  const number = fc.oneof(
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 1, max: 2 ** 53 - 1 }),
  );
  fc.assert(fc.property(hostileName, number, checkNames), { numRuns: cases, seed });
}
