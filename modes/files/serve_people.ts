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
import {
  formatPerson,
  MAX_TOLD_BYTES,
  type PeopleRequest,
  type Unasked,
} from "../../protocol/people_lines.ts";
import { InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { attempt } from "./admission.ts";

type Attend = Extract<Request, { type: "attend" }>;

/** What the server does not do, and why. */
const REFUSALS = {
  "gone": ["not-found", "it is not here"],
  "deaf": ["not-found", "it cannot take files: it has sent no attend"],
  "full": ["wait", "it is busy, and too much waits for it already"],
} as const;

/** Answers one of them. */
export async function servePeople(
  connection: Connection,
  context: ServerContext,
  request: Attend | PeopleRequest,
): Promise<void> {
  const what = "to" in request ? `reach client ${request.to}` : "see who is here";
  const answer = (): Uint8Array => answerTo(context, request, what);
  const answered = await attempt(connection, context, "attend", what, answer);
  if (answered) await connection.write(answered.value);
}

function answerTo(
  context: ServerContext,
  request: Attend | PeopleRequest,
  what: string,
): Uint8Array {
  const { clients: { attendance }, client } = context;
  switch (request.type) {
    case "attend":
      attendance.attend(client);
      return encodeReply({ type: "ok", detail: "" });
    case "who": {
      const others = attendance.others(client).map(formatPerson);
      return encodeLines(["ok", ...others, `end ${others.length}`]);
    }
    default: {
      const delivery = attendance.pass(client, request.to, passedOn(request, context));
      if (delivery !== "now" && delivery !== "later") {
        const [code, why] = REFUSALS[delivery];
        throw new InletError(code, `Cannot ${what}: ${why}`);
      }
      return encodeReply({ type: "ok", detail: delivery === "now" ? "" : delivery });
    }
  }
}

/** What the other client gets. */
function passedOn(
  request: Exclude<PeopleRequest, { type: "who" }>,
  { client: { number: from }, log }: ServerContext,
): Unasked {
  const { to, type, ...rest } = request;
  if (type !== "tell") return { ...rest, from, type: PASSED[type] } as Unasked;
  const { text } = request;
  const { length: bytes } = new TextEncoder().encode(text);
  if (bytes > MAX_TOLD_BYTES) {
    const limit = `the limit is ${MAX_TOLD_BYTES} bytes`;
    throw new InletError("bad-request", `Cannot tell client ${to}: ${limit}`);
  }
  log.info("told", `tells client ${to} ${bytes} bytes`, { bytes });
  return { type: "told", from, text };
}

const PASSED = { "send": "offered", "take": "taken", "decline": "declined" } as const;
