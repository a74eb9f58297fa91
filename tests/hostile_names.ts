/**
 * Names that mean harm, what every name on disk has to be, and a directory whose surroundings show
 * whether a name has led out of it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { walk } from "@std/fs/walk";
import { join } from "@std/path/join";
import { relative } from "@std/path/relative";
import fc from "fast-check";
import { MAX_COMPONENT_BYTES, MAX_NAME_BYTES } from "../lib/store/names.ts";
import { tempDir } from "./helpers.ts";

/** Bytes of UTF-8. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Pieces that have meant harm to somebody, and the plain text that they hide in. */
const piece = fc.constantFrom(
  // Traversal, absolute paths, and what means a place to a shell.
  ..."/ // . .. ... ../ ../../../../tmp/ ~ /etc/passwd %2e%2e%2f -rf *".split(" "),
  // Windows: drives, streams, shares, and devices with every kind of ending.
  ..."\\ ..\\ C: C:\\ C:/ \\\\host\\share\\ \\\\?\\C:\\ \\\\.\\ a:b a::$DATA".split(" "),
  ..."con CON Con.txt COM1 com¹ LPT9.log nul aux.h prn conin$ CONOUT$ COM10".split(" "),
  // The folder of files in flight, in several spellings, and extensions.
  ..."|.inlet|.INLET|.inlet.|.inlet |.inlet:x|INLET~1|.\u017fnlet|.in\u200blet|.\uff49nlet|/.inlet/"
    .split("|"),
  ..."a .temp .TEMP .Temp .tar.gz .pdf (2) probe 1.file".split(" "),
  // Controls, line separators, escape sequences, and what reorders or hides text.
  ..."\0|\n|\r|\t|\x07|\x1b[2J|\x1b]0;title\x07|\x7f|\x85|\x9b2J|\x9d0;|\u2028|\u2029".split("|"),
  ..."\u061c|\u200b|\u200e|\u202e|\u2066|\u2069|\ufeff".split("|"),
  // One letter in several forms, case that folds oddly, and halves of characters.
  ..."é|e\u0301|Å|A\u030a|\u212b|\ufb01|\u1112\u1161\u11ab|İ|ı|ß|ẞ|A|\u{1d160}|👩‍🚀".split("|"),
  ..."\ud800|\udc00|\ufffd|\uffff| |\u00a0|\u3000".split("|"),
  // Lengths about the limits, in bytes and in characters.
  ...[..."xé☕👍 ."].flatMap((one) => [82, 124, 250, 255, 256].map((count) => one.repeat(count))),
);

/** Any text, and text made of such pieces: what a stranger may use for a name. */
export const hostileName: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: "binary", maxLength: 400 }),
  fc.string({ unit: "grapheme", maxLength: 400 }),
  fc.string({ unit: "grapheme-ascii", maxLength: 40 }),
  ...["", "/"].map((separator) =>
    fc.array(fc.oneof(piece, fc.string({ maxLength: 5 })), { maxLength: 8 })
      .map((pieces) => pieces.join(separator))
  ),
);

/** Most bytes of a name in a request: a longer one would not fit into a line. */
const MAX_ASKED_BYTES = 4000;

/** The same as one line can carry it. */
export const hostileLine: fc.Arbitrary<string> = hostileName
  .map((name) => name.replaceAll("\n", "").toWellFormed())
  .filter((name) => byteLength(name) <= MAX_ASKED_BYTES);

/** Fails unless a name on disk is what every one has to be, whatever it was made from. */
export function checkName(name: string): void {
  assert(byteLength(name) <= MAX_NAME_BYTES, "too long");
  assert(name.isWellFormed(), "half of a surrogate pair");
  assert(!/\p{Cc}/u.test(name), "control character");
  assert(!/[\u2028\u2029]/.test(name), "line separator");
  for (const component of name.split("/")) {
    assert(!["", ".", ".."].includes(component), `component "${component}"`);
    assert(byteLength(component) <= MAX_COMPONENT_BYTES, "component too long");
  }
  assert(join("/srv/received", name).startsWith("/srv/received/"), "leads out");
}

/** A directory to store into, in the midst of files that are nobody's business. */
export interface Surroundings extends AsyncDisposable {
  /** The directory to store into, not made yet. */
  readonly dir: string;
  /** A directory beside it. */
  readonly outside: string;
  /** Names that lead to the file in there, whose content is {@linkcode SECRET}. */
  readonly ways: readonly string[];
  /**
   * Fails if anything outside has changed, or if anything inside has a name that it must not have.
   *
   * @returns The files inside, sorted.
   */
  check(): Promise<string[]>;
}

/** What must not be read. */
export const SECRET = "nobody's business";

/** Makes such a directory. */
export async function surroundings(): Promise<Surroundings> {
  const temp = await tempDir();
  const [dir, outside] = [`${temp.path}/received`, `${temp.path}/outside`];
  await Deno.mkdir(`${outside}/received`, { recursive: true });
  for (const name of ["a.txt", "a.txt.temp", "received/a.txt"]) {
    await temp.write(`outside/${name}`, SECRET);
  }
  const before = await snapshot(temp.path, dir);
  return {
    dir,
    outside,
    ways: [
      ...["../outside/a.txt", "..\\outside\\a.txt", "a/../../outside/a.txt", "./../outside/a.txt"],
      ...[`${outside}/a.txt`, `/${outside}/a.txt`, `file://${outside}/a.txt`, "../outside"],
    ],
    async check(): Promise<string[]> {
      assertEquals(await snapshot(temp.path, dir), before, "something outside has changed");
      const inside: string[] = [];
      for await (const { path, isFile, isSymlink } of walk(dir)) {
        if (path === dir || isSymlink) continue;
        checkName(relative(dir, path));
        if (isFile) inside.push(relative(dir, path));
      }
      return inside.sort();
    },
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

/** What there is below a directory, but for one part of it: names, sizes, times, contents. */
async function snapshot(root: string, without: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { path, isFile } of walk(root)) {
    if (path === without || path.startsWith(`${without}/`)) continue;
    // A directory's time changes with every name that is made or removed in it.
    const { mtime, ino } = await Deno.lstat(path);
    const content = isFile ? await Deno.readTextFile(path) : "";
    if (path !== root) found.push([relative(root, path), ino, mtime?.getTime(), content].join(" "));
  }
  return found.sort();
}
