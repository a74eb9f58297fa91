/**
 * The receiving side: {@linkcode serve} as a library, and its command line.
 *
 * ```sh
 * deno run --allow-net server.ts 5000
 * ```
 *
 * ```ts ignore
 * import { serve } from "@inlet/inlet/server";
 *
 * const server = await serve({ port: 5000, directory: "received" });
 * await server.finished;
 * ```
 *
 * @module
 */

import denoJson from "./deno.json" with { type: "json" };
import type { Access } from "./lib/auth/access.ts";
import type { Disk } from "./lib/store/disk.ts";
import { Clients } from "./lib/server/clients.ts";
import {
  type CommandLine,
  parseCommandLine,
  runMain,
  STOP_SIGNALS,
} from "./lib/cli/command_line.ts";
import { formatAddress } from "./lib/address.ts";
import { explain, InletError } from "./lib/errors.ts";
import { KeyVerifier } from "./lib/auth/brute_force.ts";
import { makeKeyFile, readKey } from "./lib/auth/key.ts";
import {
  parseCount,
  parseDuration,
  parseListenPort,
  parseRate,
  parseSeconds,
  parseSize,
} from "./lib/cli/option_values.ts";
import { Listener, type ListenerOptions } from "./lib/server/listener.ts";
import { Log, type LogOptions } from "./lib/server/log.ts";
import { StdoutQueue } from "./lib/server/stdout_queue.ts";
import type { Mode } from "./modes/mode.ts";
import { ensurePermissions, type Need, shellQuoted } from "./lib/cli/permissions.ts";
import { DirectoryStore } from "./lib/store/directory.ts";
import type { Store } from "./lib/store/store.ts";
import { quoted } from "./lib/text.ts";
import { findMode, MODES } from "./modes/table.ts";

/** Options of {@linkcode serve}. */
export interface ServeOptions {
  /**
   * Port to listen on; 0 for any that is free.
   *
   * @default {0}
   */
  port?: number;
  /**
   * Host name or address to listen on.
   *
   * @default {"127.0.0.1"}
   */
  hostname?: string;
  /**
   * Directory of received files, made if it is missing. Modes that store nothing leave it alone.
   *
   * @default {"received"}
   */
  directory?: string;
  /**
   * Name of the conversation, as in the table of modes.
   *
   * @default {"files"}
   */
  mode?: string;
  /**
   * Clients that are served at once. One more is told that the server is busy.
   *
   * @default {100}
   */
  maxClients?: number;
  /**
   * Clients that are served at once from one address. One more is told that the server is busy.
   *
   * @default {Infinity}
   */
  maxPerAddress?: number;
  /**
   * Connections that wait in the system's queue to be accepted.
   *
   * @default {10}
   */
  backlog?: number;
  /**
   * Milliseconds of silence after which a connection is cut.
   *
   * @default {30_000}
   */
  timeoutMs?: number;
  /**
   * Milliseconds within which a connection has to have greeted, on wires with a greeting.
   *
   * @default {10_000}
   */
  greetingTimeoutMs?: number;
  /**
   * Bytes a second that a body has to move at least, or its connection is cut; 0 for no such floor.
   * StdoutQueue and lines to reverse, which people type, may be as slow as they like.
   *
   * @default {1024}
   */
  minRate?: number;
  /**
   * Milliseconds over which that speed is averaged.
   *
   * @default {60_000}
   */
  minRateWindowMs?: number;
  /**
   * Most bytes of one file.
   *
   * @default {Number.MAX_SAFE_INTEGER}
   */
  maxBytes?: number;
  /**
   * Whether files are on the disk itself before they are acknowledged.
   *
   * @default {false}
   */
  fsync?: boolean;
  /**
   * Milliseconds that the partial of a broken transfer is kept, where the client asked to resume it.
   * 0 keeps none.
   *
   * @default {86_400_000}
   */
  keepPartialsMs?: number;
  /**
   * Milliseconds that a session may rest between two requests. It is warned a minute before.
   *
   * @default {600_000}
   */
  sessionTimeoutMs?: number;
  /**
   * The key that clients have to prove. Without one, whoever can connect is let in.
   *
   * @default {undefined}
   */
  key?: string | undefined;
  /**
   * Whether a server that listens on the network lets everybody in, without a key.
   *
   * @default {false}
   */
  open?: boolean;
  /**
   * What clients may do.
   *
   * @default {"all"}
   */
  access?: Access;
  /** What is logged on stderr, and how. */
  log?: LogOptions;
  /**
   * The functions that touch the disk, for tests of what happens when it fails.
   *
   * @default {Deno}
   */
  disk?: Disk;
}

