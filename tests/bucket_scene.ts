/**
 * Real servers that store into one bucket of a real object store.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { Bucket } from "../lib/s3/bucket.ts";
import { fixedCredentials } from "../lib/s3/credentials.ts";
import { openBucket } from "../lib/s3/open_bucket.ts";
import { MARKED_BYTES } from "../lib/bucket/layout.ts";
import { readState } from "../lib/bucket/leased.ts";
import type { Ceph, TestBucket } from "./ceph/ceph.ts";
import { sharedCeph } from "./ceph/shared.ts";
import { OWN, startServer, type TestServer, type TestServerOptions } from "./helpers.ts";

/** Milliseconds between two looks. */
const LOOK_MS = 50;

/** What the keys of a scene begin with. */
const PREFIX = "team/in box";

/** A bucket, and servers of it. The bucket is removed when it goes out of scope: after its servers. */
export class BucketScene implements AsyncDisposable {
  readonly ceph: Ceph;
  /** By which a test looks at what is really there. */
  readonly bucket: Bucket;
  /** The address that servers are given. */
  readonly store: string;
  readonly #made: TestBucket;

  private constructor(ceph: Ceph, made: TestBucket, bucket: Bucket) {
    this.ceph = ceph;
    this.#made = made;
    this.bucket = bucket;
    this.store = `${made.store}/${PREFIX}`;
  }

  /** Makes the bucket. */
  static async make(): Promise<BucketScene> {
    const ceph = await sharedCeph();
    const made = await ceph.makeBucket();
    const bucket = await openBucket({
      bucket: made.name,
      endpoint: ceph.endpoint,
      region: ceph.region,
      credentials: fixedCredentials({
        accessKeyId: ceph.variables.AWS_ACCESS_KEY_ID!,
        secretAccessKey: ceph.variables.AWS_SECRET_ACCESS_KEY!,
      }),
    });
    return new BucketScene(ceph, made, bucket);
  }

  /** What a server finds the store by. */
  get env(): Readonly<Record<string, string>> {
    return this.ceph.variables;
  }

  /** Starts a server with this bucket. */
  async serve(options: TestServerOptions = {}): Promise<TestServer> {
    return await startServer({ ...options, store: this.store, env: this.env });
  }

  /** The key of a name. */
  key(name: string): string {
    return `${PREFIX}/${name}`;
  }

  /**
   * The names of what is in the bucket below the prefix, sorted, but for names that are claimed, free or
   * links. In place of what is the store's own stands `(own)`, once.
   */
  async names(): Promise<string[]> {
    const names = new Set<string>();
    for await (const { objects } of this.bucket.list({ prefix: `${PREFIX}/` })) {
      for (const { key, size } of objects) {
        const name = key.slice(PREFIX.length + 1);
        if (size === MARKED_BYTES || name === `${OWN}/swept`) continue;
        names.add(name.startsWith(`${OWN}/`) ? "(own)" : name);
      }
    }
    return [...names].sort();
  }

  /** The content of a file, as another program gets it. */
  async content(name: string): Promise<Uint8Array> {
    const object = await this.bucket.get(this.key(name));
    if (!object) throw new Error(`there is no ${name}`);
    return await new Response(object.body).bytes();
  }

  /**
   * Waits until the state of an upload has so many parts: what a server goes on with that finds it.
   *
   * @param bucket As the one who sends it has it.
   */
  async partsAreNoted(count: number, bucket = this.bucket): Promise<void> {
    await this.until(async () => {
      for await (const { objects } of bucket.list({ prefix: this.key(`${OWN}/`) })) {
        for (const { key } of objects) {
          const found = await readState(bucket, key);
          if (found && found.state.parts.length >= count) return true;
        }
      }
      return false;
    });
  }

  /** Waits for what an object store tells nobody of: it has to be asked. */
  async until(condition: () => Promise<boolean>): Promise<void> {
    while (!await condition()) await delay(LOOK_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made[Symbol.asyncDispose]();
  }
}
