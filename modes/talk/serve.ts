/**
 * Mode talk: a session of short messages, as many programs hold it. One `send` is one message.
 *
 * 1. C: its name, `Roger`. S: `Connected to the server successfully.`; or `busy 3 of 3` and the end.
 *    A server with `--banner` speaks first instead: `Welcome Client01!`. Then that is the client's
 *    name, and its first message is one of those below.
 * 2. C: `status`. S: a line for each client, `Client 1: Roger - Start: 2026-11-21 09:38:00, End: Still
 *    Connected`; those that have left have their end.
 * 3. C: `list`. S: the names of the files, one a line, with their folders.
 * 4. C: `get a.txt`. S: its bytes, in writes of 1,024, and then `EOF` (`--get-marker`); or an error. With
 *    `--bare-names` the name alone does it. The same `get` again, before its answer, is dropped.
 * 5. C: anything else, `Hello`. S: `Hello ACK`.
 * 6. C: `exit`. S: closes.
 *
 * A message ends with LF or CR LF, or when nothing more has come for a pause, `--line-gap`. Its answer
 * ends in the same way; without an ending, the lines of an answer are still separated by LF. A list
 * without a name is an empty line. Words of requests may be in any case.
 *
 * An error is `error CODE TEXT`, in place of the answer. A server that cannot go on, as after a message
 * that is too long, sends one and closes. It does not send one within a file, and then no marker either.
 *
 * This is the server half. client.ts has the client half.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { ACK, MAX_CLIENT_NAME_BYTES } from "../../protocol.ts";
import { checkAccess } from "../../lib/auth/access.ts";
import { encodeError, explain, InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { parseEscapes } from "../../lib/net/dialogue_steps.ts";
import type { Client } from "../../lib/server/clients.ts";
import { rightsOf, type ServerContext } from "../../lib/server/context.ts";
import { takeTalk } from "../../lib/server/talk.ts";
import type { Caller } from "../../lib/server/waiting_room.ts";
import type { WireSettings } from "../../lib/server/wire_options.ts";
import { formatLocalTime, printable, quoted } from "../../lib/text.ts";
import { isTurnDue, takeTurns } from "../../lib/turns.ts";
import { serveBareName, serveTalkGet } from "./serve_get.ts";
import { dropRepetition, type Message, peekMessage, readMessage, WELCOME } from "./messages.ts";

/** Default of `--line-gap`, in milliseconds. */
const LINE_GAP_MS = 200;

const LF = Uint8Array.of(0x0a);

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Server half: serves one session, from the client's name or the banner on. */
export async function serveMessages(connection: Connection, context: ServerContext): Promise<void> {
  if (!await introduce(connection, context)) return;
  for (;;) {
    const message = await nextMessage(connection, context);
    if (message === null || await answer(connection, context, message) === "end") return;
    // Messages that have arrived already are answered without a wait in between.
    if (connection.buffered.length > 0 && isTurnDue()) await takeTurns();
  }
}

/** Finds out who is calling a full server: the first message is the name. It consumes nothing. */
export async function peekTalker(connection: Connection, wire: WireSettings): Promise<Caller> {
  const message = await peekMessage(connection, gapOf(wire));
  const name = message ? decoder.decode(message.content).trim() : "";
  return { greeted: message !== null, name, native: false };
}

function gapOf({ lineGapMs = LINE_GAP_MS }: WireSettings): number {
  return lineGapMs;
}

/**
 * Names the client: by its first message, or by its number where the server speaks first.
 *
 * @returns Whether messages follow; false if the client closed instead.
 */
