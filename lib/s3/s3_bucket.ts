/**
 * A bucket, by requests of the protocol of Amazon S3.
 *
 * @module
 */

import { NoAnswer } from "./answer.ts";
import type {
  Bucket,
  ListedPage,
  ListQuery,
  ObjectBody,
  ObjectHead,
  OpenUpload,
  Part,
  Put,
  PutOptions,
} from "./bucket.ts";
import { listObjects } from "./listing.ts";
import * as multipart from "./multipart.ts";
import { etagIn, headersOf } from "./object_headers.ts";
import { askAbout, getObject, headObject } from "./objects.ts";
import { mayPass, Refusal } from "./refusal.ts";
import { type Asked, explainFailure, type Requests } from "./requests.ts";

type Upload = { readonly key: string; readonly uploadId: string };

/** One bucket, as {@linkcode Bucket} says. */
export class S3Bucket implements Bucket {
  /** What sends its requests. */
  readonly requests: Requests;
  /** How the ETag stands in `If-Match` of a PUT. Ceph takes it without quotes alone. */
  ifMatch: "bare" | "quoted" = "bare";

  /** @param requests For that bucket. */
  constructor(requests: Requests) {
    this.requests = requests;
  }

  /** {@inheritDoc Bucket.head} */
  head(key: string, signal?: AbortSignal): Promise<ObjectHead | undefined> {
    return headObject(this.requests, key, signal);
  }

  /** {@inheritDoc Bucket.get} */
  get(key: string, options?: Parameters<Bucket["get"]>[1]): Promise<ObjectBody | undefined> {
    return getObject(this.requests, key, options);
  }

  /** {@inheritDoc Bucket.put} */
  async put(
    key: string,
    content: Uint8Array<ArrayBuffer>,
    { meta, condition, signal }: PutOptions = {},
  ): Promise<Put> {
    const headers = headersOf(meta);
    if (condition && "absent" in condition) headers["if-none-match"] = "*";
    else if (condition) headers["if-match"] = this.#quoted(condition.etag);
    const asked: Asked = { method: "PUT", key, headers, body: content, signal };
    try {
      const answer = await (condition ? this.requests.askOnce(asked) : this.requests.ask(asked));
      await answer.cancel();
      return { etag: etagIn(answer.headers) };
    } catch (error) {
      const outcome = condition && outcomeOf(error, "absent" in condition);
      if (outcome) return outcome;
      throw explainFailure(error);
    }
  }

  /** {@inheritDoc Bucket.delete} */
  async delete(key: string): Promise<void> {
    await (await askAbout(this.requests, { method: "DELETE", key }))?.cancel();
  }

  /** {@inheritDoc Bucket.list} */
  list(query: ListQuery): AsyncIterable<ListedPage> {
    return listObjects(this.requests, query);
  }

  /** {@inheritDoc Bucket.createUpload} */
  createUpload(key: string, meta?: Readonly<Record<string, string>>): Promise<string> {
    return multipart.createUpload(this.requests, key, meta);
  }

  /** {@inheritDoc Bucket.putPart} */
  putPart(
    upload: Upload,
    number: number,
    content: Uint8Array<ArrayBuffer>,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    return multipart.putPart(this.requests, upload, { number, content, signal });
  }

  /** {@inheritDoc Bucket.parts} */
  parts(upload: Upload): Promise<readonly Part[] | undefined> {
    return multipart.listParts(this.requests, upload);
  }

  /** {@inheritDoc Bucket.complete} */
  complete(
    upload: Upload,
    parts: readonly Pick<Part, "number" | "etag">[],
    etag?: string,
  ): Promise<"done" | "refused" | "unclear"> {
    const ifMatch = etag === undefined ? undefined : this.#quoted(etag);
    return multipart.complete(this.requests, upload, parts, ifMatch);
  }

  /** {@inheritDoc Bucket.abort} */
  abort(upload: Upload): Promise<void> {
    return multipart.abort(this.requests, upload);
  }

  /** {@inheritDoc Bucket.uploads} */
  uploads(prefix: string): AsyncIterable<readonly OpenUpload[]> {
    return multipart.listUploads(this.requests, prefix);
  }

  #quoted(etag: string): string {
    return this.ifMatch === "quoted" ? `"${etag}"` : etag;
  }
}

/** What a failure says of a conditional PUT; `undefined` if it is one of another kind. */
function outcomeOf(error: unknown, wasAbsent: boolean): "refused" | "unclear" | undefined {
  if (error instanceof NoAnswer) return "unclear";
  if (!(error instanceof Refusal)) return undefined;
  const { status, code } = error;
  if (status === 412 || !wasAbsent && code === "NoSuchKey") return "refused";
  return status === 409 || mayPass(error) ? "unclear" : undefined;
}
