/**
 * GET: a file, or the list of a folder.
 *
 * @module
 */

import { checkAccess } from "../lib/auth/access.ts";
import { explain, InletError } from "../lib/errors.ts";
import { rightsOf } from "../lib/server/context.ts";
import type { StoredFile } from "../lib/store/store.ts";
import { quoted } from "../lib/text.ts";
import type { Exchange } from "./exchange.ts";
import { ListEncoder } from "./list_formats.ts";
import { encodePart } from "./target.ts";

/** The media types of lists, the default first. */
const FORMATS = { "text/html": "html", "application/json": "json" } as const;

/** Most bytes of a file that are read at once. */
const PIECE_BYTES = 512 * 1024;

/** Lists every file. */
export async function getList(exchange: Exchange): Promise<void> {
  await sendList(exchange, "");
}

/** Sends a file, or lists a folder if the path ends with a slash. */
export async function getFile(exchange: Exchange): Promise<void> {
  const { name, context, connection } = exchange;
  const what = `get ${quoted(name)}`;
  if (name.endsWith("/")) return await sendList(exchange, name.slice(0, -1));
  context.log.begin(name);
  checkAccess(rightsOf(context), "get", what);
  let stored: StoredFile;
  try {
    stored = await context.store.open(name);
  } catch (error) {
    if (explain(error).code !== "not-found" || !await isFolder(exchange)) throw error;
    // Relative, so that it is right behind a proxy too.
    return exchange.send(308, { Location: `${encodePart(name.split("/").at(-1)!)}/` });
  }
  using file = stored;
  await sendFile(exchange, file);
  if (!exchange.isHead && !connection.failure) context.log.got(name, file.size);
}

async function sendFile(exchange: Exchange, file: StoredFile): Promise<void> {
  const { size, modified } = file;
  const write = exchange.begin(200, {
    "Content-Type": "application/octet-stream",
    "Content-Length": size,
    "Last-Modified": modified.toUTCString(),
  });
  if (!exchange.isHead) await sendBytes(exchange, file, write);
  exchange.end();
}

/** Sends the bytes of a file, by one memory for all. */
async function sendBytes(
  { connection, name }: Exchange,
  file: StoredFile,
  write: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  const { size } = file;
  const room = new Uint8Array(Math.min(PIECE_BYTES, size));
  using _ = connection.enforceMinRateOut();
  for (let offset = 0; offset < size;) {
    const wanted = room.subarray(0, Math.min(room.length, size - offset));
    const reading = file.read(offset, wanted);
    const read = reading instanceof Promise ? await connection.unwatched(reading) : reading;
    if (read === 0) throw new InletError("changed", `${quoted(name)} changed while it was sent`);
    await write(wanted.subarray(0, read));
    offset += read;
  }
}

/** Whether a name is that of a folder. */
async function isFolder({ context, name }: Exchange): Promise<boolean> {
  try {
    for await (const page of context.store.tree(name)) return page[0]?.size === null;
  } catch {
    // The failure to open it is told.
  }
  return false;
}

/**
 * Sends a list as it is read.
 *
 * @param folder Empty for the list of every file.
 */
async function sendList(exchange: Exchange, folder: string): Promise<void> {
  const { context, connection } = exchange;
  const type = exchange.accepts(...Object.keys(FORMATS)) ?? "text/html";
  const what = folder === "" ? "list the files" : `list ${quoted(folder)}`;
  context.log.begin(folder === "" ? undefined : folder);
  checkAccess(rightsOf(context), folder === "" ? "list" : "tree", what);
  const over = new AbortController();
  const pages =
    (folder === "" ? context.store.list(over.signal) : context.store.tree(folder, over.signal))
      [Symbol.asyncIterator]();
  try {
    // The first page shows whether there is a list, before the status is sent.
    let page = await connection.unwatched(pages.next());
    if (folder === "") context.log.info("list", `asked to ${what}`);
    else context.log.info("tree", `asked to ${what}`, { file: folder });
    const write = exchange.begin(200, {
      "Content-Type": `${type}; charset=utf-8`,
      "Vary": "Accept",
    });
    const list = new ListEncoder(FORMATS[type as keyof typeof FORMATS], folder);
    await write(list.head());
    while (!page.done && !exchange.isHead) {
      await write(list.page(page.value));
      page = await connection.unwatched(pages.next());
    }
    await write(list.tail());
    exchange.end();
  } finally {
    over.abort();
    // Not waited for: a folder that cannot be read to its end would hold up a server that shuts down.
    pages.return?.(undefined)?.catch(() => {});
  }
}
