/**
 * Talk: what clients say, on every wire that has it.
 *
 * @module
 */

import { mayAccess } from "../auth/access.ts";
import { quoted } from "../text.ts";
import { rightsOf, type ServerContext } from "./context.ts";

/** Takes what a client says: into the log, and to those who watch, if the client may talk to others. */
export function takeTalk(
  context: Pick<ServerContext, "access" | "client" | "log">,
  text: string,
): void {
  const { client, log } = context;
  log.info("chat", `says ${quoted(text)}`, { text });
  if (mayAccess(rightsOf(context), "say")) log.feed.watcher?.said(client.name, text);
}
