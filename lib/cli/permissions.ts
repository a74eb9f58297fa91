/**
 * Checks Deno's permissions once, at the start. In a terminal Deno prompts for a missing one;
 * elsewhere an error names it, with the complete command to run instead.
 *
 * @module
 */

import { fromFileUrl } from "@std/path/from-file-url";
import { relative } from "@std/path/relative";
import { formatAddress, type ServerAddress } from "../address.ts";
import { KEY_VARIABLE } from "../auth/key.ts";
import { STORE_VARIABLE, variable } from "../environment.ts";
import { tell } from "../body/stderr.ts";
import { InletError, OF_THE_SYSTEM } from "../errors.ts";
import { quoted } from "../text.ts";

/** A permission that the program requires. Deno never asks for a variable, or what is unasked. */
export type Need =
  | { name: "env"; variable: string }
  | { name: "net"; host: string; isUnasked?: true }
  | { name: "run"; command: string }
  | { name: "read" | "write"; path: string };

/** The permissions to connect to an address, or to listen on it. The path of a socket is absolute. */
export function needsOfAddress(address: ServerAddress): Need[] {
  const net: Need = { name: "net", host: formatAddress(address) };
  if (!("path" in address)) return [net];
  const { path } = address;
  return [net, { name: "read", path }, { name: "write", path }];
}

/** Rows of a terminal that Deno's refusal to ask may take. */
const REFUSAL_ROWS = 8;

/** What to run where permissions are fixed. */
const RECOMPILED = "the program anew from a terminal, or compile it with them";

/** So many files are many. */
const MANY = 3;

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
  const closed = needs.find((need) => need.name === "read" && isClosed(need.path, terminal));
  if (closed?.name === "read") {
    const what = `Cannot read ${quoted(closed.path)}`;
    throw new InletError("usage", `${what}: ${OF_THE_SYSTEM}; run: ${commandWithAll()}`);
  }
  const left = needs.filter(({ name }) => !whole.includes(name));
  // First, so that nobody answers questions in vain.
  for (const need of left.filter(isUnasked)) {
    const { state } = await Deno.permissions.query(need);
    if (state !== "granted") throw refusal(need, needs);
  }
  if (terminal) await askForFolders(left);
  for (const need of left) {
    let { state } = await Deno.permissions.query(need);
    if (state === "prompt" && terminal) state = await ask(need);
    if (state !== "granted") throw refusal(need, needs);
  }
}

function isUnasked(need: Need): boolean {
  return need.name === "env" || "isUnasked" in need;
}

function refusal(need: Need, needs: readonly Need[]): InletError {
  const anew = Deno.build.standalone ? RECOMPILED : commandWith(needs);
  const what = `Cannot go on without permission to ${describe(need)}`;
  return new InletError("usage", `${what}; run: ${anew}`);
}

/**
 * Has Deno ask for the folders of many files, which a person would otherwise have to answer for one by
 * one. It says before what for.
 */
async function askForFolders(needs: readonly Need[]): Promise<void> {
  const paths: string[] = [];
  for (const need of needs) {
    if (need.name !== "read") continue;
    const { state } = await Deno.permissions.query({ name: "read", path: need.path });
    if (state === "prompt") paths.push(need.path);
  }
  if (paths.length < MANY) return;
  const { commonFolders } = await import("./common_folders.ts");
  const folders = commonFolders(paths, Deno.cwd());
  if (folders.length === paths.length) return;
  // One that is alone in its folder stands for itself.
  const how = folders.length === 1 ? "their folder: " : "";
  tell(`To read ${paths.length} files, Deno asks for ${how}${folders.map(quoted).join(", ")}`);
  for (const path of folders) {
    const need: Need = { name: "read", path };
    if (await ask(need) !== "granted") throw refusal(need, needs);
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

/** Whether a path is one of the system's own that Deno does not open, whatever may be read. */
function isClosed(path: string, terminal: boolean): boolean {
  if (!/^\/(proc|sys|dev)\//.test(path)) return false;
  // In a terminal Deno would ask for it, in its own words.
  if (terminal && Deno.permissions.querySync({ name: "read", path }).state !== "granted") {
    return false;
  }
  try {
    Deno.statSync(path);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotCapable && error.message.includes("--allow-all");
  }
}

/** Whether a permission is granted without exception. */
function isWhole(name: Need["name"]): boolean {
  const { state, partial } = Deno.permissions.querySync({ name });
  return state === "granted" && !partial;
}

function describe(need: Need): string {
  switch (need.name) {
    case "env":
      return `read ${need.variable} of the environment`;
    case "net":
      return `use the network (${need.host})`;
    case "run":
      // Deno grants none that it does not find.
      return `run ${need.command}${need.command.includes("/") ? "" : ", if PATH has it"}`;
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
  const scopes = new Map<string, string[]>();
  for (const need of needs) {
    if (need.name === "env") continue;
    const scope = scopeOf(need);
    scopes.set(need.name, [...scopes.get(need.name) ?? [], scope]);
  }
  const flags = [...scopes].map(([name, scope]) => {
    // Deno has no dependable escape for a comma, so the flag gets no scope.
    if (scope.some((part) => part.includes(","))) return `--allow-${name}`;
    return `--allow-${name}=${[...new Set(scope)].join(",")}`;
  });
  const passedOn = scopes.has("run") ? ["HOME", "PATH"] : [];
  const read = [KEY_VARIABLE, STORE_VARIABLE, ...passedOn]
    .filter((name) => variable(name) !== undefined);
  for (const need of needs) if (need.name === "env") read.push(need.variable);
  if (read.length > 0) flags.push(`--allow-env=${read.join(",")}`);
  return runWith(flags, args);
}

function scopeOf(need: Exclude<Need, { name: "env" }>): string {
  switch (need.name) {
    case "net":
      return need.host;
    case "run":
      return need.command;
    case "read":
    case "write":
      // A comma separates paths; a doubled one is a comma within a path.
      return need.path.replaceAll(",", ",,");
  }
}

/** Returns the typed command with every permission: Deno keeps some paths from all others. */
export function commandWithAll(): string {
  return Deno.build.standalone ? RECOMPILED : runWith(["--allow-all"], Deno.args);
}

function runWith(flags: readonly string[], args: readonly string[]): string {
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
