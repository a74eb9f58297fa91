import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname } from "@std/path/dirname";
import { commonFolders } from "../lib/cli/common_folders.ts";
import {
  type Ended,
  integration,
  names,
  pure,
  ROOT,
  run,
  Running,
  scriptPath,
  startServer,
  tempDir,
} from "./helpers.ts";
import { openTerminal } from "./tmux.ts";

/** An environment in which `deno` is the one that runs the tests. */
function environment(): Record<string, string> {
  return { PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}` };
}

/** Runs a command as it is typed, where there is no terminal. */
async function typed(command: string, cwd: string): Promise<Ended> {
  return await run("sh", ["-c", command], { cwd, env: environment() });
}

const SERVER = scriptPath("server.ts");
const CLIENT = scriptPath("client.ts");

/** The command that a refusal says to run instead. */
function commandIn({ code, stdout, stderr }: Ended): string {
  assertEquals([code, stdout], [2, ""]);
  const [, command] = /^inlet: Cannot go on without permission to .+; run: (.+)\n$/.exec(stderr) ??
    [];
  return command ?? `no command in: ${stderr}`;
}

for (const flags of ["", "--allow-net "]) {
  integration(`deno run ${flags}server.ts names the whole command to run instead`, async () => {
    await using project = await tempDir();
    const refused = await typed(`deno run ${flags}${SERVER} 0 --max-clients 3`, project.path);
    const command = commandIn(refused);
    assertMatch(
      command,
      /^deno run --allow-net=127\.0\.0\.1:0 .* \S*server\.ts 0 --max-clients 3$/,
    );
    assertEquals(names(project.path).includes("received"), false);
    await using server = new Running(
      new Deno.Command("sh", {
        args: ["-c", `exec ${command}`],
        cwd: project.path,
        env: environment(),
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn(),
    );
    const [, port] = await server.says(/listening on 127\.0\.0\.1:(\d+)/);
    await project.write("file.txt", "hello\n");
    const { code } = await typed(`deno run -A ${CLIENT} 127.0.0.1 ${port} file.txt`, project.path);
    assertEquals(code, 0);
    assertEquals(Deno.readTextFileSync(`${project.path}/received/file.txt`), "hello\n");
  });
}

const FILES = ["file.txt", "it's two.txt", "a,b.txt", "ü ☕.txt"];

for (const file of FILES) {
  integration(
    `deno run client.ts names the whole command that sends ${file}`,
    async () => {
      await using server = await startServer();
      await using project = await tempDir();
      await project.write(file, "hello\n");
      const quoted = `'${file.replaceAll("'", `'\\''`)}'`;
      const command = commandIn(
        await typed(
          `deno run ${CLIENT} 127.0.0.1 ${server.port} ${quoted}`,
          project.path,
        ),
      );
      assertStringIncludes(command, `--allow-net=127.0.0.1:${server.port} `);
      assertEquals(command.includes("--allow-write"), false);
      const { code, stderr } = await typed(command, project.path);
      assertEquals([code, stderr.split("\n").length], [0, 2], stderr);
      assertEquals(Deno.readTextFileSync(`${server.dir}/${file}`), "hello\n");
    },
  );
}

for (const host of ["localhost", "::1"]) {
  integration(
    `deno run client.ts names the whole command that reaches ${host}`,
    async () => {
      await using server = await startServer({ args: ["--host", host] });
      await using project = await tempDir();
      const refused = await typed(
        `deno run ${CLIENT} ${host} ${server.port} --list`,
        project.path,
      );
      const { code, stderr } = await typed(commandIn(refused), project.path);
      assertEquals([code, stderr], [0, ""]);
    },
    { ipv6: host === "::1" },
  );
}

integration("deno run client.ts names the whole command for --get", async () => {
  await using server = await startServer();
  Deno.writeTextFileSync(`${server.dir}/file.txt`, "hello\n");
  await using project = await tempDir();
  await Deno.mkdir(`${project.path}/into`);
  for (
    const [output, path] of [["", "file.txt"], [" --output into/b.txt", "into/b.txt"]] as const
  ) {
    const get = `deno run ${CLIENT} 127.0.0.1 ${server.port} --get file.txt${output}`;
    const command = commandIn(await typed(get, project.path));
    const { code, stderr } = await typed(command, project.path);
    assertEquals(code, 0, stderr);
    assertEquals(Deno.readTextFileSync(`${project.path}/${path}`), "hello\n");
  }
});

