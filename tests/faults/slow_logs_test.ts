import { assert } from "@std/assert";
import { integration, tempDir } from "../helpers.ts";
import { Dice } from "./content.ts";
import { blockLog } from "./slow_logs.ts";
import { Trial } from "./trial.ts";

integration("a server under load whose log is hardly read loses nothing", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  const wanted = { files: 20, reads: 3 };
  const { files } = await blockLog(1500, { dir, trial: new Trial(1), dice: new Dice(1), wanted });
  assert(files > 0, "no file was acknowledged");
});
