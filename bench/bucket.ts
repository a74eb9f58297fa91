/**
 * Servers on a bucket of a Ceph of this run, and who does their work without them.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { ROOT } from "../tests/helpers.ts";
import { OwnCeph } from "../tests/ceph/own_ceph.ts";
import { CEPH_PROGRAMS } from "../tests/ceph/programs.ts";
import { ROOM_FOR_MANY } from "./many.ts";
import { ALL } from "./peers.ts";
import { findProgram, run, type ServerProcess, startServer } from "./processes.ts";
import type { Section } from "./report.ts";
import type { Content, SourceFolder } from "./workspace.ts";

/** A bucket to measure with. */
export class BenchBucket {
  readonly #ceph: OwnCeph;
  readonly #name: string;

  constructor(ceph: OwnCeph, name: string) {
    this.#ceph = ceph;
    this.#name = name;
  }

  /** Starts a server of ours on it. */
  async serve(stack: AsyncDisposableStack): Promise<ServerProcess> {
    const server = new URL("server.ts", ROOT).pathname;
    const command = [Deno.execPath(), "run", ...ALL, server, "0", "--store", `s3://${this.#name}`];
    return stack.use(await startServer(this.#with([...command, ...ROOM_FOR_MANY])));
  }

  /** Does the work of {@linkcode straight.ts}. */
  async straight(what: "put" | "files" | "fill", source: string, key: string): Promise<void> {
    const script = new URL("bench/straight.ts", ROOT).pathname;
    const command = [Deno.execPath(), "run", ...ALL, script, what, source, `${this.#name}/${key}`];
    await run(this.#with(command));
  }

  /** Has curl get an object into a file, by a URL that is signed. */
  async curl(key: string, path: string): Promise<void> {
    const url = await this.#ceph.signedUrl(`${this.#name}/${key}`);
    await run(["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "-o", path, url]);
  }

  /** Removes an object. */
  async remove(key: string): Promise<void> {
    const response = await this.#ceph.fetch(`${this.#name}/${key}`, { method: "DELETE" });
    await response.body?.cancel();
  }

  /**
   * Compares an object with what it should be.
   *
   * @throws {Error} if it differs
   */
  async verify(key: string, expected: Content): Promise<void> {
    let size = 0;
    let crc = 0;
    for await (const chunk of (await this.#ceph.fetch(`${this.#name}/${key}`)).body!) {
      size += chunk.length;
      crc = crc32(chunk, crc);
    }
    if (size !== expected.size) throw new Error(`it made ${size} bytes, not ${expected.size}`);
    if (crc !== expected.crc) throw new Error("it made other bytes than were sent");
  }

  /**
   * Compares the objects below a key with the files of a folder, by their MD5.
   *
   * @throws {Error} if they differ
   */
  async verifyFolder(
    key: string,
    { path, files }: Pick<SourceFolder, "path" | "files">,
  ): Promise<void> {
    const made = await this.#etags(`${key}/`);
    if (made.size !== files.size) throw new Error(`it made ${made.size} files, not ${files.size}`);
    for (const name of files.keys()) {
      const content = await Deno.readFile(`${path}/${name}`);
      if (made.get(name) === createHash("md5").update(content).digest("hex")) continue;
      throw new Error(`it made another ${name} than was sent`);
    }
  }

  /** The ETags of all objects below a prefix, by the rest of their keys. */
  async #etags(prefix: string): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (let after = prefix;;) {
      const query = new URLSearchParams({ "list-type": "2", prefix, "start-after": after });
      const text = await (await this.#ceph.fetch(`${this.#name}?${query}`)).text();
      for (const [, key, etag] of text.matchAll(CONTENTS)) {
        after = key!;
        if (key !== prefix) found.set(key!.slice(prefix.length), etag!);
      }
      if (!text.includes("<IsTruncated>true<")) return found;
    }
  }

  /** A command that finds the store. */
  #with(command: readonly string[]): string[] {
    const variables = Object.entries(this.#ceph.variables);
    return ["env", ...variables.map(([name, value]) => `${name}=${value}`), ...command];
  }
}

/** An object of a list. The names of what is measured need no escapes. */
const CONTENTS = /<Contents><Key>(.*?)<\/Key>.*?<ETag>&quot;(.*?)&quot;<\/ETag>/g;

/** Measures with a Ceph, if it is installed. */
export async function withBucket(
  { name, title }: Pick<Section, "name" | "title">,
  measure: (bucket: BenchBucket) => Promise<Omit<Section, "name" | "title">>,
): Promise<Section> {
  for (const program of CEPH_PROGRAMS) {
    if (await findProgram(program) !== undefined) continue;
    const skipped = [`Ceph: ${program} is not installed`];
    return { name, title, rows: [], figures: [], skipped, failed: [] };
  }
  await using ceph = await OwnCeph.start({ diskBytes: DISK_BYTES });
  // It goes with the Ceph.
  const { name: bucket } = await ceph.makeBucket("bench");
  return { ...await measure(new BenchBucket(ceph, bucket)), name, title };
}

/** Room for what is measured, and what has been removed and is still there. */
const DISK_BYTES = 48 * 1024 ** 3;
