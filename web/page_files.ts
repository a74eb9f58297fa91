/**
 * The files of the page, as text: so that the server needs no permission to read them, and
 * `deno compile` puts them into its programs.
 *
 * @module
 */

import { loadText } from "./packages.ts";
import html from "./page/index.html" with { type: "text" };
import css from "./page/page.css" with { type: "text" };
import js from "./page/page.js" with { type: "text" };

/** The page itself. */
export const INDEX = "index.html";

/** The text of each file, by its name, or what loads it. Each file of page/ has a row. */
export const PAGE_FILES: Readonly<Record<string, string | (() => Promise<string>)>> = {
  [INDEX]: html,
  "page.css": css,
  "page.js": js,
  "tus.js": () => loadText("tus-js-client", "dist/tus.min.js"),
};
