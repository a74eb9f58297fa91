/**
 * PUT: stores a file under the first free name. Nothing is ever replaced.
 *
 * @module
 */

import { isDropOnly } from "../lib/auth/access.ts";
import { explain } from "../lib/errors.ts";
import { admit, checkSpace, shownName } from "../lib/server/admission.ts";
import { rightsOf } from "../lib/server/context.ts";
import { BodyStorer } from "../lib/server/store_body.ts";
import { quoted } from "../lib/text.ts";
import { receiveBody } from "./body.ts";
import { checkNew, dateOf } from "./conditions.ts";
import { verification } from "./digests.ts";
import type { Exchange } from "./exchange.ts";
import { Refusal } from "./problem.ts";
import { bodySize } from "./request_checks.ts";
import { encodePath } from "./target.ts";

/** Stores the body of a request as the file that its path names. */
export async function putFile(exchange: Exchange): Promise<void> {
  const { name, context, connection, request } = exchange;
  const what = `store ${quoted(name)}`;
  context.log.begin(name);
  const size = bodySize(request);
  context.log.sized(size);
  admit(context, "put", what, size);
  checkSpace(context, what, size);
  checkContent(exchange);
  await checkNew(exchange, isDropOnly(rightsOf(context)) ? undefined : () => isThere(exchange));
  const verified = await verification(exchange);
  await using upload = await context.store.receive(name, size);
  const storer = new BodyStorer(connection, upload, what, context);
  await receiveBody(exchange, (chunk) => {
    verified?.add(chunk);
    return storer.write(chunk);
  }, { letsGo: true });
  verified?.check(what);
  const modified = dateOf(exchange.header("Last-Modified"));
  const stored = await storer.publish(modified ? { modified } : {});
  const shown = shownName(context, stored.name, name);
  const { size: bytes } = stored;
  exchange.sendJson(201, { name: shown, size: bytes }, {
    Location: exchange.address(`/files/${encodePath(shown)}`),
  });
}

/** Whether the name is that of a file. */
async function isThere({ context, name }: Exchange): Promise<boolean> {
  try {
    using _ = await context.store.open(name);
    return true;
  } catch (error) {
    if (explain(error).code === "not-found") return false;
    throw error;
  }
}

/**
 * Refuses a body that is only a part of the file, or a coding of it: RFC 9110, sections 14.5 and 8.4.
 */
function checkContent(exchange: Exchange): void {
  if (exchange.header("Content-Range") !== undefined) {
    throw new Refusal(400, "Cannot store a part of a file: send all of it");
  }
  const coding = exchange.header("Content-Encoding") ?? "identity";
  if (coding.toLowerCase() !== "identity") {
    throw new Refusal(415, "Cannot store a Content-Encoding: send the file as it is");
  }
}
