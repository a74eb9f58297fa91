/**
 * Admits clients to a server with a key or with users, before a route is asked what they may do. Each
 * request proves it anew: a proxy sends those of several people over one connection.
 *
 * @module
 */

import { MAX_CLIENT_NAME_BYTES } from "../protocol.ts";
import { InletError } from "../lib/errors.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { refuseLate } from "../lib/server/refusals.ts";
import { quoted } from "../lib/text.ts";
import { CHALLENGE, challengeAfter, parseCredentials } from "./credentials.ts";
import type { Exchange } from "./exchange.ts";
import { Refusal } from "./problem.ts";

/** What a client is told that gives no key. Browsers ask for a name and a password. */
const NO_KEY = "Cannot go on: this server requires a key, as the password or as a Bearer token";

/**
 * Checks who the client is, on a connection that is encrypted. From here on the client has the name and
 * the rights of its user.
 *
 * @throws {Refusal} 401; after a second, if it gives a wrong key
 */
export async function checkCaller({ request, connection, context }: Exchange): Promise<void> {
  const { authenticator, client } = context;
  if (!authenticator) return;
  client.unauthenticated = true;
  delete client.user;
  const given = parseCredentials(request.headers.authorization);
  const user = given !== undefined && await authenticator.verifyPassword(given);
  // Another client may have got its place meanwhile.
  if (connection.failure) throw connection.failure;
  if (given === undefined || user === false || (user !== true && user.isRevoked)) {
    introduce(context, "");
    if (!given) throw unauthorized(NO_KEY);
    const { message } = await refuseLate(connection, context);
    throw unauthorized(message, challengeAfter(request.headers.authorization!));
  }
  if (user !== true) client.user = user;
  client.unauthenticated = false;
  introduce(context, user === true ? given.name.trim() : user.name);
}

/**
 * Gives a client its name, if it had another one at its last request.
 *
 * @throws {InletError} `bad-name`
 */
function introduce({ client, clients, log }: ServerContext, name: string): void {
  if (new TextEncoder().encode(name).length > MAX_CLIENT_NAME_BYTES) {
    const what = "Cannot take the client's name";
    throw new InletError("bad-name", `${what}: the limit is ${MAX_CLIENT_NAME_BYTES} bytes`);
  }
  if (client.requested === name) return;
  client.requested = name;
  clients.rename(client, name);
  if (name !== "") log.info("welcome", `is ${quoted(client.name)}`);
}

function unauthorized(message: string, challenge = CHALLENGE): Refusal {
  const headers = { "WWW-Authenticate": challenge };
  return new Refusal(401, message, { code: "denied", headers });
}
