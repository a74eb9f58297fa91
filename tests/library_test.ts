import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import {
  checkout,
  type Ended,
  fixture,
  integration,
  names,
  ROOT,
  run,
  scriptPath,
  tempDir,
  UNCOVERED,
} from "./helpers.ts";
import { serve } from "../server.ts";
import { type InletError, send, SendError, type SendResult } from "../client.ts";
import { Wire } from "./wire.ts";

const QUIET = { quiet: true };

/** Runs a script of a stranger's, beside the library. */
async function runProgram(directory: { path: string }, source: string): Promise<Ended> {
  await Deno.writeTextFile(`${directory.path}/program.ts`, source);
  const args = ["run", "--allow-net", "--allow-read", "--allow-write", "program.ts"];
  return await run(Deno.execPath(), args, { cwd: directory.path, env: UNCOVERED });
}

integration("serve() and send() work from a script, which then ends by itself", async () => {
  await using project = await checkout();
  await project.write("file.txt", "hello\n");
  const { code, stdout, stderr } = await runProgram(
    project,
    `import { type Server, serve } from "./server.ts";
     import { send, type SentItem } from "./client.ts";

     {
       await using server: Server = await serve({ directory: "inbox", log: { quiet: true } });
       const results: SentItem[] = await send(server.address, ["file.txt"], { name: "script" });
       console.log(results.map(({ label, stored }) => [label, stored.name, stored.size]));
     }
     console.log("stopped");`,
  );
  assertEquals(code, 0, stderr);
  assertEquals(stdout, '[ [ "file.txt", "file.txt", 6 ] ]\nstopped\n');
  assertMatch(stderr, /listening on 127\.0\.0\.1:\d+ .* storing into "inbox"\n$/);
  assertEquals(Deno.readTextFileSync(`${project.path}/inbox/file.txt`), "hello\n");
});

/** The blocks of a language in docs/library.md, with the place of the clone in them. */
function documented(language: string): string[] {
  const text = Deno.readTextFileSync(new URL("docs/library.md", ROOT));
  const blocks = text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"));
  return [...blocks].map(([, block]) => block!.replaceAll("../inlet", fromFileUrl(ROOT.href)));
}

integration(
  "docs/library.md: its programs check and run in a project beside the clone",
  async () => {
    await using local = await tempDir();
    const [linked, mapped] = documented("json");
    const programs = documented("ts");
    await Deno.mkdir(`${local.path}/linked`);
    await Deno.mkdir(`${local.path}/mapped`);
    await local.write("linked/deno.json", linked!);
    await local.write("linked/file.txt", "hello\n");
    const store = Deno.readTextFileSync(new URL("docs/memory_store.ts", ROOT));
    await local.write(
      "linked/memory_store.ts",
      store.replace("../server.ts", "@inlet/inlet/server"),
    );
    const files = programs.map((_, index) => `program${index}.ts`);
    for (const [index, file] of files.entries()) {
      await local.write(`linked/${file}`, programs[index]!);
    }
    await local.write("mapped/deno.json", mapped!);
    const byPath = programs[0]!.replaceAll(
      /@inlet\/inlet\/(\w+)/g,
      `${fromFileUrl(ROOT.href)}$1.ts`,
    );
    await local.write("mapped/program.ts", byPath);
    const within = (folder: string) => {
      return { cwd: `${local.path}/${folder}`, env: UNCOVERED };
    };
    const deno = Deno.execPath();
    const checks = await Promise.all([
      run(deno, ["check", ...files], within("linked")),
      run(deno, ["check", "program.ts"], within("mapped")),
    ]);
    for (const { code, stderr } of checks) assertEquals(code, 0, stderr);
    const said: (string | undefined)[] = [];
    // One after another, as they have the same folder of received files.
    for (const [index, file] of files.entries()) {
      const isOfNoServer = programs[index]!.includes("port: 5000");
      const ran = isOfNoServer
        ? undefined
        : await run(deno, ["run", "-A", "--no-check", file], within("linked"));
      assertEquals(ran?.code ?? 0, 0, ran?.stderr);
      said.push(ran?.stdout);
    }
    assertEquals(said, [
      "file.txt is stored as file.txt\n",
      "notes/today.txt 9 1fa9551c\nIt works\n true\nfolder notes\nfile notes/today.txt\n2\n",
      "6 of 6 bytes\nnot-found\n",
      undefined,
      "",
      "came 1 \nnamed 1 ben\nleft 1 ben\n",
      "folder a\nfile a/b.txt\n",
    ]);
  },
);

for (const entry of ["client.ts", "server.ts", "protocol.ts"]) {
  integration(`${entry}: everything that it exports is documented`, async () => {
    const { code, stderr } = await run(Deno.execPath(), ["doc", "--lint", scriptPath(entry)]);
    assertEquals(code, 0, stderr);
  });
}

