/**
 * Serves the requests by which clients reach each other.
 *
 * 1. C: `attend`. S: `ok`. From here on the words below are requests, and S tells C of others, only
 *    between two requests: `came 3 anna`, `told 3 Hello`, `gone 3`.
 * 2. C: `who`. S: `ok`, a line for each other client, `3 anna`, and `end 1` with their number.
 * 3. C: `tell 3 Hello`. S: `ok`, or `ok later` if client 3 is within a request, or `error …`.
 *
 * A client that does not attend gets `note anna: Hello`.
 *
 * @module
 */

import { encodeLines, encodeReply, type Request } from "../../protocol.ts";
import { formatPerson, MAX_TOLD_BYTES, type PeopleRequest } from "../../protocol/people_lines.ts";
import { InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { attempt } from "./admission.ts";

/** Answers one of them. */
export async function servePeople(
  connection: Connection,
  context: ServerContext,
  request: Extract<Request, { type: "attend" }> | PeopleRequest,
): Promise<void> {
  const what = request.type === "tell" ? "tell" : "see who is here";
  const answer = (): Uint8Array => answerTo(context, request);
  const answered = await attempt(connection, context, "attend", what, answer);
  if (answered) await connection.write(answered.value);
}

function answerTo(
  { clients: { attendance }, client, log }: ServerContext,
  request: Extract<Request, { type: "attend" }> | PeopleRequest,
): Uint8Array {
  switch (request.type) {
    case "attend":
      attendance.attend(client);
      return encodeReply({ type: "ok", detail: "" });
    case "who": {
      const others = attendance.others(client).map(formatPerson);
      return encodeLines(["ok", ...others, `end ${others.length}`]);
    }
    case "tell": {
      const { to, text } = request;
      const { length } = new TextEncoder().encode(text);
      if (length > MAX_TOLD_BYTES) {
        const limit = `the limit is ${MAX_TOLD_BYTES} bytes`;
        throw new InletError("bad-request", `Cannot tell client ${to}: ${limit}`);
      }
      const delivery = attendance.tell(client, to, text);
      if (delivery === "gone") {
        throw new InletError("not-found", `Cannot tell client ${to}: it is not here`);
      }
      if (delivery === "full") {
        const why = "it is busy, and too much waits for it already";
        throw new InletError("wait", `Cannot tell client ${to}: ${why}`);
      }
      log.info("told", `tells client ${to} ${length} bytes`, { bytes: length });
      return encodeReply({ type: "ok", detail: delivery === "now" ? "" : delivery });
    }
  }
}
