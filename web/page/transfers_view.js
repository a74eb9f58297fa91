// @ts-check
/**
 * Shows what is sent: a line for each file or folder, with what can be done about it, and the water
 * in the inlet, which rises with all of them together.
 *
 * @module
 */

import { find, make, say, setText } from "./dom.js";
import { canPick, fromFiles, fromHandle } from "./gather.js";
import { countOf, durationOf, printable, quoted, sizeOf, speedOf } from "./words.js";

/** @typedef {import("./transfer.js").Transfer} Transfer */
/** @typedef {import("./sending.js").Sender} Sender */

/** Milliseconds between two looks at what moves: as often as a person can read it. */
const LOOK_MS = 250;

/** Most files of a folder that are named one by one. */
const MAX_NAMED = 20;

/** The lines of all transfers. */
export class TransfersView {
  /** @type {Map<Transfer, Row>} */
  #rows = new Map();
  /** @type {Set<Transfer>} */
  #changed = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #looking;
  /** @type {Sender} */
  #sender;
  #list = find("uploads", HTMLUListElement);
  #all = find("all", HTMLButtonElement);

  /** @param {Sender} sender */
  constructor(sender) {
    this.#sender = sender;
    this.#all.addEventListener("click", () => this.#toggleAll());
    find("clear", HTMLButtonElement).addEventListener("click", () => {
      sender.clear();
      this.#look();
      find("files", HTMLInputElement).focus();
    });
  }

  /** @param {Transfer} transfer */
  change(transfer) {
    this.#changed.add(transfer);
    // What is new, or was clicked, shows at once.
    const isNew = !this.#rows.has(transfer);
    if (isNew || transfer.state !== this.#rows.get(transfer)?.state) return this.#look();
    this.#looking ??= setTimeout(() => this.#look(), LOOK_MS);
  }

  /** Goes on with what an earlier page began, where this page may read the files without asking. */
  async resumeKnown() {
    for (const [{ state, handle }, row] of this.#rows) {
      if (state === "asking" && handle && await mayRead(handle, false)) await row.readAgain();
    }
  }

  #look() {
    clearTimeout(this.#looking);
    this.#looking = undefined;
    const { transfers } = this.#sender;
    for (const transfer of this.#changed) {
      if (!transfers.includes(transfer)) continue;
      let row = this.#rows.get(transfer);
      if (!row) {
        this.#rows.set(transfer, row = new Row(transfer, this.#sender));
        this.#list.append(row.element);
      }
      row.show();
    }
    this.#changed.clear();
    for (const [transfer, { element }] of this.#rows) {
      if (transfers.includes(transfer)) continue;
      element.remove();
      this.#rows.delete(transfer);
    }
    this.#sum();
  }

  /** Shows all of them together. */
  #sum() {
    const { transfers } = this.#sender;
    const counted = transfers.filter(({ state }) => state !== "cancelled" && state !== "asking");
    const active = counted.filter(({ isActive }) => isActive);
    const total = (/** @type {"bytes" | "sent" | "speed"} */ key, of = counted) =>
      of.reduce((sum, transfer) => sum + transfer[key], 0);
    const [bytes, sent, speed] = [total("bytes"), total("sent"), total("speed", active)];
    const over = transfers.some(({ state }) => state === "done" || state === "cancelled");
    find("sums", HTMLElement).hidden = transfers.length === 0;
    find("clear", HTMLElement).hidden = !over;
    this.#all.hidden = counted.filter(({ state }) => state !== "done").length < 2;
    setText(this.#all, active.length > 0 ? "Pause all" : "Go on with all");
    const done = counted.filter(({ state }) => state === "done").length;
    const left = active.length > 0 && speed > 0
      ? [speedOf(speed), `${durationOf((bytes - sent) / speed)} left`]
      : [];
    const stored = counted.length > 0 ? [`${done} of ${counted.length} stored`] : [];
    setText(find("sum", HTMLElement), [...stored, ...left].join(" · "));
    const level = bytes > 0 ? sent / bytes : done > 0 ? 1 : 0;
    find("water", HTMLElement).style.setProperty("--level", String(counted.length && level));
    const title = active.length > 0 ? `${Math.floor(level * 100)} % · inlet` : "inlet";
    if (document.title !== title) document.title = title;
  }

  #toggleAll() {
    const { transfers } = this.#sender;
    const active = transfers.filter(({ isActive }) => isActive);
    if (active.length > 0) { for (const transfer of active) this.#sender.pause(transfer); }
    else {
      for (const transfer of transfers) {
        if (transfer.state === "paused" || transfer.state === "stopped") {
          this.#sender.resume(transfer);
        }
      }
    }
  }
}

/** One line. */
class Row {
  /** @type {import("./transfer.js").State | undefined} The one that is shown. */
  state;
  #transfer;
  #sender;
  #facts = make("span");
  #bar = make("progress", { max: 1, value: 0 });
  #note = make("p", { class: "note" });
  #named = make("ul", { class: "named" });
  #act = make("button", { type: "button", onclick: () => this.#next() });
  #cancel;
  #again = make("span", { class: "again" });

