import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InletError } from "../lib/errors.ts";
import { numberedName, safeName } from "../lib/store/names.ts";
import { pure } from "./helpers.ts";
import { byteLength, checkName, hostileName } from "./hostile_names.ts";

const RUNS = { numRuns: 5000, seed: 20250101 };

/** The name that is made of another, or `undefined` when that is refused as it should be. */
function attempt(make: (name: string) => string, name: string): string | undefined {
  try {
    return make(name);
  } catch (error) {
    assert(error instanceof InletError, `not refused but broken: ${error}`);
    assertEquals(error.code, "bad-name");
    assertStringIncludes(error.message, "Cannot take");
    return undefined;
  }
}

pure("safeName() refuses a name, or makes one that is safe on every system", () => {
  let taken = 0;
  fc.assert(
    fc.property(hostileName, (name) => {
      const safe = attempt(safeName, name);
      if (safe === undefined) return;
      taken++;
      checkName(safe);
      assertEquals(safeName(safe), safe);
      assert(!/(^|\/)\.inlet(\/|$)/i.test(safe), "the folder of what is in flight");
    }),
    RUNS,
  );
  // A function that refuses everything would be safe too.
  assert(taken > RUNS.numRuns / 4, `only ${taken} names were taken`);
});

pure("numberedName() keeps a name safe, and its extension", () => {
  const number = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.maxSafeNat());
  fc.assert(
    fc.property(hostileName, number, (name, count) => {
      const safe = attempt(safeName, name);
      const numbered = safe && attempt((taken) => numberedName(taken, count), safe);
      if (numbered === undefined) return;
      checkName(numbered);
      assertEquals(safeName(numbered), numbered);
      const extension = /[^/.][^/]*(\.[^./]{1,7})$/.exec(safe!)?.[1] ?? "";
      assert(numbered.endsWith(extension), `${numbered} has lost ${extension}`);
    }),
    RUNS,
  );
});

pure("numberedName() stays within 3072 bytes, where list and get would not find it", () => {
  const folders = `${"x".repeat(250)}/`.repeat(12);
  assertEquals(numberedName(`${folders}${"y".repeat(60)}`, 2), `${folders}${"y".repeat(56)} (2)`);
  assertEquals(numberedName(`${folders}a long name.pdf`, 12), `${folders}a long name (12).pdf`);
  const name = `${folders}${"y".repeat(56)}.pdf`;
  assertEquals(numberedName(name, 12), `${folders}${"y".repeat(51)} (12).pdf`);
  const full = `${folders}${"y".repeat(58)}/z`;
  const error = assertThrows(() => numberedName(full, 2), InletError, "3072 bytes");
  assertEquals(error.code, "bad-name");
});

pure("numberedName() puts the number in front of the extension", () => {
  const table: [string, number, string][] = [
    ["report.pdf", 1, "report.pdf"],
    ["report.pdf", 2, "report (2).pdf"],
    ["report.pdf", 13, "report (13).pdf"],
    ["report (2).pdf", 2, "report (2) (2).pdf"],
    ["report", 2, "report (2)"],
    ["archive.tar.gz", 2, "archive (2).tar.gz"],
    ["v1.2/a.b.TAR.BZ2", 3, "v1.2/a.b (3).TAR.BZ2"],
    ["a.tar.xz", 2, "a (2).tar.xz"],
    ["a.tar.zst", 2, "a (2).tar.zst"],
    ["a.tar.lz4", 2, "a.tar (2).lz4"],
    [".tar.gz", 2, ".tar (2).gz"],
    ["x".repeat(248) + ".tar.gz", 2, "x".repeat(244) + " (2).tar.gz"],
    [".profile", 2, ".profile (2)"],
    ["v1.2/notes", 2, "v1.2/notes (2)"],
    ["photos/a.jpg", 3, "photos/a (3).jpg"],
    ["x".repeat(251) + ".pdf", 2, "x".repeat(247) + " (2).pdf"],
    ["☕".repeat(83) + ".pdf", 2, "☕".repeat(82) + " (2).pdf"],
    ["trailing.", 2, "trailing (2)."],
    ["space ", 2, "space  (2)"],
    ["...", 2, ".. (2)."],
    ["a.temp", 2, "a (2).temp"],
    ["a." + "long".repeat(20), 2, "a." + "long".repeat(20) + " (2)"],
  ];
  for (const [name, number, expected] of table) assertEquals(numberedName(name, number), expected);
});

pure("numberedName() gives another name for every number", () => {
  for (const name of ["a.txt", "x".repeat(255), "☕".repeat(83) + ".pdf", "...", ". "]) {
    const made = Array.from({ length: 200 }, (_, index) => numberedName(name, index + 1));
    assertEquals(new Set(made).size, 200);
  }
});

