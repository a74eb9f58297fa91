/**
 * Codes: what they are made of, and how they are read.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { codeSecret } from "../lib/auth/code_secret.ts";
import { WordList } from "../client/meeting/code.ts";
import { InletError } from "../lib/errors.ts";
import { integration, ROOT } from "./helpers.ts";

const CODE = { plate: "4713-mango", secret: "walnut-carbon-ladder-pebble" };

integration("a code is read however it is typed", async () => {
  const words = await WordList.load();
  for (
    const typed of [
      "4713-mango-walnut-carbon-ladder-pebble",
      " 4713 Mango Walnut Carbon Ladder Pebble\r\n",
      "4713MANGOWALNUTCARBONLADDERPEBBLE",
      "4713 – mango – walnut – carbon – ladder – pebble",
      "4713_mango, walnut/carbon.ladder…pebble!",
      "4713mango walnutcarbon ladder-pebble",
      "4713-man-go-wal-nut-carbon-ladder-pebble",
      "４７１３－ｍａｎｇｏ－ｗａｌｎｕｔ－ｃａｒｂｏｎ－ｌａｄｄｅｒ－ｐｅｂｂｌｅ",
      "\u201c4713-mango-walnut-carbon-ladder-pebble\u201d",
    ]
  ) {
    assertEquals(words.read(typed), CODE, typed);
  }
});

integration("what is no code is told in one line, with the nearest word", async () => {
  const words = await WordList.load();
  const cases: [typed: string, why: RegExp][] = [
    [
      "4713-mango-walnut-carbon-lader-pebble",
      /"lader" is no word of a code, the nearest is "ladder"/,
    ],
    ["4713-mango-walnut-carbon-ladder", /a number and five words, and here are 4 words$/],
    ["4713-mango-walnut-carbon-ladder-pebble-pebble", /here are 6 words$/],
    ["4713", /here are 0 words$/],
    ["mango-walnut-carbon-ladder-pebble", /a code begins with a number of four digits$/],
    ["47131-mango-walnut-carbon-ladder-pebble", /a code begins with a number of four digits$/],
    ["4713-mango-walnut-5-carbon-ladder-pebble", /a code has one number, at its beginning$/],
    ["", /: it is empty$/],
    ["\u0000\u001b[2J", /a code begins with a number of four digits$/],
    ["4713-xyzzy\u001b[J", /"xyzzy" is no word of a code$/],
    ["4713-" + "x".repeat(100_000), /is no word of a code$/],
  ];
  for (const [typed, why] of cases) {
    const error = assertThrows(() => words.read(typed), InletError);
    const [reason, example] = error.message.split("; ");
    assertMatch(reason!, why);
    assertEquals(example, "one looks like 4713-mango-walnut-carbon-ladder-pebble");
    assertEquals(error.code, "usage");
  }
});

integration(
  "the words of a code are drawn from all 7,772, and none begins with another",
  async () => {
    const words = await WordList.load();
    const seen = new Set<string>();
    // 7,772 words, of which each misses all of 125,000 draws once in ten million runs.
    for (let draw = 0; draw < 25_000; draw++) {
      const { word, secret } = words.draw();
      [word, ...secret.split("-")].forEach((drawn) => seen.add(drawn));
    }
    assert(seen.size > 7_700 && seen.size <= 7_772, String(seen.size));
    for (const word of seen) {
      assertMatch(word, /^[a-z]{3,9}$/);
      for (let end = 1; end < word.length; end++) assert(!seen.has(word.slice(0, end)), word);
    }
  },
);

integration("both ends derive what PROTOCOL.md says", async () => {
  const text = await Deno.readTextFile(new URL("PROTOCOL.md", ROOT));
  const [, example = ""] = /```text\nwords +([^]*?)```/.exec(text) ?? [];
  const [words = "", ...rows] = example.trim().split("\n");
  const rest = rows.join("\n").replaceAll(/\n +/g, "");
  const [salt = "", spki, pin, proof] = ["salt", "SPKI", "pin", "proof"].map((row) =>
    new RegExp(`^${row} +(\\S+)$`, "m").exec(rest)?.[1]
  );
  const secret = await codeSecret(words, Uint8Array.fromHex(salt));
  assertEquals(secret.identity.spki.toHex(), spki);
  assertEquals(secret.identity.pin.toBase64(), pin);
  assertEquals(secret.proof, proof);
});
