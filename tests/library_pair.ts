/**
 * A server and a client of the library in the test's own process, and bodies for them.
 *
 * @module
 */

import { type Client, connect, type ConnectOptions } from "../client.ts";
import { serve, type ServeOptions, type Server } from "../server.ts";
import { tempDir } from "./helpers.ts";

const QUIET = { quiet: true };

/** A server in this process, and a client of it. */
export interface Pair extends AsyncDisposable {
  readonly server: Server;
  readonly client: Client;
  /** Where the server stores. */
  readonly directory: string;
}

/** Starts a server, and connects to it. */
export async function pair(
  options: ServeOptions = {},
  clientOptions: ConnectOptions = {},
): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir());
  const directory = `${path}/received`;
  const server = stack.use(await serve({ directory, log: QUIET, ...options }));
  const client = stack.use(await connect(server.address, clientOptions));
  const parts = stack.move();
  const dispose = () => parts.disposeAsync();
  return { server, client, directory, [Symbol.asyncDispose]: dispose };
}

/** The bytes of a text. */
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A stream of texts. */
export function streamOf(...texts: string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(texts.map(bytes));
}

/** A stream that gives one text, and then nothing and no end. */
export function endless(
  text: string,
): { stream: ReadableStream<Uint8Array>; ended: Promise<unknown> } {
  const { promise: ended, resolve } = Promise.withResolvers<unknown>();
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes(text)),
    cancel: (reason) => resolve(reason),
  });
  return { stream, ended };
}

/** Bytes that no two places have in common. */
export function noise(size: number): Uint8Array {
  const all = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(all.subarray(at, at + 65_536));
  return all;
}

/** Has clients come one after another, ten at a time, which each do a little of everything, and leave. */
export async function visit(server: Deno.NetAddr, from: number, to: number): Promise<void> {
  // One for all of them, as a program has.
  const { signal } = new AbortController();
  const content = noise(10_000);
  const one = async (number: number): Promise<void> => {
    await using client = await connect(server, { signal });
    const name = `${number % 10}/${number}`;
    await client.put(name, content, { signal });
    const { body } = await client.get(name, { signal });
    if (number % 3 === 0) await body.cancel();
    if (number % 3 === 1) await new Response(body).bytes();
    for await (const _ of client.tree(`${number % 10}`, { signal })) break;
    await client.chat("hello", { signal });
  };
  for (let number = from; number < to; number += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, index) => one(number + index)));
  }
}
