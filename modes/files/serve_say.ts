/**
 * Serves `say`: a message for the server's stdout.
 *
 * @module
 */

import { formatReply, formatStored, type Request } from "../../protocol.ts";
import { checkAccess } from "../../lib/auth/access.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { rightsOf, type ServerContext } from "../../lib/server/context.ts";
import type { Target } from "../../lib/server/store_body.ts";
import { BodyReceiver } from "./receive.ts";
import { agreeOnStart } from "./serve_put.ts";

/**
 * Writes a message to the stdout of the server, in its turn. One that is held until it is whole is
 * also verified before it is written.
 */
export async function serveSay(
  connection: Connection,
  context: ServerContext,
  { size }: Extract<Request, { type: "say" }>,
): Promise<void> {
  using message = context.stdout.begin({ connection, log: context.log });
  const what = "take the message";
  const target: Target = {
    write: (chunk) => connection.whilePresent(() => message.write(chunk), { usesChunk: true }),
    publish: async () => {
      await message.end();
      return "";
    },
    discard: () => message[Symbol.dispose](),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  await new BodyReceiver(connection, context, what).receive({
    open: () => {
      checkAccess(rightsOf(context), "say", what);
      return target;
    },
    size,
    negotiate: () => agreeOnStart(connection),
    exemptFromMinRate: true,
    acknowledge: (said) => formatReply({ type: "ok", detail: formatStored(said) }),
  });
}
