/**
 * Bytes until the sender closes, stored under a number.
 *
 * 1. C: bytes, as many as it likes.
 * 2. C: closes its side.
 * 3. S: closes, once the file is stored as `1.file`, `2.file`, …
 *
 * Numbers are given in the order of connections, on from what is in the directory, and none is given
 * twice. An end without a byte before it makes an empty file. A reset, a silence, or a size over the
 * limit leaves nothing; but a program that dies has its connection closed by its system, and that
 * end looks like any other.
 *
 * A server that refuses says `busy …` or `error CODE …`, and closes. Otherwise it says nothing.
 *
 * @module
 */

import type { Connection } from "../lib/net/connection.ts";
import { encodeError } from "../lib/errors.ts";
import { storeBody } from "../lib/server/store_body.ts";
import type { ServerContext } from "../lib/server/context.ts";

export { sendToEnd as sendRaw } from "./send_only.ts";

/** What follows the number in a name. */
const ENDING = ".file";

/** Server half: stores one file. */
export async function serveRaw(connection: Connection, context: ServerContext): Promise<void> {
  connection.farewell = encodeError;
  using _ = connection.enforceMinRate();
  await using upload = await context.store.receiveNumbered(ENDING);
  await storeBody(connection.body(), upload, "store what came", context);
}
