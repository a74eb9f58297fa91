/**
 * What a program is told of the files that its server has stored.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { send } from "../client.ts";
import {
  type OnStored,
  type ReceivedFile,
  serve,
  type ServeOptions,
  type Server,
} from "../server.ts";
import { bytes, fixture, integration, names, ROOT, run, tempDir } from "./helpers.ts";
import { ask, begin, metadata, patch } from "./tus_wire.ts";
import { Wire } from "./wire.ts";

const HELLO = "hello\nend 363a3020\n";

/** A server in this process, what it tells of files, and a way to wait for a number of them. */
async function listening(
  directory: string,
  options: ServeOptions = {},
): Promise<{ server: Server; told: ReceivedFile[]; toldOf(files: number): Promise<void> }> {
  const told: ReceivedFile[] = [];
  let wake = (): void => {};
  const onStored: OnStored = (file) => {
    told.push(file);
    wake();
  };
  const server = await serve({ directory, onStored, log: { quiet: true }, ...options });
  const toldOf = async (files: number): Promise<void> => {
    while (told.length < files) await new Promise<void>((resolve) => wake = resolve);
  };
  return { server, told, toldOf };
}

integration("onStored is told once of each file, on every wire", async () => {
  await using local = await tempDir();
  const directory = `${local.path}/received`;
  const { server, told, toldOf } = await listening(directory, { fallback: "raw" });
  await using _ = server;
  const { port } = server.address;
  const tree = `${local.path}/tree`;
  await Deno.mkdir(`${tree}/empty`, { recursive: true });
  await Deno.mkdir(`${tree}/more`);
  for (const name of ["a", "b", "more/c"]) await Deno.writeTextFile(`${tree}/${name}`, name);
  await Deno.symlink("a", `${tree}/link`);
  await Deno.writeFile(`${local.path}/large.bin`, bytes(9_000_000));
  await send(server.address, [fixture("hello.txt"), `${local.path}/large.bin`, tree]);
  await send(server.address, [fixture("hello.txt")], { mode: "upload" });
  await send(server.address, [fixture("hello.txt")], { mode: "raw" });
  const url = `http://127.0.0.1:${port}`;
  const ends = async (response: Response | Promise<Response>): Promise<number> => {
    const { status, body } = await response;
    await body?.cancel();
    return status;
  };
  assertEquals(await ends(fetch(`${url}/put.txt`, { method: "PUT", body: "put" })), 201);
  const form = new FormData();
  form.append("one", new Blob(["1"]), "one.txt");
  form.append("two", new Blob(["22"]), "two.txt");
  assertEquals(await ends(fetch(`${url}/files/`, { method: "POST", body: form })), 201);
  // The two ways of tus: one upload, and parts that are joined.
  const whole = { "Upload-Length": 3, ...metadata({ filename: "tus.txt" }) };
  await patch({ port }, await begin({ port }, whole), 0, "tus");
  const parts: string[] = [];
  for (const part of ["jo", "in"]) {
    const path = await begin({ port }, { "Upload-Length": 2, "Upload-Concat": "partial" });
    await patch({ port }, path, 0, part);
    parts.push(path);
  }
  const joined = {
    "Upload-Concat": `final;${parts.join(" ")}`,
    ...metadata({ filename: "joined" }),
  };
  assertEquals((await ask({ port }, "POST", "/uploads/", joined)).status, 201);
  using wire = await Wire.greet({ port });
  await wire.says(
    `push 6 pushed.txt\n${HELLO}put - unknown.txt\ndata 6\n${HELLO}mkdir made\nexit\n`,
  );
  await wire.rest();

  await toldOf(14);
  const wires = Object.fromEntries(told.map(({ name, client }) => [name, client.wire]));
  assertEquals(wires, {
    ...{ "hello.txt": "native", "large.bin": "native", "tree/a": "native", "tree/b": "native" },
    ...{ "tree/more/c": "native", "hello (2).txt": "upload", "1.file": "raw" },
    ...{ "put.txt": "http", "one.txt": "http", "two.txt": "http", "tus.txt": "http" },
    ...{ "joined": "http", "pushed.txt": "native", "unknown.txt": "native" },
  });
  assertEquals(told.length, 14);
  for (const { path, size } of told) assertEquals(Deno.statSync(path!).size, size);
  assertEquals(Deno.readTextFileSync(told.find(({ name }) => name === "joined")!.path!), "join");
  const { name, path, size, crc, client } = told.find(({ name }) => name === "pushed.txt")!;
  assertEquals([path, size, crc], [`${directory}/${name}`, 6, 0x363a3020]);
  assertEquals([client.name, client.user], ["test", undefined]);
  assertEquals(client.address.split(":")[0], "127.0.0.1");
});

