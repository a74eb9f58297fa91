/**
 * Calls functions of a program that have no say in what is under way: what they throw waits until that
 * is over.
 *
 * @module
 */

/** The calls of the functions of one program, in one piece of work. */
export class Calls {
  /** The first error. */
  #thrown: { readonly error: unknown } | undefined;
  /** What functions that are asynchronous have still to do. */
  readonly #unfinished = new Set<Promise<void>>();

  /** Makes a call. It is not waited for. */
  make(call: () => unknown): void {
    const note = (error: unknown): void => this.note(error);
    try {
      const result = call();
      if (!(result instanceof Promise)) return;
      // A rejection that nobody handles would end the program.
      const settled = result.then(() => {}, note).finally(() => this.#unfinished.delete(settled));
      this.#unfinished.add(settled);
    } catch (error) {
      note(error);
    }
  }

  /** Takes an error that a function has thrown. */
  note(error: unknown): void {
    this.#thrown ??= { error };
  }

  /** Waits until all calls are over, and throws the first error of them. */
  async check(): Promise<void> {
    await Promise.all(this.#unfinished);
    if (this.#thrown) throw this.#thrown.error;
  }
}
