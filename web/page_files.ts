/**
 * The files of the page, as text: so that the server needs no permission to read them, and
 * `deno compile` puts them into its programs.
 *
 * @module
 */

import { loadText } from "../lib/packages.ts";
import html from "./page/index.html" with { type: "text" };
import css from "./page/page.css" with { type: "text" };
import domJs from "./page/dom.js" with { type: "text" };
import gatherJs from "./page/gather.js" with { type: "text" };
import listJs from "./page/list.js" with { type: "text" };
import memoryJs from "./page/memory.js" with { type: "text" };
import pageJs from "./page/page.js" with { type: "text" };
import sendingJs from "./page/sending.js" with { type: "text" };
import sessionJs from "./page/session.js" with { type: "text" };
import signInJs from "./page/sign_in.js" with { type: "text" };
import transferJs from "./page/transfer.js" with { type: "text" };
import transfersViewJs from "./page/transfers_view.js" with { type: "text" };
import uploadJs from "./page/upload.js" with { type: "text" };
import wordsJs from "./page/words.js" with { type: "text" };

/** The page itself. */
export const INDEX = "index.html";

/** The text of each file, by its name, or what loads it. Each file of page/ has a row. */
export const PAGE_FILES: Readonly<Record<string, string | (() => Promise<string>)>> = {
  [INDEX]: html,
  "page.css": css,
  "dom.js": domJs,
  "gather.js": gatherJs,
  "list.js": listJs,
  "memory.js": memoryJs,
  "page.js": pageJs,
  "sending.js": sendingJs,
  "session.js": sessionJs,
  "sign_in.js": signInJs,
  "transfer.js": transferJs,
  "transfers_view.js": transfersViewJs,
  "upload.js": uploadJs,
  "words.js": wordsJs,
  "tus.js": () => loadText("tus-js-client", "dist/tus.min.js"),
};
