/**
 * The table of modes, by the value of `--mode`.
 *
 * @module
 */

import { type Option, option } from "../lib/cli/options.ts";
import { InletError } from "../lib/errors.ts";
import { quoted } from "../lib/text.ts";
import { serveAnyWire } from "./wires.ts";
import type { Mode } from "./mode.ts";
import { sendMessage, serveMessage } from "./message.ts";
import { sendRaw, serveRaw } from "./raw.ts";
import { sendReverse, serveReverse } from "./reverse.ts";
import { sendUpload, serveUpload } from "./upload.ts";

/** One row for each mode. The first is the default. */
export const MODES: Readonly<Record<string, Mode>> = {
  files: {
    name: "files",
    summary: "native: verified files, several per connection, and messages",
    stores: true,
    named: true,
    needsSize: false,
    greets: true,
    answers: false,
    serve: serveAnyWire,
  },
  upload: {
    name: "upload",
    summary: "8-byte size and name, `go ahead`, then the file",
    stores: true,
    named: true,
    needsSize: true,
    greets: true,
    answers: false,
    serve: serveUpload,
    send: sendUpload,
  },
  raw: {
    name: "raw",
    summary: "bytes until the sender closes, stored as 1.file, 2.file, …",
    stores: true,
    named: false,
    needsSize: false,
    greets: false,
    answers: false,
    serve: serveRaw,
    send: sendRaw,
  },
  message: {
    name: "message",
    summary: "bytes until the sender closes, written to the server's stdout",
    stores: false,
    named: false,
    needsSize: false,
    greets: false,
    answers: false,
    serve: serveMessage,
    send: sendMessage,
  },
  reverse: {
    name: "reverse",
    summary: "lines, each sent back reversed",
    stores: false,
    named: false,
    needsSize: false,
    greets: false,
    answers: true,
    serve: serveReverse,
    send: sendReverse,
  },
};

/**
 * Finds a mode by its name.
 *
 * @throws {InletError} `usage` if there is none of that name
 */
export function findMode(name: string): Mode {
  if (Object.hasOwn(MODES, name)) return MODES[name]!;
  const known = Object.keys(MODES).join(", ");
  throw new InletError("usage", `Cannot use the mode ${quoted(name)}: give one of ${known}`);
}

/** The `--mode` option of both programs. */
export const MODE_OPTION: Option<Mode> = option({
  value: "MODE",
  parse: findMode,
  default: Object.keys(MODES)[0]!,
  help: "the conversation to use",
  completes: Object.fromEntries(Object.values(MODES).map(({ name, summary }) => [name, summary])),
});
