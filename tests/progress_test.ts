import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { PlainProgress } from "../lib/cli/plain_progress.ts";
import { fileFigures, Progress } from "../lib/cli/progress.ts";
import { fitted } from "../lib/cli/terminal_progress.ts";
import { cutToWidth, textWidth } from "../lib/cli/width.ts";
import { pure } from "./helpers.ts";

/** A clock that the test moves, until it goes out of scope. */
function stoppedClock(): { ms: number } & Disposable {
  const { now } = performance;
  const clock = { ms: 0, [Symbol.dispose]: () => void (performance.now = now) };
  performance.now = () => clock.ms;
  return clock;
}

/** What is shown of one file after a while. */
function figuresOf(done: number, total: number | null, elapsedMs: number, skipped = 0): string {
  using clock = stoppedClock();
  const progress = new Progress();
  progress.begin(total);
  progress.skip(skipped);
  progress.add(done);
  clock.ms += elapsedMs;
  return progress.moment().figures.join("  ");
}

pure("Progress tells percent, amount, speed and time left", () => {
  const table: [number, number | null, number, string][] = [
    [0, 1000, 0, "  0 %  0 B"],
    [0, 1000, 1000, "  0 %  0 B  0 B/s  -:-- left"],
    [999, 1000, 999, " 99 %  999 B"],
    [12, null, 76, "12 B"],
    [500, 1000, 1000, " 50 %  500 B  500 B/s  0:01 left"],
    [999, 1000, 1000, " 99 %  999 B  999 B/s  0:01 left"],
    [1000, 1000, 1000, "100 %  1000 B  1 kB/s"],
    [1_000_000, 61_000_000, 1000, "  1 %  977 KiB  1 MB/s  1:00 left"],
    [1_000_000, 3_723_000_000, 1000, "  0 %  977 KiB  1 MB/s  1:02:02 left"],
    [1, 2 ** 50, 1000, "  0 %  1 B  1 B/s  -:-- left"],
    [1000, null, 1000, "1000 B  1 kB/s"],
  ];
  for (const [done, total, elapsedMs, expected] of table) {
    assertEquals(figuresOf(done, total, elapsedMs), expected);
  }
});

pure("Progress has no time left of an empty file, or of one that grew", () => {
  assertEquals(figuresOf(0, 0, 1010), "100 %  0 B  0 B/s");
  assertEquals(figuresOf(2000, 1000, 1000), "100 %  1.95 KiB  2 kB/s");
});

pure("Progress counts what was there before as done, and not as speed", () => {
  assertEquals(figuresOf(250, 1000, 1000, 500), " 75 %  750 B  250 B/s  0:01 left");
  assertEquals(figuresOf(0, 1000, 1000, 1000), "100 %  1000 B  0 B/s");
});

pure("Progress of a further attempt goes on where the one before was", () => {
  using clock = stoppedClock();
  const progress = new Progress();
  const figures = (): string => progress.moment().figures.join("  ");
  progress.begin(1000, 2);
  progress.add(800);
  progress.addFiles(1);
  assertEquals(figures(), " 80 %  1 of 2 files  800 B");
  // Of these the server has got a half. Time left is that of what has to be sent.
  progress.begin(1000, 2);
  progress.skip(400);
  assertEquals(figures(), " 80 %  1 of 2 files  800 B");
  progress.add(100);
  clock.ms += 1000;
  assertEquals(figures(), " 80 %  1 of 2 files  800 B  100 B/s  0:05 left");
  progress.add(400);
  assertEquals(figures(), " 90 %  1 of 2 files  900 B  500 B/s  0:01 left");
  progress.end();
  progress.begin(1000, 2);
  assertEquals(figures(), "  0 %  0 of 2 files  0 B");
});

/** What can happen to one transfer, with the bytes, files or milliseconds of it. */
const EVENTS = ["again", "add", "skip", "unsent", "grow", "files", "wait", "doing"] as const;

