/**
 * Mode talk: how its sessions open. talk/serve.ts has the conversation.
 *
 * @module
 */

import type { WireContext } from "../lib/cli/client_context.ts";
import { encodeError } from "../lib/errors.ts";
import type { Connection } from "../lib/net/connection.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { actOnServer, hintAtSilence, openOnClient, openOnServer } from "./opening.ts";
import { noteStranger } from "./strangers.ts";
import { TalkClient } from "./talk/client.ts";
import { serveMessages } from "./talk/serve.ts";

export { peekTalker } from "./talk/serve.ts";

/** Server half: serves one session. */
export async function serveTalk(connection: Connection, context: ServerContext): Promise<void> {
  connection.farewell = encodeError;
  connection.resting = true;
  if (context.wire.banner !== undefined) {
    await actOnServer(connection, context, { sendsNext: true });
  } else if (!await openOnServer(connection, context)) {
    return;
  }
  await noteStranger(connection, context, { mode: "talk", answers: true });
  await serveMessages(connection, context);
}

/** Client half: begins a session. */
export async function greetTalk(
  connection: Connection,
  name: string,
  context: WireContext,
): Promise<TalkClient> {
  await openOnClient(connection, context);
  let isTold = false;
  const onNotice = (text: string): void => {
    isTold = true;
    context.onNotice(text);
  };
  const hint = (): Disposable | undefined =>
    isTold ? undefined : hintAtSilence({ ...context, onNotice });
  return await TalkClient.greet(connection, context, { name, hint });
}
