/**
 * Serves `say`: a message for the server's stdout.
 *
 * @module
 */

import { encodeReply, formatStored, type Request } from "../../protocol.ts";
import { checkAccess } from "../../lib/auth/access.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import type { Target } from "../../lib/server/store_body.ts";
import { BodyReceiver } from "./receive.ts";
import { agreeOnStart } from "./serve_put.ts";

/** Writes a message to the stdout of the server. */
export async function serveSay(
  connection: Connection,
  context: ServerContext,
  { size }: Extract<Request, { type: "say" }>,
): Promise<void> {
  using lock = context.stdout.lock();
  await connection.unwatched(lock.ready);
  const what = "take the message";
  const target: Target = {
    write: (chunk) => connection.unwatched(lock.write(chunk)),
    publish: () => Promise.resolve(""),
    discard: () => {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  await new BodyReceiver(connection, context, what).receive({
    open: () => {
      checkAccess(context.access, "say", what);
      return target;
    },
    size,
    negotiate: () => agreeOnStart(connection),
    exemptFromMinRate: true,
    acknowledge: (said) => {
      context.log.info("message", `sent a message of ${said.size} bytes`, { size: said.size });
      return encodeReply({ type: "ok", detail: formatStored(said) });
    },
  });
}
