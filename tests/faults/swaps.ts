/**
 * Another program swaps folders, or a file, for links at full speed, while clients store, make and
 * get through them.
 *
 * @module
 */

import { walk } from "@std/fs/walk";
import { basename } from "@std/path/basename";
import { TextLineStream } from "@std/streams";
import { runClient, scriptPath, startServer } from "../helpers.ts";
import { Wire } from "../wire.ts";

/** What is swapped: an entry of the directory, and what is put in its place. */
export interface Swap {
  /** A name in the directory. */
  readonly entry: string;
  /** A link to the same place outside, to another folder inside, or another folder. */
  readonly by: "link out" | "link in" | "folder";
}

/** Each folder on the way to the files, the store's own one, and a file. */
export const SWAPS: readonly Swap[] = [
  { entry: "a", by: "link out" },
  { entry: "a/b", by: "link out" },
  { entry: "a/b/c", by: "link out" },
  { entry: "a/b", by: "link in" },
  { entry: "a/b", by: "folder" },
  { entry: ".inlet", by: "link out" },
  { entry: "a/b/c/shown.txt", by: "link out" },
];

/** What was counted. */
export interface Swapped {
  swaps: number;
  /** Requests that were answered with `ok`. */
  done: number;
  /** Requests that were refused. */
  refused: number;
  /** Files and folders that were made outside. */
  outside: number;
  /** Contents, sizes and names of files outside that a client was told. */
  told: number;
  /** Acknowledged, and nowhere in the directory. */
  lost: number;
}

/** Requests of one connection. */
const REQUESTS = 200;

const FILE = "a/b/c/shown.txt";
const [SHOWN, SECRET] = ["shown!\n", "SECRET\n"];
const ONLY_OUTSIDE = "only-outside.txt";

/** What a server serves, and what is beside it. */
function plant(base: string, dir: string, { entry, by }: Swap): string {
  for (const [folder, content] of [[dir, SHOWN], [`${base}/outside`, SECRET]] as const) {
    Deno.mkdirSync(`${folder}/a/b/c`, { recursive: true });
    Deno.writeTextFileSync(`${folder}/${FILE}`, content);
  }
  Deno.writeTextFileSync(`${base}/outside/a/b/c/${ONLY_OUTSIDE}`, SECRET);
  Deno.mkdirSync(`${base}/outside/.inlet`);
  Deno.mkdirSync(`${dir}/.inlet`, { mode: 0o700 });
  const parked = `${base}/parked`;
  if (by === "link out") Deno.symlinkSync(`${base}/outside/${entry}`, parked);
  else {
    const other = by === "folder" ? parked : `${dir}/other`;
    Deno.mkdirSync(`${other}/c`, { recursive: true });
    Deno.writeTextFileSync(`${other}/c/shown.txt`, SHOWN);
    if (by === "link in") Deno.symlinkSync(other, parked);
  }
  return parked;
}

/** Everything below a folder, without the folder, if it is one. */
async function below(folder: string): Promise<string[]> {
  if (!Deno.lstatSync(folder).isDirectory) return [];
  return (await Array.fromAsync(walk(folder))).slice(1).map(({ path }) => path);
}

/** Has one connection ask for everything that leads through the folders. */
async function ask(port: number, first: number, seen: Swapped, names: Set<string>): Promise<void> {
  using wire = await Wire.dial({ port });
  const requests: string[] = ["hello 1 swaps\n"];
  for (let number = first; number < first + REQUESTS; number += 4) {
    requests.push(
      `push 6 a/b/c/${number}.txt\nhello\nend 363a3020\n`,
      `get ${FILE}\n`,
      `mkdir a/b/c/${number}.d/e\n`,
      number % 20 === 0 ? `put 6 a/b/c/${number}.put\n` : `get a/b/c/${ONLY_OUTSIDE}\n`,
    );
    if (number % 20 === 0) requests.push("hello\nend 363a3020\n");
  }
  // A new folder, which is published as a whole.
  requests.push(`mkdir;id=${first};files=20 a/b/c/${first}.new\n`);
  for (let nth = 0; nth < 20; nth++) {
    requests.push(`push 6 a/b/c/${first}.new/${first}-${nth}\nhello\nend 363a3020\n`);
  }
  requests.push("tree a/b\nlist\nexit\n");
  const saying = wire.says(requests.join("")).catch(() => {});
  const heard = await wire.rest();
  await saying;
  for (const line of heard.split("\n")) {
    if (line.startsWith("error")) seen.refused++;
    if (/^ok\b/.test(line)) seen.done++;
    if (line.includes("SECRET") || line.endsWith(ONLY_OUTSIDE) && !/^error/.test(line)) seen.told++;
    const [, name] = /^ok(?:;\S*)? (?:6 363a3020 )?(a\/b\/c\/\d\S*)$/.exec(line) ?? [];
    if (name !== undefined) names.add(basename(name));
  }
}

