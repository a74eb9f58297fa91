import { assert, assertEquals, assertMatch } from "@std/assert";
import { CAN_MOUNT_EXFAT, exfatDisk } from "./exfat.ts";
import { Dice } from "./faults/content.ts";
import { killServers } from "./faults/kills.ts";
import { killAndStop } from "./faults/linkless.ts";
import { Trial } from "./faults/trial.ts";
import {
  bytes,
  fixture,
  integration,
  ownFiles,
  type Requirements,
  run,
  runClient,
  startServer,
  tempDir,
} from "./helpers.ts";
import { relayTo } from "./relay.ts";

const EXFAT: Requirements = {
  succeeds: [CAN_MOUNT_EXFAT, "exfat-fuse and exfatprogs, and root to mount with them"],
};

integration(
  "exFAT: files, folders, numbers and times there and back, without a fault",
  async () => {
    await using disk = await exfatDisk();
    await using local = await tempDir();
    await using server = await startServer({ dir: `${disk.path}/received` });
    Deno.mkdirSync(`${local.path}/photos/empty`, { recursive: true });
    Deno.mkdirSync(`${local.path}/photos/more`);
    for (let number = 0; number < 40; number++) {
      const path = `${local.path}/photos/${number % 2 === 0 ? "" : "more/"}${number}.bin`;
      Deno.writeFileSync(path, bytes(100 * number));
      const time = new Date(Date.UTC(2020, 1, number + 1, 12, 0, 2));
      Deno.utimeSync(path, time, time);
    }
    const large = await local.write("large.bin", bytes(3_000_000));
    const sent = await runClient(server, [large, large, `${local.path}/photos/`]);
    assertEquals(sent.code, 0, sent.stderr);
    const again = await runClient(server, [large]);
    assertMatch(again.stderr, /stored as "large \(2\)\.bin"/);
    for (const name of ["large.bin", "large (2).bin"]) {
      assertEquals((await run("cmp", [large, `${server.dir}/${name}`])).code, 0);
    }
    const there = await run("diff", ["-r", `${local.path}/photos`, `${server.dir}/photos`]);
    assertEquals([there.code, there.stdout], [0, ""]);
    // And back to such a disk.
    const got = await runClient(server, ["--get", "photos/", "--output", `${disk.path}/`]);
    assertEquals(got.code, 0, got.stderr);
    const back = await run("diff", ["-r", `${local.path}/photos`, `${disk.path}/photos`]);
    assertEquals([back.code, back.stdout], [0, ""]);
    const number = "photos/more/7.bin";
    for (const root of [server.dir, disk.path]) {
      assertEquals(Deno.statSync(`${root}/${number}`).mtime, new Date("2020-02-08T12:00:02Z"));
    }
    assertEquals((await runClient(server, ["--get", "large.bin", "--output", disk.path])).code, 0);
    assertEquals((await run("cmp", [large, `${disk.path}/large.bin`])).code, 0);
    // What is odd about the disk is said once.
    await server.running.stop();
    const told = server.running.log.split("\n").filter((line) => line.includes(".inlet"));
    assertEquals(told.length, 2, told.join("\n"));
    assert(told.some((line) => line.endsWith("is on a disk that keeps no permissions")));
    assert(told.some((line) => line.includes("has no hard links")));
  },
  EXFAT,
);

integration("exFAT: names that it cannot hold get wide characters, both ways", async () => {
  await using disk = await exfatDisk();
  await using local = await tempDir();
  const odd = 'tree/what: "now"?/a*b<c>d|e.txt';
  const wide = "tree/what： ＂now＂？/a＊b＜c＞d｜e.txt";
  Deno.mkdirSync(`${local.path}/${odd.slice(0, odd.lastIndexOf("/"))}`, { recursive: true });
  await local.write(odd, "odd");
  await using server = await startServer({ dir: `${disk.path}/received` });
  const single = await local.write("a:b.txt", "single");
  const sent = await runClient(server, [single]);
  assertMatch(sent.stderr, /a:b\.txt: stored as "a：b\.txt"/);
  assertEquals((await runClient(server, [`${local.path}/tree/`])).code, 0);
  assertEquals(Deno.readTextFileSync(`${server.dir}/${wide}`), "odd");
  // A client that downloads to such a disk.
  await using other = await startServer({ dir: `${local.path}/other` });
  assertEquals((await runClient(other, [`${local.path}/tree/`])).code, 0);
  const got = await runClient(other, ["--get", "tree/", "--output", `${disk.path}/`]);
  assertEquals(got.code, 0, got.stderr);
  assertEquals(Deno.readTextFileSync(`${disk.path}/${wide}`), "odd");
}, EXFAT);

