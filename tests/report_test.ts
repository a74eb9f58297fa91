import { assertEquals } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { TextReport } from "../client/report.ts";
import type { SendResult } from "../client/result.ts";
import { pure } from "./helpers.ts";

/** No progress is shown. */
function end(): void {}

/** What is said of a folder `p`, without speeds. */
function told(outcomes: SendResult[]): string[] {
  const lines: string[] = [];
  const say = (line: string): number => lines.push(line.replace(/, [\d.]+ \w?B\/s/, ""));
  const report = new TextReport({ moved: 0, waitedMs: 0, say, end });
  outcomes.forEach((outcome) => report.add({ ...outcome, folder: "p" }));
  report.end();
  return lines;
}

/** A clock that the test moves, until it goes out of scope. */
function stoppedClock(): { ms: number } & Disposable {
  const { now } = performance;
  const clock = { ms: 0, [Symbol.dispose]: () => void (performance.now = now) };
  performance.now = () => clock.ms;
  return clock;
}

const A = { label: "p/a", stored: { size: 1, name: "p/a" } };

pure("Report tells how many files of a folder had to take another name", () => {
  const renamed = { label: "p/b", stored: { size: 2, name: "p/b (2)" } };
  assertEquals(told([A, renamed]), ["p: 2 files, 3 B, 1 under another name"]);
  assertEquals(told([A, { label: "p/empty", stored: {} }]), ["p: 1 file, 1 B"]);
  assertEquals(told([{ ...renamed, same: true }]), ["p: 0 files, 0 B, 1 already there"]);
});

pure("Report names the file that a connection was lost within", () => {
  const lines: string[] = [];
  const progress = { moved: 0, waitedMs: 0, say: (line: string): number => lines.push(line), end };
  const report = new TextReport(progress, { several: true });
  const error = new InletError("lost", "The server closed the connection");
  progress.moved = 10;
  report.add({ label: "a\n.bin", error });
  report.add({ label: "b.bin", error });
  assertEquals(lines, [
    "inlet: a\\u{a}.bin: The server closed the connection",
    "inlet: The server closed the connection",
  ]);
});

pure("Report tells the speed of what moved, not of what was there already", () => {
  for (const elapsedMs of [1000, 999]) {
    for (const folder of [undefined, "p"]) {
      const lines: string[] = [];
      const progress = {
        moved: 5e9,
        waitedMs: 0,
        say: (line: string): number => lines.push(line),
        end,
      };
      using clock = stoppedClock();
      const report = new TextReport(progress);
      clock.ms += elapsedMs;
      // Such as for the greeting of the server.
      clock.ms += progress.waitedMs += 6000;
      progress.moved += 1000;
      const stored = { size: 1e12, name: "p/a" };
      report.add({ label: "p/a", stored, ...(folder !== undefined && { folder }) });
      report.end();
      // Within a second it is no measurement.
      assertEquals(
        /, (\S+ \w?B\/s)$/.exec(lines[0]!)?.[1],
        elapsedMs < 1000 ? undefined : "1 kB/s",
      );
    }
  }
});

pure("Report tells what was not tried from what failed", () => {
  const error = new InletError("interrupted", "Interrupted");
  const left = ["p/c", "p/d"].map((label) => ({ label, error, untried: true as const }));
  assertEquals(told([A, { label: "p/b", error }, ...left]), [
    "inlet: Interrupted",
    'p: 1 file, 1 B; 1 failed: "p/b"; 2 not sent',
  ]);
  assertEquals(told(left), ["inlet: Interrupted", "p: 0 files, 0 B; 2 not sent"]);
  for (const several of [true, false]) {
    const lines: string[] = [];
    const progress = {
      moved: 0,
      waitedMs: 0,
      say: (line: string): number => lines.push(line),
      end,
    };
    const report = new TextReport(progress, { several, untried: "not received" });
    left.forEach((outcome) => report.add(outcome));
    assertEquals(report.end(), error);
    const files = several ? ['2 files not received: "p/c", "p/d"'] : [];
    assertEquals(lines, ["inlet: Interrupted", ...files]);
  }
});

pure("Report says once what stops a folder, and counts the rest", () => {
  const error = new InletError("lost", "The server closed the connection");
  const stopped = ["p/b", "p/c", "p/d"].map((label) => ({ label, error }));
  assertEquals(told([A, ...stopped]), [
    "inlet: The server closed the connection",
    'p: 1 file, 1 B; 3 failed: "p/b", and 2 more for the same reason',
  ]);
});

pure("Report says once that a server takes no file, or has no room for any", () => {
  for (const code of ["denied", "no-space"] as const) {
    const refused = (label: string): SendResult => ({
      label,
      error: new InletError(code, `Cannot store "${label}": this is why`),
    });
    assertEquals(told([refused("p/1"), refused("p/2"), refused("p/3"), A, refused("p/4")]), [
      'inlet: Cannot store "p/1": this is why',
      'inlet: Cannot store "p/4": this is why',
      'p: 1 file, 1 B; 4 failed: "p/1", "p/4", and 2 more for the same reason',
    ]);
  }
});

pure("Report names each file that failed by itself", () => {
  const refused = (label: string): SendResult => ({
    label,
    error: new InletError("bad-name", `Cannot take the name "${label}": Windows reserves it`),
  });
  assertEquals(told([refused("p/CON"), refused("p/NUL")]), [
    'inlet: Cannot take the name "p/CON": Windows reserves it',
    'inlet: Cannot take the name "p/NUL": Windows reserves it',
    'p: 0 files, 0 B; 2 failed: "p/CON", "p/NUL"',
  ]);
});
