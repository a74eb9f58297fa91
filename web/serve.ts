/**
 * HTTP on a connection of ours.
 *
 * 1. C: a request, as in RFC 9112.
 * 2. S: its response, with a problem in JSON (RFC 9457) for what fails.
 * 3. The same again, until either side closes. In between the connection holds no client's place.
 *
 * The connection stays under the limits of every wire: silence, rate, and the end of the server. This
 * file is the only one that modes/ imports, on the first request and never before.
 *
 * @module
 */

import type { InletError } from "../lib/errors.ts";
import type { Connection } from "../lib/net/connection.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { lastWords } from "./problem.ts";
import { httpServer } from "./server.ts";
import { HttpSocket } from "./socket.ts";

const NOTHING = new Uint8Array(0);

/** Encodes the refusal of a connection that is not served. */
export const refusalInHttp: (error: InletError) => Uint8Array = lastWords;

/** Serves the requests of one connection. */
export async function serveHttp(connection: Connection, context: ServerContext): Promise<void> {
  connection.patient = false;
  let socket = new HttpSocket(connection, context);
  connection.farewell = (error) => {
    const { response, requests } = socket;
    const isOwed = response ? !response.headersSent : requests === 0;
    return isOwed ? lastWords(error) : socket.ending?.() ?? NOTHING;
  };
  let isBusy = false;
  for (let next: HttpSocket | undefined = socket; next; next = socket.successor) {
    socket = next;
    httpServer.emit("connection", socket);
    await socket.gone;
    isBusy = socket.isBusy && !socket.ending;
    await socket.idle;
  }
  connection.farewell = undefined;
  // The end of a connection at rest is no failure.
  if (connection.failure && (isBusy || socket.requests === 0)) throw connection.failure;
}
