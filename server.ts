/// <reference types="./std.d.ts" />
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
import {
  checkServerKey,
  hasKeyVariable,
  KEY_VARIABLE,
  makeKeyFile,
  readKey,
} from "./lib/auth/key.ts";
import type { Authenticator } from "./lib/auth/authenticator.ts";
import { openKeyFile } from "./lib/auth/key_file.ts";
import { formatAddress } from "./lib/address.ts";
import { HURRIED_MS, stderr } from "./lib/body/stderr.ts";
import {
  checkModes,
  type CommandLine,
  parseCommandLine,
  printAbout,
  runMain,
} from "./lib/cli/command_line.ts";
import { ensurePermissions, shellQuoted } from "./lib/cli/permissions.ts";
import { onStopSignals } from "./lib/cli/signals.ts";
import { InletError } from "./lib/errors.ts";
import { AcknowledgedUploads } from "./lib/server/acknowledged.ts";
import { announce } from "./lib/server/announce.ts";
import { isBucketAddress } from "./lib/server/bucket_options.ts";
import { ClientHook } from "./lib/server/client_hook.ts";
import { Clients } from "./lib/server/clients.ts";
import { type Authentication, authenticationOf, keyNotices } from "./lib/server/authentication.ts";
import type { JsonEvents } from "./lib/server/json_events.ts";
import { Listener, type ListenerOptions } from "./lib/server/listener.ts";
import { parseListenPlace } from "./lib/server/listen_place.ts";
import { Log } from "./lib/server/log.ts";
import { Meetings } from "./lib/server/meetings.ts";
import { needsOf } from "./lib/server/needs.ts";
import { bucketOf, openStore } from "./lib/server/open_store.ts";
import { checkReach, serveOptionsOf, serverProgram } from "./lib/server/options.ts";
import type { ServeOptions, ServeUnixOptions } from "./lib/server/serve_options.ts";
import { checkServeOptions } from "./lib/server/serve_values.ts";
import { webSettings } from "./lib/server/web_options.ts";
import { wireSettings } from "./lib/server/wire_options.ts";
import { escaping, StdoutQueue } from "./lib/server/stdout_queue.ts";
import { hookOf } from "./lib/server/stored_hook.ts";
import { storeInEnvironment } from "./lib/server/store_variable.ts";
import { discardAfter, keepTidy } from "./lib/server/upkeep.ts";
import { listen } from "./lib/net/listen.ts";
import { allowFolderChanges } from "./lib/store/current_folder.ts";
import { DiskSpace } from "./lib/store/disk_space.ts";
import type { ServerStore } from "./lib/store/ongoing.ts";
import { quoted } from "./lib/text.ts";
import type { Mode } from "./modes/mode.ts";
import { findMode, MODE_OPTION } from "./modes/table.ts";
import { peekCaller, serveAnyWire } from "./modes/wires.ts";

export { InletError };
export type * from "./lib/server/api.ts";

/** A running server. Dispose of it to stop it at once. */
export interface Server<Address extends Deno.Addr = Deno.NetAddr> extends AsyncDisposable {
  /** The address that the server listens on. */
  readonly address: Address;
  /** Settles when the server has stopped, calls of `onStored` too; rejects if a failure stopped it. */
  readonly finished: Promise<void>;
  /**
   * Stops accepting connections, and lets transfers in flight finish.
   *
   * @param graceMs Milliseconds after which the remaining connections are closed. Their uploads are
   * discarded, except those kept to be resumed. Calls of `onStored` are told to end then.
   */
  shutdown(graceMs?: number): Promise<void>;
  /** Ends every upload without waiting, for an immediate exit. Only those to resume are kept. */
  discardPartials(): void;
  /** Reads the users again, whether their file looks changed or not. */
  rereadUsers(): void;
  /** The same for the certificate of an authority. */
  rereadCertificate(): void;
}

/** Default of {@linkcode ServeOptions.maxClients} where a mode has none of its own. */
const MAX_CLIENTS = 100;

/** Default of {@linkcode Server.shutdown}, in milliseconds. */
const GRACE_MS = 5000;

