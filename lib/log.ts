/**
 * The server's log: one event a line on stderr, as text for people or as JSON for programs.
 *
 * @module
 */

import { formatCrc, type Stored } from "../protocol.ts";
import type { InletError } from "./errors.ts";
import { writeFully } from "./streams.ts";
import { formatBytes, printable, printableJson, quoted } from "./text.ts";

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

/** Writes events to stderr. Whatever a peer put into a message is escaped. */
export class Log {
  readonly #options: LogOptions;
  readonly #about: LogFields;

  /** @param about Facts that every event of this log has. */
  constructor(options: LogOptions = {}, about: LogFields = {}) {
    this.#options = options;
    this.#about = about;
  }

  /** The same log, for the events of one client. */
  forClient(client: number, address: string): Log {
    return new Log(this.#options, { client, address });
  }

  /** Something that went as it should. */
  info(event: string, message: string, fields: LogFields = {}): void {
    if (!this.#options.quiet) this.#write("info", event, message, fields);
  }

  /** Something that is said even when the log is quiet. */
  notice(event: string, message: string, fields: LogFields = {}): void {
    this.#write("info", event, message, fields);
  }

  /** Something that did not go as it should. */
  error(event: string, message: string, fields: LogFields = {}): void {
    this.#write("error", event, message, fields);
  }

  /** What a client was refused, or why it was cut. Only what nobody foresaw is told whole. */
  failure(error: InletError): void {
    this.error(error.code, error.message);
    if (error.code === "internal") console.error(error.cause);
  }

  /** A file that is whole, verified and under its name. */
  stored(stored: Stored): void {
    const { size, name } = stored;
    const crc = formatCrc(stored.crc);
    this.info("stored", `stored ${quoted(name)}, ${formatBytes(size)}, CRC-32 ${crc}`, {
      name,
      size,
      crc,
    });
  }

  #write(level: string, event: string, message: string, fields: LogFields): void {
    const time = new Date();
    if (this.#options.format === "json") {
      const entry = { time: time.toISOString(), level, event, message, ...this.#about, ...fields };
      return writeLine(printableJson(entry));
    }
    const { client } = this.#about;
    const about = client === undefined ? "" : `client ${client}: `;
    writeLine(`${formatLocalTime(time)} ${about}${printable(message)}`);
  }
}

const encoder = new TextEncoder();

/** A third of what `console.error` takes, which formats what needs no formatting. */
function writeLine(line: string): void {
  try {
    writeFully(Deno.stderr, encoder.encode(`${line}\n`));
  } catch {
    // Nobody reads the log any more. The server goes on without, as `console.error` would.
  }
}

/** Local time as `YYYY-MM-DD HH:MM:SS`. */
export function formatLocalTime(time: Date): string {
  const two = (number: number): string => String(number).padStart(2, "0");
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}
