/** How long notes keep a client waiting. */

import { assertThrows } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { Patience } from "../modes/files/patience.ts";
import { pure } from "./helpers.ts";

/** Does nothing until the clock has moved. */
function aMoment(): void {
  for (const now = performance.now(); performance.now() === now;);
}

pure("Patience ends where notes alone come, and begins anew with each byte of a body", () => {
  const patience = new Patience(0);
  for (let sent = 1; sent <= 10; sent++) {
    patience.noted(sent);
    aMoment();
  }
  assertThrows(() => patience.noted(10), InletError, "Only notes and no reply");
});
