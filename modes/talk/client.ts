/**
 * The client half of mode talk. serve.ts has the conversation, and the server half.
 *
 * Servers of this kind differ in what they say first. The client waits for one pause (`--line-gap`),
 * and then:
 *
 * - The server says nothing: the client's name is its first message. What comes within two seconds is
 *   the welcome. None is needed.
 * - The server asks for a name (`Please enter a name: `): the same.
 * - The server says anything else (`Client01`, `Welcome Client01!`, `OK`): it names its clients itself,
 *   and no name is sent.
 * - The first words turn the client away (`busy 3 of 3`, `error CODE TEXT`, a word such as `full`), or
 *   the server closes behind them: refused.
 *
 * Words that come so late that they cross the name are recognized where they name the client or ask for
 * a name; then the answer to the name is awaited too.
 *
 * A message has no line ending: such programs take one `send` for one message. `--line-end` gives it
 * one, for servers that read lines. An answer is what comes until a pause. receive_file.ts tells how a
 * file is received.
 *
 * @module
 */

import { ACK } from "../../protocol.ts";
import type { WireContext } from "../../lib/cli/client_context.ts";
import { InletError, refusalInLine } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { DEFAULT_TIMEOUT_MS } from "../../lib/net/whole_line.ts";
import { formatBytes, formatCount, quoted } from "../../lib/text.ts";
import { type Received, receiveFile, type Target } from "./receive_file.ts";
import { encodeMessage, WELCOME } from "./messages.ts";
import { nextWithin, readToPause } from "./pauses.ts";
import { admitsUnnamed, asksName, givenName, turnedAway } from "./words.ts";

/** Most bytes of a greeting or a goodbye. */
const MAX_WORDS_BYTES = 4096;

/** Most bytes of an answer that is no file, and of what a server says unasked. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Milliseconds to wait for the answer to the name, which some servers do not give. */
const WELCOME_MS = 2000;

/** Milliseconds to wait for the end after `exit`. */
const GOODBYE_MS = 1000;

const LF = 0x0a;

const decoder = new TextDecoder();

/** How a session begins. */
export interface Opening {
  /** Sent unless the server names its clients itself. */
  readonly name: string;
  /** Called while the server has not said anything yet, for a hint; the result is disposed of. */
  hint(): Disposable | undefined;
}

/** A session with a server of mode talk. Methods throw {@linkcode InletError}. */
export class TalkClient {
  readonly #connection: Connection;
  readonly #context: WireContext;
  readonly #timeoutMs: number;
  readonly #hint: Opening["hint"];
  #name: string;
  #welcome = "";
  /** Whether the server has said anything. */
  #hasSpoken = false;
  /** Whether the server has ended what it said last with a line ending. */
  #endsLines = false;
  #unaskedBytes = 0;
  #ended = false;

  private constructor(connection: Connection, context: WireContext, { name, hint }: Opening) {
    this.#connection = connection;
    this.#context = context;
    this.#hint = hint;
    this.#timeoutMs = context.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#name = name;
  }

  /** Begins a session, as the head of this file tells. */
  static async greet(
    connection: Connection,
    context: WireContext,
    opening: Opening,
  ): Promise<TalkClient> {
    const client = new TalkClient(connection, context, opening);
    await client.#greet();
    return client;
  }

  /** The name of this client: its own, or the one that the server gave it. */
  get name(): string {
    return this.#name;
  }

  /** What the server has said first. */
  get welcome(): string {
    return this.#welcome;
  }

  /** Whether the session has ended, so that no request can follow. */
  get ended(): boolean {
    return this.#ended || this.#connection.failure !== undefined;
  }

  /**
   * Sends a message, and returns the answer.
   *
   * @throws {InletError} the server's refusal; `checksum` if the answer does not end
   */
  async ask(text: string): Promise<Uint8Array> {
    await this.#send(text);
    const answer = await this.#answer();
    const said = decoder.decode(answer);
    const no = said.trimEnd() === text.trim() + ACK ? undefined : refusalInLine(said.trimEnd());
    if (no) throw no;
    return answer;
  }

  /**
   * Downloads a file, and writes its bytes to the target as they arrive.
   *
   * @throws {InletError} the server's refusal; `checksum` if the end of the file is not proved, and
   * `--accept-unproved` is not given; what the target throws
   */
  async get(name: string, target: Target): Promise<Received> {
    const context = this.#context;
    const request = context.wire.bareNames ? name : `get ${name}`;
    await this.#send(request);
    await this.#first();
    const endsLines = this.#endsLines;
    try {
      return await receiveFile(this.#connection, {
        ...{ name, request, target, context, endsLines },
        isBare: this.#welcome.trim() === WELCOME,
      });
    } catch (error) {
      // What still comes of the file would be taken for the next answer.
      const { lineGapMs } = context.wire;
      const quiet = nextWithin(this.#connection, lineGapMs).then((next) => next === "pause");
      if (!await quiet.catch(() => false)) this.#ended = true;
      throw error;
    } finally {
      this.#connection.awaitingReply = false;
    }
  }

  /** Waits for this side. That is no silence of the server. */
  async pause<T>(until: Promise<T>): Promise<T> {
    return await this.#connection.unwatched(until);
  }

