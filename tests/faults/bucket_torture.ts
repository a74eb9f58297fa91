/**
 * The torture of a bucket: three servers behind balancers that pick at random, of which one after another
 * is killed within a large file; a proxy between them and the gateway that misbehaves; and a disk and
 * the gateway that are killed, where the Ceph is this process's own.
 *
 * What was acknowledged is read back after the store has removed for good what it takes for garbage: a
 * file can be there until then, and lost.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { crc32 } from "node:zlib";
import { markOf, OWN_PREFIX } from "../../lib/bucket/layout.ts";
import type { Bucket } from "../../lib/s3/bucket.ts";
import { fixedCredentials } from "../../lib/s3/credentials.ts";
import { openBucket } from "../../lib/s3/open_bucket.ts";
import type { Ceph } from "../ceph/ceph.ts";
import { OwnCeph } from "../ceph/own_ceph.ts";
import { tempDir } from "../helpers.ts";
import { BucketCrowd } from "./bucket_crowd.ts";
import { BucketServers } from "./bucket_servers.ts";
import { Dice } from "./content.ts";
import { randomFaults, StoreProxy } from "./store_proxy.ts";

/** Where the files are in the bucket. */
const PREFIX = "inbox/";

const SERVERS = 3;

/** Requests of a hundred that the proxy spoils. */
const SPOILT_PERCENT = 4;

/** Bytes a second of each client with large files: slow enough to be killed within one. */
const LARGE_RATE = 3_000_000;

/** Milliseconds between two looks whether something has become so. */
const LOOK_MS = 20;

/** Milliseconds that a disk and a gateway are away. */
const DISK_AWAY_MS = 15_000;
const GATEWAY_AWAY_MS = 3000;

/** How long a bucket is tortured. */
export interface BucketTorture {
  readonly seed: number;
  /** Milliseconds at least. */
  readonly durationMs: number;
  /** Milliseconds from one kill of a server to the next. */
  readonly killEveryMs: number;
  /** Servers that are killed at least, however long that takes. */
  readonly leastKills: number;
  /** Clients with small and with large files. */
  readonly clients: { readonly small: number; readonly large: number };
}

/** What was seen. The last four must be 0. */
export interface BucketFigures {
  /** Files and bytes that were acknowledged, and files of several parts among them. */
  files: number;
  largeFiles: number;
  gets: number;
  lists: number;
  serverKills: number;
  diskKills: number;
  gatewayKills: number;
  /** Requests that the proxy spoilt. */
  spoilt: number;
  /** Large files that broke off and went on at another server, and after how many milliseconds. */
  broken: number;
  goneOnP50Ms: number;
  goneOnP95Ms: number;
  /** Those of them of which something was kept. */
  resumed: number;
  /** What clients were refused after all their attempts. */
  refused: number;
  /** Acknowledged, and not there. */
  lost: number;
  /** Stored more than once. */
  twice: number;
  /** Under a final name, and nothing that was sent. */
  partial: number;
  /** Under a name that was acknowledged for another file. */
  replaced: number;
}

/** What was seen, and in words what was refused and what is wrong. */
export interface BucketResult {
  readonly figures: BucketFigures;
  readonly refusals: readonly string[];
  readonly wrong: readonly string[];
  /** What the servers have logged. */
  readonly log: string;
}

