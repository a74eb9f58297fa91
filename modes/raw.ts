/**
 * Mode raw: bytes until the sender closes, stored under a number.
 *
 * 1. C: bytes, as many as it likes.
 * 2. C: closes its side.
 * 3. S: closes, once the file is stored as `1.file`, `2.file`, …
 *
 * Numbers follow the order of connections, and continue after the highest in the directory. No
 * number is used twice. A reset, a timeout, or a size over the limit stores nothing, and neither does
 * a connection that closes without a byte, unless `--keep-empty` was given. A sender that crashes cannot be told from one
 * that finished, because its operating system closes the connection in the same way.
 *
 * A server that refuses sends `busy …` or `error CODE …`, and closes. Otherwise it sends nothing.
 *
 * @module
 */

import type { Connection } from "../lib/net/connection.ts";
import { encodeError } from "../lib/errors.ts";
import { openOnServer } from "./opening.ts";
import { noteStranger } from "./strangers.ts";
import { storeBody } from "../lib/server/store_body.ts";
import type { ServerContext } from "../lib/server/context.ts";

export { sendToEnd as sendRaw } from "./send_only.ts";

/** Ending of a numbered name. */
const ENDING = ".file";

/** Server half: stores one file. */
export async function serveRaw(connection: Connection, context: ServerContext): Promise<void> {
  connection.farewell = encodeError;
  await using upload = await context.store.receiveNumbered(ENDING);
  if (!await openOnServer(connection, context) && !context.wire.keepEmpty) {
    return context.log.info("empty", "sent nothing, so nothing is stored");
  }
  await noteStranger(connection, context, { mode: "raw", answers: false });
  using _ = connection.enforceMinRate();
  await storeBody(connection, connection.body(), upload, "store the file", context);
}
