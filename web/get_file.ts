/**
 * GET: a file, or a part of it.
 *
 * @module
 */

import { clientOf } from "../lib/address.ts";
import { checkAccess } from "../lib/auth/access.ts";
import { explain, InletError } from "../lib/errors.ts";
import { rightsOf } from "../lib/server/context.ts";
import type { StoredFile } from "../lib/store/store.ts";
import { quoted } from "../lib/text.ts";
import { isKnown, mayJoin, versionOf } from "./conditions.ts";
import { wantedDigest } from "./digests.ts";
import { attachment } from "./disposition.ts";
import type { Exchange } from "./exchange.ts";
import { Refusal } from "./problem.ts";
import { decodeRange, type Range } from "./ranges.ts";
import { encodePart } from "./target.ts";

/** Fields of a file: whatever it holds, it is saved, and never runs or is shown as a page of here. */
const ATTACHED = {
  "Content-Type": "application/octet-stream",
  "Content-Security-Policy": "sandbox; default-src 'none'",
};

/** Most bytes of a file that are read at once. */
const PIECE_BYTES = 512 * 1024;

/** Most bytes that are sent with the end of a response, when its place is free already. */
const LAST_BYTES = 16 * 1024;

/** Sends a file, or lists a folder if the path ends with a slash. */
export async function getFile(exchange: Exchange): Promise<void> {
  const { name, context, query } = exchange;
  const what = `get ${quoted(name)}`;
  if (name.endsWith("/")) return await (await import("./get_list.ts")).getList(exchange);
  context.log.begin(name);
  checkAccess(rightsOf(context), "get", what);
  let stored: StoredFile;
  try {
    stored = await context.store.open(name);
  } catch (error) {
    if (explain(error).code !== "not-found" || !await isFolder(exchange)) throw error;
    // Relative, so that it is right behind a proxy too.
    const folder = `${encodePart(name.split("/").at(-1)!)}/`;
    return exchange.send(308, { Location: query.size > 0 ? `${folder}?${query}` : folder });
  }
  using file = stored;
  await sendFile(exchange, file);
}

/** Sends a file, or the part that is asked for. */
async function sendFile(exchange: Exchange, file: StoredFile): Promise<void> {
  const { name, connection } = exchange;
  const version = versionOf(file);
  const headers = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    "ETag": version.tag,
    "Last-Modified": version.modified.toUTCString(),
  };
  if (await isKnown(exchange, version)) return exchange.send(304, headers);
  // RFC 9110, section 14.2: only GET has ranges.
  const range = !exchange.isHead && mayJoin(exchange, version)
    ? decodeRange(exchange.header("Range"), file.size)
    : undefined;
  if (range === null) {
    throw new Refusal(416, `Cannot get that part of ${quoted(name)}: it has ${file.size} bytes`, {
      headers: { ...headers, "Content-Range": `bytes */${file.size}` },
    });
  }
  const client = clientOf(connection);
  const digest = await exchange.whileThere((signal) =>
    wantedDigest(exchange, file, { signal, client })
  );
  const { start, end } = range ?? { start: 0, end: file.size };
  exchange.context.log.sized(file.size, start);
  const write = exchange.begin(range ? 206 : 200, {
    ...headers,
    ...ATTACHED,
    "Content-Disposition": attachment(name),
    "Content-Length": end - start,
    ...range && { "Content-Range": `bytes ${start}-${end - 1}/${file.size}` },
    ...digest !== undefined && { "Repr-Digest": digest },
  });
  if (exchange.isHead) return exchange.end();
  await sendBytes(exchange, file, { start, end }, write);
  exchange.context.log.got(name, end - start);
}

/** Sends a part of a file, by one memory for all, and ends the response. */
async function sendBytes(
  exchange: Exchange,
  file: StoredFile,
  { start, end }: Range,
  write: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  const { connection, name } = exchange;
  if (start === end) return exchange.end();
  const room = new Uint8Array(Math.min(PIECE_BYTES, end - start));
  using _ = connection.enforceMinRateOut();
  for (let offset = start; offset < end;) {
    const wanted = room.subarray(0, Math.min(room.length, end - offset));
    const reading = file.read(offset, wanted);
    const read = reading instanceof Promise ? await connection.unwatched(reading) : reading;
    if (read === 0) throw new InletError("changed", `${quoted(name)} changed while it was sent`);
    offset += read;
    // Whoever has the last byte has the whole: Content-Length tells it.
    const last = offset < end ? read : Math.max(0, read - LAST_BYTES);
    await write(wanted.subarray(0, last));
    if (offset === end) await exchange.endWith(wanted.subarray(last, read));
  }
}

/** Whether a name is that of a folder. */
async function isFolder({ context, name }: Exchange): Promise<boolean> {
  try {
    for await (const page of context.store.tree(name, undefined, true)) {
      return page[0]?.size === null;
    }
  } catch {
    // The failure to open it is told.
  }
  return false;
}
