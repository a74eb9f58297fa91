/**
 * The sender's half of the wires on which bytes go one way and nothing comes back but a no.
 *
 * @module
 */

import { decodeReply, ProtocolError, type Stored } from "../protocol.ts";
import type { ClientContext } from "../lib/cli/client_context.ts";
import type { Connection } from "../lib/net/connection.ts";
import { explain, InletError, refusalIn } from "../lib/errors.ts";
import { checkUnchanged, type OpenBody, type Source } from "../lib/body/sources.ts";
import { quoted } from "../lib/text.ts";

/** How long the reset of a server that has gone may take to arrive, in milliseconds. */
const RESET_MS = 100;

/**
 * Sends bytes until they end, and waits for the other side's orderly end: all the acknowledgement
 * that such a wire has.
 *
 * @throws {InletError} what the server said in place of silence; `lost`, `timeout`; `changed` if
 * the file was not the same from its first byte to its last
 */
export async function sendToEnd(
  connection: Connection,
  source: Source,
  { progress }: ClientContext,
): Promise<Partial<Stored>> {
  let size = 0;
  using body = source.open((bytes) => {
    size += bytes;
    progress.add(bytes);
  });
  await sendListening(connection, source, body, { halfClose: true });
  return summaryOf(body, size);
}

/**
 * Sends a body while listening for a no, and waits for the other side's orderly end.
 *
 * @param options.halfClose Whether the end of the body is the end of this side's stream.
 * @throws {InletError} as {@linkcode sendToEnd}
 */
export async function sendListening(
  connection: Connection,
  source: Source,
  body: OpenBody,
  { halfClose }: { halfClose: boolean },
): Promise<void> {
  const stop = new AbortController();
  const answer = connection.readLine();
  let endedFirst = false;
  // A server may end its own side first, as netcat does, and still take what comes.
  answer.then((line) => line === null ? endedFirst = true : stop.abort(), () => stop.abort());
  try {
    // A write that the other side does not take any more is not waited for either.
    await Promise.race([connection.send(body.stream, stop.signal), aborted(stop)]);
    checkUnchanged(source, body);
    // If it has gone altogether, it answers the last bytes with a reset.
    if (endedFirst) await new Promise((resolve) => setTimeout(resolve, RESET_MS));
    if (halfClose || endedFirst) await connection.closeWrite();
  } catch (error) {
    const failure = explain(error, `Cannot send ${quoted(source.label)}`);
    // The server's no says why. A failure of our own leaves it nothing to say.
    if (stop.signal.aborted || failure.code === "lost") await answer.then(refuse);
    throw failure;
  }
  await answer.then(refuse);
}

/** What a server said in place of what was hoped for. */
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
