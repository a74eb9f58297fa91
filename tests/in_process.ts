/**
 * A server within the test's own process: for thousands of conversations, which real processes would
 * make slow. It listens on a real socket and stores on a real disk; only its log goes to the test.
 *
 * @module
 */

import type { User } from "../lib/auth/authenticator.ts";
import { authenticationOf } from "../lib/server/authentication.ts";
import { AcknowledgedUploads } from "../lib/server/acknowledged.ts";
import { Clients } from "../lib/server/clients.ts";
import type { InletError } from "../lib/errors.ts";
import { Listener, type ListenerOptions } from "../lib/server/listener.ts";
import { listen } from "../lib/net/listen.ts";
import type { MinRate } from "../lib/net/min_rate.ts";
import { Meetings } from "../lib/server/meetings.ts";
import { Log } from "../lib/server/log.ts";
import { StdoutQueue } from "../lib/server/stdout_queue.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { Disk } from "../lib/store/disk.ts";
import type { ServerStore } from "../lib/store/ongoing.ts";
import { parseCommandLine } from "../lib/cli/command_line.ts";
import { webSettings } from "../lib/server/web_options.ts";
import { wireOptionsOf, WIRES, wireSettings } from "../lib/server/wire_options.ts";
import { serveAnyWire } from "../modes/wires.ts";

/** A log that says nothing, and remembers what failed and who left. */
class KeptLog extends Log {
  readonly failures: InletError[] = [];
  readonly #waiting = new Map<number, () => void>();
  #came = 0;
  #left = 0;

  override forClient(): Log {
    return this;
  }

  override info(event: string): void {
    if (event === "connected") this.#came++;
    if (event === "left") this.#waiting.get(++this.#left)?.();
  }

  override stored(): void {}

  override notice(): void {}

  override warn(): void {}

  override failure(error: InletError): void {
    this.failures.push(error);
  }

  async idle(): Promise<void> {
    await this.left(this.#came);
  }

  async left(clients: number): Promise<void> {
    if (this.#left >= clients) return;
    await new Promise<void>((resolve) => this.#waiting.set(clients, resolve));
  }
}

/** Options of {@linkcode serveHere}. */
export interface InProcessOptions
  extends Partial<Pick<ServerContext, "access" | "maxBytes" | "stdout" | "shortage">> {
  /** A directory that is there. */
  dir: string;
  /** Instead of a store in that directory. */
  store?: ServerStore;
  /** The key that all clients have to prove; then all is encrypted. */
  key?: string | undefined;
  /** Milliseconds of silence after which a connection is cut. */
  idleTimeoutMs?: number;
  /** Most clients at once. */
  maxClients?: number;
  /** Milliseconds that the head of a request may take, and the handshake of TLS. */
  greetingTimeoutMs?: number;
  /** The functions that write to the disk, where they are not Deno's. */
  disk?: Disk;
  /** Whether files are flushed to the disk. */
  fsync?: boolean;
  /** Minimum rate of bodies. */
  minRate?: MinRate;
  /** Further limits of connections. */
  limits?: Partial<ListenerOptions["limits"]>;
  /** The user that every client is, without having to prove it. */
  user?: User;
  /** The conversation, if it is not the native one. */
  serve?: ListenerOptions["serve"];
  /** The wire of another program, and options of the command line for it, such as `--banner`. */
  wire?: { mode: string; args: readonly string[] };
}

/** A server in this process. */
export interface InProcessServer extends AsyncDisposable {
  readonly port: number;
  readonly key: string | undefined;
  /** What was refused, and what was cut. */
  readonly failures: readonly InletError[];
  /** Waits until so many clients have come and gone. */
  left(clients: number): Promise<void>;
  /** Waits until nobody is served any more. */
  idle(): Promise<void>;
}

/** Serves the native conversation, or another one. */
export async function serveHere(options: InProcessOptions): Promise<InProcessServer> {
  const { dir, idleTimeoutMs = 30_000, access = "all", maxBytes = Infinity, minRate } = options;
  const { key, greetingTimeoutMs = 10_000, user, serve = serveAnyWire } = options;
  const { disk = Deno, fsync = false, wire = { mode: "files", args: [] } } = options;
  const stdout = options.stdout ?? new StdoutQueue({ write: () => Promise.resolve() });
  const log = new KeptLog();
  const { authenticator, secure } = await authenticationOf(
    { ...key !== undefined && { key }, greetingTimeoutMs },
    log,
  );
  const socket = await listen({ hostname: "127.0.0.1", port: 0, backlog: 10 });
  const listener = new Listener(socket, {
    serve: (connection, context) => {
      if (user) context.client.user = user;
      return serve(connection, context);
    },
    limits: { idleTimeoutMs, minRate, ...options.limits },
    secure,
    context: {
      store: options.store ?? await DirectoryStore.open(dir, {
        ...{ disk, fsync, hidesNames: access === "drop-only" || user !== undefined },
      }),
      log,
      stdout,
      clients: new Clients(options.maxClients ?? 100),
      meetings: new Meetings(),
      acknowledged: new AcknowledgedUploads(),
      maxBytes,
      access,
      shortage: options.shortage ?? (() => undefined),
      authenticator,
      greetingTimeoutMs,
      timeoutMs: idleTimeoutMs,
      sessionTimeoutMs: idleTimeoutMs,
      wire: wireSettings(wireOptionsOf(parseCommandLine(wire.args, WIRES).options), wire.mode),
      web: webSettings({
        ...{ hostname: "127.0.0.1", publicNames: [], basePath: undefined, proxyFrom: [] },
      }),
    },
  });
  return {
    port: (socket.address as Deno.NetAddr).port,
    key,
    failures: log.failures,
    left: (clients) => log.left(clients),
    idle: () => log.idle(),
    [Symbol.asyncDispose]: () => listener.shutdown(0),
  };
}
