/**
 * The header of the upload wire: a size of 8 bytes and a name, answered by `go ahead`.
 *
 * @module
 */

import { ProtocolError } from "./line.ts";

/** The line with which an upload server asks for the body. */
export const GO_AHEAD = "go ahead";

/** Bytes of the size at the start of an upload header. */
export const UPLOAD_SIZE_BYTES = 8;

/**
 * Encodes the header of an upload: the size as 8 bytes, big-endian, then the name in UTF-8.
 *
 * @throws {RangeError} if the size is not a whole number from 0 to 2^53 - 1
 */
export function encodeUploadHeader(size: number, name: string): Uint8Array<ArrayBuffer> {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new RangeError(`an upload has 0 to 2^53 - 1 bytes, not ${size}`);
  }
  const encoded = new TextEncoder().encode(name);
  const header = new Uint8Array(UPLOAD_SIZE_BYTES + encoded.length);
  new DataView(header.buffer).setBigUint64(0, BigInt(size));
  header.set(encoded, UPLOAD_SIZE_BYTES);
  return header;
}

/**
 * Decodes the size at the start of an upload header.
 *
 * @throws {ProtocolError} if the size exceeds 2^53 - 1
 */
export function decodeUploadSize(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, UPLOAD_SIZE_BYTES);
  const size = view.getBigUint64(0);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new ProtocolError(`a size is at most 2^53 - 1, not ${size}: is this an upload?`);
  }
  return Number(size);
}
