/**
 * What arrives for a reader of the program, who may be slow, leave early, or never come.
 *
 * @module
 */

import { InletError } from "../../lib/errors.ts";
import { formatSeconds } from "../../lib/text.ts";
import { interrupted, type Session } from "./session.ts";

/** A stream between a session, which fills it, and a program, which reads it. */
export class Flow<T> {
  readonly stream: ReadableStream<T>;
  readonly #session: Session;
  readonly #stop = new AbortController();
  #controller!: ReadableStreamDefaultController<T>;
  #room = Promise.withResolvers<void>();
  #isOver = false;

  /** @param ahead How much is received before the program reads. */
  constructor(session: Session, ahead: QueuingStrategy<T>) {
    this.#session = session;
    this.stream = new ReadableStream<T>({
      start: (controller): void => void (this.#controller = controller),
      pull: (): void => this.#room.resolve(),
      cancel: (reason): void => this.stop(reason),
    }, ahead);
  }

  /** Aborted when the program wants no more. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  /** Takes no more, and fails for a program that still reads, with this reason. */
  stop(reason: unknown): void {
    this.fail(reason);
    this.#stop.abort(interrupted(reason));
  }

  /**
   * Adds a chunk, and waits until more is wanted. What comes after a stop is discarded.
   *
   * @throws {InletError} `timeout` if nothing is read while other requests wait
   */
  async write(chunk: T): Promise<void> {
    if (this.#isOver) return;
    this.#room = Promise.withResolvers();
    this.#controller.enqueue(chunk);
    if (this.#controller.desiredSize! > 0) return;
    const { promise, reject } = this.#room;
    const { timeoutMs } = this.#session;
    let isLate = false;
    const timer = setInterval(() => {
      if (isLate && this.#session.isWanted) reject(unread(timeoutMs));
      isLate = this.#session.isWanted;
    }, timeoutMs / 2);
    await promise.finally(() => clearInterval(timer));
  }

  /** Ends the stream, once all is known to be right. */
  end(): void {
    if (!this.#isOver) this.#controller.close();
    this.#isOver = true;
  }

  /** Has the stream fail, and nothing wait for its reader any more. */
  fail(error: unknown): void {
    if (!this.#isOver) this.#controller.error(error);
    this.#isOver = true;
    this.#room.resolve();
  }
}

/** Stops a flow when a signal of the program is aborted, until it is disposed of. */
export function stopOnAbort(
  flow: Pick<Flow<never>, "stop">,
  signal: AbortSignal | undefined,
): Disposable {
  const onAbort = (): void => flow.stop(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  return { [Symbol.dispose]: () => signal?.removeEventListener("abort", onAbort) };
}

function unread(timeoutMs: number): InletError {
  const why = `nothing was read of it for ${formatSeconds(timeoutMs)} s, and other requests wait`;
  return new InletError("timeout", `Cannot go on with the answer: ${why}`);
}

/** What a request has failed with: first of all the reason of the program's own signal. */
export function failureOf(error: unknown, signal: AbortSignal | undefined): unknown {
  return signal?.aborted ? signal.reason : error;
}
