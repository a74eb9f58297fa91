// @ts-check
/**
 * Shows what is there: one folder, sorted and searched, kept up to date by the events of the server.
 * Of many entries the first ones are made, and the others as they are scrolled to.
 *
 * @module
 */

import { find, make, say, setText } from "./dom.js";
import { adviceFor, countOf, printable, problemIn, sizeOf, timeOf } from "./words.js";

/** Entries that are made at once. */
const BATCH = 200;

/** Milliseconds in which changes are gathered before they are shown. */
const GATHER_MS = 200;

/** Milliseconds without a key after which screen readers are told what a search has found. */
const TELL_MS = 700;

/** Milliseconds for which what has just arrived stands out. */
const NEW_MS = 4000;

/** Milliseconds until a list is asked for again that could not be had. */
const AGAIN_MS = 3000;

/**
 * @typedef {object} Entry
 * @property {string} name Within the folder.
 * @property {number | null} size `null` for a folder or a link.
 * @property {Date} modified
 * @property {string | undefined} to Where a symbolic link leads.
 * @property {boolean} isFolder
 */

/** @typedef {"name" | "size" | "modified"} Key */

const order = new Intl.Collator(undefined, { numeric: true });

/** The list of one folder. */
export class List {
  /** @type {string} The folder that is shown: empty, or with a slash behind. */
  folder = "";
  /** Whether files may be got, and not only be listed. */
  mayGet = true;
  #onSignIn;
  #onFolder;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Map<string, { entry: Entry, row: HTMLTableRowElement }>} */
  #rows = new Map();
  /** @type {Set<string>} */
  #news = new Set();
  /** @type {Key} */
  #key = "name";
  #isAscending = true;
  #shown = BATCH;
  #loads = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #drawing;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #telling;
  #body = /** @type {HTMLTableSectionElement} */ (find("entries", HTMLTableElement).tBodies[0]);
  #search = find("search", HTMLInputElement);
  #more = find("more", HTMLButtonElement);
  #note = find("list-note", HTMLElement);

