/**
 * The errors of the operating system, each with our code and the reason in words.
 *
 * Some mean one thing on a connection and another on a disk: a file system in user space, or of a
 * file server, has lost its connection where a socket would have lost its peer.
 *
 * @module
 */

import type { ErrorCode } from "../protocol.ts";

/** Our code for an error of the system, and the reason. */
export type Explanation = readonly [code: ErrorCode | "lost", why: string];

/**
 * The code of an error of the system, such as `ENOSPC`; `undefined` for any other error. Deno gives
 * no code for about half of them, but ends the message with the number: `(os error 27)`.
 */
export function systemCode(error: unknown): string | undefined {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (typeof code === "string") return code;
  const [, number] = /\(os error (\d+)\)/.exec(String(message)) ?? [];
  return number === undefined ? undefined : NUMBERS[Number(number)];
}

const UNREACHABLE: Explanation = ["disk", "its file server cannot be reached"];
const UNSUPPORTED: Explanation = ["disk", "the disk does not support it"];
const MISSING: Explanation = ["disk", "the disk is missing"];
const DAMAGED: Explanation = ["disk", "the file system is damaged"];
const NO_KEY: Explanation = ["denied", "the key of the disk is missing or has expired"];
const NOT_PERMITTED: Explanation = ["denied", "the system does not permit it"];
const TOO_MANY_FILES: Explanation = ["overloaded", "too many files are open"];
const NO_MEMORY: Explanation = ["overloaded", "the system is out of memory"];

/** What they mean about a disk. Every known error is here. */
export const DISK_ERRORS: ReadonlyMap<string, Explanation> = new Map(Object.entries({
  ENOSPC: ["no-space", "the disk is full"],
  EDQUOT: ["no-space", "the disk quota is used up"],
  EFBIG: ["no-space", "the disk or a limit of the system does not permit a file of that size"],
  EMLINK: ["no-space", "the disk does not permit that many links"],
  EACCES: NOT_PERMITTED,
  EPERM: NOT_PERMITTED,
  EROFS: ["denied", "the disk is read-only"],
  ELOOP: ["denied", "the path has too many symbolic links"],
  ENOKEY: NO_KEY,
  EKEYEXPIRED: NO_KEY,
  EKEYREJECTED: NO_KEY,
  ENOENT: ["not-found", "it does not exist"],
  ENOTDIR: ["not-found", "a part of the path is not a folder"],
  EEXIST: ["bad-name", "a file of that name exists"],
  EISDIR: ["bad-name", "it is a folder"],
  ENAMETOOLONG: ["bad-name", "the name is too long for the disk"],
  EILSEQ: ["bad-name", "the disk cannot store that name"],
  EMFILE: TOO_MANY_FILES,
  ENFILE: TOO_MANY_FILES,
  ENOMEM: NO_MEMORY,
  ENOBUFS: NO_MEMORY,
  EAGAIN: ["overloaded", "the system has no resources for it now"],
  EIO: ["disk", "the disk reported an I/O error"],
  EREMOTEIO: ["disk", "the disk reported an I/O error on its server"],
  EINVAL: ["disk", "the disk does not accept the name or the operation"],
  ENOTSUP: UNSUPPORTED,
  EOPNOTSUPP: UNSUPPORTED,
  ENOSYS: UNSUPPORTED,
  ENOTTY: UNSUPPORTED,
  EXDEV: ["disk", "it is on another disk"],
  ESTALE: ["disk", "its file server has lost it"],
  ENOTEMPTY: ["disk", "the folder is not empty"],
  EBUSY: ["disk", "it is in use"],
  ETXTBSY: ["disk", "it is a program that is running"],
  ENOLCK: ["disk", "the disk has no locks left"],
  EDEADLK: ["disk", "it is locked"],
  EINTR: ["disk", "a signal interrupted it"],
  ECANCELED: ["disk", "it was cancelled"],
  EOVERFLOW: ["disk", "a number of the file is too large for the system"],
  ENODATA: DAMAGED,
  EUCLEAN: DAMAGED,
  EBADMSG: DAMAGED,
  ENODEV: MISSING,
  ENXIO: MISSING,
  ENOMEDIUM: MISSING,
  EPIPE: ["disk", "its reader has closed it"],
  EPROTO: ["disk", "its file server sent an invalid answer"],
  ETIMEDOUT: ["disk", "the disk does not answer"],
  ETIME: ["disk", "the disk does not answer"],
  ENOTCONN: ["disk", "the file system is not connected"],
  ESHUTDOWN: ["disk", "the file system is not connected"],
  ECONNABORTED: ["disk", "the file system was disconnected"],
  ECONNRESET: ["disk", "its file server closed the connection"],
  ENETRESET: ["disk", "its file server closed the connection"],
  ECOMM: UNREACHABLE,
  ENOLINK: UNREACHABLE,
  ENONET: UNREACHABLE,
  ENETDOWN: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  EHOSTDOWN: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ECONNREFUSED: UNREACHABLE,
}));