  /**
   * Waits for a promise, such as the next typed line, and passes on what the server says meanwhile.
   *
   * @throws {InletError} when the server or the connection ends the session
   */
  async rest<T>(until: Promise<T>): Promise<T> {
    const over = until.then(() => true);
    for (;;) {
      const arrival = this.#connection.arrival().then(() => false);
      if (await this.#connection.unwatched(Promise.race([over, arrival]))) return await until;
      await this.#unasked();
      if (this.#ended) throw this.#closed();
    }
  }

  /** Ends the session, and returns what the server says last. A lost connection is no error here. */
  async exit(): Promise<string> {
    if (this.ended) return "";
    const connection = this.#connection;
    this.#ended = true;
    try {
      await this.#write("exit");
      const by = performance.now() + GOODBYE_MS;
      for (;;) {
        const leftMs = Math.max(by - performance.now(), 0);
        const next = await nextWithin(connection, leftMs);
        if (next !== "bytes" || leftMs === 0) return "";
        const words = decoder.decode(connection.takeBuffered().slice(0, MAX_WORDS_BYTES));
        if (words.trim() !== "") return words;
      }
    } catch {
      return "";
    }
  }

  async #greet(): Promise<void> {
    const { lineGapMs } = this.#context.wire;
    const first = await this.#words(lineGapMs);
    if (first === "" || asksName(first)) {
      await this.#write(this.#name);
      const answer = await this.#words(WELCOME_MS, this.#name);
      const crossed = first === "" && (admitsUnnamed(answer) || asksName(answer));
      if (crossed && !answer.includes(this.#name + ACK)) {
        await this.#words(WELCOME_MS, this.#name);
      }
    }
    this.#name = givenName(this.#welcome) ?? this.#name;
  }

  /**
   * Reads words of the greeting, if any come in this time.
   *
   * @param answeredName The name that they may answer.
   */
  async #words(waitMs: number, answeredName?: string): Promise<string> {
    const connection = this.#connection;
    const arrival = await this.#hinting(nextWithin(connection, waitMs));
    if (arrival === "end") throw new InletError("lost", "The server closed without a word");
    if (arrival === "pause") return "";
    const bytes = await readToPause(connection, {
      gapMs: this.#context.wire.lineGapMs,
      mostBytes: MAX_WORDS_BYTES,
      mostMs: this.#timeoutMs,
      endless: () => {
        const limit = `${formatCount(MAX_WORDS_BYTES)} bytes`;
        return new InletError("denied", `The server's greeting does not end within ${limit}`);
      },
    });
    const words = decoder.decode(bytes);
    const no = turnedAway(words, answeredName);
    if (no) throw no;
    if (await nextWithin(connection, 0) === "end") {
      throw new InletError("denied", `The server said ${quoted(words.trim())} and closed`);
    }
    this.#welcome += words;
    this.#endsLines = words.endsWith("\n");
    return words;
  }

  async #send(text: string): Promise<void> {
    // Late words would be taken for the answer.
    await this.#unasked();
    if (this.#ended) throw this.#closed();
    await this.#write(text);
  }

  async #write(text: string): Promise<void> {
    await this.#connection.write(encodeMessage(text, this.#context.wire));
  }

  /** Waits for the server, which may hint at `--dialogue` as long as it has never said anything. */
  async #hinting<T>(waiting: Promise<T>): Promise<T> {
    using _ = this.#hasSpoken ? undefined : this.#hint();
    const result = await waiting;
    this.#hasSpoken ||= this.#connection.buffered.length > 0;
    return result;
  }

  /** Waits for the first byte of an answer. */
  async #first(): Promise<void> {
    const connection = this.#connection;
    connection.awaitingReply = true;
    if (await this.#hinting(connection.peek()) !== null) return;
    this.#ended = true;
    throw new InletError("lost", "The server closed without an answer");
  }

  async #answer(): Promise<Uint8Array> {
    await this.#first();
    const answer = await readToPause(this.#connection, {
      gapMs: this.#context.wire.lineGapMs,
      mostBytes: MAX_ANSWER_BYTES,
      mostMs: this.#timeoutMs,
      endless: () => this.#endless(),
    });
    this.#connection.awaitingReply = false;
    this.#endsLines = answer.at(-1) === LF;
    return answer;
  }

  /** Passes on what the server has said unasked, and notices its end. */
  async #unasked(): Promise<void> {
    const connection = this.#connection;
    for (;;) {
      const arrival = await nextWithin(connection, 0);
      if (arrival === "end") this.#ended = true;
      if (arrival !== "bytes") return;
      const words = connection.takeBuffered().slice();
      this.#unaskedBytes += words.length;
      if (this.#unaskedBytes > MAX_ANSWER_BYTES) {
        this.#ended = true;
        const limit = `more than ${formatBytes(MAX_ANSWER_BYTES)} unasked`;
        throw new InletError("checksum", `The server said ${limit}`);
      }
      this.#context.onNotice(decoder.decode(words).trimEnd());
    }
  }

  #closed(): InletError {
    return new InletError("lost", "The server closed the connection");
  }

  #endless(): InletError {
    this.#ended = true;
    const limits = `${formatBytes(MAX_ANSWER_BYTES)} and ${this.#timeoutMs / 1000} s`;
    return new InletError("checksum", `The server's answer does not end within ${limits}`);
  }
}
