// @ts-check
/**
 * Sends one file by tus, once: it goes on where the upload at its address ends, and settles when the
 * file is stored, when something fails, or when it is told to stop. Whether to try again is decided by
 * sending.js.
 *
 * @module
 */

import { problemIn, Refused } from "./words.js";

/**
 * The little of tus-js-client that is used.
 *
 * @typedef {object} TusUpload
 * @property {string | null} url
 * @property {() => void} start
 * @property {() => Promise<void>} abort
 */

/**
 * @typedef {object} TusResponse
 * @property {() => number} getStatus
 * @property {(name: string) => string | undefined} getHeader
 * @property {() => string} getBody
 */

/** @typedef {{ Upload: new (file: File, options: object) => TusUpload }} Tus */

/** Milliseconds without a byte after which a connection counts as dead. */
const SILENT_MS = 60_000;

/** The native client resumes files from this size on. */
const FINGERPRINT_BYTES = 1024 * 1024;

/** @type {Promise<Tus> | undefined} */
let loading;

/** How often that has failed. */
let failures = 0;

/**
 * Loads the client of tus: at the first file, or before, when all else is there.
 *
 * @returns {Promise<Tus | undefined>} Nothing if the server does not have it.
 * @throws {Refused} if the server cannot be asked now
 */
export async function loadTus() {
  // Not a literal: the file is made by the server, and is not beside this one. A browser may not ask
  // for the same address again.
  const file = `./tus.js${failures > 0 ? `?${failures}` : ""}`;
  try {
    loading ??= import(file).then(() => Reflect.get(globalThis, "tus"));
    return await loading;
  } catch {
    loading = undefined;
    failures++;
    const status = await fetch(new URL(file, import.meta.url)).then(
      ({ status }) => status,
      () => 0,
    );
    // It could not fetch the package.
    if (status === 500) return undefined;
    throw new Refused({ status: status === 200 ? 0 : status, code: "", detail: "" });
  }
}

/** The file can no longer be read on this device. */
export class Unreadable extends Error {}

/**
 * @typedef {object} Options
 * @property {string} path Its name on the server, with folders.
 * @property {string | undefined} url The address of an upload to go on with.
 * @property {AbortSignal} signal
 * @property {(url: string) => void} onUrl
 * @property {(sent: number) => void} onProgress
 */

/**
 * What tus-js-client reads files by. Chromium sends a file that is whole twice as fast as a slice of
 * it, be that as long as the file.
 */
const READER = {
  /** @param {File} file */
  openFile: (file) =>
    Promise.resolve({
      size: file.size,
      slice: (/** @type {number} */ start, /** @type {number} */ end) => {
        const isWhole = start === 0 && end >= file.size;
        const value = isWhole ? file : file.slice(start, end);
        return Promise.resolve({ value, done: end >= file.size });
      },
      close() {},
    }),
};

/** Whether the server was seen to take whole files only. */
let isPutOnly = false;

/**
 * Sends a file.
 *
 * @param {File} file
 * @param {Options} options
 * @returns {Promise<string | undefined>} The name that it was stored under, if the server tells it.
 * @throws {Refused | Unreadable} and what the signal was aborted with
 */
export async function upload(file, options) {
  const { signal, url } = options;
  try {
    const [tus, metadata] = await Promise.all([loadTus(), metadataOf(file, options)]);
    signal.throwIfAborted();
    if (isPutOnly || !tus) return await put(file, options);
    return await resumable(tus, file, metadata, options).catch(async (error) => {
      if (url !== undefined || !(error instanceof Refused) || error.problem.status !== 403) {
        throw error;
      }
      // The page knows that this visitor may store files: so it is what is unfinished that is not kept.
      const stored = await put(file, options);
      isPutOnly = true;
      return stored;
    });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Refused && error.problem.status !== 0) throw error;
    // A file that is gone, or was changed, fails as a line does.
    if (!await isReadable(file)) throw new Unreadable();
    throw error;
  }
}

/**
 * Sends a file by tus.
 *
 * @param {Tus} tus
 * @param {File} file
 * @param {Record<string, string>} metadata
 * @param {Options} options
 * @returns {Promise<string | undefined>}
 */
