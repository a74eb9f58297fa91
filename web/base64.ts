/**
 * Base64 in header fields: RFC 4648, section 4.
 *
 * @module
 */

/** How text in Base64 is decoded. */
export interface Base64Options {
  /**
   * Whether padding may be missing, and what is left of the last digit be anything: RFC 9651, section
   * 4.2.7, asks for that. Of what has a known size nothing is in doubt then.
   *
   * @default {false}
   */
  isLoose?: boolean;
}

/** The bytes of text in Base64; `undefined` if it is none. */
export function bytesOf(
  base64: string,
  { isLoose = false }: Base64Options = {},
): Uint8Array | undefined {
  try {
    return Uint8Array.fromBase64(base64, { lastChunkHandling: isLoose ? "loose" : "strict" });
  } catch {
    return undefined;
  }
}
