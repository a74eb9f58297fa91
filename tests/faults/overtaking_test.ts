import { assert } from "@std/assert";
import { integration, tempDir } from "../helpers.ts";
import { Dice } from "./content.ts";
import { overtake } from "./overtaking.ts";
import { Trial } from "./trial.ts";

integration("two servers without locks, stopped at random, lose and mix nothing", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  const overtaken = await overtake(2000, { dir, trial: new Trial(1), dice: new Dice(1) });
  const { files, resumed, stops, sweeps } = overtaken;
  assert(files > 5 && resumed > 0 && stops > 1 && sweeps > 20, Deno.inspect(overtaken));
});
