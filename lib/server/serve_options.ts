/**
 * The options of the server as a library.
 *
 * @module
 */

import type { Access } from "../auth/access.ts";
import type { Disk } from "../store/disk.ts";
import type { LinkRule } from "../store/link_rules.ts";
import type { ServerStore } from "../store/ongoing.ts";
import type { OnClient } from "./client_hook.ts";
import type { LogOptions, LogSink } from "./log.ts";
import type { OnStored } from "./stored_hook.ts";

/** Options of {@linkcode serve} for a Unix socket, in the place of a port. */
export interface ServeUnixOptions extends Omit<ServeOptions, "port" | "hostname" | "backlog"> {
  /**
   * Path of the socket. One that a dead server has left is replaced. In Windows there are none.
   */
  path: string;
  /**
   * The permissions of the socket: to connect takes that to write.
   *
   * @default {0o600}
   */
  socketMode?: number;
}

/** Options of {@linkcode serve}. */
export interface ServeOptions {
  /**
   * Port to listen on; 0 for any free port.
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
   * Directory of received files, made if it is missing. Modes that store nothing do not touch it.
   *
   * @default {"received"}
   */
  directory?: string;
  /**
   * Name of the mode, as in the table of modes.
   *
   * @default {"files"}
   */
  mode?: string;
  /**
   * Most clients served at once. A further one is told that the server is busy.
   *
   * @default {100}, and 3 in mode `talk`
   */
  maxClients?: number | undefined;
  /**
   * Most clients served at once from one address. A further one is told that the server is busy. By
   * default half of `maxClients` if that is 20 or more, and no limit for clients on this machine.
   *
   * @default {undefined}
   */
  maxPerAddress?: number | undefined;
  /**
   * Most connections that wait in the system's queue to be accepted.
   *
   * @default {10}
   */
  backlog?: number;
  /**
   * Milliseconds of silence after which a connection is dropped. Before its first line, and in other
   * modes than `files`, it is dropped only where another client needs its place.
   *
   * @default {30_000}
   */
  timeoutMs?: number;
  /**
   * Milliseconds within which a connection must send its greeting, on wires that have one. A full
   * server drops one that is late for another client. The proof of a key has this time for good.
   *
   * @default {10_000}
   */
  greetingTimeoutMs?: number;
  /**
   * Bytes per second below which a transfer is dropped; 0 disables the limit. Messages and lines to
   * reverse are exempt, because people type them.
   *
   * @default {1024}
   */
  minRate?: number;
  /**
   * Milliseconds over which `minRate` is averaged.
   *
   * @default {60_000}
   */
  minRateWindowMs?: number;
  /**
   * Size limit of one file, in bytes.
   *
   * @default {Number.MAX_SAFE_INTEGER}
   */
  maxBytes?: number;
  /**
   * Whether each file is flushed to disk before it is acknowledged.
   *
   * @default {false}
   */
  fsync?: boolean;
  /**
   * Milliseconds that the partial file of a lost connection is kept, if the client asked to resume
   * it. 0 keeps none.
   *
   * @default {86_400_000}
   */
  keepPartialsMs?: number;
  /**
   * Milliseconds that a session may be idle between two requests. The client is warned a minute
   * before. In other modes than `files`, and before the first line, milliseconds of silence.
   *
   * @default {600_000}
   */
  sessionTimeoutMs?: number;
  /**
   * The key that clients must prove they hold, at least 16 characters, or a function that returns the
   * one that holds at that moment. With it the server is encrypted. Without it and without `users`,
   * every client is admitted, in plain TCP.
   *
   * @default {undefined}
   */
  key?: string | (() => string) | undefined;
  /**
   * Path of a file of users, each with a key and rights of its own, instead of one key for all. It is
   * read again when it changes.
   *
   * @default {undefined}
   */
  users?: string | undefined;
  /**
   * Path of a certificate of an authority in PEM, with the chain behind it, for clients that send one
   * of its names in the TLS handshake. It is read again when it changes. Without `key` and `users` it is
   * for all clients that speak TLS. `certKey` goes with it.
   *
   * @default {undefined}
   */
  cert?: string | undefined;
  /**
   * Path of the private key of `cert`.
   *
   * @default {undefined}
   */
  certKey?: string | undefined;
  /**
   * Whether a server that listens on the network admits every client, without a key.
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
  /**
   * Whether clients can meet here, and send each other what the server relays and cannot read, in mode
   * `files`.
   *
   * @default {true}
   */
  relay?: boolean;
  /**
   * Whether a part of a name may begin with a dot, such as `.ssh/authorized_keys`. Otherwise such
   * names are refused, and not listed.
   *
   * @default {true}
   */
  dotfiles?: boolean;
  /**
   * Which symbolic links of clients are made, and given to clients: those that lead to something
   * within the directory, all, or none. No link is ever followed.
   *
   * @default {"tree"}
   */
  links?: LinkRule;
  /**
   * Whether messages are written to a terminal unchanged. By default, what a terminal would obey is
   * escaped there; files and pipes always get the exact bytes.
   *
   * @default {false}
   */
  raw?: boolean;
  /**
   * Steps that precede the body on the wires of other programs: `send:TEXT`, `expect:TEXT`,
   * `expect-any`, `skip-to:TEXT`, with escapes such as `\\r\\n`; or `accio`. A text has 1 to 4,096
   * bytes.
   *
   * @default {[]}
   */
  dialogue?: readonly string[];
  /**
   * What the server says first on the wires of other programs. In mode `talk`, `{n}` and `{nn}` are
   * the number of the client, and the server names its clients.
   *
   * @default {undefined}
   */
  banner?: string | undefined;
  /**
   * Milliseconds, 1 to 60,000, after which bytes without a line ending count as a line, in the modes
   * `reverse` and `talk`. Without it, `reverse` waits for the ending, and `talk` for 200 ms.
   *
   * @default {undefined}
   */
  lineGapMs?: number | undefined;
  /**
   * Whether mode `raw` stores an empty file for a connection that sends nothing.
   *
   * @default {false}
   */
  keepEmpty?: boolean;
  /**
   * What follows a file in mode `talk`; empty for nothing.
   *
   * @default {"EOF"}
   */
  getMarker?: string;
  /**
   * Whether a bare name of a file counts as `get` in mode `talk`.
   *
   * @default {false}
   */
  bareNames?: boolean;
  /**
   * Whether HTTP is served on the port too, in mode `files`.
   *
   * @default {true}
   */
  web?: boolean;
  /**
   * Names by which clients of HTTP may call the server, beside its addresses and `localhost`.
   *
   * @default {[]}
   */
  publicNames?: readonly string[];
  /**
   * Path below which HTTP is served, like `/inlet`.
   *
   * @default {"/"}
   */
  basePath?: string | undefined;
  /**
   * Addresses, or ranges of them such as `10.0.0.0/8`, of reverse proxies that are believed who their
   * clients are; `unix` for those at a Unix socket.
   *
   * @default {[]}
   */
  proxyFrom?: readonly string[];
  /**
   * Name of the mode that serves what is not in a protocol of the default mode: `raw`, `message`,
   * `reverse` or `talk`.
   *
   * @default {undefined}
   */
  fallback?: string | undefined;
  /**
   * Is called once for each stored file, as soon as it has its name: not for folders and links, which
   * hold nothing. No client waits for it. What it throws is logged as `hook-failed`.
   *
   * @default {undefined}
   */
  onStored?: OnStored | undefined;
  /**
   * Is called when a client comes, says its name, and leaves. No client waits for it. What it throws is
   * logged as `hook-failed`.
   *
   * @default {undefined}
   */
  onClient?: OnClient | undefined;
  /**
   * What keeps the files, in the place of a directory: the address of a bucket, `s3://BUCKET/PREFIX`, or
   * a store of the program. Then no option is given that a directory alone has: `directory`, `fsync` and
   * `disk`, and with a store of the program `dotfiles` and `links` neither.
   *
   * The keys of the bucket are in `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or in the shared
   * credentials file, as far as Deno may read them.
   *
   * @default {undefined}
   */
  store?: ServerStore | string | undefined;
  /**
   * The URL of the object store that has the bucket. Without it, `AWS_ENDPOINT_URL_S3` or
   * `AWS_ENDPOINT_URL` tell it, or it is that of AWS.
   *
   * @default {undefined}
   */
  s3Endpoint?: string | undefined;
  /**
   * The region of the bucket. Without it, `AWS_REGION` tells it, or it is `us-east-1`.
   *
   * @default {undefined}
   */
  s3Region?: string | undefined;
  /**
   * Format and verbosity of the log on stderr, or a function that takes the events instead.
   *
   * @default {{ format: "text" }}
   */
  log?: LogOptions | LogSink;
  /**
   * The functions that write to the disk. Tests substitute ones that fail.
   *
   * @default {Deno}
   */
  disk?: Disk;
}
