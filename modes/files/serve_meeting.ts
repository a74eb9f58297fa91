/**
 * The server half of meeting: two clients find each other by a plate, and become one pipe.
 * PROTOCOL.md, section 12, has the numbered conversation, and lib/server/meetings.ts its states.
 *
 * Each connection has one writer at any time. To the client that offers, this is its own conversation
 * until it has joined a try, and then that of the other client; and the other way round from `met` on.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import {
  decodeWaiting,
  encodeReply,
  formatAccepted,
  formatOffered,
  type MeetingRequest,
} from "../../protocol.ts";
import { InletError } from "../../lib/errors.ts";
import { AwakeTimer, lookAround } from "../../lib/net/awake.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import {
  type Meeting,
  type Meetings,
  noOffer,
  type Try,
  type Waiter,
} from "../../lib/server/meetings.ts";
import { Pause } from "../../lib/server/pause.ts";
import { formatBytes, formatSeconds } from "../../lib/text.ts";
import { attempt } from "./admission.ts";

/** Most milliseconds of silence after which the server sends a `tick`; after three times that it closes. */
const TICK_MS = 15_000;

const TICK = encodeReply({ type: "tick" });

/** Milliseconds that a client has to join. */
const JOIN_MS = 10_000;

/** A plate that no offer has waits for a second, so that guesses take long. */
const guesses = new Pause(1000, 1000);

/** Milliseconds until the first note to a client whose other side is not there, and between two. */
const MOMENT = new Pause(1000, Infinity);
const WHILE = new Pause(15_000, Infinity);

/** Notes, each for a {@linkcode WHILE}, after which such a client is asked to come again. */
const MOST_NOTES = 4;

/** What `status` says of both clients of a pipe. */
const RELAYED = "is relayed";

const AWAY = encodeReply({
  type: "note",
  text: "The one who offers is not connected at the moment: waiting",
});

/** Serves an `offer`, which ends the conversation unless it is refused. */
export async function serveOffer(
  connection: Connection,
  context: ServerContext,
  request: MeetingRequest & { type: "offer" },
): Promise<"end" | void> {
  const admitted = await attempt(
    ...[connection, context, "offer", "offer"] as const,
    () => attach(connection, context, request),
  );
  if (!admitted) return;
  using waiter = admitted.value;
  const { offer: { plate, leftMs } } = waiter;
  const seconds = Math.ceil(leftMs / 1000);
  context.client.doing = "offers";
  context.log.info("offered", `offers, for ${formatSeconds(1000 * seconds)} s`);
  const detail = formatOffered({ plate, seconds, address: connection.remote });
  await connection.write(encodeReply({ type: "ok", detail }));
  if (!await isCalled(connection, context, waiter)) return "end";
  const meeting = await joined(connection, waiter);
  if (!meeting) return "end";
  context.client.doing = RELAYED;
  await connection.unwatched(meeting.met);
  await meeting.carry(connection);
  return "end";
}

/**
 * Has a connection wait for an offer. Its client may have joined somebody by the one before: that is read
 * first, as else this one would take its place.
 */
async function attach(
  connection: Connection,
  context: ServerContext,
  request: MeetingRequest & { type: "offer" },
): Promise<Waiter> {
  const meetings = meetingsOf(context, "offer");
  const joining = () => meetings.find(request.plate)?.joining ?? [];
  if (joining().length > 0) await lookAround(joining);
  return meetings.attach(request, connection);
}

/** Waits until somebody comes for an offer. Returns false if its client has withdrawn it, or left. */
async function isCalled(
  connection: Connection,
  context: ServerContext,
  waiter: Waiter,
): Promise<boolean> {
  using _ = new AwakeTimer(waiter.offer.leftMs, () => waiter.offer.end());
  const tickMs = Math.min(TICK_MS, context.timeoutMs / 2);
  const rest = { limitMs: 3 * tickMs, warnAfterMs: tickMs, warning: TICK, until: waiter.called };
  connection.resting = true;
  for (;;) {
    if (context.signal.aborted) throw context.signal.reason;
    await connection.rest(rest);
    if (connection.failure) throw connection.failure;
    if (waiter.tried) return true;
    const line = await connection.readLine();
    if (line === null) return false;
    const { type } = decodeWaiting(line);
    if (type === "join") throw new InletError("bad-request", "Cannot join: nobody has knocked");
    if (type === "tick") continue;
    waiter[Symbol.dispose]();
    waiter.offer.end();
    await connection.write(encodeReply({ type: "ok", detail: "bye" }));
    return false;
  }
}

