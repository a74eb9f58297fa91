/**
 * Several servers on one bucket, of which any can be killed.
 *
 * @module
 */

import { freePort, startServer, type TestServer } from "../helpers.ts";

/** Where the bucket is. */
export interface Place {
  /** Its address: `s3://BUCKET/PREFIX`. */
  readonly store: string;
  /** What a server finds the object store by. */
  readonly env: Readonly<Record<string, string>>;
}

/** Servers that share nothing but the bucket. They stop when they go out of scope. */
export class BucketServers implements AsyncDisposable {
  /** What those that were killed have said. */
  readonly lastWords: string[] = [];
  readonly #place: Place;
  readonly #servers: TestServer[];

  private constructor(place: Place, servers: TestServer[]) {
    this.#place = place;
    this.#servers = servers;
  }

  /** Starts so many servers. */
  static async start(place: Place, count: number): Promise<BucketServers> {
    const servers = await Promise.all(Array.from({ length: count }, () => start(place)));
    return new BucketServers(place, servers);
  }

  /** The ports of all. */
  get ports(): readonly number[] {
    return this.#servers.map(({ port }) => port);
  }

  /** What all of them have logged, also those that were killed. */
  get log(): string {
    return [...this.lastWords, ...this.#servers.map(({ running }) => running.log)].join("\n");
  }

  /** Kills the server at a port as a power cut would, and starts another one in its place. */
  async kill(port: number): Promise<void> {
    const index = this.#servers.findIndex((server) => server.port === port);
    const killed = this.#servers[index];
    if (!killed) return;
    await killed.running.stop("SIGKILL");
    this.lastWords.push(killed.running.log);
    this.#servers[index] = await start(this.#place);
    await killed[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server[Symbol.asyncDispose]()));
  }
}

async function start({ store, env }: Place): Promise<TestServer> {
  // Whoever is at a server that was killed asks for it again. Its port must not be another test's by then.
  return await startServer({ store, env, port: freePort(), args: ["--max-clients", "1000"] });
}
