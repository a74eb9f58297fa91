import { assert } from "@std/assert";
import { integration } from "../helpers.ts";
import { Dice } from "./content.ts";
import { lie } from "./liars.ts";

integration("client.ts ends in order whatever a hostile server answers", async () => {
  assert(await lie(1, new Dice(1)) > 10);
});
