/**
 * The native conversation: verified files, several to a connection. PROTOCOL.md has the grammar.
 *
 * 1. C: `hello 1 ben`. S: `welcome client 1 of 100`, or `busy 100 of 100` and the end. Where a key
 *    is needed, S: `challenge NONCE`. C: `answer DIGEST`. S: `welcome …`, or `error denied …` and
 *    the end.
 * 2. C: `put 6 a.txt`. S: `go 0`. C: 6 bytes, then `end 363a3020`, their CRC-32.
 *    S: `ok 6 363a3020 a.txt`, once they are verified and the file has that name.
 * 3. C: `push 6 a.txt`, the bytes and the `end` at once, and the next push right after: the server
 *    answers each in order, `ok …` or `error …`.
 * 4. C: `get a.txt`. S: `ok 6`, `data 6`, 6 bytes, `end 363a3020 2026-11-21T08:38:00Z`, the time of
 *    the file's last change, which may follow the `end` of a put too. Meanwhile C may send
 *    `stop`: then the body ends with `abort stopped`, or, if the `stop` came too late, `stop ACK`
 *    follows the `end`.
 * 5. C: `list`, `tree photos`, `tree /` or `status`. S: `ok`, the lines as they are
 *    found, and `end 1` with their number. C: `mkdir photos`.
 *    S: `ok photos`. C: `symlink;to=a.jpg photos/latest`. S: `ok photos/latest`. C: `whoami`.
 *    S: `ok ben-2`.
 * 6. C: `say 6`. S: `go 0`. C: a body. S: `ok 6 363a3020`, once it is on the server's stdout.
 * 7. C: any other line, `Hello`, or `chat Hello`. S: `Hello ACK`.
 * 8. C: `reput FINGERPRINT 6 a.txt`. S: `prove NONCE 2 0`, if bytes are kept from an earlier attempt with
 *    that fingerprint. C: `proof DIGEST`, of the nonce and the two bytes at 0. S: `go 2`, or `go 0` if the digest
 *    is not that of what is kept. C: the rest, as in 2. The other way round,
 *    C: `reget 2 b7852377… a.txt`. S: `ok 6 2`, and the rest, as in 4.
 * 9. C: `compare 6 363a3020 2026-11-21T08:38:00Z a.txt`. S: `ok a.txt` if it has that file, else
 *    `ok`.
 * 10. C: `diff 2 photos`, and a line for each of two entries: `6;mode=644 2026-11-21T08:38:00Z a.txt`.
 *    S: `ok =.`, a character for each: the first is the same here, and the second is missing.
 * 11. C: `attend`. S: `ok`. From then on C can reach other clients, as serve_people.ts describes.
 * 12. C: `offer …` or `accept PLATE`: two clients meet; serve_meeting.ts has the rest.
 * 13. C: `exit`. S: `ok bye` and the end.
 *
 * Between requests S may send `note TEXT`, or `error shutdown …` or `error;unread=yes timeout …` and
 * the end.
 * A note can cross a request; it then precedes the answer.
 *
 * A size of `-` means unknown: the body is a series of `data 65536`, each followed by that many
 * bytes, then `end`. A sender may send `abort REASON` instead of `end`. A server that fails during
 * a body sends `error …` at once and skips the rest, so that the session stays usable.
 *
 * The first word of a line may carry fields: `put;mode=755 6 a.txt`. Unknown ones are ignored.
 *
 * This is the server half. client.ts has the client half.
 *
 * @module
 */

import { encodeReply, type Request } from "../../protocol.ts";
import { InletError } from "../../lib/errors.ts";
import type { PeopleRequest } from "../../protocol/people_lines.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { isTurnDue, takeTurns } from "../../lib/turns.ts";
import { greet } from "./greet.ts";
import { serveGets } from "./gets.ts";
import { serveMaking, servePushes } from "./pushes.ts";
import { serveDiff, serveDiffs } from "./serve_diff.ts";
import { serveGet } from "./serve_get.ts";
import { servePut } from "./serve_put.ts";
import { serveReput } from "./serve_reput.ts";
import { servePeople } from "./serve_people.ts";
import { serveSay } from "./serve_say.ts";
import { serveChat, serveCompare, serveLines } from "./serve_queries.ts";
import { nextArrival, nextRequest, restOf } from "./wait.ts";

/** Server half. */
export async function serveFiles(connection: Connection, context: ServerContext): Promise<void> {
  if (!await greet(connection, context)) return;
  const rest = restOf(context.sessionTimeoutMs);
  for (;;) {
    context.log.begin();
    await nextArrival(connection, context, rest);
    if (await servePushes(connection, context)) continue;
    if (await serveGets(connection, context)) continue;
    if (await serveDiffs(connection, context)) continue;
    const request = await nextRequest(connection, context);
    if (request === null) return;
    context.log.begin(request.type !== "hello" && "name" in request ? request.name : undefined);
    if (await answer(connection, context, request) === "end") return context.onExit?.();
    // Requests that have arrived already are answered without a wait in between.
    if (connection.buffered.length > 0 && isTurnDue()) await takeTurns();
  }
}

/** Answers one request. A failure that leaves the session usable is answered with an error line. */
async function answer(
  connection: Connection,
  context: ServerContext,
  request: Request | PeopleRequest,
): Promise<"end" | void> {
  switch (request.type) {
    case "hello":
      throw new InletError("bad-request", "Cannot accept a second hello");
    case "answer":
    case "proof":
      throw new InletError(
        "bad-request",
        `Cannot take "${request.type}": the server did not ask for it`,
      );
    case "put":
    case "push":
      return await servePut(connection, context, request);
    case "reput":
      return await serveReput(connection, context, request);
    case "mkdir":
    case "symlink":
      return await serveMaking(connection, context, request);
    case "say":
      return await serveSay(connection, context, request);
    case "get":
      return await serveGet(connection, context, request.name);
    case "reget":
      return await serveGet(connection, context, request.name, request);
    case "compare":
      return await serveCompare(connection, context, request);
    case "diff":
      return await serveDiff(connection, context, request);
    case "list":
    case "tree":
    case "status":
      return await serveLines(connection, context, request);
    case "whoami":
      return await connection.write(encodeReply({ type: "ok", detail: context.client.name }));
    case "exit":
      // A client need not wait for it, and may have closed.
      await connection.write(encodeReply({ type: "ok", detail: "bye" })).catch(() => {});
      return "end";
    case "offer":
      return await (await import("./serve_meeting.ts")).serveOffer(connection, context, request);
    case "accept":
      return await (await import("./serve_meeting.ts")).serveAccept(connection, context, request);
    case "chat":
      return await serveChat(connection, context, request.text);
    default:
      return await servePeople(connection, context, request);
  }
}
