import { assert, assertEquals } from "@std/assert";
import { anHourPasses, integration, startServer, tempDir } from "../helpers.ts";
import { Dice } from "./content.ts";
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
