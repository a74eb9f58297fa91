// @ts-check
/**
 * The queue of what is sent: several files at once, that can be paused, cancelled and taken back,
 * and go on by themselves when the line or the server is there again. It knows nothing of elements:
 * transfers_view.js shows it.
 *
 * @module
 */

import { forget, keep, keepPart, partsOf } from "./memory.js";
import { Transfer } from "./transfer.js";
import { Lulls, removeUpload, Unreadable, upload } from "./upload.js";
import { adviceFor, quoted, Refused } from "./words.js";

/** Files that are sent at the same time. */
const AT_ONCE = 3;

/** Most milliseconds between two attempts. */
const LULL_MS = 10_000;

/** Milliseconds for which the server keeps what was cancelled, so that it can be taken back whole. */
const REGRET_MS = 10_000;

/** Milliseconds between two notes of how far a file is, for a page that comes later. */
const KEEP_MS = 2000;

/**
 * What the queue tells.
 *
 * @typedef {object} Listener
 * @property {(transfer: Transfer) => void} onChange
 * @property {(transfer: Transfer) => void} onDone
 * @property {() => void} onNeedsKey
 */

/** The queue. */
export class Sender {
  /** @type {Transfer[]} */
  transfers = [];
  /** @type {number | null} */
  maxFileBytes = null;
  /** Who has signed in; empty if nobody has to. */
  user = "";
  #listener;
  #running = 0;
  #lulls = new Lulls();

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
    globalThis.addEventListener("online", () => this.wake());
  }

  /** Whether leaving the page would interrupt something. */
  get isMoving() {
    return this.transfers.some(({ isActive }) => isActive);
  }

  /**
   * Sends something. What an earlier page began goes on.
   *
   * @param {import("./gather.js").Gathered} gathered
   * @param {string} into The folder of the server: empty, or with a slash behind.
   */
  async add(gathered, into) {
    const known = this.#findKnown(gathered);
    if (known) return await this.supply(known, gathered);
    const transfer = new Transfer({ ...gathered, into });
    this.transfers.push(transfer);
    this.#fill(transfer, gathered, new Map());
  }

  /**
   * Shows what an earlier page began, until its files are given again.
   *
   * @param {import("./memory.js").Kept} kept
   */
  async offer(kept) {
    if (this.transfers.some(({ id }) => id === kept.id)) return;
    const transfer = new Transfer(kept);
    const parts = await partsOf(kept.id);
    transfer.state = "asking";
    transfer.handle = kept.handle;
    transfer.count = kept.count;
    transfer.bytes = kept.bytes;
    for (const { isDone, sent } of parts.values()) {
      transfer.sent += sent;
      if (isDone) transfer.done++;
    }
    this.transfers.push(transfer);
    this.#changed(transfer);
  }

  /**
   * Gives what was begun by an earlier page its files again.
   *
   * @param {Transfer} transfer
   * @param {import("./gather.js").Gathered} gathered
   */
  async supply(transfer, gathered) {
    const [file] = gathered.files;
    const size = transfer.isFolder ? transfer.bytes : file?.file.size;
    if (gathered.name !== transfer.name || size !== transfer.bytes) {
      transfer.note = `That is another one. To go on, choose ${quoted(transfer.name)} as it was; ` +
        "to send the other one, choose it at the top.";
      return this.#changed(transfer);
    }
    transfer.sent = 0;
    // Nobody can give it its files twice meanwhile.
    transfer.state = "paused";
    this.#fill(transfer, gathered, await partsOf(transfer.id));
  }

  /** @param {Transfer} transfer */
  pause(transfer) {
    this.#halt(transfer, "paused", "");
  }

  /**
   * Goes on with what was paused or has failed.
   *
   * @param {Transfer} transfer
   */
  resume(transfer) {
    for (const part of transfer.parts) part.trouble = undefined;
    transfer.failed = 0;
    transfer.state = "waiting";
    transfer.needsKey = false;
    transfer.note = "";
    this.#changed(transfer);
    this.#pump();
  }

  /** Goes on with what waited for the key. */
  resumeAll() {
    for (const transfer of this.transfers) if (transfer.needsKey) this.resume(transfer);
    this.wake();
  }

  /** @param {Transfer} transfer */
  cancel(transfer) {
    transfer.before = transfer.isActive ? "waiting" : transfer.state;
    this.#halt(transfer, "cancelled", "Cancelled.");
    transfer.regret = setTimeout(() => this.#remove(transfer), REGRET_MS);
  }

  /**
   * Takes back that something was cancelled.
   *
   * @param {Transfer} transfer
   */
  undo(transfer) {
    clearTimeout(transfer.regret);
    this.#keep(transfer);
    if (transfer.before === "waiting") return this.resume(transfer);
    transfer.state = transfer.before;
    transfer.note = "";
    this.#changed(transfer);
  }

  /** Takes what is over off the list. */
  clear() {
    for (const transfer of this.transfers) {
      if (transfer.state !== "cancelled") continue;
      clearTimeout(transfer.regret);
      this.#remove(transfer);
    }
    this.transfers = this.transfers.filter(({ state }) =>
      state !== "done" && state !== "cancelled"
    );
  }

  /** Tries at once what waits for the line. */
  wake() {
    this.#lulls.end();
  }

  /** @param {import("./gather.js").Gathered} gathered */
  #findKnown({ name, isFolder, files }) {
    return this.transfers.find((transfer) =>
      transfer.state === "asking" && transfer.name === name && transfer.isFolder === isFolder &&
      (isFolder || transfer.bytes === files[0]?.file.size)
    );
  }

  /**
   * @param {Transfer} transfer
   * @param {import("./gather.js").Gathered} gathered
   * @param {ReadonlyMap<string, import("./memory.js").KeptPart>} known What an earlier page has sent.
   */
  #fill(transfer, { files, handle, unread = 0 }, known) {
    transfer.fill(files, known);
    transfer.unread = unread;
    transfer.handle = handle ?? transfer.handle;
    this.#keep(transfer);
    this.resume(transfer);
    this.#finish(transfer);
  }

  /** @param {Transfer} transfer */
  #keep({ id, name, into, isFolder, count, bytes, handle }) {
    keep({ id, user: this.user, name, into, isFolder, count, bytes, handle });
  }

  /**
   * @param {Transfer} transfer
   * @param {import("./transfer.js").Part} part
   */
  #keepPart({ id }, { path, file, url, sent, isDone }) {
    keepPart({ id, path, size: file.size, modified: file.lastModified, url, sent, isDone });
  }

  /** Begins what has its turn. */
  #pump() {
    for (const transfer of this.transfers) {
      if (!transfer.isActive) continue;
      for (const part of transfer.parts) {
        if (this.#running >= AT_ONCE) return;
        if (part.isDone || part.running || part.trouble !== undefined) continue;
        this.#running++;
        this.#send(transfer, part).finally(() => {
          this.#running--;
          this.#finish(transfer);
          this.#pump();
        });
      }
    }
  }

  /**
   * Sends one file, as often as it takes.
   *
   * @param {Transfer} transfer
   * @param {import("./transfer.js").Part} part
   */
  async #send(transfer, part) {
    const running = part.running = new AbortController();
    const { signal } = running;
    transfer.state = "moving";
    this.#changed(transfer);
    for (let attempt = 0; !signal.aborted; attempt++) {
      const before = part.sent;
      try {
        part.stored = await this.#upload(transfer, part, signal) ?? part.path;
        transfer.track(part, part.file.size, true);
        transfer.done++;
        transfer.note = "";
        if (transfer.isFolder) this.#keepPart(transfer, part);
        break;
      } catch (error) {
        if (signal.aborted) break;
        if (part.sent > before) attempt = 0;
        const waits = this.#fail(transfer, part, error);
        if (!waits) break;
        await this.#lulls.wait(Math.min(LULL_MS, 1000 * 2 ** attempt), signal);
      }
    }
    if (part.running === running) part.running = undefined;
  }

  /**
   * @param {Transfer} transfer
   * @param {import("./transfer.js").Part} part
   * @param {AbortSignal} signal
   */
  #upload(transfer, part, signal) {
    let moved = false;
    let kept = performance.now();
    const { path, url, file } = part;
    return upload(file, {
      ...{ path, url, signal },
      onUrl: (url) => {
        part.url = url;
        this.#keepPart(transfer, part);
      },
      onProgress: (sent) => {
        const now = performance.now();
        if (now - kept > KEEP_MS) {
          kept = now;
          this.#keepPart(transfer, part);
        }
        transfer.track(part, sent, moved);
        moved = true;
        transfer.note = "";
        this.#changed(transfer);
      },
    });
  }

  /**
   * Says what has failed, and decides what becomes of it.
   *
   * @param {Transfer} transfer
   * @param {import("./transfer.js").Part} part
   * @param {unknown} error
   * @returns {boolean} Whether to try again by itself.
   */
  #fail(transfer, part, error) {
    if (error instanceof Unreadable || !(error instanceof Refused)) {
      this.#refuse(
        transfer,
        part,
        "It was changed, moved or removed on your device. Send it again.",
      );
      return false;
    }
    const { status, code } = error.problem;
    if (part.url !== undefined && (status === 404 || status === 410)) {
      // The server keeps what is unfinished for a time only: this begins again.
      part.url = undefined;
      transfer.track(part, 0, false);
      return true;
    }
    const { cure, words } = adviceFor(error.problem, this);
    if (cure === "wait") {
      transfer.note = words;
      this.#changed(transfer);
      return true;
    }
    transfer.needsKey = cure === "sign-in";
    // What no other file of it would fare better with.
    const isGeneral = cure === "sign-in" || code === "no-space" || status === 403;
    if (isGeneral || !transfer.isFolder) this.#halt(transfer, "stopped", words);
    else this.#refuse(transfer, part, words);
    if (transfer.needsKey) this.#listener.onNeedsKey();
    return false;
  }

  /**
   * @param {Transfer} transfer
   * @param {import("./transfer.js").Part} part
   * @param {string} words
   */
  #refuse(transfer, part, words) {
    part.trouble = words;
    transfer.failed++;
  }

  /**
   * Ends what is sent of a transfer.
   *
   * @param {Transfer} transfer
   * @param {import("./transfer.js").State} state
   * @param {string} note
   */
  #halt(transfer, state, note) {
    transfer.state = state;
    transfer.note = note;
    for (const part of transfer.parts) {
      if (!part.running) continue;
      part.running.abort();
      part.running = undefined;
      if (part.url !== undefined) this.#keepPart(transfer, part);
    }
    this.#changed(transfer);
    this.#pump();
  }

  /**
   * Looks whether all of a transfer is over.
   *
   * @param {Transfer} transfer
   */
  #finish(transfer) {
    if (!transfer.isActive) return;
    const { count, done, failed } = transfer;
    if (done + failed < count) return this.#changed(transfer);
    if (failed > 0) {
      transfer.state = "stopped";
      transfer.note = transfer.isFolder ? "" : transfer.refused[0]?.trouble ?? "";
      return this.#changed(transfer);
    }
    transfer.state = "done";
    forget(transfer.id);
    this.#changed(transfer);
    this.#listener.onDone(transfer);
  }

  /**
   * Has the server forget what was cancelled.
   *
   * @param {Transfer} transfer
   */
  async #remove(transfer) {
    const kept = await partsOf(transfer.id);
    const urls = new Set([...kept.values()].filter(({ isDone }) => !isDone).map(({ url }) => url));
    for (const { isDone, url } of transfer.parts) if (!isDone) urls.add(url);
    forget(transfer.id);
    for (const url of urls) if (url !== undefined) removeUpload(url);
  }

  /** @param {Transfer} transfer */
  #changed(transfer) {
    this.#listener.onChange(transfer);
  }
}
