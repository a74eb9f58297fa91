/**
 * Lines that come back reversed.
 *
 * 1. C: `Hello`, ended by LF or CR LF.
 * 2. S: `olleH`, with the same ending; and so on, for as many lines as the client likes, which need
 *    not wait for one answer before the next line.
 * 3. C: closes its side. A last line without an ending is answered without one.
 * 4. S: closes, once all is answered.
 *
 * A line comes back as long as it went, so the client can count. It has to read while it sends: what
 * it does not read fills the buffers of TCP, and then the server takes no more.
 *
 * A full server says `busy …` and closes. Any other line would be taken for an answer, so a server
 * that cannot go on closes without a word: a line is too long, or the client was silent.
 *
 * @module
 */

import type { Stored } from "../protocol.ts";
import type { Connection } from "../lib/net/connection.ts";
import { explain, InletError } from "../lib/errors.ts";
import { refusal } from "./send_only.ts";
import { LineReverser, reverseLines } from "./reverse_lines.ts";
import { checkUnchanged, type Source } from "../lib/body/sources.ts";
import { formatBytes, quoted } from "../lib/text.ts";
import type { ClientContext } from "../lib/cli/client_context.ts";
import type { ServerContext } from "../lib/server/context.ts";

/** More bytes than a busy line has. */
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

/** Client half: sends lines, and hands over what comes back while it sends. */
export async function sendReverse(
  connection: Connection,
  source: Source,
  context: ClientContext,
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
      const failure = explain(error, `Cannot send ${quoted(source.label)}`);
      // What the server said before it went is still to be read.
      if (failure.code !== "lost") connection.abort(failure);
    });
  await receive(connection, ledger, context);
  ledger.check();
  return { size: ledger.sent };
}

async function receive(
  connection: Connection,
  ledger: Ledger,
  { output }: ClientContext,
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

/** What was sent and what came back, in bytes. */
class Ledger {
  readonly #connection: Connection;
  #sent = 0;
  #received = 0;
  /** How many of the bytes sent make up whole lines, so that an answer is due. */
  #due = 0;
  #ended = false;
  #opening: Uint8Array | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Bytes that were sent. */
  get sent(): number {
    return this.#sent;
  }

  /** Notes what is about to be sent. */
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

  /** Notes that the other side is about to be told the end. */
  sentAll(): void {
    this.#due = this.#sent;
    this.#ended = true;
    this.#update();
  }

  /** Notes that so many bytes came back. */
  received(bytes: number): void {
    this.#received += bytes;
    this.#update();
  }

  /** Whether this is the right answer to the first line that was sent, whatever else it may look like. */
  awaits(answer: string): boolean {
    const line = this.#opening?.slice(0, this.#opening.indexOf(LF) + 1) ?? new Uint8Array();
    reverseLines(line);
    return answer === new TextDecoder().decode(line);
  }

  /**
   * Makes sure that everything came back.
   *
   * @throws {InletError} `lost`
   */
  check(): void {
    if (!this.#ended) {
      throw new InletError("lost", "The server closed before everything was sent");
    }
    const missing = this.#sent - this.#received;
    if (missing > 0) {
      throw new InletError("lost", `The server closed ${missing} bytes before its last answer`);
    }
  }

  #update(): void {
    this.#connection.awaitingReply = this.#received < this.#due;
  }
}
