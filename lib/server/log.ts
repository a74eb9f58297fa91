/**
 * The server's log: one event per line on stderr, as text for people or as JSON for programs.
 *
 * @module
 */

import { formatCrc, type Stored } from "../../protocol.ts";
import { hostOf } from "../address.ts";
import { type InletError, isForeseen } from "../errors.ts";
import type { Moving, Subject } from "./clients.ts";
import { Counters, type Traffic } from "./counters.ts";
import { Feed } from "./feed.ts";
import { eventOf, type LogEvent, type LogFields, type LogKeys } from "./log_events.ts";
import { LogLimit } from "./log_limit.ts";
import { inRed, leftOutMessage, stderr, type TellLeftOut } from "../body/stderr.ts";
import {
  formatBytes,
  formatLocalTime,
  printable,
  printableJson,
  printableLines,
  quoted,
} from "../text.ts";

/**
 * An event of the log, as a program is told of it: docs/log.md describes the events and their keys. Its
 * texts are as they came from clients, control characters and all.
 */
export interface LoggedEvent extends Readonly<Partial<LogKeys>> {
  /** When it happened, in UTC, as RFC 3339. */
  readonly time: string;
  /** A fault of the server or its disk is an `error`. */
  readonly level: LogLevel;
  /** What happened. */
  readonly event: LogEvent;
  /** The same as text, without time and client. */
  readonly message: string;
  /** Number of the client in this run of the server, if it is about one. */
  readonly id?: number;
  /** Name of the client, if it has one. */
  readonly client?: string;
  /** Address of the client, `HOST:PORT`, or `unix:N` at a Unix socket. */
  readonly address?: string;
}

/**
 * Takes the events of a log. Nothing waits for what it returns. The first error that it throws, or that
 * its promise rejects with, is written to stderr.
 */
export type LogSink = (event: LoggedEvent) => unknown;

/** Options of a {@linkcode Log}. */
export interface LogOptions {
  /**
   * `text` for people, `json` for programs: one object per line.
   *
   * @default {"text"}
   */
  format?: "text" | "json";
  /**
   * Whether only the first line, warnings and errors are written.
   *
   * @default {false}
   */
  quiet?: boolean;
}

/** Where the bytes of a file begin that move, and how many it has. */
interface Extent {
  readonly size: number | null;
  readonly offset: number;
}

/** The severity of an event: normal, not as it should be, or a fault of the server. */
export type LogLevel = "info" | "warn" | "error";

/**
 * Writes events to stderr. Control characters from a peer are escaped, and the number of lines
 * about one address is limited.
 */
export class Log {
  readonly #options: LogOptions;
  readonly #sink: ((event: LoggedEvent) => void) | undefined;
  readonly #about: Subject | undefined;
  readonly #limit: LogLimit;
  /** What the server has done: every event of these is counted, also where none is written. */
  readonly counters: Counters;
  /** Who is told of files and talk besides. */
  readonly feed: Feed;
  readonly #traffic: Traffic | undefined;
  /** The file of the request that is being served. */
  #file: string | undefined;
  /** When that request arrived. */
  #since = performance.now();
  /** What moved before it. */
  #movedBefore = 0;
  /** What is known of the size of that file. */
  #extent: Extent = { size: null, offset: 0 };

  /**
   * @param to How events are written, or what takes them instead.
   * @param about Whom every event of this log is about.
   * @param of The log of the server that this is a part of.
   * @param traffic What the client's connection moves.
   */
  constructor(to: LogOptions | LogSink = {}, about?: Subject, of?: Log, traffic?: Traffic) {
    this.#sink = typeof to === "function" ? guarded(to) : of ? of.#sink : undefined;
    this.#options = typeof to === "function" ? {} : to;
    this.#about = about;
    this.counters = of?.counters ?? new Counters();
    this.feed = of?.feed ?? new Feed();
    this.#limit = of ? of.#limit : new LogLimit((host, lines) => this.#leftOut(host, lines));
    this.#traffic = traffic;
  }

