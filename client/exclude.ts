/**
 * Exclude patterns, written as globs, for the files and folders of one run.
 *
 * A pattern without a `/` matches names at any depth: `*.tmp` excludes every file and folder with
 * such a name. A pattern with a `/` matches paths. They begin at the top of the tree: `cache/*.tmp`,
 * `**\/old/*`, or `/cache` and `./cache` for the entry at the top only. They may also lead through
 * the folder that is sent, as a shell completes them: `photos/cache`, `./photos/cache` or an
 * absolute path. A pattern that ends with `/` matches folders only. The contents of an excluded
 * folder are excluded too.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { SEPARATOR } from "@std/path/constants";
import { join } from "@std/path/join";
import { globToRegExp } from "@std/path/posix/glob-to-regexp";
import { relative } from "@std/path/relative";
import { InletError } from "../lib/errors.ts";
import { isNamed } from "../lib/body/path_source.ts";
import { quoted } from "../lib/text.ts";

/**
 * Whether an entry is excluded. Its path is relative to the top of the tree, joined by `/`; empty
 * for the top itself.
 */
export type Exclude = (path: string, isFolder: boolean) => boolean;

/** What the top of a tree is called. */
export interface Top {
  /** Its name, if that was given. */
  name?: string | undefined;
  /** The paths by which a pattern may lead to it. */
  paths: readonly string[];
}

interface Pattern {
  readonly glob: string;
  /** The glob as it matches, without what no path of an entry has. */
  readonly body: string;
  readonly expression: RegExp;
  /** The same from the root of the disk, if it leads through `..`. */
  fromRoot?: RegExp | undefined;
  /** Whether it matches folders only. */
  readonly folders: boolean;
  /** Whether it matches paths, not names. */
  readonly whole: boolean;
  used: boolean;
}

/** A path that leads to a folder above. */
const UPWARD = /(^|\/)\.\.(\/|$)/;

/** Characters that mean something in a glob. */
const SPECIAL = /[\\*?+@!|(){}[\]]/g;

/** The patterns of one run. They note which of them excluded something. */
export class Excludes {
  readonly #patterns: readonly Pattern[];

  /** @throws {InletError} `usage` if a pattern cannot match as its author means it */
  constructor(globs: readonly string[]) {
    this.#patterns = globs.map(patternOf);
  }

  /** The test for a file or folder of this machine. */
  at(path: string): Exclude {
    for (const pattern of this.#patterns) {
      if (UPWARD.test(pattern.body)) pattern.fromRoot ??= compiled(fromRoot(pattern));
    }
    return this.of(topOf(path));
  }

  /** The test for a tree, or for a file. */
  of({ name, paths }: Top): Exclude {
    const tops = [...new Set(paths.map((path) => slashed(path).replace(/^\/+/, "")))]
      .filter((path) => path !== "");
    return (entry, isFolder) => {
      const path = entry.normalize("NFC");
      const own = path === "" ? name?.normalize("NFC") : path.slice(path.lastIndexOf("/") + 1);
      const whole = path === "" ? tops : [path, ...tops.map((top) => `${top}/${path}`)];
      let isExcluded = false;
      // All of them, because each notes whether it was used.
      for (const pattern of this.#patterns) {
        if (pattern.folders && !isFolder) continue;
        const { expression, fromRoot } = pattern;
        const matches = pattern.whole
          ? whole.some((written) => expression.test(written) || fromRoot?.test(written))
          : own !== undefined && expression.test(own);
        if (matches) isExcluded = pattern.used = true;
      }
      return isExcluded;
    };
  }

  /** Reports each pattern that has excluded nothing, once. */
  reportUnused(report: (text: string) => void): void {
    for (const pattern of this.#patterns) {
      if (!pattern.used) report(`--exclude ${quoted(pattern.glob)} left nothing out`);
      pattern.used = true;
    }
  }
}

/** The error of a run that excludes everything. */
export function nothingLeft(): InletError {
  return new InletError("usage", "Cannot transfer anything: --exclude leaves all of it out");
}

function topOf(path: string): Top {
  const cwd = Deno.cwd();
  const below = relative(cwd, path);
  const absolute = join(cwd, below);
  const paths = [below, absolute];
  const name = basename(absolute);
  // "." and "/" are no names that a pattern could mean.
  return isNamed(path) && name !== SEPARATOR ? { name, paths: [name, ...paths] } : { paths };
}

function patternOf(glob: string): Pattern {
  const path = slashed(glob);
  const isAtTop = /^\.?\//.test(path);
  // Without "./" and repeated slashes, which no entry has.
  const body = path.replace(/(?<=^|\/)(\.?\/)+/g, "").replace(/\/$/, "");
  const refuse = (why: string): InletError =>
    new InletError("usage", `Cannot use --exclude ${quoted(glob)}: ${why}`);
  if (body === "") throw refuse("it names nothing");
  if (/\{(?:[^{}]*,)?\s|\{[^{}]*\s[,}]/.test(body)) {
    throw refuse(
      'the spaces beside "," and in "{ }" belong to the names; for such a name, put "?" there',
    );
  }
  if (/^!(?!\()/.test(body)) {
    throw refuse('a pattern brings nothing back; for a name that begins with "!", put "?" there');
  }
  const expression = body.split("/").every(isComplete) ? compiled(body) : undefined;
  if (!expression) {
    throw refuse('it is not a glob: brackets have to be closed, or have "\\" in front');
  }
  return {
    glob,
    body,
    expression,
    folders: path.endsWith("/"),
    whole: isAtTop || body.includes("/"),
    used: false,
  };
}

/** Follows the `..` of a glob, from the working directory if it is relative. */
function fromRoot({ glob, body }: Pattern): string {
  const here = /^([a-z]:)?\//i.test(slashed(glob)) ? [] : slashed(Deno.cwd()).split("/");
  const parts = here.filter((part) => part !== "").map((part) => part.replace(SPECIAL, "\\$&"));
  for (const part of body.split("/")) {
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts.join("/");
}

/** Whether every bracket in a part of a glob is closed: @std takes such a part as it stands. */
function isComplete(part: string): boolean {
  if (!/[[{\\]|[?*+@!]\(/.test(part)) return true;
  const asItStands = part.replace(/./gsu, "\\$&");
  return compiled(part)?.source !== compiled(asItStands)?.source;
}

function compiled(glob: string): RegExp | undefined {
  try {
    return globToRegExp(glob);
  } catch {
    // A range such as [z-a].
    return undefined;
  }
}

/** With slashes, and in NFC: a disk and a keyboard may write one letter in two ways. */
function slashed(path: string): string {
  return path.replaceAll(SEPARATOR, "/").normalize("NFC");
}
