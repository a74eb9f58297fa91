/**
 * What a test compares of two trees: the kinds, sizes, targets of links, permission bits and times.
 *
 * @module
 */

/** What `lstat` tells of everything in a folder, the folder included. */
export function factsOf(folder: string, below = "."): Record<string, unknown> {
  const path = `${folder}/${below}`;
  const { isDirectory, isSymlink, mode, mtime, size } = Deno.lstatSync(path);
  const facts: Record<string, unknown> = {
    [below]: {
      kind: isDirectory ? "folder" : isSymlink ? Deno.readLinkSync(path) : size,
      mode: isSymlink ? undefined : (mode! & 0o7777).toString(8),
      modified: mtime!.toISOString(),
    },
  };
  if (!isDirectory) return facts;
  for (const { name } of Deno.readDirSync(path)) {
    Object.assign(facts, factsOf(folder, `${below}/${name}`));
  }
  return facts;
}
