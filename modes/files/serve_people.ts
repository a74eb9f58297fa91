/**
 * Serves the requests by which clients reach each other.
 *
 * 1. C: `attend`. S: `ok`. From here on the words below are requests, and S tells C of others, only
 *    between two requests: `came 3 anna`, `told 3 Hello`, `gone 3`.
 * 2. C: `who`. S: `ok`, a line for each other client, `3 anna`, and `end 1` with their number.
 * 3. C: `tell 3 Hello`. S: `ok`, or `ok later` if client 3 is within a request, or `error …`.
 *
 * 4. C: `send 3 4713-maple KEY 6 a.txt`. S: `ok`, and client 3 gets `offered 1 4713-maple KEY 6 a.txt`.
 *    It sends `take 1 4713-maple KEY`, so that C gets `taken 3 4713-maple KEY`, and both meet by that
 *    plate, each over a further connection. Or either sends `decline 1 4713-maple`.
 *
 * A client that does not attend gets `note anna: Hello`.
 *
 * @module
 */

import { encodeLines, encodeReply, type Request } from "../../protocol.ts";
import { formatPerson, type PeopleRequest, type Unasked } from "../../protocol/people_lines.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { type Delivered, passOn, tell } from "../../lib/server/people.ts";
import { attempt } from "./admission.ts";

type Attend = Extract<Request, { type: "attend" }>;

/** Answers one of them. */
export async function servePeople(
  connection: Connection,
  context: ServerContext,
  request: Attend | PeopleRequest,
): Promise<void> {
  const what = "to" in request ? `reach client ${request.to}` : "see who is here";
  const answer = (): Uint8Array => answerTo(context, request);
  const answered = await attempt(connection, context, "attend", what, answer);
  if (answered) await connection.write(answered.value);
}

function answerTo(context: ServerContext, request: Attend | PeopleRequest): Uint8Array {
  const { clients: { attendance }, client } = context;
  switch (request.type) {
    case "attend":
      attendance.attend(client);
      return encodeReply({ type: "ok", detail: "" });
    case "who": {
      const others = attendance.others(client).map(formatPerson);
      return encodeLines(["ok", ...others, `end ${others.length}`]);
    }
    case "tell":
      return encodeDelivery(tell(context, request.to, request.text));
    default: {
      const { to, type, ...rest } = request;
      const passed = { ...rest, from: client.number, type: PASSED[type] } as Unasked;
      return encodeDelivery(passOn(context, to, passed));
    }
  }
}

function encodeDelivery(delivery: Delivered): Uint8Array {
  return encodeReply({ type: "ok", detail: delivery === "now" ? "" : delivery });
}

const PASSED = { "send": "offered", "take": "taken", "decline": "declined" } as const;
