/**
 * Admits clients to a server with a key or with users, before a route is asked what they may do. Each
 * request proves it anew: a proxy sends those of several people over one connection.
 *
 * @module
 */

import type { Authenticator } from "../lib/auth/authenticator.ts";
import { checkClientName } from "../lib/server/clients.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { refuseLate } from "../lib/server/refusals.ts";
import { BEARER, CHALLENGE, challengeAfter, parseCredentials } from "./credentials.ts";
import type { Exchange } from "./exchange.ts";
import { Refusal } from "./problem.ts";
import type { Session } from "./sessions.ts";

/** What a client is told that gives no key. */
const NO_KEY = "Cannot go on: this server requires a key";

/** What programs are told besides. */
const HOW = ", as the password or as a Bearer token";

/**
 * Checks who the client is, on a connection that is encrypted. From here on the client has the name and
 * the rights of its user.
 *
 * @throws {Refusal} 401; after a second, if it gives a wrong key
 */
export async function checkCaller(exchange: Exchange): Promise<void> {
  if (!await recogniseCaller(exchange)) {
    throw unauthorized(exchange, isBrowser(exchange) ? NO_KEY : NO_KEY + HOW);
  }
}

/**
 * The same for what strangers may see too.
 *
 * @returns Whether the client is admitted: false if it gives no key, and has not signed in.
 * @throws {Refusal} 401, after a second, if it gives a wrong key
 */
export async function recogniseCaller(exchange: Exchange): Promise<boolean> {
  const { request: { headers }, connection, context } = exchange;
  const { authenticator, client } = context;
  if (!authenticator) return true;
  client.unauthenticated = true;
  delete client.user;
  const given = parseCredentials(headers.authorization);
  const user = given ? await authenticator.verifyPassword(given) : false;
  const session = headers.authorization === undefined && headers.cookie !== undefined
    ? await sessionOf(exchange, authenticator)
    : undefined;
  // Another client may have got its place meanwhile.
  if (connection.failure) throw connection.failure;
  const caller = session?.caller ?? user;
  if (caller === false || (caller !== true && caller.isRevoked)) {
    introduce(context, "");
    if (!given) return false;
    return await refuseWrong(exchange);
  }
  if (caller !== true) client.user = caller;
  client.unauthenticated = false;
  introduce(context, caller !== true ? caller.name : session?.name ?? given!.name.trim());
  return true;
}

/** The session whose cookie a request has. Not sooner: most programs have none. */
export async function sessionOf(
  exchange: Exchange,
  authenticator: Authenticator,
): Promise<Session | undefined> {
  const { idsIn, sessionsOf } = await import("./sessions.ts");
  for (const id of idsIn(exchange)) {
    const session = await sessionsOf(authenticator).find(id);
    if (session) return session;
  }
  return undefined;
}

/**
 * Refuses a wrong key, after a second.
 *
 * @throws {Refusal} 401
 */
export async function refuseWrong(exchange: Exchange): Promise<never> {
  const { message } = await refuseLate(exchange.connection, exchange.context);
  throw unauthorized(exchange, message);
}

/**
 * Gives a client its name, if it had another one at its last request.
 *
 * @throws {InletError} `bad-name`
 */
export function introduce({ client, clients, log }: ServerContext, name: string): void {
  checkClientName(name);
  if (client.requested === name) return;
  client.requested = name;
  clients.rename(client, name);
  if (name !== "") log.welcomed(client.name);
}

function unauthorized(exchange: Exchange, message: string): Refusal {
  const headers = { "WWW-Authenticate": challengeTo(exchange) };
  return new Refusal(401, message, { code: "denied", headers });
}

/** The challenge for a client. A browser would ask for a password itself, in front of the page. */
function challengeTo(exchange: Exchange): string {
  const challenge = isBrowser(exchange) ? BEARER : CHALLENGE;
  return challengeAfter(exchange.request.headers.authorization, challenge);
}

function isBrowser(exchange: Exchange): boolean {
  return exchange.header("Sec-Fetch-Mode") !== undefined || exchange.prefersHtml;
}
