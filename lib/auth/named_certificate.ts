/**
 * A certificate that an authority has issued for host names, for clients that send one of the names in
 * their handshake (SNI, RFC 6066). Both of its files are read again when they change.
 *
 * Loaded on demand: a server without one needs none of it.
 *
 * @module
 */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { Identity } from "./identity.ts";
import { decodeText, type KeyReading, readSecretFile } from "./key.ts";
import { type FileKind, type OnNotice, WatchedFile } from "./watched_file.ts";

/** Largest file in bytes: a chain of certificates has some thousand. */
const MAX_BYTES = 256 * 1024;

/** How each certificate of a chain begins: RFC 7468, section 5.1. */
const BEGIN = "-----BEGIN CERTIFICATE-----";

/** A certificate with its key, in PEM. */
export type Certified = Pick<Identity, "certificate" | "privateKey">;

/** The paths of the two files, in PEM. */
export interface CertificatePaths {
  /** The certificate, and behind it those that lead to the authority. */
  readonly cert: string;
  readonly certKey: string;
}

interface Chain {
  readonly text: string;
  readonly first: X509Certificate;
  /** The host names that it is for, in lower case. */
  readonly names: readonly string[];
}

interface PrivateKey {
  readonly text: string;
  readonly key: KeyObject;
}

/** A pair that belongs together. */
interface Pair extends Certified {
  readonly chain: Chain;
  readonly key: PrivateKey;
}

/** The certificate of a server. */
export class NamedCertificate {
  readonly #paths: CertificatePaths;
  readonly #chain: WatchedFile<Chain>;
  readonly #key: WatchedFile<PrivateKey>;
  readonly #onNotice: OnNotice;
  #pair: Pair;
  /** The files that were told not to belong together. */
  #told: readonly unknown[] = [];

  private constructor(
    paths: CertificatePaths,
    chain: WatchedFile<Chain>,
    key: WatchedFile<PrivateKey>,
    onNotice: OnNotice,
  ) {
    this.#paths = paths;
    this.#chain = chain;
    this.#key = key;
    this.#onNotice = onNotice;
    this.#pair = pairOf(chain.current(), key.current(), paths);
  }

  /**
   * Reads the files.
   *
   * @throws {InletError} `usage` if one cannot be read or used, or they do not belong together
   */
  static async open(
    paths: CertificatePaths,
    onNotice: OnNotice,
    reading: KeyReading = {},
  ): Promise<NamedCertificate> {
    const chain = await WatchedFile.open(paths.cert, chainFile(paths.cert), onNotice);
    const key = await WatchedFile.open(paths.certKey, keyFile(paths.certKey, reading), onNotice);
    return new NamedCertificate(paths, chain, key, onNotice);
  }

  /** The certificate that holds now: the same object while it stays the same. */
  current(): Certified {
    const chain = this.#chain.current();
    const key = this.#key.current();
    if (chain === this.#pair.chain && key === this.#pair.key) return this.#pair;
    if (this.#told[0] === chain && this.#told[1] === key) return this.#pair;
    try {
      this.#pair = pairOf(chain, key, this.#paths);
    } catch (error) {
      // One of the two is replaced before the other.
      this.#told = [chain, key];
      this.#onNotice(`${(error as InletError).message}; the last certificate stays`, true);
    }
    return this.#pair;
  }

  /** The certificate, if it is for a host name. */
  named(name: string): Certified | undefined {
    this.current();
    return this.#pair.chain.names.some((pattern) => matches(pattern, name.toLowerCase()))
      ? this.#pair
      : undefined;
  }

  /** Reads both files, whether they have changed or not. */
  reread(): void {
    this.#chain.reread();
    this.#key.reread();
    this.current();
  }
}

/** Whether a name of a certificate is a host's: RFC 9525, section 6.3. */
function matches(pattern: string, host: string): boolean {
  return pattern.startsWith("*.")
    ? host.includes(".") && host.slice(host.indexOf(".")) === pattern.slice(1)
    : host === pattern;
}

function pairOf(chain: Chain, key: PrivateKey, { cert, certKey }: CertificatePaths): Pair {
  if (chain.first.checkPrivateKey(key.key)) {
    return { chain, key, certificate: chain.text, privateKey: key.text };
  }
  throw new InletError(
    "usage",
    `Cannot use the certificate ${quoted(cert)}: ${quoted(certKey)} is the key of another one`,
  );
}

function chainFile(path: string): FileKind<Chain> {
  const parse = (text: string): Chain => {
    const [first, ...others] = text.split(BEGIN).slice(1).map((block) => BEGIN + block);
    const refuse = (why: string, cause?: unknown): InletError =>
      new InletError("usage", `Cannot use the certificate ${quoted(path)}: ${why}`, { cause });
    if (first === undefined) throw refuse("it is no certificate in PEM");
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(first);
      // A client would be shown what it cannot read, or a chain that ends too soon.
      for (const other of others) new X509Certificate(other);
    } catch (cause) {
      throw refuse("it is damaged", cause);
    }
    const names = (certificate.subjectAltName ?? "").split(", ").flatMap((name) =>
      name.startsWith("DNS:") ? [name.slice(4).toLowerCase()] : []
    );
    if (names.length === 0) throw refuse("it is for no host name");
    return { text, first: certificate, names };
  };
  return {
    what: "certificate",
    content: "certificate",
    maxBytes: MAX_BYTES,
    open: async () => parse(await readChain(path)),
    parse,
    newsOf: (before, after) => before.text === after.text ? undefined : "a new certificate",
  };
}

async function readChain(path: string): Promise<string> {
  const cannot = `Cannot read the certificate ${quoted(path)}`;
  const bytes = await Deno.readFile(path).catch((cause) => {
    throw new InletError("usage", explain(cause, cannot).message, { cause });
  });
  return decodeText(bytes, cannot);
}

function keyFile(path: string, reading: KeyReading): FileKind<PrivateKey> {
  const parse = (text: string): PrivateKey => {
    try {
      return { text, key: createPrivateKey(text) };
    } catch (cause) {
      const why = /ENCRYPTED/.test(text)
        ? "it is encrypted by a pass phrase"
        : "it is no private key in PEM";
      const cannot = `Cannot use the certificate's key ${quoted(path)}`;
      throw new InletError("usage", `${cannot}: ${why}`, { cause });
    }
  };
  return {
    what: "certificate's key",
    content: "key",
    maxBytes: MAX_BYTES,
    open: async () => parse(await readSecretFile(path, "certificate's key", reading)),
    parse,
    newsOf: (before, after) => before.text === after.text ? undefined : "a new key",
  };
}
