/**
 * A server on trial: what was sent to it, and what has to be true of it after every fault.
 *
 * @module
 */

import { allOf, type Reachable } from "../helpers.ts";
import { assert, assertEquals } from "@std/assert";
import { type Credential, credentialOf } from "../../lib/auth/credential.ts";
import { connect } from "../../lib/net/connect.ts";
import { Progress } from "../../lib/cli/progress.ts";
import { FilesClient } from "../../modes/files/client.ts";
import { contentOf, inspect, nameOf } from "./content.ts";

/** Where a server is, and which process. */
export interface ServerOnTrial extends Reachable {
  /** Its directory of received files. */
  readonly dir: string;
  readonly pid: number;
  readonly running: { readonly log: string };
}

/** What a process holds. Where the system does not tell there is nothing to compare. */
export interface Holdings {
  /**
   * Descriptors of connections and of stored files. Deno opens others when it likes. Of this process
   * connections do not count: other tests have them.
   */
  descriptors: number;
  /** Bytes of its memory that are in use. */
  rssBytes: number;
}

/** Bytes of a file that honest clients send. */
const HONEST_BYTES = 1000;

/** Milliseconds that an honest client waits for anything. */
const PATIENCE_MS = 30_000;

/** Everything that was sent to one directory, and what of it was acknowledged. */
export class Trial {
  readonly seed: number;
  /** Names of the files that have to be there. */
  readonly acknowledged = new Set<string>();
  /** Names of files that may be there, whole: sent, with the acknowledgement lost on its way. */
  readonly possible = new Set<string>();
  /** Acknowledged files that were looked for and not found, so far. */
  lost = 0;
  /** Files under a final name that were not what they should be, so far. */
  partial = 0;
  #number = 0;

  constructor(seed: number) {
    this.seed = seed;
  }

  /** Numbers for so many new files: the first of them. */
  take(count: number): number {
    this.#number += count;
    return this.#number - count;
  }

  /** Puts a new file, and gets it back. */
  async useHonestly(client: FilesClient, size = HONEST_BYTES): Promise<number> {
    const number = this.take(1);
    const name = nameOf(number, size);
    const content = contentOf(this.seed, number, size);
    assertEquals((await client.put(bytesSource(name, content))).name, name);
    this.acknowledged.add(name);
    const got = await client.get(name, { write: () => {} });
    assertEquals(got.size, size);
    return number;
  }

  /**
   * Waits until the server has done with everybody else, uses it, and looks at all that it has.
   *
   * @throws {AssertionError} if anything is lost, partial, left over or out of order
   */
  async assertSound(server: ServerOnTrial): Promise<void> {
    const listed = await withClient(server, async (client) => {
      await isAlone(client);
      await this.useHonestly(client);
      return (await allOf(client.list())).map(({ name }) => name);
    });
    assertEquals(new Set(listed), await this.look(server.dir));
    assert(!server.running.log.includes("inside"), server.running.log);
  }

  /**
   * Looks at every file in a directory where nothing is in flight.
   *
   * @returns Their names.
   * @throws {AssertionError} if anything is lost, partial, left over or unheard of
   */
  async look(directory: string): Promise<Set<string>> {
    const { names, ...faults } = await inspect(directory, this.seed, this.acknowledged);
    this.lost += faults.lost.length;
    this.partial += faults.partial.length;
    assertEquals(faults, { partial: [], temporary: [], lost: [] });
    assertEquals(names.difference(this.acknowledged).difference(this.possible), new Set());
    return names;
  }

  /** Takes away all that was stored, so that a long trial does not end in a huge directory. */
  clear({ dir }: { dir: string }): void {
    for (const { name } of Deno.readDirSync(dir)) {
      Deno.removeSync(`${dir}/${name}`, { recursive: true });
    }
    this.acknowledged.clear();
    this.possible.clear();
  }
}

const credentials = new Map<string, Promise<Credential>>();

/** What a client has to know of a server with that key. It is derived once. */
export async function credentialFor({ key }: Reachable): Promise<Credential | undefined> {
  if (key === undefined) return undefined;
  const known = credentials.get(key) ?? credentialOf(key);
  credentials.set(key, known);
  return await known;
}

/** Has one conversation with a server. */
export async function withClient<T>(
  at: Reachable,
  action: (client: FilesClient) => Promise<T>,
  signal = new AbortController().signal,
): Promise<T> {
  const credential = await credentialFor(at);
  const { port } = at;
  using connection = await connect({ hostname: "127.0.0.1", port }, {
    timeoutMs: PATIENCE_MS,
    signal,
    server: credential?.server,
  });
  const context = {
    progress: new Progress(),
    output: () => Promise.resolve(),
    prove: credential?.prove,
  };
  const client = await FilesClient.greet(connection, "honest", context);
  const result = await action(client);
  await client.exit();
  return result;
}

/** Asks until nobody else is connected. Those who came first are accepted first. */
export async function isAlone(client: FilesClient): Promise<void> {
  for (;;) {
    const connected = (await allOf(client.status())).filter((line) =>
      line.endsWith("Still Connected")
    );
    if (connected.length <= 1) return;
  }
}

/** Something to send that is in memory. */
export function bytesSource(name: string, content: Uint8Array<ArrayBuffer>) {
  return {
    label: name,
    name,
    size: null,
    open: () => ({ stream: new Blob([content]).stream(), [Symbol.dispose]: () => {} }),
  } as const;
}

/** What a process holds now that stores into a directory. */
export function holdingsOf({ dir, pid }: { dir: string; pid: number }): Holdings {
  if (Deno.build.os !== "linux") return { descriptors: 0, rssBytes: 0 };
  const open = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => targetOf(pid, name));
  const local = Deno.readTextFileSync(`/proc/${pid}/net/unix`);
  const descriptors = open.filter((path) => {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(path) ?? [];
    if (inode === undefined) return path.startsWith(dir);
    return pid !== Deno.pid && !local.includes(` ${inode}`);
  });
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const rssBytes = Number(/VmRSS:\s*(\d+)/.exec(status)![1]) * 1024;
  return { descriptors: descriptors.length, rssBytes };
}

/** What a descriptor stands for, such as `socket:[4711]`; nothing where it was closed just now. */
function targetOf(pid: number, descriptor: string): string {
  try {
    return Deno.readLinkSync(`/proc/${pid}/fd/${descriptor}`);
  } catch {
    return "";
  }
}

/**
 * Waits until a server holds no more descriptors than before: connections are closed a moment after
 * they have ended, and no event tells of it.
 *
 * @throws {AssertionError} if it still does after 60 s
 */
export async function givesBack(
  server: ServerOnTrial,
  before: Holdings,
): Promise<Holdings> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const holdings = holdingsOf(server);
    if (holdings.descriptors <= before.descriptors) return holdings;
    assert(performance.now() < deadline, `it holds ${JSON.stringify(holdings)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether there is at least so much of each kind. */
export function isAtLeast<T extends object>(wanted: Partial<T>, seen: T): boolean {
  return Object.entries(wanted).every(([kind, least]) =>
    Number(seen[kind as keyof T]) >= Number(least)
  );
}