const REFUSED: readonly [string, string][] = [
  ["", "empty"],
  ["/", "empty"],
  ["a//b", "empty"],
  ["a/", "empty"],
  ["/etc/passwd", "empty"],
  ["//host/share/a.txt", "empty"],
  [".", "leads out"],
  ["..", "leads out"],
  ["../a.txt", "leads out"],
  ["a/../../b", "leads out"],
  ["a/./b", "leads out"],
  ["a/..", "leads out"],
  ["a\0.txt", "control"],
  ["a.txt\0.png", "control"],
  ["a\nexit", "control"],
  ["a\r", "control"],
  ["\x1b]0;title\x07", "control"],
  ["\x7f", "control"],
  ["a\u009b2J", "control"],
  ["a\u2028b", "control"],
  ["\ud800.txt", "Unicode"],
  ["a\udc00", "Unicode"],
  [".inlet", "reserved"],
  ["a/.INLET/b", "reserved"],
  [".inlet. ", "reserved"],
  [".inlet:x", "reserved"],
  ["INLET~1", "reserved"],
  [".in\u200blet", "reserved"],
  [".\uff49nlet", "reserved"],
  ["abcdefgh/".repeat(128) + "x", "129 parts"],
  [`${"x".repeat(255)}/`.repeat(12), "empty"],
  [`${"x".repeat(255)}/`.repeat(12) + "y", "3072 bytes"],
];

for (const [name, reason] of REFUSED) {
  const shown = JSON.stringify(name.length > 40 ? name.slice(0, 40) + "…" : name);
  pure(`safeName() refuses ${shown}: ${reason}`, () => {
    const error = assertThrows(() => safeName(name), InletError, reason);
    assertEquals(error.code, "bad-name");
  });
}

const TAKEN: readonly [string, string][] = [
  ["a.txt", "a.txt"],
  ["naïve café ☕.txt", "naïve café ☕.txt"],
  ["photos/2024/a.jpg", "photos/2024/a.jpg"],
  [".profile", ".profile"],
  ["..a", "..a"],
  ["a..b", "a..b"],
  [" a", " a"],
  ["~", "~"],
  ["-rf", "-rf"],
  ["console.log", "console.log"],
  ["com10.txt", "com10.txt"],
  ["con (2).txt", "con (2).txt"],
  ["temp", "temp"],
  ["a.temp.txt", "a.temp.txt"],
  ["a.temp", "a.temp"],
  [".temp/b.TEMP", ".temp/b.TEMP"],
  ["a.temporary", "a.temporary"],
  ["%2e%2e%2fpasswd", "%2e%2e%2fpasswd"],
  ["👩‍🚀.png", "👩‍🚀.png"],
  // What other systems refuse, or take for something else.
  ["..\\a.txt", "..\\a.txt"],
  ["C:\\Windows\\a.txt", "C:\\Windows\\a.txt"],
  ['a:b*c?d"e<f>g|h', 'a:b*c?d"e<f>g|h'],
  ["trailing.", "trailing."],
  ["space /a ", "space /a "],
  ["...", "..."],
  [". .", ". ."],
  ["con/nul.txt", "con/nul.txt"],
  ["aux.c", "aux.c"],
  ["COM¹.log", "COM¹.log"],
  // Characters that reorder text.
  ["report\u202efdp.exe", "report\u202efdp.exe"],
  ["a\u2067b\u200f\u061c", "a\u2067b\u200f\u061c"],
  // One letter in several forms of Unicode.
  ["cafe\u0301.txt", "cafe\u0301.txt"],
  ["caf\u00e9.txt", "caf\u00e9.txt"],
  ["\u212bngstr\u00f6m", "\u212bngstr\u00f6m"],
  ["\u1112\u1161\u11ab", "\u1112\u1161\u11ab"],
  // A component that is too long loses the end of its stem.
  ["x".repeat(255), "x".repeat(255)],
  ["x".repeat(256), "x".repeat(255)],
  ["x".repeat(300) + ".pdf", "x".repeat(251) + ".pdf"],
  [
    "photos/" + "x".repeat(300) + ".jpg/" + "y".repeat(300),
    `photos/${"x".repeat(251)}.jpg/${"y".repeat(255)}`,
  ],
  // It is cut between characters, and not within one.
  ["☕".repeat(100) + ".pdf", "☕".repeat(83) + ".pdf"],
  ["é".repeat(128), "é".repeat(127)],
  ["a" + "👍".repeat(70), "a" + "👍".repeat(63)],
  // What is left does not end with a dot or a space.
  ["x".repeat(240) + " ".repeat(60) + ".pdf", "x".repeat(240) + ".pdf"],
  [" ".repeat(300) + ".pdf", "_.pdf"],
  [".".repeat(300) + "pdf", "_.pdf"],
  // A whole name may be as long as a line permits.
  [
    `${"x".repeat(251)}/`.repeat(11) + "y".repeat(255),
    `${"x".repeat(251)}/`.repeat(11) + "y".repeat(255),
  ],
];

for (const [name, expected] of TAKEN) {
  const shown = JSON.stringify(name.length > 40 ? name.slice(0, 40) + "…" : name);
  pure(`safeName() takes ${shown} (${byteLength(name)} bytes)`, () => {
    assertEquals(safeName(name), expected);
  });
}

pure("safeName() shows a hostile name without what a terminal would obey", () => {
  const error = assertThrows(() => safeName("\x1b[2J\u202e" + "x".repeat(5000)), InletError);
  assertStringIncludes(error.message, "\\u{1b}[2J\\u{202e}xxx");
  assert(error.message.length < 300);
});
