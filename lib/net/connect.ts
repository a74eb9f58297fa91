/**
 * Connects to a server. All outgoing sockets are opened here.
 *
 * @module
 */

import { formatAddress, type ServerAddress, zoneOf } from "../address.ts";
import type { PublicIdentity } from "../auth/identity.ts";
import { AwakeTimer } from "./awake.ts";
import { type ByteStream, refusalOfItself, TcpStream } from "./byte_stream.ts";
import { Connection } from "./connection.ts";
import type { ConnectionOptions } from "./connection_options.ts";
import { InletError } from "../errors.ts";
import { systemCode } from "../system_errors.ts";
import type { RateLimit } from "./rate_limit.ts";

/** Options of {@linkcode connect}. */
export interface ConnectOptions {
  /** Timeout of connecting, then the idle timeout of the connection, in milliseconds. */
  timeoutMs: number;
  /** Aborts connecting, and then the connection, with its reason. */
  signal: AbortSignal;
  /** The limit on bytes per second, both directions together. */
  rate?: RateLimit | undefined;
  /** Whether the connection must be one that can be reset. */
  resettable?: boolean;
  /** The server to talk to, encrypted: no other one is told anything. */
  server?: PublicIdentity | undefined;
}

/**
 * Connects to a server.
 *
 * @throws {InletError} `lost`, with the reason; `untrusted` if it is not the server that
 * was asked for
 */
export async function connect(
  address: ServerAddress,
  options: ConnectOptions,
): Promise<Connection> {
  const timeout = new AbortController();
  using _ = new AwakeTimer(options.timeoutMs, () => timeout.abort());
  const signal = AbortSignal.any([timeout.signal, options.signal]);
  try {
    const dialled = await dial(address, signal, options);
    const stream = await secured(dialled, signal, options);
    return new DialledConnection(stream, dialled.local, {
      idleTimeoutMs: options.timeoutMs,
      signal: options.signal,
      rate: options.rate,
    });
  } catch (cause) {
    if (options.signal.aborted) throw options.signal.reason;
    if (cause instanceof InletError && !timeout.signal.aborted) throw cause;
    const why = timeout.signal.aborted
      ? `no answer within ${options.timeoutMs / 1000} s`
      : await reason(address, cause);
    throw new InletError("lost", `Cannot connect to ${formatAddress(address)}: ${why}`, { cause });
  }
}

/** A connection that has its part of the limit until it is disposed of. */
class DialledConnection extends Connection {
  readonly local: string | undefined;
  readonly #part: DisposableStack = new DisposableStack();

  constructor(stream: ByteStream, local: string | undefined, options: ConnectionOptions) {
    super(stream, options);
    this.local = local;
    this.#part.use(options.rate?.join());
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#part.dispose();
  }
}

/** This machine's own address on a connection that was opened, where it has one. */
export function localHostOf(connection: Connection): string | undefined {
  return connection instanceof DialledConnection ? connection.local : undefined;
}

async function dial(
  address: ServerAddress,
  signal: AbortSignal,
  { resettable = false }: ConnectOptions,
): Promise<ByteStream> {
  if ("path" in address) {
    const { dialUnix } = await import("./unix_connect.ts");
    return await dialUnix(address.path, signal);
  }
  const zone = zoneOf(address.hostname);
  // node:net of Deno drops the zone.
  if (!resettable || zone !== undefined) {
    const conn = await Deno.connect({ ...address, signal });
    const refusal = refusalOfItself(conn.localAddr, conn.remoteAddr);
    if (!refusal) return new TcpStream(conn, zone);
    conn.close();
    throw refusal;
  }
  const { dialResettable } = await import("./node_stream.ts");
  return await dialResettable(address, signal);
}

/** Puts TLS on a connection, if a server is given. The signal closes it meanwhile. */
async function secured(
  stream: ByteStream,
  signal: AbortSignal,
  { server }: ConnectOptions,
): Promise<ByteStream> {
  const close = (): void => stream.close();
  signal.addEventListener("abort", close);
  try {
    signal.throwIfAborted();
    if (!server) return stream;
    const { connectTls } = await import("./tls_connect.ts");
    const encrypted = await connectTls(stream, server);
    // The signal can have closed what a handshake that was complete already stands on.
    signal.throwIfAborted();
    return encrypted;
  } catch (error) {
    close();
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
  }
}

async function reason(address: ServerAddress, error: unknown): Promise<string> {
  switch (systemCode(error)) {
    case "ECONNREFUSED":
      return "connection refused; is the server running?";
    case "ENOENT":
      return "there is no such socket; is the server running?";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return "no route to that host";
    case "ETIMEDOUT":
      return "the host does not answer";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "no such host";
    case "EADDRNOTAVAIL":
      return "this machine has no address or no port left for it";
  }
  const { addressReason, unixReason } = await import("./address_reasons.ts");
  return "path" in address ? unixReason(error) : addressReason(address.hostname, error);
}
