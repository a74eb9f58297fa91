/**
 * What docs/install.md has people type, typed as it stands.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { manualPages } from "../docs/manual_pages.ts";
import { PROGRAM as CLIENT } from "../client/options.ts";
import { serverProgram } from "../lib/server/options.ts";
import { MODE_OPTION } from "../modes/table.ts";
import {
  checkout,
  integration,
  names,
  pure,
  ROOT,
  run,
  Running,
  type RunOptions,
  type TempDir,
  tempDir,
} from "./helpers.ts";

/** The blocks of commands under a heading of docs/install.md. */
async function commandsUnder(heading: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL("docs/install.md", ROOT));
  const section = text.slice(text.indexOf(`\n## ${heading}\n`) + 1).split(/\n## /)[0]!;
  return [...section.matchAll(/^```sh\n(.*?)^```/gms)].map(([, commands]) => commands!);
}

/** A home with nothing in it but the `deno` that runs this test; its cache is the usual one. */
async function makeHome(): Promise<TempDir & { env: Record<string, string> }> {
  const home = await tempDir();
  await Deno.mkdir(`${home.path}/usual`);
  await Deno.symlink(Deno.execPath(), `${home.path}/usual/deno`);
  const env = {
    DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`,
    DENO_INSTALL_ROOT: `${home.path}/installed`,
    HOME: home.path,
    PATH: `${home.path}/installed/bin:${home.path}/usual:${Deno.env.get("PATH")}`,
  };
  return Object.assign(home, { env });
}

/** Runs commands as a shell does, each of which has to succeed. */
async function shell(commands: string, options: RunOptions): Promise<string> {
  const { code, stdout, stderr } = await run("sh", ["-ec", commands], options);
  assertEquals(code, 0, stderr);
  return stdout;
}

integration(
  "docs/install.md: the commands that it installs send a file, and ask nothing",
  async () => {
    await using clone = await checkout();
    await using home = await makeHome();
    const { env } = home;
    const [install, use, remove] = await commandsUnder("Two commands from a clone");
    await shell(install!, { cwd: clone.path, env });
    const bin = `${home.path}/installed/bin`;
    assertEquals(names(bin), [".inlet-client", ".inlet-server", "inlet-client", "inlet-server"]);
    assertEquals(names(clone.path).filter((name) => name === "node_modules"), []);
    // They are typed in a folder without a deno.json, and with any free port.
    const [start, send] = use!.trim().split("\n") as [string, string];
    assertEquals([start, send], ["inlet-server 5000", "inlet-client 127.0.0.1:5000 file.txt"]);
    await home.write("file.txt", "hello\n");
    const process = new Deno.Command("sh", {
      args: ["-c", `exec ${start.replace("5000", "0")}`],
      cwd: home.path,
      env,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    await using server = new Running(process);
    const [, port] = await server.says(/listening on \S+:(\d+)/);
    const sent = await shell(send.replace("5000", port!), { cwd: home.path, env });
    assertEquals(sent, "");
    assertEquals(await Deno.readTextFile(`${home.path}/received/file.txt`), "hello\n");
    // A package that its import map would know, from a folder that has none.
    const archive = await fetch(`http://127.0.0.1:${port}/files/?archive=zip`);
    assertEquals(new TextDecoder().decode((await archive.bytes()).slice(0, 2)), "PK");
    const again = install!.replaceAll("--global", "--global --force");
    await shell(again, { cwd: clone.path, env });
    await shell(remove!, { cwd: home.path, env });
    assertEquals(names(bin), []);
  },
);

integration("docs/install.md: npx runs the tasks of the clone in any folder", async () => {
  await using home = await makeHome();
  await Deno.symlink(ROOT, `${home.path}/inlet`);
  const [lines] = await commandsUnder("With npm");
  const [alias, use] = lines!.trim().split("\n");
  const [, command] = /^alias inlet='([^']+)'/.exec(alias!)!;
  assertStringIncludes(use!, "inlet client 127.0.0.1 5000 file.txt");
  const env = { ...home.env, npm_config_cache: `${Deno.env.get("HOME")}/.npm` };
  const printed = await shell(`${command} client --version`, { cwd: home.path, env });
  assertMatch(printed, /^inlet \d+\.\d+\.\d+\n$/);
}, { programs: ["npx"], registry: true });

integration(
  "deno publish --dry-run passes, and warns of what is loaded on demand alone",
  async () => {
    const args = ["publish", "--dry-run", "--allow-dirty"];
    const { code, stdout, stderr } = await run(Deno.execPath(), args);
    const text = stdout + stderr;
    assertEquals(code, 0, text);
    assert(!/\/(?:tests|fixtures|bench)\/|\/docs\/[^/]+\.ts /.test(text), text);
    const warned = [
      ...text.matchAll(/^warning\[(.+?)\].*\n\s*--> .*?\/((?:lib|web)\/\S+?\.[tj]s):/gm),
    ];
    assertEquals([...new Set(warned.map(([, kind, file]) => `${kind} ${file}`))], [
      "unanalyzable-dynamic-import lib/packages.ts",
      "unanalyzable-dynamic-import web/page/upload.js",
    ]);
    assertEquals(warned.length, text.match(/^warning/gm)?.length);
  },
);

integration("deno pack makes a tarball of which Node can use the protocol", async () => {
  await using temp = await tempDir();
  const tarball = `${temp.path}/inlet.tgz`;
  const args = ["pack", "--allow-dirty", "--output", tarball];
  const { code, stderr } = await run(Deno.execPath(), args);
  assertEquals(code, 0, stderr);
  await shell(`tar xzf inlet.tgz`, { cwd: temp.path });
  const script = `import("./package/protocol.js").then(({ encodeRequest }) =>
    process.stdout.write(encodeRequest({ type: "list" })))`;
  const { stdout } = await run("node", ["-e", script], { cwd: temp.path });
  assertEquals(stdout, "list\n");
}, { programs: ["node", "tar"] });

pure("manualPages() names options that there are", () => {
  const known = [CLIENT, serverProgram(MODE_OPTION)].flatMap(({ options }) => Object.keys(options));
  for (const page of Object.values(manualPages())) {
    const named = [...page.replaceAll("\\-", "-").matchAll(/(?<=--|Fl -)[a-z][a-z\d-]*/g)];
    assertEquals(named.map(([option]) => option).filter((option) => !known.includes(option)), []);
  }
});

integration("docs/*.1 shows every option, and mandoc has nothing to warn of", async () => {
  for (const program of [CLIENT, serverProgram(MODE_OPTION)]) {
    const page = `docs/${program.command}.1`;
    const lint = await run("mandoc", ["-T", "lint", "-W", "warning", page]);
    assertEquals([lint.code, lint.stdout, lint.stderr], [0, "", ""]);
    const { stdout } = await run("mandoc", ["-T", "utf8", "-O", "width=70", page]);
    // Letters are bold, or underlined, by what stands over them.
    const shown = stdout.replaceAll(/.[\b]/g, "").split("\n");
    for (const [name, { value }] of Object.entries(program.options)) {
      const head = `--${name}${value === undefined ? "" : ` ${value}`}`;
      assert(shown.some((line) => line.startsWith("     ") && line.includes(head)), head);
    }
    assertEquals(shown.filter((line) => line.length > 70), []);
  }
}, { programs: ["mandoc"] });
