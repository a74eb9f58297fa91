/**
 * Connects to one server: with which options, under which name, and how often again after the
 * connection is lost.
 *
 * @module
 */

import type { KeyPair } from "../lib/auth/identity.ts";
import type { Credential } from "../lib/auth/credential.ts";
import type { ServerAddress } from "../lib/address.ts";
import { connect } from "../lib/net/connect.ts";
import { DEFAULT_TIMEOUT_MS } from "../lib/net/whole_line.ts";
import type { Connection } from "../lib/net/connection.ts";
import type { WireContext } from "../lib/cli/client_context.ts";
import { Progress } from "../lib/cli/progress.ts";
import type { RateLimit } from "../lib/net/rate_limit.ts";
import { InletError } from "../lib/errors.ts";
import { resumption } from "./report.ts";
import { Retries } from "./retry.ts";
import { formatCount, quoted } from "../lib/text.ts";
import { clientWire, type WireOptions } from "./wire_options.ts";
import { FilesClient } from "../modes/files/client.ts";
import type { Fields } from "../protocol.ts";

/** Client name where none is given. */
export const DEFAULT_NAME = "inlet";

/** Options of every client. */
export interface ClientOptions {
  /**
   * Name of this client in the server's log and status.
   *
   * @default {"inlet"}
   */
  name?: string;
  /**
   * Time limit for connecting, and for a connection on which nothing moves, in milliseconds.
   *
   * @default {30_000}
   */
  timeoutMs?: number;
  /**
   * Key, for servers that require one, or the token of a user. With it the connection is encrypted,
   * and no other server is told anything.
   *
   * @default {undefined}
   */
  key?: string | undefined;
  /**
   * Limit in bytes per second, for both directions together. Connections that are given the same
   * object share it.
   *
   * @default {undefined}
   */
  rate?: RateLimit | undefined;
  /**
   * Whether a file that grows while it is sent, either way, fails. Otherwise what it was when it was
   * announced is stored, with a notice.
   *
   * @default {false}
   */
  strict?: boolean;
  /**
   * Whether the partial file of a large transfer is kept when the connection is lost, so that a
   * later call can continue it. `send()` leaves alone what is there already, whole and the same.
   *
   * @default {false}
   */
  resume?: boolean;
  /**
   * Number of retries after the connection is lost or cannot be made. The waits between them grow
   * up to a minute. A number above 0 implies `resume` in mode `files`. In the other modes, a file or
   * stream of which anything has been sent is not sent again.
   *
   * @default {0}
   */
  retries?: number;
  /** Called with notices for the user: skipped files, resumed transfers, waits before a retry. */
  onNotice?: (text: string) => void;
}

/** Options of a {@linkcode Dialer}. */
export interface DialerOptions extends ClientOptions, WireOptions {
  /** Stops all transfers. */
  signal?: AbortSignal;
  /** Progress line to draw on. */
  progress?: Progress;
  /** Receives the server's answer, as in `SendOptions`. */
  output?: (chunk: Uint8Array) => Promise<void>;
  /** Further fields of the greeting. */
  greeting?: () => Fields;
  /** Whether to ask first for all that is there already; by default that follows `resume`. */
  compares?: () => boolean;
  /** How often, and after which wait, is tried again; by default that follows `retries`. */
  retrying?: Retries;
}

/** Gives each item a random id, and the same one again. */
function uploadIds(): (item: object) => string {
  const ids = new WeakMap<object, string>();
  return (item) => {
    const id = ids.get(item) ?? crypto.randomUUID().replaceAll("-", "");
    ids.set(item, id);
    return id;
  };
}

/** Opens connections and sessions to one server. */
export class Dialer {
  readonly context: WireContext;
  readonly retries: Retries;
  readonly #address: ServerAddress;
  readonly #options: DialerOptions;
  #knowing: Promise<Credential | undefined> | undefined;

