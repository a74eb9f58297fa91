/**
 * Bucket stores for tests: any number on one bucket of the Ceph of this run.
 *
 * @module
 */

import { BucketStore, type BucketStoreOptions } from "../lib/bucket/bucket_store.ts";
import type { Bucket, ListedObject } from "../lib/s3/bucket.ts";
import { fixedCredentials } from "../lib/s3/credentials.ts";
import { openBucket } from "../lib/s3/open_bucket.ts";
import { sharedCeph } from "./ceph/shared.ts";

/** A bucket of its own, which is removed at the end of the test. */
export interface TestStores extends AsyncDisposable {
  /** The name of the bucket. */
  readonly name: string;
  /** As it is, for what another program does. */
  readonly bucket: Bucket;
  /** Opens a store on it, as one more server does: it shares no memory with the others. */
  open(options?: Partial<BucketStoreOptions>): Promise<BucketStore>;
  /** Another way to the bucket, such as through a proxy. */
  reach(endpoint: string): Promise<Bucket>;
}

/** Makes a bucket for stores. */
export async function bucketStores(): Promise<TestStores> {
  const ceph = await sharedCeph();
  const { name, [Symbol.asyncDispose]: remove } = await ceph.makeBucket();
  const credentials = fixedCredentials({
    accessKeyId: ceph.variables.AWS_ACCESS_KEY_ID!,
    secretAccessKey: ceph.variables.AWS_SECRET_ACCESS_KEY!,
  });
  const reach = (endpoint: string): Promise<Bucket> =>
    openBucket({ bucket: name, endpoint, region: ceph.region, credentials });
  return {
    name,
    bucket: await reach(ceph.endpoint),
    open: async (options = {}) =>
      new BucketStore({ bucket: await reach(ceph.endpoint), prefix: "inbox/", ...options }),
    reach,
    [Symbol.asyncDispose]: remove,
  };
}

/** A bucket of which some methods are others. */
export function changed(bucket: Bucket, methods: Partial<Bucket>): Bucket {
  return new Proxy(bucket, {
    get: (target, name: keyof Bucket) => methods[name] ?? target[name].bind(target),
  });
}

/** A bucket of which one method waits, if the first key that it is asked about fits. */
export function held(
  bucket: Bucket,
  name: "get" | "put" | "putPart",
  fits: RegExp,
): { bucket: Bucket; asked: Promise<void>; go: () => void } {
  const asked = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const method = async (...args: unknown[]): Promise<unknown> => {
    if (fits.test(JSON.stringify(args[0]))) {
      asked.resolve();
      await go.promise;
    }
    return await (bucket[name] as (...args: unknown[]) => unknown).apply(bucket, args);
  };
  return { bucket: changed(bucket, { [name]: method }), asked: asked.promise, go: go.resolve };
}

/** Everything in a bucket below a prefix, the store's own objects included. */
export async function objectsIn(bucket: Bucket, prefix = ""): Promise<ListedObject[]> {
  const all: ListedObject[] = [];
  for await (const { objects } of bucket.list({ prefix })) all.push(...objects);
  return all;
}

/** The content of an object. */
export async function contentOf(bucket: Bucket, key: string): Promise<string | undefined> {
  const found = await bucket.get(key);
  return found && await new Response(found.body).text();
}

/** Writes an object as a form of a browser does: its key is in no URL. */
export async function writeByForm(bucket: string, key: string, content: string): Promise<void> {
  const { endpoint, variables } = await sharedCeph();
  const policy = btoa(JSON.stringify({
    expiration: new Date(Date.now() + 600_000).toISOString(),
    conditions: [{ bucket }, ["starts-with", "$key", ""]],
  }));
  const secret = await crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(variables.AWS_SECRET_ACCESS_KEY!),
    { name: "HMAC", hash: "SHA-1" },
    false,
    ["sign"],
  );
  const signature = new Uint8Array(
    await crypto.subtle.sign("HMAC", secret, new TextEncoder().encode(policy)),
  );
  const form = new FormData();
  const fields = { key, AWSAccessKeyId: variables.AWS_ACCESS_KEY_ID!, policy };
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  form.set("signature", signature.toBase64());
  form.set("file", new Blob([content]));
  const response = await fetch(`${endpoint}/${bucket}`, { method: "POST", body: form });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
}
