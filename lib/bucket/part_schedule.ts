/**
 * Where the parts of an upload begin and end.
 *
 * A part covers the same bytes whoever sends it: a late one of an earlier holder of the upload has
 * the content of the one that replaces it. So the schedule stands in the state of the upload, and
 * never changes.
 *
 * The limits are Amazon's: 10,000 parts, each but the last of 5 MiB at least.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { formatBytes } from "../text.ts";

const MIB = 1024 * 1024;

/** Most parts of an upload. */
const MAX_PARTS = 10_000;

/** Fewest bytes of a part that is not the last. */
const LEAST_PART_BYTES: number = 5 * MIB;

/** Bytes of a part, where that is enough. */
export const PART_BYTES: number = 8 * MIB;

/** Most bytes of a part, as each is held in memory until it is stored. */
const MOST_PART_BYTES: number = 64 * MIB;

/** Runs of parts of one size, in their order: how many, and bytes of each. */
export type PartSchedule = readonly (readonly [parts: number, bytes: number])[];

/** Of a body whose end nobody knows: small parts first, and room for 461 GiB in all. */
const GROWING: PartSchedule = [
  [1000, PART_BYTES],
  [1000, 2 * PART_BYTES],
  [2000, 4 * PART_BYTES],
  [6000, MOST_PART_BYTES],
];

/** The bytes that a part covers. */
export interface PartRange {
  /** Where it begins. */
  readonly offset: number;
  /** How many bytes it has; the last part of an upload may have fewer. */
  readonly bytes: number;
}

/**
 * Chooses where the parts of a body begin.
 *
 * @param size In bytes; `null` if it is not known.
 * @throws {InletError} `too-large` if its parts would not fit into memory
 */
export function scheduleFor(size: number | null): PartSchedule {
  if (size === null) return GROWING;
  const wanted = Math.ceil(size / MAX_PARTS / MIB) * MIB;
  const schedule: PartSchedule = [[MAX_PARTS, Math.max(wanted, PART_BYTES)]];
  if (wanted > MOST_PART_BYTES) throw tooLarge(MAX_PARTS * MOST_PART_BYTES);
  return schedule;
}

/**
 * Returns what a part covers.
 *
 * @param number From 1.
 * @throws {InletError} `too-large` if there is no such part any more
 */
export function partRange(schedule: PartSchedule, number: number): PartRange {
  let offset = 0;
  let before = number - 1;
  for (const [parts, bytes] of schedule) {
    if (before < parts) return { offset: offset + before * bytes, bytes };
    offset += parts * bytes;
    before -= parts;
  }
  throw tooLarge(offset);
}

/** Checks a schedule that was read; returns `undefined` if it is none. */
export function decodeSchedule(value: unknown): PartSchedule | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  let all = 0;
  for (const run of value) {
    if (!Array.isArray(run) || run.length !== 2) return undefined;
    const [parts, bytes] = run;
    if (!isWithin(parts, 1, MAX_PARTS)) return undefined;
    if (!isWithin(bytes, LEAST_PART_BYTES, MOST_PART_BYTES)) return undefined;
    all += parts;
  }
  return all <= MAX_PARTS ? value as unknown as PartSchedule : undefined;
}

function isWithin(value: unknown, least: number, most: number): value is number {
  return Number.isSafeInteger(value) && value as number >= least && value as number <= most;
}

function tooLarge(limit: number): InletError {
  const why = `the limit of a bucket is ${formatBytes(limit)}`;
  return new InletError("too-large", `Cannot store the file: ${why}`);
}
