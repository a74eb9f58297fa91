/**
 * The table of modes, by the value of `--mode`.
 *
 * @module
 */

import { choiceOf } from "../lib/cli/option_values.ts";
import { type Option, option } from "../lib/cli/options.ts";
import { InletError } from "../lib/errors.ts";
import { quoted } from "../lib/text.ts";
import type { Mode } from "./mode.ts";

/**
 * One row for each mode. The first is the default. The others are loaded when they are used: most
 * clients never use them, and a small file takes less time to send than modules take to load.
 */
export const MODES: Readonly<Record<string, Mode>> = {
  files: {
    name: "files",
    summary: "native: verified files, several per connection, and messages",
    stores: true,
    named: true,
    needsSize: false,
    greets: true,
    answers: false,
  },
  upload: {
    name: "upload",
    summary: "8-byte size and name, `go ahead`, then the file",
    stores: true,
    named: true,
    needsSize: true,
    greets: true,
    answers: false,
    serve: async (...given) => (await import("./upload.ts")).serveUpload(...given),
    send: async () => (await import("./upload.ts")).sendUpload,
  },
  raw: {
    name: "raw",
    summary: "bytes until the sender closes, stored as 1.file, 2.file, …",
    stores: true,
    named: false,
    needsSize: false,
    greets: false,
    answers: false,
    serve: async (...given) => (await import("./raw.ts")).serveRaw(...given),
    send: async () => (await import("./raw.ts")).sendRaw,
  },
  message: {
    name: "message",
    summary: "bytes until the sender closes, written to the server's stdout",
    stores: false,
    named: false,
    needsSize: false,
    greets: false,
    answers: false,
    serve: async (...given) => (await import("./message.ts")).serveMessage(...given),
    send: async () => (await import("./message.ts")).sendMessage,
  },
  reverse: {
    name: "reverse",
    summary: "lines, each sent back reversed",
    stores: false,
    named: false,
    needsSize: false,
    greets: false,
    answers: true,
    serve: async (...given) => (await import("./reverse.ts")).serveReverse(...given),
    send: async () => (await import("./reverse.ts")).sendReverse,
  },
  talk: {
    name: "talk",
    summary: "messages with or without line endings: a name, status, list, get, exit",
    stores: true,
    named: false,
    needsSize: false,
    greets: false,
    answers: true,
    asks: true,
    maxClients: 3,
    serve: async (...given) => (await import("./talk.ts")).serveTalk(...given),
    peekCaller: async (...given) => await (await import("./talk.ts")).peekTalker(...given),
    send: () => Promise.resolve((_connection, { label }) => Promise.reject(hasNoPut(label))),
  },
};

/** The error for a file that a client of a mode without uploads was given. */
export function hasNoPut(label: string): InletError {
  return new InletError("usage", `Cannot send ${quoted(label)} in mode talk: its wire has no put`);
}

/**
 * Finds a mode by its name.
 *
 * @throws {InletError} `usage` if there is none of that name
 */
export function findMode(name: string): Mode {
  if (Object.hasOwn(MODES, name)) return MODES[name]!;
  throw new InletError(
    "usage",
    `Cannot use the mode ${quoted(name)}: ${choiceOf(name, Object.keys(MODES))}`,
  );
}

/** The `--mode` option of both programs. */
export const MODE_OPTION: Option<Mode> = option({
  value: "MODE",
  parse: findMode,
  default: Object.keys(MODES)[0]!,
  help: "the conversation to use",
  completes: Object.fromEntries(Object.values(MODES).map(({ name, summary }) => [name, summary])),
});
