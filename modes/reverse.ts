/**
 * Mode reverse: the server sends each line back reversed.
 *
 * 1. C: `Hello`, ended by LF or CR LF.
 * 2. S: `olleH`, with the same ending; and so on, for any number of lines. The client need not wait
 *    for an answer before it sends the next line.
 * 3. C: closes its side. A last line without an ending is answered without one.
 * 4. S: closes, once all is answered.
 *
 * With `--line-gap` on the server, a line also ends at a pause. With `--lock-step` on the client, a
 * line is sent without its ending, and its answer is awaited: see lock_step.ts.
 *
 * The client compares each answer with its line, byte by byte. It must read while it sends: unread
 * answers fill the TCP buffers, and then the server stops reading. Once all answers are in, it is
 * done, and does not wait for the server to close.
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
import { sendInLockStep } from "./lock_step.ts";
import { hintAtSilence, openOnClient, openOnServer } from "./opening.ts";
import { refusalIn } from "./refusal.ts";
import { type Checked, ReverseAnswers } from "./reverse_answers.ts";
import { LineReverser } from "./reverse_lines.ts";
import { noteStranger } from "./strangers.ts";
import { checkUnchanged, type OpenBody, type Source } from "../lib/body/sources.ts";
import { formatBytes, formatCount, quoted } from "../lib/text.ts";
import type { WireContext } from "../lib/cli/client_context.ts";
import type { ServerContext } from "../lib/server/context.ts";

/** Most bytes of lines without an answer. */
const MAX_DUE_BYTES = 64 * 1024 * 1024;

/** What it means that a server answers nothing. */
const TOOK_ALL = "; if it only takes bytes, use --mode raw or --mode message";

/** Server half: reverses lines until the client closes. */
export async function serveReverse(connection: Connection, context: ServerContext): Promise<void> {
  const { lineGapMs } = context.wire;
  const lines = new LineReverser();
  let size = 0;
  await openOnServer(connection, context);
  await noteStranger(connection, context, { mode: "reverse", answers: true });
  for await (const chunk of connection.body()) {
    size += chunk.length;
    for (const piece of lines.add(chunk)) await connection.write(piece);
    if (lineGapMs === undefined || lines.pendingBytes === 0) continue;
    if (!await connection.moreWithin(lineGapMs)) await connection.write(lines.end());
  }
  await connection.write(lines.end());
  const { log } = context;
  log.info("reversed", `had ${formatBytes(size)} reversed`, { bytes: size, ms: log.ms });
}

/** Client half: sends lines, and outputs the answers meanwhile. */
export async function sendReverse(
  connection: Connection,
  source: Source,
  context: WireContext,
): Promise<Partial<Stored>> {
  connection.unfinished = true;
  await openOnClient(connection, context);
  if (context.wire.lockStep) {
    return { size: await sendInLockStep(connection, source, context) };
  }
  const exchange = new Exchange(connection, source, context);
  await exchange.run();
  return { size: exchange.sent };
}

/** The lines of one source and their answers, on their way at the same time. */
class Exchange {
  readonly #connection: Connection;
  readonly #source: Source;
  readonly #context: WireContext;
  readonly #answers = new ReverseAnswers();
  /** Settles once everything is sent and answered. */
  readonly #complete = Promise.withResolvers<void>();
  /** The output of answers, in order. */
  #output: Promise<void> = Promise.resolve();
  #isSent = false;
  /** Begins with the first line. */
  #hint: Disposable | undefined;
  /** Ends a wait for answers. */
  #goOn = (): void => {};

  constructor(connection: Connection, source: Source, context: WireContext) {
    this.#connection = connection;
    this.#source = source;
    this.#context = context;
  }

  /** Bytes sent. */
  get sent(): number {
    return this.#answers.sent;
  }

  async run(): Promise<void> {
    using body = await this.#source.open((bytes) => this.#context.progress.add(bytes));
    this.#sendAll(body).catch((error) => {
      const failure = localError(error, `Cannot send ${quoted(this.#source.label)}`);
      // After a lost connection, the server's last words can still be read.
      if (failure.code !== "lost") this.#connection.abort(failure);
    });
    try {
      await Promise.race([this.#receive(), this.#complete.promise]);
    } finally {
      await this.#connection.unwatched(this.#output);
    }
  }

  async #sendAll(body: OpenBody): Promise<void> {
    try {
      await this.#connection.send(ReadableStream.from(this.#sending(body.stream)));
    } finally {
      // What a file has lost is sent as zeros, and any failure can come of that.
      checkUnchanged(this.#source, body, this.#context);
    }
    await this.#connection.closeWrite();
    this.#isSent = true;
    this.#take(this.#answers.end());
  }

  /** Passes a stream through, and notes what is sent. */
  async *#sending(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of stream) {
      this.#take(this.#answers.send(chunk));
      yield chunk;
      while (this.#answers.dueBytes > MAX_DUE_BYTES) {
        await new Promise<void>((resolve) => this.#goOn = resolve);
      }
    }
  }

  async #receive(): Promise<void> {
    try {
      for await (const chunk of this.#connection.body()) {
        this.#hint?.[Symbol.dispose]();
        const isFirst = this.#answers.received === 0;
        const checked = this.#answers.check(chunk);
        if (isFirst && (checked.wrong || this.#answers.isEarly)) {
          const refusal = await refusalIn(this.#connection, [chunk]);
          if (refusal) throw refusal;
        }
        this.#take(checked);
        await this.#connection.unwatched(this.#output);
        this.#goOn();
      }
    } finally {
      this.#hint?.[Symbol.dispose]();
    }
    this.#checkEnd();
  }

  /**
   * Outputs right answers.
   *
   * @throws {InletError} `checksum` if there is a wrong one
   */
  #take({ right, wrong }: Checked): void {
    for (const piece of right) {
      this.#output = this.#output.then(() => this.#context.output(piece));
      // It is awaited elsewhere.
      this.#output.catch(() => {});
    }
    if (wrong) throw wrong;
    const isDue = this.#answers.dueBytes > 0;
    this.#connection.awaitingReply = isDue;
    if (isDue) this.#hint ??= hintAtSilence(this.#context);
    if (this.#isSent && this.#answers.received === this.#answers.sent) this.#complete.resolve();
  }

  /**
   * Checks that everything was sent and answered before the server closed.
   *
   * @throws {InletError} `lost` if not
   */
  #checkEnd(): void {
    if (!this.#isSent) {
      throw new InletError("lost", "The server closed before everything was sent");
    }
    const missing = this.#answers.sent - this.#answers.received;
    if (missing > 0) {
      throw new InletError(
        "lost",
        `The server closed with ${formatCount(missing)} bytes unanswered` +
          (this.#answers.received === 0 ? TOOK_ALL : ""),
      );
    }
  }
}
