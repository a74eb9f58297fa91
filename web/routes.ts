/**
 * The routes of the server. docs/http.md describes them, and a test compares.
 *
 * The file of a handler is loaded with the first request for it: a server that is asked for one file
 * has no use for the rest.
 *
 * @module
 */

import type { Handler } from "./exchange.ts";
import type { Route } from "./router.ts";

const getFile: Handler = async (exchange) => (await import("./get_file.ts")).getFile(exchange);
const getList: Handler = async (exchange) => (await import("./get_list.ts")).getList(exchange);
const getMetrics: Handler = async (exchange) => (await import("./metrics.ts")).getMetrics(exchange);
const tellAbout: Handler = async (exchange) => (await import("./about.ts")).tellAbout(exchange);
const signIn: Handler = async (exchange) => (await import("./sign_in.ts")).signIn(exchange);
const signOut: Handler = async (exchange) => (await import("./sign_in.ts")).signOut(exchange);
const followEvents: Handler = async (exchange) =>
  (await import("./events.ts")).followEvents(exchange);
const postTalk: Handler = async (exchange) => (await import("./events.ts")).postTalk(exchange);
const getStatus: Handler = async (exchange) => (await import("./events.ts")).getStatus(exchange);
const getPage: Handler = async (exchange) => (await import("./page.ts")).getPage(exchange);
const getPageFile: Handler = async (exchange) => (await import("./page.ts")).getPageFile(exchange);
const postForm: Handler = async (exchange) => (await import("./post_form.ts")).postForm(exchange);
const putFile: Handler = async (exchange) => (await import("./put_file.ts")).putFile(exchange);
const onUploads: Handler = async (exchange) => (await import("./tus.ts")).answerForAll(exchange);
const onUpload: Handler = async (exchange) => (await import("./tus.ts")).answerForOne(exchange);

/** What every response of tus has, also one that needs nothing of tus.ts. */
const headers = { "Tus-Resumable": "1.0.0" };

/** Every route. The first one whose path matches decides. */
export const ROUTES: readonly Route[] = [
  { method: "GET", path: "/", handle: getPage, isOpen: true },
  { method: "GET", path: "/page/{name}", handle: getPageFile, isOpen: true },
  // Every browser asks for it. The page has no icon yet, and that is no failure.
  { method: "GET", path: "/favicon.ico", handle: (exchange) => exchange.send(204), isOpen: true },
  { method: "GET", path: "/about", handle: tellAbout, isOpen: true },
  { method: "POST", path: "/sign-in", handle: signIn, isOpen: true },
  { method: "POST", path: "/sign-out", handle: signOut, isOpen: true },
  { method: "GET", path: "/events", handle: followEvents },
  { method: "POST", path: "/talk", handle: postTalk },
  { method: "GET", path: "/status", handle: getStatus },
  { method: "GET", path: "/files/", handle: getList },
  { method: "GET", path: "/files/{name}", handle: getFile },
  { method: "PUT", path: "/files/{name}", handle: putFile },
  { method: "POST", path: "/files/", handle: postForm },
  { method: "POST", path: "/files/{name}", handle: postForm },
  { method: "GET", path: "/metrics", handle: getMetrics },
  { method: "POST", path: "/uploads/", handle: onUploads, headers },
  { method: "OPTIONS", path: "/uploads/", handle: onUploads, headers },
  { method: "HEAD", path: "/uploads/{name}", handle: onUpload, headers },
  { method: "PATCH", path: "/uploads/{name}", handle: onUpload, headers },
  { method: "DELETE", path: "/uploads/{name}", handle: onUpload, headers },
  { method: "OPTIONS", path: "/uploads/{name}", handle: onUpload, headers },
  { method: "POST", path: "/uploads/{name}", handle: onUpload, headers },
  // What `curl -T file http://HOST:PORT/` sends: it appends the name of the file.
  { method: "PUT", path: "/{name}", handle: putFile, isAlias: true },
];
