// @ts-check
/**
 * Gathers what a person drops, chooses or pastes: files, and folders with all files in them. A folder
 * is one thing to send, however many files it has.
 *
 * @module
 */

/**
 * @typedef {object} Gathered
 * @property {string} name Of the file or the folder.
 * @property {boolean} isFolder
 * @property {{ file: File, path: string }[]} files Paths begin with the name.
 * @property {FileSystemHandle | undefined} [handle] By which it can be read again after a reload.
 * @property {number} [unread] Files that this device did not let the page read.
 */

/**
 * What was dropped. The list of it is empty once the event is over, so all of it is asked for at once.
 *
 * @param {DataTransfer} dropped
 * @returns {Promise<Gathered[]>}
 */
export async function fromDrop(dropped) {
  const items = [...dropped.items].filter(({ kind }) => kind === "file").map((item) => ({
    entry: item.webkitGetAsEntry?.(),
    file: item.getAsFile(),
    handle: handleOf(item),
  }));
  /** @type {Gathered[]} */
  const gathered = [];
  for (const { entry, file, handle } of items) {
    if (isFolder(entry)) {
      gathered.push({ ...await readFolder(entry), handle: await handle });
    } else if (file) gathered.push({ ...single(file), handle: await handle });
  }
  return gathered;
}

/**
 * What was chosen in an input, or pasted.
 *
 * @param {Iterable<File>} files
 * @returns {Gathered[]}
 */
export function fromFiles(files) {
  /** @type {Map<string, Gathered>} */
  const folders = new Map();
  /** @type {Gathered[]} */
  const gathered = [];
  for (const file of files) {
    const path = file.webkitRelativePath;
    if (!path) {
      gathered.push(single(file));
      continue;
    }
    const name = path.slice(0, path.indexOf("/"));
    const folder = folders.get(name) ?? { name, isFolder: true, files: [] };
    if (folder.files.push({ file, path }) === 1) {
      folders.set(name, folder);
      gathered.push(folder);
    }
  }
  return gathered;
}

/**
 * What was pasted. A picture of the screen gets a name with the time: the browser has one for all.
 *
 * @param {DataTransfer} pasted
 * @returns {Gathered[]}
 */
export function fromPaste(pasted) {
  const now = new Date().toLocaleString("sv").replaceAll(":", ".");
  return fromFiles([...pasted.files].map((file) => {
    const [, ending] = /^image(\.\w+)$/.exec(file.name) ?? [];
    return ending ? new File([file], `pasted ${now}${ending}`, { type: file.type }) : file;
  }));
}

/**
 * Reads again what a handle stands for.
 *
 * @param {FileSystemHandle} handle
 * @returns {Promise<Gathered>}
 */
export async function fromHandle(handle) {
  if (handle instanceof FileSystemFileHandle) {
    return { ...single(await handle.getFile()), handle };
  }
  /** @type {Gathered} */
  const gathered = { name: handle.name, isFolder: true, files: [], handle, unread: 0 };
  const walk = async (
    /** @type {FileSystemDirectoryHandle} */ folder,
    /** @type {string} */ path,
  ) => {
    // @ts-ignore: TypeScript's DOM does not have the values of a folder yet.
    for await (const child of folder.values()) {
      const below = `${path}/${child.name}`;
      if (child instanceof FileSystemDirectoryHandle) await walk(child, below);
      else {
        try {
          gathered.files.push({ file: await child.getFile(), path: below });
        } catch {
          gathered.unread = (gathered.unread ?? 0) + 1;
        }
      }
    }
  };
  await walk(/** @type {FileSystemDirectoryHandle} */ (handle), handle.name);
  return gathered;
}

/**
 * Asks for files by the browser's own window that gives handles, where there is one.
 *
 * @returns {Promise<Gathered[]>} Empty if the person chose nothing.
 */
export async function pick() {
  try {
    // @ts-ignore: TypeScript's DOM does not have it, as only some browsers do.
    const handles = await globalThis.showOpenFilePicker({ multiple: true });
    return await Promise.all(handles.map(fromHandle));
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return [];
    throw error;
  }
}

/** Whether {@linkcode pick} is there. */
export const canPick = "showOpenFilePicker" in globalThis;

/**
 * @param {File} file
 * @returns {Gathered}
 */
function single(file) {
  return { name: file.name, isFolder: false, files: [{ file, path: file.name }] };
}

/**
 * @param {FileSystemEntry | null | undefined} entry
 * @returns {entry is FileSystemDirectoryEntry}
 */
function isFolder(entry) {
  return entry?.isDirectory === true;
}

/**
 * @param {DataTransferItem} item
 * @returns {Promise<FileSystemHandle | undefined>}
 */
async function handleOf(item) {
  try {
    // @ts-ignore: only some browsers have it.
    return await item.getAsFileSystemHandle?.() ?? undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {FileSystemDirectoryEntry} root
 * @returns {Promise<Gathered>}
 */
async function readFolder(root) {
  /** @type {Gathered} */
  const gathered = { name: root.name, isFolder: true, files: [], unread: 0 };
  /** @type {FileSystemDirectoryEntry[]} */
  const folders = [root];
  const lost = () => gathered.unread = (gathered.unread ?? 0) + 1;
  for (let folder = folders.pop(); folder; folder = folders.pop()) {
    const reader = folder.createReader();
    for (;;) {
      /** @type {FileSystemEntry[]} */
      const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))
        .catch(() => (lost(), []));
      // It gives at most a hundred at a time.
      if (entries.length === 0) break;
      folders.push(...entries.filter(isFolder));
      // All at once: one after the other, a large folder would take long.
      const files = await Promise.all(
        entries.filter((entry) => !isFolder(entry)).map(async (entry) => {
          /** @type {File | undefined} */
          const file = await new Promise((resolve, reject) =>
            /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject)
          ).catch(() => (lost(), undefined));
          return file && { file, path: entry.fullPath.slice(1) };
        }),
      );
      gathered.files.push(...files.filter((file) => file !== undefined));
    }
  }
  return gathered;
}