/** Tells a client that waits who has come, and waits for its `join`. */
async function joined(connection: Connection, waiter: Waiter): Promise<Meeting | undefined> {
  const { id, connection: other } = waiter.tried!;
  // What follows are bytes of the other client.
  connection.farewell = undefined;
  const early = other.buffered;
  waiter.tried!.told = early.length;
  const knock = encodeReply({ type: "knock", id, address: other.remote });
  const late = new InletError("timeout", `No join within ${formatSeconds(JOIN_MS)} s`);
  using _ = new AwakeTimer(JOIN_MS, () => connection.abort(late));
  await connection.write(concat([knock, early]));
  for (;;) {
    const text = await connection.readLine();
    if (text === null) return undefined;
    const line = decodeWaiting(text);
    // Sent before the knock had arrived.
    if (line.type === "tick") continue;
    if (line.type === "join" && line.id === id) return waiter.join();
    if (line.type === "withdraw") waiter.offer.end();
    return undefined;
  }
}

/** Serves an `accept`, which ends the conversation unless the server refuses it to everybody. */
export async function serveAccept(
  connection: Connection,
  context: ServerContext,
  { plate }: MeetingRequest & { type: "accept" },
): Promise<"end" | void> {
  const admitted = await attempt(
    ...[connection, context, "accept", "accept"] as const,
    () => meetingsOf(context, "accept").find(plate),
  );
  if (!admitted) return;
  connection.resting = true;
  const offer = admitted.value;
  if (!offer) {
    context.leavePlace();
    await connection.unwatched(guesses.stay());
    throw noOffer();
  }
  const { salt } = offer;
  context.client.doing = "accepts";
  const detail = formatAccepted({ salt, address: connection.remote });
  await connection.write(encodeReply({ type: "ok", detail }));
  if (context.signal.aborted) throw context.signal.reason;
  if (await connection.peek() === null) return "end";
  using one = offer.ask(connection, salt);
  const meeting = await connection.whilePresent(() => met(connection, one, offer), {
    endIsLeaving: true,
  });
  await introduce(connection, context, one, meeting);
  return "end";
}

/** Waits until the client that offers has joined a try. */
async function met(
  connection: Connection,
  one: Try,
  offer: { readonly isAway: boolean },
): Promise<Meeting> {
  let meeting = await MOMENT.atMost(one.joined);
  for (let notes = 0; !meeting; notes++) {
    if (notes === MOST_NOTES) {
      throw new InletError("wait", "Cannot accept at the moment: the one who offers is away");
    }
    if (offer.isAway) await connection.write(AWAY);
    meeting = await WHILE.atMost(one.joined);
  }
  return meeting;
}

/** Makes one pipe of both connections. */
async function introduce(
  connection: Connection,
  { log, client }: ServerContext,
  { id, told }: Try,
  meeting: Meeting,
): Promise<void> {
  connection.farewell = undefined;
  await connection.write(encodeReply({ type: "met", id }));
  connection.skip(told);
  log.begin();
  client.doing = RELAYED;
  log.info("met", "meets the client that offers");
  meeting.meet();
  try {
    await meeting.carry(connection);
  } finally {
    const { bytes } = meeting;
    log.counters.relayed.files++;
    log.counters.relayed.bytes += bytes;
    log.info("relayed", `relayed ${formatBytes(bytes)} both ways`, { bytes, ms: log.ms });
  }
}

/** @throws {InletError} `denied` if clients do not meet here */
function meetingsOf({ meetings }: ServerContext, what: string): Meetings {
  if (meetings) return meetings;
  throw new InletError("denied", `Cannot ${what}: clients do not meet at this server (--no-relay)`);
}