const PROGRAM = serverProgram(MODE_OPTION);

/** The library has the defaults of the command line. */
const DEFAULTS = parseCommandLine([], PROGRAM.options).options;
const DEFAULT_OPTIONS = serveOptionsOf(DEFAULTS);

/** Options with every default filled in. */
type Settings = ServeOptions & Pick<Partial<ServeUnixOptions>, "path"> & typeof DEFAULT_OPTIONS;

/** What a server can listen on. */
type ListenAddress = Deno.NetAddr | Deno.UnixAddr;

/** Starts a server on a Unix socket. @throws {InletError} as for a port */
export function serve(options: ServeUnixOptions): Promise<Server<Deno.UnixAddr>>;
/**
 * Starts a server.
 *
 * @throws {InletError} `listen` if the address cannot be used; `usage` if the directory cannot be
 * used, if an option has a wrong value, if options contradict each other, or if the server would admit
 * every client from the network without `open`
 */
export function serve(options?: ServeOptions): Promise<Server>;
export async function serve(
  options: ServeOptions | ServeUnixOptions = {},
): Promise<Server<Deno.Addr>> {
  checkServeOptions(options);
  return await start(options.mode === undefined ? DEFAULTS.mode : findMode(options.mode), options);
}

/** What the command line has beside the options of the library. */
interface Typed {
  /** Called before the log tells that the server listens. */
  ready?(server: Server<ListenAddress>, authenticator?: Authenticator): void;
  /** Prints what programs act on. */
  json?: JsonEvents | undefined;
}

async function start(
  mode: Mode,
  given: ServeOptions | ServeUnixOptions,
  { ready, json }: Typed = {},
): Promise<Server<ListenAddress>> {
  const settings = withDefaults(given);
  const { hostname, port = 0, path, socketMode, keepPartialsMs } = settings;
  const log = new Log(settings.log);
  log.feed.events = json;
  checkReach({ ...settings, mode: mode.name });
  const fallback = settings.fallback === undefined ? undefined : findMode(settings.fallback);
  const { stores } = mode;
  const bucket = stores ? await bucketOf(settings, log) : undefined;
  // Before a directory, so that a start that fails for the port or the keys leaves the disk alone.
  const place = path === undefined
    ? { hostname, port, backlog: settings.backlog }
    : { path, mode: socketMode };
  const socket = await listen(place);
  using failure = new DisposableStack();
  failure.defer(() => socket.close());
  const space = stores && !settings.store ? await DiskSpace.ifPermitted() : undefined;
  const authentication = await authenticationOf(settings, log);
  const identity = await authentication.authenticator?.identity();
  const store = bucket ?? await openStore(settings, { stores, log, space });
  const context = contextOf(mode, settings, { store, log, space, authentication, json });
  const listener = new Listener(socket, {
    serve: mode.serve ?? ((...given) => serveAnyWire(...given, fallback)),
    peekCaller: callerOf(mode, context, fallback),
    limits: limitsOf(mode, settings),
    secure: authentication.secure,
    context,
  });
  failure.move();
  const stopWatching = authentication.watch(() => listener.dropRevoked());
  listener.finished.catch(() => {}).finally(stopWatching);
  if (stores) keepTidy(store, { log, keepPartialsMs }, listener.finished);
  const { onClient } = settings;
  log.feed.clients = onClient && new ClientHook(onClient, { log, wire: mode.name });
  const bucketAddress = isBucketAddress(settings.store) ? settings.store : undefined;
  const hook = hookOf(settings.onStored, { log, wire: mode.name, store, bucket: bucketAddress });
  const finished = hook?.after(listener.finished) ?? listener.finished;
  finished.catch(() => {});
  const shutdown = async (graceMs: number): Promise<void> => {
    using _ = hook?.abortAfter(graceMs);
    using __ = discardAfter(store, graceMs);
    await listener.shutdown(graceMs);
    await finished.catch(() => {});
  };
  const server: Server<ListenAddress> = {
    address: socket.address,
    finished,
    shutdown: (graceMs = GRACE_MS) => shutdown(graceMs),
    discardPartials(): void {
      hook?.abort();
      store.discardAll();
    },
    rereadUsers: () => authentication.rereadUsers(),
    rereadCertificate: () => authentication.rereadCertificate(),
    [Symbol.asyncDispose]: () => shutdown(0),
  };
  ready?.(server, authentication.authenticator);
  const web = !mode.serve && settings.web;
  announce(log, socket.address, settings, { stores, web, identity });
  authentication.announce();
  return server;
}

