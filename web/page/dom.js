// @ts-check
/// <reference no-default-lib="true" />
/// <reference lib="esnext" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * Makes and finds the elements of the page. Whatever comes from outside becomes text, and never
 * markup: nothing here, or anywhere in the page, parses HTML.
 *
 * @module
 */

/**
 * Makes an element.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, unknown>} [properties] `on…` is a listener, what has a dash or is `class`,
 *   `for`, `role`, `scope` or `dir` an attribute, and all others are properties. `undefined` counts as not given.
 * @param {readonly (Node | string | undefined)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (typeof value === "function") {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (/-|^(class|for|role|scope|dir)$/.test(name)) {
      element.setAttribute(name, String(value));
    } else Reflect.set(element, name, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/**
 * Finds an element of index.html.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function find(id, type) {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`index.html has no ${type.name} with the id ${id}`);
}

/**
 * Changes a text only if it is another one: assistive technology, selections and layout notice
 * also what is replaced by itself.
 *
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Milliseconds in which what is to be said is gathered, so that a screen reader does not chatter. */
const GATHER_MS = 1500;

/** @type {string[]} */
let said = [];

/**
 * Has screen readers say something, when they have said all else. Of several things within a moment
 * the last ones are said, with their number.
 *
 * @param {string} text
 */
export function say(text) {
  if (said.push(text) > 1) return;
  setTimeout(() => {
    const [first = "", ...more] = said;
    const last = said.at(-1) ?? "";
    const between = said.length - 2;
    const rest = more.length === 0 ? "" : between === 0 ? ` ${last}` : ` ${between} more. ${last}`;
    said = [];
    find("said", HTMLElement).textContent = first + rest;
  }, GATHER_MS);
}
