/**
 * A source that is read once, from its beginning to its end: standard input, a pipe or a device.
 *
 * It can be opened again as long as nothing has been read. A body that is closed while it waits for
 * the first bytes leaves a read behind, which cannot be taken back; its bytes go to the next body.
 *
 * @module
 */

import { type OnBytes, readerBody } from "./streams.ts";

/** Standard input, a pipe or a device. */
export interface StreamSource {
  readonly label: string;
  readonly name: string;
  readonly size: null;
  readonly modified?: undefined;
  readonly folder?: undefined;
  /**
   * Opens the stream, and waits until somebody writes into it. A body must be disposed of before
   * the next one is opened.
   */
  open(onBytes: OnBytes): StreamBody | Promise<StreamBody>;
  /** Waits until the stream can be opened at once. */
  ready?(): Promise<void>;
}

/** An open stream. */
type StreamBody = { stream: ReadableStream<Uint8Array> } & Disposable;

/** What a stream is read from. */
export interface StreamReader {
  /** Reads at least one byte into a buffer; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  close(): void;
}

/** Bytes that a closed body waited for; `null` is the end. */
type Late = Promise<Uint8Array | null>;

/**
 * Returns a stream as a source.
 *
 * @param openReader Called when the source is first opened.
 */
export function streamSource(
  label: string,
  name: string,
  openReader: () => StreamReader | Promise<StreamReader>,
): StreamSource {
  let reader: StreamReader | undefined;
  const open = async (): Promise<StreamReader> => reader ??= await openReader();
  let late: Late | undefined;
  return {
    label,
    name,
    size: null,
    async ready(): Promise<void> {
      await open();
    },
    async open(onBytes) {
      const body = new Body(await open(), onBytes, late);
      return {
        stream: body.stream,
        [Symbol.dispose](): void {
          late = body.close();
          if (!body.isTouched) return;
          // What was read cannot be read again, so nobody opens it once more.
          reader?.close();
          reader = late = undefined;
        },
      };
    },
  };
}

class Body {
  readonly stream: ReadableStream<Uint8Array>;
  /** Whether bytes, or the end, have been passed on. */
  isTouched = false;
  readonly #reader: StreamReader;
  readonly #onBytes: OnBytes;
  #reading: Late | undefined;
  #isClosed = false;

  constructor(reader: StreamReader, onBytes: OnBytes, late: Late | undefined) {
    this.#reader = reader;
    this.#onBytes = onBytes;
    this.#reading = late;
    const read = (buffer: Uint8Array): Promise<number | null> => this.#read(buffer);
    this.stream = late ? this.#continued(late, read) : readerBody({ read });
  }

  /** Ends the body. Returns what it waits for, if it does. */
  close(): Late | undefined {
    this.#isClosed = true;
    // The buffer is used for something else once its body knows that the read is done.
    const late = this.#reading?.then((chunk) => chunk && chunk.slice());
    late?.catch(() => {});
    return late;
  }

  async #read(buffer: Uint8Array): Promise<number | null> {
    this.#reading = this.#reader.read(buffer).then((bytes) =>
      bytes === null ? null : buffer.subarray(0, bytes)
    );
    const chunk = await this.#reading.catch((error) => {
      this.#pass(null);
      throw error;
    });
    this.#pass(chunk);
    return chunk && chunk.length;
  }

  #pass(chunk: Uint8Array | null): void {
    if (this.#isClosed) return;
    this.#reading = undefined;
    this.isTouched = true;
    if (chunk) this.#onBytes(chunk.length);
  }

  /** A stream that begins with what an earlier body waited for. */
  #continued(
    late: Late,
    read: (buffer: Uint8Array) => Promise<number | null>,
  ): ReadableStream<Uint8Array> {
    const rest = readerBody({ read }).getReader();
    let isFirst = true;
    return new ReadableStream<Uint8Array>({
      pull: async (controller): Promise<void> => {
        const chunk = isFirst ? await late : (await rest.read()).value ?? null;
        if (this.#isClosed) return;
        if (isFirst) this.#pass(chunk);
        isFirst = false;
        if (chunk) controller.enqueue(chunk);
        else controller.close();
      },
      cancel: () => rest.cancel(),
    }, { highWaterMark: 0 });
  }
}
