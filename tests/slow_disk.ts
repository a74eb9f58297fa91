/**
 * A disk that takes its time, and a server on it: `slow_disk.ts DIRECTORY`, with the key that is in
 * `INLET_TOKEN`, if there is one. It says its port on stderr.
 *
 * @module
 */

import { DirectoryStore } from "../lib/store/directory.ts";
import { type Reachable, Running, scriptPath } from "./helpers.ts";
import { serveHere } from "./in_process.ts";

/** Opens a store on a slow disk, with the chunks that it is given, as they are now. */
export async function slowStore(
  path: string,
): Promise<{ store: DirectoryStore; chunks: Uint8Array[] }> {
  const store = await DirectoryStore.open(path);
  const chunks: Uint8Array[] = [];
  const receive = store.receive.bind(store);
  store.receive = (...given) => {
    const upload = receive(...given);
    const write = upload.write.bind(upload);
    upload.write = async (chunk) => {
      chunks.push(chunk);
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
      await write(chunk);
    };
    return upload;
  };
  return { store, chunks };
}

/** Starts this program: a server on a slow disk, in a process of its own. */
export async function startOnSlowDisk(
  dir: string,
  key: string | undefined,
): Promise<Reachable & { readonly pid: number } & AsyncDisposable> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", scriptPath("tests/slow_disk.ts"), dir],
    env: key === undefined ? {} : { INLET_TOKEN: key },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const running = new Running(process);
  const [, port] = await running.says(/^port (\d+)$/);
  return {
    ...{ port: Number(port), key, pid: process.pid },
    [Symbol.asyncDispose]: async () => void await running.stop("SIGKILL"),
  };
}

if (import.meta.main) {
  const [dir] = Deno.args as [string];
  const { store, chunks } = await slowStore(dir);
  // Nobody looks at them, and the memory of this process is measured.
  chunks.push = () => 0;
  const { port } = await serveHere({ dir, store, key: Deno.env.get("INLET_TOKEN") });
  console.error(`port ${port}`);
}
