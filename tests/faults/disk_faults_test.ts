import { assert, assertEquals } from "@std/assert";
import { anHourPasses, integration, startServer, tempDir } from "../helpers.ts";
import { contentOf, Dice, inspect, nameOf } from "./content.ts";
import { failEverywhere, lookAt, WAYS_IN } from "./disk_faults.ts";

for (const way of Object.keys(WAYS_IN)) {
  for (const fsync of [false, true]) {
    const how = fsync ? `${way} --fsync` : way;
    integration(`server.ts loses nothing to a disk that fails anywhere in a ${how}`, async () => {
      await using local = await tempDir();
      const dir = `${local.path}/received`;
      const options = { dir, local: local.path, fsync, dice: new Dice(1) };
      const { faults, acknowledged } = await failEverywhere(way, options);
      assert(faults >= 10, `there were ${faults} faults`);
      anHourPasses(dir);
      await using _next = await startServer({ dir });
      const { stored, temporary } = await lookAt(dir);
      assertEquals(temporary, []);
      assert(acknowledged.isSubsetOf(stored));
    });
  }
}

integration("what is in a new folder in flight does not count as stored", async () => {
  await using received = await tempDir();
  const name = nameOf(1, 100);
  const folders = [
    `${"0".repeat(32)}.tempdir`,
    `gone-${"0".repeat(32)}`,
    `get-${"0".repeat(32)}.tempdir`,
  ]
    .map((folder) => `.inlet/${folder}`);
  for (const folder of folders) {
    await Deno.mkdir(`${received.path}/${folder}/within`, { recursive: true });
    await received.write(`${folder}/${name}`, contentOf(1, 1, 100));
    await received.write(`${folder}/within/${name}`, contentOf(1, 1, 100));
  }
  const { stored, temporary } = await lookAt(received.path);
  assertEquals(stored, new Set());
  assertEquals(temporary.sort(), folders.map((folder) => `${received.path}/${folder}`).sort());
  const faults = await inspect(received.path, 1, [name]);
  assertEquals(faults.temporary.sort(), folders.toSorted());
  assertEquals([faults.names, faults.lost, faults.partial], [new Set(), [name], []]);
});
