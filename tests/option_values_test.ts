import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import {
  parseClientName,
  parseCount,
  parseDuration,
  parseListenPort,
  parsePort,
  parseRate,
  parseSeconds,
  parseSize,
} from "../lib/cli/option_values.ts";
import { pure } from "./helpers.ts";

function refused(action: () => unknown, words: string): void {
  const error = assertThrows(action, InletError);
  assertEquals(error.code, "usage");
  assertStringIncludes(error.message, words);
}

const NO_NUMBERS = ["", " ", "-1", "+1", "0x10", "1e3", "ten", "1,5", "NaN", "Infinity", "١"];

pure("parseClientName() takes what stands in one line", () => {
  for (const text of ["", "ben", "a b", "é".repeat(512)]) {
    assertEquals(parseClientName(text, "--name"), text);
  }
  for (const text of ["a\nb", "a\r", "\ud800", "é".repeat(513)]) {
    refused(() => parseClientName(text, "--name"), "as the --name: give a text of one line, of at");
  }
});

pure("parseSize() takes bytes, and units of 1,000 and of 1,024", () => {
  const table: [string, number][] = [
    ["1", 1],
    ["500", 500],
    ["500B", 500],
    ["10 MB", 10_000_000],
    ["64KiB", 65_536],
    ["2MiB", 2_097_152],
    ["1.5GiB", 1_610_612_736],
    ["3kB", 3000],
    ["2GB", 2_000_000_000],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
    ["0.5KiB", 512],
    ["1.0004KiB", 1024],
    ["5gb", 5_000_000_000],
    ["500KB", 500_000],
    ["1kb", 1000],
    ["64kib", 65_536],
    ["5g", 5 * 2 ** 30],
    ["1K", 1024],
    ["1.5 T", 1.5 * 2 ** 40],
    ["2TB", 2e12],
  ];
  for (const [text, bytes] of table) assertEquals(parseSize(text, "--max-size"), bytes, text);
});

pure("parseSize() gives decimal fractions exactly", () => {
  assertEquals(parseSize("1.001kB", "--max-size"), 1001);
  assertEquals(parseSize("1.001GB", "--max-size"), 1_001_000_000);
  assertEquals(parseSize("1.1GB", "--max-size"), 1_100_000_000);
});

pure("parseSize() refuses what is no size, and says what one looks like", () => {
  const strange = ["0", "0.4", "9007199254740992", "99999999GiB", "1.GiB", "1 k B"];
  for (const text of [...NO_NUMBERS, ...strange, "9".repeat(999)]) {
    if (text === "1e3") continue;
    refused(() => parseSize(text, "--max-size"), "as the --max-size: give a size of at least 1");
  }
  for (const text of ["10 apples", "1e", "5 G iB", "1toString", "1constructor", "5kibb"]) {
    const words = text === "5 G iB"
      ? "give a size of"
      : "give one of the units B, kB, MB, GB, TB (";
    refused(() => parseSize(text, "--max-size"), words);
  }
});

pure("parseRate() takes what parseSize() takes, and 0 for none", () => {
  assertEquals(["0", "1", "1KiB"].map((text) => parseRate(text, "--min-rate")), [0, 1, 1024]);
  for (const text of ["-1", "00", "0KiB", "1KiB/s"]) {
    refused(() => parseRate(text, "--min-rate"), "10MB or 1.5GiB, or 0");
  }
});

pure("parseCount() takes whole numbers of its range alone", () => {
  const range = { min: 1, max: 100 };
  assertEquals(["1", "100", "007"].map((text) => parseCount(text, "--backlog", range)), [
    1,
    100,
    7,
  ]);
  for (const text of [...NO_NUMBERS, "0", "101", "1.5", "9".repeat(999)]) {
    refused(() => parseCount(text, "--backlog", range), "--backlog: give a whole number from 1 to");
  }
});

pure("parseSeconds() takes a tenth of a second to a day, as milliseconds", () => {
  assertEquals(["0.1", "30", "1.5", "86400"].map((text) => parseSeconds(text, "--timeout")), [
    100,
    30_000,
    1500,
    86_400_000,
  ]);
  assertEquals(["5S", "1m", "1H", "0.5 h", "1d"].map((text) => parseSeconds(text, "--timeout")), [
    5000,
    60_000,
    3_600_000,
    1_800_000,
    86_400_000,
  ]);
  for (const text of [...NO_NUMBERS, "0", "0.05", "86401", "1.", ".5", "2d"]) {
    refused(() => parseSeconds(text, "--timeout"), "--timeout: give seconds from 0.1 to 86400");
  }
  refused(() => parseSeconds("5w", "--timeout"), "--timeout: give one of the units s, m, h, d");
});

pure("parseListenPort() takes 1024 to 65535, and 0 for any that is free", () => {
  assertEquals(["0", "1024", "5000", "65535"].map(parseListenPort), [0, 1024, 5000, 65535]);
  for (const text of [...NO_NUMBERS, "80", "1023", "65536", "5000.5", "http"]) {
    refused(() => parseListenPort(text), "as the port: give a whole number from 1024 to 65535");
  }
});

pure("parsePort() takes 1 to 65535", () => {
  assertEquals(["1", "80", "65535"].map(parsePort), [1, 80, 65535]);
  for (const text of [...NO_NUMBERS, "0", "65536"]) {
    refused(() => parsePort(text), "as the port: give a whole number from 1 to 65535");
  }
});

pure("parseDuration() reads seconds, minutes, hours and days", () => {
  const texts = ["0", "90", "90s", "30m", "24h", "7d", "5S", "1 H", "1.5h"];
  assertEquals(
    texts.map((text) => parseDuration(text, "time")),
    [0, 90_000, 90_000, 1_800_000, 86_400_000, 604_800_000, 5000, 3_600_000, 5_400_000],
  );
  for (const wrong of ["", "-1", "9999d", "h"]) {
    assertThrows(() => parseDuration(wrong, "time"), InletError, "like 90s, 30m, 24h or 7d");
  }
  assertThrows(() => parseDuration("1w", "time"), InletError, "give one of the units s, m, h, d");
});
