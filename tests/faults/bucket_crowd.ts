/**
 * Clients that put files into a bucket and get them back, through balancers in front of its servers,
 * and remember what they were told.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { connect, InletError } from "../../client.ts";
import { RateLimit } from "../../lib/net/rate_limit.ts";
import type { TempDir } from "../helpers.ts";
import { Balancer } from "./balancer.ts";
import type { BucketServers } from "./bucket_servers.ts";
import { contentOf, Dice, nameOf } from "./content.ts";

const MIB = 1024 * 1024;

/** A name that several clients put their files under at once. */
const CONTESTED = "contested.bin";

/** Bytes of a small file, and of a large one, which is sent in parts. */
const SMALL_BYTES = { least: 100, most: 100_000 };
const LARGE_BYTES = { least: 13 * MIB, most: 24 * MIB };

/** From so many bytes on, the first part of a large file is stored, most likely: it is kept. */
const BEGUN_BYTES = 11 * MIB;

/** How often a client tries again without any progress: a store is away for some seconds. */
const RETRIES = 30;

/** Small files to get in place of one that was put. */
const GETS = 4;

type Client = Awaited<ReturnType<typeof connect>>;

/** What was stored, as it was acknowledged. */
export interface Acknowledged {
  readonly number: number;
  readonly crc: number;
}

/** A client that sends a large file at the moment. */
interface Sending {
  readonly balancer: Balancer;
  bytes: number;
  isPointedOut: boolean;
}

/** The crowd. */
export class BucketCrowd {
  /** What was acknowledged, by the name of it that was told. */
  readonly acknowledged = new Map<string, Acknowledged>();
  /** The number of each file that was sent, acknowledged or not, by its CRC-32. */
  readonly sent = new Map<number, number>();
  /** Names that were told for two files: the second one has replaced the first. */
  readonly toldTwice: string[] = [];
  /** Why files were not acknowledged, although their clients have tried again. */
  readonly refusals: string[] = [];
  /** Files that were got while others were put, and were not what was acknowledged. */
  readonly wrong: string[] = [];
  readonly deeds = { small: 0, large: 0, gets: 0, lists: 0 };
  /** Milliseconds after which large files that broke off went on at another server. */
  readonly pauses: number[] = [];
  readonly #servers: BucketServers;
  readonly #local: TempDir;
  readonly #seed: number;
  readonly #sending = new Set<Sending>();
  #number = 0;

  constructor(servers: BucketServers, { local, seed }: { local: TempDir; seed: number }) {
    this.#servers = servers;
    this.#local = local;
    this.#seed = seed;
  }

  /**
   * The port of a server that has a good part of a large file, which is not complete, and was not
   * pointed out for that one before.
   */
  pointOut(): number | undefined {
    const one = [...this.#sending].find(({ balancer, bytes, isPointedOut }) =>
      bytes >= BEGUN_BYTES && !isPointedOut && !balancer.isBroken
    );
    if (one) one.isPointedOut = true;
    return one?.balancer.server;
  }

