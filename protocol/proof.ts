/**
 * What a client proves itself with: to answer a `challenge`, or by a password over HTTP.
 *
 * @module
 */

/**
 * The bytes of which a client makes an HMAC-SHA-256 with the shared key, or which it signs with its
 * own. The server's public key is a part, so that the answer is worth nothing at another server.
 *
 * @param pin The SHA-256 of that key.
 * @param user The user's name; empty where all clients share a key.
 */
export function proofText(pin: Uint8Array, nonce: string, user = ""): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`inlet 2 client ${pin.toHex()} ${nonce} ${user}`);
}

/**
 * The bytes that a user signs once, to have a password for programs that speak HTTP. It is worth
 * nothing at another server, and as an answer to a challenge.
 *
 * @param pin The SHA-256 of the server's public key.
 */
export function passwordText(pin: Uint8Array, user: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`inlet 2 http ${pin.toHex()} ${user}`);
}
