/**
 * The client's end of the native conversation: requests go out, replies come in, notes are passed on
 * wherever they stand, and what ended it is remembered.
 *
 * @module
 */

import {
  ACK,
  decodeReply,
  encodeRequest,
  ProtocolError,
  type Reply,
  type Request,
} from "../../protocol.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { explain, InletError, refusalIn } from "../../lib/errors.ts";

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

  /** Sends a request, and gives the lines that its `ok` announces. */
  async lines(request: Request): Promise<string[]> {
    const lines: string[] = [];
    for (let left = decodeCount(await this.request(request)); left > 0; left--) {
      const line = await this.#connection.readLine();
      if (line === null) throw new InletError("lost", "The connection ended within an answer");
      lines.push(line);
    }
    return lines;
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

/** The detail of an `ok` that is a number. */
export function decodeCount(detail: string): number {
  if (!/^\d{1,15}$/.test(detail)) throw new ProtocolError(`"${detail}" is no number`);
  return Number(detail);
}

/** An answer that was not hoped for. */
export function unexpected(reply: Reply): InletError {
  return refusalIn(reply) ??
    new InletError("bad-request", `The server answered out of turn: ${reply.type}`);
}
