/**
 * HTTP under requests that nobody would send by mistake.
 *
 * @module
 */

import { fuzzHttp } from "./fuzz/http.ts";
import { integration } from "./helpers.ts";

/** The same in every run. tests/fuzz/main.ts tries others, and more of them. */
const SEED = 20250101;

integration(
  "a server answers any request in HTTP or closes, and stores whole bodies only",
  async () => {
    await fuzzHttp(600, SEED);
  },
);
