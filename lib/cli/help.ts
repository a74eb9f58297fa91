/**
 * Help: the text of `--help`, and the table of options in the documentation.
 *
 * @module
 */

import type { Completion, Option, Program } from "./options.ts";

/** Maximum width of a line. */
const COLUMNS = 100;

/** Column at which descriptions begin. */
const INDENT = 23;

/** A no-break space. */
const UNBROKEN = "\u00a0";

/** Generates the text of `--help`. */
export function helpText(program: Program): string {
  const { title, usage, arguments: words, options, notes = [], exitCodes = {} } = program;
  const rows = [
    ...words.map(({ name, help }) => row(name, help)),
    ...Object.entries(options).map(([name, option]) => [
      ...row(syntax(name, option), described(option, String)),
      ...meanings(option.completes),
    ]),
  ];
  const codes = Object.entries(exitCodes).map(([code, meaning]) =>
    `  ${code.padEnd(4)} ${meaning}`
  );
  return [
    title,
    `Usage: ${usage}`,
    rows.flat().join("\n"),
    ...notes.map((note) => wrapped(note, COLUMNS).join("\n")),
    ...(codes.length === 0 ? [] : [["Exit codes:", ...codes].join("\n")]),
  ].join("\n\n");
}

/** Generates a Markdown table of the options, formatted as `deno fmt` would. */
export function optionsMarkdown({ arguments: words, options }: Program): string {
  const places = words.map(({ name, help }) => [code(name), inMarkdown(help)]);
  const rows = Object.entries(options).map(([name, option]) => {
    const { completes } = option;
    const words = isTable(completes) ? Object.keys(completes).map(code).join(", ") : "";
    const help = inMarkdown(described(option, code));
    return [code(syntax(name, option)), `${help} ${words}`.trimEnd()];
  });
  return markdownTable(["option", "meaning"], [...places, ...rows]);
}

/** Formats rows of cells as a Markdown table. */
export function markdownTable(head: readonly string[], rows: readonly string[][]): string {
  const widths = head.map((cell, column) =>
    Math.max(cell.length, ...rows.map((row) => row[column]!.length))
  );
  const line = (cells: readonly string[], fill = " "): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!, fill)).join(" | ")} |`;
  return [head, head.map(() => ""), ...rows]
    .map((cells, index) => line(cells, index === 1 ? "-" : " "))
    .join("\n");
}

/** Returns the syntax of an option: `--as NAME`. */
function syntax(name: string, { value }: Option<unknown>): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}

/** Returns the description of an option, with its default. */
export function described(option: Option<unknown>, shown: (text: string) => string): string {
  const { help, kind, note, completes, modes, short } = option;
  const facts = [
    option.default !== undefined && `default ${shown(option.default)}`,
    note,
    kind === "list" && "repeatable",
    short && `or ${shown(`-${short}`)}`,
    modes && `in ${modes.join(", ")}`,
  ].filter((fact) => fact !== undefined && fact !== false);
  // Keeps the parentheses on one line.
  const inside = facts.join("; ").replaceAll(" ", UNBROKEN);
  const sentence = inside === "" ? help : `${help} (${inside})`;
  return isTable(completes) ? `${sentence}:` : sentence;
}

/** The lines of one option or argument: syntax on the left, description on the right. */
function row(left: string, right: string): string[] {
  const lines = wrapped(right, COLUMNS - INDENT);
  const hangs = left.length + 4 > INDENT;
  const first = `  ${left}`.padEnd(INDENT);
  const indented = lines.slice(hangs ? 0 : 1).map((line) => " ".repeat(INDENT) + line);
  return [hangs ? first.trimEnd() : first + lines[0], ...indented];
}

/** The lines of the values that an option accepts, each with its meaning. */
function meanings(completes: Completion | undefined): string[] {
  if (!isTable(completes)) return [];
  const width = Math.max(...Object.keys(completes).map((word) => word.length)) + 2;
  const indent = INDENT + 2 + width;
  return Object.entries(completes).flatMap(([word, meaning]) =>
    wrapped(meaning, COLUMNS - indent).map((line, index) =>
      (" ".repeat(INDENT + 2) + (index === 0 ? word : "")).padEnd(indent) + line
    )
  );
}

/** Whether the words that an option accepts have meanings. */
export function isTable(
  completes: Completion | undefined,
): completes is Readonly<Record<string, string>> {
  return typeof completes === "object" && !Array.isArray(completes);
}

/** Wraps a text at spaces. Only a line of one long word can exceed the width. */
export function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((line) => line.replaceAll(UNBROKEN, " "));
}

function code(text: string): string {
  return `\`${text}\``;
}

/** Formats a description as a Markdown cell: options as code, and `|` escaped. */
function inMarkdown(text: string): string {
  return text.replaceAll(UNBROKEN, " ").replaceAll("|", "\\|").replace(
    /(?<![`\w-])--[a-z\d-]+/g,
    code,
  );
}
