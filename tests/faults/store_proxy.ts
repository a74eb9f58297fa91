/**
 * A gateway of an object store that misbehaves: a proxy in front of a real one, which delays, breaks,
 * repeats and refuses requests, on real sockets.
 *
 * A path goes on as it came, byte for byte, and so does Host, which is signed.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { concat } from "@std/bytes/concat";
import { AwsV4Signer } from "aws4fetch";
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { Ceph } from "../ceph/ceph.ts";
import type { Dice } from "./content.ts";

/** What becomes of a request. */
export const STORE_FAULTS = [
  /** It is passed on after a while. */
  "delay",
  /** The connection is reset, and the store never sees the request. */
  "cut before",
  /** The store does what it is asked, and the connection is reset in the place of its answer. */
  "cut after",
  /** The connection is reset in the middle of the answer. */
  "cut within",
  /** The store gets it twice at once. */
  "twice",
  /** The store gets it again once it has answered, and the second answer is given. */
  "repeated",
  /** The store gets it again, some time after it was answered. */
  "late copy",
  /** 503 SlowDown, and the store never sees it. */
  "slow down",
  /** 403 QuotaExceeded, and the store never sees it. */
  "full",
  /** The store does what it is asked, and the answer is 500 InternalError. */
  "error after",
  /** No answer comes, and the store never sees it. */
  "hang before",
  /** The store does what it is asked, and no answer comes. */
  "hang after",
] as const;

/** One of {@linkcode STORE_FAULTS}. */
export type StoreFault = typeof STORE_FAULTS[number];

/** A request as it came. */
export interface StoreRequest {
  /** In capitals. */
  readonly method: string;
  /** Behind the slash: the bucket, and percent-encoded the key. */
  readonly path: string;
  /** Behind the question mark; empty without one. */
  readonly query: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Bytes of its body. */
  readonly size: number;
}

/** How a store misbehaves. */
export interface Misbehaviour {
  /** What becomes of a request. It is held as long as this takes. */
  fault?(request: StoreRequest): StoreFault | undefined | Promise<StoreFault | undefined>;
  /** Whether conditions of a PUT are ignored, as by some stores. */
  ignoresConditions?: boolean;
  /**
   * Milliseconds of a delay, and until a late copy, at most.
   *
   * @default 2000
   */
  lateMs?: number;
  /** What a late copy waits for, in the place of a time. */
  late?: Promise<void>;
}

/** Faults for a share of the requests, in percent, but those that take minutes or are for good. */
export function randomFaults(dice: Dice, percent: number): Required<Misbehaviour>["fault"] {
  const quick = STORE_FAULTS.filter((fault) => !fault.startsWith("hang") && fault !== "full");
  return () => dice.below(100) < percent ? dice.of(quick) : undefined;
}

/** Headers of a PUT that it does not keep when its conditions are taken from it. */
const SIGNED_ANEW = [
  "if-none-match",
  "if-match",
  "authorization",
  "content-length",
  "host",
  "x-amz-date",
];

/** A Ceph behind a proxy. */
export class StoreProxy extends Ceph implements AsyncDisposable {
  /** All requests so far, in the order in which they came. */
  readonly requests: StoreRequest[] = [];
  /** How often each fault has been done. */
  readonly faults = new Map<StoreFault, number>();
  /** How it misbehaves from now on. */
  misbehaviour: Misbehaviour;
  readonly #ceph: Ceph;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #server: Server;
  /** Requests that the store gets behind its client's back. */
  readonly #late = new Set<Promise<void>>();

