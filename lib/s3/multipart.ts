/**
 * Uploads in parts.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { NoAnswer, textUpTo } from "./answer.ts";
import type { OpenUpload, Part } from "./bucket.ts";
import { askForXml, nextPage, sensible } from "./listing.ts";
import { etagIn, headersOf, unquoted } from "./object_headers.ts";
import { mayPass, NO_STORE, Refusal } from "./refusal.ts";
import { explainFailure, type Requests } from "./requests.ts";
import { childrenOf, escapeXml, numberOf, parseXml, textOf } from "./xml.ts";

type Upload = { readonly key: string; readonly uploadId: string };

/** Most parts of an upload. */
const MOST_PARTS = 10_000;

/** The most of the answer to a Complete that is read, in bytes. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** Begins an upload, as {@linkcode Bucket.createUpload} says. */
export async function createUpload(
  requests: Requests,
  key: string,
  meta?: Readonly<Record<string, string>>,
): Promise<string> {
  try {
    const root = await requests.askForXml({
      method: "POST",
      key,
      query: { uploads: "" },
      headers: headersOf(meta),
    });
    const uploadId = textOf(root, "UploadId");
    if (uploadId !== "") return uploadId;
  } catch (error) {
    throw explainFailure(error);
  }
  throw new InletError("internal", "The object store began an upload without an id");
}

/** Writes a part, as {@linkcode Bucket.putPart} says. */
export async function putPart(
  requests: Requests,
  { key, uploadId }: Upload,
  { number, content, signal }: {
    number: number;
    content: Uint8Array<ArrayBuffer>;
    signal?: AbortSignal | undefined;
  },
): Promise<string | undefined> {
  const query = { partNumber: String(number), uploadId };
  try {
    const asked = { method: "PUT", key, query, body: content, signal };
    const answer = await requests.ask(asked);
    await answer.cancel();
    return etagIn(answer.headers);
  } catch (error) {
    if (isNoUpload(error)) return undefined;
    throw explainFailure(error);
  }
}

/** Lists the parts that are there, as {@linkcode Bucket.parts} says. */
export async function listParts(
  requests: Requests,
  { key, uploadId }: Upload,
): Promise<readonly Part[] | undefined> {
  const parts: Part[] = [];
  let after: string | undefined;
  do {
    const query = { uploadId, ...after !== undefined && { "part-number-marker": after } };
    let root;
    try {
      root = await askForXml(requests, "ListPartsResult", query, { key });
    } catch (error) {
      if (isNoUpload((error as Error).cause)) return undefined;
      throw error;
    }
    parts.push(
      ...childrenOf(root, "Part").map((part): Part =>
        sensible({
          number: numberOf(part, "PartNumber"),
          size: numberOf(part, "Size"),
          etag: unquoted(textOf(part, "ETag")),
        })
      ),
    );
    if (parts.length > MOST_PARTS) throw new InletError("internal", NO_STORE);
    after = nextPage(root, "NextPartNumberMarker", after);
  } while (after !== undefined);
  return parts.toSorted((one, other) => one.number - other.number);
}

/** Asks for an object of the parts, as {@linkcode Bucket.complete} says. */
export async function complete(
  requests: Requests,
  { key, uploadId }: Upload,
  parts: readonly Pick<Part, "number" | "etag">[],
  ifMatch: string | undefined,
): Promise<"done" | "refused" | "unclear"> {
  const elements = parts.map(({ number, etag }) =>
    `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(`"${etag}"`)}</ETag></Part>`
  );
  const xml = `<CompleteMultipartUpload>${elements.join("")}</CompleteMultipartUpload>`;
  const headers = ifMatch === undefined ? undefined : { "if-match": ifMatch };
  try {
    const body = new TextEncoder().encode(xml);
    const answer = await requests.askOnce({
      method: "POST",
      key,
      query: { uploadId },
      headers,
      body,
    });
    // The status was sent before the work was done: what follows it tells whether it was.
    const root = parseXml(await textUpTo(answer, MAX_ANSWER_BYTES));
    if (root?.name === "CompleteMultipartUploadResult") return "done";
    return root?.name === "Error" ? outcomeOf(new Refusal(400, textOf(root, "Code"))) : "unclear";
  } catch (error) {
    if (error instanceof NoAnswer) return "unclear";
    if (error instanceof Refusal && ![401, 403].includes(error.status)) return outcomeOf(error);
    throw explainFailure(error);
  }
}

/** Removes an upload, as {@linkcode Bucket.abort} says. */
export async function abort(requests: Requests, { key, uploadId }: Upload): Promise<void> {
  try {
    await (await requests.ask({ method: "DELETE", key, query: { uploadId } })).cancel();
  } catch (error) {
    if (!isNoUpload(error)) throw explainFailure(error);
  }
}

/** Lists uploads, as {@linkcode Bucket.uploads} says. */
export async function* listUploads(
  requests: Requests,
  prefix: string,
): AsyncGenerator<readonly OpenUpload[]> {
  let marker: Record<string, string> | undefined = {};
  while (marker) {
    // Not URL-encoded: Ceph would encode the keys without saying so, and not the one to go on from.
    const query = { uploads: "", prefix, ...marker };
    const root = await askForXml(requests, "ListMultipartUploadsResult", query);
    const listed = childrenOf(root, "Upload").map((upload): OpenUpload =>
      sensible({
        key: textOf(upload, "Key"),
        uploadId: textOf(upload, "UploadId"),
        begun: new Date(textOf(upload, "Initiated")),
      })
    );
    // Others are left alone, whoever lists them.
    yield listed.filter(({ key }) => key.startsWith(prefix));
    const id = nextPage(root, "NextUploadIdMarker", marker["upload-id-marker"]);
    marker = id === undefined
      ? undefined
      : { "key-marker": textOf(root, "NextKeyMarker"), "upload-id-marker": id };
  }
}

/** What a refused Complete has done: nothing, or nobody knows. */
function outcomeOf(refusal: Refusal): "refused" | "unclear" {
  const isUnclear = refusal.status === 409 || mayPass(refusal) || UNCLEAR.has(refusal.code);
  return isUnclear ? "unclear" : "refused";
}

/** Codes that stand behind a status of success. */
const UNCLEAR = new Set(["InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout"]);

/** Whether there is no such upload. Ceph has another word for one that was completed. */
function isNoUpload(error: unknown): boolean {
  return error instanceof Refusal && ["NoSuchUpload", "NoSuchKey"].includes(error.code);
}