/** An option that is `undefined` gets its default. */
function withDefaults(given: ServeOptions | ServeUnixOptions): Settings {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...DEFAULT_OPTIONS, ...Object.fromEntries(entries) };
}

function contextOf(
  mode: Mode,
  settings: Settings,
  { store, log, space, authentication: { authenticator }, json }: {
    store: ServerStore;
    log: Log;
    space: DiskSpace | undefined;
    authentication: Authentication;
    json: JsonEvents | undefined;
  },
): ListenerOptions["context"] {
  const { maxClients, maxPerAddress, maxBytes, access } = settings;
  const web = webSettings(settings);
  const isEscaped = Deno.stdout.isTerminal() && !settings.raw;
  return {
    store,
    shortage: (bytes) => space?.shortage(settings.directory, bytes),
    freeBytes: () => space?.free(settings.directory),
    log,
    stdout: json?.stdout ?? new StdoutQueue(isEscaped ? { output: escaping } : {}),
    clients: new Clients(maxClients ?? mode.maxClients ?? MAX_CLIENTS, maxPerAddress, web.proxies),
    acknowledged: new AcknowledgedUploads(),
    meetings: settings.relay ? new Meetings() : undefined,
    maxBytes,
    access,
    authenticator,
    greetingTimeoutMs: settings.greetingTimeoutMs,
    timeoutMs: settings.timeoutMs,
    sessionTimeoutMs: settings.sessionTimeoutMs,
    wire: wireSettings(settings, settings.fallback ?? mode.name),
    web,
  };
}

/** How a full server finds out who is calling. */
function callerOf(
  mode: Mode,
  { wire, authenticator }: ListenerOptions["context"],
  fallback: Mode | undefined,
): ListenerOptions["peekCaller"] {
  const encrypted = authenticator !== undefined;
  if (!mode.serve) {
    return (connection) => peekCaller(connection, { fallback, encrypted, web: wire.web });
  }
  // A server with a banner names its clients, and with a dialogue their first message is no name.
  const isNamed = wire.banner === undefined && wire.dialogue.length === 0;
  if (!mode.peekCaller || !isNamed) return undefined;
  return (connection) => mode.peekCaller!(connection, wire);
}

function limitsOf(mode: Mode, options: Settings): ListenerOptions["limits"] {
  const { minRate: bytesPerSecond, minRateWindowMs: windowMs = 60_000 } = options;
  return {
    idleTimeoutMs: options.timeoutMs,
    greetingTimeoutMs: mode.greets ? options.greetingTimeoutMs : undefined,
    patienceMs: options.sessionTimeoutMs,
    minRate: bytesPerSecond > 0 ? { bytesPerSecond, windowMs } : undefined,
  };
}

type ServerCommandLine = CommandLine<typeof PROGRAM.options>;

