/**
 * The header fields of tus 1.0, taken apart. docs/tus.md tells what is done with them.
 *
 * @module
 */

import { InletError } from "../lib/errors.ts";
import { quoted } from "../lib/text.ts";
import { type Base64Options, bytesOf } from "./base64.ts";
import type { Exchange } from "./exchange.ts";
import { Refusal } from "./problem.ts";

/** The version of tus that is spoken. */
export const TUS_VERSION = "1.0.0";

/** The media type of the bytes of an upload. */
export const UPLOAD_TYPE = "application/offset+octet-stream";

/** Most digits of an offset or a length. 2^53 has 16. */
const MAX_DIGITS = 15;

/** Bytes of a checksum, by the name of its algorithm. */
export const CHECKSUMS: Readonly<Record<string, number>> = { sha1: 20, sha256: 32, crc32: 4 };

/** The checksum of one request's body. */
export interface Checksum {
  /** One of {@linkcode CHECKSUMS}. */
  readonly algorithm: string;
  readonly value: Uint8Array;
}

/** The upload that a request asks for, or takes part in. */
export type Concat = "partial" | { readonly ids: readonly string[] };

/**
 * Refuses a client of another version.
 *
 * @throws {Refusal} 412
 */
export function checkVersion(exchange: Exchange): void {
  if (exchange.header("Tus-Resumable") === TUS_VERSION) return;
  throw new Refusal(412, `Cannot go on: this server speaks tus ${TUS_VERSION}`, {
    code: "version",
    headers: { "Tus-Version": TUS_VERSION },
  });
}

/**
 * Refuses bytes that are not said to be those of an upload.
 *
 * @throws {Refusal} 415
 */
export function checkType(exchange: Exchange): void {
  if (exchange.mediaType === UPLOAD_TYPE) return;
  throw new Refusal(415, `Cannot take the body: its Content-Type has to be ${UPLOAD_TYPE}`);
}

/**
 * A number of bytes in a field; `undefined` if the field is missing.
 *
 * @throws {InletError} `bad-request` if it is no such number; `too-large` if no file is so large
 */
export function countIn(exchange: Exchange, field: string): number | undefined {
  const text = exchange.header(field);
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw bad(field, "it is not a number of bytes");
  if (text.length > MAX_DIGITS) throw new InletError("too-large", `Cannot take ${field}: ${text}`);
  return Number(text);
}

/**
 * The length that a new upload is to have; `null` if its client tells it later.
 *
 * @throws {InletError} `bad-request` if both or neither is said
 */
export function lengthOf(exchange: Exchange): number | null {
  const length = countIn(exchange, "Upload-Length");
  const deferred = exchange.header("Upload-Defer-Length");
  if (deferred !== undefined && deferred !== "1") {
    throw bad("Upload-Defer-Length", "it has to be 1");
  }
  if ((length === undefined) === (deferred === undefined)) {
    throw bad("the upload", "give one of Upload-Length and Upload-Defer-Length");
  }
  return length ?? null;
}

/**
 * Takes `Upload-Metadata` apart.
 *
 * @returns The values by their keys.
 * @throws {InletError} `bad-request`
 */
export function metadataIn(text: string | undefined): ReadonlyMap<string, Uint8Array> {
  const values = new Map<string, Uint8Array>();
  for (const pair of text?.split(",") ?? []) {
    const [, key, value = ""] = /^ *([!-+\--~]+)(?: ([A-Za-z0-9+/]*={0,2}))? *$/.exec(pair) ?? [];
    if (key === undefined) throw bad("Upload-Metadata", "a pair is a key, a space and Base64");
    if (values.has(key)) throw bad("Upload-Metadata", `it has ${quoted(key)} twice`);
    values.set(key, bytesIn("Upload-Metadata", value));
  }
  return values;
}

/** The text of one value; `undefined` if there is none. @throws {InletError} `bad-name` */
export function textOf(
  metadata: ReadonlyMap<string, Uint8Array>,
  key: string,
): string | undefined {
  const value = metadata.get(key);
  try {
    return value && new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    throw new InletError("bad-name", `Cannot take the metadata ${quoted(key)}: it is not UTF-8`);
  }
}

/**
 * The time of a file's last change that its client gives: `modified`, as lists have it. Other clients may
 * use that word for something else, so anything else is ignored.
 */
export function modifiedIn(metadata: ReadonlyMap<string, Uint8Array>): Date | undefined {
  const text = new TextDecoder().decode(metadata.get("modified"));
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/.test(text)) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : new Date(time);
}

/** What a file is called whose client does not say it. */
const UNNAMED = "upload";

/**
 * The name that a client wants for its file: `filename`, or `name`, in the folders of `relativePath`.
 *
 * @throws {InletError} `bad-name` if a file name holds a slash
 */
export function wantedName(metadata: ReadonlyMap<string, Uint8Array>): string {
  const path = textOf(metadata, "relativePath") ?? "";
  // Uppy sends this for a file that was chosen without its folder.
  const isPath = path !== "" && path !== "null";
  const given = textOf(metadata, "filename") || textOf(metadata, "name");
  const slash = isPath ? path.lastIndexOf("/") + 1 : 0;
  const name = given || (isPath ? path.slice(slash) : UNNAMED);
  if (name.includes("/")) {
    throw new InletError("bad-name", `Cannot take the name ${quoted(name)}: it holds a slash`);
  }
  return path.slice(0, slash) + name;
}

/**
 * What a new upload has to do with others; `undefined` if nothing.
 *
 * @throws {InletError} `bad-request`
 */
export function concatIn(text: string | undefined): Concat | undefined {
  if (text === undefined) return undefined;
  if (text === "partial") return "partial";
  const list = /^final; ?([!-~]+(?: [!-~]+)*)$/.exec(text)?.[1];
  const ids = list?.split(" ").map((url) => /(?:^|\/)uploads\/([0-9a-f]{32})$/.exec(url)?.[1]);
  if (ids && ids.every((id) => id !== undefined)) {
    // Else a short request could make a file of a hundred times what was sent.
    if (new Set(ids).size < ids.length) throw bad("Upload-Concat", "it has an upload twice");
    return { ids };
  }
  throw bad(
    "Upload-Concat",
    "it has to be partial, or final; and addresses of uploads of this server",
  );
}

/**
 * Takes `Upload-Checksum` apart; `undefined` if there is none.
 *
 * @throws {InletError} `bad-request` if it is malformed, or of an algorithm that is not known
 */
export function checksumIn(text: string | undefined): Checksum | undefined {
  if (text === undefined) return undefined;
  const [algorithm = "", base64 = ""] = text.split(" ");
  const length = Object.hasOwn(CHECKSUMS, algorithm) ? CHECKSUMS[algorithm] : undefined;
  const known = Object.keys(CHECKSUMS).join(", ");
  if (length === undefined) throw bad("Upload-Checksum", `its algorithm is none of ${known}`);
  const value = bytesIn("Upload-Checksum", base64, { isLoose: true });
  if (value.length !== length) throw bad("Upload-Checksum", `${algorithm} has ${length} bytes`);
  return { algorithm, value };
}

function bytesIn(field: string, base64: string, how?: Base64Options): Uint8Array {
  const bytes = bytesOf(base64, how);
  if (!bytes) throw bad(field, "it is not Base64");
  return bytes;
}

function bad(field: string, why: string): InletError {
  return new InletError("bad-request", `Cannot take ${field}: ${why}`);
}