  /** Lets so many clients of each kind work until it is over. */
  async run(
    { small, large, bytesPerSecond }: { small: number; large: number; bytesPerSecond: number },
    isOver: () => boolean,
  ): Promise<void> {
    const lanes = (count: number, lane: (dice: Dice) => Promise<void>): Promise<void>[] =>
      Array.from({ length: count }, (_, index) => lane(new Dice(this.#seed + 7919 * index)));
    await Promise.all([
      ...lanes(small, (dice) => this.#smallOnes(dice, isOver)),
      ...lanes(large, (dice) => this.#largeOnes(dice, new RateLimit(bytesPerSecond), isOver)),
    ]);
  }

  /**
   * Gets every acknowledged file, from whichever server, and gives the names of those that cannot be got,
   * and of those that are others.
   */
  async readBack(clients: number): Promise<{ unread: string[]; wrong: string[] }> {
    const names = [...this.acknowledged.keys()];
    const [unread, wrong]: [string[], string[]] = [[], []];
    await Promise.all(Array.from({ length: clients }, async (_, index) => {
      using balancer = await this.#balancer(new Dice(index));
      await using client = await connectTo(balancer.port);
      for (let name; (name = names.pop()) !== undefined;) {
        try {
          if (await crcOf(client, name) !== this.acknowledged.get(name)!.crc) wrong.push(name);
        } catch (error) {
          this.#refused(`get ${name}`, error);
          unread.push(name);
        }
      }
    }));
    return { unread, wrong };
  }

  async #smallOnes(dice: Dice, isOver: () => boolean): Promise<void> {
    using balancer = await this.#balancer(dice);
    while (!isOver()) {
      // Each comes to a server of its own.
      await this.#converse(balancer, undefined, async (client) => {
        const count = 1 + dice.below(8);
        await Promise.all(Array.from({ length: count }, () => this.#putSmall(client, dice)));
        for (let time = 0; time < GETS; time++) await this.#getAny(client, dice);
        if (dice.below(20) === 0) await this.#list(client);
      });
    }
  }

  async #putSmall(client: Client, dice: Dice): Promise<void> {
    const { least, most } = SMALL_BYTES;
    const size = least + dice.below(most - least);
    const { number, name, content } = this.#file(size);
    const isContested = dice.below(4) === 0;
    await this.#put(number, content, isContested ? CONTESTED : name, async (name) => {
      const stored = await client.put(name, content);
      this.deeds.small++;
      return stored.name;
    });
  }

  async #largeOnes(dice: Dice, rate: RateLimit, isOver: () => boolean): Promise<void> {
    using balancer = await this.#balancer(dice);
    while (!isOver()) {
      await this.#converse(
        balancer,
        rate,
        async (client) => await this.#putLarge(client, balancer, dice),
      );
    }
    this.pauses.push(...balancer.pauses);
  }

  async #putLarge(client: Client, balancer: Balancer, dice: Dice): Promise<void> {
    const { least, most } = LARGE_BYTES;
    const { number, name, content } = this.#file(least + dice.below(most - least));
    const path = await this.#local.write(name, content);
    const sending: Sending = { balancer, bytes: 0, isPointedOut: false };
    this.#sending.add(sending);
    const isContested = dice.below(2) === 0;
    await this.#put(number, content, isContested ? CONTESTED : name, async (name) => {
      const stored = await client.put(name, { path }, {
        onProgress: ({ bytes }) => sending.bytes = bytes,
      });
      this.deeds.large++;
      return stored.name;
    });
    this.#sending.delete(sending);
    balancer.settled();
    await Deno.remove(path);
  }

  /** Puts a file, and remembers what becomes of it. */
  async #put(
    number: number,
    content: Uint8Array,
    name: string,
    put: (name: string) => Promise<string>,
  ): Promise<void> {
    const crc = crc32(content);
    this.sent.set(crc, number);
    try {
      const told = await put(name);
      if (this.acknowledged.has(told)) this.toldTwice.push(told);
      this.acknowledged.set(told, { number, crc });
    } catch (error) {
      this.#refused(name, error);
    }
  }

  /** What was acknowledged by one server is there at every other one. */
  async #getAny(client: Client, dice: Dice): Promise<void> {
    const names = [...this.acknowledged.keys()];
    if (names.length === 0) return;
    const name = dice.of(names.slice(-20));
    const { crc } = this.acknowledged.get(name)!;
    try {
      if (await crcOf(client, name) !== crc) this.wrong.push(name);
      this.deeds.gets++;
    } catch (error) {
      const { code } = error as InletError;
      if (code === "not-found" || code === "checksum") this.wrong.push(`${name}: ${code}`);
      else this.#refused(`get ${name}`, error);
    }
  }

  async #list(client: Client): Promise<void> {
    try {
      await Array.fromAsync(client.list());
      this.deeds.lists++;
    } catch (error) {
      this.#refused("a list", error);
    }
  }

  #file(size: number) {
    const number = this.#number++;
    return { number, name: nameOf(number, size), content: contentOf(this.#seed, number, size) };
  }

  async #balancer(dice: Dice): Promise<Balancer> {
    return await Balancer.start(() => this.#servers.ports, dice);
  }

  async #converse(
    { port }: Balancer,
    rate: RateLimit | undefined,
    action: (client: Client) => Promise<void>,
  ): Promise<void> {
    try {
      await using client = await connectTo(port, rate);
      await action(client);
    } catch (error) {
      this.#refused("a conversation", error);
    }
  }

  #refused(what: string, error: unknown): void {
    if (!(error instanceof InletError)) throw error;
    this.refusals.push(`${what}: ${error.code}: ${error.message}`);
  }
}

async function connectTo(port: number, rate?: RateLimit): Promise<Client> {
  return await connect({ hostname: "127.0.0.1", port }, { retries: RETRIES, rate });
}

/** Gets a file, and gives its CRC-32. */
async function crcOf(client: Client, name: string): Promise<number> {
  const { body, verified } = await client.get(name);
  let crc = 0;
  for await (const chunk of body) crc = crc32(chunk, crc);
  await verified;
  return crc;
}
