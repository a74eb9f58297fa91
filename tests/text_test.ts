import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { formatBytes, formatSpeed, printable, quoted } from "../lib/text.ts";
import { pure } from "./helpers.ts";

pure("printable() leaves text in any language as it is", () => {
  const text = 'naïve café ☕ 日本語 עברית 👩‍🚀 "quotes" \\ ~';
  assertEquals(printable(text), text);
});

pure("printable() escapes what a terminal would obey or hide", () => {
  const table: [string, string][] = [
    ["\x1b[2J", "\\u{1b}[2J"],
    ["a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"],
    ["\0", "\\u{0}"],
    ["\x7f", "\\u{7f}"],
    ["\u009b31m", "\\u{9b}31m"],
    ["a\u202eb", "a\\u{202e}b"],
    ["a\u2067b", "a\\u{2067}b"],
    ["a\u200bb", "a\\u{200b}b"],
    ["\ufeffa", "\\u{feff}a"],
    ["\u2028\u2029", "\\u{2028}\\u{2029}"],
  ];
  for (const [text, shown] of table) assertEquals(printable(text), shown);
});

pure("printable() leaves nothing of the C0 and C1 controls, whatever the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assert(!/\p{Cc}/u.test(printable(text)));
      assertEquals(printable(printable(text)), printable(text));
    }),
    { numRuns: 2000, seed: 20250101 },
  );
});

pure("quoted() puts a name in quotes, and cuts an absurdly long one", () => {
  assertEquals(quoted("a b.txt"), '"a b.txt"');
  assertEquals(quoted("\x1b"), '"\\u{1b}"');
  assertEquals(quoted("x".repeat(200)), `"${"x".repeat(200)}"`);
  assertEquals(quoted("x".repeat(201)), `"${"x".repeat(200)}…"`);
});

pure("formatBytes() counts in powers of 1,024", () => {
  assertEquals([0, 6, 1536, 2 ** 30].map(formatBytes), ["0 B", "6 B", "1.5 KiB", "1 GiB"]);
});

pure("formatSpeed() counts in powers of 1,000, and survives no time at all", () => {
  assertEquals(formatSpeed(812_000_000, 1000), "812 MB/s");
  assertEquals(formatSpeed(1000, 2000), "500 B/s");
  assertEquals(formatSpeed(0, 0), "0 B/s");
  assertEquals(formatSpeed(6, 36_764), "0.2 B/s");
  assertEquals(formatSpeed(1, 3000), "0.3 B/s");
  assertEquals(formatSpeed(100, 3000), "33.3 B/s");
  assertStringIncludes(formatSpeed(1000, 0), "MB/s");
});