integration("send() says of each file how it fared", async () => {
  await using local = await tempDir();
  const directory = `${local.path}/received`;
  await using server = await serve({ directory, maxBytes: 4096, log: QUIET });
  const files = ["one_byte.bin", "1MiB.txt", "hello.txt", "every_byte.bin"].map(fixture);
  const told: string[] = [];
  const onResult = ({ label }: SendResult): number => told.push(label);
  const error = await assertRejects(() => send(server.address, files, { onResult }), SendError);
  assertEquals(told, files);
  assertEquals(error.code, "too-large");
  assertEquals(
    error.message,
    'Cannot store "1MiB.txt": the limit is 4096 bytes (4 KiB) (not sent: 1 of 4)',
  );
  const { results } = error;
  assertEquals(
    results.map(({ stored, error }) => stored?.name ?? error?.code),
    ["one_byte.bin", "too-large", "hello.txt", "every_byte.bin"],
  );
  assertEquals(results[2]!.stored, { size: 6, crc: 0x363a3020, name: "hello.txt" });
  assertEquals(names(directory), ["every_byte.bin", "hello.txt", "one_byte.bin"]);
});

integration("send() speaks the mode that it is told", async () => {
  await using local = await tempDir();
  const directory = `${local.path}/received`;
  await using server = await serve({ directory, mode: "upload", log: QUIET });
  const [result] = await send(server.address, [fixture("hello.txt")], { mode: "upload" });
  assertEquals(result!.stored.size, 6);
  assertEquals(names(directory), ["hello.txt"]);
});

integration("serve() asks its function for the key that holds now", async () => {
  await using local = await tempDir();
  let key = "the first key of all";
  await using server = await serve({ directory: local.path, key: () => key, log: QUIET });
  const sendWith = (key: string) => send(server.address, [fixture("hello.txt")], { key });
  await sendWith(key);
  key = "another key altogether";
  await sendWith(key);
  const error = await assertRejects(() => sendWith("the first key of all"), SendError);
  assertEquals(error.code, "untrusted");
});

integration("send() sends nothing when one file cannot be sent at all", async () => {
  await using local = await tempDir();
  const directory = `${local.path}/received`;
  await using server = await serve({ directory, log: QUIET });
  const error = await send(server.address, [fixture("hello.txt"), "missing.txt"]).catch((e) => e);
  assertEquals([error.name, error.code], ["InletError", "usage"]);
  assertEquals(error.message, 'Cannot send "missing.txt": it does not exist');
  assertEquals(names(directory), []);
});

integration("send() throws when there is no server, for one file and for several", async () => {
  const { address } = await stopped();
  const files = [fixture("hello.txt"), fixture("1MiB.txt")];
  const { message, code, cause, results } = await assertRejects(
    () => send(address, files.slice(0, 1)),
    SendError,
    `Cannot connect to 127.0.0.1:${address.port}: connection refused; is the server running?`,
  );
  assertEquals([code, results.map(({ error }) => error)], ["lost", [cause as InletError]]);
  assertEquals(message, (cause as InletError).message);
  const several = await assertRejects(() => send(address, files), SendError);
  assertEquals(several.results.map(({ error }) => error?.code), ["lost", "lost"]);
});

/** A server that was there a moment ago. */
async function stopped(): Promise<{ address: Deno.NetAddr }> {
  await using local = await tempDir();
  await using server = await serve({ directory: local.path, log: QUIET });
  return { address: server.address };
}

integration("serve() on a port that is taken rejects with listen", async () => {
  await using local = await tempDir();
  await using server = await serve({ directory: local.path, log: QUIET });
  const { port } = server.address;
  const error = await serve({ directory: local.path, port, log: QUIET }).catch((e) => e);
  assertEquals([error.name, error.code], ["InletError", "listen"]);
});

integration("serve().shutdown() cuts what has not ended after its grace", async () => {
  await using local = await tempDir();
  await using server = await serve({ directory: local.path, log: QUIET });
  using wire = await Wire.greet(server.address);
  await wire.says("put 6 a.txt\n");
  assertEquals(await wire.line(), "go 0");
  assertEquals(names(local.path), ["(in flight)"]);
  const ended = Promise.all([server.shutdown(1), server.finished]);
  assertEquals(await wire.rest(), "error shutdown The server shut down before this was complete\n");
  wire.close();
  await ended;
  assertEquals(names(local.path), []);
});

integration("serve() is stopped at once by the end of its scope", async () => {
  await using local = await tempDir();
  const wire = await startPutToServerThatGoes(local.path);
  assertEquals(names(local.path), []);
  assertEquals(await wire.rest(), "error shutdown The server shut down before this was complete\n");
  wire.close();
});

/** Begins a put, and lets the server go out of scope within it. */
async function startPutToServerThatGoes(directory: string): Promise<Wire> {
  await using server = await serve({ directory, log: QUIET });
  const wire = await Wire.greet(server.address);
  await wire.says("put 6 a.txt\n");
  assertEquals(await wire.line(), "go 0");
  assertEquals(names(directory), ["(in flight)"]);
  return wire;
}