async function main(args: readonly string[]): Promise<number> {
  allowFolderChanges();
  const { positional, options, given }: ServerCommandLine = parseCommandLine(args, PROGRAM.options);
  if (await printAbout(PROGRAM, { positional, options }, denoJson)) return 0;
  const { fallback } = options;
  checkModes(given, PROGRAM.options, [options.mode.name, ...fallback ? [fallback] : []]);
  const { mode, "generate-token": generate } = options;
  const [port] = positional;
  const tokenFile = options["token-file"] ?? (generate ? "inlet.token" : undefined);
  if (port === undefined && generate) return await generateOnly(tokenFile!);
  const { users, "add-user": added, "remove-user": removed } = options;
  if (users !== undefined && (added ?? removed) !== undefined) {
    const { changeUsers } = await import("./lib/server/change_users.ts");
    return await changeUsers({ ...options, users }, port);
  }
  const settings = {
    ...serveOptionsOf(options),
    ...storeInEnvironment(given, mode.stores),
    ...await parseListenPlace(positional, given),
  };
  const { "on-stored": command, "on-stored-timeout": timeoutMs } = options;
  const { stores } = mode;
  const program = command?.[0];
  await ensurePermissions(await needsOf(settings, { stores, tokenFile, generate, program }));
  const log = new Log(settings.log);
  const onStored = command &&
    (await import("./lib/server/stored_program.ts")).runningFor(command, { log, timeoutMs });
  if (generate) {
    // Checked before the key file is made, so that a refused command line leaves none behind.
    checkReach({ ...settings, mode: mode.name, key: "" });
    makeKeyFile(tokenFile!);
  }
  const warnings: string[] = [];
  const keyFile = tokenFile === undefined
    ? undefined
    : await openKeyFile(tokenFile, keyNotices(log), { onWarning: (text) => warnings.push(text) });
  // Only the native wire can carry a key, so the other modes ignore the environment.
  const readsVariable = mode.name === "files" && !keyFile && settings.users === undefined;
  const variable = readsVariable ? await readKey(undefined) : undefined;
  if (variable !== undefined) checkServerKey(variable, KEY_VARIABLE);
  const key = keyFile ? () => keyFile.current() : variable;
  // Whoever has read that the server listens may stop it.
  let authenticator: Authenticator | undefined;
  const ready = (server: Server<ListenAddress>, recognises?: Authenticator): void => {
    authenticator = recognises;
    onStopSignals({
      stop: () => void server.shutdown(),
      force: async () => {
        server.discardPartials();
        await stderr.flush(HURRIED_MS);
        return 0;
      },
      reload(): void {
        keyFile?.reread();
        server.rereadUsers();
        server.rereadCertificate();
        if (keyFile || (settings.users ?? settings.cert) !== undefined) return;
        log.info("key", "SIGHUP: there is no key file to read again");
      },
    });
  };
  const json = options.json
    ? new (await import("./lib/server/json_events.ts")).JsonEvents()
    : undefined;
  const server = await start(mode, { ...settings, key, onStored }, { ready, json }).catch(
    (error) => {
      // A key that no server has used is not left behind.
      if (generate) Deno.removeSync(tokenFile!);
      throw error;
    },
  );
  if (!readsVariable && !keyFile && hasKeyVariable()) {
    const what = settings.users === undefined
      ? `mode ${mode.name} does not encrypt`
      : "users count";
    warnings.push(`${what}: the key in ${KEY_VARIABLE} is not used`);
  }
  // The first line is the server's address.
  for (const warning of warnings) log.warn("key-weak", warning);
  const { address } = server;
  if (generate) {
    stderr.add(
      keyHint(
        tokenFile!,
        "path" in address ? shellQuoted(formatAddress(address)) : `HOST ${address.port}`,
      ),
    );
  }
  if ("port" in address && !mode.serve && settings.web && Deno.stderr.isTerminal()) {
    const { invite } = await import("./lib/server/invitation.ts");
    // Not waited for: what draws the code may have to be fetched. And a server goes on without it.
    invite(settings, address.port, authenticator).catch(() => {});
  }
  await server.finished;
  await json?.end();
  return 0;
}

async function generateOnly(tokenFile: string): Promise<number> {
  await ensurePermissions([{ name: "write", path: tokenFile }]);
  makeKeyFile(tokenFile);
  stderr.add(keyHint(tokenFile, "HOST PORT"));
  return 0;
}

/** Tells the user how to use a new key. @param place The server, as clients are given it. */
function keyHint(tokenFile: string, place: string): string {
  const file = shellQuoted(tokenFile);
  return `The key is in ${quoted(tokenFile)}, and each client needs a copy of it:\n` +
    `  deno run client.ts ${place} --token-file ${file} FILE`;
}

if (import.meta.main) await runMain(() => main(Deno.args), { table: PROGRAM.options });
