/**
 * The layout of the source: which room may import from which, how long files may be, and what the
 * README.md of each room says about it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { walk } from "@std/fs/walk";
import { fromFileUrl } from "@std/path/from-file-url";
import { integration, ROOT, run } from "./helpers.ts";

/**
 * Rooms, from the bottom row to the top. A file imports from its own room and from lower rows. A
 * room is a file at the root, or the files of a folder without those of its folders.
 */
const ROWS: readonly (readonly string[])[] = [
  ["protocol"],
  ["protocol.ts"],
  ["lib"],
  ["lib/body"],
  ["lib/auth"],
  ["lib/s3"],
  ["lib/store"],
  ["lib/bucket"],
  ["lib/net"],
  ["lib/cli"],
  ["lib/server"],
  ["web"],
  ["modes/files"],
  ["modes/talk"],
  ["modes"],
  ["client"],
  ["client/meeting"],
  ["client/library"],
  ["server.ts", "client.ts"],
];

const ROOMS = ROWS.flat();
const PROGRAMS = ["server.ts", "client.ts"];
/** Files at the root and folders that hold the product, and not its tests. */
const PRODUCT = [...PROGRAMS, "protocol.ts", "protocol", "lib", "web", "modes", "client"];

const MAX_FLAT_FILES = 9;
const MAX_FILE_LINES = 400;
const MAX_EVENING_LINES = 2700;

/** The files that each file imports, types and dynamic imports included. */
type Graph = ReadonlyMap<string, readonly string[]>;

/** The room of a file. */
function roomOf(file: string): string {
  return file.includes("/") ? file.slice(0, file.lastIndexOf("/")) : file;
}

/** The row of a room. A room that no row has is above all. */
function rowOf(room: string): number {
  const row = ROWS.findIndex((rooms) => rooms.includes(room));
  return row === -1 ? Infinity : row;
}

/** Whether the one file may import the other. */
function mayImport(from: string, to: string): boolean {
  return roomOf(from) === roomOf(to) || rowOf(roomOf(to)) < rowOf(roomOf(from));
}

/** A circle of imports, as the files along it, or undefined. */
function findCircle(graph: Graph): string[] | undefined {
  const done = new Set<string>();
  const follow = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const imported of graph.get(file) ?? []) {
      const circle = follow(imported, [...path, file]);
      if (circle) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const circle = follow(file, []);
    if (circle) return circle;
  }
  return undefined;
}

/** The rooms that the files of a room import from, besides their own, from the bottom to the top. */
function importsOf(room: string, graph: Graph): string[] {
  const imported = [...graph].filter(([file]) => roomOf(file) === room)
    .flatMap(([, files]) => files.map(roomOf));
  return ROOMS.filter((other) => other !== room && imported.includes(other));
}

/** A module as `deno info --json` has it. */
interface Module {
  specifier: string;
  dependencies?: { code?: { specifier?: string }; type?: { specifier?: string } }[];
}

let reading: Promise<Graph> | undefined;

/** The graph of both programs, read once. */
function readGraph(): Promise<Graph> {
  return reading ??= (async (): Promise<Graph> => {
    const graph = new Map<string, string[]>();
    for (const program of PROGRAMS) {
      const { code, stdout, stderr } = await run(Deno.execPath(), ["info", "--json", program]);
      assertEquals(code, 0, stderr);
      const { modules } = JSON.parse(stdout) as { modules: Module[] };
      for (const { specifier, dependencies = [] } of modules) {
        const imported = dependencies.flatMap(({ code, type }) => [code, type])
          .flatMap((target) => sourceFile(target?.specifier ?? ""));
        for (const file of sourceFile(specifier)) graph.set(file, [...new Set(imported)]);
      }
    }
    return graph;
  })();
}

/** The path of a source file from the root. There is none for packages, types of packages and data. */
function sourceFile(specifier: string): string[] {
  const isSource = specifier.startsWith(ROOT.href) && /(?<!\.d)\.ts$/.test(specifier);
  return isSource ? [specifier.slice(ROOT.href.length)] : [];
}

/** The TypeScript files of the product. Beside them, tests make and remove what is their own. */
async function productFiles(): Promise<string[]> {
  const root = fromFileUrl(ROOT.href);
  const [files, folders] = [true, false].map((isFile) =>
    PRODUCT.filter((path) => path.endsWith(".ts") === isFile)
  ) as [string[], string[]];
  for (const folder of folders) {
    for await (const { path } of walk(`${root}${folder}`, { includeDirs: false })) {
      if (path.endsWith(".ts")) files.push(path.slice(root.length).replaceAll("\\", "/"));
    }
  }
  return files.sort();
}

function read(file: string): Promise<string> {
  return Deno.readTextFile(new URL(file, ROOT));
}

async function countLines(file: string): Promise<number> {
  return (await read(file)).trimEnd().split("\n").length;
}

integration("rooms: the programs reach every file, and every file is in a room", async () => {
  const files = await productFiles();
  assertEquals([...(await readGraph()).keys()].sort(), files);
  const homeless = files.filter((file) => !ROOMS.includes(roomOf(file)));
  assertEquals(homeless, [], "ROWS of this test have no room for these files");
});

integration("rooms: a file imports from its own room and from lower rows only", async () => {
  const upward = [...await readGraph()].flatMap(([from, files]) =>
    files.filter((to) => !mayImport(from, to)).map((to) => `${from} -> ${to}`)
  );
  assertEquals(upward, []);
});

integration("rooms: no files import each other in a circle", async () => {
  const circle = findCircle(await readGraph());
  assertEquals(circle?.join(" -> "), undefined);
});

integration(`rooms: at most ${MAX_FLAT_FILES} files are flat in lib/`, async () => {
  const flat = (await productFiles()).filter((file) => roomOf(file) === "lib");
  assert(flat.length <= MAX_FLAT_FILES, flat.join("\n"));
});

integration(`rooms: no file has more than ${MAX_FILE_LINES} lines`, async () => {
  const long: string[] = [];
  for (const file of await productFiles()) {
    const lines = await countLines(file);
    if (lines > MAX_FILE_LINES) long.push(`${file}: ${lines}`);
  }
  assertEquals(long, []);
});

for (const room of ROOMS.filter((room) => !room.endsWith(".ts"))) {
  integration(`${room}/README.md says what belongs there and what it imports`, async () => {
    const paragraphs = (await read(`${room}/README.md`)).trim().split(/\n{2,}/);
    const [heading, purpose, imports] = paragraphs.map((text) => text.replaceAll("\n", " "));
    assertEquals(heading, `# ${room}/`);
    assert(purpose && !purpose.startsWith("Imports:"), "its first paragraph has to say what for");
    const rooms = importsOf(room, await readGraph());
    assertEquals(imports, `Imports: ${rooms.join(", ") || "nothing"}`);
  });
}

integration(
  `README.md: what to read in an evening has at most ${MAX_EVENING_LINES} lines`,
  async () => {
    const sections = (await read("README.md")).split(/^(?=#+ )/m);
    const section = sections.find((text) => /^#.*evening/i.test(text));
    assert(section !== undefined, "no heading of README.md contains the word evening");
    const linked = [...section.matchAll(/\]\((?:\.\/)?([^)#]+\.ts)(?:#[^)]*)?\)/g)].map((
      [, file],
    ) => file!);
    const files = [...new Set(linked)];
    assert(files.length > 0, "the section links no .ts file");
    let lines = 0;
    for (const file of files) lines += await countLines(file);
    assert(lines <= MAX_EVENING_LINES, `${files.join(", ")} have ${lines} lines`);
  },
);
