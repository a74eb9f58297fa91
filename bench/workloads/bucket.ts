/**
 * A bucket of a Ceph on this machine as the store, beside the same store without a server in between.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { type BenchBucket, withBucket } from "../bucket.ts";
import { compare, type Entrant } from "../compare.ts";
import { Driver } from "../driver.ts";
import { oneEach } from "../many.ts";
import { type Candidate, summarise } from "../measure.ts";
import { clientCommand, inletSender } from "../peers.ts";
import { peakBytes } from "../proc.ts";
import { run, type ServerProcess } from "../processes.ts";
import type { Row, Section } from "../report.ts";
import { empty, type SourceFolder, verify, type Workspace } from "../workspace.ts";
import { SMALL_BYTES } from "./files.ts";
import type { Bench } from "./workload.ts";

const PUT = "inlet put, to a bucket";
const GET = "inlet get, from a bucket";
const FILES = "inlet put, to a bucket";
const STRAIGHT = "straight to the store";
const CURL = "curl straight from the store";
const ONE = "one server";
const THREE = "three servers";

const AGAINST_STRAIGHT = 0.85;
const FILES_AGAINST_STRAIGHT = 0.8;
const FLAT_WITHIN = 1.15;
const GOAL_MEGABYTES = 400;
const GOAL_GROWTH_MEGABYTES = 50;

const MEGABYTE = 1e6;

/** Uploads at once, and how large each is. */
const UPLOADS = 100;
const UPLOAD_BYTES = 100 * 1024 * 1024;

/** Clients at once, each with its part of the files. */
const CLIENTS = 3;

/** Time of one big file into a bucket. */
export function bucketPut({ workspace, runs, size }: Bench): Promise<Section> {
  const name = "bucket-put";
  const title = `bucket-put: one file of ${formatBytes(size)} into a bucket`;
  return withBucket({ name, title }, async (bucket) => {
    const file = workspace.source(size);
    const stored = (
      put: (as: string) => Promise<void>,
      pids: readonly number[] = [],
    ): Omit<Candidate, "name"> => {
      let number = 0;
      const as = `${crypto.randomUUID()}-`;
      return {
        pids,
        ready: () => Promise.resolve(() => put(`${as}${++number}`)),
        check: () => bucket.verify(`${as}${number}`, file),
        clear: () => number === 0 ? Promise.resolve() : bucket.remove(`${as}${number}`),
      };
    };
    return await compare({
      name,
      title,
      runs,
      bytes: size,
      entrants: [{
        name: PUT,
        needs: [],
        async enter(stack) {
          const { port, pid } = await bucket.serve(stack);
          return stored((as) => inletSender(["--as", as, "--quiet"])(port, file.path), [pid]);
        },
      }, {
        name: STRAIGHT,
        needs: [],
        enter: () => Promise.resolve(stored((as) => bucket.straight("put", file.path, as))),
      }],
      goals: [{ of: PUT, against: STRAIGHT, atLeast: AGAINST_STRAIGHT }],
    });
  });
}

/** Time of the same in the other direction. */
export function bucketGet({ workspace, runs, size }: Bench): Promise<Section> {
  const name = "bucket-get";
  const title = `bucket-get: one file of ${formatBytes(size)} from a bucket`;
  return withBucket({ name, title }, async (bucket) => {
    const file = workspace.source(size);
    await bucket.straight("put", file.path, "big");
    const got = (
      get: (output: string) => Promise<void>,
      pids: readonly number[] = [],
    ): Omit<Candidate, "name"> => {
      const into = workspace.directory();
      const output = `${into}/out`;
      return {
        pids,
        ready: () => Promise.resolve(() => get(output)),
        check: async () => await Promise.resolve(verify(output, file)),
        clear: async () => await Promise.resolve(empty(into)),
      };
    };
    return await compare({
      name,
      title,
      runs,
      bytes: size,
      entrants: [{
        name: GET,
        needs: [],
        async enter(stack) {
          const { port, pid } = await bucket.serve(stack);
          const asked = ["--get", "big", "--quiet", "--output"];
          return got((output) => run(clientCommand(port, [...asked, output])), [pid]);
        },
      }, {
        name: CURL,
        needs: ["curl"],
        enter: () => Promise.resolve(got((output) => bucket.curl("big", output))),
      }],
      goals: [{ of: GET, against: CURL, atLeast: AGAINST_STRAIGHT }],
    });
  });
}

