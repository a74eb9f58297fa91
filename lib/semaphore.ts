/**
 * A limit on how much heavy work is done at once.
 *
 * @module
 */

/** Hands out a number of places. Those who wait get one in the order of their calls. */
export class Semaphore {
  #free: number;
  readonly #waiting = new Set<() => void>();

  /** @param places At least 1. */
  constructor(places: number) {
    this.#free = places;
  }

  /**
   * Waits for a place. Dispose of it to give it back.
   *
   * @param signal Leaves the queue, with its reason.
   */
  async acquire(signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    return { [Symbol.dispose]: () => this.#giveBack() };
  }

  /** Waits until another caller passes its place on. */
  async #turn(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => {
      if (this.#waiting.delete(resolve)) reject(signal!.reason);
    };
    this.#waiting.add(resolve);
    signal?.addEventListener("abort", leave);
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  #giveBack(): void {
    const [next] = this.#waiting;
    if (!next) return void this.#free++;
    this.#waiting.delete(next);
    next();
  }
}

/** Who wants a turn. */
export interface Waiter {
  /** Tells clients apart. Without it, nobody else is taken for the same one. */
  readonly client?: string | undefined;
  /** Leaves the queue, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Hands out turns to clients, of which each has one at a time: a client that asks for much waits behind
 * itself, and not in front of others.
 */
export class ClientTurns {
  readonly #places: Semaphore;
  /** The turns of the clients that want one. */
  readonly #ofClients = new Map<string, { readonly turn: Semaphore; wanted: number }>();

  /** @param places How many have a turn at once, at least 1. */
  constructor(places: number) {
    this.#places = new Semaphore(places);
  }

  /** Waits for the turn of a client, and then for a place. Dispose of it to end both. */
  async next({ client, signal }: Waiter): Promise<Disposable> {
    if (client === undefined) return await this.#places.acquire(signal);
    using stack = new DisposableStack();
    const own = this.#ofClients.get(client) ?? { turn: new Semaphore(1), wanted: 0 };
    this.#ofClients.set(client, own);
    own.wanted++;
    stack.defer(() => {
      if (--own.wanted === 0) this.#ofClients.delete(client);
    });
    stack.use(await own.turn.acquire(signal));
    stack.use(await this.#places.acquire(signal));
    return stack.move();
  }
}
