/**
 * Combines the CRC-32s of two parts into that of the whole, without their bytes.
 *
 * A CRC-32 is the remainder of a polynomial over GF(2), divided by P. Bytes that follow a part move its
 * polynomial up by 8 places each, which multiplies it by x^8. So the CRC-32 of the whole is that of
 * the first part times x^(8n) modulo P, plus that of the second part, which has n bytes. The initial
 * value and the final complement of the two parts cancel out.
 *
 * As in the CRC-32 itself, the highest bit of a number is the coefficient of x^0.
 *
 * @module
 */

/** P without its x^32, of ISO 3309. */
const POLYNOMIAL = 0xedb88320;

/** The polynomial 1. */
const ONE = 0x80000000;

/** x^(8 * 2^i) modulo P, by i: for every bit of a safe integer. */
let powers: Uint32Array | undefined;

/**
 * Returns the CRC-32 of two parts, one behind the other.
 *
 * @param first CRC-32 of the first part.
 * @param second CRC-32 of the second part.
 * @param secondBytes Length of the second part, from 0 to 2^53 - 1 bytes.
 */
export function combineCrc(first: number, second: number, secondBytes: number): number {
  powers ??= powersOfByte();
  let moved = first;
  for (let left = secondBytes, bit = 0; left > 0; left = Math.floor(left / 2), bit++) {
    if (left % 2 === 1) moved = times(moved, powers[bit]!);
  }
  return (moved ^ second) >>> 0;
}

function powersOfByte(): Uint32Array {
  const all = new Uint32Array(53);
  // x^8
  all[0] = ONE >>> 8;
  for (let bit = 1; bit < all.length; bit++) all[bit] = times(all[bit - 1]!, all[bit - 1]!);
  return all;
}

/** Multiplies two polynomials modulo P. */
function times(one: number, other: number): number {
  let product = 0;
  // The other one, times x^0, x^1 and so on.
  let moved = other;
  for (let coefficient = ONE; coefficient !== 0; coefficient >>>= 1) {
    if ((one & coefficient) !== 0) product ^= moved;
    moved = (moved & 1) === 0 ? moved >>> 1 : (moved >>> 1) ^ POLYNOMIAL;
  }
  return product >>> 0;
}
