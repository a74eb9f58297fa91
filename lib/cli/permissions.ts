/**
 * Checks Deno's permissions once, at the start. In a terminal Deno prompts for a missing one;
 * elsewhere an error names it, with the complete command to run instead.
 *
 * @module
 */

import { fromFileUrl } from "@std/path/from-file-url";
import { relative } from "@std/path/relative";
import { KEY_VARIABLE } from "../auth/key.ts";
import { InletError } from "../errors.ts";

/** A permission that the program requires. */
export type Need =
  | { name: "net"; host: string }
  | { name: "read" | "write"; path: string };

/** Rows of a terminal that Deno's refusal to ask may take. */
const REFUSAL_ROWS = 8;

/** Milliseconds that any person takes to answer: Deno itself ignores what is typed before. */
const PERSON_MS = 100;

/**
 * Ensures that every permission is granted.
 *
 * @param needs The permissions that the program is about to use.
 * @throws {InletError} `usage`, with the command that grants the missing ones
 */
export async function ensurePermissions(needs: readonly Need[]): Promise<void> {
  const terminal = Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
  // Queried once for each kind, because there may be thousands of files.
  const whole = [...new Set(needs.map(({ name }) => name))].filter(isWhole);
  for (const need of needs) {
    if (whole.includes(need.name)) continue;
    let { state } = await Deno.permissions.query(need);
    if (state === "prompt" && terminal) state = await ask(need);
    if (state !== "granted") {
      const anew = Deno.build.standalone
        ? "the program anew from a terminal, or compile it with them"
        : commandWith(needs);
      const what = `Cannot go on without permission to ${describe(need)}`;
      throw new InletError("usage", `${what}; run: ${anew}`);
    }
  }
}

/**
 * Has Deno ask the person.
 *
 * In a terminal that a shell reads from, as it does while a job runs in its background, Deno cannot
 * ask. It says so in lines of its own, and nothing tells that before. They are erased: the program
 * is about to say more in one line.
 */
async function ask(need: Need): Promise<Deno.PermissionState> {
  const draw = (text: string): number => Deno.stderr.writeSync(new TextEncoder().encode(text));
  // The position of the cursor is saved with room below it, or else scrolling would make it wrong.
  draw(`${"\n".repeat(REFUSAL_ROWS)}\x1b[${REFUSAL_ROWS}A\x1b7`);
  const asked = performance.now();
  const { state } = await Deno.permissions.request(need);
  if (state !== "granted" && performance.now() - asked < PERSON_MS) draw("\x1b8\x1b[J");
  return state;
}

/** Whether a permission is granted without exception. */
function isWhole(name: Need["name"]): boolean {
  const { state, partial } = Deno.permissions.querySync({ name });
  return state === "granted" && !partial;
}

function describe(need: Need): string {
  switch (need.name) {
    case "net":
      return `use the network (${need.host})`;
    case "read":
    case "write":
      return `${need.name} ${need.path}`;
  }
}

/**
 * Returns a command that a shell runs: this program, with all permissions that it needs.
 *
 * @param args Its arguments, instead of the typed ones.
 */
export function commandWith(needs: readonly Need[], args: readonly string[] = Deno.args): string {
  if (Deno.build.standalone) return [Deno.execPath(), ...args].map(shellQuoted).join(" ");
  const scopes = new Map<string, string[]>();
  for (const need of needs) {
    // A comma separates paths; a doubled one is a comma within a path.
    const scope = need.name === "net" ? need.host : need.path.replaceAll(",", ",,");
    scopes.set(need.name, [...scopes.get(need.name) ?? [], scope]);
  }
  const flags = [...scopes].map(([name, scope]) => {
    // Deno has no dependable escape for a comma, so the flag gets no scope.
    if (scope.some((part) => part.includes(","))) return `--allow-${name}`;
    return `--allow-${name}=${[...new Set(scope)].join(",")}`;
  });
  const { state } = Deno.permissions.querySync({ name: "env", variable: KEY_VARIABLE });
  if (state === "granted") flags.push(`--allow-env=${KEY_VARIABLE}`);
  return ["deno", "run", ...flags, script(), ...args].map(shellQuoted).join(" ");
}

/** Returns the path of the script, as typed in this directory. */
function script(): string {
  if (!Deno.mainModule.startsWith("file:")) return Deno.mainModule;
  return relative(Deno.cwd(), fromFileUrl(Deno.mainModule));
}

/** Quotes a word for a shell, if necessary. */
export function shellQuoted(word: string): string {
  return /^[\w@%+=:,./[\]-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