  constructor(address: ServerAddress, options: DialerOptions) {
    const { progress = new Progress(), key, resume = false, retries = 0, onNotice } = options;
    this.#address = address;
    this.#options = options;
    let isWarned = false;
    this.retries = options.retrying ?? new Retries({
      limit: retries,
      signal: options.signal,
      onNotice: (text) => {
        progress.doing("waiting to try again");
        onNotice?.(text);
      },
    });
    this.context = {
      progress,
      rate: options.rate,
      prove: key === undefined
        ? undefined
        : async (nonce) => await (await this.#credential())!.prove(nonce),
      sentFolders: { id: crypto.randomUUID(), open: new Set() },
      timeoutMs: options.timeoutMs,
      output: options.output ?? (() => Promise.resolve()),
      resume: resume || retries > 0,
      compares: options.compares ?? (() => resume || retries > 0),
      greeting: options.greeting,
      tickets: new Map(),
      wire: clientWire(options),
      onNotice: (text) => onNotice?.(text),
      // Once, whatever the server sends.
      onWarning: (text) => {
        if (!isWarned) onNotice?.(text);
        isWarned = true;
      },
      onNote: (text) => progress.doing(text),
      strict: options.strict,
      onGrowth: (label, size) => {
        const stored = `only its first ${formatCount(size)} bytes were sent`;
        onNotice?.(`${quoted(label)} grew while it was sent: ${stored}`);
      },
      uploadId: retries > 0 || options.retrying ? uploadIds() : undefined,
      onResume: (label, offset, size) => {
        this.retries.reached(label, offset);
        onNotice?.(resumption(label, offset, size));
      },
    };
  }

  /** Another one to the same server, for a transfer of its own. */
  beside(
    options: Pick<DialerOptions, "progress" | "onNotice" | "signal" | "timeoutMs" | "retries">,
  ): Dialer {
    return new Dialer(this.#address, { ...this.#options, ...options });
  }

  /** Number of folders that have to get their permission bits and times. */
  get openFolders(): number {
    return this.context.sentFolders?.open.size ?? 0;
  }

  /** Tells that everything was sent but what folders get at the end. */
  tellOpenFolders({ message }: InletError): void {
    this.context.onNotice(`All is stored, but the times of folders may not be set: ${message}`);
  }

  /**
   * Connects to the server.
   *
   * @param resettable Whether the connection must be one that can be reset.
   */
  async open({ resettable = false } = {}): Promise<Connection> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal = new AbortController().signal, rate } =
      this.#options;
    const { server } = await this.#credential() ?? {};
    this.context.progress.doing("connecting");
    const how = { timeoutMs, signal, rate, resettable, server };
    const connection = await connect(this.#address, how);
    this.context.progress.follow(connection);
    this.context.progress.doing(undefined);
    return connection;
  }

  /**
   * The name of this client, if it was given one: that of a user is in the token.
   *
   * @throws {InletError} `usage` if the user is given another one
   */
  async name(): Promise<string | undefined> {
    const { userName } = await this.#credential() ?? {};
    return userName ?? this.#options.name;
  }

  /** The key pair of this client's user, if it has one. */
  async userKey(): Promise<KeyPair | undefined> {
    return (await this.#credential())?.userKey;
  }

  /** Greets the server in the native protocol. */
  async greet(connection: Connection): Promise<FilesClient> {
    const client = await this.approach(connection);
    await client.welcomed;
    return client;
  }

  /** Like `greet`, for a client that begins with `send()`, which need not wait for the welcome. */
  async approach(connection: Connection): Promise<FilesClient> {
    const { context, context: { progress } } = this;
    progress.doing("waiting for the server's greeting");
    const client = await FilesClient.approach(
      connection,
      await this.name() ?? DEFAULT_NAME,
      context,
    );
    client.welcomed.then(() => progress.doing(undefined), () => {});
    return client;
  }

  /**
   * Connects and greets the server, and again where retries are allowed: nothing is done before that.
   *
   * @returns The connection, to be disposed of, and what `greet` returns.
   */
  async join<Client>(
    greet: (connection: Connection) => Promise<Client>,
  ): Promise<{ connection: Connection; client: Client }> {
    let joined: { connection: Connection; client: Client } | undefined;
    await this.retries.run(async () => {
      using guard = new DisposableStack();
      const connection = guard.use(await this.open());
      joined = { connection, client: await greet(connection) };
      guard.move();
    });
    return joined!;
  }

  /**
   * Runs an action in a native session, and again in a new one where retries are allowed.
   *
   * @param isRepeatable Whether the action may be repeated after what has happened so far.
   */
  async withSession(
    action: (client: FilesClient) => Promise<void>,
    isRepeatable?: () => boolean,
  ): Promise<void> {
    await this.retries.run(async () => {
      using connection = await this.open();
      const client = await this.greet(connection);
      await action(client);
      await client.exit();
    }, isRepeatable);
  }

  /**
   * What the key tells of the server and of this client. It is derived once.
   *
   * @throws {InletError} `usage` if a user is given another name
   */
  #credential(): Promise<Credential | undefined> {
    return this.#knowing ??= this.#derive();
  }

  async #derive(): Promise<Credential | undefined> {
    const { key, name, onNotice } = this.#options;
    if (key === undefined) return undefined;
    const { credentialOf } = await import("../lib/auth/credential.ts");
    const credential = await credentialOf(key);
    const { userName } = credential;
    if (name !== undefined && userName !== undefined && name !== userName) {
      const whose = `the token is that of the user ${quoted(userName)}`;
      throw new InletError("usage", `Cannot be called ${quoted(name)}: ${whose}`);
    }
    if (credential.warning !== undefined) onNotice?.(`warning: ${credential.warning}`);
    return credential;
  }
}
