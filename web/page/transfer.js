// @ts-check
/**
 * What is sent: a file, or a folder with all files in it, as far as it has come.
 *
 * @module
 */

/** Milliseconds over which the speed is measured. */
const SPEED_MS = 5000;

/**
 * - `waiting`: its turn comes.
 * - `asking`: it was begun by a page that is gone, and its files have to be chosen again.
 * - `stopped`: something failed that a person has to look at.
 *
 * @typedef {"waiting" | "moving" | "paused" | "asking" | "stopped" | "cancelled" | "done"} State
 */

/** One file of a transfer. */
export class Part {
  /** @type {string | undefined} The address of its upload. */
  url;
  /** @type {string | undefined} The name that it got. */
  stored;
  /** @type {string | undefined} Why it was refused. */
  trouble;
  /** @type {AbortController | undefined} Stops it while it is being sent. */
  running;
  sent = 0;

  /**
   * @param {string} path Its name on the server.
   * @param {File} file
   */
  constructor(path, file) {
    this.path = path;
    this.file = file;
  }

  get isDone() {
    return this.stored !== undefined;
  }
}

/** A file, or a folder, on its way. */
export class Transfer {
  /** @type {Part[]} */
  parts = [];
  /** @type {State} */
  state = "waiting";
  /** What a person should know about it. */
  note = "";
  /** Whether it waits for the key. */
  needsKey = false;
  sent = 0;
  bytes = 0;
  count = 0;
  done = 0;
  /** Files that were refused. */
  failed = 0;
  /** Files that this device did not let the page read. */
  unread = 0;
  /** @type {FileSystemHandle | undefined} */
  handle;
  /** @type {State} What it was before it was cancelled. */
  before = "waiting";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  regret;
  /** @type {{ at: number, sent: number }[]} */
  #samples = [];

  /** @param {{ id?: string, name: string, into: string, isFolder: boolean }} what */
  constructor({ id = newId(), name, into, isFolder }) {
    this.id = id;
    this.name = name;
    this.into = into;
    this.isFolder = isFolder;
  }

  /** Those that have another name now than they had here. */
  get renamed() {
    return this.parts.filter(({ path, stored }) => stored !== undefined && stored !== path);
  }

  get refused() {
    return this.parts.filter(({ trouble }) => trouble !== undefined);
  }

  get isActive() {
    return this.state === "waiting" || this.state === "moving";
  }

  /** Bytes a second; 0 if that is not known yet. */
  get speed() {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last || last.at - first.at < 500) return 0;
    return Math.max(0, (last.sent - first.sent) / (last.at - first.at) * 1000);
  }

  /**
   * Takes its files.
   *
   * @param {readonly { file: File, path: string }[]} files
   * @param {ReadonlyMap<string, import("./memory.js").KeptPart>} known What an earlier page has sent.
   */
  fill(files, known) {
    this.parts = files.map(({ file, path }) => {
      const part = new Part(this.into + path, file);
      const kept = known.get(part.path);
      if (kept && kept.size === file.size && kept.modified === file.lastModified) {
        part.url = kept.url;
        if (kept.isDone) part.stored = part.path;
        part.sent = kept.isDone ? kept.size : kept.sent;
      }
      return part;
    });
    this.count = files.length;
    this.done = this.parts.filter(({ isDone }) => isDone).length;
    this.bytes = this.parts.reduce((sum, { file }) => sum + file.size, 0);
    this.sent = this.parts.reduce((sum, { sent }) => sum + sent, 0);
  }

  /**
   * Takes down what has arrived of a part.
   *
   * @param {Part} part
   * @param {number} sent
   * @param {boolean} moved Whether it moved now, and was not only found to be there.
   */
  track(part, sent, moved) {
    const step = sent - part.sent;
    this.sent += step;
    part.sent = sent;
    const now = performance.now();
    // What was there before is no speed.
    if (!moved) { for (const sample of this.#samples) sample.sent += step; }
    this.#samples.push({ at: now, sent: this.sent });
    while ((this.#samples[0]?.at ?? now) < now - SPEED_MS) this.#samples.shift();
  }
}

/** @returns {string} */
function newId() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((it) => it.toString(16)).join("");
}
