/**
 * The options of the server's command line, and the check for contradictions.
 *
 * @module
 */

import type { Access } from "../auth/access.ts";
import type { UserRights } from "../auth/users_file.ts";
import {
  parseCount,
  parseDirectory,
  parseDuration,
  parseHost,
  parsePermissions,
  parseRate,
  parseSeconds,
  parseSize,
  parseText,
  parseWord,
} from "../cli/option_values.ts";
import {
  ABOUT_OPTIONS,
  flag,
  type Option,
  option,
  type Program,
  type Values,
} from "../cli/options.ts";
import { parseCommand } from "../cli/shell_words.ts";
import { isLoopback } from "../address.ts";
import { InletError } from "../errors.ts";
import { LINK_RULES, type LinkRule } from "../store/link_rules.ts";
import { isClosed } from "./authentication.ts";
import { BUCKET, bucketOptionsOf } from "./bucket_options.ts";
import type { ServeOptions, ServeUnixOptions } from "./serve_options.ts";
import { WEB, webOptionsOf } from "./web_options.ts";
import { checkFallback, wireOptionsOf, WIRES } from "./wire_options.ts";

const FORMATS = { text: "for people", json: "for programs, one object a line" } as const;

const parseClients = (text: string, what: string): number =>
  parseCount(text, what, { min: 1, max: 100_000 });

const PLACES = {
  "host": option({
    value: "HOST",
    parse: parseHost,
    default: "127.0.0.1",
    note: "this machine only",
    help: "listen on this address",
  }),
  "socket-mode": option({
    value: "MODE",
    parse: parsePermissions,
    default: "600",
    note: "the user of the server only",
    help: "who may connect to unix:PATH: the permissions of the socket, in octal, like 660",
  }),
  "dir": option({
    value: "DIR",
    parse: parseDirectory,
    default: "received",
    help: "store files in this directory (or that in INLET_STORE)",
    completes: "folder",
  }),
  ...BUCKET,
};

const LIMITS = {
  "max-clients": option({
    value: "N",
    parse: parseClients,
    note: "default: 100; in mode talk: 3",
    help: "serve at most N clients at once; one more is told that the server is busy",
  }),
  "max-per-address": option({
    value: "N",
    parse: parseClients,
    note: "default: half of --max-clients from 20 on, this machine exempt",
    help: "serve at most N clients at once from one address; raise it for many behind one NAT",
  }),
  "backlog": option({
    value: "N",
    parse: parseClients,
    default: "10",
    help: "let N connections wait to be accepted",
  }),
  "timeout": option({
    value: "SECONDS",
    parse: parseSeconds,
    default: "30",
    help:
      "drop a connection that is silent for this long; before its first line, and in the other " +
      "modes, only where another client needs its place",
  }),
  "greeting-timeout": option({
    value: "SECONDS",
    parse: parseSeconds,
    default: "10",
    help: "prefer others to a connection that does not send its greeting within this time",
  }),
  "min-rate": option({
    value: "SIZE",
    parse: parseRate,
    default: "1KiB",
    note: "0 disables",
    help:
      "drop transfers slower than SIZE per second, averaged over a minute; in the modes upload " +
      "and raw only where another client needs the place",
  }),
  "session-timeout": option({
    value: "SECONDS",
    parse: parseSeconds,
    default: "600",
    help:
      "end a session that sends no request for this long; it is warned a minute before. In the " +
      "other modes, end a connection that is silent for this long",
  }),
  "max-size": option({
    value: "SIZE",
    parse: parseSize,
    note: "default: no limit",
    help: "refuse files larger than SIZE, like 500, 64KiB, 10MB or 1.5GiB",
  }),
  "keep-partials": option({
    value: "TIME",
    parse: parseDuration,
    default: "24h",
    note: "0 keeps none",
    help: "keep the partial file of a client with --resume for this long, like 90s, 30m, 24h or 7d",
  }),
};

const RIGHTS_OF_USERS: Record<UserRights, string> = {
  all: "everything",
  read: "list and download",
  drop: "upload",
};