/** A running server. Dispose of it to stop it at once. */
export interface Server extends AsyncDisposable {
  /** Where it listens. */
  readonly address: Deno.NetAddr;
  /** Settles when it has stopped; fails if it stopped because it could not go on. */
  readonly finished: Promise<void>;
  /**
   * Accepts no more, and gives the transfers in flight a time to end.
   *
   * @param graceMs How long, in milliseconds. What is left then is cut, and its partial deleted.
   */
  shutdown(graceMs?: number): Promise<void>;
  /** Deletes every partial file, at once, for an exit that waits for nothing. */
  discardPartials(): void;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Milliseconds that transfers in flight get when the server is told to stop. */
const GRACE_MS = 5000;

/**
 * Starts a server.
 *
 * @throws {InletError} `listen` if the address is not free; `denied` or `no-space` if the
 * directory cannot be used; `usage` if there is no such mode, or if it would let in from the network
 * whoever comes, and nobody asked for that
 */
export async function serve(options: ServeOptions = {}): Promise<Server> {
  const { port = 0, hostname = "127.0.0.1", directory = "received" } = options;
  const log = new Log(options.log);
  const mode = findMode(options.mode ?? "files");
  checkReach({ ...options, hostname });
  const { fsync = false, keepPartialsMs = DAY_MS, disk = Deno } = options;
  const storeOptions = { fsync, keepPartialsMs, disk };
  const store: Store = mode.stores
    ? await DirectoryStore.open(directory, storeOptions)
    : new DirectoryStore(directory, storeOptions);
  const socket = listen({ port, hostname, tcpBacklog: options.backlog ?? 10 });
  if (mode.stores) await store.prepare();
  const listener = new Listener(socket, {
    serve: mode.serve,
    limits: limitsOf(mode, options),
    context: {
      store,
      log,
      stdout: new StdoutQueue(),
      clients: new Clients(options.maxClients ?? 100, options.maxPerAddress),
      maxBytes: options.maxBytes ?? Number.MAX_SAFE_INTEGER,
      access: options.access ?? "all",
      keyVerifier: options.key === undefined ? undefined : new KeyVerifier(options.key),
      sessionTimeoutMs: options.sessionTimeoutMs ?? 600_000,
    },
  });
  if (mode.stores && keepPartialsMs > 0) {
    const stop = sweepRegularly(store, log, keepPartialsMs);
    listener.finished.catch(() => {}).finally(stop);
  }
  const address = socket.addr;
  const whom = options.key === undefined ? "" : " for who has the key";
  const reach = isLoopback(address.hostname) ? "this machine only" : `open to the network${whom}`;
  log.notice(
    "listening",
    `listening on ${formatAddress(address)} (${reach})${
      mode.stores ? `, storing into ${quoted(directory)}` : ""
    }`,
    { hostname: address.hostname, port: address.port, ...(mode.stores && { directory }) },
  );
  return {
    address,
    finished: listener.finished,
    shutdown: (graceMs = GRACE_MS) => listener.shutdown(graceMs),
    discardPartials: () => store.discardAll(),
    [Symbol.asyncDispose]: () => listener.shutdown(0),
  };
}

/** Partials go when they are old enough, give or take a twenty-fourth. */
function sweepRegularly(store: Store, log: Log, keepPartialsMs: number): () => void {
  const timer = setInterval(() => {
    store.sweep().catch((error) => log.failure(explain(error, "Cannot remove old partials")));
  }, Math.min(Math.max(keepPartialsMs / 24, 1000), HOUR_MS));
  return () => clearInterval(timer);
}

function limitsOf(mode: Mode, options: ServeOptions): ListenerOptions["limits"] {
  const { minRate: bytesPerSecond = 1024, minRateWindowMs: windowMs = 60_000 } = options;
  return {
    idleTimeoutMs: options.timeoutMs ?? 30_000,
    greetingTimeoutMs: mode.greets ? options.greetingTimeoutMs ?? 10_000 : undefined,
    minRate: bytesPerSecond > 0 ? { bytesPerSecond, windowMs } : undefined,
  };
}

function listen(
  options: Deno.TcpListenOptions & { hostname: string; port: number },
): Deno.TcpListener {
  try {
    return Deno.listen(options);
  } catch (cause) {
    const why = reasonNotToListen(cause as Error);
    throw new InletError("listen", `Cannot listen on ${formatAddress(options)}: ${why}`, { cause });
  }
}

function reasonNotToListen(error: Error): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return "the address is in use; stop the other server, or choose another port (0 for any free one)";
  }
  if (error instanceof Deno.errors.AddrNotAvailable) return "this machine has no such address";
  return /lookup address/.test(error.message) ? "there is no host of that name" : error.message;
}

