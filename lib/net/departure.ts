/**
 * Notices that a peer has left while this side works for it and needs none of its bytes.
 *
 * The end of the peer's bytes does not show that it left: `nc -N` closes its direction behind its
 * last request and reads on. But a peer that has closed both directions answers the next bytes with
 * a reset, and after a reset even an empty write fails. So the watcher reads ahead while the buffer
 * has room, looks for a reset all the time, and once it can read no further, it sends probes.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";

/** Milliseconds between two looks. The first one comes so late that quick work costs nothing. */
const LOOK_MS = 100;

/** Looks between two probes. */
const PROBE_LOOKS = 10;

/** The same once the watcher can read no further. */
const BLIND_PROBE_LOOKS = 2;

/** Looks after the end of the peer's bytes until a peer that cannot be probed counts as gone. */
const END_LOOKS = 5;

/** How a connection finds out whether a peer that sends no more still reads. */
export interface Presence {
  /** Makes a line that the peer ignores. It is sent once a second, and more often to such a peer. */
  probe?(): Uint8Array;
  /**
   * Whether a peer that sends no more, and cannot be probed, counts as gone after half a second.
   *
   * @default {false}
   */
  endIsLeaving?: boolean;
  /**
   * Whether the work uses a chunk of a body, which reading ahead would overwrite. Then only a reset
   * shows that the peer has left.
   *
   * @default {false}
   */
  usesChunk?: boolean;
}

/** What {@linkcode DepartureOptions.readAhead} found. */
export type ReadAhead = "bytes" | "full" | "end";

/** Options of a {@linkcode Departure}. */
export interface DepartureOptions {
  /** Waits for bytes and buffers them. `full` if the buffer has no room, `end` at their end. */
  readAhead(): Promise<ReadAhead>;
  /** Fails once the peer has sent a reset. */
  touch(): Promise<void>;
  /** Writes something that the peer ignores; missing where the wire has no such thing. */
  probe: (() => Promise<void>) | undefined;
  /** Whether the end of the peer's bytes counts as leaving where there is no probe. */
  endIsLeaving: boolean;
  /** Called once, when the peer has left. */
  onGone(error: InletError): void;
}

/** Watches for the departure of a peer until it is disposed of. */
export class Departure implements Disposable {
  readonly #options: DepartureOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #looks = 0;
  #looking = false;
  #reading = false;
  #state: ReadAhead = "bytes";
  #looksSinceEnd = 0;
  #over = false;

  constructor(options: DepartureOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  [Symbol.dispose](): void {
    this.#over = true;
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    this.#readOn();
    // A write that waits for the peer to read is under way; the watchdog limits it.
    if (this.#looking) return;
    this.#looking = true;
    try {
      await this.#options.touch();
      if (this.#over) return;
      const { probe, endIsLeaving } = this.#options;
      const every = this.#state === "bytes" ? PROBE_LOOKS : BLIND_PROBE_LOOKS;
      if (++this.#looks % every === 0) await probe?.();
      if (this.#state !== "end" || probe || !endIsLeaving) return;
      if (++this.#looksSinceEnd >= END_LOOKS) this.#leave();
    } catch (error) {
      this.#leave(error);
    } finally {
      this.#looking = false;
    }
  }

  async #readOn(): Promise<void> {
    if (this.#reading || this.#state !== "bytes" || this.#over) return;
    this.#reading = true;
    try {
      do this.#state = await this.#options.readAhead(); while (
        this.#state === "bytes" && !this.#over
      );
    } catch (error) {
      this.#leave(error);
    } finally {
      this.#reading = false;
    }
  }

  #leave(cause?: unknown): void {
    if (this.#over) return;
    this[Symbol.dispose]();
    const error = new InletError("lost", "The peer left before its answer was ready", { cause });
    // A peer that broke the rules, by a body that is too slow for example, is told so.
    this.#options.onGone(
      cause !== undefined && explain(cause).code !== "lost" ? explain(cause) : error,
    );
  }
}

/** Disposes of a result that nobody waits for any more, such as an upload with its lock. */
export async function discard(late: unknown): Promise<void> {
  if (typeof late !== "object" || late === null) return;
  if (Symbol.asyncDispose in late) await (late as AsyncDisposable)[Symbol.asyncDispose]();
}
