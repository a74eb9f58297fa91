/**
 * The routes of the server. docs/http.md describes them, and a test compares.
 *
 * @module
 */

import { getFile, getList } from "./files_routes.ts";
import { getMetrics } from "./metrics.ts";
import { postForm } from "./post_form.ts";
import { putFile } from "./put_file.ts";
import type { Route } from "./router.ts";
import { TUS_ROUTES } from "./tus.ts";

/** Every route. The first one whose path matches decides. */
export const ROUTES: readonly Route[] = [
  { method: "GET", path: "/", handle: (exchange) => exchange.send(302, { Location: "files/" }) },
  { method: "GET", path: "/files/", handle: getList },
  { method: "GET", path: "/files/{name}", handle: getFile },
  { method: "PUT", path: "/files/{name}", handle: putFile },
  { method: "POST", path: "/files/", handle: postForm },
  { method: "POST", path: "/files/{name}", handle: postForm },
  { method: "GET", path: "/metrics", handle: getMetrics },
  ...TUS_ROUTES,
  // What `curl -T file http://HOST:PORT/` sends: it appends the name of the file.
  { method: "PUT", path: "/{name}", handle: putFile, isAlias: true },
];