  /** Returns a log for the events of a client. One without a number was not admitted. */
  forClient(client: Subject, traffic?: Traffic): Log {
    return new Log(this.#options, client, this, traffic);
  }

  /**
   * Notes that a request has arrived, or, without a file, that there may be none.
   *
   * @param since When it arrived, by `performance.now()`.
   */
  begin(file?: string, since: number = performance.now()): void {
    this.#file = file;
    this.#since = since;
    this.#movedBefore = this.#moved;
    this.#extent = { size: null, offset: 0 };
  }

  /** Notes how large the file of the request is. */
  sized(size: number | null, offset = 0): void {
    this.#extent = { size, offset };
  }

  /** The file of the request that is being served, if it has one. */
  get moving(): Moving | undefined {
    if (this.#file === undefined) return undefined;
    const { size, offset } = this.#extent;
    const bytes = Math.min(offset + this.#moved - this.#movedBefore, size ?? Infinity);
    return { file: this.#file, bytes, size };
  }

  get #moved(): number {
    return this.#traffic ? this.#traffic.in + this.#traffic.out : 0;
  }

  /** Milliseconds since the request arrived. */
  get ms(): number {
    return Math.round(performance.now() - this.#since);
  }

  /** Reports the omitted lines now. */
  flush(): void {
    this.#limit.flush();
  }

  /** Logs a normal event. */
  info<Event extends LogEvent>(event: Event, message: string, fields?: LogFields<Event>): void {
    this.#tell(event, message, fields);
    if (!this.#options.quiet && this.#admits()) this.#write("info", event, message, fields);
  }

  /** Logs a normal event even if the log is quiet. */
  notice<Event extends LogEvent>(event: Event, message: string, fields?: LogFields<Event>): void {
    this.#tell(event, message, fields);
    this.#write("info", event, message, fields);
  }

  /** Logs what is not as it should be, for the operator of the server. */
  warn<Event extends LogEvent>(event: Event, message: string, fields?: LogFields<Event>): void {
    this.#write("warn", event, message, fields);
  }

  /**
   * Logs a refusal, what broke off, or a fault of the server. Only an unexpected error is logged with
   * its stack trace.
   */
  failure(error: InletError): void {
    this.counters.failed(error.code);
    if (!this.#admits()) return;
    const { code, message, cause } = error;
    const event = eventOf(code);
    const isUnexpected = code === "internal" && cause !== undefined && !isForeseen(cause);
    const stack = isUnexpected ? Deno.inspect(cause) : undefined;
    this.#write(event === "failed" ? "error" : "warn", event, message, {
      code,
      ...this.#file !== undefined && { file: this.#file },
      ...this.#about && { ms: this.ms },
      ...stack !== undefined && { stack },
    });
    if (stack === undefined || this.#sink || this.#options.format === "json") return;
    stderr.add(printableLines(stack), this.#tellLeftOut);
  }

  /** Logs a published file. These lines are exempt from the limit. */
  stored(stored: Stored): void {
    this.counters.stored.files++;
    this.counters.stored.bytes += stored.size;
    this.feed.watcher?.stored(stored);
    if (this.#about) this.feed.hook?.stored(stored, this.#about);
    if (this.#options.quiet && !this.feed.events) return;
    const { size: bytes, name: file } = stored;
    const crc = formatCrc(stored.crc);
    const message = `stored ${quoted(file)}, ${formatBytes(bytes)}, CRC-32 ${crc}`;
    const fields = { file, bytes, crc, ms: this.ms };
    this.#tell("stored", message, fields);
    if (!this.#options.quiet) this.#write("info", "stored", message, fields);
  }

  /** Logs that the client was admitted. */
  connected(clients: number): void {
    if (this.#about) this.feed.clients?.tell("came", this.#about);
    const from = this.#about?.address ?? "";
    this.info("connected", `connected from ${from}, ${clients} connected`, { clients });
  }

  /** Logs that the client has said its name, and its key was right. */
  welcomed(name: string): void {
    if (this.#about) this.feed.clients?.tell("named", this.#about);
    this.info("welcome", `is ${quoted(name)}`);
  }

  /**
   * Logs that the client has disconnected.
   *
   * @param ms Milliseconds that it was there.
   */
  disconnected(clients: number, ms: number): void {
    if (this.#about) this.feed.clients?.tell("left", this.#about);
    this.info("left", `left, ${clients} connected`, { clients, ms });
  }

  /** Logs a file that a client got. */
  got(file: string, bytes: number): void {
    this.counters.got.files++;
    this.counters.got.bytes += bytes;
    if (this.#options.quiet || !this.#admits()) return;
    const message = `got ${quoted(file)}, ${formatBytes(bytes)}`;
    this.#write("info", "got", message, { file, bytes, ms: this.ms });
  }

  #admits(): boolean {
    return this.#about === undefined || this.#limit.admits(hostOf(this.#about.address));
  }

  #leftOut(host: string, lines: number): void {
    const message = `${lines} more lines about ${host} were left out`;
    this.warn("left-out", message, { host, lines });
  }

  #tell(event: LogEvent, message: string, fields?: object): void {
    if (this.feed.events) this.feed.events.tell(this.record("info", event, message, fields));
  }

  #write(level: LogLevel, event: LogEvent, message: string, fields: object = {}): void {
    if (this.#sink) return this.#sink(this.record(level, event, message, fields));
    stderr.add(this.#line(level, event, message, fields), this.#tellLeftOut);
  }

  /** Tells that nobody has read the log. That is no matter of one client. */
  readonly #tellLeftOut: TellLeftOut = (lines) =>
    new Log(this.#options).#line("warn", "left-out", leftOutMessage(lines), { lines });

  /** An event as programs are told of it. */
  record(level: LogLevel, event: LogEvent, message: string, fields: object = {}): LoggedEvent {
    const { number: id, name = "", address } = this.#about ?? {};
    return {
      ...{ time: new Date().toISOString(), level, event, message },
      ...id !== undefined && { id },
      // A client has a name once it has said it.
      ...name !== "" && { client: name },
      ...address !== undefined && { address },
      ...fields,
    };
  }

  #line(level: LogLevel, event: LogEvent, message: string, fields: object): string {
    if (this.#options.format === "json") {
      return printableJson(this.record(level, event, message, fields));
    }
    const id = this.#about?.number;
    const about = id === undefined ? "" : `client ${id}: `;
    const line = `${formatLocalTime(new Date())} ${about}${printable(message)}`;
    return level === "error" ? inRed(line) : line;
  }
}

/** Keeps what a function of a program throws from the server. */
function guarded(sink: LogSink): (event: LoggedEvent) => void {
  let hasFailed = false;
  const fail = (error: unknown): void => {
    if (!hasFailed) stderr.add(`inlet: the function that takes the log failed: ${error}`);
    hasFailed = true;
  };
  return (event) => {
    try {
      const taking = sink(event);
      if (taking instanceof Promise) taking.catch(fail);
    } catch (error) {
      fail(error);
    }
  };
}
