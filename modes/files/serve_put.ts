/**
 * Serves the requests that store a file: `put` and `push`.
 *
 * @module
 */

import { encodeReply, type Request } from "../../protocol.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { admit } from "../../lib/server/admission.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { type Kept, NOTHING_KEPT } from "../../lib/store/store.ts";
import { quoted } from "../../lib/text.ts";
import { acknowledge } from "./admission.ts";
import { BodyReceiver } from "./receive.ts";
import { patiently } from "./wait.ts";

/** Serves `put` and `push`: stores a file. */
export async function servePut(
  connection: Connection,
  context: ServerContext,
  { type, size, name, fields }: Extract<Request, { type: "put" | "push" }>,
): Promise<void> {
  const what = `store ${quoted(name)}`;
  await new BodyReceiver(connection, context, what).receive({
    open: () => {
      admit(context, type, what, size);
      return patiently(connection, what, () => context.store.receive(name, size));
    },
    size,
    id: fields?.id,
    ...(type === "put" && { negotiate: () => agreeOnStart(connection) }),
    onPublished: (stored) => context.log.stored(stored),
    acknowledge: (stored) => acknowledge(context, stored, name),
  });
}

/** Asks for the whole body. */
export async function agreeOnStart(connection: Connection): Promise<Kept> {
  await connection.write(encodeReply({ type: "go", offset: 0 }));
  return NOTHING_KEPT;
}
