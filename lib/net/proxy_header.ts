/**
 * The header by which a proxy tells who its client is, ahead of everything else on a connection: PROXY
 * protocol, version 2 (section 2.2 of its specification, "The PROXY protocol", by HAProxy). TLS may
 * follow it.
 *
 * @module
 */

import { startsWith } from "@std/bytes/starts-with";
import { formatAddress } from "../address.ts";
import { InletError } from "../errors.ts";
import type { ByteStream } from "./byte_stream.ts";

/** What the header begins with. */
export const PROXY_SIGNATURE: Uint8Array<ArrayBuffer> = new TextEncoder().encode(
  "\r\n\r\n\0\r\nQUIT\n",
);

/** Bytes of the fixed part: signature, version and command, family, length of the rest. */
const FIXED_BYTES = 16;

/** Most bytes of the rest: addresses, and what proxies add to them. */
const MAX_REST_BYTES = 4096;

/** Bytes of both addresses and ports, by the byte that tells the family and the transport. */
const FAMILIES: Readonly<Record<number, number>> = { 0x11: 12, 0x21: 36 };

/**
 * Reads the header, if there is one.
 *
 * @returns The stream behind it, as from the client that it names.
 * @throws {InletError} `bad-request` if it is malformed; `lost` if the stream ends within it
 */
export async function readProxyHeader(stream: ByteStream): Promise<ByteStream> {
  const buffer = new Uint8Array(FIXED_BYTES + MAX_REST_BYTES);
  let filled = 0;
  const fill = async (wanted: number): Promise<boolean> => {
    while (filled < wanted) {
      const read = await stream.read(buffer.subarray(filled));
      if (read === null) return false;
      filled += read;
      if (!isBeginning(buffer.subarray(0, filled))) return false;
    }
    return true;
  };
  const isWhole = await fill(FIXED_BYTES);
  const head = buffer.subarray(0, filled);
  if (!isBeginning(head) || filled === 0) return new KnownStream(stream, stream.remote, head);
  if (!isWhole) throw new InletError("lost", "The proxy left within its PROXY header");
  const [command, family, high, low] = buffer.subarray(12, FIXED_BYTES) as unknown as number[];
  const end = FIXED_BYTES + (high! << 8 | low!);
  if (command! >> 4 !== 2 || (command! & 15) > 1 || end > buffer.length) {
    throw new InletError("bad-request", "Cannot take this PROXY header: it is none of version 2");
  }
  if (!await fill(end)) throw new InletError("lost", "The proxy left within its PROXY header");
  const rest = buffer.subarray(end, filled);
  // Its own connections (LOCAL), such as tests whether the server is there, and those of no address.
  const bytes = command === 0x20 ? undefined : FAMILIES[family!];
  if (bytes === undefined) return new KnownStream(stream, stream.remote, rest);
  if (end - FIXED_BYTES < bytes) {
    throw new InletError("bad-request", "Cannot take this PROXY header: it is too short");
  }
  return new KnownStream(stream, sourceIn(buffer.subarray(FIXED_BYTES, FIXED_BYTES + bytes)), rest);
}

/** Whether bytes are the signature, or may become it. */
function isBeginning(bytes: Uint8Array): boolean {
  const { length } = PROXY_SIGNATURE;
  return bytes.length < length
    ? startsWith(PROXY_SIGNATURE, bytes)
    : startsWith(bytes, PROXY_SIGNATURE);
}

/** The source in the addresses of a header: source, destination, and their ports. */
function sourceIn(addresses: Uint8Array): string {
  const size = (addresses.length - 4) / 2;
  const source = addresses.subarray(0, size);
  const port = addresses[2 * size]! << 8 | addresses[2 * size + 1]!;
  if (size === 4) return formatAddress({ hostname: source.join("."), port });
  const groups = Array.from({ length: 8 }, (_, index) => source.subarray(2 * index, 2 * index + 2));
  const text = groups.map((group) => group.toHex()).join(":");
  return `${new URL(`http://[${text}]`).hostname}:${port}`;
}

/** A stream whose first bytes were read, from a peer that is known. */
class KnownStream implements ByteStream {
  readonly remote: string;
  readonly #stream: ByteStream;
  #head: Uint8Array;

  constructor(stream: ByteStream, remote: string, head: Uint8Array) {
    this.#stream = stream;
    this.remote = remote;
    this.#head = head.slice();
  }

  async read(into: Uint8Array): Promise<number | null> {
    if (this.#head.length === 0) return await this.#stream.read(into);
    const taken = this.#head.subarray(0, into.length);
    into.set(taken);
    this.#head = this.#head.subarray(taken.length);
    return taken.length;
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#stream.write(bytes);
  }

  touch(): Promise<void> {
    return this.#stream.touch();
  }

  closeWrite(): Promise<void> {
    return this.#stream.closeWrite();
  }

  close(): void {
    this.#stream.close();
  }

  reset(): void {
    this.#stream.reset();
  }
}
