/**
 * A server that is killed at any step of an upload to a bucket: another one goes on with it, or sweeps it
 * away.
 *
 * The server is a store of this process none of whose requests is answered any more.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import type { BucketStore, BucketStoreOptions } from "../lib/bucket/bucket_store.ts";
import { markOf } from "../lib/bucket/layout.ts";
import { PartPool } from "../lib/bucket/part_pool.ts";
import { decodeState, type UploadState } from "../lib/bucket/state.ts";
import type { Bucket } from "../lib/s3/bucket.ts";
import type { Upload } from "../lib/store/store.ts";
import { bucketStores, objectsIn, type TestStores } from "./bucket_stores.ts";
import { sharedCeph } from "./ceph/shared.ts";
import { CEPH, integration } from "./helpers.ts";
import { mortalBucket } from "./mortal_bucket.ts";

const MIB = 1024 * 1024;

/** Two parts. */
const CONTENT = crypto.getRandomValues(new Uint8Array(65536));
const PIECES = 9 * MIB / CONTENT.length;
const SIZE = PIECES * CONTENT.length;
const WHOLE_CRC = crcOfPieces(PIECES);

const FINGERPRINT = "f".repeat(64);

/** A request that was answered. */
interface Request {
  readonly method: string;
  readonly key: string;
  /** If it is the PUT of a state. */
  readonly state: UploadState | undefined;
}

/** When a server is killed: right after which request. */
interface Kill {
  readonly name: string;
  /** Whether the upload is discarded, and not published. */
  readonly discards?: boolean;
  /** Whether its client leaves in the middle. */
  readonly breaksOff?: boolean;
  isDue(request: Request, before: readonly Request[]): boolean;
  /** Fewest bytes that are kept then. */
  readonly kept: number;
}

const isPut = (key: RegExp) => (request: Request): boolean =>
  request.method === "put" && key.test(request.key);
const isState = (is: (state: UploadState) => boolean) => ({ state }: Request): boolean =>
  state !== undefined && is(state);