integration("onStored is told once of a file that comes twice with the same id", async () => {
  await using local = await tempDir();
  const { server, told, toldOf } = await listening(local.path);
  await using _ = server;
  const id = "id=0123456789abcdef0123456789abcdef";
  for (const request of ["push", "put", "push", `reput`]) {
    using wire = await Wire.greet(server.address);
    const proof = request === "reput" ? `${"0".repeat(64)} ` : "";
    await wire.says(`${request};${id} ${proof}6 a.txt\n${HELLO}exit\n`);
    assertStringIncludes(await wire.rest(), "ok 6 363a3020 a.txt\nok bye\n");
  }
  using wire = await Wire.greet(server.address);
  await wire.says(`push 6 last.txt\n${HELLO}`);
  await toldOf(2);
  assertEquals(told.map(({ name }) => name), ["a.txt", "last.txt"]);
});

integration("onStored is told of a file whose client leaves while it is flushed", async () => {
  await using local = await tempDir();
  const flushing = Promise.withResolvers<void>();
  const flush = Promise.withResolvers<void>();
  // A folder is flushed when the file in it has its name.
  const open = async (path: string | URL, options?: Deno.OpenOptions): Promise<Deno.FsFile> => {
    const file = await Deno.open(path, options);
    file.sync = async () => {
      flushing.resolve();
      await flush.promise;
    };
    return file;
  };
  const { server, told, toldOf } = await listening(local.path, {
    fsync: true,
    disk: { ...Deno, open },
  });
  await using _ = server;
  {
    using wire = await Wire.greet(server.address);
    await wire.says(`put 6 a.txt\n`);
    await wire.line();
    await wire.says(HELLO);
    await flushing.promise;
    assertEquals([names(local.path), told], [["a.txt"], []]);
  }
  flush.resolve();
  await toldOf(1);
  assertEquals(told[0]!.name, "a.txt");
});

integration("what onStored throws is logged, and stops nothing", async () => {
  await using local = await tempDir();
  const source = `
    import { serve } from "${new URL("server.ts", ROOT)}";
    import { send } from "${new URL("client.ts", ROOT)}";
    const onStored = ({ size }) => {
      if (size === 6) throw new Error("it is\\x1b[2J small");
      return Promise.reject("no room");
    };
    await using server = await serve({ directory: "in", onStored, log: { quiet: true } });
    await send(server.address, ${JSON.stringify(["hello.txt", "one_byte.bin"].map(fixture))});`;
  await local.write("program.ts", source);
  const args = [
    "run",
    "-A",
    "--config",
    fromFileUrl(new URL("deno.json", ROOT).href),
    "program.ts",
  ];
  const { code, stderr } = await run(Deno.execPath(), args, { cwd: local.path });
  assertEquals(code, 0, stderr);
  const said = stderr.split("\n").slice(1).map((line) => line.replace(/^.{20}/, ""));
  assertEquals(said, [
    'client 1: the hook for "hello.txt" failed: it is\\u{1b}[2J small',
    'client 1: the hook for "one_byte.bin" failed: no room',
    "",
  ]);
});

integration(
  "a server that stops waits for onStored, and tells it when the grace is over",
  async () => {
    await using local = await tempDir();
    const began = Promise.withResolvers<AbortSignal>();
    const done = Promise.withResolvers<void>();
    const onStored: OnStored = (_, signal) => {
      began.resolve(signal);
      return done.promise;
    };
    const log = { quiet: true };
    const server = await serve({ directory: local.path, onStored, log });
    let isFinished = false;
    const finished = server.finished.then(() => isFinished = true);
    await send(server.address, [fixture("hello.txt")]);
    const signal = await began.promise;
    const stopped = server.shutdown(100);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    assertEquals([signal.reason.code, isFinished], ["shutdown", false]);
    done.resolve();
    await Promise.all([stopped, finished]);
  },
);
