// @ts-check
/**
 * The session of this page: its name, what is said, and who is connected. What happens comes as
 * events, which take no client's place.
 *
 * @module
 */

import { find, make, setText } from "./dom.js";
import { adviceFor, printable, problemIn, quoted, sizeOf, timeOf } from "./words.js";

/**
 * @typedef {object} Client
 * @property {number} number
 * @property {string} name
 * @property {string} [address]
 * @property {string} wire
 * @property {string} start
 * @property {string} [end]
 * @property {true} [reachable]
 * @property {{ file: string, bytes: number, size: number | null }} [moving]
 */

/** Most lines of what was said that are kept. */
const MAX_SAID = 200;

/** Milliseconds out of sight after which a page leaves: a browser has six connections for all tabs. */
const UNSEEN_MS = 300_000;

/** Most bytes of a name. */
const MAX_NAME_BYTES = 64;

/** Where the name of this person is remembered. */
const NAME_KEY = "inlet name";

/** The session. */
export class Session {
  #listener;
  /** @type {EventSource | undefined} */
  #events;
  #name = stored();
  /** The name that the server gave, as another one can have the same. */
  #given = "";
  /** By this the server knows this page. */
  #visitor = "";
  /** @type {string[]} Texts of this person that the server has not told yet. */
  #own = [];
  /** Whether it listens no more. */
  #isLeft = false;
  #said = find("said-here", HTMLElement);
  #to = find("to", HTMLSelectElement);
  /** By which visitor it was filled, and whom it has. */
  #people = "";
  #trouble = find("talk-trouble", HTMLElement);

