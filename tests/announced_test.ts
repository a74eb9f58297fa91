/**
 * How much of a body a client reads that it does not want.
 *
 * @module
 */

import { assertThrows } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { Announced, MAX_SKIPPED_BYTES } from "../modes/files/announced.ts";
import { pure } from "./helpers.ts";

pure("a fast server may send more than 64 MiB before it stops, and not for ever", () => {
  const stopped = new InletError("interrupted", "Stopped");
  const announced = new Announced("a", 2 ** 40);
  const chunk = new Uint8Array(1024 * 1024);
  for (let bytes = 0; bytes < 2 * MAX_SKIPPED_BYTES; bytes += chunk.length) {
    announced.check(chunk, stopped);
  }
  const { now } = performance;
  const later = now.call(performance) + 5001;
  try {
    performance.now = () => later;
    assertThrows(() => announced.check(chunk, stopped), InletError, "Stopped");
  } finally {
    performance.now = now;
  }
  const short = new Announced("a", 1);
  assertThrows(() => short.check(chunk, undefined), InletError, "more than the 1 bytes");
});
