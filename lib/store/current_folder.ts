/**
 * Steps inside a folder that no other program can swap for a link meanwhile.
 *
 * Deno opens, links and makes by path alone, and every folder of a path can become a link between
 * two calls. The current folder of a process stays the same folder whatever happens to its path. So
 * the process changes into a folder, looks at where it is, takes its steps with names that have no
 * folders, and changes back: all of it without yielding to the event loop, so that no other code of
 * the process notices.
 *
 * It works where every permission is granted: with fewer, Deno itself makes each path absolute. It
 * is done in the two programs only, as the current folder belongs to the whole process. Any path
 * that is used meanwhile, or by a call in another thread, has to be absolute.
 *
 * @module
 */

const PERMISSIONS = ["read", "write", "net", "env", "sys", "run", "ffi", "import"] as const;

/** A folder, how to find out that the current one is it, and why it cannot be entered. */
interface Inside {
  /** Absolute path. */
  readonly folder: string;
  readonly check: () => void;
  readonly onMissing: () => void;
}

let isAllowed = false;
let isPossible: boolean | undefined;
let isAllPermitted: boolean | undefined;
let inside: Inside | undefined;
/** Where the process is otherwise. */
let home: string | undefined;

/** Called by a program that has the process to itself, and no worker, before it opens a store. */
export function allowFolderChanges(): void {
  isAllowed = true;
}

/** Whether {@linkcode within} may be used. */
export function changesFolder(): boolean {
  // In Windows a path leads through links also where it is the current folder.
  return isPossible ??= isAllowed && Deno.build.os !== "windows" && hasAllPermissions();
}

/** Whether Deno passes paths to the system as they are. It is asked once. */
export function hasAllPermissions(): boolean {
  return isAllPermitted ??= PERMISSIONS.every((name) => {
    const { state, partial } = Deno.permissions.querySync({ name } as Deno.PermissionDescriptor);
    return state === "granted" && !partial;
  });
}

/**
 * Runs an action in a folder. Within another one it costs nothing if the folder is the same.
 *
 * @param folder Absolute path.
 * @param check Called inside the folder. It throws if that is another one than was meant.
 * @param action It does not wait for anything.
 * @param onMissing Called if the folder cannot be entered, to throw a better reason.
 */
export function within<T>(
  folder: string,
  check: () => void,
  action: () => T,
  onMissing: () => void = () => {},
): T {
  if (inside?.folder === folder) return action();
  const outer = inside;
  home ??= Deno.cwd();
  try {
    enter({ folder, check, onMissing });
    return action();
  } finally {
    if (outer) enter(outer);
    else leave();
  }
}

/** A path as it is to be used now: one of an entry of the current folder is its name alone. */
export function here(path: string): string {
  if (inside === undefined) return path;
  const { folder } = inside;
  if (!path.startsWith(folder) || path.lastIndexOf("/") !== folder.length) return path;
  return path.slice(folder.length + 1) || ".";
}

function enter(next: Inside): void {
  try {
    Deno.chdir(next.folder);
  } catch (error) {
    leave();
    next.onMissing();
    throw error;
  }
  inside = next;
  try {
    next.check();
  } catch (error) {
    leave();
    throw error;
  }
}

function leave(): void {
  inside = undefined;
  try {
    Deno.chdir(home!);
  } catch {
    // Another program removed it. No path of ours is relative.
    Deno.chdir("/");
  }
}
