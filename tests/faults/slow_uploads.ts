/**
 * Clients that upload in pieces, over any of some servers on one directory, break off and go on with
 * what is kept. There is always something in flight.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import { crc32 } from "node:zlib";
import { formatCrc } from "../../protocol.ts";
import { askToResume, idOf } from "../resuming.ts";
import { Wire } from "../wire.ts";
import { contentOf, type Dice, nameOf } from "./content.ts";
import { type ServerOnTrial, type Trial, withClient } from "./trial.ts";

/** Most bytes of a file: of one that is pushed, and of one that is put. */
const MOST_PUSHED_BYTES = 4000;
const MOST_BYTES = 400_000;

/** Most bytes of a piece. */
const PIECE_BYTES = 32 * 1024;

/** Most milliseconds between two pieces. */
const PAUSE_MS = 15;

/** Attempts after which a client says that it is stopped. */
const ATTEMPTS = 200;

/** What there is to upload with. */
export interface Uploading {
  /** All of them store into the same directory. */
  servers: readonly ServerOnTrial[];
  trial: Trial;
  dice: Dice;
  /** Whether clients leave connections open that they do not come back to, as on a broken line. */
  leavesOpen?: boolean;
  /** What is counted meanwhile. */
  uploaded?: Uploaded;
}

/** What clients have done. */
export interface Uploaded {
  /** Files that were acknowledged. */
  files: number;
  /** Attempts that went on with what was kept, and those that a server refused. */
  resumed: number;
  refused: number;
}

/** A file, and all there is to upload it with. */
interface Attempt extends Uploading {
  name: string;
  content: Uint8Array<ArrayBuffer>;
  uploaded: Uploaded;
  /** What its connections still do that were left open, as behind a broken line. */
  late: (() => Promise<void>)[];
}

const NOWHERE = { write: () => {} };

/** Lets so many clients at once upload one file after the other, each until it is acknowledged. */
export async function uploadSlowly(
  clients: number,
  isOver: () => boolean,
  around: Uploading,
): Promise<Uploaded> {
  const { uploaded = { files: 0, resumed: 0, refused: 0 } } = around;
  await Promise.all(Array.from({ length: clients }, async () => {
    while (!isOver()) {
      await uploadOne(around, uploaded);
      uploaded.files++;
    }
  }));
  return uploaded;
}

async function uploadOne(around: Uploading, uploaded: Uploaded): Promise<void> {
  const { trial, dice, servers } = around;
  const act = dice.of([push, put, resume, resume]);
  const size = 1 + dice.below(act === push ? MOST_PUSHED_BYTES : MOST_BYTES);
  const number = trial.take(1);
  const file = { name: nameOf(number, size), content: contentOf(trial.seed, number, size) };
  trial.possible.add(file.name);
  const attempt: Attempt = { ...around, ...file, uploaded, late: [] };
  for (let attempts = 0; !await act(attempt); attempts++) {
    assert(attempts < ATTEMPTS, `${file.name} was refused too often`);
  }
  trial.acknowledged.add(file.name);
  const got = await withClient(dice.of(servers), (client) => client.get(file.name, NOWHERE));
  assertEquals(got.crc, crc32(file.content));
  await Promise.all(attempt.late.map((goOn) => goOn()));
}

/** Sends a small file at once. Gives whether it was acknowledged. */
async function push(attempt: Attempt): Promise<boolean> {
  const { dice, servers, name, content } = attempt;
  using wire = await Wire.greet(dice.of(servers));
  await wire.says(`push ${content.length} ${name}\n`);
  await wire.says(content);
  return await finish(wire, attempt);
}

/** Sends all of a file, under a request that keeps nothing. Gives whether it was acknowledged. */
async function put(attempt: Attempt): Promise<boolean> {
  const { dice, servers, name, content } = attempt;
  using wire = await Wire.greet(dice.of(servers));
  await wire.says(`put ${content.length} ${name}\n`);
  if (await wire.line() !== "go 0") return refused(attempt);
  await sendPieces(wire, content, dice);
  return await finish(wire, attempt);
}

/** Goes on with what is kept, and may break off again. Gives whether it was acknowledged. */
async function resume(attempt: Attempt): Promise<boolean> {
  const { dice, servers, name, content, uploaded, late } = attempt;
  const size = content.length;
  const wire = await Wire.greet(dice.of(servers));
  const offer = await askToResume(wire, content, { id: idOf(name), size, name });
  if (typeof offer === "string") {
    wire.close();
    return refused(attempt);
  }
  const { offset } = offer;
  if (offset > 0) uploaded.resumed++;
  const how = dice.of(["finish", "close", attempt.leavesOpen ? "leave open" : "close"] as const);
  const stop = how === "finish" ? size : offset + dice.below(size - offset + 1);
  await sendPieces(wire, content.subarray(offset, stop), dice);
  if (how === "leave open") late.push(() => goOnLate(wire, attempt, content.subarray(stop)));
  if (how === "close") wire.close();
  if (how !== "finish") return false;
  using _ = wire;
  return await finish(wire, attempt);
}

/** Says the rest where another connection went on long ago, with a wrong checksum. */
async function goOnLate(wire: Wire, { dice, content }: Attempt, rest: Uint8Array): Promise<void> {
  using _ = wire;
  await sendPieces(wire, rest, dice);
  await wire.says(`end ${formatCrc((crc32(content) ^ 1) >>> 0)}\n`).catch(() => {});
  assertMatch(await wire.line(), /^(error (aborted|checksum) .*)?$/);
}

/** Sends bytes with pauses, until they are sent or refused. */
async function sendPieces(wire: Wire, content: Uint8Array, dice: Dice): Promise<void> {
  for (let at = 0; at < content.length; at += PIECE_BYTES) {
    const sent = wire.says(content.subarray(at, at + PIECE_BYTES));
    if (!await sent.then(() => true, () => false)) return;
    await delay(dice.below(PAUSE_MS));
  }
}

/** Says the end. Gives whether the server acknowledged the file; it may say no instead. */
async function finish(wire: Wire, attempt: Attempt): Promise<boolean> {
  const { name, content } = attempt;
  const crc = formatCrc(crc32(content));
  await wire.says(`end ${crc}\n`).catch(() => {});
  const answer = await wire.line();
  if (/^error (aborted|checksum) |^$/.test(answer)) return refused(attempt);
  assertEquals(answer, `ok ${content.length} ${crc} ${name}`);
  return true;
}

function refused({ uploaded }: Attempt): false {
  uploaded.refused++;
  return false;
}
