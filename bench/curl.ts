/**
 * curl, which stores files at servers that speak HTTP, and gets them.
 *
 * @module
 */

import type { Sender } from "./peers.ts";
import { output, run } from "./processes.ts";

/** What {@linkcode Curl} needs. */
export const CURL = "curl";

/** curl with what a server wants of it. */
export class Curl {
  readonly #command: readonly string[];
  readonly #scheme: string;

  /** @param how.key The key of a server of ours, if it has one. */
  constructor({ encrypted, key }: { encrypted: boolean; key?: string | undefined }) {
    this.#scheme = encrypted ? "https" : "http";
    this.#command = [
      ...[CURL, "--silent", "--show-error", "--fail", "--noproxy", "*"],
      // A certificate that nobody has signed.
      ...encrypted ? ["--insecure"] : [],
      ...key === undefined ? [] : ["--user", `:${key}`],
    ];
  }

  /** Stores a file below `/files/`. */
  get sender(): Sender {
    return (port, path) => run([...this.#command, "--upload-file", path, this.#address(port)]);
  }

  /**
   * Gets a file of `/files/`. It fails if the file is shorter than announced.
   *
   * @returns Milliseconds that curl counted, without its own start.
   */
  async get(port: number, name: string, path: string): Promise<number> {
    const told = ["--write-out", "%{time_total}", "--output", path];
    return 1000 * Number(await output([...this.#command, ...told, this.#address(port) + name]));
  }

  #address(port: number): string {
    return `${this.#scheme}://127.0.0.1:${port}/files/`;
  }
}