  /**
   * @param {Transfer} transfer
   * @param {Sender} sender
   */
  constructor(transfer, sender) {
    this.#transfer = transfer;
    this.#sender = sender;
    const name = printable(transfer.name) + (transfer.isFolder ? "/" : "");
    this.#bar.setAttribute("aria-label", name);
    this.#cancel = make("button", { type: "button", "aria-label": `Cancel ${name}` }, "Cancel");
    this.#cancel.addEventListener("click", () => {
      sender.cancel(transfer);
      this.#act.focus();
    });
    const into = make("span", {}, "into ", make("bdi", {}, printable(transfer.into)), " · ");
    this.element = make(
      "li",
      {},
      make(
        "p",
        { class: "what" },
        make("bdi", { class: "name" }, name),
        " ",
        make("span", { class: "facts" }, transfer.into === "" ? undefined : into, this.#facts),
      ),
      make("p", { class: "acts" }, this.#again, this.#act, " ", this.#cancel),
      this.#bar,
      this.#note,
      this.#named,
    );
  }

  show() {
    const { state, bytes, sent, note } = this.#transfer;
    this.#bar.value = bytes > 0 ? Math.min(1, sent / bytes) : 0;
    this.#bar.hidden = state === "done" || state === "cancelled";
    setText(this.#facts, this.#factsNow());
    const isNews = this.#note.textContent !== note && (state === "stopped" || state === "moving");
    setText(this.#note, state === "done" ? this.#storedAs() : note);
    if (isNews && note !== "") say(`${printable(this.#transfer.name)}: ${note}`);
    this.#name();
    if (state === this.state) return;
    this.state = state;
    this.element.dataset.state = state;
    const what = this.#nextIs();
    setText(this.#act, what ?? "");
    this.#act.hidden = what === undefined;
    if (what) this.#act.setAttribute("aria-label", `${what} ${printable(this.#transfer.name)}`);
    if (this.#cancel === document.activeElement && isOver(state)) this.#act.focus();
    this.#cancel.hidden = isOver(state);
    this.#again.replaceChildren(...state === "asking" ? this.#askAgain() : []);
  }

  #factsNow() {
    const { state, isFolder, count, done, bytes, sent, speed } = this.#transfer;
    const files = isFolder
      ? [state === "done" ? countOf(count, "file") : `${done} of ${countOf(count, "file")}`]
      : [];
    const amount = sent === 0 || sent >= bytes
      ? sizeOf(bytes)
      : `${sizeOf(sent)} of ${sizeOf(bytes)}`;
    const facts = [...files, amount];
    if (state === "moving" && speed > 0) {
      facts.push(speedOf(speed), `${durationOf((bytes - sent) / speed)} left`);
    } else if (state === "moving" && sent >= bytes && bytes > 0) facts.push("being stored");
    else if (state === "waiting") facts.push("waits for its turn");
    else if (state === "paused") facts.push("paused");
    else if (state === "asking") facts.push("not finished");
    else if (state === "done") facts.push("stored");
    return facts.join(" · ");
  }

  /** What became of the names: a file never replaces another one. */
  #storedAs() {
    const { isFolder, renamed } = this.#transfer;
    if (renamed.length === 0) return this.#unread();
    const [{ stored = "" } = {}] = renamed;
    if (isFolder) return `${countOf(renamed.length, "file")} got another name:`;
    const why = / \(\d+\)[^/]*$/.test(stored) ? ", because its name was taken" : "";
    return `Stored as ${quoted(stored)}${why}.`;
  }

  #unread() {
    const { unread } = this.#transfer;
    return unread === 0 ? "" : `${countOf(unread, "file")} could not be read on your device.`;
  }

  /** Names the files of a folder that need a word. */
  #name() {
    const { isFolder, state, refused, renamed } = this.#transfer;
    const parts = !isFolder ? [] : refused.length > 0 ? refused : state === "done" ? renamed : [];
    if (this.#named.dataset.count === String(parts.length)) return;
    this.#named.dataset.count = String(parts.length);
    this.#named.replaceChildren(
      ...parts.slice(0, MAX_NAMED).map(({ path, stored, trouble }) =>
        make(
          "li",
          {},
          make("bdi", {}, printable(path)),
          ` ${trouble ?? "is now"} `,
          trouble === undefined ? make("bdi", {}, printable(stored ?? "")) : undefined,
        )
      ),
    );
    const more = parts.length - MAX_NAMED;
    if (more > 0) this.#named.append(make("li", {}, `and ${countOf(more, "file")} more`));
  }

  /** What the button does. */
  #nextIs() {
    const { state, handle } = this.#transfer;
    if (state === "moving" || state === "waiting") return "Pause";
    if (state === "paused") return "Go on";
    if (state === "stopped") return "Try again";
    if (state === "cancelled") return "Take back";
    if (state === "asking" && handle) return "Go on";
    return undefined;
  }

