/**
 * The way that a transfer takes between two clients that have proved themselves to each other over the
 * server: directly, where one can reach the other, else over the server. O offers, A accepts; all but
 * `join` is within the proved TLS:
 *
 * 1. A: `proof;reach=TICKET%20PORT%20HOST... DIGEST`. Without `reach`, the way is over the server.
 * 2. O: `reach TICKET PORT HOST...`; or its greeting, and so the way is over the server.
 * 3. Both connect to the hosts of the other: `join TICKET`, TLS, and A's `proof` there too.
 * 4. O: `over` once all its attempts to connect are over.
 * 5. A: `go` on the first direct way that is proved; over the server after two seconds, or once the
 *    attempts of both have failed. So exactly one way has a `go`. O answers one over the server with
 *    `over`, if it has not said that yet.
 * 6. O: its greeting, on the way with the `go`. The others are closed.
 *
 * @module
 */

import {
  decodeDirect,
  encodeDirect,
  MAX_LINE_BYTES,
  parseReach,
  type Reach,
} from "../../protocol.ts";
import type { CodeSecret } from "../../lib/auth/code_secret.ts";
import { encodeError, explain, InletError, refusalInLine } from "../../lib/errors.ts";
import { AwakeTimer } from "../../lib/net/awake.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { readWholeLine } from "../../lib/net/whole_line.ts";
import { DIAL_MS, DirectTry } from "./direct_try.ts";
import { hostsToDial, mayReachAnybody, ownHosts, type Standing } from "./reach.ts";
import {
  enterWithProof,
  openToProof,
  type Proved,
  type Receiver,
  type TunnelOptions,
} from "./tunnel.ts";

/** A way that was decided for. */
export interface Way {
  readonly connection: Connection;
  readonly isDirect: boolean;
}

/** What both sides need to find a way. */
export interface WayOptions {
  readonly secret: CodeSecret;
  /** How this side has reached the server. */
  readonly standing: Standing;
  /** Whether a direct way is wanted. */
  readonly isDirect: boolean;
  readonly tunnel: TunnelOptions & { readonly signal: AbortSignal };
  /** Closes the connections below the tunnels: later than the tunnels, which have last words. */
  readonly carrier: AbortSignal;
}

const GO = encodeDirect({ type: "go" });
const OVER = encodeDirect({ type: "over" });

/**
 * Proves the accepting side to the other end of a pipe over the server, and finds the way to receive by.
 *
 * @throws {InletError} as `enterWithProof()`; `denied` if the other side names addresses that no client
 * may name
 */
export async function acceptWay(
  pipe: ByteStream,
  receiver: Pick<Receiver, "id" | "isAgain">,
  options: WayOptions,
): Promise<Way> {
  const { secret, standing, tunnel } = options;
  const secure = (stream: ByteStream): Promise<Connection> =>
    enterWithProof(stream, secret, receiver, tunnel);
  using guard = new DisposableStack();
  let own: DirectTry | undefined;
  const reach = async (): Promise<Reach | undefined> => {
    own = await openTry(options, secure);
    return own && reachOf(guard.use(own), standing);
  };
  const relay = guard.use(await enterWithProof(pipe, secret, { ...receiver, reach }, tunnel));
  const way = await decideWay(relay, own, standing);
  guard.move();
  return way;
}

/**
 * Finds the way to send by, to a receiver that has proved itself over the server.
 *
 * @throws {InletError} `denied` if the other side names addresses that no client may name
 */
export async function offerWay({ connection, reach }: Proved, options: WayOptions): Promise<Way> {
  const { secret, standing, tunnel } = options;
  const own = reach === undefined ? undefined : await openTry(
    options,
    async (stream) => (await openToProof(stream, secret, tunnel)).connection,
  );
  if (reach === undefined || !own) return { connection, isDirect: false };
  return await awaitWay(connection, own, reach, standing);
}

/** Listens, if this side wants a direct way, and may have one. */
async function openTry(
  { isDirect, standing: { local }, tunnel, carrier }: WayOptions,
  secure: (stream: ByteStream) => Promise<Connection>,
): Promise<DirectTry | undefined> {
  if (!isDirect || local === "" || !mayReachAnybody()) return undefined;
  const { idleTimeoutMs } = tunnel;
  return await DirectTry.open(local, { idleTimeoutMs, signal: carrier, secure });
}

