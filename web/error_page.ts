/**
 * A failure as a page for people: what could not be done, why, and what to do now.
 *
 * @module
 */

import type { Code, InletError } from "../lib/errors.ts";
import { printable } from "../lib/text.ts";
import { escaped, PAGE_END, pageHead } from "./html.ts";

/** What a failure is called, and what to do. */
type Words = readonly [title: string, advice: string];

const ASK = "Ask whoever runs this server.";
const AGAIN = "Try again. If it stays like this, tell whoever runs this server.";

/** For what is the person's to change, or nobody's. The rest is the matter of the server. */
const WORDS: { readonly [Which in Code]?: Words } = {
  "aborted": ["Stopped", "Send it again."],
  "bad-name": ["This name does not work", "Give it another name, and try again."],
  "bad-request": ["This did not work", "Go back, and try it another way."],
  "busy": ["The server is full", "Wait for a moment, and load this page again."],
  "changed": ["It changed meanwhile", "Try again."],
  "checksum": ["It arrived damaged", "Send it again."],
  "denied": ["Not permitted", ASK],
  "lost": ["The connection was lost", "Send it again."],
  "no-space": ["The server has no room left", `Nothing was stored. ${ASK}`],
  "not-found": ["Not found", "It may have another name now, or be gone."],
  "overloaded": ["The server is busy", "Wait for a moment, and try again."],
  "shutdown": ["The server stops", "Try again later."],
  "timeout": ["It took too long", "Try again, on a better connection."],
  "too-large": [
    "Too large",
    "Nothing was stored. Send something smaller, or ask for a higher limit.",
  ],
  "wait": ["Too early", "Wait for a moment, and try again."],
};

/**
 * Encodes a failure as a page.
 *
 * @param base What precedes every path of the server.
 */
export function errorPage(status: number, { code, message }: InletError, base: string): string {
  const [title, advice] = status === 401
    ? ["Sign in", "Whoever runs this server has the key."]
    : WORDS[code] ?? ["The server failed", AGAIN];
  return `${pageHead(title)}<p>${escaped(printable(message))}.\n<p>${advice}\n` +
    (status === 401 ? signInForm(base) : "") +
    `<p><a href="${base}/">To the start</a>\n<p><small>${status} ${code}</small>\n${PAGE_END}`;
}

function signInForm(base: string): string {
  return `<form method="post" action="${base}/sign-in">\n` +
    '<label>Key <input type="password" name="key" required autocomplete="current-password">' +
    "</label>\n<button>Sign in</button>\n</form>\n";
}
