/**
 * POST /sign-in and POST /sign-out: a person who has the key gives it once, in a form, and the browser
 * gets a cookie. A server without a key has nothing to sign in to, and says yes.
 *
 * @module
 */

import type { Password } from "../lib/auth/authenticator.ts";
import { USER_TOKEN } from "../lib/auth/key.ts";
import { InletError } from "../lib/errors.ts";
import { checkClientName } from "../lib/server/clients.ts";
import { introduce, refuseWrong } from "./admission.ts";
import { receiveText } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import { type Headers, Refusal } from "./problem.ts";
import { cookieFields, idsIn, sessionsOf } from "./sessions.ts";

/** What forms without files are. */
const FORM_TYPE = "application/x-www-form-urlencoded";

/** Most bytes of the form. The file of a token has some 400. */
const MOST_BYTES = 16 * 1024;

/** Begins a session, if the form has the key of the server or the token of a user. */
export async function signIn(exchange: Exchange): Promise<void> {
  const { context: { authenticator, client }, connection } = exchange;
  if (exchange.mediaType !== FORM_TYPE) {
    throw new Refusal(415, `Cannot sign in by this: send ${FORM_TYPE}`);
  }
  const form = await receiveForm(exchange);
  if (!authenticator) return done(exchange);
  const asked = (form.get("name") ?? "").trim();
  checkClientName(asked);
  const identity = await authenticator.identity();
  const caller = await authenticator.verifyPassword(await passwordIn(form.get("key") ?? ""));
  // Another client may have got its place meanwhile.
  if (connection.failure) throw connection.failure;
  if (caller === false || (caller !== true && caller.isRevoked)) return await refuseWrong(exchange);
  if (caller !== true) client.user = caller;
  client.unauthenticated = false;
  const name = caller === true ? asked : caller.name;
  introduce(exchange.context, name);
  const sessions = sessionsOf(authenticator);
  // The one before is nobody's any more.
  for (const id of idsIn(exchange)) await sessions.end(id);
  const id = await sessions.begin({ caller, name: caller === true ? asked : "" }, identity);
  done(exchange, cookieFields(exchange, id));
}

/**
 * Receives the form. As long as it comes its client is a stranger, who must keep nobody out: so it
 * holds no place.
 *
 * @throws {InletError} `busy` if there is no place for it afterwards
 */
async function receiveForm(exchange: Exchange): Promise<URLSearchParams> {
  const { context, connection } = exchange;
  context.leavePlace();
  connection.resting = true;
  const text = await receiveText(exchange, MOST_BYTES);
  connection.resting = false;
  if (context.takePlace()) return new URLSearchParams(text);
  throw new InletError("busy", "The server is full");
}

/** Ends a session. */
export async function signOut(exchange: Exchange): Promise<void> {
  const { context: { authenticator } } = exchange;
  if (!authenticator) return done(exchange);
  for (const id of idsIn(exchange)) await sessionsOf(authenticator).end(id);
  done(exchange, cookieFields(exchange, undefined));
}

/** Leads a browser without script to the page. */
function done(exchange: Exchange, headers: Headers = {}): void {
  if (exchange.prefersHtml) exchange.send(303, { ...headers, Location: "./" });
  else exchange.send(204, headers);
}

/** The password in what people have: a key, a password with its name, a token, or the file of one. */
async function passwordIn(text: string): Promise<Password> {
  // Not \s: from each of many line ends it would look at all that follow.
  const [, name, password] = /^[ \t]*user = "([^":]+):([^"]+)"/m.exec(text) ?? [];
  if (name !== undefined && password !== undefined) return { name, password };
  const line = text.replace(/^[\s\uFEFF#]+/, "").trim();
  if (!line.startsWith(USER_TOKEN)) return { name: "", password: line };
  const { parseToken, passwordOf } = await import("../lib/auth/user_token.ts");
  const token = parseToken(line);
  return { name: token.name, password: await passwordOf(token) };
}