/** Tortures a bucket of a Ceph. One of this process's own needs a manager. */
export async function tortureBucket(ceph: Ceph, how: BucketTorture): Promise<BucketResult> {
  await using stack = new AsyncDisposableStack();
  const local = stack.use(await tempDir());
  const { name } = stack.use(await ceph.makeBucket());
  const dice = new Dice(how.seed);
  const proxy = stack.use(await StoreProxy.start(ceph));
  const place = { store: `s3://${name}/${PREFIX}`, env: proxy.variables };
  const servers = stack.use(await BucketServers.start(place, SERVERS));
  const crowd = new BucketCrowd(servers, { local, seed: how.seed });
  proxy.misbehaviour = { fault: randomFaults(dice, SPOILT_PERCENT) };
  const killer = new Killer(servers, crowd, ceph instanceof OwnCeph ? ceph : undefined);
  const ending = new AbortController();
  const killing = killer.run(how, ending.signal);
  const end = performance.now() + how.durationMs;
  const isOver = (): boolean =>
    ending.signal.aborted || performance.now() >= end && killer.serverKills >= how.leastKills;
  try {
    await crowd.run({ ...how.clients, bytesPerSecond: LARGE_RATE }, isOver);
  } finally {
    ending.abort();
    await killing;
  }
  proxy.misbehaviour = {};
  await proxy.settle();
  await ceph.collectGarbage();
  const { unread, wrong } = await crowd.readBack(8);
  const seen = await lookAt(await bucketOf(ceph, name), crowd);
  const { deeds, refusals, toldTwice, wrong: early } = crowd;
  const pauses = crowd.pauses.toSorted((one, other) => one - other);
  const figures: BucketFigures = {
    files: crowd.acknowledged.size,
    largeFiles: deeds.large,
    ...{ gets: deeds.gets, lists: deeds.lists },
    ...{ serverKills: killer.serverKills, diskKills: killer.diskKills },
    gatewayKills: killer.gatewayKills,
    spoilt: [...proxy.faults.values()].reduce((one, other) => one + other, 0),
    broken: pauses.length,
    goneOnP50Ms: Math.round(pauses[Math.floor(0.5 * pauses.length)] ?? 0),
    goneOnP95Ms: Math.round(pauses[Math.floor(0.95 * pauses.length)] ?? 0),
    resumed: servers.log.match(/: resumes "/g)?.length ?? 0,
    refused: refusals.length,
    lost: new Set([...unread, ...seen.lost]).size,
    twice: seen.twice.length,
    partial: seen.partial.length,
    replaced: toldTwice.length + seen.replaced.length + wrong.length + early.length,
  };
  const told = { ...seen, unread, "got wrong": [...early, ...wrong], "told twice": toldTwice };
  return {
    ...{ figures, refusals, log: servers.log },
    wrong: Object.entries(told).flatMap(([what, names]) => names.map((name) => `${what}: ${name}`)),
  };
}

/** Kills what may be killed. */
class Killer {
  serverKills = 0;
  diskKills = 0;
  gatewayKills = 0;
  readonly #servers: BucketServers;
  readonly #crowd: BucketCrowd;
  readonly #ceph: OwnCeph | undefined;

  constructor(servers: BucketServers, crowd: BucketCrowd, ceph: OwnCeph | undefined) {
    this.#servers = servers;
    this.#crowd = crowd;
    this.#ceph = ceph;
  }

  /** Kills until the signal is aborted, and leaves all running. */
  async run({ killEveryMs }: BucketTorture, signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#repeat(signal, killEveryMs, () => this.#killServer(signal)),
      ...this.#ceph === undefined ? [] : [
        this.#repeat(signal, 1.5 * killEveryMs, () => this.#killDisk(this.#ceph!)),
        this.#repeat(signal, 2 * killEveryMs, () => this.#killGateway(this.#ceph!)),
      ],
    ]);
  }

  async #repeat(signal: AbortSignal, everyMs: number, kill: () => Promise<void>): Promise<void> {
    while (await isStillOn(everyMs, signal)) await kill();
  }

  /** Kills a server that has a good part of a large file. */
  async #killServer(signal: AbortSignal): Promise<void> {
    let port: number | undefined;
    while ((port = this.#crowd.pointOut()) === undefined) {
      if (!await isStillOn(LOOK_MS, signal)) return;
    }
    await this.#servers.kill(port);
    this.serverKills++;
  }

  async #killDisk(ceph: OwnCeph): Promise<void> {
    const disk = `osd.${this.diskKills++ % 2}` as "osd.0" | "osd.1";
    await ceph.kill(disk);
    await delay(DISK_AWAY_MS);
    ceph.startAgain(disk);
    await ceph.untilWhole();
  }

  async #killGateway(ceph: OwnCeph): Promise<void> {
    this.gatewayKills++;
    await ceph.kill("rgw");
    await delay(GATEWAY_AWAY_MS);
    ceph.startAgain("rgw");
  }
}

/** Waits. Returns whether the signal was not aborted by then. */
async function isStillOn(ms: number, signal: AbortSignal): Promise<boolean> {
  return await delay(ms, { signal }).then(() => true, () => false);
}

async function bucketOf(ceph: Ceph, bucket: string): Promise<Bucket> {
  const credentials = fixedCredentials({
    accessKeyId: ceph.variables.AWS_ACCESS_KEY_ID!,
    secretAccessKey: ceph.variables.AWS_SECRET_ACCESS_KEY!,
  });
  return await openBucket({ bucket, endpoint: ceph.endpoint, region: ceph.region, credentials });
}

/** Looks at every object, past all servers. */
async function lookAt(
  bucket: Bucket,
  { acknowledged, sent }: BucketCrowd,
): Promise<Record<"lost" | "twice" | "partial" | "replaced", string[]>> {
  const found = { lost: [], twice: [], partial: [], replaced: [] } as Record<string, string[]>;
  const places = new Map<number, string>();
  const names = new Set<string>();
  const look = async (key: string): Promise<void> => {
    const object = await bucket.get(key);
    if (!object || markOf(object) !== undefined) return void await object?.body.cancel();
    const name = key.slice(PREFIX.length);
    names.add(name);
    let crc = 0;
    for await (const chunk of object.body) crc = crc32(chunk, crc);
    const number = sent.get(crc);
    const told = acknowledged.get(name);
    if (number === undefined) return void found.partial!.push(name);
    if (told && told.number !== number) found.replaced!.push(name);
    const other = places.get(number);
    if (other !== undefined) found.twice!.push(`${other}, ${name}`);
    places.set(number, name);
  };
  for await (const { objects } of bucket.list({ prefix: PREFIX })) {
    const keys = objects.map(({ key }) => key)
      .filter((key) => !key.startsWith(`${PREFIX}${OWN_PREFIX}`));
    await Promise.all(Array.from({ length: 16 }, async () => {
      for (let key; (key = keys.pop()) !== undefined;) await look(key);
    }));
  }
  for (const name of acknowledged.keys()) if (!names.has(name)) found.lost!.push(name);
  return found as Record<"lost" | "twice" | "partial" | "replaced", string[]>;
}
