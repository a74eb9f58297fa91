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

/** Milliseconds that the last objects may take once the program is told to stop. */
const LAST_MS = 1000;

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
   * Waits until all is printed, as long as it takes.
   *
   * @param stop Ends the wait, a second later.
   */
  async printed(stop?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const onAbort = (): void => void this.printer.flush(LAST_MS).then(() => resolve());
    if (stop?.aborted) onAbort();
    else stop?.addEventListener("abort", onAbort);
    await Promise.race([this.printer.printed, promise]);
    stop?.removeEventListener("abort", onAbort);
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
  await jsonOutput.printed(error.code === "interrupted" ? AbortSignal.abort() : undefined);
  const { failure, waiting } = jsonOutput.printer;
  return failure === undefined && waiting === 0;
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