const RIGHTS = {
  "token-file": option({
    value: "FILE",
    parse: parseText,
    help:
      "encrypt, and admit clients that prove they hold the key in this file (or in INLET_TOKEN)",
    completes: "file",
  }),
  "generate-token": flag({
    help: "make that key file first (default inlet.token); without PORT, only make it",
  }),
  "users": option({
    value: "FILE",
    parse: parseText,
    help: "admit the users in this file, each with a key and rights of its own",
    conflictsWith: ["token-file", "generate-token"],
    completes: "file",
  }),
  "add-user": option({
    value: "NAME",
    parse: parseText,
    help: "without PORT: add a user to that file, and write NAME.token for the user's client",
    needs: "users",
    conflictsWith: ["remove-user"],
  }),
  "rights": option({
    value: "RIGHTS",
    parse: (text, what) => parseWord(text, what, Object.keys(RIGHTS_OF_USERS) as UserRights[]),
    note: "default all",
    help: "what that user may do",
    needs: "add-user",
    completes: RIGHTS_OF_USERS,
  }),
  "remove-user": option({
    value: "NAME",
    parse: parseText,
    help: "without PORT: remove a user from that file; a server that runs drops the user's clients",
    needs: "users",
  }),
  "cert": option({
    value: "FILE",
    parse: parseText,
    help: "show this certificate of an authority, in PEM, to web clients that ask for its names",
    needs: "cert-key",
    modes: ["files"],
    completes: "file",
  }),
  "cert-key": option({
    value: "FILE",
    parse: parseText,
    help: "the private key of that certificate, in PEM",
    needs: "cert",
    completes: "file",
  }),
  "open": flag({
    help: "listen on the network without a key: admit every client",
    conflictsWith: ["token-file", "generate-token", "users"],
  }),
  "read-only": flag({
    help: "clients may list and download, but not upload",
    conflictsWith: ["drop-only"],
  }),
  "drop-only": flag({ help: "clients may upload, but not list or download" }),
  "no-relay": flag({ help: "let no clients meet here, and relay nothing between them" }),
  "no-dotfiles": flag({ help: "refuse and hide names that begin with a dot, like .ssh" }),
  "links": option({
    value: "WHICH",
    parse: (text, what) => parseWord(text, what, Object.keys(LINK_RULES) as LinkRule[]),
    default: "tree",
    help: "make and list these symbolic links of folders: those that stay in DIR, all, or none",
    completes: LINK_RULES,
  }),
};

const WAYS = {
  "fsync": flag({ help: "flush each file to disk before acknowledging it" }),
  "log": option({
    value: "FORMAT",
    parse: (text, what): "text" | "json" => parseWord(text, what, ["text", "json"]),
    default: "text",
    help: "write events to stderr in this format",
    completes: FORMATS,
  }),
  "json": flag({
    help: "print what is stored and said on the standard output as JSON, one object a line",
    conflictsWith: ["add-user", "remove-user"],
  }),
  "on-stored": option({
    value: "COMMAND",
    parse: parseCommand,
    help: "run this program after each stored file, which it finds in INLET_FILE",
    modes: ["files", "upload", "raw"],
    conflictsWith: ["read-only"],
    completes: "file",
  }),
  "on-stored-timeout": option({
    value: "SECONDS",
    parse: parseSeconds,
    default: "60",
    help: "end that program after this time",
    needs: "on-stored",
  }),
  "raw": flag({
    help: "write messages to a terminal unchanged, control characters and all",
  }),
  "quiet": flag({ help: "print only the first line, warnings and errors" }),
};

/**
 * The options of the command line.
 *
 * @param mode The option that chooses the mode; this file does not know the modes.
 */
function serverOptions<Mode>(mode: Option<Mode>) {
  return { ...PLACES, mode, ...WIRES, ...WEB, ...LIMITS, ...RIGHTS, ...WAYS, ...ABOUT_OPTIONS };
}

/** The declared options, with a mode of this type. */
type ServerOptions<Mode> = ReturnType<typeof serverOptions<Mode>>;

/**
 * Declares the server's command line, for its help and its documentation.
 *
 * @param mode The option that chooses the mode.
 */
