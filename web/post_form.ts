/**
 * POST: stores the files of a form, as browsers without script and `curl -F` send them
 * (multipart/form-data, RFC 7578).
 *
 * The whole form is stored, or nothing of it: every file is received under a temporary name, and all
 * are published when the form has come to its end. What a part contains beside a file is ignored.
 *
 * @module
 */

import { mayAccess } from "../lib/auth/access.ts";
import { explain, InletError } from "../lib/errors.ts";
import { admit, checkSpace, shownName } from "../lib/server/admission.ts";
import { rightsOf } from "../lib/server/context.ts";
import { BodyStorer } from "../lib/server/store_body.ts";
import { formatBytes, printable, quoted } from "../lib/text.ts";
import { receiveBody } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import { FormParser, MAX_FILES } from "./form_parser.ts";
import { escaped, HTML_TYPE, PAGE_END, pageHead } from "./html.ts";
import { Refusal } from "./problem.ts";
import { bodySize } from "./request_checks.ts";
import { encodePath } from "./target.ts";

/** Files that each form may have, whatever others do. */
const OWN_FILES = 2;

/**
 * Most files beyond those, of all forms that come at the same time: room for two of the largest. Each
 * file is open until its form has come, and others need descriptors too, of which a process has a
 * thousand in many systems. Deno tells no program how many there are.
 */
const MOST_SHARED_FILES = 2 * MAX_FILES;

let sharedFiles = 0;

/** What is told of a stored file. */
interface StoredPart {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
}

/** Stores the files of a form in the folder that its path names. */
export async function postForm(exchange: Exchange): Promise<void> {
  const { name: folder, context, request } = exchange;
  if (folder !== "" && !folder.endsWith("/")) {
    throw new Refusal(400, "Cannot take a form here: give a folder, with a slash at its end", {
      code: "bad-name",
    });
  }
  const since = performance.now();
  const what = folder === "" ? "store files" : `store files in ${quoted(folder)}`;
  admit(context, "put", what, null);
  checkSpace(context, what, bodySize(request));
  const parser = await FormParser.of(exchange.header("Content-Type"));
  await using uploads = new AsyncDisposableStack();
  const received: { storer: BodyStorer; name: string }[] = [];
  parser.onFile = async (given, content) => {
    const name = folder + given;
    context.log.begin(name, since);
    if (received.length >= OWN_FILES) uploads.use(shareFile());
    const upload = uploads.use(await context.store.receive(name, null));
    const storer = new BodyStorer(exchange.connection, upload, `store ${quoted(name)}`, context);
    for await (const piece of content) await storer.write(piece);
    received.push({ storer, name });
  };
  await parser.whole((write) => receiveBody(exchange, write));
  if (received.length === 0) throw new Refusal(400, "Cannot store this form: it has no file");
  const stored: StoredPart[] = [];
  for (const { storer, name } of received) {
    context.log.begin(name, since);
    const published = await storer.publish().catch((error) => {
      throw withOthers(explain(error), stored.length);
    });
    stored.push({ name: shownName(context, published.name, name), size: published.size });
  }
  tell(exchange, stored);
}

/**
 * Counts a file of a form as open, until it is disposed of.
 *
 * @throws {InletError} `overloaded`
 */
function shareFile(): Disposable {
  if (sharedFiles >= MOST_SHARED_FILES) {
    throw new InletError("overloaded", "Cannot store this form: others have too many files open");
  }
  sharedFiles++;
  return { [Symbol.dispose]: () => sharedFiles-- };
}

/** Tells what was stored: a person by a page, and programs by JSON. */
function tell(exchange: Exchange, files: readonly StoredPart[]): void {
  const [only] = files;
  const where = files.length === 1 &&
    { Location: exchange.address(`/files/${encodePath(only!.name)}`) };
  if (!exchange.prefersHtml) return exchange.sendJson(201, { files }, { ...where });
  exchange.send(201, { "Content-Type": HTML_TYPE, ...where }, storedPage(exchange, files));
}

function storedPage(exchange: Exchange, files: readonly StoredPart[]): string {
  const mayGet = mayAccess(rightsOf(exchange.context), "get");
  const rows = files.map(({ name, size }) => {
    const text = escaped(printable(name));
    const address = exchange.address(`/files/${encodePath(name)}`);
    return `<tr><td>${mayGet ? `<a href="${address}">${text}</a>` : text}<td>${
      formatBytes(size)
    }\n`;
  });
  return `${pageHead("Stored")}<table>\n<tr><th>Name<th>Size\n${rows.join("")}</table>\n` +
    `<p><a href="./">To the folder</a>\n<p><a href="${exchange.address("/")}">To the start</a>\n` +
    PAGE_END;
}

/** The failure to publish a file of a form of which others have their names already. */
function withOthers(error: InletError, others: number): InletError {
  if (others === 0) return error;
  const were = others === 1 ? "1 file before it was" : `${others} files before it were`;
  return new InletError(error.code, `${error.message}; ${were} stored`, { cause: error });
}