  /**
   * @param {object} listener
   * @param {() => void} listener.onSignIn
   * @param {() => void} listener.onFolder
   */
  constructor({ onSignIn, onFolder }) {
    this.#onSignIn = onSignIn;
    this.#onFolder = onFolder;
    this.#search.addEventListener("input", () => {
      this.#shown = BATCH;
      this.#draw();
      clearTimeout(this.#telling);
      this.#telling = setTimeout(() => say(this.#note.textContent ?? ""), TELL_MS);
    });
    this.#more.addEventListener("click", () => this.#showMore());
    new IntersectionObserver(([{ isIntersecting } = { isIntersecting: false }]) => {
      if (isIntersecting) this.#showMore();
    }, { rootMargin: "600px" }).observe(this.#more);
    for (const head of find("entries", HTMLTableElement).querySelectorAll("th")) {
      head.querySelector("button")?.addEventListener("click", () => this.#sortBy(head));
    }
    globalThis.addEventListener("hashchange", () => this.open());
  }

  /** Shows the folder of the address. */
  async open() {
    this.folder = folderIn(location.hash);
    this.#onFolder();
    this.#search.value = "";
    this.#shown = BATCH;
    this.#entries.clear();
    this.#showPath();
    await this.load();
  }

  /** Reads the folder again. */
  async load() {
    const load = ++this.#loads;
    clearTimeout(this.#again);
    const address = `files/${encoded(this.folder)}`;
    try {
      const response = await fetch(address, { headers: { Accept: "application/json" } });
      const text = await response.text();
      if (load !== this.#loads) return;
      if (response.ok) this.#take(JSON.parse(text).files);
      else this.#fail(problemIn(response.status, text));
    } catch {
      if (load === this.#loads) this.#fail({ status: 0, code: "", detail: "" });
    }
  }

  /**
   * Takes in what has just been stored.
   *
   * @param {{ name: string, size: number, modified: string }} stored
   */
  add({ name, size, modified }) {
    if (!name.startsWith(this.folder)) return;
    const [first = "", ...rest] = name.slice(this.folder.length).split("/");
    const isFolder = rest.length > 0;
    if (isFolder && this.#entries.has(first)) return;
    this.#entries.set(first, {
      name: first,
      size: isFolder ? null : size,
      modified: new Date(modified),
      to: undefined,
      isFolder,
    });
    this.#news.add(first);
    setTimeout(() => {
      this.#news.delete(first);
      this.#rows.get(first)?.row.classList.remove("new");
    }, NEW_MS);
    this.#drawing ??= setTimeout(() => this.#draw(), GATHER_MS);
  }

  /** @param {{ name: string, size: number | null, modified: string, to?: string }[]} files */
  #take(files) {
    const before = this.#entries;
    this.#entries = new Map(files.map(({ name, size, modified, to }) => {
      const within = name.slice(this.folder.length);
      const old = before.get(within);
      const time = new Date(modified);
      // The row of what has not changed stays: the focus may be in it.
      const isSame = old?.size === size && old.to === to && Number(old.modified) === Number(time);
      const isFolder = size === null && to === undefined;
      return [within, isSame ? old : { name: within, size, modified: time, to, isFolder }];
    }));
    this.#draw();
  }

  /** @param {import("./words.js").Problem} problem */
  #fail(problem) {
    const isGone = problem.status === 404;
    const { cure, words } = adviceFor(problem);
    // What was there before is still the best answer.
    if (cure !== "wait") this.#entries.clear();
    this.#draw();
    if (cure === "sign-in") return this.#onSignIn();
    if (cure === "wait") this.#again = setTimeout(() => this.load(), AGAIN_MS);
    this.#note.replaceChildren(
      isGone ? "There is no such folder. " : `${words} `,
      isGone
        ? make("a", { href: "#/" }, "Show what there is.")
        : make("button", { type: "button", onclick: () => this.load() }, "Try again"),
    );
  }

  /** Makes the rows that are to be seen, and keeps those that are there: the focus may be in one. */
  #draw() {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    const sought = this.#search.value.toLowerCase();
    const found = [...this.#entries.values()].filter(({ name }) =>
      name.toLowerCase().includes(sought)
    );
    found.sort((a, b) => this.#compare(a, b));
    const rows = found.slice(0, this.#shown).map((entry) => this.#rowOf(entry));
    const wanted = new Set(rows);
    for (const [name, { row }] of this.#rows) {
      if (wanted.has(row)) continue;
      row.remove();
      this.#rows.delete(name);
    }
    for (const row of [...this.#body.rows]) if (!wanted.has(row)) row.remove();
    let next = this.#body.firstElementChild;
    for (const row of rows) {
      if (row === next) next = next.nextElementSibling;
      else this.#body.insertBefore(row, next);
    }
    const hidden = found.length - rows.length;
    this.#more.hidden = hidden === 0;
    setText(this.#more, `Show more of the other ${countOf(hidden, "entry", "entries")}`);
    setText(this.#note, this.#words(found.length));
    find("entries", HTMLElement).hidden = this.#entries.size === 0;
    find("tools", HTMLElement).hidden = this.#entries.size === 0;
  }

  /** @param {number} found */
  #words(found) {
    if (this.#entries.size === 0) {
      return this.folder === "" ? "Nothing has come in yet." : "This folder is empty.";
    }
    if (this.#search.value === "") return countOf(found, "entry", "entries");
    return found === 0
      ? "Nothing here has such a name."
      : `${countOf(found, "entry", "entries")} of ${this.#entries.size}`;
  }

  #showMore() {
    const first = this.#body.rows.length;
    const hadFocus = document.activeElement === this.#more;
    this.#shown += BATCH;
    this.#draw();
    if (hadFocus) this.#body.rows[first]?.querySelector("a")?.focus();
  }

  /**
   * @param {Entry} a
   * @param {Entry} b
   */
  #compare(a, b) {
    // Folders are above, whatever the order is.
    if (a.isFolder !== b.isFolder) return a.isFolder ? -1 : 1;
    const byKey = this.#key === "size"
      ? (a.size ?? 0) - (b.size ?? 0)
      : this.#key === "modified"
      ? a.modified.getTime() - b.modified.getTime()
      : 0;
    return (byKey || order.compare(a.name, b.name)) * (this.#isAscending ? 1 : -1);
  }

  /** @param {HTMLTableCellElement} head */
  #sortBy(head) {
    const key = /** @type {Key} */ (head.dataset.key);
    // The largest and the latest are what a person looks for first.
    this.#isAscending = key === this.#key ? !this.#isAscending : key === "name";
    this.#key = key;
    this.#shown = BATCH;
    for (const other of head.parentElement?.children ?? []) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", this.#isAscending ? "ascending" : "descending");
    this.#draw();
  }

  /**
   * @param {Entry} entry
   * @returns {HTMLTableRowElement}
   */
  #rowOf(entry) {
    const made = this.#rows.get(entry.name);
    if (made?.entry === entry) return made.row;
    const { name, size, modified, to, isFolder } = entry;
    const shown = make("bdi", {}, printable(name) + (isFolder ? "/" : ""));
    const path = encoded(this.folder + name);
    const link = isFolder
      ? make("a", { href: `#/${path}/` }, shown)
      : to === undefined && this.mayGet
      ? make("a", { href: `files/${path}`, download: "" }, shown)
      : shown;
    const target = to === undefined ? [] : [" leads to ", make("bdi", {}, printable(to))];
    const [day = "", clock = ""] = timeOf(modified).split(" ");
    const time = make("time", { dateTime: modified.toISOString() }, make("span", {}, day), " ");
    time.append(make("span", {}, clock));
    const row = make(
      "tr",
      {},
      make("th", { scope: "row" }, link, ...target),
      make("td", {}, size === null ? "" : sizeOf(size)),
      make("td", {}, time),
    );
    if (this.#news.has(name)) row.classList.add("new");
    this.#rows.set(name, { entry, row });
    return row;
  }

  /** Shows where the folder is, each part of the way as a link, and what gets all of it. */
  #showPath() {
    const parts = this.folder.split("/").slice(0, -1);
    const links = parts.map((part, index) => {
      const shown = make("bdi", {}, printable(part));
      const way = parts.slice(0, index + 1).map((it) => `${encodeURIComponent(it)}/`).join("");
      return index === parts.length - 1 ? shown : make("a", { href: `#/${way}` }, shown);
    });
    const top = links.length === 0 ? "What is here" : make("a", { href: "#/" }, "What is here");
    find("path", HTMLElement).replaceChildren(top, ...links.flatMap((link) => [" / ", link]));
    const archive = (/** @type {string} */ format) =>
      make("a", { href: `files/${encoded(this.folder)}?archive=${format}`, download: "" }, format);
    const archives = find("archives", HTMLElement);
    archives.hidden = !this.mayGet;
    archives.replaceChildren("All of this as ", archive("zip"), " or ", archive("tar"));
  }
}

/**
 * The folder that an address leads to.
 *
 * @param {string} hash
 * @returns {string}
 */
function folderIn(hash) {
  try {
    const path = decodeURIComponent(hash.replace(/^#\/?|\/$/g, ""));
    // No folder has a part that is empty, or leads up.
    return /(^|\/)\.{0,2}(\/|$)/.test(path) ? "" : `${path}/`;
  } catch {
    return "";
  }
}

/**
 * @param {string} path
 * @returns {string}
 */
function encoded(path) {
  return path.split("/").map(encodeURIComponent).join("/");
}
