import { assertEquals } from "@std/assert";
import { fileFigures, fitted, progressFigures } from "../lib/cli/progress.ts";
import { cutToWidth, textWidth } from "../lib/cli/width.ts";
import { pure } from "./helpers.ts";

pure("progressFigures() gives percent, amount, speed and time left", () => {
  const table: [number, number | null, number, string][] = [
    [0, 1000, 0, "  0 %  0 B"],
    [0, 1000, 1000, "  0 %  0 B  0 B/s  -:-- left"],
    [999, 1000, 999, " 99 %  999 B"],
    [12, null, 76, "12 B"],
    [500, 1000, 1000, " 50 %  500 B  500 B/s  0:01 left"],
    [999, 1000, 1000, " 99 %  999 B  999 B/s  0:01 left"],
    [1000, 1000, 1000, "100 %  1000 B  1 kB/s  0:00 left"],
    [1_000_000, 61_000_000, 1000, "  1 %  977 KiB  1 MB/s  1:00 left"],
    [1_000_000, 3_723_000_000, 1000, "  0 %  977 KiB  1 MB/s  1:02:02 left"],
    [1000, null, 1000, "1000 B  1 kB/s"],
  ];
  for (const [done, total, elapsedMs, expected] of table) {
    assertEquals(progressFigures(done, total, elapsedMs), expected);
  }
});

pure("progressFigures() has no time left of an empty file, or of one that grew", () => {
  assertEquals(progressFigures(0, 0, 1010), "100 %  0 B  0 B/s  0:00 left");
  assertEquals(progressFigures(2000, 1000, 1000), "100 %  1.95 KiB  2 kB/s  0:00 left");
});

pure("progressFigures() counts what was there before as done, and not as speed", () => {
  assertEquals(progressFigures(250, 1000, 1000, 500), " 75 %  750 B  250 B/s  0:01 left");
  assertEquals(progressFigures(0, 1000, 1000, 1000), "100 %  1000 B  0 B/s  0:00 left");
});

pure("fileFigures() counts files for a person", () => {
  assertEquals(fileFigures(1234, 1_000_000), "1,234 of 1,000,000 files");
  assertEquals(fileFigures(0, 2), "0 of 2 files");
});

pure("fitted() shortens the name, and then leaves out whole figures", () => {
  const figures = "9 of 10 files   90 %  1 MiB  1 MB/s  0:01 left";
  const table: [number, string][] = [
    [80, `photos  ${figures}`],
    [50, `ph  ${figures}`],
    [46, figures],
    [45, "photos  9 of 10 files   90 %  1 MiB  1 MB/s"],
    [30, "p  9 of 10 files   90 %  1 MiB"],
    [20, "9 of 10 files   90 %"],
    [19, "phot  9 of 10 files"],
    [5, "9 of "],
    [0, ""],
  ];
  for (const [columns, line] of table) {
    assertEquals(fitted("photos", figures, columns), line, `${columns}`);
  }
});

pure("fitted() leaves out characters as a whole, and counts columns instead of letters", () => {
  assertEquals(fitted("写真", "9 %", 9), "写真  9 %");
  assertEquals(fitted("写真", "9 %", 8), "写  9 %");
  assertEquals(fitted("写真", "9 %", 6), "9 %");
  assertEquals(fitted("e\u0301te\u0301", "9 %", 6), "e\u0301  9 %");
  assertEquals(fitted("👨‍👩‍👧👨‍👩‍👧", "9 %", 8), "👨‍👩‍👧  9 %");
});

pure("textWidth() counts columns of a terminal", () => {
  const table: [string, number][] = [
    ["", 0],
    ["report.pdf", 10],
    ["naïve café", 10],
    ["cafe\u0301", 4],
    ["Москва", 6],
    ["写真.jpg", 8],
    ["ひらがな、カタカナ。", 20],
    ["が", 2],
    ["か\u3099", 2],
    ["ｶﾞ", 2],
    ["Ｆｕｌｌ", 8],
    ["한글", 4],
    ["한글".normalize("NFD"), 4],
    ["हि", 1],
    ["☕", 2],
    ["❤", 1],
    ["❤\ufe0f", 2],
    ["1\ufe0f\u20e3", 2],
    ["👍🏽", 2],
    ["👨‍👩‍👧", 2],
    ["🇩🇪🇫🇷", 4],
    ["𠮷", 2],
    ["a\u200db", 2],
    ["\u0301", 0],
    ["\ud800", 0],
    ["\x07", 0],
  ];
  for (const [text, width] of table) assertEquals(textWidth(text), width, text);
});

pure("cutToWidth() takes no half of a character", () => {
  assertEquals(cutToWidth("写真", 3), "写");
  assertEquals(cutToWidth("photos", 3), "pho");
  assertEquals(cutToWidth("photos", 0), "");
  assertEquals(cutToWidth("photos", -3), "");
  assertEquals(cutToWidth("👨‍👩‍👧", 1), "");
});
