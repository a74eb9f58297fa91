/**
 * The file system functions that the store calls. In production they are Deno's own; tests
 * substitute ones that fail.
 *
 * @module
 */

/** The functions of Deno that change the disk, or on which such changes depend. */
export type Disk = Pick<
  typeof Deno,
  | "chmodSync"
  | "chownSync"
  | "linkSync"
  | "lstatSync"
  | "mkdirSync"
  | "open"
  | "openSync"
  | "removeSync"
  | "renameSync"
  | "symlinkSync"
  | "utimeSync"
  | "writeFileSync"
>;
