/**
 * Stores a folder and one in it, and is killed before the n-th call of one operation of the disk. It
 * prints the names that it has acknowledged.
 *
 * @module
 */

import { DirectoryStore } from "../../lib/store/directory.ts";
import type { BatchedFile } from "../../lib/store/store_batch.ts";
import { FaultyDisk, type Operation } from "./disk.ts";

const [directory, top, operation, nth] = Deno.args as [string, string, Operation, string];
// A machine that is busy must not make the disk seem slow: then files are stored one by one.
let ticks = 0;
performance.now = () => ticks += 0.01;

const faulty = new FaultyDisk();
const store = await DirectoryStore.open(directory, { disk: faulty.disk });
await store.prepare();
faulty.fault = { operation, nth: Number(nth), forGood: false, code: "SIGKILL" };
using batch = store.batch();
let stored: BatchedFile[] = [];
for (const folder of [top, `${top}/in`]) {
  stored.push(await batch.makeFolder(folder, { files: 3 }));
  for (const file of ["1", "2", "3"]) {
    const name = `${folder}/${file}`;
    stored.push(await batch.put(name, new TextEncoder().encode(name)));
  }
  const names = stored.map(({ name }) => name).filter((name) => name !== undefined);
  for (const name of names) console.log(name === folder ? `${name}/` : name);
  stored = [];
}
