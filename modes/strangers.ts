/**
 * Clients that begin as those of another wire do: the look at what they send, what they are told, and
 * what the log says of them.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { startsWith } from "@std/bytes/starts-with";
import { hostOf } from "../lib/address.ts";
import { WITHOUT_A_KEY } from "../lib/auth/key.ts";
import { InletError } from "../lib/errors.ts";
import { AwakeTimer } from "../lib/net/awake.ts";
import type { Connection } from "../lib/net/connection.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { lookOf, type Opening, openingOf, unknownOpening } from "./first_bytes.ts";

/** Milliseconds of silence after which a beginning counts as all that the client says at first. */
export const PAUSE_MS = 1000;

/** Bytes of a beginning that are looked at. A client of ours sends fewer before it waits. */
const MOST_BYTES = 128 * 1024;

/** Whose clients begin so. */
const CLIENTS: Readonly<Record<Exclude<Opening, "other">, string>> = {
  native: "a client of mode files",
  upload: "a client of mode upload",
  tls: "a TLS client",
  http: "a web client",
  proxy: "a proxy",
};

/**
 * Waits for bytes beyond those that have arrived.
 *
 * @param pauseMs Milliseconds after which it is silence that follows; without it, nothing is.
 */
export async function following(
  connection: Connection,
  pauseMs: number | undefined,
): Promise<"bytes" | "silence" | "end"> {
  const arrival = connection.more(MOST_BYTES).then((more) => more ? "bytes" : "end");
  if (pauseMs === undefined) return await arrival;
  const { promise: silence, resolve } = Promise.withResolvers<"silence">();
  using _ = new AwakeTimer(pauseMs, () => resolve("silence"));
  // Whoever reads next waits for the same bytes, and is told what went wrong.
  arrival.catch(() => {});
  return await Promise.race([arrival, silence]);
}

/**
 * The error for a client that begins in no wire of this server.
 *
 * @param begins How its own clients begin.
 */
export async function unknownClient(
  connection: Connection,
  begins: string,
  canFallBack: boolean,
): Promise<InletError> {
  let look = lookOf(connection.buffered);
  while (!look) {
    const next = await following(connection, PAUSE_MS);
    look = lookOf(connection.buffered, next === "bytes" ? undefined : next);
  }
  return unknownOpening(look, begins, canFallBack);
}

/** The error for a client of a wire that no inlet server speaks. */
export function notSpoken(opening: "tls" | "http"): InletError {
  const what = opening === "tls"
    ? `TLS: ${WITHOUT_A_KEY}, on plain TCP`
    : "HTTP: this is an inlet server, and it has no web page";
  return new InletError("bad-request", `Cannot speak ${what}`);
}

/** The error for a proxy that nobody has told to be one. */
export function unknownProxy({ remote }: Connection): InletError {
  const what = `Cannot take a PROXY header from ${hostOf(remote)}`;
  return new InletError("denied", `${what}: give --proxy-from ADDRESS if it is a proxy of yours`);
}

/** The error for a client that is not encrypted, on a server with a key. */
export function needsKey(opening: Opening): InletError {
  const how = opening === "http"
    ? "use https://"
    : "give --token-file FILE, or INLET_TOKEN and --allow-env=INLET_TOKEN";
  return new InletError(
    "denied",
    `Cannot go on: this server requires a key and is encrypted: ${how}`,
  );
}

/** Tells a web client that has sent its request how this server ends the connection. */
export function answerInHttp(connection: Connection): void {
  const isHead = startsWith(connection.buffered, HEAD);
  connection.farewell = ({ message }) => encodeForBrowser(message, isHead);
}

/** The method whose response has no body: RFC 9110, section 9.3.2. */
const HEAD = new TextEncoder().encode("HEAD ");

/** Encodes a message as a response of HTTP: RFC 9112, section 4. */
function encodeForBrowser(message: string, isHead: boolean): Uint8Array<ArrayBuffer> {
  const body = new TextEncoder().encode(`${message}\n`);
  const head = new TextEncoder().encode(
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n" +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`,
  );
  return isHead ? head : concat([head, body]);
}

/** The error for a client of mode upload that begins with no size. */
export async function notAnUpload(connection: Connection): Promise<InletError> {
  let opening = openingOf(connection.buffered);
  while (!opening) {
    const next = await following(connection, PAUSE_MS);
    opening = openingOf(connection.buffered) ?? (next === "bytes" ? undefined : "other");
  }
  switch (opening) {
    case "http":
      answerInHttp(connection);
      return notSpoken(opening);
    case "tls":
      return notSpoken(opening);
    case "native":
      return new InletError(
        "bad-request",
        `Cannot serve ${CLIENTS.native}: this is a server of mode upload; use --mode upload`,
      );
    default:
      return await unknownClient(connection, "a client of mode upload begins with a size", false);
  }
}

/**
 * Tells the log of a client that begins as one of another wire does. In a mode that takes any bytes
 * this is no fault; but such a client waits for an answer that never comes.
 *
 * @param mode The mode of this server.
 * @param answers Whether this server answers at once, whatever it is sent.
 */
export async function noteStranger(
  connection: Connection,
  { log }: ServerContext,
  { mode, answers }: { mode: string; answers: boolean },
): Promise<void> {
  const opening = openingOf(connection.buffered);
  if (opening === undefined || opening === "other") return;
  if (!answers) {
    let next: "bytes" | "silence" | "end";
    // A client of ours sends files behind its greeting, and then waits. What is larger than they are
    // is no greeting: a file may begin with any bytes.
    do next = await following(connection, PAUSE_MS); while (
      next === "bytes" && connection.buffered.length < MOST_BYTES
    );
    if (next !== "silence") return;
  }
  const whose = CLIENTS[opening];
  log.info("other-mode", `begins as ${whose} does: this is a server of mode ${mode}`, { mode });
}
