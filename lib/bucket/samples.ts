/**
 * Samples of what has arrived of an upload, which cannot be read back: by them a client proves that it
 * has the file.
 *
 * Each of them lies anywhere with the same probability: whoever has only some of the file knows few.
 *
 * @module
 */

import { MAX_SAMPLES, type Sample, SAMPLE_BYTES } from "./state.ts";

/**
 * Takes samples of what arrives. It is not kept.
 *
 * @param offset Where it lies in the file.
 * @param added From one byte.
 */
export function takeSamples(offset: number, added: Uint8Array): readonly Sample[] {
  return Array.from({ length: MAX_SAMPLES }, () => sampleOf(offset, added));
}

/**
 * Returns the samples once more has arrived.
 *
 * @param samples Of what was there before.
 * @param before How many bytes that was.
 * @param taken Samples of what has arrived behind that.
 * @param bytes How many bytes that was, from 1.
 */
export function addSamples(
  samples: readonly Sample[],
  before: number,
  taken: readonly Sample[],
  bytes: number,
): readonly Sample[] {
  const share = bytes / (before + bytes);
  return taken.map((sample, index) => {
    const old = samples[index];
    return old && randomBelow(2 ** 32) >= share * 2 ** 32 ? old : sample;
  });
}

/** Returns the samples that lie within the first bytes. */
export function cutSamples(samples: readonly Sample[], bytes: number): readonly Sample[] {
  return samples.filter((sample) => sample.offset + sample.bytes.length <= bytes);
}

function sampleOf(before: number, added: Uint8Array): Sample {
  const length = Math.min(added.length, SAMPLE_BYTES);
  const offset = randomBelow(added.length - length + 1);
  return { offset: before + offset, bytes: added.slice(offset, offset + length) };
}

/** A whole number that no client can foresee. @param limit At most 2^32. */
function randomBelow(limit: number): number {
  const [bits = 0n] = crypto.getRandomValues(new BigUint64Array(1));
  return Number(bits % BigInt(limit));
}