/** Time of a folder of small files. */
export function bucketFiles({ workspace, runs, files }: Bench): Promise<Section> {
  const count = Math.ceil(files / 5);
  const name = "bucket-files";
  const title = `bucket-files: ${count.toLocaleString("en")} files of 4 KiB into a bucket`;
  return withBucket({ name, title }, async (bucket) => {
    const folder = workspace.folder(count, SMALL_BYTES);
    const section = await compare({
      name,
      title,
      runs,
      files: count,
      entrants: [{
        name: FILES,
        needs: [],
        async enter(stack) {
          const { port, pid } = await bucket.serve(stack);
          return intoNew(bucket, folder, (as) => {
            const args = [`${folder.path}/`, "--as", as, "--quiet"];
            return run(clientCommand(port, args));
          }, [pid]);
        },
      }, {
        name: STRAIGHT,
        needs: [],
        enter: () =>
          Promise.resolve(
            intoNew(bucket, folder, (as) => bucket.straight("files", folder.path, as)),
          ),
      }],
      goals: [{ of: FILES, against: STRAIGHT, atLeast: FILES_AGAINST_STRAIGHT }],
    });
    workspace.dropFolder(folder);
    return section;
  });
}

/** Time of the same by three clients, at one server and at three. */
export function bucketServers({ workspace, runs, files }: Bench): Promise<Section> {
  const each = Math.ceil(files / 5 / CLIENTS);
  const count = (each * CLIENTS).toLocaleString("en");
  const name = "bucket-servers";
  const title =
    `bucket-servers: ${count} files of 4 KiB by three clients, at one and three servers`;
  return withBucket({ name, title }, async (bucket) => {
    const folder = workspace.folder(each, SMALL_BYTES);
    const at = (name: string, servers: number): Entrant => ({
      name,
      needs: [],
      async enter(stack) {
        const running: ServerProcess[] = [];
        for (let server = 0; server < servers; server++) running.push(await bucket.serve(stack));
        const send = async (as: string): Promise<void> => {
          await Promise.all(
            Array.from({ length: CLIENTS }, (_, client) => {
              const { port } = running[client % servers]!;
              const args = [`${folder.path}/`, "--as", `${as}/${client}`, "--quiet"];
              return run(clientCommand(port, args));
            }),
          );
        };
        return intoNew(bucket, folder, send, running.map(({ pid }) => pid), CLIENTS);
      },
    });
    const section = await compare({
      name,
      title,
      runs,
      files: each * CLIENTS,
      entrants: [at(ONE, 1), at(THREE, 3)],
      goals: [{ of: THREE, against: ONE, atMostOfTime: FLAT_WITHIN }],
    });
    workspace.dropFolder(folder);
    return section;
  });
}

/** A folder that is put below a new key each time; or one for each client, below that key. */
function intoNew(
  bucket: BenchBucket,
  folder: SourceFolder,
  put: (as: string) => Promise<void>,
  pids: readonly number[] = [],
  clients?: number,
): Omit<Candidate, "name"> {
  let as: string;
  return {
    pids,
    async ready() {
      as = await Promise.resolve(crypto.randomUUID());
      return () => put(as);
    },
    async check() {
      const parts = Array.from({ length: clients ?? 0 }, (_, client) => `${as}/${client}`);
      for (const key of clients === undefined ? [as] : parts) {
        await bucket.verifyFolder(key, folder);
      }
    },
    clear: () => Promise.resolve(),
  };
}