export function serverProgram<Mode>(mode: Option<Mode>): Program<ServerOptions<Mode>> {
  return {
    title: "inlet server: receives files and messages over TCP",
    usage: "server.ts PORT [OPTIONS]",
    command: "inlet-server",
    arguments: [
      {
        name: "PORT",
        help: "1024 to 65535, or 0 for any free one; unix:PATH is a Unix socket",
        completes: "nothing",
      },
    ],
    options: serverOptions(mode),
    exitCodes: {
      0: "stopped by SIGINT or SIGTERM, or by SIGHUP in a terminal",
      2: "usage error, or a missing permission",
      4: "could not listen or reach its bucket, or the reader of its stdout has closed it",
      6: "what --help, --version or --completions print could not be written",
    },
  };
}

/** Converts a command line to options of the library, defaults included. */
export function serveOptionsOf(values: Values<ServerOptions<unknown>>) {
  const access: Access = values["read-only"]
    ? "read-only"
    : values["drop-only"]
    ? "drop-only"
    : "all";
  return {
    hostname: values.host,
    socketMode: values["socket-mode"],
    directory: values.dir,
    ...bucketOptionsOf(values),
    maxClients: values["max-clients"],
    maxPerAddress: values["max-per-address"],
    backlog: values.backlog,
    timeoutMs: values.timeout,
    greetingTimeoutMs: values["greeting-timeout"],
    minRate: values["min-rate"],
    sessionTimeoutMs: values["session-timeout"],
    maxBytes: values["max-size"] ?? Number.MAX_SAFE_INTEGER,
    keepPartialsMs: values["keep-partials"],
    users: values.users,
    cert: values.cert,
    certKey: values["cert-key"],
    open: values.open,
    access,
    relay: !values["no-relay"],
    dotfiles: !values["no-dotfiles"],
    links: values.links,
    fsync: values.fsync,
    raw: values.raw,
    log: { format: values.log, quiet: values.quiet },
    ...wireOptionsOf(values),
    ...webOptionsOf(values),
  } satisfies ServeOptions & Partial<ServeUnixOptions>;
}

/** The options that decide who can reach a server, and what clients may do. */
interface Reach extends
  Pick<
    ServeOptions,
    "fallback" | "dialogue" | "banner" | "maxClients" | "maxPerAddress"
  > {
  /** The name of the mode. */
  mode: string;
  hostname: string;
  key?: ServeOptions["key"];
  users?: ServeOptions["users"];
  cert?: ServeOptions["cert"];
  certKey?: ServeOptions["certKey"];
  open?: boolean;
  access?: Access;
}

/**
 * Refuses options that contradict each other, and listening on the network without a key or `open`.
 *
 * @throws {InletError} `usage`
 */
export function checkReach(options: Reach): void {
  const { mode, hostname, key, users, open, access, maxClients, maxPerAddress } = options;
  checkFallback(options);
  if (maxClients !== undefined && maxPerAddress !== undefined && maxPerAddress > maxClients) {
    const what = `Cannot serve ${maxPerAddress} clients from one address`;
    throw new InletError("usage", `${what}: the server serves ${maxClients} at once`);
  }
  if (key !== undefined && users !== undefined) {
    throw new InletError("usage", "Cannot have one key for all and users: give one or the other");
  }
  if ((options.cert === undefined) !== (options.certKey === undefined)) {
    throw new InletError("usage", "Cannot use a certificate without its key: give both");
  }
  if (options.cert !== undefined && mode !== "files") {
    throw new InletError("usage", `Cannot show a certificate in mode ${mode}: it is no HTTP`);
  }
  const requiresKey = isClosed(options);
  if (requiresKey && open) {
    throw new InletError(
      "usage",
      "Cannot require a key and also admit every client: give one or the other",
    );
  }
  if (requiresKey && mode !== "files") {
    throw new InletError(
      "usage",
      `Cannot require a key in mode ${mode}: its wire cannot carry one`,
    );
  }
  if (access === "read-only" && mode !== "files" && mode !== "talk") {
    throw new InletError("usage", `Cannot be read-only in mode ${mode}: its clients can only send`);
  }
  if (isLoopback(hostname) || open || requiresKey) return;
  const ways = mode === "files"
    ? "give --generate-token to make a key, --token-file FILE to require the one that you have, " +
      "or --open to admit every client"
    : `mode ${mode} cannot require a key, give --open to admit every client`;
  throw new InletError("usage", `Cannot listen on ${hostname} without a key: ${ways}`);
}
