/**
 * One request and its response, as the handlers of the routes get them.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { accepts } from "@std/http/negotiation";
import { InletError } from "../lib/errors.ts";
import type { Connection } from "../lib/net/connection.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { printableJson } from "../lib/text.ts";
import type { Headers } from "./problem.ts";
import type { HttpSocket } from "./socket.ts";
import type { Target } from "./target.ts";

/** Answers one request. What it throws becomes a problem, or cuts a response that has begun. */
export type Handler = (exchange: Exchange) => void | Promise<void>;

/** A request and its response. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The services of this client: its log, limits and rights, and the store. */
  readonly context: ServerContext;
  /** The connection below, for its limits: never read or write it. */
  readonly connection: Connection;
  readonly socket: HttpSocket;
  /** The query of the target. */
  readonly query: URLSearchParams;
  /** What `{name}` of the route stands for: parts joined by `/`, with one at the end for a folder. */
  readonly name: string;
  /** Whether the response has no body: RFC 9110, section 9.3.2. */
  readonly isHead: boolean;
  readonly #awaitsContinue: boolean;

  constructor(
    { request, response, socket, awaitsContinue }: Arrived,
    { query }: Pick<Target, "query">,
    name: string,
  ) {
    this.request = request;
    this.response = response;
    this.socket = socket;
    this.context = socket.context;
    this.connection = socket.connection;
    this.query = query;
    this.name = name;
    this.isHead = request.method === "HEAD";
    this.#awaitsContinue = awaitsContinue;
  }

  /** Which of some media types the client prefers; `undefined` if it accepts none of them. */
  accepts(...types: readonly string[]): string | undefined {
    return accepted(this.request, types);
  }

  /** Whether a person reads the response, in a browser. */
  get prefersHtml(): boolean {
    return prefersHtml(this.request);
  }

  /** The address of a path of this server, such as `/files/a`: as clients have it, also behind proxies. */
  address(path: string): string {
    return `${this.context.web.base}${path}`;
  }

  /** The value of a field of the request; several are joined by commas: RFC 9110, section 5.3. */
  header(name: string): string | undefined {
    const value = this.request.headers[name.toLowerCase()];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  /** The media type of the body, in lower case and without parameters: RFC 9110, section 8.3.1. */
  get mediaType(): string | undefined {
    const field = this.header("Content-Type");
    return field === undefined ? undefined : field.split(";")[0]!.trim().toLowerCase();
  }

  /** Asks a client that waits for that to send its body: RFC 9110, section 10.1.1. */
  proceed(): void {
    if (this.#awaitsContinue && !this.response.headersSent) this.response.writeContinue();
  }

  /**
   * Does work that the client waits for: its silence does not count meanwhile. If the client leaves,
   * the work is told by its signal.
   *
   * @throws {InletError} what ended the connection, or what the work threw
   */
  async whileThere<T>(work: (gone: AbortSignal) => Promise<T>): Promise<T> {
    const over = new AbortController();
    const leave = (): void => over.abort(this.#gone());
    this.socket.once("close", leave);
    // A socket that has closed does not say so again.
    if (this.socket.destroyed) leave();
    try {
      return await this.connection.unwatched(work(over.signal));
    } finally {
      this.socket.off("close", leave);
    }
  }

  /** Sends a whole response. */
  send(status: number, headers: Headers = {}, body: Uint8Array | string = ""): void {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    // RFC 9110, section 8.6: without a body by definition, it has no length either.
    const hasBody = status !== 204 && status !== 304;
    beginResponse(this, status, { ...hasBody && { "Content-Length": bytes.length }, ...headers });
    endResponse(this, bytes);
  }

  /** Sends JSON. */
  sendJson(status: number, value: unknown, headers: Headers = {}): void {
    const json = { "Content-Type": "application/json", ...headers };
    this.send(status, json, `${printableJson(value)}\n`);
  }

  /**
   * Begins a response whose body comes in pieces. Without a `Content-Length` it is chunked, or, for a
   * client of HTTP/1.0, ends with the connection.
   *
   * @returns Writes a piece, and settles when its memory is free again. It rejects if the client left.
   */
  begin(status: number, headers: Headers): (piece: Uint8Array | string) => Promise<void> {
    beginResponse(this, status, headers);
    return (piece) => this.#write(piece);
  }

  /** Ends a response that was begun. */
  end(): void {
    endResponse(this);
  }

  /** Ends a response with its last piece, and settles when its memory is free again, or rejects as above. */
  async endWith(piece: Uint8Array): Promise<void> {
    await this.#taken((done) => endResponse(this, piece, done));
  }

  async #write(piece: Uint8Array | string): Promise<void> {
    if (this.isHead || piece.length === 0) return;
    await this.#taken((done) => this.response.write(piece, done));
  }

  /** Waits until the system has taken what is written. */
  async #taken(write: (done: (error?: Error | null) => void) => void): Promise<void> {
    const { response } = this;
    if (response.destroyed || this.socket.destroyed) throw this.#gone();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onClose = (): void => reject(this.#gone());
    response.once("close", onClose);
    write((error) => error ? reject(this.#gone()) : resolve());
    await promise.finally(() => response.off("close", onClose));
  }

  /** Why nothing reaches the client any more. */
  #gone(): InletError {
    return this.connection.failure ??
      new InletError("lost", "The client left before it had the response");
  }
}

/** Whether a person reads the response to a request, in a browser. */
export function prefersHtml(request: IncomingMessage): boolean {
  return accepted(request, ["application/json", "text/html"]) === "text/html";
}

function accepted(
  { headers }: IncomingMessage,
  types: readonly string[],
): string | undefined {
  return accepts({ headers: { get: () => headers.accept ?? null } }, ...types);
}

/** A request that has arrived. */
export interface Arrived {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: HttpSocket;
  /** Whether it sends its body only when it is asked to. */
  readonly awaitsContinue: boolean;
}

/**
 * Sends the head of a response. It ends the connection if what is left of the request would be in the
 * way of the next one, or if the server stops.
 */
export function beginResponse(
  { request, response, socket }: Pick<Arrived, "request" | "response" | "socket">,
  status: number,
  headers: Headers,
): void {
  const { headers: { upgrade, "transfer-encoding": coding } } = request;
  // The parser goes no further behind a request for another protocol. What it takes for a second
  // request of HTTP/1.0 may be RTSP. And a body in another coding may end elsewhere for others.
  const isLast = !(request.complete || socket.isPast) || upgrade !== undefined ||
    request.httpVersion === "1.0" || (coding ?? "chunked").toLowerCase() !== "chunked" ||
    socket.context.signal.aborted;
  if (isLast) response.shouldKeepAlive = false;
  response.writeHead(status, headers);
}

/**
 * Ends a response. The place is free before the client can know that, so that its next connection
 * finds it.
 */
export function endResponse(
  { response, socket }: Pick<Arrived, "response" | "socket">,
  body?: Uint8Array,
  done?: () => void,
): void {
  socket.context.leavePlace();
  response.end(body, done);
}
