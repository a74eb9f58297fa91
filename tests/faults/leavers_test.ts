import { assert } from "@std/assert";
import { integration, tempDir } from "../helpers.ts";
import { Dice } from "./content.ts";
import { leave } from "./leavers.ts";
import { Trial } from "./trial.ts";

integration("clients that leave within heavy work leave nothing behind", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  const left = await leave(1500, { dir, trial: new Trial(1), dice: new Dice(1) });
  for (const request of ["compare", "reget", "reput", "list", "tree", "say", "get"]) {
    assert(left[request]! > 0, Deno.inspect(left));
  }
});
