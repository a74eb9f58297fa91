/**
 * What the programs print with `--json`, held against docs/json.schema.json and the tables of
 * docs/json.md.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { TextLineStream } from "@std/streams";
import { Ajv2020 } from "ajv/dist/2020.js";
import { printable } from "../lib/text.ts";
import { ROOT } from "./helpers.ts";

/** One of the two programs. */
export type Printer = "client" | "server";

/** What a line holds. Each test knows which keys there are. */
// deno-lint-ignore no-explicit-any
export type Printed = Record<string, any>;

const read = (name: string): string => Deno.readTextFileSync(new URL(name, ROOT));

let schema: ReturnType<Ajv2020["compile"]> | undefined;

/** The first cells of the rows under a heading of docs/json.md, and the cells behind. */
export function rowsUnder(heading: string): string[][] {
  const section = read("docs/json.md").split(/^## /m).find((text) => text.startsWith(heading))!;
  return [...section.matchAll(/^\| `.*$/gm)].map(([row]) =>
    row.split("|").slice(1, -1).map((cell) => cell.replaceAll("`", "").trim())
  );
}

/** Keys of every event of a server but an error, which the log has too. */
const OF_THE_LOG = ["time", "level", "message", "id", "client", "address"];

const known = new Map<Printer, Map<string, string[]>>();

/** The keys that the documentation has for each event of a program. */
function keysOf(program: Printer): Map<string, string[]> {
  const keys = known.get(program) ?? readKeysOf(program);
  known.set(program, keys);
  return keys;
}

function readKeysOf(program: Printer): Map<string, string[]> {
  return new Map(
    rowsUnder(`The ${program}`).map(([event, keys]) => {
      const others = program === "server" && event !== "error" ? OF_THE_LOG : [];
      return [event!, [...keys!.split(", "), ...others, "event", "version"]];
    }),
  );
}

/** Reads lines, and fails if one is not as documented. */
export function objectsIn(stdout: string, program: Printer = "client"): Printed[] {
  assert(stdout === "" || stdout.endsWith("\n"), "the last line has no end");
  const lines = stdout.split("\n").slice(0, -1);
  const objects = lines.map((line) => objectIn(line, program));
  assertEquals(objects.map(({ version }) => version), objects.map((_, at) => at ? undefined : 1));
  return objects;
}

/** Reads one line, and fails if it is not as documented. */
function objectIn(line: string, program: Printer = "client"): Printed {
  assertEquals(printable(line), line);
  const object = JSON.parse(line);
  schema ??= new Ajv2020({ strict: false }).compile(JSON.parse(read("docs/json.schema.json")));
  assert(schema(object), `${line}: ${JSON.stringify(schema.errors)}`);
  const keys = keysOf(program).get(object.event);
  assert(keys, `docs/json.md has no event of the ${program} like ${line}`);
  for (const key of Object.keys(object)) assert(keys.includes(key), `${key} in ${line}`);
  return object;
}

/** The objects of a program that is running, one after the other. */
export function objectsFrom(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
  program: Printer = "client",
): AsyncIterableIterator<Printed> {
  return stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    .pipeThrough(
      new TransformStream<string, Printed>({
        transform: (line, controller) => controller.enqueue(objectIn(line, program)),
      }),
    ).values();
}

/** The facts of objects that are the same in each run. */
export function withoutTimes(objects: readonly Printed[]): Printed[] {
  const varying = ["version", "time", "ms", "modified", "address", "since", "until"];
  return objects.map((object) =>
    Object.fromEntries(Object.entries(object).filter(([key]) => !varying.includes(key)))
  );
}