  private constructor(ceph: Ceph, server: Server, misbehaviour: Misbehaviour) {
    const { port } = server.address() as AddressInfo;
    super({ ...ceph.variables, AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}` });
    this.#ceph = ceph;
    this.#server = server;
    this.misbehaviour = misbehaviour;
    server.on("request", (incoming: IncomingMessage, answer: ServerResponse) => {
      // The client has gone, or the store has.
      this.#serve(incoming, answer).catch(() => reset(incoming));
    });
  }

  /** Listens in the place of a gateway. */
  static async start(ceph: Ceph, misbehaviour: Misbehaviour = {}): Promise<StoreProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new StoreProxy(ceph, server, misbehaviour);
  }

  /** Waits until the store has got all that it gets late. */
  async settle(): Promise<void> {
    while (this.#late.size > 0) await Promise.all(this.#late);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settle();
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = await buffer(incoming);
    const { method, headers } = incoming;
    const [path = "", query = ""] = incoming.url!.slice(1).split(/\?(.*)/s);
    const seen: StoreRequest = { method: method!, path, query, headers, size: body.length };
    this.requests.push(seen);
    const fault = await this.misbehaviour.fault?.(seen);
    if (fault) this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
    const forward = (): Promise<IncomingMessage> => this.#forward(incoming, body);
    switch (fault) {
      case "delay":
        await this.#aWhile();
        return await passOn(await forward(), answer);
      case "cut before":
        return reset(incoming);
      case "cut after":
        await buffer(await forward());
        return reset(incoming);
      case "cut within":
        return await cutWithin(await forward(), answer, incoming);
      case "twice": {
        const [first, second] = await Promise.all([forward(), forward()]);
        await Promise.all([passOn(first, answer), buffer(second)]);
        return;
      }
      case "repeated":
        await buffer(await forward());
        return await passOn(await forward(), answer);
      case "late copy":
        await passOn(await forward(), answer);
        return this.#later(forward);
      case "slow down":
        return refuse(answer, 503, "SlowDown");
      case "full":
        return refuse(answer, 403, "QuotaExceeded");
      case "error after":
        await buffer(await forward());
        return refuse(answer, 500, "InternalError");
      case "hang before":
        return;
      case "hang after":
        await buffer(await forward());
        return;
      case undefined:
        return await passOn(await forward(), answer);
    }
  }

  /** Sends a request to the store once more, some time from now. */
  #later(forward: () => Promise<IncomingMessage>): void {
    const copy = (this.misbehaviour.late ?? this.#aWhile())
      .then(async () => void await buffer(await forward()))
      .catch(() => {})
      .finally(() => this.#late.delete(copy));
    this.#late.add(copy);
  }

  #aWhile(): Promise<void> {
    return delay(Math.random() * (this.misbehaviour.lateMs ?? 2000));
  }

  /** Sends a request to the store, and gives its answer. */
  async #forward(incoming: IncomingMessage, body: Uint8Array): Promise<IncomingMessage> {
    const { hostname, port } = new URL(this.#ceph.endpoint);
    const headers = await this.#headersFor(incoming);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const { method, url: path } = incoming;
    request({ hostname, port, method, path, headers, agent: this.#agent }, resolve)
      .on("error", reject)
      .end(body);
    return await promise;
  }

  /** The same, or signed anew without conditions. */
  async #headersFor(incoming: IncomingMessage): Promise<Record<string, string | string[]>> {
    const { connection: _, ...headers } = incoming.headers;
    const { ignoresConditions } = this.misbehaviour;
    const isConditional = "if-none-match" in headers || "if-match" in headers;
    if (incoming.method !== "PUT" || !ignoresConditions || !isConditional) return defined(headers);
    const others = defined(headers);
    for (const name of SIGNED_ANEW) delete others[name];
    const signer = new AwsV4Signer({
      method: "PUT",
      url: `${this.#ceph.endpoint}${incoming.url}`,
      headers: others as Record<string, string>,
      accessKeyId: this.#ceph.variables.AWS_ACCESS_KEY_ID!,
      secretAccessKey: this.#ceph.variables.AWS_SECRET_ACCESS_KEY!,
      region: this.#ceph.region,
      service: "s3",
    });
    const signed = await signer.sign();
    return {
      ...Object.fromEntries(signed.headers),
      "content-length": headers["content-length"] ?? "0",
    };
  }
}

/** All of a body. */
async function buffer(stream: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return concat(chunks);
}

/** Gives the answer of the store to the client. */
async function passOn(from: IncomingMessage, answer: ServerResponse): Promise<void> {
  writeHead(from, answer);
  await pipeline(from, answer);
}

/** Gives some of the answer to the client, and resets the connection. */
async function cutWithin(
  from: IncomingMessage,
  answer: ServerResponse,
  incoming: IncomingMessage,
): Promise<void> {
  for await (const chunk of from) {
    writeHead(from, answer);
    const half = chunk.subarray(0, Math.floor(chunk.length / 2));
    await new Promise<void>((resolve) => answer.write(half, () => resolve()));
    break;
  }
  reset(incoming);
}

function writeHead({ statusCode, headers }: IncomingMessage, answer: ServerResponse): void {
  const { connection: _, "keep-alive": __, "transfer-encoding": ___, ...others } = headers;
  answer.sendDate = false;
  answer.writeHead(statusCode!, defined(others));
}

function refuse(answer: ServerResponse, status: number, code: string): void {
  answer.writeHead(status, { "content-type": "application/xml" });
  answer.end(answer.req.method === "HEAD" ? "" : `<Error><Code>${code}</Code></Error>`);
}

/** Ends a connection by a RST, with nothing more said. */
function reset({ socket }: IncomingMessage): void {
  socket.resetAndDestroy();
}

/** The headers that are there. */
function defined(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string | string[]] =>
      entry[1] !== undefined
    ),
  );
}
