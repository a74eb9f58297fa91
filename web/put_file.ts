/**
 * PUT: stores a file under the first free name. Nothing is ever replaced.
 *
 * @module
 */

import { admit, shownName } from "../lib/server/admission.ts";
import { BodyStorer } from "../lib/server/store_body.ts";
import { quoted } from "../lib/text.ts";
import { receiveBody } from "./body.ts";
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
  admit(context, "put", what, size);
  checkContent(exchange);
  await using upload = await context.store.receive(name, size);
  const storer = new BodyStorer(connection, upload, what, context);
  await receiveBody(exchange, (chunk) => storer.write(chunk));
  const stored = await storer.publish();
  const shown = shownName(context, stored.name, name);
  const { size: bytes } = stored;
  exchange.sendJson(201, { name: shown, size: bytes }, { Location: `/files/${encodePath(shown)}` });
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
