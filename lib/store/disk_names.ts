/**
 * Names that a disk refuses: exFAT, FAT and Windows have no names with `"*:<>?\|`, and Windows none
 * that end with a dot or a space. Each such character becomes the wide form of it, which looks alike
 * and is an ordinary character: `a:b` is stored as `a：b`.
 *
 * What a disk refuses is tried, once for each `.inlet`, when the first name comes that has such a
 * character. A name with the wide form that is there already is taken: the other gets a number.
 *
 * @module
 */

import type { Disk } from "./disk.ts";
import { tryTo } from "./temp_file.ts";

/** The wide forms, by the characters that some disks refuse anywhere in a name. */
const WIDE: Readonly<Record<string, string>> = {
  '"': "＂",
  "*": "＊",
  ":": "：",
  "<": "＜",
  ">": "＞",
  "?": "？",
  "\\": "＼",
  "|": "｜",
};

/** The same of those that some disks refuse, or leave out, at the end of a name. */
const WIDE_AT_END: Readonly<Record<string, string>> = { ".": "．", " ": "␠" };

const ODD = /["*:<>?\\|]|[. ](?=\/|$)/;

/** What the names on a disk cannot have. */
export interface RefusedNames {
  /** Characters anywhere in a name. */
  readonly anywhere: readonly string[];
  /** Characters at its end. */
  readonly atEnd: readonly string[];
}

/** Whether there are disks that refuse a name which is ordinary on others. Most names are none. */
export function isOddName(name: string): boolean {
  return ODD.test(name);
}

/**
 * Gives a name a form that its disk can hold. It is the same again for the result.
 *
 * @param refusedIn What the disk of a folder refuses.
 */
export function nameForDisk(
  name: string,
  refusedIn: (folder: string) => RefusedNames | undefined,
): string {
  let inside = "";
  for (const part of name.split("/")) {
    const folder = inside.slice(0, -1);
    const isOdd = isOddName(part) && part !== "." && part !== "..";
    inside += `${isOdd ? partForDisk(part, refusedIn(folder)) : part}/`;
  }
  return inside.slice(0, -1);
}

function partForDisk(part: string, refused: RefusedNames | undefined): string {
  if (!refused) return part;
  const last = part.at(-1)!;
  const mapped = [...part].map((one) => refused.anywhere.includes(one) ? WIDE[one]! : one).join("");
  return refused.atEnd.includes(last) ? mapped.slice(0, -1) + WIDE_AT_END[last]! : mapped;
}

/**
 * Finds out what the names on a disk cannot have, by files with such names.
 *
 * @param folder Path of a folder that is not there. It is made, and removed with all that is in it.
 */
export function probeNames(disk: Disk, folder: string): RefusedNames {
  disk.mkdirSync(folder, { mode: 0o700 });
  try {
    const anywhere = Object.keys(WIDE);
    // Most disks take all of them.
    if (holds(disk, folder, `a${anywhere.join("")}a.`) && holds(disk, folder, "a ")) {
      return { anywhere: [], atEnd: [] };
    }
    return {
      anywhere: anywhere.filter((one) => !holds(disk, folder, `b${one}b`)),
      atEnd: Object.keys(WIDE_AT_END).filter((one) => !holds(disk, folder, `c${one}`)),
    };
  } finally {
    tryTo(() => disk.removeSync(folder, { recursive: true }));
  }
}

/** Whether a file with a name is there under that name once it is made. */
function holds(disk: Disk, folder: string, name: string): boolean {
  try {
    disk.openSync(`${folder}/${name}`, { write: true, createNew: true }).close();
  } catch {
    return false;
  }
  // Windows drops what it does not take at the end, and takes what follows a colon for a stream.
  return [...Deno.readDirSync(folder)].some((entry) => entry.name === name);
}
