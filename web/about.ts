/**
 * GET /about: what the page has to know of this server and of its visitor.
 *
 * @module
 */

import denoJson from "../deno.json" with { type: "json" };
import { mayAccess } from "../lib/auth/access.ts";
import { certificateFingerprint } from "../lib/auth/certificate.ts";
import { rightsOf, type ServerContext } from "../lib/server/context.ts";
import { recogniseCaller } from "./admission.ts";
import type { Exchange } from "./exchange.ts";

/** What a visitor may do: list, get and store files, and talk to the others. */
interface May {
  readonly list: boolean;
  readonly get: boolean;
  readonly put: boolean;
  readonly talk: boolean;
}

const NOTHING: May = { list: false, get: false, put: false, talk: false };

/** Tells a visitor what concerns it. A stranger is told that it has to sign in, and how to go on safely. */
export async function tellAbout(exchange: Exchange): Promise<void> {
  const { context, socket } = exchange;
  const isKnown = await recogniseCaller(exchange);
  const { authenticator, client, maxBytes } = context;
  exchange.sendJson(200, {
    version: isKnown ? denoJson.version : null,
    signIn: !authenticator ? "none" : isKnown ? "done" : "needed",
    // Not the name in the session, which is another one for each of its connections.
    user: isKnown && authenticator && client.requested ? client.requested : null,
    may: isKnown ? mayOf(context) : NOTHING,
    maxFileBytes: isKnown && maxBytes < Number.MAX_SAFE_INTEGER ? maxBytes : null,
    secure: socket.scheme === "https",
    fingerprint: authenticator
      ? await certificateFingerprint((await authenticator.identity()).certificate)
      : null,
  });
}

function mayOf(context: ServerContext): May {
  const rights = rightsOf(context);
  const may = (type: Parameters<typeof mayAccess>[1]): boolean => mayAccess(rights, type);
  return { list: may("list"), get: may("get"), put: may("put"), talk: may("say") };
}