const NO_ROUTE: Explanation = ["lost", "the peer cannot be reached"];

/** What those mean about a connection that mean something else there. */
export const NETWORK_ERRORS: ReadonlyMap<string, Explanation> = new Map(Object.entries({
  ECONNRESET: ["lost", "the peer reset the connection"],
  EPIPE: ["lost", "the peer closed the connection"],
  ESHUTDOWN: ["lost", "the peer closed the connection"],
  ECONNABORTED: ["lost", "the connection was aborted"],
  ENETRESET: ["lost", "the connection was aborted"],
  ECANCELED: ["lost", "the connection was aborted"],
  EPROTO: ["lost", "the connection was aborted"],
  ENOTCONN: ["lost", "the connection is closed"],
  ETIMEDOUT: ["lost", "the peer does not answer"],
  ECONNREFUSED: ["lost", "the peer refused the connection"],
  ENODEV: NO_ROUTE,
  ENETDOWN: NO_ROUTE,
  ENETUNREACH: NO_ROUTE,
  ENONET: NO_ROUTE,
  EHOSTDOWN: NO_ROUTE,
  EHOSTUNREACH: NO_ROUTE,
}));

const NUMBERS: Readonly<Record<number, string>> = numbersOf(Deno.build.os);

/** The numbers of the errors for which Deno has no code. */
function numbersOf(os: typeof Deno.build.os): Record<number, string> {
  // These have the number of Unix Version 7 everywhere.
  const common = {
    4: "EINTR",
    6: "ENXIO",
    19: "ENODEV",
    23: "ENFILE",
    25: "ENOTTY",
    26: "ETXTBSY",
    27: "EFBIG",
    31: "EMLINK",
  };
  switch (os) {
    case "windows":
      return {
        1: "ENOTSUP",
        4: "EMFILE",
        17: "EXDEV",
        19: "EROFS",
        21: "ENXIO",
        23: "EIO",
        32: "EBUSY",
        33: "EBUSY",
        39: "ENOSPC",
        50: "ENOTSUP",
        53: "EHOSTUNREACH",
        64: "ENETRESET",
        112: "ENOSPC",
        123: "EINVAL",
        145: "ENOTEMPTY",
        206: "ENAMETOOLONG",
        223: "EFBIG",
        303: "EBUSY",
        1117: "EIO",
        1142: "EMLINK",
        1295: "EDQUOT",
      };
    case "darwin":
      return {
        ...common,
        11: "EDEADLK",
        45: "ENOTSUP",
        41: "EPROTOTYPE",
        47: "EAFNOSUPPORT",
        50: "ENETDOWN",
        52: "ENETRESET",
        58: "ESHUTDOWN",
        64: "EHOSTDOWN",
        69: "EDQUOT",
        70: "ESTALE",
        77: "ENOLCK",
        78: "ENOSYS",
        84: "EOVERFLOW",
        92: "EILSEQ",
        94: "EBADMSG",
        100: "EPROTO",
      };
    default:
      return {
        ...common,
        35: "EDEADLK",
        37: "ENOLCK",
        38: "ENOSYS",
        61: "ENODATA",
        62: "ETIME",
        64: "ENONET",
        67: "ENOLINK",
        70: "ECOMM",
        71: "EPROTO",
        74: "EBADMSG",
        75: "EOVERFLOW",
        84: "EILSEQ",
        91: "EPROTOTYPE",
        97: "EAFNOSUPPORT",
        100: "ENETDOWN",
        102: "ENETRESET",
        108: "ESHUTDOWN",
        112: "EHOSTDOWN",
        116: "ESTALE",
        117: "EUCLEAN",
        121: "EREMOTEIO",
        122: "EDQUOT",
        123: "ENOMEDIUM",
        124: "ENOMEDIUM",
        126: "ENOKEY",
        127: "EKEYEXPIRED",
        129: "EKEYREJECTED",
      };
  }
}