/** Options that contradict each other, or would open more than was asked for, are refused here. */
function checkReach(options: ServeOptions & { hostname: string }): void {
  const { mode = "files", hostname, key, open, access } = options;
  if (key !== undefined && open) {
    throw new InletError(
      "usage",
      "Cannot ask for a key and be open to everybody: give one of both",
    );
  }
  if (key !== undefined && mode !== "files") {
    throw new InletError(
      "usage",
      `Cannot ask for a key in mode ${mode}: its wire cannot carry one`,
    );
  }
  if (access === "read-only" && mode !== "files") {
    throw new InletError("usage", `Cannot be read-only in mode ${mode}: it only takes`);
  }
  if (isLoopback(hostname) || open || key !== undefined) return;
  const ways = mode === "files"
    ? "give --token-file FILE to ask for a key, or --open to let everybody in"
    : `mode ${mode} cannot ask for a key, give --open to let everybody in`;
  throw new InletError("usage", `Cannot listen on ${hostname} without a key: ${ways}`);
}

/** A name that only begins like a loopback address is none. */
function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

const USAGE = `inlet server: receives files and messages over TCP

Usage: server.ts PORT [OPTIONS]

  PORT                 1024 to 65535, or 0 for any free one
  --host HOST          address to listen on (default 127.0.0.1: this machine only)
  --dir DIR            where files are stored (default received)
  --mode MODE          the conversation (default files):
${
  Object.entries(MODES).map(([name, { summary }]) =>
    `                         ${name.padEnd(8)} ${summary}`
  ).join("\n")
}
  --max-clients N      clients served at once (default 100)
  --max-per-address N  the same from one address (default: no limit)
  --backlog N          connections waiting to be accepted (default 10)
  --timeout SECONDS    silence after which a connection is cut (default 30)
  --greeting-timeout SECONDS
                       time to begin the conversation (default 10)
  --min-rate SIZE      bytes a second that a body has to move at least, over a minute
                       (default 1KiB, 0: as slow as it likes)
  --session-timeout SECONDS
                       silence between two requests of a session (default 600)
  --max-size BYTES     largest file, like 500MB or 2GiB (default: no limit)
  --keep-partials TIME
                       how long the partial of a client with --resume is kept, like 90s, 30m, 24h
                       or 7d (default 24h; 0 keeps none)
  --token-file FILE    lets in who has the key in this file (or in INLET_TOKEN)
  --generate-token     makes that file first (default inlet.token)
  --open               listens on the network without a key, for everybody
  --read-only          clients list and get files, and nothing else
  --drop-only          clients put files, and see nothing
  --fsync              files are on the disk itself before they are acknowledged
  --log text|json      how events are written to stderr (default text)
  --quiet              only the first line and errors
  --help, --version`;

type ServerCommandLine = CommandLine<
  | "host"
  | "dir"
  | "mode"
  | "max-clients"
  | "max-per-address"
  | "backlog"
  | "timeout"
  | "greeting-timeout"
  | "min-rate"
  | "session-timeout"
  | "max-size"
  | "keep-partials"
  | "token-file"
  | "log",
  "generate-token" | "open" | "read-only" | "drop-only" | "fsync" | "quiet" | "help" | "version"
>;