/** Where this side can be reached for one try; `undefined` if it cannot. */
export function reachOf({ ticket, port }: DirectTry, standing: Standing): Reach | undefined {
  const hosts = ownHosts(standing);
  return hosts.length > 0 && port >= 1024 ? { ticket, port, hosts } : undefined;
}

/**
 * Decides as the accepting side, which has sent its proof. What the other side says first over the
 * server is left unread, unless it is a `reach`.
 *
 * @param relay The tunnel over the server.
 * @param own Its own try, which is over afterwards; `undefined` if it named no `reach`.
 * @throws {InletError} `denied` if the other side names addresses that no client may name
 */
export async function decideWay(
  relay: Connection,
  own: DirectTry | undefined,
  standing: Standing,
): Promise<Way> {
  using ways = own;
  const line = await relay.peekLine(MAX_LINE_BYTES);
  if (!line.startsWith("reach ") || !ways) return { connection: relay, isDirect: false };
  return await telling(relay, async () => {
    const reach = asReach(await relay.readLine());
    const hosts = hostsToDial(reach.hosts, standing);
    const { promise, resolve, reject } = Promise.withResolvers<Way>();
    const onProved = (connection: Connection): void => resolve({ connection, isDirect: true });
    const onFailed = (): void => resolve({ connection: relay, isDirect: false });
    ways.accept(onProved);
    const othersAreOver = hears(relay, "over");
    Promise.all([ways.dial(hosts, reach, onProved), othersAreOver]).then(onFailed, reject);
    using _ = new AwakeTimer(DIAL_MS, onFailed);
    const way = await promise;
    await way.connection.write(GO);
    if (way.isDirect) ways.keep(way.connection);
    else await othersAreOver;
    return way;
  });
}

/**
 * Waits as the offering side for the decision.
 *
 * @param relay The tunnel over the server, whose other side has proved itself. It is closed if the way
 * is a direct one.
 * @param own Its own try, which is over afterwards.
 * @param theirs Where the other side can be reached, as it says.
 * @throws {InletError} `denied` if the other side names addresses that no client may name
 */
export async function awaitWay(
  relay: Connection,
  own: DirectTry,
  theirs: string,
  standing: Standing,
): Promise<Way> {
  using ways = own;
  const reach = reachOf(ways, standing);
  if (!reach) return { connection: relay, isDirect: false };
  return await telling(relay, async () => {
    const other = parseReach(theirs);
    const hosts = hostsToDial(other.hosts, standing);
    await relay.write(encodeDirect({ type: "reach", reach }));
    const { promise, resolve, reject } = Promise.withResolvers<Way>();
    const onProved = (connection: Connection): void => {
      const chosen = (): void => resolve({ connection, isDirect: true });
      hears(connection, "go").then(chosen, () => connection[Symbol.dispose]());
    };
    let told: Promise<void> | undefined;
    const tellOver = (): Promise<void> => told ??= relay.write(OVER);
    ways.accept(onProved);
    ways.dial(hosts, other, onProved).then(tellOver).catch(reject);
    hears(relay, "go").then(tellOver)
      .then(() => resolve({ connection: relay, isDirect: false }), reject);
    const way = await promise;
    if (way.isDirect) {
      ways.keep(way.connection);
      relay[Symbol.dispose]();
    }
    return way;
  });
}

/** What goes wrong is told to the other side. */
async function telling(relay: Connection, action: () => Promise<Way>): Promise<Way> {
  try {
    return await action();
  } catch (error) {
    relay.farewell ??= encodeError;
    await relay.finish(explain(error));
    throw error;
  }
}

/** Waits for one line of the other side. */
async function hears(connection: Connection, type: "over" | "go"): Promise<void> {
  const line = await readWholeLine(connection);
  if (line === null) throw new InletError("lost", "The other side closed the connection");
  const refusal = refusalInLine(line);
  if (refusal) throw refusal;
  if (decodeDirect(line).type === type) return;
  throw new InletError("bad-request", `The other side did not say "${type}"`);
}

function asReach(line: string | null): Reach {
  const decoded = decodeDirect(line ?? "");
  if (decoded.type === "reach") return decoded.reach;
  throw new InletError("bad-request", 'The other side did not say "reach"');
}
