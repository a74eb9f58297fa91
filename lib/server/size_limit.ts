/**
 * The limit on the size of one file or message.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { formatBytes } from "../text.ts";

/**
 * Refuses a size above the limit.
 *
 * @param what The action, for the message: `store "a.txt"`.
 * @param size In bytes, as is the limit.
 * @throws {InletError} `too-large`
 */
export function checkSize(what: string, size: number, maxBytes: number): void {
  if (size > maxBytes) {
    const rounded = maxBytes < 1024 ? "" : ` (${formatBytes(maxBytes)})`;
    throw new InletError("too-large", `Cannot ${what}: the limit is ${maxBytes} bytes${rounded}`);
  }
}