integration("deno run client.ts with permission to read one file asks for no more", async () => {
  await using server = await startServer();
  await using project = await tempDir();
  await project.write("file.txt", "hello\n");
  await project.write("other.txt", "hello\n");
  const flags = `--allow-net=127.0.0.1:${server.port} --allow-read=file.txt`;
  const send = `deno run ${flags} ${CLIENT} 127.0.0.1 ${server.port} file.txt`;
  assertEquals((await typed(send, project.path)).code, 0);
  const other = commandIn(await typed(send.replace(/file\.txt$/, "other.txt"), project.path));
  assertStringIncludes(other, " --allow-read=other.txt ");
  assertEquals((await typed(other, project.path)).code, 0);
});

integration("deno test without a permission passes, and says what it left out", async () => {
  await using temp = await tempDir();
  const files = ["tests", "tests/faults"].flatMap((folder) =>
    [...Deno.readDirSync(new URL(folder, ROOT))].filter(({ name }) => name.endsWith("_test.ts"))
      .map(({ name }) => new URL(`${folder}/${name}`, ROOT).href)
  );
  // All in one process take a tenth of the time. The tests that need no permission get none anyway.
  const all = await temp.write("all_test.ts", files.map((file) => `import "${file}";\n`).join(""));
  const args = ["--config", "deno.json", "--no-check", "--filter", "/\\[needs --allow-net /", all];
  const { code, stdout, stderr } = await run(Deno.execPath(), ["test", ...args], { cwd: ROOT });
  assertEquals(code, 0, stdout.replaceAll(/.* ignored .*\n/g, "") + stderr);
  assertMatch(stdout, /\[needs --allow-net .*: deno task test\] \.\.\. ignored/);
  const [, ignored] = /\| 0 passed \| 0 failed \| (\d+) ignored/.exec(stdout)!;
  assert(Number(ignored) > files.length, stdout);
});

integration("deno run server.ts ends with one line as a job in a shell's background", async () => {
  await using project = await tempDir();
  await run("mkfifo", [`${project.path}/begin`]);
  await using terminal = await openTerminal(["env", "PS1=$ ", "bash", "--norc"], {
    cwd: project.path,
    columns: 500,
  });
  await terminal.shows(/^\$$/m);
  const server = `exec ${Deno.execPath()} run --allow-net ${SERVER} 0`;
  await terminal.type(`{ read _ < begin; ${server}; } &`);
  await terminal.press("Enter");
  // Once its prompt is there the shell edits a line, and the terminal no longer takes whole ones.
  await terminal.shows(/^\[1\] \d+\n\$$/m);
  await Deno.writeTextFile(`${project.path}/begin`, "\n");
  await terminal.shows(/run: deno run .*server\.ts 0$/m);
  await terminal.type("wait $!; echo ended $?");
  await terminal.press("Enter");
  const screen = await terminal.shows(/^ended 2$/m);
  const [, job, refusal, next] = screen.split("\n");
  assertMatch(job!, /^\[1\] \d+$/);
  assertMatch(refusal!, /^inlet: Cannot go on without permission to read received; run: deno run /);
  assertEquals(next, "wait $!; echo ended $?");
}, { programs: ["tmux", "bash", "mkfifo"] });

pure("commonFolders() asks for no wider folder than files lie in", () => {
  const cases: [paths: string[], folders: string[]][] = [
    [["a", "b", "c"], ["."]],
    [["a/1", "a/2", "b/c/3"], ["."]],
    [["a/b/1", "a/b/2", "a/c/3"], ["a"]],
    [["../x/1", "/home/me/x/2", "../x/y/3"], ["/home/me/x"]],
    [["a", "b", "../../you/key"], [".", "../../you/key"]],
    [["/a", "/b", "/c"], ["/a", "/b", "/c"]],
    [["/home/you/1", "/srv/2", "/srv/3"], ["/home/you/1", "/srv"]],
    [["/"], ["/"]],
  ];
  for (const [paths, folders] of cases) {
    assertEquals(commonFolders(paths, "/home/me/work"), folders, paths.join(" "));
  }
});
