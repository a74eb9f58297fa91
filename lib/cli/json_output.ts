/**
 * What `--json` prints: objects on the standard output, one a line. docs/json.md describes them.
 *
 * A module of its own, because only a command with `--json` needs it.
 *
 * @module
 */

import { Printer } from "../body/printer.ts";
import { exitCode, type InletError } from "../errors.ts";
import { printableJson } from "../text.ts";
import type { OptionTable } from "./options.ts";
import { signalled } from "./signals.ts";

/** Version of the objects. It grows when a key goes, or gets another meaning. */
const VERSION = 1;

/** The objects of this program. */
class JsonOutput {
  /** Prints them. */
  readonly printer = new Printer();
  /** How many there were. */
  objects = 0;

  /** The line of the next object, without its ending. The first one has the version. */
  line(object: object): string {
    return printableJson({ ...this.objects++ === 0 && { version: VERSION }, ...object });
  }

  /** Prints an object, in the background. */
  add(object: object): void {
    this.printer.add(`${this.line(object)}\n`);
  }

  /**
   * Prints an error.
   *
   * @param about What it is about.
   */
  addError(error: InletError, about: object = {}): void {
    const { code, message } = error;
    this.add({ event: "error", ...about, code, message, exitCode: signalled(exitCode(error)) });
  }
}

/** The one standard output of this process. */
export const jsonOutput: JsonOutput = new JsonOutput();

/**
 * Prints the error that ends a program, if its command line has `--json`, be it right or wrong.
 *
 * @param table The options that there are.
 * @returns Whether it is printed, and read.
 */
export async function tellError(
  error: InletError,
  args: readonly string[],
  table: OptionTable,
): Promise<boolean> {
  if (!asksForJson(args, table)) return false;
  jsonOutput.addError(error);
  await jsonOutput.printer.printed;
  return jsonOutput.printer.failure === undefined;
}

function asksForJson(args: readonly string[], table: OptionTable): boolean {
  for (let at = 0; at < args.length && args[at] !== "--"; at++) {
    const [, name = "", value] = /^--([^=]+)(=.*)?$/s.exec(args[at]!) ?? [];
    if (name === "json") return true;
    // What stands behind an option with a value is that value.
    const kind = table[name]?.kind ?? "flag";
    if (kind !== "flag" && value === undefined) at++;
  }
  return false;
}
