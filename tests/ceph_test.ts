import { assert, assertEquals, assertRejects } from "@std/assert";
import { dirname } from "@std/path/dirname";
import { TextLineStream } from "@std/streams";
import { Ceph } from "./ceph/ceph.ts";
import { sharedCeph } from "./ceph/shared.ts";
import { CEPH, integration, ROOT, run } from "./helpers.ts";

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

integration(
  "deno task ceph tells how to reach it, and leaves nothing when it is killed",
  async () => {
    const task = new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", "ceph"],
      cwd: ROOT,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const lines: string[] = [];
    const text = task.stdout.pipeThrough(new TextDecoderStream());
    for await (const line of text.pipeThrough(new TextLineStream())) {
      if (line === "ready") break;
      lines.push(line);
    }
    const { INLET_STORE, ...variables } = Object.fromEntries(lines.map((line) => line.split("=")));
    const ceph = new Ceph(variables);
    const path = `${INLET_STORE.replace("s3://", "")}/a`;
    await (await ceph.fetch(path, { method: "PUT", body: "a" })).body?.cancel();
    const directory = dirname(variables.CEPH_CONF);
    const daemons = ["mon", "osd.0", "osd.1", "rgw"].map((name) =>
      Deno.readTextFileSync(`${directory}/${name}.pid`).trim()
    );
    task.kill("SIGKILL");
    await task.status;
    for (const pid of daemons) await run("tail", ["-f", "/dev/null", `--pid=${pid}`]);
    await goes(directory);
  },
  { ...CEPH, deadlineMs: 300_000 },
);

/** Waits until a path is gone. */
async function goes(path: string): Promise<void> {
  using watcher = Deno.watchFs(dirname(path));
  const isThere = (): Promise<boolean> => Deno.lstat(path).then(() => true, () => false);
  if (!await isThere()) return;
  for await (const _ of watcher) if (!await isThere()) return;
}