pure("Progress never goes back, and tells no nonsense, whatever happens to a transfer", () => {
  const event = fc.tuple(fc.constantFrom(...EVENTS), fc.nat(2000));
  const size = fc.oneof(fc.nat(10_000), fc.constant(null));
  fc.assert(
    fc.property(size, fc.nat(5), fc.array(event, { maxLength: 40 }), (size, files, events) => {
      using clock = stoppedClock();
      const progress = new Progress();
      const connection = { unsent: 0 };
      let total = size;
      const begin = (): void => progress.begin(() => total, () => files);
      begin();
      progress.follow(connection);
      let before = [0, 0, 0];
      for (const [what, amount] of events) {
        if (what === "again") begin();
        else if (what === "add") progress.add(amount);
        else if (what === "skip") progress.skip(amount - 1000);
        else if (what === "unsent") connection.unsent = amount;
        else if (what === "grow") total = total === null ? null : total + amount;
        else if (what === "files") progress.addFiles(amount % 2);
        else if (what === "doing") progress.doing(amount % 2 === 0 ? "waiting" : undefined);
        else clock.ms += amount;
        const { figures, isComplete } = progress.moment();
        const line = figures.join("  ");
        assertMatch(line, FIGURES);
        const [, percent = 0, done = 0] = /^ *(\d+) %(?: {2}(\d+) of)?/.exec(line) ?? [];
        const after = [Number(percent), Number(done), bytesIn(line)];
        after.forEach((value, index) => assert(value >= before[index]!, `${before}: ${line}`));
        if (isComplete) assertEquals(percent, "100");
        before = after;
      }
    }),
    { seed: 28, numRuns: 2000 },
  );
});

/** Every form of the figures. */
const FIGURES =
  /^(?:[ \d]{3} % {2})?(?:\d+ of \d+ files {2})?[\d.]+ (?:B|KiB)(?: {2}[\d.]+ k?B\/s(?: {2}(?:\d+(?::\d\d){1,2}|-:--) left)?)?$/;

/** The amount in figures. */
function bytesIn(line: string): number {
  const [, amount, unit] = /([\d.]+) (B|KiB)(?: {2}|$)/.exec(line)!;
  return Number(amount) * (unit === "KiB" ? 1024 : 1);
}

pure("PlainProgress tells the end once, ahead of what became of the file", () => {
  const lines: string[] = [];
  const view = new PlainProgress((line) => lines.push(line));
  const moment = {
    name: "a\x1b.bin",
    doing: undefined,
    figures: [" 42 %", "1 MiB", "1 MB/s", "0:07 left"],
    isComplete: false,
  };
  const all = { ...moment, figures: ["100 %", "2 MiB", "1 MB/s"], isComplete: true };
  view.show({ ...moment, doing: "connecting" });
  view.show(moment);
  view.makeRoom(moment);
  view.makeRoom(all);
  view.makeRoom(all);
  view.end(all);
  view.end({ ...moment, figures: [" 42 %", "1 MiB"] });
  view.end(all);
  view.end(undefined);
  const name = "a\\u{1b}.bin";
  assertEquals(lines, [
    "connecting",
    `42 %, 1 MiB, 1 MB/s, 0:07 left: ${name}`,
    `100 %, 2 MiB, 1 MB/s: ${name}`,
    `ended at 42 %, 1 MiB: ${name}`,
    `100 %, 2 MiB, 1 MB/s: ${name}`,
  ]);
});

pure("fileFigures() counts files for a person", () => {
  assertEquals(fileFigures(1234, 1_000_000), "1,234 of 1,000,000 files");
  assertEquals(fileFigures(0, 2), "0 of 2 files");
  assertEquals(fileFigures(3, 2), "2 of 2 files");
});

pure("fitted() shortens the name, and then leaves out whole figures", () => {
  const figures = [" 90 %", "9 of 10 files", "1 MiB", "1 MB/s", "0:01 left"];
  const table: [number, string][] = [
    [80, "photos   90 %  9 of 10 files  1 MiB  1 MB/s  0:01 left"],
    [50, "ph   90 %  9 of 10 files  1 MiB  1 MB/s  0:01 left"],
    [46, " 90 %  9 of 10 files  1 MiB  1 MB/s  0:01 left"],
    [45, "photos   90 %  9 of 10 files  1 MiB  1 MB/s"],
    [30, "p   90 %  9 of 10 files  1 MiB"],
    [20, " 90 %  9 of 10 files"],
    [19, "photos   90 %"],
    [5, " 90 %"],
    [4, "90 %"],
    [2, "90"],
    [0, ""],
  ];
  for (const [columns, line] of table) {
    assertEquals(fitted("photos", figures, columns), line, `${columns}`);
  }
});

pure("fitted() leaves out characters as a whole, and counts columns instead of letters", () => {
  assertEquals(fitted("写真", ["9 %"], 9), "写真  9 %");
  assertEquals(fitted("写真", ["9 %"], 8), "写  9 %");
  assertEquals(fitted("写真", ["9 %"], 6), "9 %");
  assertEquals(fitted("e\u0301te\u0301", ["9 %"], 6), "e\u0301  9 %");
  assertEquals(fitted("👨‍👩‍👧👨‍👩‍👧", ["9 %"], 8), "👨‍👩‍👧  9 %");
  assertEquals(fitted("", ["写真写真", "9 %"], 8), "写真写真");
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
