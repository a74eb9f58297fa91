/**
 * The options of the client's command line.
 *
 * @module
 */

import {
  parseClientName,
  parseCount,
  parseDuration,
  parseSeconds,
  parseSize,
  parseText,
  parseWord,
} from "../lib/cli/option_values.ts";
import {
  ABOUT_OPTIONS,
  flag,
  list,
  option,
  type Program,
  type Values,
} from "../lib/cli/options.ts";
import { PROGRESS_STYLES, type ProgressStyle } from "../lib/cli/progress.ts";
import { LINK_RULES, type LinkRule } from "../lib/store/link_rules.ts";
import { MODE_OPTION } from "../modes/table.ts";
import { parseOfferTime } from "./meeting_plan.ts";
import { WIRES } from "./wire_options.ts";

const OPTIONS = {
  "as": option({
    value: "NAME",
    parse: parseText,
    help: "store the file under this name, such as photos/a.jpg; photos/ is a folder to put all in",
    conflictsWith: ["list", "status", "session", "get"],
  }),
  "list": flag({
    help: "list the files on the server, or those in the folders NAME...: size, time, name",
    conflictsWith: ["status", "session", "get"],
  }),
  "get": option({
    value: "NAME",
    parse: parseText,
    help: "download a file, or, with a trailing slash (NAME/), a folder; / is everything, and " +
      "further names may follow",
    completes: "asked",
  }),
  "output": option({
    value: "PATH",
    parse: parseText,
    help: "save to this file, pipe or device, or into this folder; - is the standard output",
    note: "default: the current folder",
    completes: "file",
    needs: ["get", "accept"],
  }),
  "offer": flag({
    help:
      "offer FILE... to whoever has the code that is printed; without FILE, the message on the " +
      "standard input",
    modes: ["files"],
    conflictsWith: ["list", "status", "session", "get", "dry-run"],
  }),
  "expires": option({
    value: "TIME",
    parse: parseOfferTime,
    default: "10m",
    help: "end the offer after this long, like 90s or 1h, which is the most",
    needs: "offer",
  }),
  "accept": flag({
    help: "receive what is offered: the code is asked for, or read from the standard input, or " +
      "from INLET_CODE",
    modes: ["files"],
    conflictsWith: ["list", "status", "session", "get", "offer", "as", "files-from", "dry-run"],
  }),
  "no-direct": flag({
    help:
      "keep to the way through the server, so that the other one learns no address of this machine",
    needs: ["offer", "accept", "session"],
  }),
  "yes": flag({ help: "receive what is offered without a question", needs: "accept" }),
  "files-from": option({
    value: "FILE",
    parse: parseText,
    help:
      "send the paths in this list too, a line each, with their folders; with --get NAME/, get " +
      "only what it names in that folder; - is the standard input",
    completes: "file",
    modes: ["files"],
    conflictsWith: ["list", "status", "session"],
  }),
  "null": flag({
    help: "a NUL ends each path of the list, as find -print0 writes it",
    short: "0",
    needs: "files-from",
  }),
  "exclude": list({
    value: "GLOB",
    parse: parseText,
    help: "leave out what matches GLOB, by name, or by path if GLOB has a slash",
  }),
  "links": option({
    value: "WHICH",
    parse: (text, what) => parseWord(text, what, Object.keys(LINK_RULES) as LinkRule[]),
    default: "tree",
    help:
      "send and get these symbolic links of folders: those that stay in the folder, all, or none",
    completes: LINK_RULES,
  }),
  "skip-same": flag({
    help: "skip what already exists: files with the same size, time and permissions",
  }),
  "checksum": flag({
    help: "compare the content of files too, whatever their times say; implies --skip-same",
  }),
  "dry-run": flag({
    help: "transfer nothing: list what would be, and why",
    conflictsWith: ["list", "status", "session"],
  }),
  "resume": flag({
    help: "keep the partial file when the connection is lost, continue an earlier one, and leave " +
      "alone what exists already, as --skip-same does",
  }),
  "retry": option({
    value: "N",
    parse: (text, what) => parseCount(text, what, { min: 1, max: 1_000_000 }),
    help: "try again up to N times after a refused or lost connection; implies --resume in mode " +
      "files; the other modes send nothing twice",
  }),
  "keep-partials": option({
    value: "TIME",
    parse: parseDuration,
    default: "24h",
    note: "0 keeps none",
    help: "keep the partial file of a --get with --resume for this long, like 90s, 30m, 24h or 7d",
    needs: "get",
  }),
  "strict": flag({
    help: "fail when a file grows while it is sent, instead of sending what it was at first",
  }),
  "status": flag({
    help: "list the clients of the server",
    conflictsWith: ["session", "get"],
  }),
  "session": flag({
    help: "run a session from a script on the standard input, one command per line",
    conflictsWith: ["get"],
  }),
  "accept-from": option({
    value: "NAME",
    parse: parseText,
    help: "receive what this person offers to the script; what others offer is declined",
    needs: "session",
  }),
  "token-file": option({
    value: "FILE",
    parse: parseText,
    help: "key file, or the token of a user, for servers that require one (or INLET_TOKEN)",
    completes: "file",
  }),
  "mode": MODE_OPTION,
  ...WIRES,
  "name": option({
    value: "NAME",
    parse: parseClientName,
    help: "name of this client in the server's log and status",
    note: "default inlet",
  }),
  "timeout": option({
    value: "SECONDS",
    parse: parseSeconds,
    default: "30",
    help: "give up when nothing arrives for this long",
  }),
  "limit": option({
    value: "RATE",
    parse: parseSize,
    help: "move at most RATE bytes per second, like 500kB or 10MB",
    note: "default: no limit",
  }),
  "raw": flag({
    help: "write what the server sends to a terminal unchanged, control characters and all",
  }),
  "progress": option({
    value: "HOW",
    parse: (text, what) => parseWord(text, what, Object.keys(PROGRESS_STYLES) as ProgressStyle[]),
    default: "auto",
    help:
      "show progress as a line that a terminal redraws, as plain lines for a log, one every five " +
      "seconds, or not at all",
    completes: PROGRESS_STYLES,
    conflictsWith: ["quiet"],
  }),
  "json": flag({
    help: "print results and errors on the standard output as JSON, one object a line",
    modes: ["files", "upload", "raw", "message"],
    conflictsWith: ["session"],
  }),
  "quiet": flag({ help: "print errors only" }),
  ...ABOUT_OPTIONS,
};

