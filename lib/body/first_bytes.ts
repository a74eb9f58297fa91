/**
 * The beginning of a stream of which nobody knows how much comes.
 *
 * @module
 */

/** What was kept of a stream. */
export interface Printed {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many bytes came behind that. */
  readonly leftOut: number;
}

/**
 * Reads a stream to its end, so that its writer need not wait, and keeps the beginning.
 *
 * @param limit Most bytes that are kept.
 * @param signal Ends it before the stream has ended.
 */
export async function firstBytes(
  stream: ReadableStream<Uint8Array>,
  limit: number,
  signal: AbortSignal,
): Promise<Printed> {
  const kept = new Uint8Array(limit);
  let length = 0;
  let leftOut = 0;
  const reader = stream.getReader();
  signal.addEventListener("abort", () => reader.cancel().catch(() => {}));
  for (let next; !(next = await reader.read()).done;) {
    const piece = next.value.subarray(0, limit - length);
    kept.set(piece, length);
    length += piece.length;
    leftOut += next.value.length - piece.length;
  }
  return { bytes: kept.subarray(0, length), leftOut };
}
