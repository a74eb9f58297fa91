/**
 * The manual pages, docs/inlet-client.1 and docs/inlet-server.1, from what the two programs declare.
 * They are in mdoc(7). make_options.ts writes them.
 *
 * @module
 */

import denoJson from "../deno.json" with { type: "json" };
import { PROGRAM as CLIENT } from "../client/options.ts";
import { described, isTable, wrapped } from "../lib/cli/help.ts";
import type { Option, Program } from "../lib/cli/options.ts";
import { serverProgram } from "../lib/server/options.ts";
import { MODE_OPTION } from "../modes/table.ts";

/** The day of the last change to what the pages say. */
const DATE = "November 27, 2026";

/** Most characters of a line. */
const COLUMNS = 78;

/** What a page has besides the declarations. */
interface Written {
  readonly environment: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
  /** Commands, each below what it does. */
  readonly examples: Readonly<Record<string, string>>;
}

const TOKEN = "the key, if --token-file names none";

const OF_CLIENT: Written = {
  environment: {
    INLET_TOKEN: TOKEN,
    INLET_CODE: "the code of --accept, or that --offer goes on with",
    INLET_SERVER: "the server, if none is typed: HOST:PORT, unix:PATH, @NAME or inlet://HOST:PORT",
    TERM: "dumb: the terminal gets plain lines in place of a progress line that is redrawn",
  },
  files: { "~/.config/inlet/config.json": "servers with names, for @NAME" },
  examples: {
    "Send a file, and a folder with all that is in it:":
      "inlet-client 127.0.0.1:5000 report.pdf photos",
    "Get a folder, and go on where it broke off:":
      "inlet-client 127.0.0.1:5000 --get photos/ --retry 10",
    "Send what a program prints, encrypted:":
      "tar c photos | inlet-client HOST:5000 --as photos.tar --token-file inlet.token",
  },
};

const OF_SERVER: Written = {
  environment: {
    INLET_TOKEN: TOKEN,
    INLET_STORE: "the directory or the bucket, if neither --dir nor --store names one",
    AWS_ACCESS_KEY_ID: "the key of the bucket, with AWS_SECRET_ACCESS_KEY",
    AWS_ENDPOINT_URL_S3: "the object store, if --s3-endpoint names none",
    AWS_REGION: "the region, if --s3-region names none",
  },
  files: {
    received: "the folder that files are stored in, if --dir, --store and INLET_STORE name none",
  },
  examples: {
    "Store files of this machine's programs below inbox:": "inlet-server 5000 --dir inbox",
    "Serve others, with a key that the first start makes:":
      "inlet-server 5000 --host 0.0.0.0 --generate-token",
    "Admit one more user, with a key and rights of her own:":
      "inlet-server --users inlet.users --add-user ada --rights read",
  },
};

/** The manual pages, by the names of their files. */
export function manualPages(): Record<string, string> {
  const server = serverProgram(MODE_OPTION);
  return {
    [`${CLIENT.command}.1`]: page(CLIENT, OF_CLIENT, server.command),
    [`${server.command}.1`]: page(server, OF_SERVER, CLIENT.command),
  };
}

function page(program: Program, written: Written, other: string): string {
  const { title, usage, command, arguments: words, options, notes = [], exitCodes = {} } = program;
  const does = title.slice(title.indexOf(": ") + 2);
  const [, ...synopsis] = usage.split(" ");
  const places = Object.fromEntries(words.map(({ name, help }) => [name, help]));
  return [
    '.\\" Written by docs/make_options.ts from what the programs declare: change it there.',
    `.Dd ${DATE}`,
    `.Dt ${command.toUpperCase()} 1`,
    `.Os inlet ${denoJson.version}`,
    ".Sh NAME",
    `.Nm ${command}`,
    `.Nd ${escaped(does)}`,
    ".Sh SYNOPSIS",
    ".Nm",
    ...synopsis.map((word) =>
      word.startsWith("[") ? `.Op ${argument(word)}` : `.${argument(word)}`
    ),
    ".Sh DESCRIPTION",
    ".Nm",
    ...text(`${does}.`),
    ...list(
      Object.keys(places).map((name) => `${argument(name)}`),
      Object.values(places).map(text),
    ),
    ...notes.flatMap((note) => [".Pp", ...text(note)]),
    ".Sh OPTIONS",
    ...list(
      Object.entries(options).map(([name, option]) => syntax(name, option)),
      Object.values(options).map(optionText),
    ),
    ".Sh ENVIRONMENT",
    ...table("Ev", written.environment),
    ".Sh FILES",
    ...table("Pa", written.files),
    ".Sh EXIT STATUS",
    ...table("Li", exitCodes),
    ".Sh EXAMPLES",
    ...Object.entries(written.examples).flatMap(([what, line], index) => [
      ...(index === 0 ? [] : [".Pp"]),
      ...text(what),
      ".Dl " + escaped(line),
    ]),
    ".Sh SEE ALSO",
    `.Xr ${other} 1`,
    "",
  ].join("\n");
}

/** The head of an option: `Fl 0 , Fl \-null`. */
function syntax(name: string, { short, value }: Option<unknown>): string {
  const letter = short === undefined ? "" : `Fl ${short} , `;
  return `${letter}Fl ${`-${name}`.replaceAll("-", "\\-")}${
    value === undefined ? "" : ` ${argument(value)}`
  }`;
}

/** An argument, as in a usage line: `FILE...`, `[FILE...]`. */
function argument(word: string): string {
  return `Ar ${word.replace(/^\[(.*)\]$/, "$1").replace("...", " ...")}`;
}

function optionText({ short: _, ...option }: Option<unknown>): string[] {
  const lines = text(described(option, String));
  const { completes } = option;
  return isTable(completes) ? [...lines, ...table("Cm", completes)] : lines;
}

/** A list of words, each with its meaning. @param macro What the words are. */
function table(macro: string, rows: Readonly<Record<string, string>>): string[] {
  return list(
    Object.keys(rows).map((word) => `${macro} ${escaped(word)}`),
    Object.values(rows).map(text),
  );
}

function list(heads: readonly string[], bodies: readonly string[][]): string[] {
  const items = heads.flatMap((head, index) => [`.It ${head}`, ...bodies[index]!]);
  return [".Bl -tag -width Ds", ...items, ".El"];
}

/** Lines of text, each sentence on lines of its own. */
function text(sentences: string): string[] {
  return sentences.split(/(?<=\w\.) (?=[A-Z])/).flatMap((sentence) =>
    wrapped(sentence, COLUMNS).map(escaped)
  );
}

/** A line without what roff would take for something else, and without hyphens within options. */
function escaped(line: string): string {
  return line
    .replaceAll("\\", "\\e")
    .replaceAll(/(?<!\w)-[\w-]*/g, (word) => `\\%${word.replaceAll("-", "\\-")}`)
    .replaceAll("…", "...")
    .replace(/^[.']/, "\\&$&");
}