function resumable({ Upload }, file, metadata, { url, signal, onUrl, onProgress }) {
  return new Promise((resolve, reject) => {
    const silence = new Silence(() => {
      stop();
      reject(new Refused({ status: 0, code: "", detail: "" }));
    });
    const over = () => {
      silence.end();
      signal.removeEventListener("abort", leave);
    };
    const running = new Upload(file, {
      // Without an endpoint it makes no new upload where the server is only busy.
      endpoint: url ? undefined : new URL("uploads/", document.baseURI).href,
      uploadUrl: url,
      metadata,
      fileReader: READER,
      retryDelays: null,
      storeFingerprintForResuming: false,
      // No file is sent before the address of its upload is known: if the response was lost, it
      // would be sent and stored a second time.
      uploadDataDuringCreation: false,
      onUploadUrlAvailable: () => running.url && onUrl(running.url),
      onProgress: (/** @type {number} */ sent) => {
        silence.wasBroken();
        onProgress(sent);
      },
      onSuccess: (/** @type {{ lastResponse: TusResponse }} */ { lastResponse }) => {
        over();
        resolve(nameIn(lastResponse));
      },
      onError: (/** @type {{ originalResponse?: TusResponse | null }} */ error) => {
        over();
        reject(new Refused(problemOf(error.originalResponse)));
      },
    });
    const stop = () => {
      over();
      running.abort();
    };
    const leave = () => {
      stop();
      reject(signal.reason);
    };
    signal.addEventListener("abort", leave);
    running.start();
  });
}

/**
 * Sends a file whole, in one PUT: to a server that keeps nothing unfinished (`--keep-partials 0`), and
 * so takes no uploads that could go on later.
 *
 * @param {File} file
 * @param {Options} options
 * @returns {Promise<string | undefined>}
 */
function put(file, { path, signal, onProgress }) {
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

/**
 * Has the server remove an upload. It removes what is not finished by itself, later, if this fails.
 *
 * @param {string} url
 */
export async function removeUpload(url) {
  const request = { method: "DELETE", headers: { "Tus-Resumable": "1.0.0" }, keepalive: true };
  await fetch(url, request).catch(() => {});
}

/** Ends what is silent for too long. */
class Silence {
  #last = performance.now();
  #timer;

  /** @param {() => void} onTooLong */
  constructor(onTooLong) {
    this.#timer = setInterval(() => {
      if (performance.now() - this.#last > SILENT_MS) onTooLong();
    }, SILENT_MS / 4);
  }

  wasBroken() {
    this.#last = performance.now();
  }

  end() {
    clearInterval(this.#timer);
  }
}

/**
 * @param {TusResponse | null | undefined} response
 * @returns {import("./words.js").Problem}
 */
function problemOf(response) {
  if (!response) return { status: 0, code: "", detail: "" };
  return problemIn(response.getStatus(), response.getBody() ?? "");
}

/**
 * @param {TusResponse} response
 * @returns {string | undefined}
 */
function nameIn(response) {
  const path = response.getHeader("Inlet-Name");
  return path === undefined || path === null ? undefined : decodeURIComponent(path);
}

/**
 * @param {File} file
 * @returns {Promise<boolean>}
 */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {File} file
 * @param {Pick<Options, "path" | "url">} options
 * @returns {Promise<Record<string, string>>}
 */
async function metadataOf(file, { path, url }) {
  const filename = path.slice(path.lastIndexOf("/") + 1);
  const modified = new Date(file.lastModified).toISOString();
  const isNew = url === undefined && file.size >= FINGERPRINT_BYTES;
  const fingerprint = isNew ? await fingerprintOf(file) : undefined;
  return {
    filename,
    // Beyond the year 9999 it would have another form.
    ...modified.length === 24 && { modified },
    ...filename !== path && { relativePath: path },
    ...fingerprint && { fingerprint },
  };
}

/**
 * What the native client finds the upload by, to finish it with `--resume`: PROTOCOL.md, reput.
 *
 * @param {File} file
 * @returns {Promise<string | undefined>} Nothing for pages that come in the clear from elsewhere.
 */
async function fingerprintOf(file) {
  if (!globalThis.crypto.subtle) return undefined;
  const ends = Math.min(file.size, 1024 * 1024);
  const content = new Blob([
    `inlet file ${file.size} ${file.lastModified}\n`,
    file.slice(0, ends),
    file.slice(file.size - ends),
  ]);
  const digest = await crypto.subtle.digest("SHA-256", await content.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Waits between two attempts. All of them end as soon as the server is there again. */
export class Lulls {
  /** @type {Set<() => void>} */
  #ends = new Set();

  /** Ends all of them. */
  end() {
    for (const end of [...this.#ends]) end();
  }

  /**
   * @param {number} milliseconds
   * @param {AbortSignal} signal Ends it too.
   * @returns {Promise<void>}
   */
  wait(milliseconds, signal) {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#ends.delete(end);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      this.#ends.add(end);
      signal.addEventListener("abort", end);
    });
  }
}
