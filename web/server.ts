/**
 * The one HTTP server of this process. It never listens: connections come from {@linkcode Listener},
 * which serves the native wire on the same port.
 *
 * @module
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { explain, InletError } from "../lib/errors.ts";
import { formatSeconds } from "../lib/text.ts";
import type { Arrived } from "./exchange.ts";
import { forwardedIn } from "./forwarded.ts";
import { lastWords, Refusal } from "./problem.ts";
import { answer, fail } from "./router.ts";
import { ROUTES } from "./routes.ts";
import { HttpSocket } from "./socket.ts";

/** Most bytes of all fields of a request, those behind its body included. */
const MAX_HEADER_BYTES = 16 * 1024;

/** What the parser calls at the first byte of a request: `kOnMessageBegin` of node's `HTTPParser`. */
const ON_MESSAGE_BEGIN = 0;

/** Reasons of the parser that have a status of their own, and their messages. */
const PARSE_FAILURES: Readonly<Record<string, () => InletError>> = {
  HPE_HEADER_OVERFLOW: () =>
    new Refusal(431, `Cannot take these header fields: the limit is ${MAX_HEADER_BYTES} bytes`, {
      code: "too-large",
    }),
};

/** The server; `emit("connection", socket)` gives it a connection. */
export const httpServer: Server = makeServer();

function makeServer(): Server {
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    // This would count the time in which nothing is read, too: see watchHeads().
    headersTimeout: 0,
    // A body can be large. What is slow or silent is the matter of the connection below.
    requestTimeout: 0,
    keepAliveTimeout: 0,
    // The router's own check has a problem for an answer.
    requireHostHeader: false,
  });
  // Fields beyond a count would be parsed, and shown to nobody: the limit on their bytes is enough.
  server.maxHeadersCount = 0;
  // No protocol is offered: a request for one is answered as any other.
  Object.assign(server, { shouldUpgradeCallback: () => false });
  // A client that closes its direction behind its requests still gets their answers.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on("connection", (socket: unknown) => {
    if (socket instanceof HttpSocket) watchHeads(socket);
  });
  const take = (awaitsContinue: boolean) => (request: IncomingMessage, response: ServerResponse) =>
    arrive({ request, response, socket: request.socket as unknown as HttpSocket, awaitsContinue });
  server.on("request", take(false));
  server.on("checkContinue", take(true));
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    const what = "Cannot expect anything but 100-continue";
    const socket = request.socket as unknown as HttpSocket;
    arrive({ request, response, socket, awaitsContinue: false }, new Refusal(417, what));
  });
  server.on("connect", (request: IncomingMessage) => {
    const socket = request.socket as unknown as HttpSocket;
    // What it would lead to has no method here: RFC 9110, section 10.2.1.
    socket.headEnded();
    end(socket, new Refusal(405, "Cannot CONNECT: this is no proxy", { headers: { Allow: "" } }));
  });
  server.on("clientError", (error: Error & { code?: string }, socket: unknown) => {
    if (socket instanceof HttpSocket) onClientError(error, socket);
  });
  // A server that does not listen closes a connection after each answer.
  Object.defineProperty(server, "listening", { value: true });
  return server;
}

/** Ends a connection whose client takes too long over the head of a request. */
function watchHeads(socket: HttpSocket): void {
  const { parser } = socket as unknown as { parser: Record<number, () => void> };
  parser[ON_MESSAGE_BEGIN] = () => socket.headBegan();
  socket.onLateHead = (ms) => {
    const message = `No complete head of a request within ${formatSeconds(ms)} s`;
    end(socket, new InletError("timeout", message));
  };
}

/** @param refusal Why the request is not looked at. */
function arrive(arrived: Arrived, refusal?: InletError): void {
  const { request, response, socket } = arrived;
  socket.headEnded();
  // What goes wrong is told by the end of the connection, too.
  request.on("error", () => {});
  response.on("error", () => {});
  socket.inTurn(() => serve(arrived, refusal));
}

async function serve(arrived: Arrived, refusal: InletError | undefined): Promise<void> {
  const { response, socket } = arrived;
  const { connection, context } = socket;
  socket.requests++;
  socket.response = response;
  connection.begun();
  connection.resting = false;
  context.log.begin();
  const over = Promise.withResolvers<void>();
  response.once("close", over.resolve);
  // Not `socket.gone`: what waits for that stays for as long as the connection.
  socket.once("close", over.resolve);
  const reason = refusal ?? recogniseClient(arrived);
  if (reason) fail(arrived, reason);
  else if (context.takePlace() || isForPage(arrived)) await answer(arrived, ROUTES);
  else fail(arrived, new InletError("busy", "The server is full"));
  await over.promise;
  socket.off("close", over.resolve);
  socket.response = undefined;
  connection.resting = true;
  // A connection at rest holds no place: a browser keeps six of them.
  context.leavePlace();
  if (context.signal.aborted) socket.destroySoon();
  else if (socket.isPast && !socket.writableEnded) socket.handOver();
}

/**
 * Whether a request is for the page or a file of it. A browser asks for them over six connections at
 * once, and without one of them the page cannot say that the server is full.
 */
function isForPage(
  { request: { method, url = "" }, socket: { context: { web } } }: Arrived,
): boolean {
  const isRead = method === "GET" || method === "HEAD";
  return isRead && (url === `${web.base}/` || url.startsWith(`${web.base}/page/`));
}

/**
 * Takes the client for the one that a proxy names, if it is a proxy's connection.
 *
 * @returns Why it cannot be told.
 */
function recogniseClient({ request, socket }: Arrived): InletError | undefined {
  const { connection, context, context: { client, log, web } } = socket;
  socket.scheme = connection.isEncrypted ? "https" : "http";
  try {
    const { address = connection.remote, scheme } = forwardedIn(
      ...[request.headers, connection.remote, web.proxies] as const,
    );
    if (scheme) socket.scheme = scheme;
    if (address === client.address) return undefined;
    // Its place counted for another address.
    context.leavePlace();
    client.address = address;
    log.info("forwarded", `comes from ${address}, by the proxy at ${connection.remote}`);
    return undefined;
  } catch (error) {
    return explain(error);
  }
}

/** Ends a connection behind the answers to what came before. */
function end(socket: HttpSocket, error: InletError): void {
  socket.breakOff(error);
  socket.inTurn(() => {
    if (!socket.writableEnded) {
      socket.context.log.failure(error);
      socket.end(lastWords(error));
    }
    return Promise.resolve();
  });
}

function onClientError(error: Error & { code?: string }, socket: HttpSocket): void {
  // What follows the last request of a connection is not looked at.
  if (error.code === "HPE_CLOSED_CONNECTION" || socket.destroyed) return;
  if (error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  // A body that is being received ends by it, and its handler tells the client.
  const failure = PARSE_FAILURES[error.code ?? ""]?.() ??
    new InletError("bad-request", `Cannot parse the request: ${error.message}`);
  end(socket, failure);
}
