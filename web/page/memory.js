// @ts-check
/**
 * Remembers unfinished transfers over a reload, in IndexedDB: it can keep the handle of a file, by
 * which the page reads it again without asking for it once more. Where there is no IndexedDB, or no
 * room in it, nothing is remembered, and all else works.
 *
 * @module
 */

/**
 * What is remembered of a file, or of a folder with all that is in it.
 *
 * @typedef {object} Kept
 * @property {string} id
 * @property {string} user Who has signed in; empty if nobody has to.
 * @property {string} tab The page that sends it. It holds a lock of that name as long as it lives.
 * @property {string} name
 * @property {string} into The folder of the server that it goes into; empty, or with a slash behind.
 * @property {boolean} isFolder
 * @property {number} count
 * @property {number} bytes
 * @property {FileSystemHandle | undefined} handle
 */

/**
 * What is remembered of one file of it.
 *
 * @typedef {object} KeptPart
 * @property {string} id That of the transfer.
 * @property {string} path
 * @property {number} size
 * @property {number} modified
 * @property {string | undefined} url The address of its upload.
 * @property {number} sent Bytes that had arrived when it was last looked at.
 * @property {boolean} isDone
 */

const tab = `inlet ${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;

/** @type {Promise<IDBDatabase | undefined> | undefined} */
let opening;

/** @returns {Promise<IDBDatabase | undefined>} */
function open() {
  return opening ??= new Promise((resolve) => {
    // Pages of two servers under one host and port, by their base paths, do not share it.
    const request = indexedDB.open(`inlet ${new URL(".", document.baseURI).pathname}`, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("transfers", { keyPath: "id" });
      request.result.createObjectStore("parts", { keyPath: ["id", "path"] });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(undefined);
    // Until the page is left: it tells other pages which transfers are its own.
    navigator.locks?.request(tab, () => new Promise(() => {}));
  });
}

/**
 * Does something with the database. What fails is as if nothing was remembered.
 *
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(transfers: IDBObjectStore, parts: IDBObjectStore) => IDBRequest<T>} work
 * @returns {Promise<T | undefined>}
 */
async function access(mode, work) {
  try {
    const database = await open();
    if (!database) return undefined;
    const transaction = database.transaction(["transfers", "parts"], mode);
    const request = work(transaction.objectStore("transfers"), transaction.objectStore("parts"));
    return await new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } catch {
    return undefined;
  }
}

/** @param {string} id */
const all = (id) => IDBKeyRange.bound([id], [id, []]);

/**
 * Remembers a transfer as one of this page.
 *
 * @param {Omit<Kept, "tab">} transfer
 */
export async function keep(transfer) {
  const kept = { ...transfer, tab };
  if (await access("readwrite", (transfers) => transfers.put(kept)) !== undefined) return;
  // Some handles cannot be kept.
  await access("readwrite", (transfers) => transfers.put({ ...kept, handle: undefined }));
}

/** @param {KeptPart} part */
export async function keepPart(part) {
  await access("readwrite", (_, parts) => parts.put(part));
}

/** @param {string} id */
export async function forget(id) {
  await access("readwrite", (transfers, parts) => {
    parts.delete(all(id));
    return transfers.delete(id);
  });
}

/**
 * The parts of a transfer that are remembered, by their paths.
 *
 * @param {string} id
 * @returns {Promise<Map<string, KeptPart>>}
 */
export async function partsOf(id) {
  const parts = await access("readonly", (_, store) => store.getAll(all(id))) ?? [];
  return new Map(parts.map((/** @type {KeptPart} */ part) => [part.path, part]));
}

/**
 * Transfers of a user that no page is sending.
 *
 * @param {string} user
 * @returns {Promise<Kept[]>}
 */
export async function unfinished(user) {
  const [kept, locks] = await Promise.all([
    access("readonly", (transfers) => transfers.getAll()),
    navigator.locks?.query(),
  ]);
  const alive = new Set([tab, ...locks?.held?.map(({ name }) => name) ?? []]);
  return (kept ?? []).filter((/** @type {Kept} */ transfer) =>
    transfer.user === user && !alive.has(transfer.tab)
  );
}
