/**
 * Checks what a program gives to a client, as {@linkcode Caller} does for `send()`.
 *
 * @module
 */

import type { ServerAddress } from "../../lib/address.ts";
import {
  checkOptions,
  checkValues,
  FUNCTION,
  type Kind,
  OBJECT,
  wholeNumber,
} from "../../lib/cli/value_kinds.ts";
import { checkAddress, CLIENT_OPTIONS } from "../caller.ts";
import type { ConnectOptions } from "../send_options.ts";
import type { GetOptions, KeptBeginning, PutOptions } from "./types.ts";

const OPTIONS: Record<keyof ConnectOptions, Kind> = CLIENT_OPTIONS;

const KEPT: Record<keyof KeptBeginning, Kind> = {
  bytes: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  crc: wholeNumber(0, 0xffff_ffff),
};

const CALL: Record<keyof (PutOptions & GetOptions), Kind> = {
  kept: OBJECT,
  signal: CLIENT_OPTIONS.signal,
  onProgress: FUNCTION,
  size: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  modified: {
    give: "a valid Date",
    is: (value) => value instanceof Date && !Number.isNaN(value.getTime()),
  },
  mode: wholeNumber(0, 0o777),
};

/** @throws {InletError} `usage` */
export function checkClient(address: ServerAddress, options: ConnectOptions): void {
  checkAddress(address);
  checkValues({ options }, { options: OBJECT }, { optional: false });
  checkOptions(options, OPTIONS);
}

/** @throws {InletError} `usage` */
export function checkCall(options: PutOptions & GetOptions): void {
  checkValues({ options }, { options: OBJECT }, { optional: false });
  checkOptions(options, CALL);
  if (options.kept) checkValues(options.kept, KEPT, { optional: false });
}