  async #next() {
    const [transfer, sender] = [this.#transfer, this.#sender];
    if (transfer.state === "moving" || transfer.state === "waiting") sender.pause(transfer);
    else if (transfer.state === "cancelled") sender.undo(transfer);
    else if (transfer.state === "asking") await this.readAgain();
    else sender.resume(transfer);
  }

  /** Reads a file again that an earlier page was sending, if the person permits it. */
  async readAgain() {
    const { handle } = this.#transfer;
    if (!handle) return;
    try {
      if (!await mayRead(handle, true)) return;
      await this.#sender.supply(this.#transfer, await fromHandle(handle));
    } catch {
      this.#transfer.handle = undefined;
      this.#transfer.note = "It is no longer where it was. Choose it again.";
      this.state = undefined;
      this.show();
    }
  }

  /** What asks for the file again, where there is no handle. */
  #askAgain() {
    const { handle, isFolder, name } = this.#transfer;
    if (handle) return [];
    const input = make("input", {
      type: "file",
      webkitdirectory: isFolder,
      onchange: async () => {
        const [gathered] = fromFiles(input.files ?? []);
        if (gathered) await this.#sender.supply(this.#transfer, gathered);
        input.value = "";
      },
    });
    return [
      make(
        "label",
        {},
        `To go on, choose it again `,
        make("span", { class: "unseen" }, printable(name)),
        " ",
        input,
      ),
      " ",
    ];
  }
}

/** @param {import("./transfer.js").State} state */
function isOver(state) {
  return state === "done" || state === "cancelled";
}

/**
 * Whether a handle may be read, after a reload.
 *
 * @param {FileSystemHandle} handle
 * @param {boolean} asks Whether the person may be asked, which takes a click.
 * @returns {Promise<boolean>}
 */
async function mayRead(handle, asks) {
  // @ts-ignore: TypeScript's DOM has neither yet.
  const state = await (asks ? handle.requestPermission?.() : handle.queryPermission?.());
  return canPick && (state === "granted" || state === undefined);
}
