// @ts-check
/**
 * Signs in with a key or a token, and out. The key goes to the server in one request, and is kept
 * nowhere: the server gives a cookie that scripts cannot read.
 *
 * @module
 */

import { find, setText } from "./dom.js";
import { problemIn } from "./words.js";

/** Most bytes of the file of a key or a token. */
const MAX_KEY_BYTES = 16 * 1024;

/** @param {() => Promise<void>} onChange What follows when this visitor is another one. */
export function watchSignIn(onChange) {
  const form = find("sign-in", HTMLFormElement);
  const key = find("key", HTMLInputElement);
  const file = find("key-file", HTMLInputElement);
  const note = find("sign-in-note", HTMLElement);
  const attempt = async (/** @type {string} */ text) => {
    setText(note, "");
    const words = await signIn(text);
    setText(note, words);
    if (words !== "") return key.select();
    key.value = "";
    await onChange();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(key.value);
  });
  file.addEventListener("change", async () => {
    const [chosen] = file.files ?? [];
    file.value = "";
    if (!chosen) return;
    if (chosen.size > MAX_KEY_BYTES) return setText(note, "That file is too large to be a key.");
    await attempt(await chosen.text());
  });
  key.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text") ?? "";
    // The input would join the lines of the file of a token.
    if (!text.trim().includes("\n")) return;
    event.preventDefault();
    attempt(text);
  });
}

/** @returns {Promise<void>} */
export async function signOut() {
  await fetch("sign-out", { method: "POST", headers: { Accept: "application/json" } });
}

/**
 * @param {string} key
 * @returns {Promise<string>} What went wrong; empty if nothing did.
 */
async function signIn(key) {
  try {
    const response = await fetch("sign-in", {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams({ key }),
    });
    if (response.ok) return "";
    const { status } = problemIn(response.status, await response.text());
    if (status === 401) return "That is not the key of this server, or of one of its users.";
    if (status === 429 || status === 503) {
      return "Too many attempts. Wait a minute, then try again.";
    }
    return `The server refused it (${status}).`;
  } catch {
    return "No connection to the server. Try again.";
  }
}
