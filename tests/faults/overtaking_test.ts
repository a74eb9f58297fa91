import { assert } from "@std/assert";
import { integration, tempDir } from "../helpers.ts";
import { Dice } from "./content.ts";
import { overtake } from "./overtaking.ts";
import { Trial } from "./trial.ts";

integration("two servers without locks, stopped at random, lose and mix nothing", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  const wanted = { files: 6, resumed: 1, stops: 2, sweeps: 21 };
  const { files } = await overtake(2000, { dir, trial: new Trial(1), dice: new Dice(1), wanted });
  assert(files > 0, "no file was acknowledged");
});
