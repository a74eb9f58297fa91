/**
 * A Ceph that runs, whoever has started it: where it is, who may use it, and buckets in it.
 *
 * @module
 */

import { dirname } from "@std/path/dirname";
import { join } from "@std/path/join";
import { AwsClient } from "aws4fetch";
import { persistently } from "./programs.ts";

/** A bucket that is removed with all that is in it when it goes out of scope. */
export interface TestBucket extends AsyncDisposable {
  readonly name: string;
  /** Its address, for `--store` and INLET_STORE. */
  readonly store: string;
}

/** A Ceph with a gateway that speaks S3. */
export class Ceph {
  /**
   * What programs find it by, in their environment: its endpoint, region and credentials, under the
   * names that Amazon's own tools read, and for those of Ceph its ceph.conf.
   */
  readonly variables: Readonly<Record<string, string>>;
  readonly #client: AwsClient;

  constructor(variables: Readonly<Record<string, string>>) {
    this.variables = variables;
    this.#client = new AwsClient({
      accessKeyId: this.#variable("AWS_ACCESS_KEY_ID"),
      secretAccessKey: this.#variable("AWS_SECRET_ACCESS_KEY"),
      region: this.region,
      service: "s3",
      retries: 0,
    });
  }

  /**
   * A Ceph that another process has started by {@linkcode OwnCeph}.
   *
   * @param conf The path of its ceph.conf.
   */
  static async at(conf: string): Promise<Ceph> {
    const lines = (await Deno.readTextFile(variablesPath(conf))).trim().split("\n");
    return new Ceph(Object.fromEntries(lines.map((line) => line.split(/=(.*)/).slice(0, 2))));
  }

  /** The gateway: `http://127.0.0.1:PORT`. */
  get endpoint(): string {
    return this.#variable("AWS_ENDPOINT_URL_S3");
  }

  /** The region that requests are signed for. */
  get region(): string {
    return this.#variable("AWS_REGION");
  }

  /** Makes a bucket. Without a name it gets a random one. */
  async makeBucket(name = `test-${crypto.randomUUID()}`): Promise<TestBucket> {
    await (await this.fetch(name, { method: "PUT" })).body?.cancel();
    return {
      name,
      store: `s3://${name}`,
      [Symbol.asyncDispose]: () => this.#removeBucket(name),
    };
  }

  /**
   * Sends a request that is signed, as another program would.
   *
   * @param path Behind the slash of the endpoint, percent-encoded.
   * @throws {Error} if the answer tells of an error
   */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const response = await this.#client.fetch(`${this.endpoint}/${path}`, init);
    if (response.ok) return response;
    throw new Error(
      `${init.method ?? "GET"} /${path}: ${response.status} ${await response.text()}`,
    );
  }

  /** A URL by which any program gets an object, for a day. */
  async signedUrl(path: string): Promise<string> {
    const init = { aws: { signQuery: true } };
    return (await this.#client.sign(`${this.endpoint}/${path}`, init)).url;
  }

  /**
   * Has everything removed that was deleted or replaced before. The gateway may be at work on a part of
   * it, which is passed over then, so it is looked whether it has gone.
   */
  async collectGarbage(): Promise<void> {
    const garbage = await this.#garbage();
    do await this.ask(["radosgw-admin", "gc", "process", "--include-all"]); while (
      !garbage.isDisjointFrom(await this.#garbage())
    );
  }

  /** The tags of what will be removed. */
  async #garbage(): Promise<Set<string>> {
    const list = await this.ask(["radosgw-admin", "gc", "list", "--include-all"]);
    return new Set(JSON.parse(list).map(({ tag }: { tag: string }) => tag));
  }

  /** Runs one of Ceph's own programs, and gives what it prints. */
  async ask([program, ...args]: readonly [string, ...string[]]): Promise<string> {
    return await persistently(program, ["-c", this.#variable("CEPH_CONF"), ...args]);
  }

  /** By the gateway's own interface for administrators: whatever keys and uploads are in it. */
  async #removeBucket(name: string): Promise<void> {
    const path = `admin/bucket?bucket=${name}&purge-objects=true`;
    await (await this.fetch(path, { method: "DELETE" })).body?.cancel();
  }

  #variable(name: string): string {
    const value = this.variables[name];
    if (value === undefined) throw new Error(`${name} is missing`);
    return value;
  }
}

/** The variables of an environment as `KEY=VALUE` lines, which a shell understands. */
export function linesOf(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables).map(([name, value]) => `${name}=${value}\n`).join("");
}

/** Where the variables of a Ceph are kept for other processes: beside its ceph.conf. */
export function variablesPath(conf: string): string {
  return join(dirname(conf), "variables");
}
