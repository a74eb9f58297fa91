/**
 * A disk that fails on demand: Deno's own functions, of which one fails the n-th time it is called,
 * or from then on.
 *
 * @module
 */

import type { Disk } from "../../lib/store/disk.ts";

/** What a disk can be asked to do, as far as it can fail here. */
export const OPERATIONS = [
  "mkdir",
  "open",
  "lock",
  "stat",
  "write",
  "sync",
  "link",
  "rename",
  "remove",
] as const;

/** One of them. */
export type Operation = typeof OPERATIONS[number];

/** What is to fail. */
export interface DiskFault {
  operation: Operation;
  /** 1 for the first call from now on. */
  nth: number;
  /** Whether all later calls fail too. */
  forGood: boolean;
  /** The system's own code, like `ENOSPC`; with `SIGKILL` the process is killed before the call. */
  code: string;
}

/** A disk, and the fault that it has. */
export class FaultyDisk {
  #fault: DiskFault | undefined;
  #calls = 0;

  /** Fails as told from now on, or not at all. */
  set fault(fault: DiskFault | undefined) {
    this.#fault = fault;
    this.#calls = 0;
  }

  /** How often what is to fail was called since it was told. */
  get calls(): number {
    return this.#calls;
  }

  /** What the store is handed. */
  readonly disk: Disk = {
    chmodSync: (path, mode) => Deno.chmodSync(path, mode),
    chownSync: (path, uid, gid) => Deno.chownSync(path, uid, gid),
    linkSync: (from, to) => this.#do("link", () => Deno.linkSync(from, to)),
    lstatSync: (path) => this.#do("stat", () => Deno.lstatSync(path)),
    mkdirSync: (path, options) => this.#do("mkdir", () => Deno.mkdirSync(path, options)),
    open: async (path, options) =>
      this.#watched(await this.#do("open", () => Deno.open(path, options))),
    openSync: (path, options) =>
      this.#watched(this.#do("open", () => Deno.openSync(path, options))),
    removeSync: (path, options) => this.#do("remove", () => Deno.removeSync(path, options)),
    renameSync: (from, to) => this.#do("rename", () => Deno.renameSync(from, to)),
    symlinkSync: (to, path) => this.#do("link", () => Deno.symlinkSync(to, path)),
    utimeSync: (path, atime, mtime) => Deno.utimeSync(path, atime, mtime),
    writeFileSync: (path, data, options) => {
      const bytes = data as Uint8Array;
      this.#do(
        "open",
        () => Deno.writeFileSync(path, bytes.subarray(0, bytes.length >> 1), options),
      );
      this.#do("write", () => Deno.writeFileSync(path, bytes));
    },
  };

  #do<T>(operation: Operation, action: () => T): T {
    const fault = this.#fault;
    if (fault?.operation === operation) {
      this.#calls++;
      if (this.#calls === fault.nth || (fault.forGood && this.#calls > fault.nth)) {
        if (fault.code === "SIGKILL") Deno.kill(Deno.pid, "SIGKILL");
        throw Object.assign(new Error(`${fault.code}: this disk fails`), { code: fault.code });
      }
    }
    return action();
  }

  /** A file whose own functions fail too. */
  #watched(file: Deno.FsFile): Deno.FsFile {
    const own = {
      tryLockSync: file.tryLockSync.bind(file),
      statSync: file.statSync.bind(file),
      writeSync: file.writeSync.bind(file),
      sync: file.sync.bind(file),
    };
    return Object.assign(file, {
      tryLockSync: (exclusive?: boolean) => this.#do("lock", () => own.tryLockSync(exclusive)),
      statSync: () => this.#do("stat", own.statSync),
      // Half of it is written before the disk fails: so do disks that fill up.
      writeSync: (bytes: Uint8Array) => {
        own.writeSync(bytes.subarray(0, bytes.length >> 1));
        const rest = bytes.subarray(bytes.length >> 1);
        return this.#do("write", () => (bytes.length >> 1) + own.writeSync(rest));
      },
      // deno-lint-ignore require-await -- it fails as a promise does
      sync: async () => this.#do("sync", own.sync),
    });
  }
}
