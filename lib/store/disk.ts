/**
 * What the store asks of the file system. In production these are Deno's own functions; a test hands
 * it a disk that fails.
 *
 * @module
 */

/** The functions of Deno that change what is on the disk, or decide what may be changed. */
export type Disk = Pick<
  typeof Deno,
  | "linkSync"
  | "lstatSync"
  | "mkdirSync"
  | "open"
  | "openSync"
  | "removeSync"
  | "utimeSync"
  | "writeFileSync"
>;
