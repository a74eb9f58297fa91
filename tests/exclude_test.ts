import { assertEquals } from "@std/assert";
import { excludeOf, isExcluded } from "../client/exclude.ts";
import { pure } from "./helpers.ts";

const FILES = [
  "a.tmp",
  "a.jpg",
  "in/b.tmp",
  "in/c.jpg",
  "in/deep/c.jpg",
  "cache/d.jpg",
  "in/cache/e.jpg",
  ".git/config",
  "[x].txt",
];

/** What is left of the files. */
function left(...globs: string[]): string[] {
  const exclude = excludeOf(globs);
  return FILES.filter((path) => !isExcluded(exclude, path, false));
}

function without(...paths: string[]): string[] {
  return FILES.filter((path) => !paths.includes(path));
}

pure("excludeOf() with a pattern for names leaves them out however deep they are", () => {
  assertEquals(left(), FILES);
  assertEquals(left("*.tmp"), without("a.tmp", "in/b.tmp"));
  assertEquals(left("c.jpg"), without("in/c.jpg", "in/deep/c.jpg"));
  assertEquals(left("cache"), without("cache/d.jpg", "in/cache/e.jpg"));
  assertEquals(left("*.{tmp,txt}", ".*"), without("a.tmp", "in/b.tmp", "[x].txt", ".git/config"));
  assertEquals(left("?.jpg", "\\[x\\].txt"), ["a.tmp", "in/b.tmp", ".git/config"]);
});

pure("excludeOf() with a pattern for paths leaves out those paths", () => {
  assertEquals(left("in/*.jpg"), without("in/c.jpg"));
  assertEquals(left("in/**/*.jpg"), without("in/c.jpg", "in/deep/c.jpg", "in/cache/e.jpg"));
  assertEquals(left("/cache"), without("cache/d.jpg"));
  assertEquals(left("/*.jpg"), without("a.jpg"));
  assertEquals(left("deep/c.jpg", "n/c.jpg"), FILES);
});

pure("excludeOf() with a slash at the end leaves out folders alone", () => {
  assertEquals(left("cache/"), without("cache/d.jpg", "in/cache/e.jpg"));
  assertEquals(left("a.jpg/"), FILES);
  assertEquals(left("in/deep/"), without("in/deep/c.jpg"));
});
