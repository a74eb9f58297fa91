/**
 * The interface of one bucket of an object store that speaks the protocol of Amazon S3.
 *
 * A key is given whole. ETags are without quotes. What can be repeated without harm is repeated within,
 * with jitter and an end (requests.ts); a conditional PUT is not, because only its caller can tell a lost
 * answer from a lost race.
 *
 * Failures are thrown as InletError: `overloaded` if the store is too slow or too busy, or cannot be
 * reached, `denied` if it does not let these credentials in, or has no such bucket, `bad-name` for a key
 * that it does not take, `no-space` and `too-large` if it has no room, `internal` for an answer that makes
 * no sense.
 *
 * @module
 */

/** What is known of an object without its content. */
export interface ObjectHead {
  /** In bytes. */
  readonly size: number;
  /** Changes with the content. */
  readonly etag: string;
  /** When it was written, by the store's clock, in whole seconds. */
  readonly modified: Date;
  /** When the store answered, by the same clock. */
  readonly answered: Date;
  /** Its metadata: the headers `x-amz-meta-NAME`, without that beginning. Values are ASCII. */
  readonly meta: Readonly<Record<string, string>>;
}

/** An object and its content. */
export interface ObjectBody extends ObjectHead {
  /** The content, or the range of it that was asked for. Cancel it if it is not read to its end. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** An entry of a list. */
export interface ListedObject {
  /** The whole key. */
  readonly key: string;
  /** In bytes. */
  readonly size: number;
  /** As of {@linkcode ObjectHead}. */
  readonly etag: string;
  /** As of {@linkcode ObjectHead}. */
  readonly modified: Date;
}

/** At most 1,000 entries, in the order of the keys' UTF-8 bytes. */
export interface ListedPage {
  /** Objects. */
  readonly objects: readonly ListedObject[];
  /** With a delimiter: the beginnings of keys up to it, each once. */
  readonly prefixes: readonly string[];
}

/** What is listed. */
export interface ListQuery {
  /** The beginning of the keys. */
  readonly prefix: string;
  /** Lists keys behind this one. */
  readonly after?: string | undefined;
  /** `/` for one level. */
  readonly delimiter?: string | undefined;
  /** Most entries of the first page; at most 1,000. */
  readonly limit?: number | undefined;
  /** Ends the list, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** When a PUT may take effect: if nothing is there, or if this is. */
export type Condition = { readonly absent: true } | { readonly etag: string };

/** How an object is written. */
export interface PutOptions {
  /** As of {@linkcode ObjectHead}. */
  readonly meta?: Readonly<Record<string, string>> | undefined;
  /** Without it, what is there is replaced. */
  readonly condition?: Condition | undefined;
  /** Gives up, with its reason. Whether the object was written is unknown then. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * What became of a PUT: `refused` if its condition does not hold, `unclear` if it may have been written or
 * not (a 409, a 500, no answer): look at the object. Only a PUT with a condition ends so.
 */
export type Put = { readonly etag: string } | "refused" | "unclear";

/** A part of an upload. */
export interface Part {
  /** 1 to 10,000. */
  readonly number: number;
  /** In bytes. */
  readonly size: number;
  /** As of {@linkcode ObjectHead}. */
  readonly etag: string;
}

/** An upload in parts that has been neither completed nor aborted. */
export interface OpenUpload {
  /** The whole key that it becomes. */
  readonly key: string;
  /** Given by the store. */
  readonly uploadId: string;
  /** By the store's clock. */
  readonly begun: Date;
}

/** One bucket. */
export interface Bucket {
  /** Looks at an object; `undefined` if there is none. */
  head(key: string, signal?: AbortSignal): Promise<ObjectHead | undefined>;

  /**
   * Reads an object; `undefined` if there is none.
   *
   * @param range Where to begin and how many bytes to read; less if it ends before.
   * @param lent Whether a chunk is only there until the next one is asked for: its memory is used again,
   * which takes half the time.
   * @throws {InletError} `changed` if its ETag is another than the given one
   */
  get(
    key: string,
    options?: {
      readonly range?: { readonly offset: number; readonly bytes?: number | undefined } | undefined;
      readonly etag?: string | undefined;
      readonly lent?: boolean | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<ObjectBody | undefined>;

  /**
   * Writes an object, signed with its SHA-256.
   *
   * @param content The caller may not change it before this has settled.
   */
  put(key: string, content: Uint8Array<ArrayBuffer>, options?: PutOptions): Promise<Put>;

  /** Removes an object, whatever it is. Never used for the name of a file. */
  delete(key: string): Promise<void>;

  /** Lists objects, page by page. */
  list(query: ListQuery): AsyncIterable<ListedPage>;

  /** Begins an upload in parts. */
  createUpload(key: string, meta?: Readonly<Record<string, string>>): Promise<string>;

  /**
   * Writes a part, signed with its SHA-256. It is repeated within.
   *
   * @param content The caller may not change it before this has settled.
   * @returns Its ETag; `undefined` if there is no such upload
   */
  putPart(
    upload: { readonly key: string; readonly uploadId: string },
    number: number,
    content: Uint8Array<ArrayBuffer>,
    signal?: AbortSignal,
  ): Promise<string | undefined>;

  /** The parts that are there, by number; `undefined` if there is no such upload. */
  parts(
    upload: { readonly key: string; readonly uploadId: string },
  ): Promise<readonly Part[] | undefined>;

  /**
   * Asks the store to make an object of the parts. Sent once: only a look at the object tells what came of it.
   *
   * @param etag Of the object that is there now, which it replaces. Some stores ignore it.
   * @returns `done` proves nothing; `unclear` for a 500 or no answer; `refused` if the store says that it
   * cannot be: no such upload, a part that differs, another object there
   */
  complete(
    upload: { readonly key: string; readonly uploadId: string },
    parts: readonly Pick<Part, "number" | "etag">[],
    etag?: string,
  ): Promise<"done" | "refused" | "unclear">;

  /** Removes an upload and its parts. Never used once it may have been completed. */
  abort(upload: { readonly key: string; readonly uploadId: string }): Promise<void>;

  /** Lists uploads, page by page. */
  uploads(prefix: string): AsyncIterable<readonly OpenUpload[]>;
}