async function main(args: readonly string[]): Promise<number> {
  const commandLine: ServerCommandLine = parseCommandLine(args, {
    values: [
      "host",
      "dir",
      "mode",
      "max-clients",
      "max-per-address",
      "backlog",
      "timeout",
      "greeting-timeout",
      "min-rate",
      "session-timeout",
      "max-size",
      "keep-partials",
      "token-file",
      "log",
    ],
    flags: [
      "generate-token",
      "open",
      "read-only",
      "drop-only",
      "fsync",
      "quiet",
      "help",
      "version",
    ],
  });
  const { positional, values, flags } = commandLine;
  if (flags.help) return console.log(USAGE), 0;
  if (flags.version) return console.log(`inlet ${denoJson.version}`), 0;
  const [port, ...more] = positional;
  const tokenFile = values["token-file"] ?? (flags["generate-token"] ? "inlet.token" : undefined);
  if (port === undefined && flags["generate-token"]) {
    await ensurePermissions([{ name: "write", path: tokenFile! }]);
    makeKeyFile(tokenFile!);
    return console.error(keyHint(tokenFile!, "PORT")), 0;
  }
  if (port === undefined) throw new InletError("usage", "Cannot listen without a port; try --help");
  if (more.length > 0) {
    throw new InletError("usage", `Cannot use ${quoted(more[0]!)}: give one port`);
  }
  const options = { ...optionsOf(commandLine), port: parseListenPort(port) };
  findMode(options.mode);
  await ensurePermissions(needsOf(options, tokenFile, flags["generate-token"]));
  if (flags["generate-token"]) {
    // What is refused is refused before a key is made for nothing.
    checkReach({ ...options, key: "" });
    makeKeyFile(tokenFile!);
  }
  // The environment is for the one conversation that can carry a key. Others ignore it.
  const key = tokenFile === undefined && options.mode !== "files" ? undefined : readKey(tokenFile);
  const server = await serve({ ...options, key });
  if (flags["generate-token"]) {
    console.error(keyHint(tokenFile!, String(server.address.port)));
  }
  stopOnSignals(server);
  await server.finished;
  return 0;
}

function optionsOf({ values, flags }: ServerCommandLine) {
  const format = values.log ?? "text";
  if (format !== "text" && format !== "json") {
    throw new InletError("usage", `Cannot log as ${quoted(format)}: give text or json`);
  }
  if (flags["read-only"] && flags["drop-only"]) {
    throw new InletError("usage", "Cannot be read-only and drop-only: give one of both");
  }
  const count = { min: 1, max: 100_000 };
  const {
    "max-per-address": perAddress,
    "greeting-timeout": greeting,
    "min-rate": minRate,
    "session-timeout": rest,
    "keep-partials": keep,
  } = values;
  return {
    hostname: values.host ?? "127.0.0.1",
    directory: values.dir ?? "received",
    mode: values.mode ?? "files",
    ...(values["max-clients"] &&
      { maxClients: parseCount(values["max-clients"], "--max-clients", count) }),
    ...(perAddress && { maxPerAddress: parseCount(perAddress, "--max-per-address", count) }),
    ...(values.backlog && { backlog: parseCount(values.backlog, "--backlog", count) }),
    ...(values.timeout && { timeoutMs: parseSeconds(values.timeout, "--timeout") }),
    ...(greeting && { greetingTimeoutMs: parseSeconds(greeting, "--greeting-timeout") }),
    ...(minRate && { minRate: parseRate(minRate, "--min-rate") }),
    ...(rest && { sessionTimeoutMs: parseSeconds(rest, "--session-timeout") }),
    ...(values["max-size"] && { maxBytes: parseSize(values["max-size"], "--max-size") }),
    ...(keep && { keepPartialsMs: parseDuration(keep, "--keep-partials") }),
    open: flags.open,
    access: flags["read-only"] ? "read-only" : flags["drop-only"] ? "drop-only" : "all",
    fsync: flags.fsync,
    log: { format, quiet: flags.quiet },
  } satisfies ServeOptions;
}

function needsOf(
  options: { hostname: string; port: number; directory: string; mode: string },
  tokenFile: string | undefined,
  generate: boolean,
): Need[] {
  const needs: Need[] = [{ name: "net", host: formatAddress(options) }];
  if (findMode(options.mode).stores) {
    needs.push({ name: "read", path: options.directory }, {
      name: "write",
      path: options.directory,
    });
  }
  if (tokenFile !== undefined) needs.push({ name: "read", path: tokenFile });
  if (tokenFile !== undefined && generate) needs.push({ name: "write", path: tokenFile });
  return needs;
}

/** What the person does next with a new key. */
function keyHint(tokenFile: string, port: string): string {
  const file = shellQuoted(tokenFile);
  return `The key is in ${quoted(tokenFile)}, which a client needs a copy of:\n` +
    `  deno run client.ts HOST ${port} --token-file ${file} FILE`;
}

/** The first signal lets transfers end; a second one does not wait for them. */
function stopOnSignals(server: Server): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) {
      server.discardPartials();
      Deno.exit(0);
    }
    stopping = true;
    server.shutdown();
  };
  for (const signal of STOP_SIGNALS) Deno.addSignalListener(signal, stop);
}

if (import.meta.main) await runMain(() => main(Deno.args));