/** Most memory resident in a server while a hundred clients each put a file of 100 MiB. */
export function bucketMemory({ workspace, clients: most }: Bench): Promise<Section> {
  const uploads = Math.min(UPLOADS, most);
  const name = "bucket-memory";
  const title = `bucket-memory: ${uploads} uploads of ${formatBytes(UPLOAD_BYTES)} at once`;
  return withBucket({ name, title }, async (bucket) => {
    await using stack = new AsyncDisposableStack();
    const file = workspace.source(UPLOAD_BYTES);
    const paths = names(workspace, file.path, uploads);
    const server = await bucket.serve(stack);
    const driver = stack.use(new Driver());
    const clients = oneEach(paths);
    const waits = await driver.run({ port: server.port, mode: "files", clients });
    const last = paths.at(-1)!;
    await bucket.verify(last.slice(last.lastIndexOf("/") + 1), file);
    const peak = peakBytes(server.pid);
    const rows: Row[] = [
      { name: "each of the clients", unit: "ms", ...summarise(waits) },
    ];
    if (peak === undefined) {
      return { rows, figures: [], skipped: ["memory: no /proc to ask"], failed: [] };
    }
    const megabytes = peak / MEGABYTE;
    const what = "the server, most resident";
    rows.push({ name: what, unit: "MB", ...summarise([megabytes]) });
    const goal = { under: GOAL_MEGABYTES };
    return {
      rows,
      figures: [{ what, value: megabytes, unit: "MB", goal }],
      skipped: [],
      failed: [],
    };
  });
}

/** Further names of a file, which take no memory. */
function names(workspace: Workspace, path: string, count: number): string[] {
  const directory = workspace.directory();
  return Array.from({ length: count }, (_, number) => {
    const name = `${directory}/${number}.bin`;
    Deno.linkSync(path, name);
    return name;
  });
}

/** Time of a list, and whether what a server needs for it grows with the store. */
export function bucketList({ files, runs }: Bench): Promise<Section> {
  // Of so many a server remembers all that it has looked at, and of no more.
  const few = 5 * files;
  const many = 2 * few;
  const name = "bucket-list";
  const title = `bucket-list: names, sizes and times of ${many.toLocaleString("en")} objects`;
  return withBucket({ name, title }, async (bucket) => {
    const rows: Row[] = [];
    const peaks: number[] = [];
    let filled = 0;
    for (const count of [few, many]) {
      await bucket.straight("fill", String(count - filled), `${count}`);
      filled = count;
      await using stack = new AsyncDisposableStack();
      const { port, pid } = await bucket.serve(stack);
      const times: number[] = [];
      for (let round = 0; round < Math.min(runs, 3); round++) {
        const start = performance.now();
        await run(clientCommand(port, ["--list"]));
        times.push(performance.now() - start);
      }
      const [first, ...again] = times as [number, ...number[]];
      const objects = `${count.toLocaleString("en")} objects`;
      rows.push({ name: `${objects}, the first time`, unit: "ms", ...summarise([first]) });
      if (again.length > 0) {
        rows.push({ name: `${objects}, again`, unit: "ms", ...summarise(again) });
      }
      const peak = peakBytes(pid);
      if (peak === undefined) continue;
      peaks.push(peak / MEGABYTE);
      rows.push({ name: `the server, ${objects}`, unit: "MB", ...summarise([peak / MEGABYTE]) });
    }
    const [least, most] = peaks;
    if (least === undefined || most === undefined) {
      return { rows, figures: [], skipped: ["memory: no /proc to ask"], failed: [] };
    }
    const what = "most of the server, more with twice as many";
    const goal = { under: GOAL_GROWTH_MEGABYTES };
    return {
      rows,
      figures: [{ what, value: most - least, unit: "MB", goal }],
      skipped: [],
      failed: [],
    };
  });
}
