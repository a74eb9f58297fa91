/**
 * Completes what a person types into a shell with what only the server and the config file know: names
 * on the server behind `--get` and `--list`, and servers of the config file.
 *
 * It asks the server with the address and the key that are on the line already. It never asks a person
 * anything: the shell gives it no terminal.
 *
 * @module
 */

import { join } from "@std/path/join";
import { readKey } from "../lib/auth/key.ts";
import { inBash, splitBashLine } from "../lib/cli/bash_line.ts";
import { takeApart } from "../lib/cli/command_line.ts";
import type { Shell } from "../lib/cli/options.ts";
import { variable } from "../lib/environment.ts";
import { EVERYTHING } from "../lib/store/names.ts";
import { printable } from "../lib/text.ts";
import type { FilesClient } from "../modes/files/client.ts";
import { serverNames } from "./config.ts";
import { Dialer } from "./dialer.ts";
import { PROGRAM } from "./options.ts";
import { addressIn } from "./given_address.ts";
import { serverName } from "./plan.ts";
import { readCommandLine } from "./typed_server.ts";

/** Milliseconds that a person waits for a completion, unless a --timeout is typed. */
const PATIENCE_MS = 3000;

/**
 * Returns what the last word of a line can become.
 *
 * @param line The words up to the cursor, the command first; from bash, `COMP_WORDBREAKS` and the line.
 * @throws {InletError} if the line is wrong, or the server cannot be asked
 */
export async function complete(shell: Shell, line: readonly string[]): Promise<string[]> {
  if (shell !== "bash") return await completeWord(line.slice(1, -1), line.at(-1)!);
  const [breaks, text] = line as [string, string];
  const typed = splitBashLine(text, breaks);
  const option = /^--get=/.exec(typed.word)?.[0] ?? "";
  const found = await completeWord(typed.before.slice(1), typed.word);
  return found.map((value) => inBash(option + value, typed));
}

/**
 * Returns what a word can become, without the `--get=` before it.
 *
 * @param before The words between the command and this one.
 */
async function completeWord(before: readonly string[], word: string): Promise<string[]> {
  if (before.at(-1) === "--get") return await namesFor([...before, EVERYTHING], word);
  const [, value] = /^--get=(.*)$/s.exec(word) ?? [];
  if (value !== undefined) return await namesFor([...before, "--get", EVERYTHING], value);
  const { positional, given } = takeApart(before, PROGRAM.options);
  if (given.has("get") || given.has("list")) {
    // What begins with a dash is an option there.
    return (await namesFor(before, word)).map((name) => name.startsWith("-") ? `./${name}` : name);
  }
  if (positional.length > 0) return [];
  const servers = (await serverNames(PROGRAM.options)).map((name) => `@${name}`);
  return servers.filter((name) => name.startsWith(word));
}

/**
 * Returns the names on the server that begin as a typed one does, each up to the next slash.
 *
 * @param words A command line, whose server is asked.
 */
async function namesFor(words: readonly string[], typed: string): Promise<string[]> {
  const { positional, options } = await readCommandLine(words.map(fromHome));
  if (options.mode.name !== "files") return [];
  // That of the config file is for transfers.
  const hasTimeout = takeApart(words, PROGRAM.options).given.has("timeout");
  const timeoutMs = hasTimeout ? options.timeout : PATIENCE_MS;
  const dialer = new Dialer(addressIn(positional).address, {
    ...(options.name !== undefined && { name: options.name }),
    key: await readKey(options["token-file"]),
    timeoutMs,
    signal: AbortSignal.timeout(timeoutMs),
  });
  const slash = typed.lastIndexOf("/") + 1;
  const folder = typed.slice(0, slash);
  const parts = new Set<string>();
  await dialer.withSession(async (client) => {
    for await (const part of partsIn(client, serverName(folder || EVERYTHING).name)) {
      parts.add(part);
    }
  });
  return [...parts]
    .filter((part) => part.startsWith(typed.slice(slash)) && printable(part) === part)
    .map((part) => folder + part);
}

/** The names in one folder of the server, those of folders with a slash, and often more than once. */
async function* partsIn(client: FilesClient, folder: string): AsyncGenerator<string> {
  const start = folder === EVERYTHING ? 0 : folder.length + 1;
  for await (const page of folder === EVERYTHING ? client.list() : client.tree(folder)) {
    for (const { name, size } of page) {
      const [part, ...further] = name.slice(start).split("/");
      if (part) yield further.length > 0 || size === null ? `${part}/` : part;
    }
  }
}

/** Does what the shell would with the tilde of a path. */
function fromHome(word: string): string {
  const home = variable("HOME");
  return home && word.startsWith("~/") ? join(home, word.slice(2)) : word;
}