const KILLS: readonly Kill[] = [
  { name: "the state", isDue: isState(() => true), kept: 0 },
  { name: "the placeholder", isDue: isPut(/\.bin$/), kept: 0 },
  { name: "Create", isDue: ({ method }) => method === "createUpload", kept: 0 },
  { name: "the state with the upload", isDue: isState((state) => has(state.uploadId)), kept: 0 },
  { name: "a part", breaksOff: true, isDue: ({ method }) => method === "putPart", kept: 0 },
  {
    ...{ name: "the note of a part", breaksOff: true, kept: 8 * MIB },
    isDue: isState(({ parts }) => parts.length > 0),
  },
  { name: "the tail", breaksOff: true, isDue: isPut(/\/tail\//), kept: 0 },
  {
    name: "the note of the tail",
    breaksOff: true,
    isDue: isState(({ tail }) => has(tail)),
    kept: 1,
  },
  { name: "the state with the facts", isDue: isState(({ facts }) => has(facts)), kept: SIZE },
  { name: "the facts", isDue: isPut(/\/facts\//), kept: SIZE },
  { name: "Complete", isDue: ({ method }) => method === "complete", kept: SIZE },
  { name: "the state with the name", isDue: isState(({ outcome }) => has(outcome)), kept: SIZE },
  {
    ...{ name: "the note that it is discarded", discards: true, kept: 0 },
    isDue: isState(({ stage }) => stage === "discarding"),
  },
  { name: "Abort", discards: true, isDue: ({ method }) => method === "abort", kept: 0 },
  {
    ...{ name: "giving the name up", discards: true, kept: 0 },
    isDue: (request, before) => isPut(/\.bin$/)(request) && before.some(isPut(/\.bin$/)),
  },
];

const has = (value: unknown): boolean => value !== undefined;

integration("an upload goes on at another server, wherever the first one was killed", async () => {
  await using stack = new AsyncDisposableStack();
  const left = await Promise.all(KILLS.map(async (kill) => {
    const stores = stack.use(await bucketStores());
    const ticket = await killedUpload(stores, kill);
    const { name, kept } = await resumed(await stores.open(), ticket);
    assert(kept >= kill.kept, `${kill.name}: ${kept} bytes are kept`);
    // One that is being given up is nobody's any more, but its name is not free before that is done.
    const isTaken = kill.discards && kill.name !== "giving the name up";
    assertEquals(name, isTaken ? "a (2).bin" : "a.bin", kill.name);
    const open = kill.name === "the note that it is discarded" ? 1 : 0;
    assertEquals(await openUploads(stores.bucket), open, kill.name);
    return { kill, bucket: stores.bucket, names: [name] };
  }));
  await (await sharedCeph()).collectGarbage();
  for (const { kill, bucket, names } of left) await assertRight(bucket, names, kill);
}, CEPH);

integration("a sweep leaves nothing of an upload, wherever its server was killed", async () => {
  await using stack = new AsyncDisposableStack();
  const left = await Promise.all(KILLS.map(async (kill) => {
    const stores = stack.use(await bucketStores());
    const { bucket } = stores;
    await killedUpload(stores, kill, { leaseMs: 1000 });
    const others = await Promise.all([1, 2].map(() => stores.open({ keepPartialsMs: 1 })));
    // The lease of the killed one has to run out.
    while (await isLeft(bucket)) await Promise.all(others.map((other) => other.sweep()));
    assertEquals(await openUploads(bucket), 0, kill.name);
    return { kill, bucket, names: kill.kept === SIZE ? ["a.bin"] : [], other: others[0]! };
  }));
  await (await sharedCeph()).collectGarbage();
  await Promise.all(left.map(async ({ kill, bucket, names, other }) => {
    await assertRight(bucket, names, kill);
    const again = await other.put("a.bin", CONTENT);
    assertEquals(again, names.length > 0 ? "a (2).bin" : "a.bin", kill.name);
  }));
}, CEPH);

/** Uploads by a server until it is killed. Returns the ticket that its client got. */
async function killedUpload(
  stores: TestStores,
  kill: Kill,
  options: Partial<BucketStoreOptions> = {},
): Promise<string> {
  const before: Request[] = [];
  const { bucket, died } = mortalBucket(stores.bucket, (method, args) => {
    const request = requestOf(method, args);
    const isDue = kill.isDue(request, before);
    before.push(request);
    return isDue;
  });
  const store = await stores.open({ bucket, pool: new PartPool(), ...options });
  const upload = await store.receiveResumable("a.bin", SIZE, { fingerprint: FINGERPRINT });
  const sent = (async () => {
    await writeFrom(upload, 0, kill.breaksOff ? PIECES - 1 : PIECES);
    if (kill.discards) await upload.discard();
    else if (!kill.breaksOff) await upload.publish({}, WHOLE_CRC);
    await upload[Symbol.asyncDispose]();
  })();
  await Promise.race([died, sent.then(() => Promise.reject(new Error("it was not killed")))]);
  return upload.ticket!;
}

function requestOf(method: string, [first, second]: readonly unknown[]): Request {
  const key = typeof first === "string" ? first : (first as { key: string }).key;
  const isOfState = method === "put" && key.includes("/.inlet/up/");
  return { method, key, state: isOfState ? decodeState(second as Uint8Array)?.state : undefined };
}

/** Goes on as a client does that has a ticket. */
async function resumed(
  store: BucketStore,
  ticket: string,
): Promise<{ name: string; kept: number }> {
  await using upload = await taken(store, ticket) ??
    await store.receiveResumable("a.bin", SIZE, { fingerprint: FINGERPRINT });
  const kept = upload.kept.bytes;
  assertEquals(await upload.kept.crc(), crcOfPieces(kept / CONTENT.length));
  await writeFrom(upload, kept / CONTENT.length);
  return { name: await upload.publish({}, WHOLE_CRC), kept };
}

async function taken(store: BucketStore, ticket: string): Promise<Upload | undefined> {
  for await (const partial of store.findPartials("a.bin", { fingerprint: FINGERPRINT, ticket })) {
    for (const offset of partial.samples?.offsets ?? []) {
      const sample = new Uint8Array(partial.samples!.length);
      assertEquals(await partial.read(offset, sample), sample.length);
      assertEquals(sample, contentAt(offset, sample.length));
    }
    const upload = await partial.take({ fingerprint: FINGERPRINT });
    if (upload) return upload;
  }
  return undefined;
}

async function writeFrom(upload: Upload, from: number, to = PIECES): Promise<void> {
  for (let piece = from; piece < to; piece++) await upload.write(CONTENT);
}

function contentAt(offset: number, length: number): Uint8Array {
  const twice = new Uint8Array(2 * CONTENT.length);
  twice.set(CONTENT);
  twice.set(CONTENT, CONTENT.length);
  return twice.slice(offset % CONTENT.length).subarray(0, length);
}

function crcOfPieces(pieces: number): number {
  let crc = 0;
  for (let piece = 0; piece < pieces; piece++) crc = crc32(CONTENT, crc);
  return crc;
}

async function openUploads(bucket: Bucket): Promise<number> {
  let count = 0;
  for await (const page of bucket.uploads("")) count += page.length;
  return count;
}

/** Whether anything is there of an upload that is neither published nor gone. */
async function isLeft(bucket: Bucket): Promise<boolean> {
  for (const { key } of await objectsIn(bucket, "inbox/.inlet/up/")) {
    const object = await bucket.get(key);
    const leased = object && decodeState(await new Response(object.body).bytes());
    if (leased?.state.stage !== "published") return true;
  }
  return false;
}

/** Asserts which files there are, and that they are whole. */
async function assertRight(
  bucket: Bucket,
  names: readonly string[],
  { name: killed }: Kill,
): Promise<void> {
  const files: string[] = [];
  for (const { key } of await objectsIn(bucket, "inbox/")) {
    const isTail = key.startsWith("inbox/.inlet/tail/");
    assert(!isTail || names.length > 0, `${killed}: ${key}`);
    if (key.startsWith("inbox/.inlet/")) continue;
    const object = (await bucket.get(key))!;
    const content = await new Response(object.body).bytes();
    const mark = markOf(object);
    if (mark === undefined) {
      files.push(key.slice("inbox/".length));
      assertEquals([content.length, crc32(content)], [SIZE, WHOLE_CRC], killed);
    }
    // The placeholder of one that is resumed under another name waits for a sweep.
    if (names.length === 0) assertEquals(mark, "free", killed);
  }
  assertEquals(files, names, killed);
}
