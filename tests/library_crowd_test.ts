/**
 * Many calls of one client at the same time, of all kinds, some of which fail or are given up at any
 * moment: no other call may suffer from it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Client, connect } from "../client.ts";
import { serve } from "../server.ts";
import { integration, tempDir } from "./helpers.ts";
import { bytes, noise } from "./library_pair.ts";

const CALLS = 400;

/** Numbers from 0 to 1 that are the same for the same seed. */
function randomOf(seed: number): () => number {
  return () => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff) / 0x7fff_ffff;
}

/** One client, and calls that check what they get. */
class Crowd {
  /** The CRC-32 of each stored file. */
  readonly stored = new Map<string, number>();
  readonly #client: Client;
  readonly #random: () => number;
  readonly #content = noise(2_000_000);

  constructor(client: Client, random: () => number) {
    this.#client = client;
    this.#random = random;
  }

  /** Makes a call. What may go wrong with it must be its own fault. */
  async call(number: number): Promise<void> {
    const size = this.#pick([0, 1, 1000, 70_000, 600_000, 2_000_000]);
    const signal = this.#random() < 0.6 ? undefined : AbortSignal.timeout(20 * this.#random());
    const [kind, make, allowed] = this.#pick(this.#kinds(`f/${number}`, size, { signal }));
    try {
      await make();
    } catch (error) {
      if (signal?.aborted && error === signal.reason) return;
      const { code } = error as { code?: string };
      assert(code !== undefined && code === allowed, `${kind}: ${Deno.inspect(error)}`);
    }
  }

  #kinds(name: string, size: number, how: { signal: AbortSignal | undefined }) {
    const client = this.#client;
    const content = this.#content.subarray(0, size);
    const put = async (given: Parameters<Client["put"]>[1], size?: number): Promise<void> => {
      const { name: stored, crc } = await client.put(name, given, { ...how, size });
      this.stored.set(stored, crc);
    };
    const get = () => client.get(this.#pick([...this.stored.keys()]), how);
    const kinds: [kind: string, make: () => Promise<unknown>, allowed?: string][] = [
      ["bytes", () => put(content)],
      ["blob", () => put(new Blob([content as BlobPart]))],
      ["stream", () => put(this.#stream(content))],
      ["sized", () => put(this.#stream(content), size)],
      ["lie", () => put(this.#stream(content), size + 1), "changed"],
      ["failing", () => put(this.#stream(content, new Error("boom"))), "aborted"],
      ["failing, sized", () => put(this.#stream(content, new Error("boom")), 1e7), "aborted"],
      ["get", async () => {
        const { name, size, body, verified } = await get();
        assertEquals((await new Response(body).bytes()).length, size);
        assertEquals((await verified).crc, this.stored.get(name));
      }],
      ["cancel", async () => await (await get()).body.cancel()],
      ["missing", () => client.get("missing", how), "not-found"],
      ["list", () => Array.fromAsync(client.list(how))],
      ["break", async () => {
        for await (const _ of client.tree("/", how)) if (this.#random() < 0.3) break;
      }],
      ["chat", () => client.chat("hello", how)],
      ["mkdir", () => client.mkdir("folder", how)],
      ["compare", () => client.compare(name, content, how)],
      ["status", () => client.status(how)],
    ];
    return kinds;
  }

  #stream(content: Uint8Array, failure?: Error): ReadableStream<Uint8Array> {
    let at = 0;
    return new ReadableStream({
      pull(controller): void {
        if (at < content.length) controller.enqueue(content.subarray(at, at += 50_000));
        else if (failure) controller.error(failure);
        else controller.close();
      },
    });
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random() * all.length)]!;
  }
}

for (const key of [undefined, "a key of sixteen characters"]) {
  const how = key === undefined ? "in the clear" : "encrypted";
  integration(`calls of one client that fail leave the others alone (${how})`, async () => {
    await using local = await tempDir();
    const sealed = key === undefined ? {} : { key };
    await using server = await serve({ directory: local.path, log: () => {}, ...sealed });
    await using client = await connect(server.address, sealed);
    const random = randomOf(28);
    const crowd = new Crowd(client, random);
    crowd.stored.set("first", (await client.put("first", bytes("hello\n"))).crc);
    for (let number = 0; number < CALLS;) {
      const together = 1 + Math.floor(random() * 12);
      await Promise.all(Array.from({ length: together }, () => crowd.call(number++)));
    }
    for (const [name, crc] of crowd.stored) {
      const { body, verified } = await client.get(name);
      await body.pipeTo(new WritableStream());
      assertEquals((await verified).crc, crc);
    }
  }, { sanitized: true });
}
