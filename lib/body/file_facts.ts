/**
 * What is known of a file beside its bytes.
 *
 * @module
 */

/** The metadata of a file that go with it to the other side. */
export interface Facts {
  /** Time of the last change. */
  modified?: Date | undefined;
  /** Permission bits, at most 0o777. The side that makes the file applies its umask to them. */
  mode?: number | undefined;
  /** CRC-32 of the whole file, if known. A store need not keep it. */
  crc?: number;
}

/** The nine permission bits of what the system tells; `undefined` where it has none (Windows). */
export function permissionsOf(mode: number | null): number | undefined {
  return mode === null ? undefined : mode & 0o777;
}
