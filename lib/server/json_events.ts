/**
 * What `--json` prints of a server: what programs act on, on the standard output, one object a line. The
 * objects are those of the log in JSON. docs/json.md describes them.
 *
 * A module of its own, because only a server with `--json` needs it.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { leftOutMessage } from "../body/stderr.ts";
import { jsonOutput } from "../cli/json_output.ts";
import { formatBytes } from "../text.ts";
import type { EventWatcher } from "./feed.ts";
import { type Output, type Sender, StdoutQueue, type Write } from "./stdout_queue.ts";

/** Characters that wait for the reader of stdout, before objects are left out. */
const MOST_HELD = 16 * 1024 * 1024;

/** Bytes of a message that one object has at most. */
const PIECE_BYTES = 64 * 1024;

/** Milliseconds after which a reader that takes nothing is not waited for when the server stops. */
const SILENCE_MS = 5000;

/** The events of the log that are printed. */
const EVENTS: ReadonlySet<string> = new Set(["listening", "stored", "folder", "link"]);

/** Prints events, and the messages of clients. */
export class JsonEvents implements EventWatcher {
  /** Prints messages as events. */
  readonly stdout: StdoutQueue = new StdoutQueue({
    write: (line) => this.#write(new TextDecoder().decode(line)),
    output: (write, sender) => new JsonMessage(write, sender),
  });
  #leftOut = 0;

  /** Prints an event of the log, if it is one that programs act on. A reader that is gone is none. */
  tell(event: { readonly event: string }): void {
    if (!EVENTS.has(event.event)) return;
    const { printer } = jsonOutput;
    if (this.#leftOut === 0 && printer.waiting < MOST_HELD) return jsonOutput.add(event);
    if (this.#leftOut++ === 0) printer.printed.then(() => this.#tellLeftOut());
  }

  /** Waits until all is printed, as long as somebody reads it. */
  async end(): Promise<void> {
    const { printer } = jsonOutput;
    for (let before = Infinity; printer.waiting < before;) {
      before = printer.waiting;
      if (await printer.flush(SILENCE_MS)) return;
    }
  }

  async #write(line: string): Promise<void> {
    const { printer } = jsonOutput;
    printer.add(line);
    await printer.printed;
    if (printer.failure) throw printer.failure;
  }

  #tellLeftOut(): void {
    const lines = this.#leftOut;
    this.#leftOut = 0;
    const message = leftOutMessage(lines).replace("stderr", "stdout");
    const time = new Date().toISOString();
    jsonOutput.add({ time, level: "warn", event: "left-out", message, lines });
  }
}

/** One message, in pieces. Each is printed once it is known whether it is the last one. */
class JsonMessage implements Output {
  readonly #write: Write;
  readonly #sender: Sender;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #held: Uint8Array | undefined;
  #parts = 0;
  #size = 0;

  /** @param write Writes a line completely. */
  constructor(write: Write, sender: Sender) {
    this.#write = write;
    this.#sender = sender;
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      const piece = chunk.slice(at, at + PIECE_BYTES);
      const cut = this.#held ? await this.#tell(this.#held, false) : undefined;
      this.#held = cut && cut.length > 0 ? concat([cut, piece]) : piece;
    }
  }

  async end(): Promise<void> {
    await this.#tell(this.#held ?? new Uint8Array(0), true);
  }

  /** @returns The beginning of a character at the end, which the next piece continues. */
  async #tell(piece: Uint8Array, last: boolean): Promise<Uint8Array> {
    const { text, bytes } = this.#textOf(piece, last ? 0 : 3);
    this.#size += bytes;
    const { log } = this.#sender;
    const what = last ? `sent a message of ${formatBytes(this.#size)}` : "sends a message";
    const line = jsonOutput.line({
      ...log.record("info", "message", what, { bytes }),
      ...{ part: ++this.#parts, last },
      ...text === undefined ? { base64: piece.toBase64() } : { text },
      ...last && { ms: log.ms },
    });
    await this.#write(new TextEncoder().encode(`${line}\n`));
    return piece.subarray(bytes);
  }

  /** @param mostCut Most bytes at the end that may be left to the next piece. */
  #textOf(piece: Uint8Array, mostCut: number): { text?: string; bytes: number } {
    for (let bytes = piece.length; bytes >= Math.max(piece.length - mostCut, 0); bytes--) {
      try {
        return { text: this.#decoder.decode(piece.subarray(0, bytes)), bytes };
      } catch {
        // Not UTF-8, or cut within a character.
      }
    }
    return { bytes: piece.length };
  }
}