/**
 * Swaps for so long while clients use a server.
 *
 * @param base A directory of its own.
 */
export async function swapUnderServer(
  durationMs: number,
  { base, swap, permissions }: { base: string; swap: Swap; permissions?: readonly string[] },
): Promise<Swapped> {
  const seen: Swapped = { swaps: 0, done: 0, refused: 0, outside: 0, told: 0, lost: 0 };
  const names = new Set<string>();
  const dir = `${base}/received`;
  const parked = plant(base, dir, swap);
  const before = await below(`${base}/outside`);
  {
    await using server = await startServer({
      dir,
      args: ["--max-clients", "100"],
      ...permissions && { permissions },
    });
    seen.swaps = await whileSwapping(`${dir}/${swap.entry}`, parked, async () => {
      const until = performance.now() + durationMs;
      for (let number = 0; performance.now() < until; number += 2 * REQUESTS) {
        await Promise.all([
          ask(server.port, number, seen, names),
          ask(server.port, number + REQUESTS, seen, names),
        ]);
      }
    });
  }
  seen.outside = (await below(`${base}/outside`)).length - before.length;
  const all = [...await below(dir), ...await below(parked)];
  const there = new Set(all.map((path) => basename(path)));
  seen.lost = names.difference(there).size;
  return seen;
}

/** Swaps for so long while a client gets a folder again and again, into one that is there. */
export async function swapUnderClient(
  durationMs: number,
  { base, swap }: { base: string; swap: Swap },
): Promise<Swapped> {
  const seen: Swapped = { swaps: 0, done: 0, refused: 0, outside: 0, told: 0, lost: 0 };
  const served = `${base}/served`;
  Deno.mkdirSync(`${served}/a/b/c`, { recursive: true });
  for (let nth = 0; nth < REQUESTS; nth++) {
    Deno.writeTextFileSync(`${served}/a/b/c/${nth}.txt`, "hello\n");
  }
  const dir = `${base}/received`;
  const parked = plant(base, dir, swap);
  const before = await below(`${base}/outside`);
  await using server = await startServer({ dir: served });
  seen.swaps = await whileSwapping(`${dir}/${swap.entry}`, parked, async () => {
    const until = performance.now() + durationMs;
    do {
      const { stdout, stderr } = await runClient(server, ["--get", "a/", "-o", `${dir}/`]);
      seen.done += (stdout + stderr).match(/saved as/g)?.length ?? 0;
      seen.refused += (stdout + stderr).match(/Cannot/g)?.length ?? 0;
    } while (performance.now() < until);
  });
  seen.outside = (await below(`${base}/outside`)).length - before.length;
  return seen;
}

/** Runs an action beside a program that swaps two paths, and returns how often it did. */
async function whileSwapping(
  one: string,
  other: string,
  action: () => Promise<void>,
): Promise<number> {
  const swapper = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", scriptPath("tests/faults/swapper.ts"), one, other],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const text = swapper.stdout.pipeThrough(new TextDecoderStream());
  const lines = text.pipeThrough(new TextLineStream())[Symbol.asyncIterator]();
  try {
    await lines.next();
    await action();
  } finally {
    await swapper.stdin.close();
  }
  return Number((await lines.next()).value);
}

if (import.meta.main) {
  const [seconds = "10", ...permissions] = Deno.args;
  for (const swap of SWAPS) {
    const base = await Deno.makeTempDir();
    const scoped = permissions.map((flag) => flag.replace("DIR", `${base}/received`));
    const seen = await swapUnderServer(Number(seconds) * 1000, {
      base,
      swap,
      ...scoped.length > 0 && { permissions: scoped },
    });
    console.log(swap, JSON.stringify(seen));
    await Deno.remove(base, { recursive: true });
  }
}
