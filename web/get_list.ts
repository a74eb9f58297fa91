/**
 * GET: the list of a folder.
 *
 * @module
 */

import { checkAccess, isDropOnly, mayAccess } from "../lib/auth/access.ts";
import { rightsOf } from "../lib/server/context.ts";
import { EVERYTHING } from "../lib/store/names.ts";
import { quoted } from "../lib/text.ts";
import type { Exchange } from "./exchange.ts";
import { HTML_TYPE, PAGE_END, pageHead, STORE_FORM } from "./html.ts";
import { checkFolder, ListEncoder } from "./list_formats.ts";

/** The media types of lists, the default first. */
const FORMATS = { "text/html": "html", "application/json": "json" } as const;

/** Sends the list of the folder that the path names, as it is read; without a name, of everything. */
export async function getList(exchange: Exchange): Promise<void> {
  const { context, connection } = exchange;
  const folder = exchange.name.replace(/\/$/, "");
  if (exchange.query.has("archive")) {
    return await (await import("./archive.ts")).sendArchive(exchange, folder);
  }
  const type = exchange.accepts(...Object.keys(FORMATS)) ?? "text/html";
  const what = folder === "" ? "list the files" : `list ${quoted(folder)}`;
  context.log.begin(folder === "" ? undefined : folder);
  const rights = rightsOf(context);
  const request = folder === "" ? "list" : "tree";
  // A person who may only upload gets the form for that.
  if (exchange.prefersHtml && isDropOnly(rights) && mayAccess(rights, "put")) {
    return exchange.send(200, { "Content-Type": HTML_TYPE }, storePage(folder));
  }
  checkAccess(rights, request, what);
  const over = new AbortController();
  const pages = context.store.tree(folder || EVERYTHING, over.signal, true)
    [Symbol.asyncIterator]();
  try {
    // The first page shows whether there is a list, before the status is sent.
    let page = await connection.unwatched(pages.next());
    checkFolder(page.value, folder);
    if (folder === "") context.log.info("list", `asked to ${what}`);
    else context.log.info("tree", `asked to ${what}`, { file: folder });
    const write = exchange.begin(200, {
      "Content-Type": `${type}; charset=utf-8`,
      "Vary": "Accept",
    });
    const mayStore = mayAccess(rights, "put");
    const list = new ListEncoder(FORMATS[type as keyof typeof FORMATS], folder, mayStore);
    await write(list.head());
    while (!page.done && !exchange.isHead) {
      await write(list.page(page.value));
      page = await connection.unwatched(pages.next());
    }
    await write(list.tail());
    exchange.end();
  } finally {
    over.abort();
    // Not waited for: a folder that cannot be read to its end would hold up a server that shuts down.
    pages.return?.(undefined)?.catch(() => {});
  }
}

/** What stands in the place of a list that a client may not see. */
function storePage(folder: string): string {
  return pageHead(`Send files to /${folder}`) +
    `<p>You may send files here. What is here is not shown.\n${STORE_FORM}${PAGE_END}`;
}
