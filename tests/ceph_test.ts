import { assert, assertEquals, assertRejects } from "@std/assert";
import { TextLineStream } from "@std/streams";
import { Ceph } from "./ceph/ceph.ts";
import { sharedCeph } from "./ceph/shared.ts";
import { CEPH, integration, names, ROOT, run, Running, tempDir, watchUntil } from "./helpers.ts";

integration("sharedCeph() makes a bucket that goes with all that is in it", async () => {
  const ceph = await sharedCeph();
  let name: string;
  {
    await using bucket = await ceph.makeBucket();
    name = bucket.name;
    const odd = `${name}/%01a%2F..%2Fb`;
    await (await ceph.fetch(odd, { method: "PUT", body: "a" })).body?.cancel();
    await (await ceph.fetch(`${name}/large?uploads`, { method: "POST" })).body?.cancel();
    assertEquals(await (await ceph.fetch(odd)).text(), "a");
  }
  await assertRejects(() => ceph.fetch(name), Error, "404");
}, CEPH);

integration("what was deleted is garbage until it is collected", async () => {
  const ceph = await sharedCeph();
  await using bucket = await ceph.makeBucket();
  // The first 4 MiB of an object are no garbage: they go with it.
  const body = new Uint8Array(5_000_000);
  await (await ceph.fetch(`${bucket.name}/a`, { method: "PUT", body })).body?.cancel();
  await ceph.fetch(`${bucket.name}/a`, { method: "DELETE" });
  const list = await ceph.ask(["radosgw-admin", "gc", "list", "--include-all"]);
  const garbage = [...list.matchAll(/"oid": "(.*)"/g)].map(([, oid]) => oid!);
  assert(garbage.length > 0);
  await ceph.collectGarbage();
  const kept = (await ceph.ask(["rados", "ls", "--pool", "default.rgw.buckets.data"])).split("\n");
  assertEquals(garbage.filter((oid) => kept.includes(oid)), []);
}, CEPH);

integration("deno task ceph tells how to reach it, and nothing outlives its program", async () => {
  await using dir = await tempDir();
  await using task = startTask(dir.path);
  const text = task.process.stdout.pipeThrough(new TextDecoderStream());
  const lines: string[] = [];
  for await (const line of text.pipeThrough(new TextLineStream())) {
    if (line === "ready") break;
    lines.push(line);
  }
  const { INLET_STORE, ...variables } = Object.fromEntries(lines.map((line) => line.split("=")));
  const ceph = new Ceph(variables);
  const path = `${INLET_STORE.replace("s3://", "")}/a`;
  await (await ceph.fetch(path, { method: "PUT", body: "a" })).body?.cancel();
  const pids = ["mon", "osd.0", "osd.1", "rgw"].map((name) => pidOf(dir.path, name));
  Deno.kill(Number(await parentOf(pids[0]!)), "SIGKILL");
  await haveEnded(pids, dir.path);
}, CEPH);

integration("a Ceph that starts goes when its deno task is killed", async () => {
  await using dir = await tempDir();
  await using task = startTask(dir.path);
  await task.says(/two disks run/);
  const pids = ["mon", "osd.0", "osd.1"].map((name) => pidOf(dir.path, name));
  await task.stop("SIGKILL");
  await haveEnded(pids, dir.path);
}, CEPH);

/** Runs `deno task ceph`, with all that it has in a directory. */
function startTask(directory: string): Running {
  const args = ["task", "--quiet", "ceph"];
  const env = { TMPDIR: directory };
  const streams = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
  return new Running(
    new Deno.Command(Deno.execPath(), { args, cwd: ROOT, env, ...streams }).spawn(),
  );
}

/** The process of a daemon. */
function pidOf(directory: string, daemon: string): string {
  const [own] = names(directory);
  return Deno.readTextFileSync(`${directory}/${own}/${daemon}.pid`).trim();
}

async function parentOf(pid: string): Promise<string> {
  return /^PPid:\s+(\d+)$/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))![1]!;
}

/** Waits until processes have ended, and what they had has gone. */
async function haveEnded(pids: readonly string[], directory: string): Promise<void> {
  for (const pid of pids) await run("tail", ["-f", "/dev/null", `--pid=${pid}`]);
  await watchUntil(directory, () => names(directory).length === 0);
}
