/**
 * Client half of the modes in which the server answers nothing, or one line that refuses.
 *
 * @module
 */

import { decodeReply, ProtocolError, type Stored } from "../protocol.ts";
import type { WireContext } from "../lib/cli/client_context.ts";
import type { Connection } from "../lib/net/connection.ts";
import { readWholeLine } from "../lib/net/whole_line.ts";
import { InletError, refusalIn } from "../lib/errors.ts";
import { localError } from "../lib/local_errors.ts";
import { checkUnchanged, type OpenBody, type Source } from "../lib/body/sources.ts";
import { quoted } from "../lib/text.ts";

/** Time for the reset of a closed connection to arrive, in milliseconds. */
const RESET_MS = 100;

/**
 * Sends a whole source, closes, and waits for the server to close. An orderly close is the only
 * acknowledgement in these modes.
 *
 * @throws {InletError} the server's refusal; `lost`, `timeout`; `changed` if the file changed while
 * it was read
 */
export async function sendToEnd(
  connection: Connection,
  source: Source,
  { progress, timeoutMs }: WireContext,
): Promise<Partial<Stored>> {
  let size = 0;
  using body = source.open((bytes) => {
    size += bytes;
    progress.add(bytes);
  });
  await sendListening(connection, source, body, { halfClose: true, timeoutMs });
  return summaryOf(body, size);
}

/**
 * Sends a body while listening for a refusal, and waits for the server to close.
 *
 * @param options.halfClose Whether to close the sending direction after the body.
 * @param options.timeoutMs Milliseconds in which the line of a refusal has to be complete.
 * @throws {InletError} as {@linkcode sendToEnd}
 */
export async function sendListening(
  connection: Connection,
  source: Source,
  body: OpenBody,
  { halfClose, timeoutMs }: { halfClose: boolean; timeoutMs?: number | undefined },
): Promise<void> {
  const stop = new AbortController();
  const answer = readWholeLine(connection, timeoutMs);
  let endedFirst = false;
  // A server may close its sending direction first, as netcat does, and still receive.
  answer.then((line) => line === null ? endedFirst = true : stop.abort(), () => stop.abort());
  try {
    // A pending write may never finish once the server has stopped reading.
    await Promise.race([connection.send(body.stream, stop.signal), aborted(stop)]);
    checkUnchanged(source, body);
    // A server that is gone answers the last bytes with a reset.
    if (endedFirst) await new Promise((resolve) => setTimeout(resolve, RESET_MS));
    if (halfClose || endedFirst) await connection.closeWrite();
  } catch (error) {
    const failure = localError(error, `Cannot send ${quoted(source.label)}`);
    // The server's refusal explains the failure better. After a local failure there is none.
    if (stop.signal.aborted || failure.code === "lost") await answer.then(refuse);
    throw failure;
  }
  await answer.then(refuse);
}

/** The error for a line that a server sent instead of the expected answer. */
export function refusal(line: string): InletError {
  try {
    const no = refusalIn(decodeReply(line));
    if (no) return no;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  return new InletError("denied", `The server answered ${quoted(line)}`);
}

function summaryOf(body: OpenBody, size: number): Partial<Stored> {
  return "tally" in body ? { size, crc: body.tally.crc } : { size };
}

function aborted({ signal }: AbortController): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

function refuse(line: string | null): void {
  if (line !== null) throw refusal(line);
}
