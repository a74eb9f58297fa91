import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Excludes } from "../client/exclude.ts";
import { InletError } from "../lib/errors.ts";
import { integration, pure } from "./helpers.ts";

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

/** What is left of the files in a folder. */
function leftIn(paths: string[], ...globs: string[]): string[] {
  const exclude = new Excludes(globs).of({ paths });
  return FILES.filter((path) => {
    const parts = path.split("/");
    const folders = parts.map((_, depth) => parts.slice(0, depth).join("/"));
    return !exclude(path, false) && !folders.some((folder) => exclude(folder, true));
  });
}

function left(...globs: string[]): string[] {
  return leftIn([], ...globs);
}

function without(...paths: string[]): string[] {
  return FILES.filter((path) => !paths.includes(path));
}

pure("a pattern for names leaves them out however deep they are", () => {
  assertEquals(left(), FILES);
  assertEquals(left("*.tmp"), without("a.tmp", "in/b.tmp"));
  assertEquals(left("c.jpg"), without("in/c.jpg", "in/deep/c.jpg"));
  assertEquals(left("cache"), without("cache/d.jpg", "in/cache/e.jpg"));
  assertEquals(left("*.{tmp,txt}", ".*"), without("a.tmp", "in/b.tmp", "[x].txt", ".git/config"));
  assertEquals(left("?.jpg", "\\[x\\].txt"), ["a.tmp", "in/b.tmp", ".git/config"]);
});

pure("a pattern for paths leaves out those paths", () => {
  assertEquals(left("in/*.jpg"), without("in/c.jpg"));
  assertEquals(left("in/**/*.jpg"), without("in/c.jpg", "in/deep/c.jpg", "in/cache/e.jpg"));
  assertEquals(left("/cache"), without("cache/d.jpg"));
  assertEquals(left("/*.jpg"), without("a.jpg"));
  assertEquals(left("deep/c.jpg", "n/c.jpg"), FILES);
});

pure("a slash at the end leaves out folders alone", () => {
  assertEquals(left("cache/"), without("cache/d.jpg", "in/cache/e.jpg"));
  assertEquals(left("a.jpg/"), FILES);
  assertEquals(left("in/deep/"), without("in/deep/c.jpg"));
});

pure("a pattern for paths may begin with ./, or lead through the folder that is sent", () => {
  assertEquals(left("./cache"), without("cache/d.jpg"));
  assertEquals(left(".//in/./deep/"), without("in/deep/c.jpg"));
  const paths = ["DIR", "../x/DIR", "/home/x/DIR"];
  for (
    const pattern of [
      ...["DIR/in/*.jpg", "./DIR/in/c.jpg", "/DIR/in/c.jpg", "D?R//in/c.jpg", "**/DIR/in/c.jpg"],
      ...["../x/DIR/in/c.jpg", "/home/x/DIR/in/c.jpg", "/home/*/DIR/in/c.jpg"],
    ]
  ) assertEquals(leftIn(paths, pattern), without("in/c.jpg"), pattern);
  assertEquals(leftIn(paths, "OTHER/in/c.jpg", "/home/DIR/in/c.jpg", "x/DIR/in/c.jpg"), FILES);
});

pure("a pattern may mean the folder itself, or a file that is named", () => {
  const test = (glob: string, isFolder: boolean): boolean =>
    new Excludes([glob]).of({ name: ".env", paths: [".env", "/x/.env"] })("", isFolder);
  for (const glob of [".env", "./.env", "/.env", "/x/.env", "*", ".e*"]) {
    assertEquals(test(glob, false), true, glob);
  }
  assertEquals([".env/", "y/.env", "env"].map((glob) => test(glob, false)), [false, false, false]);
  assertEquals(test(".env/", true), true);
  // "." has no name that a pattern could mean.
  assertEquals(new Excludes(["*", "."]).of({ paths: [""] })("", true), false);
});

pure("a pattern that can match nothing, or is no glob, is refused", () => {
  const globs = [
    "",
    "/",
    "./",
    "[",
    "a[b",
    "in/[x",
    "{a,b",
    "in/!(a/b",
    "a\\",
    "[z-a]",
    "!x",
    "/!x",
  ];
  for (const glob of globs) {
    const message = `Cannot use --exclude "${glob}": `;
    const { code } = assertThrows(() => new Excludes([glob]), InletError, message);
    assertEquals(code, "usage");
  }
  for (const glob of ["\\[", "[[]", "a]", "a}", "a(1)", "!(a)", "**/", "a,b", "a ", "~/x", "#"]) {
    new Excludes([glob]);
  }
});

pure("a pattern means a name however its letters are composed", () => {
  for (const form of ["NFC", "NFD"]) {
    for (const glob of ["né.key", "*é.key", "/né.key", "né/né.key"]) {
      const exclude = new Excludes([glob.normalize(form)]).of({ paths: ["ne\u0301"] });
      const names = ["NFC", "NFD"].map((form) => "né.key".normalize(form));
      assertEquals(names.map((name) => exclude(name, false)), [true, true], glob);
    }
  }
});

pure("spaces in braces, which would be parts of names, are refused", () => {
  for (
    const glob of ["{.env, *.key}", "{ .env,*.key}", "{.env ,a}", "{.env,*.key }", "{a,b,\tc}"]
  ) {
    const { message } = assertThrows(() => new Excludes([glob]), InletError);
    assertStringIncludes(message, 'the spaces beside "," and in "{ }"');
  }
  for (const glob of ["{a b,c}", "a, {b}", "{a,?b}"]) new Excludes([glob]);
});

pure("patterns that left nothing out are told once", () => {
  const excludes = new Excludes(["*.tmp", "a.*", "none", "deep/"]);
  for (const path of ["a.tmp", "b.jpg"]) excludes.of({ paths: [] })(path, false);
  const told: string[] = [];
  for (const _ of [1, 2]) excludes.reportUnused((text) => told.push(text));
  assertEquals(told, [
    '--exclude "none" left nothing out',
    '--exclude "deep/" left nothing out',
  ]);
});

integration("a folder is known by its relative and its absolute path", () => {
  const cwd = Deno.cwd();
  for (const path of ["lib/store", "./lib/../lib/store/", `${cwd}/lib/store`]) {
    for (const glob of ["store/a", "lib/store/a", "./lib/store/a", `${cwd}/lib/store/a`]) {
      assertEquals(new Excludes([glob]).at(path)("a", false), true, `${glob} in ${path}`);
    }
  }
  assertEquals(new Excludes([`${cwd}/a`]).at(".")("a", false), true);
  // Through a folder above, from the working directory.
  const own = cwd.slice(cwd.lastIndexOf("/") + 1);
  for (const glob of [`../${own}/lib/*`, `lib/../../${own}/lib/a`, `${cwd}/docs/../lib/a`]) {
    for (const path of [".", "lib", `../${own}`, cwd]) {
      const entry = path === "lib" ? "a" : "lib/a";
      assertEquals(new Excludes([glob]).at(path)(entry, false), true, `${glob} in ${path}`);
    }
    assertEquals(new Excludes([glob]).at(".")("a", false), false, glob);
  }
  assertEquals(new Excludes(["*"]).at("/")("", true), false);
  return Promise.resolve();
});
