/**
 * The client's requests and the server's replies in the native protocol. It passes notes on
 * wherever they appear, and remembers what ended the session.
 *
 * @module
 */

import type { ClientContext } from "../../lib/cli/client_context.ts";
import {
  ACK,
  decodeReply,
  encodeRequest,
  type ListEntry,
  MAX_LINE_BYTES,
  parseListEntry,
  type Reply,
  type Request,
} from "../../protocol.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { explain, InletError, refusalIn } from "../../lib/errors.ts";
import { AwakeTimer } from "../../lib/net/awake.ts";
import {
  DEFAULT_TIMEOUT_MS,
  lineAt,
  readWholeLine,
  silenceHintMs,
} from "../../lib/net/whole_line.ts";
import { formatSeconds, quoted } from "../../lib/text.ts";
import type { Note } from "./framing.ts";
import { Patience } from "./patience.ts";

/** Most bytes of requests ahead of the welcome: a server that refuses takes them in vain. */
export const MAX_AHEAD_BYTES: number = 64 * 1024 + 2 * MAX_LINE_BYTES;

/** Maximum number of lines in one page. */
const MAX_PAGE_LINES = 500;

/** Words that the answer to a greeting begins with. */
const FIRST_WORDS = ["welcome", "challenge", "busy", "error", "note"];

/** The hint for a server that does not answer the greeting. */
const UNANSWERED =
  "the server does not answer the greeting: it may serve another mode; if it only " +
  "takes bytes, use --mode raw or --mode message; if it waits for a size and a name, --mode upload";

/** What a requester needs of the client. */
type RequesterContext = Pick<
  ClientContext,
  "onNote" | "onNotice" | "onUnasked" | "onWarning" | "timeoutMs"
>;

/** Sends requests and reads replies on one connection. */
export class Requester {
  /** Why the session has ended: the connection was lost, or a body was incomplete. */
  end: InletError | undefined;
  /** Whether the server has ended the session, and has read nothing behind its last answer. */
  isUnread = false;
  readonly #connection: Connection;
  readonly #context: RequesterContext;
  readonly #welcome = Promise.withResolvers<void>();
  #isWelcome = false;
  #aheadBytes = 0;
  /** Bytes of requests that wait for the welcome. */
  #waitingBytes = 0;

  constructor(connection: Connection, context: RequesterContext) {
    this.#connection = connection;
    this.#context = context;
    this.#welcome.promise.catch(() => {});
  }

  /** Settles once the server has welcomed this client. Otherwise it rejects, and the session ends. */
  get welcomed(): Promise<void> {
    return this.#welcome.promise;
  }

  /** Whether the server has welcomed this client. */
  get isWelcome(): boolean {
    return this.#isWelcome;
  }

  /** Makes a greeting that is under way the one that requests can run ahead of. */
  expectWelcome(greeting: Promise<void>): void {
    greeting.then(() => {
      this.#isWelcome = true;
      this.#welcome.resolve();
    }, (error) => {
      const failure = this.giveUp(error);
      this.#welcome.reject(failure);
      // It may never read what ran ahead.
      this.#connection.abort(failure);
    });
  }

  /**
   * Sends a request, and yields the lines of its answer in pages as they arrive. A caller that
   * stops before the last page ends the session.
   *
   * @throws {InletError} if the server sends an error instead of the end; the list is incomplete
   * then
   */
  async *lines(request: Request | Uint8Array): AsyncGenerator<string[], void> {
    const detail = await this.request(request);
    if (detail !== "") {
      const reason = `The server answered a list with ${quoted(`ok ${detail}`)}`;
      throw this.giveUp(new InletError("bad-request", reason));
    }
    let count = 0;
    let page: string[] = [];
    let isOver = false;
    try {
      for (;;) {
        const line = await this.#line();
        if (/^(end|error)[; ]/.test(line)) {
          isOver = true;
          const reply = this.#decode(line);
          if (page.length > 0) yield page;
          if (reply.type !== "end") throw unexpected(reply);
          return this.#checkCount(reply.count, count + page.length);
        }
        page.push(line);
        if (page.length < MAX_PAGE_LINES && this.#connection.buffered.length > 0) continue;
        count += page.length;
        yield page;
        page = [];
      }
    } finally {
      if (!isOver) this.giveUp(new InletError("aborted", "The answer was not read to its end"));
    }
  }

  /** Like {@linkcode Requester.lines}, for lists of files and folders. */
  async *entries(request: Request): AsyncGenerator<ListEntry[], void> {
    for await (const lines of this.lines(request)) {
      let entries: ListEntry[];
      try {
        entries = lines.map(parseListEntry);
      } catch (error) {
        throw this.giveUp(error);
      }
      yield entries;
    }
  }

  #checkCount(announced: number, came: number): void {
    if (announced === came) return;
    const reason = `The server announced ${announced} lines but sent ${came}`;
    throw this.giveUp(new InletError("bad-request", reason));
  }

