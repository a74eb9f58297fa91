/**
 * The XML in which an object store answers: elements and text. No attribute means anything in it, and it
 * has no comments, no CDATA and no entities of its own.
 *
 * @module
 */

/** An element: the text within, its children, or both. */
export interface Element {
  /** Without the prefix of a namespace. */
  readonly name: string;
  /** The text that stands directly within it. */
  readonly text: string;
  /** In their order. */
  readonly children: readonly Element[];
}

/** An element that is being read. */
interface Open {
  readonly name: string;
  text: string;
  readonly children: Open[];
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

/** Tags, the declaration in front of them, and the text between them. */
const TOKEN = /<(?:\?[^>]*\?|(\/?)(?:[\w.-]+:)?([\w.-]+)(?:\s[^<>]*?)?(\/?))>|([^<]+)/y;

/** Most elements of an answer: a list of 1,000 has ten thousand or so, and 16 MiB of others took a gigabyte. */
const MOST_ELEMENTS = 100_000;

/** Reads an answer; `undefined` if it is no XML of that kind. */
export function parseXml(text: string): Element | undefined {
  const top: Open = { name: "", text: "", children: [] };
  const open: Open[] = [top];
  let elements = 0;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const token = TOKEN.exec(text);
    if (!token) return undefined;
    const [, isEnd, name, isEmpty, between] = token;
    const inner = open.at(-1)!;
    if (between !== undefined) inner.text += unescape(between);
    else if (name !== undefined && isEnd) {
      if (open.pop()?.name !== name || open.length === 0) return undefined;
    } else if (name !== undefined) {
      if (++elements > MOST_ELEMENTS) return undefined;
      const child: Open = { name, text: "", children: [] };
      inner.children.push(child);
      if (!isEmpty) open.push(child);
    }
  }
  return open.length === 1 && top.children.length === 1 ? top.children[0] : undefined;
}

/** The text of the first child of that name; empty without one. */
export function textOf(element: Element | undefined, name: string): string {
  return element?.children.find((child) => child.name === name)?.text ?? "";
}

/** The number in the first child of that name; `NaN` without one. */
export function numberOf(element: Element, name: string): number {
  const text = textOf(element, name);
  return /^\d{1,15}$/.test(text) ? Number(text) : NaN;
}

/** The children of that name. */
export function childrenOf(element: Element, name: string): Element[] {
  return element.children.filter((child) => child.name === name);
}

/** Escapes text for an element. */
export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function unescape(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#x([\da-f]{1,6})|#(\d{1,7})|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const point = hex === undefined ? Number(decimal) : parseInt(hex, 16);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}
