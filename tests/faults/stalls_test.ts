import { assert } from "@std/assert";
import { integration, tempDir } from "../helpers.ts";
import { Dice } from "./content.ts";
import { stallDisk } from "./stalls.ts";
import { Trial } from "./trial.ts";

integration("a server whose disk stalls cuts nobody and loses nothing", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  const { files, stalls } = await stallDisk(2500, { dir, trial: new Trial(1), dice: new Dice(1) });
  assert(files > 0 && stalls > 0, `${files} files, ${stalls} stalls`);
});