  /** Sends a request, and returns the detail of its `ok`. */
  async request(request: Request | Uint8Array): Promise<string> {
    await this.write(request instanceof Uint8Array ? request : encodeRequest(request));
    const reply = await this.reply();
    if (reply.type !== "ok") throw unexpected(reply);
    return reply.detail;
  }

  /** Sends a request, unless the conversation has ended. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.end) throw this.end;
    await this.#connection.write(bytes).catch((error) => {
      throw this.giveUp(error);
    });
  }

  /**
   * Sends requests that may run ahead of the welcome, up to {@linkcode MAX_AHEAD_BYTES} of them.
   * Their replies have to wait for it.
   */
  async writeAhead(bytes: Uint8Array): Promise<void> {
    // It is never counted then, neither here nor by the pipeline.
    if (this.end) throw this.end;
    this.#aheadBytes += bytes.length;
    this.#waitingBytes += bytes.length;
    if (this.#aheadBytes > MAX_AHEAD_BYTES) await this.welcomed;
    if (this.end) throw this.end;
    this.#waitingBytes -= bytes.length;
    await this.#connection.write(bytes).catch(async (error) => {
      // What the server has said to the greeting explains it better.
      await this.welcomed;
      throw this.giveUp(error);
    });
  }

  /**
   * Reads the next reply. Passes on the notes before it.
   *
   * @param readBytes Bytes that the server may have to read before it can reply.
   */
  async reply(readBytes = 0): Promise<Reply> {
    const patience = new Patience(this.#context.timeoutMs, readBytes);
    for (;;) {
      const reply = this.#decode(await this.#answerLine());
      if (reply.type !== "note") return reply;
      this.#noted(reply, patience);
    }
  }

  /**
   * The next reply, if it has arrived whole. A note and a malformed line are left to
   * {@linkcode Requester.reply}.
   */
  arrived(): Reply | undefined {
    if (this.end) return undefined;
    try {
      const line = lineAt(this.#connection.buffered, 0);
      const reply = line && decodeReply(line.text);
      if (!reply || reply.type === "note") return undefined;
      this.#connection.skip(line!.end);
      return this.#noticed(reply);
    } catch {
      return undefined;
    }
  }

  /** Bytes of requests that never left, because the session ended first. */
  get unsent(): number {
    return this.#waitingBytes + this.#connection.unsent;
  }

  /**
   * Sends the greeting, and reads the reply. A server of another wire is told by its silence, or by
   * what it says.
   *
   * @param onSent Called when it is sent.
   */
  async first(hello: Request, onSent?: () => void): Promise<Reply> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, onNotice } = this.#context;
    const greeting = encodeRequest(hello);
    await this.write(greeting);
    onSent?.();
    const hint = new AwakeTimer(silenceHintMs(timeoutMs), () => onNotice?.(UNANSWERED));
    try {
      await this.#connection.peek();
      using _ = new AwakeTimer(
        timeoutMs,
        () => this.#connection.abort(new InletError("timeout", "No complete line")),
      );
      while (mayBecomeReply(this.#connection.buffered) && await this.#connection.more());
    } catch (error) {
      // What ran ahead, and was not read, makes a reset of a server that closes.
      const isLost = this.#aheadBytes > 0 && explain(error).code === "lost";
      const { code } = this.giveUp(isLost ? closed() : error);
      if (code !== "timeout") throw this.end;
      const late = `No answer to the greeting within ${formatSeconds(timeoutMs)} s`;
      throw this.end = new InletError("timeout", `${late}: is it a server of another --mode?`);
    } finally {
      hint[Symbol.dispose]();
    }
    if (mayBeReply(this.#connection.buffered)) return await this.reply();
    const { notOurs } = await import("./first_answer.ts");
    throw this.giveUp(await notOurs(this.#connection, decoder.decode(greeting).trimEnd()));
  }

  /** Reads the answer to chat, which looks like any other reply except for its end. */
  async acknowledgement(text: string): Promise<string> {
    const reply = await this.replyOrTalk(text);
    if (reply !== "talk") throw unexpected(reply);
    return text + ACK;
  }

  /** Reads the reply to a request without arguments, which is talk to a server that is older. */
  async replyOrTalk(text: string): Promise<Reply | "talk"> {
    const patience = new Patience(this.#context.timeoutMs);
    for (;;) {
      const line = await this.#line();
      if (line === text + ACK) return "talk";
      if (this.#context.onUnasked?.(line)) continue;
      const reply = this.#decode(line);
      if (reply.type !== "note") return reply;
      this.#noted(reply, patience);
    }
  }

  /** Reads a line that answers no request: a note, or the error that ends the session. */
  async note(): Promise<void> {
    const line = await this.#line();
    if (this.#context.onUnasked?.(line)) return;
    const reply = this.#decode(line);
    if (reply.type !== "note") throw this.giveUp(unexpected(reply));
    this.#context.onNote?.(reply.text);
  }

  /**
   * Passes on notes within a body.
   *
   * @param readBytes Bytes that the server may have to read meanwhile.
   */
  noting(readBytes: number): (note: Note) => void {
    const patience = new Patience(this.#context.timeoutMs, readBytes);
    return (note) => this.#noted(note, patience);
  }

  #noted({ text, fields }: Note, patience: Patience): void {
    const { onNote, onWarning } = this.#context;
    const isWarning = fields?.kind === "warning";
    (isWarning ? onWarning ?? onNote : onNote)?.(text);
    try {
      patience.noted(this.#connection.traffic.out);
    } catch (error) {
      throw this.giveUp(error);
    }
  }

  /** Records what ended the session. The first reason counts. */
  giveUp(error: unknown): InletError {
    return this.end ??= explain(error);
  }

  #decode(line: string): Reply {
    try {
      return this.#noticed(decodeReply(line));
    } catch (error) {
      throw this.giveUp(error);
    }
  }

  #noticed(reply: Reply): Reply {
    if (reply.type === "error" && reply.fields?.unread === "yes") {
      this.isUnread = true;
      // It explains what cannot be written any more, too.
      this.end = unexpected(reply);
    }
    return reply;
  }

  /** The next line that was asked for, or a note. */
  async #answerLine(): Promise<string> {
    for (;;) {
      const line = await this.#line();
      if (!this.#context.onUnasked?.(line)) return line;
    }
  }

  async #line(): Promise<string> {
    if (this.end) throw this.end;
    try {
      const line = await readWholeLine(this.#connection, this.#context.timeoutMs);
      if (line === null) throw closed();
      return line;
    } catch (error) {
      throw this.giveUp(error);
    }
  }
}

function closed(): InletError {
  return new InletError("lost", "The server closed the connection");
}

/** The error for a reply other than the expected one. */
export function unexpected(reply: Reply): InletError {
  return refusalIn(reply) ??
    new InletError("bad-request", `The server sent an unexpected reply: ${reply.type}`);
}

/** Whether the first bytes of a server are a reply, or may become one. */
function mayBeReply(bytes: Uint8Array): boolean {
  const [line = "", more] = decoder.decode(bytes).split("\n", 2);
  if (more === undefined) {
    return FIRST_WORDS.some((word) => word.startsWith(line) || line.startsWith(word));
  }
  try {
    decodeReply(line.replace(/\r$/, ""));
    return true;
  } catch {
    return false;
  }
}

/** Whether the first bytes of a server are the beginning of a reply, and its line goes on. */
function mayBecomeReply(bytes: Uint8Array): boolean {
  return bytes.length < MAX_LINE_BYTES && !bytes.includes(LF) && mayBeReply(bytes);
}

const LF = 0x0a;

const decoder = new TextDecoder();
