// @ts-check
/**
 * The session of this page: its name, what is said, and who is connected, with the start and the end
 * of each. What happens comes as events of the server, which take no client's place.
 *
 * @module
 */

import { find, make, setText } from "./dom.js";
import { adviceFor, printable, problemIn, sizeOf, timeOf } from "./words.js";

/**
 * @typedef {object} Client
 * @property {string} name
 * @property {string} [address]
 * @property {string} wire
 * @property {string} start
 * @property {string | null} [end]
 * @property {{ file: string, bytes: number, size: number | null }} [moving]
 */

/** Most lines of what was said that are kept. */
const MAX_SAID = 200;

/** Most clients of before that are shown. */
const MAX_GONE = 20;

/** Where the name of this person is remembered. */
const NAME_KEY = "inlet name";

/** The session. */
export class Session {
  #listener;
  /** @type {EventSource | undefined} */
  #events;
  #name = stored();
  #said = find("said-here", HTMLElement);
  #trouble = find("talk-trouble", HTMLElement);

  /**
   * @param {object} listener
   * @param {(stored: { name: string, size: number, modified: string }) => void} listener.onStored
   * @param {() => void} listener.onBack The server is there, at first or again.
   * @param {() => void} listener.onRefused The server takes this page no more.
   */
  constructor(listener) {
    this.#listener = listener;
    const input = find("name", HTMLInputElement);
    input.value = this.#name;
    find("naming", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#name = input.value.trim();
      remember(this.#name);
      this.open();
    });
    find("talking", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#talk(find("text", HTMLInputElement));
    });
    const details = find("session", HTMLDetailsElement);
    const wide = matchMedia("(min-width: 60rem)");
    details.open = wide.matches;
    wide.addEventListener("change", () => details.open = wide.matches);
  }

  /** Listens to the server, under the name of this person. */
  open() {
    this.#events?.close();
    const events = this.#events = new EventSource(`events${this.#query()}`);
    events.addEventListener("open", () => this.#listener.onBack());
    events.addEventListener("error", () => {
      if (events.readyState === EventSource.CLOSED) this.#listener.onRefused();
    });
    events.addEventListener("stored", ({ data }) => this.#listener.onStored(JSON.parse(data)));
    events.addEventListener("clients", ({ data }) => this.#showClients(JSON.parse(data)));
    events.addEventListener("message", ({ data }) => {
      const { from, text } = JSON.parse(data);
      this.#tell(from, text);
    });
  }

  /** Stops listening. */
  close() {
    this.#events?.close();
    this.#events = undefined;
  }

  #query() {
    return this.#name === "" ? "" : `?name=${encodeURIComponent(this.#name)}`;
  }

  /** @param {HTMLInputElement} input */
  async #talk(input) {
    const text = input.value;
    setText(this.#trouble, "");
    try {
      const response = await fetch(`talk${this.#query()}`, {
        method: "POST",
        headers: { "Content-Type": "text/plain" },
        body: text,
      });
      const answer = await response.text();
      if (!response.ok) {
        return setText(this.#trouble, adviceFor(problemIn(response.status, answer)).words);
      }
      this.#tell("server", answer.trimEnd());
      // What was typed meanwhile stays.
      if (input.value === text) input.value = "";
    } catch {
      setText(this.#trouble, "No connection to the server. Nothing was said; say it again.");
    }
  }

  /**
   * @param {string} from
   * @param {string} text
   */
  #tell(from, text) {
    const lines = /** @type {HTMLElement} */ (this.#said.firstElementChild);
    lines.append(make(
      "li",
      {},
      make("bdi", { class: "from" }, printable(from)),
      " ",
      make("bdi", {}, printable(text)),
    ));
    while (lines.childElementCount > MAX_SAID) lines.firstElementChild?.remove();
    this.#said.scrollTop = this.#said.scrollHeight;
  }

  /** @param {Client[]} clients */
  #showClients(clients) {
    const here = clients.filter(({ end }) => !end);
    const gone = clients.filter(({ end }) => end);
    setText(find("connected", HTMLElement), `${here.length} connected`);
    const late = gone.sort((a, b) => String(b.end).localeCompare(String(a.end))).slice(0, MAX_GONE);
    const body = find("clients", HTMLTableElement).tBodies[0];
    body?.replaceChildren(...[...here, ...late].map(rowOf));
    find("clients", HTMLElement).hidden = clients.length === 0;
  }
}

/**
 * @param {Client} client
 * @returns {HTMLTableRowElement}
 */
function rowOf({ name, address, wire, start, end, moving }) {
  const facts = [address, wire].filter(Boolean).join(" · ");
  const moves = moving && make(
    "span",
    { class: "facts" },
    make("bdi", {}, printable(moving.file)),
    moving.size ? ` ${sizeOf(moving.bytes)} of ${sizeOf(moving.size)}` : ` ${sizeOf(moving.bytes)}`,
  );
  return make(
    "tr",
    {},
    make(
      "th",
      { scope: "row" },
      make("bdi", {}, name === "" ? "without a name" : printable(name)),
      " ",
      make("span", { class: "facts" }, facts),
      " ",
      moves,
    ),
    make("td", {}, clock(start)),
    make("td", {}, end ? clock(end) : "connected"),
  );
}

/** @param {string} time */
function clock(time) {
  return make("time", { dateTime: time }, timeOf(new Date(time), { short: true }));
}

/** @returns {string} */
function stored() {
  try {
    return localStorage.getItem(NAME_KEY) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} name */
function remember(name) {
  try {
    localStorage.setItem(NAME_KEY, name);
  } catch {
    // Then it holds until the page is left.
  }
}
