/**
 * The promises of lib/store/store.ts, kept by both kinds of store.
 *
 * @module
 */

import { dirname } from "@std/path/dirname";
import { DirectoryStore } from "../lib/store/directory.ts";
import { OWN_PREFIX } from "../lib/bucket/layout.ts";
import { bucketStores, contentOf, objectsIn } from "./bucket_stores.ts";
import { CEPH, ownFiles, tempDir } from "./helpers.ts";
import { type StorePlace, testStore } from "./store_contract.ts";

async function makeDirectory(): Promise<StorePlace> {
  const temp = await tempDir();
  const dir = `${temp.path}/received`;
  return {
    open: (options) => DirectoryStore.open(dir, options),
    write: async (name, content) => {
      await Deno.mkdir(dirname(`${dir}/${name}`), { recursive: true });
      await Deno.writeFile(
        `${dir}/${name}`,
        typeof content === "string" ? new TextEncoder().encode(content) : content,
      );
    },
    remove: (name) => Deno.remove(`${dir}/${name}`),
    inFlight: () => Promise.resolve(ownFiles(dir).length),
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

/** Below the prefix of bucket_stores.ts. */
const PREFIX = "inbox/";

async function makeBucket(): Promise<StorePlace> {
  const stores = await bucketStores();
  const { bucket } = stores;
  return {
    open: (options) => stores.open(options),
    write: async (name, content) => {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await bucket.put(PREFIX + name, new Uint8Array(bytes));
    },
    remove: (name) => bucket.delete(PREFIX + name),
    inFlight: async () => {
      let count = (await objectsIn(bucket, `${PREFIX}${OWN_PREFIX}tail/`)).length;
      for await (const uploads of bucket.uploads(PREFIX)) count += uploads.length;
      for (const { key } of await objectsIn(bucket, `${PREFIX}${OWN_PREFIX}up/`)) {
        // That of an upload that was published stays for a client that did not hear of it.
        if (JSON.parse(await contentOf(bucket, key) ?? "{}").stage !== "published") count++;
      }
      return count;
    },
    [Symbol.asyncDispose]: () => stores[Symbol.asyncDispose](),
  };
}

testStore({ name: "DirectoryStore", makePlace: makeDirectory });
testStore({ name: "BucketStore", requirements: CEPH, makePlace: makeBucket });