for (const mode of ["upload", "raw"]) {
  integration(`exFAT: --mode ${mode} stores files`, async () => {
    await using disk = await exfatDisk();
    await using server = await startServer({ dir: disk.path, args: ["--mode", mode] });
    const file = fixture("every_byte.bin");
    for (let time = 0; time < 2; time++) {
      assertEquals((await runClient(server, [file, "--mode", mode])).code, 0);
    }
    const stored = mode === "raw" ? ["1.file", "2.file"] : ["every_byte.bin", "every_byte (2).bin"];
    for (const name of stored) {
      assertEquals((await run("cmp", [file, `${disk.path}/${name}`])).code, 0);
    }
  }, EXFAT);
}

integration("exFAT: --resume goes on with a put and with a get", async () => {
  await using disk = await exfatDisk();
  await using local = await tempDir();
  await using server = await startServer({ dir: `${disk.path}/received` });
  const file = await local.write("a.bin", bytes(4_000_000));
  for (const args of [[file], ["--get", "a.bin", "--output", `${disk.path}/b.bin`]]) {
    const direction = args.length === 1 ? "up" : "down";
    {
      using relay = await relayTo(server, { direction, bytes: 2_000_000, way: "end" });
      assertEquals((await runClient(relay, [...args, "--resume"])).code, 4);
    }
    const { code, stderr } = await runClient(server, [...args, "--resume"]);
    assertEquals(code, 0, stderr);
    assertMatch(stderr, /resuming at /);
  }
  for (const path of [`${server.dir}/a.bin`, `${disk.path}/b.bin`]) {
    assertEquals((await run("cmp", [file, path])).code, 0);
  }
  assertEquals(ownFiles(server.dir).filter((path) => path.endsWith(".temp")), []);
}, EXFAT);

integration("exFAT: many clients of two servers take one name, and nothing is lost", async () => {
  await using disk = await exfatDisk();
  await using local = await tempDir();
  await using one = await startServer({ dir: disk.path });
  await using other = await startServer({ dir: disk.path });
  const contents = Array.from({ length: 12 }, (_, number) => bytes(1000 + number));
  await Promise.all(contents.map(async (content, number) => {
    Deno.mkdirSync(`${local.path}/${number}`);
    const file = await local.write(`${number}/a.bin`, content);
    const { code, stderr } = await runClient(number % 2 === 0 ? one : other, [file]);
    assertEquals(code, 0, stderr);
  }));
  const stored = [...Deno.readDirSync(disk.path)].filter(({ isFile }) => isFile)
    .map(({ name }) => Deno.readFileSync(`${disk.path}/${name}`));
  stored.sort((one, other) => one.length - other.length);
  assertEquals(stored, contents);
}, EXFAT);

integration("exFAT: a server that is killed under load loses nothing", async () => {
  await using disk = await exfatDisk();
  const dir = `${disk.path}/received`;
  await killServers(dir, { kills: 3, trial: new Trial(1), dice: new Dice(1) });
}, EXFAT);

integration("exFAT: two servers, stopped and killed anywhere, lose nothing", async () => {
  await using disk = await exfatDisk();
  const dir = `${disk.path}/received`;
  await killAndStop(dir, { rounds: 2, mostStopMs: 200, trial: new Trial(1), dice: new Dice(1) });
}, EXFAT);
