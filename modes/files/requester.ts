/**
 * The client's end of the native conversation: requests go out, replies come in, notes are passed on
 * wherever they stand, and what ended it is remembered.
 *
 * @module
 */

import { ACK, decodeReply, encodeRequest, type Reply, type Request } from "../../protocol.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { explain, InletError, refusalIn } from "../../lib/errors.ts";
import { quoted } from "../../lib/text.ts";

/** Most lines of an answer that are handed over together. */
const MAX_PAGE_LINES = 500;

/** One conversation with a server. */
export class Requester {
  /** Why no other request can follow: the connection is gone, or a body broke off. */
  end: InletError | undefined;
  readonly #connection: Connection;
  readonly #onNote: ((text: string) => void) | undefined;

  constructor(connection: Connection, onNote: ((text: string) => void) | undefined) {
    this.#connection = connection;
    this.#onNote = onNote;
  }

  /**
   * Sends a request, and gives the lines of its answer as they come: those that are there already
   * together. Whoever leaves before the last one ends the conversation.
   *
   * @throws {InletError} what the server said in place of the end: what came is not all
   */
  async *lines(request: Request): AsyncGenerator<string[], void> {
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

  #checkCount(announced: number, came: number): void {
    if (announced === came) return;
    const reason = `The server announced ${announced} lines, and sent ${came}`;
    throw this.giveUp(new InletError("bad-request", reason));
  }

  /** Sends a request, and returns the detail of its `ok`. */
  async request(request: Request): Promise<string> {
    await this.write(encodeRequest(request));
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

  /** The next reply. Notes in front of it are passed on. */
  async reply(): Promise<Reply> {
    for (;;) {
      const reply = this.#decode(await this.#line());
      if (reply.type !== "note") return reply;
      this.#onNote?.(reply.text);
    }
  }

  /** The answer to talk, which can look like any other reply but for its end. */
  async acknowledgement(text: string): Promise<string> {
    for (;;) {
      const line = await this.#line();
      if (line === text + ACK) return line;
      const reply = this.#decode(line);
      if (reply.type !== "note") throw unexpected(reply);
      this.#onNote?.(reply.text);
    }
  }

  /** A line that nothing was asked for: a note, or the end. */
  async note(): Promise<void> {
    const reply = this.#decode(await this.#line());
    if (reply.type !== "note") throw this.giveUp(unexpected(reply));
    this.#onNote?.(reply.text);
  }

  /** Notes what ended the conversation; the first reason counts. */
  giveUp(error: unknown): InletError {
    return this.end ??= explain(error);
  }

  #decode(line: string): Reply {
    try {
      return decodeReply(line);
    } catch (error) {
      throw this.giveUp(error);
    }
  }

  async #line(): Promise<string> {
    if (this.end) throw this.end;
    try {
      const line = await this.#connection.readLine();
      if (line === null) throw new InletError("lost", "The server closed the connection");
      return line;
    } catch (error) {
      throw this.giveUp(error);
    }
  }
}

/** An answer that was not hoped for. */
export function unexpected(reply: Reply): InletError {
  return refusalIn(reply) ??
    new InletError("bad-request", `The server answered out of turn: ${reply.type}`);
}
