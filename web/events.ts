/**
 * The session as a page has it: GET /events tells what happens, POST /talk says something to all, or
 * tells it one other client, and GET /status lists the clients.
 *
 * @module
 */

import { ACK, decodeNumber, MAX_TALK_BYTES } from "../protocol.ts";
import { checkAccess } from "../lib/auth/access.ts";
import { InletError } from "../lib/errors.ts";
import type { OnTold } from "../lib/server/attendance.ts";
import { checkClientName, type Client } from "../lib/server/clients.ts";
import { rightsOf, type ServerContext } from "../lib/server/context.ts";
import { letsReach, tell } from "../lib/server/people.ts";
import { takeTalk } from "../lib/server/talk.ts";
import { quoted } from "../lib/text.ts";
import { checkCaller, sessionOf } from "./admission.ts";
import { receiveText } from "./body.ts";
import { EventStream, streamsOf } from "./event_streams.ts";
import type { Exchange } from "./exchange.ts";
import { Refusal } from "./problem.ts";
import { allClients } from "./shown_clients.ts";

/** Milliseconds after which a browser begins a stream again that has ended. */
const RETRY_MS = 2000;

/** The end of a body in chunks: RFC 9112, section 7.1. */
const LAST_CHUNK = new TextEncoder().encode("0\r\n\r\n");

const NOTHING = new Uint8Array(0);

/** Tells what happens, until either side ends it. */
export async function followEvents(exchange: Exchange): Promise<void> {
  const { context, socket, response } = exchange;
  const headers = {
    "Content-Type": "text/event-stream",
    // nginx would hold it back.
    "X-Accel-Buffering": "no",
  };
  if (exchange.isHead) return exchange.send(200, headers);
  const streams = streamsOf(context);
  const isAdmitted = await admission(exchange);
  // From here to the stream that takes it, nobody else comes into the room.
  streams.checkRoom(context);
  const name = wantedName(exchange);
  context.leavePlace();
  // It loses nothing by the end of the server.
  exchange.connection.resting = true;
  using _visit = context.clients.visit(context.client, name);
  if (name !== "") context.log.welcomed(context.client.name);
  exchange.begin(200, headers);
  response.write(`retry: ${RETRY_MS}\n\n`);
  const over = Promise.withResolvers<void>();
  const stream = new EventStream({
    context,
    write: (bytes, done) => response.write(bytes, done),
    drop: () => socket.destroy(),
    isAdmitted,
  });
  const isChunked = response.chunkedEncoding;
  // Within an event the end of the connection is the only one that is understood.
  socket.ending = () => isChunked && stream.waiting === 0 ? LAST_CHUNK : NOTHING;
  // A browser that closes its direction reads no further.
  socket.once("end", over.resolve);
  socket.once("close", over.resolve);
  if (context.signal.aborted || socket.readableEnded || socket.destroyed) over.resolve();
  using _stream = streams.add(stream);
  if (letsReach(context)) {
    const onTold: OnTold = ({ number, name }, text) => stream.tell({ from: name, number, text });
    context.clients.attendance.visit(context.client, onTold);
  }
  await exchange.whileThere(() => over.promise);
  socket.ending = undefined;
  exchange.end();
}

/** Takes what a person says, as the native wire does. */
export async function postTalk(exchange: Exchange): Promise<void> {
  const { context } = exchange;
  if ((exchange.mediaType ?? "text/plain") !== "text/plain") {
    throw new Refusal(415, "Cannot take this message: send text/plain");
  }
  checkAccess(rightsOf(context), "say", "take the message");
  const text = (await receiveText(exchange, MAX_TALK_BYTES)).replace(/\r?\n$/, "");
  if (text === "") throw new InletError("bad-request", "Cannot take this message: it is empty");
  const to = exchange.query.get("to");
  if (to !== null) return tellOne(exchange, to, text);
  const streams = streamsOf(context);
  if (!streams.takesMessages) {
    throw new InletError("wait", "Cannot take the message: too many come at once");
  }
  takeTalk({ ...context, ...speakerOf(exchange) }, text);
  const answer = { "Content-Type": "text/plain; charset=utf-8" };
  exchange.send(200, answer, text + ACK);
}

/** Tells another client a text, as the visitor of an open stream. */
function tellOne(exchange: Exchange, to: string, text: string): void {
  const { context } = exchange;
  const what = "tell one client that";
  checkAccess(rightsOf(context), "attend", what);
  const client = visitorOf(exchange);
  if (!client) {
    const cure = "give the visitor of a stream of GET /events";
    throw new InletError("bad-request", `Cannot ${what}: ${cure}`);
  }
  const sender = { client, clients: context.clients, log: context.log.forClient(client) };
  exchange.send(tell(sender, numberIn(to), text) === "now" ? 204 : 202);
}

function numberIn(text: string): number {
  try {
    return decodeNumber(text, "client");
  } catch {
    throw new InletError("bad-request", `Cannot reach client ${quoted(text)}: it is no number`);
  }
}

/** Lists the clients, as `status` on the native wire. */
export function getStatus(exchange: Exchange): void {
  const { context } = exchange;
  const what = "list the clients";
  checkAccess(rightsOf(context), "status", what);
  context.log.info("status", `asked to ${what}`);
  exchange.sendJson(200, { clients: allClients(context.clients) });
}

/** The name that a visitor has: that of its user, or what it says. */
function wantedName({ context: { client }, query }: Exchange): string {
  const name = client.user?.name ?? ((query.get("name") ?? "").trim() || client.requested) ?? "";
  checkClientName(name);
  return name;
}

/** Who says something: the visitor of an open stream, or a client of its own. */
function speakerOf(exchange: Exchange): Pick<ServerContext, "client" | "log"> {
  const { client, clients, log } = exchange.context;
  const visitor = visitorOf(exchange);
  if (visitor) return { client: visitor, log: log.forClient(visitor) };
  const name = wantedName(exchange);
  if (name !== client.name) clients.rename(client, name);
  return { client, log };
}

/** The visitor of an open stream whose secret a request gives. */
function visitorOf({ context, query }: Exchange): Client | undefined {
  const visitor = streamsOf(context).visitor(query.get("visitor") ?? "");
  // The secret of somebody else's stream does not make another user of anybody.
  return visitor?.user === context.client.user ? visitor : undefined;
}

/** Tells later whether the client would still be admitted: the key can be replaced, a user removed. */
async function admission(exchange: Exchange): Promise<() => Promise<boolean>> {
  const { context: { authenticator, client } } = exchange;
  if (!authenticator) return () => Promise.resolve(true);
  const identity = await authenticator.identity();
  // The key may have been replaced since it was checked.
  await checkCaller(exchange);
  return async () => {
    if (client.user?.isRevoked || await authenticator.identity() !== identity) return false;
    const isByCookie = exchange.header("Authorization") === undefined;
    return !isByCookie || await sessionOf(exchange, authenticator) !== undefined;
  };
}
