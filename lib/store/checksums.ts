/**
 * Checksums of stored files that take long: few are computed at once, one for each client, and each
 * of them for all who ask for it meanwhile. A thousand clients that ask for the checksum of one large
 * file cost as much as one client.
 *
 * @module
 */

import type { ReadOptions } from "../body/reading.ts";
import { type OnBytes, type Tally, tallyOf } from "../body/streams.ts";
import { ClientTurns } from "../semaphore.ts";
import { SharedWork } from "./shared_work.ts";
import type { Asker } from "./store.ts";

/** Reading this many bytes takes a few milliseconds, and needs no turn. */
const LIGHT_BYTES = 8 * 1024 * 1024;

/** Readings that are under way at once. More would not be faster, and would leave others less. */
const readings = new ClientTurns(2);

const sums = new SharedWork<Tally>();
const waiting = new Map<string, Waiting>();
const underWay = new Map<string, UnderWay>();

/** A file that is open for reading. */
export interface OpenFile extends Disposable {
  /** Reads from the current position. `null` at the end. */
  readNext(into: Uint8Array): number | null | Promise<number | null>;
  /** Called with what was read. */
  summed?(tally: Tally): void;
}

/**
 * Reads much, when it is this reading's turn: a client has one at a time.
 *
 * @param bytes How much it reads, at most. A small reading takes no turn.
 * @param asker Its signal leaves the queue. The reading has to heed it itself.
 */
export async function readInTurn<T>(
  bytes: number,
  read: () => Promise<T>,
  asker: Asker = {},
): Promise<T> {
  if (bytes <= LIGHT_BYTES) return await read();
  using _ = await readings.next(asker);
  return await read();
}

/**
 * Returns the size and the CRC-32 of the first bytes of a file, or of the whole file if it is
 * shorter.
 *
 * @param version A key of the file's content: the same key means the same bytes.
 * @param open Opens that version at its beginning. It is not called if somebody else's reading of
 * the same bytes is under way.
 * @param asker The reading ends when the last caller has given up.
 */
export async function checksumOf(
  version: string,
  bytes: number,
  open: () => OpenFile,
  asker: Asker = {},
): Promise<Tally> {
  const read = async ({ signal, onBytes }: ReadOptions): Promise<Tally> => {
    using file = open();
    const next = async (buffer: Uint8Array): Promise<number | null> => {
      const count = await file.readNext(buffer);
      onBytes?.(count ?? 0);
      return count;
    };
    const tally = await tallyOf(next, bytes, signal);
    file.summed?.(tally);
    return tally;
  };
  if (bytes <= LIGHT_BYTES) return await read(asker);
  const key = `${bytes} ${version}`;
  const sum = sums.get(key, async (abandoned) => {
    const wait = new Waiting(abandoned);
    const all = new UnderWay();
    waiting.set(key, wait);
    underWay.set(key, all);
    try {
      using _ = await wait.turn;
      return await read({ signal: abandoned, onBytes: (count) => all.add(count) });
    } finally {
      if (waiting.get(key) === wait) waiting.delete(key);
      if (underWay.get(key) === all) underWay.delete(key);
    }
  }, asker.signal);
  waiting.get(key)?.join(asker);
  using _ = underWay.get(key)?.tell(asker.onBytes);
  return await sum;
}

/** How much has been read of what several callers want. */
class UnderWay {
  readonly #told = new Set<OnBytes>();
  #done = 0;

  add(count: number): void {
    this.#done += count;
    this.#told.forEach((tell) => tell(count));
  }

  /** Tells a caller what has been read, and what is read from now on, until that is disposed of. */
  tell(onBytes: OnBytes | undefined): Disposable | undefined {
    if (!onBytes) return undefined;
    if (this.#done > 0) onBytes(this.#done);
    this.#told.add(onBytes);
    return { [Symbol.dispose]: () => this.#told.delete(onBytes) };
  }
}

/**
 * A reading that waits for a turn. The first turn that one of its callers gets is its own: nobody
 * waits behind what else another one has asked for.
 */
class Waiting {
  readonly #turn = Promise.withResolvers<Disposable>();
  /** Ends the waits of all callers. */
  readonly #over = new AbortController();

  /** @param abandoned Aborts when the last caller has left. */
  constructor(abandoned: AbortSignal) {
    abandoned.addEventListener("abort", () => {
      this.#over.abort();
      this.#turn.reject(abandoned.reason);
    }, { once: true });
  }

  get turn(): Promise<Disposable> {
    return this.#turn.promise;
  }

  /** Adds a caller. */
  join({ client, signal }: Asker): void {
    const over = this.#over.signal;
    if (over.aborted) return;
    const asker = { client, signal: signal ? AbortSignal.any([signal, over]) : over };
    readings.next(asker).then((turn) => {
      if (over.aborted) return turn[Symbol.dispose]();
      this.#over.abort();
      this.#turn.resolve(turn);
    }, () => {
      // This caller has left, or another one got a turn.
    });
  }
}
