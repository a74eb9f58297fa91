/**
 * Mode reverse: the server sends each line back reversed.
 *
 * 1. C: `Hello`, ended by LF or CR LF.
 * 2. S: `olleH`, with the same ending; and so on, for any number of lines. The client need not wait
 *    for an answer before it sends the next line.
 * 3. C: closes its side. A last line without an ending is answered without one.
 * 4. S: closes, once all is answered.
 *
 * A reversed line has the length of the original, so the client can count bytes. The client must
 * read while it sends: unread answers fill the TCP buffers, and then the server stops reading.
 *
 * A full server sends `busy …` and closes. Any other line would look like an answer, so on other
 * errors, a line that is too long or a timeout, the server closes without a message.
 *
 * @module
 */

import type { Stored } from "../protocol.ts";
import type { Connection } from "../lib/net/connection.ts";
import { InletError } from "../lib/errors.ts";
import { localError } from "../lib/local_errors.ts";
import { refusal } from "./send_only.ts";
import { LineReverser, reverseLines } from "./reverse_lines.ts";
import { checkUnchanged, type Source } from "../lib/body/sources.ts";
import { formatBytes, formatCount, quoted } from "../lib/text.ts";
import type { WireContext } from "../lib/cli/client_context.ts";
import type { ServerContext } from "../lib/server/context.ts";

/** Upper limit for the length of a `busy` line, in bytes. */
const BUSY_LINE_BYTES = 64;

const LF = 0x0a;

/** Server half: reverses lines until the client closes. */
export async function serveReverse(connection: Connection, context: ServerContext): Promise<void> {
  const lines = new LineReverser();
  let size = 0;
  for await (const chunk of connection.body()) {
    size += chunk.length;
    for (const piece of lines.add(chunk)) await connection.write(piece);
  }
  await connection.write(lines.end());
  context.log.info("reversed", `had ${formatBytes(size)} reversed`, { size });
}

/** Client half: sends lines, and outputs the answers meanwhile. */
export async function sendReverse(
  connection: Connection,
  source: Source,
  context: WireContext,
): Promise<Partial<Stored>> {
  const ledger = new Ledger(connection);
  using body = source.open((bytes) => context.progress.add(bytes));
  connection.send(ReadableStream.from(ledger.sending(body.stream)))
    .then(() => {
      checkUnchanged(source, body);
      ledger.sentAll();
      return connection.closeWrite();
    })
    .catch((error) => {
      const failure = localError(error, `Cannot send ${quoted(source.label)}`);
      // After a lost connection, the server's last words can still be read.
      if (failure.code !== "lost") connection.abort(failure);
    });
  await receive(connection, ledger, context);
  ledger.check();
  return { size: ledger.sent };
}

async function receive(
  connection: Connection,
  ledger: Ledger,
  { output }: WireContext,
): Promise<void> {
  const opening = await connection.peekLine(BUSY_LINE_BYTES);
  if (isBusy(opening) && !ledger.awaits(opening)) throw refusal(opening.trimEnd());
  for await (const chunk of connection.body()) {
    ledger.received(chunk.length);
    await connection.unwatched(output(chunk));
  }
}

function isBusy(line: string): boolean {
  return /^busy \d+ of \d+\n$/.test(line);
}

/** Counts the bytes sent and received. */
class Ledger {
  readonly #connection: Connection;
  #sent = 0;
  #received = 0;
  /** Bytes sent in complete lines, which the server has to answer. */
  #due = 0;
  #ended = false;
  #opening: Uint8Array | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Bytes sent. */
  get sent(): number {
    return this.#sent;
  }

  /** Passes a stream through, and counts its bytes as sent. */
  async *sending(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of stream) {
      this.#opening ??= chunk.slice(0, BUSY_LINE_BYTES);
      const end = chunk.lastIndexOf(LF) + 1;
      if (end > 0) this.#due = this.#sent + end;
      this.#sent += chunk.length;
      this.#update();
      yield chunk;
    }
  }

  /** Notes the end of the client's bytes, which completes the last line. */
  sentAll(): void {
    this.#due = this.#sent;
    this.#ended = true;
    this.#update();
  }

  /**
   * Counts received bytes.
   *
   * @throws {InletError} `checksum` if there are more of them than were sent
   */
  received(bytes: number): void {
    this.#received += bytes;
    if (this.#received > this.#sent) {
      throw new InletError("checksum", "The server answered with more bytes than it was sent");
    }
    this.#update();
  }

  /** Whether a line is the correct answer to the first line sent, even if it looks like `busy`. */
  awaits(answer: string): boolean {
    const line = this.#opening?.slice(0, this.#opening.indexOf(LF) + 1) ?? new Uint8Array();
    reverseLines(line);
    return answer === new TextDecoder().decode(line);
  }

  /**
   * Checks that all bytes were sent and answered.
   *
   * @throws {InletError} `lost` if not
   */
  check(): void {
    if (!this.#ended) {
      throw new InletError("lost", "The server closed before everything was sent");
    }
    const missing = this.#sent - this.#received;
    if (missing > 0) {
      throw new InletError(
        "lost",
        `The server closed with ${formatCount(missing)} bytes unanswered`,
      );
    }
  }

  #update(): void {
    this.#connection.awaitingReply = this.#received < this.#due;
  }
}
