/**
 * What to do about a transfer that broke off: the command that goes on with it.
 *
 * A module of its own, because most transfers need none of it.
 *
 * @module
 */

import { commandWith } from "../lib/cli/permissions.ts";
import { variable } from "../lib/environment.ts";
import type { InletError } from "../lib/errors.ts";
import type { Mode } from "../modes/mode.ts";
import { needsOf, type Plan, type Transfer } from "./plan.ts";
import { savePath } from "./save_path.ts";
import { SERVER_VARIABLE } from "./typed_server.ts";

/** Longest command that is worth reading, in characters. */
const MAX_COMMAND = 2000;

/**
 * Returns the advice for a transfer that broke off, or `undefined` if nothing helps.
 *
 * @param how.resume Whether it had `--resume` or `--retry`.
 */
export function adviceFor(
  plan: Plan,
  action: Transfer,
  { resume, failure }: { resume: boolean; failure: InletError },
): string | undefined {
  if (!isRepeatable(action, plan.mode)) {
    // What was written to the standard output, or a pipe, is known within one run only.
    const isLostOutput = action.type === "get" && !resume && failure.code !== "interrupted";
    if (!isLostOutput) return undefined;
    return "With --retry N the client reconnects and continues the transfer";
  }
  const verb = action.type === "send" ? "send" : "get";
  const what = resume ? "To continue" : `To ${verb} what is missing`;
  const command = commandWith(needsOf(plan), resume ? Deno.args : withResume(Deno.args));
  // What a program has written into a pipe is not there a second time.
  const isListGone = /^(-$|\/(dev|proc)\/)/.test(plan.filesFrom?.path ?? "");
  // The permissions for those are not among the needs.
  const isNamed = variable(SERVER_VARIABLE) !== undefined ||
    Deno.args.some((word) => word.startsWith("@"));
  // A compiled program does not know by which name it was run.
  if (!Deno.build.standalone && !isListGone && !isNamed && command.length <= MAX_COMMAND) {
    return `${what}: ${command}`;
  }
  return `${what}, run the same command ${resume ? "again" : "with --resume"}`;
}

/** Whether a repeated command leaves alone what is there, and continues the rest. */
function isRepeatable(action: Transfer, mode: Mode): boolean {
  if (action.type === "send") return mode.name === "files" && !action.files.includes("-");
  return action.output !== "-" &&
    action.names.every(({ name, isFolder }) => isFolder || !savePath(name, action.output).isStream);
}

/** Adds `--resume`: before a `--`, because only names follow it. */
function withResume(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  return args.toSpliced(end < 0 ? args.length : end, 0, "--resume");
}
