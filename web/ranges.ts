/**
 * Ranges of a file: RFC 9110, section 14.
 *
 * @module
 */

/** A part of a file, in bytes. */
export interface Range {
  readonly start: number;
  /** Behind the last one. */
  readonly end: number;
}

/**
 * Decodes the field `Range`.
 *
 * @param size Size of the file in bytes.
 * @returns `undefined` for the whole file: also where several ranges are asked for, or the field is in
 * a form that nobody knows. `null` if the file has no such part.
 */
export function decodeRange(value: string | undefined, size: number): Range | null | undefined {
  const [, first, last] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(value ?? "") ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? null : { start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === "" ? size : Math.min(Number(last) + 1, size);
  if (last !== "" && Number(last) < start) return undefined;
  return start < size ? { start, end } : null;
}
