import { assert } from "@std/assert";
import { integration, tempDir } from "../helpers.ts";
import { Dice } from "./content.ts";
import { meddle } from "./meddling.ts";
import { Trial } from "./trial.ts";

for (const servers of [1, 2]) {
  const whose = servers === 1 ? "a server" : "two servers";
  integration(`nothing is lost or mixed where a program meddles with ${whose}`, async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    const wanted = ["removed", "linked", "replaced", "renamed", "swapped"];
    const around = { dir, servers, trial: new Trial(1), dice: new Dice(1), wanted };
    const { files } = await meddle(1500, around);
    assert(files > 0, "no file was acknowledged");
  });
}
