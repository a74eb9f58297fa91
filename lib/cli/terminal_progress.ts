/**
 * The progress line of a terminal, redrawn in place.
 *
 * @module
 */

import { draw } from "../body/stderr.ts";
import { printable } from "../text.ts";
import type { Moment, ProgressView } from "./progress_view.ts";
import { cutToWidth, textWidth } from "./width.ts";

/** Columns of a terminal that does not know its width. */
const DEFAULT_COLUMNS = 80;

/**
 * Erases the line. It begins where the cursor was left. A terminal that became narrower may have
 * broken it into several, all from there to the end of the screen.
 */
const ERASE = "\r\x1b[J";

/** A line that is wider than was thought is cut by the terminal, and not continued on a next one. */
const NO_WRAP = "\x1b[?7l";
const WRAP = "\x1b[?7h";

/** Draws one line. */
export class TerminalProgress implements ProgressView {
  readonly intervalMs = 100;
  #isDrawn = false;

  show({ name, doing, figures }: Moment): void {
    const columns = terminalColumns();
    if (columns === undefined) return;
    const line = fitted(
      printable(name),
      doing === undefined ? figures : [printable(doing)],
      columns - 1,
    );
    // The cursor goes back to the beginning, which stays where it is when the line is broken.
    draw(`${ERASE}${NO_WRAP}${line}${WRAP}\r`);
    this.#isDrawn = true;
  }

  makeRoom(moment: Moment | undefined): void {
    if (!this.#isDrawn) return;
    // What was drawn last may be a tenth of a second old.
    if (moment?.isComplete) this.show({ ...moment, doing: undefined });
    draw(ERASE);
    this.#isDrawn = false;
  }

  end(moment: Moment | undefined): void {
    this.makeRoom(moment);
  }
}

/** Width of the terminal; `undefined` once it is gone. A terminal need not know: it tells 0 then. */
function terminalColumns(): number | undefined {
  try {
    return Deno.consoleSize().columns || DEFAULT_COLUMNS;
  } catch {
    return undefined;
  }
}

/**
 * Shortens the name to fit the line, then drops whole figures from the end. A line that wraps could
 * not be redrawn in place.
 */
export function fitted(name: string, figures: readonly string[], columns: number): string {
  const shown = [...figures];
  while (shown.length > 1 && textWidth(shown.join("  ")) > columns) shown.pop();
  const text = shown.join("  ");
  const width = textWidth(text);
  if (width > columns) return cutToWidth(text.trimStart(), columns);
  const beginning = cutToWidth(name, columns - width - 2);
  return beginning === "" ? text : `${beginning}  ${text}`;
}
