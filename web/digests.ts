/**
 * Digests of files: RFC 9530. A client that sends one has its file verified, and one that asks for one
 * is told it. Only the two algorithms that the RFC recommends are known; CRC-32 has no name there.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import { takeTurns } from "../lib/turns.ts";
import { InletError } from "../lib/errors.ts";
import { readInTurn } from "../lib/store/checksums.ts";
import type { Asker, StoredFile } from "../lib/store/store.ts";
import { bytesOf } from "./base64.ts";
import type { Exchange } from "./exchange.ts";

/** The algorithms, by their names on the wire and those of `node:crypto`. */
const ALGORITHMS: ReadonlyMap<string, string> = new Map([
  ["sha-256", "sha256"],
  ["sha-512", "sha512"],
]);

/** Fields that can hold the digest of a body without a coding, which is the whole file. */
const FIELDS = ["Content-Digest", "Repr-Digest"];

/** Bytes that are read at once. */
const READ_BYTES = 256 * 1024;

/** What is verified while a body comes. */
export interface Verification {
  add(chunk: Uint8Array): void;
  /**
   * Compares the digests.
   *
   * @throws {InletError} `checksum`
   */
  check(what: string): void;
}

/**
 * Verifies a body by the digests that its client sends.
 *
 * @throws {InletError} `bad-request` if one is no digest of a known algorithm
 */
export async function verification(exchange: Exchange): Promise<Verification | undefined> {
  const expected = FIELDS.flatMap((field) => decodeDigests(exchange.header(field) ?? ""));
  if (expected.length === 0) return undefined;
  const { createHash } = await import("node:crypto");
  const hashes = new Map(
    expected.map(({ algorithm }) => [algorithm, createHash(ALGORITHMS.get(algorithm)!)]),
  );
  return {
    add: (chunk) => hashes.forEach((hash) => hash.update(chunk)),
    check: (what) => {
      const digests = new Map([...hashes].map(([name, hash]) => [name, hash.digest()]));
      for (const { algorithm, digest } of expected) {
        if (equals(digests.get(algorithm)!, digest)) continue;
        throw new InletError("checksum", `Cannot ${what}: its ${algorithm} is not as announced`);
      }
    },
  };
}

/**
 * The digest that a client wants of a file, as the value of `Repr-Digest`; `undefined` if it wants
 * none that is known. All of the file is read.
 */
export async function wantedDigest(
  exchange: Exchange,
  file: StoredFile,
  asker: Asker,
): Promise<string | undefined> {
  const algorithm = preferred(exchange.header("Want-Repr-Digest") ?? "");
  if (algorithm === undefined) return undefined;
  const { createHash } = await import("node:crypto");
  const hash = createHash(ALGORITHMS.get(algorithm)!);
  await readInTurn(file.size, async () => {
    const room = new Uint8Array(Math.min(READ_BYTES, file.size));
    for (let offset = 0; offset < file.size;) {
      const read = await file.read(offset, room.subarray(0, file.size - offset));
      if (read === 0) throw new InletError("changed", "Cannot read the file: it changed meanwhile");
      hash.update(room.subarray(0, read));
      offset += read;
      await takeTurns();
      asker.signal?.throwIfAborted();
    }
  }, asker);
  return `${algorithm}=:${hash.digest("base64")}:`;
}

/**
 * Decodes a dictionary of byte sequences (RFC 9651, sections 3.2 and 3.3.5). Others are ignored. Padding
 * may be missing, and what is left of the last digit be anything: section 4.2.7.
 */
function decodeDigests(value: string): { algorithm: string; digest: Uint8Array }[] {
  return value.split(",").map((member) => member.trim()).filter((member) => member !== "").flatMap(
    (member) => {
      const [algorithm] = member.split("=") as [string];
      if (!ALGORITHMS.has(algorithm)) return [];
      const [, base64 = ""] = /^[^=]+=:([A-Za-z0-9+/]+={0,2}):(?:;.*)?$/.exec(member) ?? [];
      const digest = bytesOf(base64, { isLoose: true });
      if (digest?.length) return [{ algorithm, digest }];
      throw new InletError("bad-request", `Cannot take the ${algorithm}: it is not in base64`);
    },
  );
}

/** The known algorithm that a client prefers: the one of the highest number, 1 to 10. */
function preferred(value: string): string | undefined {
  const wanted = value.split(",").flatMap((member) => {
    const [, algorithm, weight] = /^([a-z0-9-]+)=(\d{1,2})$/.exec(member.trim()) ?? [];
    const isKnown = algorithm !== undefined && ALGORITHMS.has(algorithm) && Number(weight) > 0;
    return isKnown ? [{ algorithm, weight: Number(weight) }] : [];
  });
  return wanted.sort((one, other) => other.weight - one.weight)[0]?.algorithm;
}
