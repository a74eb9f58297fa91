// @ts-check
/**
 * Sends a file whole, in one PUT: to a server that keeps nothing unfinished (`--keep-partials 0`), and
 * so takes no uploads that could go on later.
 *
 * @module
 */

import { problemIn, Refused } from "./words.js";

/**
 * Sends a file from its beginning.
 *
 * @param {File} file
 * @param {object} options
 * @param {string} options.path Its name on the server, with folders.
 * @param {AbortSignal} options.signal
 * @param {(sent: number) => void} options.onProgress
 * @returns {Promise<string | undefined>} The name that it was stored under, if the server tells it.
 * @throws {Refused} and what the signal was aborted with
 */
export function put(file, { path, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    // fetch() does not tell how far a body is.
    const request = new XMLHttpRequest();
    const stop = () => {
      request.abort();
      reject(signal.reason);
    };
    request.upload.onprogress = ({ loaded }) => onProgress(Math.min(loaded, file.size));
    request.onerror = () => reject(new Refused({ status: 0, code: "", detail: "" }));
    request.onload = () => {
      const { status, responseText } = request;
      if (status !== 201) return reject(new Refused(problemIn(status, responseText)));
      try {
        resolve(JSON.parse(responseText).name);
      } catch {
        resolve(undefined);
      }
    };
    request.onloadend = () => signal.removeEventListener("abort", stop);
    signal.addEventListener("abort", stop);
    request.open("PUT", `files/${path.split("/").map(encodeURIComponent).join("/")}`);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("Last-Modified", new Date(file.lastModified).toUTCString());
    request.send(file);
  });
}
