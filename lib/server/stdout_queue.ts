/**
 * The queue for this process's stdout: messages of clients are written whole, one after another.
 *
 * A message is read beside the others. It takes its turn once it is whole, or larger than
 * {@linkcode MAX_HELD_BYTES}: a client that sends little, slowly, delays nobody. Whole messages and
 * those of which only the beginning has arrived go by turns, so that a whole one waits for one other
 * client at most, and a long one is not passed over for ever.
 *
 * @module
 */

import { writeStdout } from "../body/stdio.ts";
import { TerminalOutput } from "../body/terminal_output.ts";
import { InletError } from "../errors.ts";
import type { Connection } from "../net/connection.ts";
import { formatBytes } from "../text.ts";
import { HeldBytes } from "./held_bytes.ts";
import type { Log } from "./log.ts";

/** Most bytes of a message that are held until it is whole. */
export const MAX_HELD_BYTES = 64 * 1024;

/** Writes a chunk completely. */
export type Write = (chunk: Uint8Array) => Promise<void>;

/** Options of a {@linkcode StdoutQueue}. */
export interface StdoutOptions {
  /**
   * Writes a chunk completely.
   *
   * @default {writeStdout}
   */
  write?: Write;
  /**
   * Makes what a message is written to.
   *
   * @param write Writes a chunk completely, in the turn of the message.
   * @default writes it as it is
   */
  output?: (write: Write, sender: Sender) => Output;
}

/** The client that sends a message. */
export interface Sender {
  readonly connection: Pick<Connection, "enforceMinRate" | "patient">;
  readonly log: Pick<Log, "info" | "ms" | "record">;
}

/** Writes messages one at a time. */
export class StdoutQueue {
  readonly #turns: Turns;
  readonly #output: NonNullable<StdoutOptions["output"]>;

  constructor({ write = writeStdout, output = asItIs }: StdoutOptions = {}) {
    this.#turns = new Turns(write);
    this.#output = output;
  }

  /** Begins a message. Dispose of it to leave the queue, and to pass the turn on. */
  begin(sender: Sender): StdoutMessage {
    return new StdoutMessage(this.#turns, sender, this.#output);
  }
}

/** One message on its way to stdout. */
export class StdoutMessage implements Disposable {
  readonly #turns: Turns;
  readonly #sender: Sender;
  readonly #output: Output;
  readonly #held = new HeldBytes(MAX_HELD_BYTES);
  readonly #wasPatient: boolean;
  #size = 0;
  #rate: Disposable | undefined;

  constructor(turns: Turns, sender: Sender, output: NonNullable<StdoutOptions["output"]>) {
    this.#turns = turns;
    this.#sender = sender;
    this.#wasPatient = sender.connection.patient;
    this.#output = output((chunk) => turns.write(this, chunk), sender);
  }

  /** Adds bytes, which are held or written. The chunk may be reused once this settles. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#size += chunk.length;
    if (!this.#hasTurn && this.#held.add(chunk)) return;
    await this.#takeTurn(false);
    await this.#output.write(chunk);
    this.watch();
  }

  /** Ends the message: settles once all of it is written. */
  async end(): Promise<void> {
    await this.#takeTurn(true);
    await this.#output.end();
    const { log } = this.#sender;
    const bytes = this.#size;
    log.info("message", `sent a message of ${formatBytes(bytes)}`, { bytes, ms: log.ms });
  }

  [Symbol.dispose](): void {
    this.#rate?.[Symbol.dispose]();
    this.#turns.pass(this);
  }

  get #hasTurn(): boolean {
    return this.#turns.holder === this;
  }

  /** Takes the turn, if this has it not yet, and writes what is held. */
  async #takeTurn(isWhole: boolean): Promise<void> {
    if (this.#hasTurn) return;
    if (this.#turns.holder) {
      this.#sender.log.info("queued", "waits until the messages before are written");
    }
    await this.#turns.take(this, isWhole);
    await this.#output.write(this.#held.take());
  }

  /**
   * Enforces the limits on silence and rate while another message waits for the turn of this one,
   * and only then: people type slowly.
   */
  watch(): void {
    const { connection } = this.#sender;
    const isAwaited = this.#hasTurn && this.#turns.areAwaited;
    connection.patient = this.#wasPatient && !isAwaited;
    if (isAwaited) {
      this.#rate ??= connection.enforceMinRate();
    } else {
      this.#rate?.[Symbol.dispose]();
      this.#rate = undefined;
    }
  }
}

/** Where the bytes of one message go. */
export interface Output {
  /** Writes the next bytes. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends the message. */
  end(): Promise<void>;
}

/** Writes bytes as they are. */
export function asItIs(write: Write): Output {
  return { write, end: () => Promise.resolve() };
}

/** Escapes what a terminal would obey. */
export function escaping(write: Write): Output {
  return new TerminalOutput(write);
}

/** A message that waits for its turn. */
interface Waiting {
  readonly message: StdoutMessage;
  readonly isWhole: boolean;
  readonly begin: () => void;
}

/** Whose turn it is. */
class Turns {
  readonly #write: Write;
  readonly #whole: Waiting[] = [];
  readonly #long: Waiting[] = [];
  #holder: StdoutMessage | undefined;
  /** Whether the holder was whole when it got its turn. */
  #wasWhole = false;
  /** Settles when the last write is done: its message may be gone before that. It never fails. */
  #writing: Promise<void> = Promise.resolve();

  constructor(write: Write) {
    this.#write = write;
  }

  get holder(): StdoutMessage | undefined {
    return this.#holder;
  }

  get areAwaited(): boolean {
    return this.#whole.length + this.#long.length > 0;
  }

  /** Waits for the turn. It never settles for a message that passes it on before. */
  async take(message: StdoutMessage, isWhole: boolean): Promise<void> {
    if (!this.#holder) {
      this.#holder = message;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    (isWhole ? this.#whole : this.#long).push({ message, isWhole, begin: resolve });
    this.#holder.watch();
    await promise;
  }

  /** Writes a chunk once the writes before it are done, unless the turn was passed on by then. */
  write(message: StdoutMessage, chunk: Uint8Array): Promise<void> {
    const written = this.#writing.then(() => {
      if (this.#holder === message) return this.#write(chunk);
      throw new InletError("aborted", "Cannot write the message: it was given up");
    });
    this.#writing = written.catch(() => {});
    return written;
  }

  /** Passes the turn on, or leaves the queue. */
  pass(message: StdoutMessage): void {
    for (const waiting of [this.#whole, this.#long]) {
      const place = waiting.findIndex((one) => one.message === message);
      if (place >= 0) waiting.splice(place, 1);
    }
    if (this.#holder !== message) return;
    const [first, second] = this.#wasWhole ? [this.#long, this.#whole] : [this.#whole, this.#long];
    const next = first.shift() ?? second.shift();
    this.#wasWhole = next?.isWhole ?? false;
    this.#holder = next?.message;
    next?.message.watch();
    next?.begin();
  }
}
