/**
 * Serves the requests without a body: `list`, `tree`, `status`, `compare` and chat.
 *
 * Lists are streamed: each page of lines is written before the next one is read, so a list of a
 * hundred thousand files takes no more memory than one of a hundred.
 *
 * @module
 */

import {
  ACK,
  encodeLine,
  encodeLines,
  encodeReply,
  formatListEntry,
  type ListEntry,
  MAX_TALK_BYTES,
  type Request,
} from "../../protocol.ts";
import { encodeError, explain, InletError } from "../../lib/errors.ts";
import { Reading } from "../../lib/body/reading.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { factsLine, statusLine } from "../../lib/server/clients.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { takeTalk } from "../../lib/server/talk.ts";
import type { Asker } from "../../lib/store/store.ts";
import { quoted } from "../../lib/text.ts";
import { attempt, refuse } from "./admission.ts";
import { patiently } from "./wait.ts";

/** Size of the buffer that encodes the pages of a list, in bytes. It holds most pages. */
const ROOM_BYTES = 128 * 1024;

/** Serves `compare`: whether the store has the client's file. */
export async function serveCompare(
  connection: Connection,
  context: ServerContext,
  { name, ...fingerprint }: Extract<Request, { type: "compare" }>,
): Promise<void> {
  const what = `compare ${quoted(name)}`;
  const reading = new Reading(fingerprint.size);
  const onBytes = (bytes: number): void => reading.add(bytes);
  const find = (asker: Asker) => context.store.find(name, fingerprint, { ...asker, onBytes });
  // Only the CRC-32 takes reading.
  const told = fingerprint.crc === null ? undefined : () => `${reading}`;
  const action = () => patiently(connection, what, find, { told });
  const found = await attempt(connection, context, "compare", what, action);
  if (!found) return;
  const { value } = found;
  await connection.write(encodeReply(
    value && !value.isSame
      ? { type: "ok", fields: { crc: "needed" }, detail: "" }
      : { type: "ok", detail: value?.name ?? "" },
  ));
}

/** Serves `list`, `tree` and `status`. */
export async function serveLines(
  connection: Connection,
  context: ServerContext,
  request: Extract<Request, { type: "list" | "tree" | "status" }>,
): Promise<void> {
  const what = whatOf(request);
  const over = new AbortController();
  const pages = linePages(context, request, over.signal);
  try {
    // The first page shows whether the list can be read, before `ok` is sent.
    const action = () => patiently(connection, what, () => pages.next());
    const first = await attempt(connection, context, request.type, what, action);
    if (!first) return;
    const { log } = context;
    if (request.type === "tree") log.info("tree", `asked to ${what}`, { file: request.name });
    else log.info(request.type, `asked to ${what}`);
    const ending = await writePages(connection, context, what, first.value, pages);
    await connection.write(ending);
  } finally {
    over.abort();
    // Not waited for: a folder that cannot be read to its end would hold up a server that shuts down.
    pages.return(undefined).catch(() => {});
  }
}

/** Writes pages as they are read, and returns the lines that end the answer. */
async function writePages(
  connection: Connection,
  { log }: ServerContext,
  what: string,
  first: IteratorResult<readonly string[], void>,
  pages: AsyncGenerator<readonly string[], void>,
): Promise<Uint8Array> {
  let room: Uint8Array | undefined;
  let count = 0;
  let head = ["ok"];
  for (let page = first; !page.done;) {
    count += page.value.length;
    await connection.write(encodeLines(head.concat(page.value), room));
    // Most lists have one page, and need no memory of their own.
    if (head.length === 0) room ??= new Uint8Array(ROOM_BYTES);
    head = [];
    try {
      page = await connection.whilePresent(() => pages.next(), { endIsLeaving: true });
    } catch (error) {
      if (connection.failure) throw connection.failure;
      const failure = explain(error, `Cannot ${what}`);
      log.failure(failure);
      return encodeError(failure);
    }
  }
  return encodeLines([...head, `end ${count}`]);
}

function whatOf(request: Extract<Request, { type: "list" | "tree" | "status" }>): string {
  switch (request.type) {
    case "list":
      return "list the files";
    case "status":
      return "list the clients";
    case "tree":
      return `get ${quoted(request.name)}`;
  }
}

async function* linePages(
  { store, clients }: ServerContext,
  request: Extract<Request, { type: "list" | "tree" | "status" }>,
  signal: AbortSignal,
): AsyncGenerator<readonly string[], void> {
  if (request.type === "status") {
    return yield* clients.status(request.fields?.facts === undefined ? statusLine : factsLine);
  }
  const entries: AsyncIterable<readonly ListEntry[]> = request.type === "list"
    ? store.list(signal)
    : store.tree(request.name, signal);
  for await (const page of entries) yield page.map(formatListEntry);
}

/** Acknowledges chat. */
export async function serveChat(
  connection: Connection,
  context: ServerContext,
  text: string,
): Promise<void> {
  if (new TextEncoder().encode(text).length > MAX_TALK_BYTES) {
    const reason = `Cannot answer: the limit is ${MAX_TALK_BYTES} bytes`;
    return await refuse(connection, context, new InletError("bad-request", reason));
  }
  takeTalk(context, text);
  await connection.write(encodeLine(text + ACK));
}