async function introduce(connection: Connection, context: ServerContext): Promise<boolean> {
  const { client, clients, log, wire } = context;
  const { number } = client;
  const { banner } = wire;
  const two = String(number).padStart(2, "0");
  if (banner !== undefined) {
    clients.introduce(client, `Client${banner.includes("{nn}") ? two : number}`);
    const words = banner.replaceAll("{nn}", two).replaceAll("{n}", String(number));
    await connection.write(parseEscapes(words, "banner"));
  } else {
    const message = await nextMessage(connection, context);
    if (message === null) return false;
    const { content, ending } = message;
    if (content.length > MAX_CLIENT_NAME_BYTES) {
      const limit = `the limit is ${MAX_CLIENT_NAME_BYTES} bytes`;
      throw new InletError("bad-name", `Cannot take the client's name: ${limit}`);
    }
    clients.introduce(client, decoder.decode(content).trim() || `Client${number}`);
    await connection.write(concat([encoder.encode(WELCOME), ending]));
  }
  log.info("welcome", `is ${quoted(client.name)}`);
  return true;
}

/** Waits for the next message. `null` if the client has closed. */
async function nextMessage(
  connection: Connection,
  { log, signal, wire }: ServerContext,
): Promise<Message | null> {
  log.begin();
  signal.throwIfAborted();
  connection.resting = true;
  try {
    return await readMessage(connection, gapOf(wire));
  } finally {
    connection.resting = false;
  }
}

/** Answers one message. A failure that leaves the session usable is answered with an error. */
async function answer(
  connection: Connection,
  context: ServerContext,
  message: Message,
): Promise<"end" | void> {
  const text = decoder.decode(message.content).trimStart();
  const word = text.trimEnd().toLowerCase();
  context.log.begin();
  if (word === "exit") return "end";
  try {
    if (word === "status" || word === "list") await serveLines(connection, context, message, word);
    else if (/^get\s+\S/i.test(text)) {
      await dropRepetition(connection, message, gapOf(context.wire));
      await serveTalkGet(connection, context, text, message.ending);
    } else if (!await serveBareName(connection, context, text, message.ending)) {
      await acknowledge(connection, context, message);
    }
  } catch (error) {
    const failure = explain(error, `Cannot answer ${quoted(text)}`);
    // A client that has left, or that is within a file, is not refused anything.
    if (connection.failure || !connection.farewell || failure.code === "lost") throw error;
    context.log.failure(failure);
    const line = encodeError(failure);
    await connection.write(concat([line.subarray(0, -1), message.ending]));
  }
}

/** Answers talk. The bytes come back as they are, whether they are UTF-8 or not. */
async function acknowledge(
  connection: Connection,
  context: ServerContext,
  { content, ending }: Message,
): Promise<void> {
  takeTalk(context, decoder.decode(content));
  await connection.write(concat([content, encoder.encode(ACK), ending]));
}

/** Answers `status` and `list`. Each page is written before the next one is read. */
async function serveLines(
  connection: Connection,
  context: ServerContext,
  { ending }: Message,
  word: "status" | "list",
): Promise<void> {
  const { clients, log, store } = context;
  const what = word === "list" ? "list the files" : "list the clients";
  checkAccess(rightsOf(context), word, what);
  log.info(word, `asked to ${what}`);
  const over = new AbortController();
  const pages = word === "list"
    ? namesOf(store.list(over.signal, true))
    : clients.status(statusLine);
  const separator = ending.length > 0 ? ending : LF;
  try {
    let before: Uint8Array | undefined;
    for (;;) {
      const page = await connection.whilePresent(() => pages.next());
      if (page.done) break;
      if (before) await connection.write(concat([before, separator]));
      before = encoder.encode(page.value.join(decoder.decode(separator)));
    }
    // The last lines and the ending go out together: many programs read an answer with one `recv`.
    await connection.write(before ? concat([before, ending]) : separator);
  } finally {
    over.abort();
  }
}

async function* namesOf(
  pages: ReturnType<ServerContext["store"]["list"]>,
): AsyncGenerator<readonly string[], void> {
  for await (const page of pages) if (page.length > 0) yield page.map(({ name }) => name);
}

/** `Client 1: Roger - Start: 2026-11-21 09:38:00, End: Still Connected`. */
function statusLine({ number, address, name, start, end }: Client): string {
  const who = name === "" ? address : printable(name);
  const until = end ? formatLocalTime(end) : "Still Connected";
  return `Client ${number}: ${who} - Start: ${formatLocalTime(start)}, End: ${until}`;
}