/** The options with which FILE is a name on the server. */
const WITH_NAMES = ["list", "get"];

/** The parsed value of each option. */
export type ClientValues = Values<typeof OPTIONS>;

/** The client's description, for its help and documentation. */
export const PROGRAM: Program<typeof OPTIONS> = {
  title: "inlet client: sends files and messages over TCP",
  usage: "client.ts HOST PORT [FILE...] [OPTIONS]",
  command: "inlet-client",
  arguments: [
    {
      name: "HOST",
      help:
        "the server's name or address; HOST:PORT in one word does too, and :PORT is this machine",
      // With INLET_SERVER it is a FILE, and behind unix: a path.
      completes: "asked-or-file",
    },
    // Behind HOST:PORT it is a FILE.
    {
      name: "PORT",
      help: "the server's port, 1 to 65535",
      completes: "file",
      askedWith: WITH_NAMES,
    },
    {
      name: "FILE...",
      help: "files and folders to send; - is the standard input, and needs --as; with --list and " +
        "--get, names on the server",
      completes: "file",
      askedWith: WITH_NAMES,
    },
  ],
  options: OPTIONS,
  notes: [
    'Without FILE, in a terminal, starts an interactive session; type "help" there. Elsewhere the ' +
    "standard input is sent as a message, which the server prints.",
    "In the place of HOST PORT: unix:PATH is a Unix socket; inlet://HOST:PORT/NAME is the same with " +
    "--get NAME; @NAME is a server of the config file ~/.config/inlet/config.json " +
    "(docs/sending.md); and without any, the environment variable INLET_SERVER may hold one.",
  ],
  exitCodes: {
    0: "the server acknowledged everything; where a mode has no acknowledgement, all was sent",
    2: "usage error, or a missing permission",
    3: "refused by the server: full, denied, not found",
    4: "the connection failed, was lost, or was too slow",
    5: "verification failed: the bytes differ, or the server does not hold the key",
    6: "this machine's disk or standard output failed: full, read-only, closed, an I/O error",
    129: "stopped by SIGHUP, which a closed terminal sends; partial files as for 130",
    130: "stopped by Ctrl-C (SIGINT); partial files are removed, except with --resume",
    143: "stopped by SIGTERM; partial files as for 130",
  },
};
