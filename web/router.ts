/**
 * Finds the route of a request, and answers it: with what its handler sends, or with a problem.
 *
 * @module
 */

import { explain, type InletError } from "../lib/errors.ts";
import { quoted } from "../lib/text.ts";
import { checkCaller } from "./admission.ts";
import {
  type Arrived,
  beginResponse,
  endResponse,
  Exchange,
  type Handler,
  prefersHtml,
} from "./exchange.ts";
import { checkHost, checkOrigin } from "./origin.ts";
import { type Headers, problemOf, Refusal } from "./problem.ts";
import { checkRequest } from "./request_checks.ts";
import { decodeTarget } from "./target.ts";

/** What a server answers to one method at one path. */
export interface Route {
  /** `HEAD` comes with `GET`, and `OPTIONS` with all, where they have no row of their own. */
  readonly method: string;
  /** A path, which may end with `{name}`: one part or more, and not only a slash. */
  readonly path: string;
  readonly handle: Handler;
  /** Fields of every response. */
  readonly headers?: Headers;
  /** Whether it is a short form of another one, at which other methods find nothing. */
  readonly isAlias?: boolean;
  /** Whether a server with a key answers it without. */
  readonly isOpen?: boolean;
}

/**
 * Fields of every response. Nothing that it holds is guessed to be a page, loaded by other pages, or
 * kept by anybody on the way.
 */
const EVERYWHERE: Headers = {
  "X-Content-Type-Options": "nosniff",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  // Without any, a form of this server's own would have the origin `null`.
  "Referrer-Policy": "same-origin",
  "Cache-Control": "no-store",
};

/** The path that is meant by a method that stores something, where nothing can be stored. */
const MEANT: ReadonlyMap<string, string> = new Map([["PUT", "/files/NAME"], ["POST", "/files/"]]);

/**
 * Answers a request. It never rejects.
 *
 * @param routes The first one whose path matches decides, with the others of the same path.
 */
export async function answer(arrived: Arrived, routes: readonly Route[]): Promise<void> {
  try {
    await route(arrived, routes);
  } catch (error) {
    fail(arrived, explain(error, `Cannot ${arrived.request.method}`));
  }
}

/** Answers with a failure, or cuts a response that has begun. */
export function fail(arrived: Arrived, error: InletError): void {
  const { response, socket: { connection, context }, socket } = arrived;
  // What ended the connection is logged at its end.
  if (!connection.failure) context.log.failure(error);
  if (socket.destroyed) return;
  if (response.headersSent) {
    // Without a length and chunks, only a reset tells the client that this is not the whole.
    connection.unfinished = arrived.request.httpVersion === "1.0";
    socket.destroy();
    return;
  }
  const base = prefersHtml(arrived.request) ? context.web.base : undefined;
  const { status, headers, body } = problemOf(error, base);
  beginResponse(arrived, status, headers);
  endResponse(arrived, body);
}

async function route(arrived: Arrived, routes: readonly Route[]): Promise<void> {
  const { request, response, socket } = arrived;
  for (const [name, value] of Object.entries(EVERYWHERE)) response.setHeader(name, value);
  checkRequest(request, socket);
  if (request.method === "OPTIONS" && request.url === "*") {
    return new Exchange(arrived, { query: new URLSearchParams() }, "").send(204);
  }
  const target = decodeTarget(request.url!);
  const below = belowBase(target.path, socket.context.web.base);
  const found = aliasFor(request.method!, below, routes) ??
    routes.find(({ path }) => nameIn(below, path) !== undefined);
  const name = found && nameIn(below, found.path)!;
  for (const [name, value] of Object.entries(found?.headers ?? {})) response.setHeader(name, value);
  const exchange = new Exchange(arrived, target, name ?? "");
  checkHost(exchange);
  checkOrigin(exchange);
  const there = routes.filter(({ path }) => path === found?.path);
  const { method } = request;
  const matching = there.find((route) => route.method === method) ??
    there.find((route) => exchange.isHead && route.method === "GET");
  if (!matching?.isOpen) await checkCaller(exchange);
  if (matching) return await matching.handle(exchange);
  if (there.every(({ isAlias }) => isAlias)) {
    const what = `Cannot find ${quoted(`/${target.path.join("/")}`)}`;
    throw new Refusal(404, `${what}: files are below ${exchange.address("/files/")}`, {
      code: "not-found",
    });
  }
  const Allow = allowed(there);
  if (method === "OPTIONS") return exchange.send(204, { Allow });
  const place = MEANT.get(method!);
  const meant = place === undefined ? "" : `, or ${method} ${exchange.address(place)}`;
  throw new Refusal(405, `Cannot ${method} here: use ${Allow}${meant}`, { headers: { Allow } });
}

/**
 * The short form that a path of one part is, such as `PUT /status`: any name can be stored so, that of
 * another route too.
 */
function aliasFor(
  method: string,
  below: readonly string[],
  routes: readonly Route[],
): Route | undefined {
  const isName = below.length === 1 && below[0] !== "";
  return isName ? routes.find((route) => route.isAlias && route.method === method) : undefined;
}

/** The part of a path behind that of the server; what is elsewhere is no path of any route. */
function belowBase(path: readonly string[], base: string): readonly string[] {
  const parts = base.split("/").slice(1);
  return parts.every((part, index) => part === path[index]) ? path.slice(parts.length) : [];
}

/** What `{name}` stands for in the pattern of a path; empty without one, `undefined` if none matches. */
function nameIn(path: readonly string[], pattern: string): string | undefined {
  const parts = pattern.slice(1).split("/");
  const hasName = parts.at(-1) === "{name}";
  const fixed = hasName ? parts.slice(0, -1) : parts;
  if (!fixed.every((part, index) => part === path[index])) return undefined;
  const rest = path.slice(fixed.length).join("/");
  if (hasName) return rest === "" ? undefined : rest;
  return path.length === fixed.length ? "" : undefined;
}

/** The field that lists the methods of a path: RFC 9110, section 10.2.1. */
function allowed(routes: readonly Route[]): string {
  const methods = routes.map(({ method }) => method);
  const implied = methods.includes("GET") ? ["HEAD", "OPTIONS"] : ["OPTIONS"];
  return [...new Set([...implied, ...methods])].sort().join(", ");
}
