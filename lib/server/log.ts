/**
 * The server's log: one event per line on stderr, as text for people or as JSON for programs.
 *
 * @module
 */

import { formatCrc, type Stored } from "../../protocol.ts";
import { hostOf } from "../address.ts";
import { type InletError, isForeseen } from "../errors.ts";
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

/** Details of an event. The JSON log has a field for each. */
export type LogFields = Record<string, string | number | boolean>;

/** Options of a {@linkcode Log}. */
export interface LogOptions {
  /**
   * `text` for people, `json` for programs: one object per line.
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
 * Writes events to stderr. Control characters from a peer are escaped, and the number of lines
 * about one address is limited.
 */
export class Log {
  readonly #options: LogOptions;
  readonly #about: LogFields;
  readonly #limit: LogLimit;

  /**
   * @param about Fields of every event of this log.
   * @param limit The limit on lines per address; shared by the logs of one server.
   */
  constructor(options: LogOptions = {}, about: LogFields = {}, limit?: LogLimit) {
    this.#options = options;
    this.#about = about;
    this.#limit = limit ?? new LogLimit((host, lines) => this.#leftOut(host, lines));
  }

  /** Returns a log for the events of one client. */
  forClient(client: number, address: string): Log {
    return new Log(this.#options, { client, address }, this.#limit);
  }

  /** Returns a log for events of an address that is not an admitted client. */
  forAddress(address: string): Log {
    return new Log(this.#options, { address }, this.#limit);
  }

  /** Reports the omitted lines now. */
  flush(): void {
    this.#limit.flush();
  }

  /** Logs a normal event. */
  info(event: string, message: string, fields: LogFields = {}): void {
    if (!this.#options.quiet && this.#admits()) this.#write("info", event, message, fields);
  }

  /** Logs a normal event even if the log is quiet. */
  notice(event: string, message: string, fields: LogFields = {}): void {
    this.#write("info", event, message, fields);
  }

  /** Logs an error. */
  error(event: string, message: string, fields: LogFields = {}): void {
    if (this.#admits()) this.#write("error", event, message, fields);
  }

  /** Logs a refusal or a failure. Only an unexpected error is logged with its stack trace. */
  failure(error: InletError): void {
    if (!this.#admits()) return;
    this.#write("error", error.code, error.message);
    if (error.code !== "internal" || isForeseen(error.cause)) return;
    stderr.add(printableLines(Deno.inspect(error.cause)), this.#tellLeftOut);
  }

  /** Logs a published file. These lines are exempt from the limit. */
  stored(stored: Stored): void {
    if (this.#options.quiet) return;
    const { size, name } = stored;
    const crc = formatCrc(stored.crc);
    const message = `stored ${quoted(name)}, ${formatBytes(size)}, CRC-32 ${crc}`;
    this.#write("info", "stored", message, { name, size, crc });
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
    const { format } = this.#options;
    stderr.add(
      formatLine(format, level, event, message, { ...this.#about, ...fields }),
      this.#tellLeftOut,
    );
  }

  /** Tells that nobody has read the log. */
  readonly #tellLeftOut: TellLeftOut = (lines) =>
    formatLine(this.#options.format, "error", "left-out", leftOutMessage(lines), { lines });
}

function formatLine(
  format: LogOptions["format"],
  level: string,
  event: string,
  message: string,
  fields: LogFields,
): string {
  const time = new Date();
  if (format === "json") {
    return printableJson({ time: time.toISOString(), level, event, message, ...fields });
  }
  const { client } = fields;
  const about = client === undefined ? "" : `client ${client}: `;
  const line = `${formatLocalTime(time)} ${about}${printable(message)}`;
  return level === "error" ? inRed(line) : line;
}