  /**
   * @param {object} listener
   * @param {(stored: { name: string, size: number, modified: string }) => void} listener.onStored
   * @param {() => void} listener.onMany More was stored than is told one by one.
   * @param {() => void} listener.onBack The server is there, at first or again.
   * @param {() => void} listener.onRefused The server takes this page no more.
   */
  constructor(listener) {
    this.#listener = listener;
    const input = find("name", HTMLInputElement);
    input.value = this.#name;
    find("naming", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#name = cut(input.value.trim());
      input.value = this.#name;
      remember(this.#name);
      this.open();
    });
    find("talking", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#talk(find("text", HTMLInputElement));
    });
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let leaving;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(leaving);
      if (document.hidden) leaving = setTimeout(() => this.#leave(), UNSEEN_MS);
      else if (this.#isLeft) this.open();
    });
    const details = find("session", HTMLDetailsElement);
    const wide = matchMedia("(min-width: 60rem)");
    details.open = wide.matches;
    wide.addEventListener("change", () => details.open = wide.matches);
  }

  /** Listens to the server, under the name of this person. */
  open() {
    this.close();
    const query = this.#name === "" ? "" : `?name=${encodeURIComponent(this.#name)}`;
    const events = this.#events = new EventSource(`events${query}`);
    events.addEventListener("open", () => this.#listener.onBack());
    events.addEventListener("error", () => {
      setText(find("connected", HTMLElement), "not connected, tries again");
      if (events.readyState === EventSource.CLOSED) this.#listener.onRefused();
    });
    events.addEventListener("welcome", ({ data }) => this.#greet(JSON.parse(data)));
    events.addEventListener("many", () => this.#listener.onMany());
    events.addEventListener("stored", ({ data }) => this.#listener.onStored(JSON.parse(data)));
    events.addEventListener("clients", ({ data }) => this.#showClients(JSON.parse(data)));
    events.addEventListener("told", ({ data }) => {
      const { from, number, text } = JSON.parse(data);
      this.#tell(from || `client ${number}`, text);
      this.#tell("", "→ only you see this");
    });
    events.addEventListener("message", ({ data }) => {
      const { from, text } = JSON.parse(data);
      if (from !== this.#given || !this.#forget(text)) this.#tell(from || "client", text);
    });
  }

  /** Stops listening. */
  close() {
    this.#isLeft = false;
    this.#events?.close();
    this.#events = undefined;
  }

  /** Stops listening until the page is seen again. */
  #leave() {
    const wasOpen = this.#events !== undefined;
    this.close();
    this.#isLeft = wasOpen;
  }

  /** @param {{ name: string, visitor: string }} welcome */
  #greet({ name, visitor }) {
    this.#given = name;
    this.#visitor = visitor;
    const isOther = this.#name !== "" && name !== this.#name;
    setText(find("connected", HTMLElement), "");
    setText(
      find("name-note", HTMLElement),
      isOther ? `You are ${quoted(name)} here.` : "",
    );
  }

  /** @param {HTMLInputElement} input */
  async #talk(input) {
    const text = input.value;
    const to = this.#to.value;
    const name = this.#to.selectedOptions[0]?.text ?? "";
    setText(this.#trouble, "");
    if (!to) this.#own.push(text);
    try {
      const response = await fetch(`talk?visitor=${this.#visitor}${to}`, {
        method: "POST",
        headers: { "Content-Type": "text/plain" },
        body: text,
      });
      const answer = await response.text();
      if (!response.ok) {
        this.#forget(text);
        const { cure, words } = adviceFor(problemIn(response.status, answer));
        const advice = cure === "wait" ? "The server is busy. Say it again." : words;
        const isGone = response.status === 404;
        return setText(this.#trouble, isGone ? `${quoted(name)} is not here.` : advice);
      }
      this.#tell(this.#given || "you", text);
      const told = `only ${name} ${response.status === 202 ? "will see" : "sees"} this`;
      // No client can have this for its name.
      this.#tell("", `→ ${to ? told : answer.trimEnd()}`);
      // What was typed meanwhile stays.
      if (input.value === text) input.value = "";
    } catch {
      this.#forget(text);
      setText(this.#trouble, "No connection to the server. Say it again.");
    }
  }

  /** @param {string} text */
  #forget(text) {
    const own = this.#own.indexOf(text);
    return own >= 0 && this.#own.splice(own, 1);
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
    // It can be scrolled by keys.
    this.#said.tabIndex = 0;
    this.#said.scrollTop = this.#said.scrollHeight;
  }

  /** @param {Client[]} clients */
  #showClients(clients) {
    const here = clients.filter(({ end }) => !end);
    const gone = clients.filter(({ end }) => end);
    setText(find("connected", HTMLElement), `${here.length} connected`);
    gone.sort((a, b) => String(b.end).localeCompare(String(a.end)));
    const body = find("clients", HTMLTableElement).tBodies[0];
    body?.replaceChildren(...[...here, ...gone].map(rowOf));
    find("clients", HTMLElement).hidden = clients.length === 0;
    this.#offer(here.filter(({ reachable, name }) => reachable && name !== this.#given));
  }

  /**
   * Offers whom to tell something alone. A choice stays: what is meant for one is not said to all.
   *
   * @param {Client[]} people
   */
  #offer(people) {
    // What is behind # is not sent.
    const options = people.map(({ number, name }) =>
      new Option(printable(name), `&to=${number}#${name}`)
    );
    const known = this.#visitor + options.map(({ value }) => value);
    // A list that is open would be shut.
    if (known === this.#people) return;
    const isNew = !this.#people.startsWith(this.#visitor);
    this.#people = known;
    const to = this.#to;
    const [chosen] = to.selectedOptions;
    const { value } = to;
    to.replaceChildren(new Option("everybody", ""), ...options);
    to.value = value;
    if (chosen && to.selectedIndex < 0) {
      // It can be another run of the server, with other numbers.
      if (isNew) chosen.value = "&to=0";
      to.add(chosen);
      chosen.selected = true;
    }
    find("whom", HTMLElement).hidden = to.length < 2;
  }
}

/** @param {Client} client */
function rowOf({ number, name, address, wire, start, end, moving }) {
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
      make("bdi", {}, printable(name || `client ${number}`)),
      " ",
      make("span", { class: "facts" }, facts),
      " ",
      moves,
    ),
    make("td", {}, clock(start)),
    make("td", {}, end ? clock(end) : "connected"),
  );
}

/**
 * A name as short as the server wants it.
 *
 * @param {string} name
 */
function cut(name) {
  const encoder = new TextEncoder();
  const letters = [...name];
  while (encoder.encode(letters.join("")).length > MAX_NAME_BYTES) letters.pop();
  return letters.join("");
}

/** @param {string} time */
function clock(time) {
  return make("time", { dateTime: time }, timeOf(new Date(time), { short: true }));
}

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
