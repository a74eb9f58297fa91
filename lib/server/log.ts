/**
 * The server's log: one event a line on stderr, as text for people or as JSON for programs.
 *
 * @module
 */

import { formatCrc, type Stored } from "../../protocol.ts";
import { hostOf } from "../address.ts";
import { type InletError, isForeseen } from "../errors.ts";
import { LogLimit } from "./log_limit.ts";
import { writeFully } from "../body/streams.ts";
import { formatBytes, formatLocalTime, printable, printableJson, quoted } from "../text.ts";

/** Facts of an event. In the JSON log each is a field of its own. */
export type LogFields = Record<string, string | number | boolean>;

/** Options of a {@linkcode Log}. */
export interface LogOptions {
  /**
   * `text` for people, `json` for programs: one object a line.
   *
   * @default {"text"}
   */
  format?: "text" | "json";
  /**
   * Whether only the first line and errors are written.
   *
   * @default {false}
   */
  quiet?: boolean;
}

/**
 * Writes events to stderr. Whatever a peer put into a message is escaped, and a flood of events about
 * one address is cut short.
 */
export class Log {
  readonly #options: LogOptions;
  readonly #about: LogFields;
  readonly #limit: LogLimit;

  /**
   * @param about Facts that every event of this log has.
   * @param limit How many lines there may be; shared by the logs of one server.
   */
  constructor(options: LogOptions = {}, about: LogFields = {}, limit?: LogLimit) {
    this.#options = options;
    this.#about = about;
    this.#limit = limit ?? new LogLimit((host, lines) => this.#leftOut(host, lines));
  }

  /** The same log, for the events of one client. */
  forClient(client: number, address: string): Log {
    return new Log(this.#options, { client, address }, this.#limit);
  }

  /** The same log, for what is about an address and no client. */
  forAddress(address: string): Log {
    return new Log(this.#options, { address }, this.#limit);
  }

  /** Tells what was left out so far. */
  flush(): void {
    this.#limit.flush();
  }

  /** Something that went as it should. */
  info(event: string, message: string, fields: LogFields = {}): void {
    if (!this.#options.quiet && this.#admits()) this.#write("info", event, message, fields);
  }

  /** Something that is said even when the log is quiet. */
  notice(event: string, message: string, fields: LogFields = {}): void {
    this.#write("info", event, message, fields);
  }

  /** Something that did not go as it should. */
  error(event: string, message: string, fields: LogFields = {}): void {
    if (this.#admits()) this.#write("error", event, message, fields);
  }

  /** What a client was refused, or why it was cut. Only what nobody foresaw is told whole. */
  failure(error: InletError): void {
    if (!this.#admits()) return;
    this.#write("error", error.code, error.message);
    if (error.code === "internal" && !isForeseen(error.cause)) console.error(error.cause);
  }

  /** A file that is whole, verified and under its name. Each is told, however many there are. */
  stored(stored: Stored): void {
    if (this.#options.quiet) return;
    const { size, name } = stored;
    const crc = formatCrc(stored.crc);
    const message = `stored ${quoted(name)}, ${formatBytes(size)}, CRC-32 ${crc}`;
    writeSoon(this.#format("info", "stored", message, { name, size, crc }));
  }

  #admits(): boolean {
    const { address } = this.#about;
    return address === undefined || this.#limit.admits(hostOf(String(address)));
  }

  #leftOut(host: string, lines: number): void {
    const message = `${lines} more lines about ${host} were left out`;
    this.#write("info", "left-out", message, { host, lines });
  }

  #write(level: string, event: string, message: string, fields: LogFields = {}): void {
    writeSoon(this.#format(level, event, message, fields));
    flush();
  }

  #format(level: string, event: string, message: string, fields: LogFields): string {
    const time = new Date();
    if (this.#options.format === "json") {
      const entry = { time: time.toISOString(), level, event, message, ...this.#about, ...fields };
      return printableJson(entry);
    }
    const { client } = this.#about;
    const about = client === undefined ? "" : `client ${client}: `;
    return `${formatLocalTime(time)} ${about}${printable(message)}`;
  }
}

const encoder = new TextEncoder();

/** Lines of this turn of the event loop: thousands of small files are stored in a second. */
let pending = "";

/** `console.error` would format what needs no formatting, and write each line on its own. */
function writeSoon(line: string): void {
  if (pending === "") setImmediate(flush);
  pending += `${line}\n`;
}

function flush(): void {
  const lines = encoder.encode(pending);
  pending = "";
  try {
    writeFully(Deno.stderr, lines);
  } catch {
    // Nobody reads the log any more. The server goes on without, as after a failed `console.error`.
  }
}
