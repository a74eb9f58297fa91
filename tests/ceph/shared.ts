/**
 * One Ceph for all tests of a run.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import { fromFileUrl } from "@std/path/from-file-url";
import { Ceph } from "./ceph.ts";

/** By this variable files of tests find the Ceph of their process, or one that was given to them. */
const FOUND_BY = "CEPH_CONF";

const PROGRAM = fromFileUrl(import.meta.resolve("./main.ts"));

let shared: Promise<Ceph> | undefined;

/**
 * The Ceph of this run. Whoever asks first starts it; it ends with the process of the tests. If
 * `deno task ceph` runs already, and its CEPH_CONF is in the environment, it is that one.
 *
 * It is busy with other tests: do not harm it, and use a bucket of your own.
 */
export function sharedCeph(): Promise<Ceph> {
  return shared ??= findOrStart();
}

async function findOrStart(): Promise<Ceph> {
  // Files of tests are threads of one process, which share its environment and nothing else.
  using turn = await Deno.open(PROGRAM);
  await turn.lock(true);
  const conf = Deno.env.get(FOUND_BY);
  if (conf !== undefined) return await Ceph.at(conf);
  const started = await start();
  Deno.env.set(FOUND_BY, started);
  return await Ceph.at(started);
}

/** Starts a Ceph in a process of its own: it outlives the thread that asked first. */
async function start(): Promise<string> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", PROGRAM, "--while", `${Deno.pid}`],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(
    new TextLineStream(),
  );
  let conf = "";
  for await (const line of lines) {
    if (line.startsWith(`${FOUND_BY}=`)) conf = line.slice(FOUND_BY.length + 1);
    if (line !== "ready") continue;
    await process.stderr.cancel();
    process.unref();
    return conf;
  }
  throw new Error((await new Response(process.stderr).text()).trim());
}
