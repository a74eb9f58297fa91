import { crc32 } from "node:zlib";
import { basename } from "@std/path/basename";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { pathSource } from "../lib/body/path_source.ts";
import { combineCrc } from "../lib/body/crc_combine.ts";
import { FileSource } from "../lib/body/sources.ts";
import { streamSource } from "../lib/body/stream_source.ts";
import {
  bytes,
  collect,
  fixture,
  integration,
  PROC,
  pure,
  ROOT,
  run,
  runSource,
  tempDir,
} from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { send } from "../client.ts";

integration("pathSource() measures a file, and streams it", async () => {
  const path = fixture("naïve café ☕.txt");
  const source = pathSource(path);
  assertEquals([source.label, source.name], [path, "naïve café ☕.txt"]);
  const content = await Deno.readFile(path);
  assertEquals(source.size, content.length);
  let moved = 0;
  using body = await source.open((count) => moved += count);
  assertEquals(await collect(body.stream), content);
  assertEquals(moved, content.length);
});

integration("pathSource() gives a file another name for the other side", () => {
  const source = pathSource(fixture("hello.txt"), "greeting.txt");
  assertEquals([source.label, source.name], [fixture("hello.txt"), "greeting.txt"]);
  return Promise.resolve();
});

integration("pathSource() follows a link, and names the file as the link", async () => {
  await using local = await tempDir();
  await Deno.symlink(fixture("hello.txt"), `${local.path}/link.txt`);
  const source = pathSource(`${local.path}/link.txt`);
  assertEquals([source.name, source.size], ["link.txt", 6]);
});

integration("the bytes of a file never go with its earlier time and permission bits", async () => {
  await using local = await tempDir();
  const ways = {
    open: (source: FileSource) => source.open(() => {}),
    read(source: FileSource): undefined {
      // A small file is measured right before it is read.
      source.measure();
      source.read(new Uint8Array(4000));
    },
    openBeginning: (source: FileSource) => source.openBeginning(),
  };
  for (const [way, begin] of Object.entries(ways)) {
    const path = await local.write(`${way}.bin`, bytes(1000));
    Deno.chmodSync(path, 0o644);
    Deno.utimeSync(path, 1000, 1000);
    const source = new FileSource(path, way);
    // Measured when the sizes of all are added up, long before its turn.
    assertEquals([source.size, source.mode], [1000, 0o644]);
    for (const [mode, seconds] of [[0o600, 2000], [0o640, 3000]] as const) {
      Deno.writeFileSync(path, bytes(1000));
      Deno.chmodSync(path, mode);
      Deno.utimeSync(path, seconds, seconds);
      // The second time is that of another attempt.
      using _ = begin(source);
      assertEquals([way, source.mode, source.modified.getTime()], [way, mode, seconds * 1000]);
    }
    if (way === "read") continue;
    // What a file was when its size was announced stays: it is resumed by its time.
    Deno.writeFileSync(path, bytes(3000));
    using _ = begin(source);
    assertEquals([way, source.size, source.modified.getTime()], [way, 1000, 3_000_000]);
  }
});

integration("pathSource() measures a file once more before it is sent", async () => {
  await using local = await tempDir();
  for (
    const [before, after] of [[100, 50], [100, 150]] as const
  ) {
    const source = pathSource(await local.write("a.bin", bytes(before)));
    assert(source.size !== null);
    await local.write("a.bin", bytes(after));
    using body = await source.open(() => {});
    assertEquals(source.size, after);
    assertEquals((await collect(body.stream)).length, after);
    assertEquals(body.change(), undefined);
  }
});

integration("a file that is resumed is sent as it was, and says that it grew", async () => {
  await using local = await tempDir();
  const size = 3 * 2 ** 20;
  const source = pathSource(await local.write("log", bytes(size)));
  assert(source.size !== null);
  using file = source.openBeginning();
  const body = file.rest(1000, () => {});
  Deno.writeTextFileSync(`${local.path}/log`, "one line more\n", { append: true });
  assertEquals((await collect(body.stream)).length, size - 1000);
  const kept = await file.crc(1000);
  assertEquals(kept, crc32(bytes(1000)));
  const whole = combineCrc(kept, body.tally.crc, body.tally.bytes);
  assertEquals([body.change(), whole], ["grew", crc32(bytes(size))]);
});

integration("read() gives a small file whole, and notices one that changed", async () => {
  await using local = await tempDir();
  for (
    const [before, after] of [[0, 0], [5, 5], [5, 4], [5, 6], [0, 1], [70_000, 70_000]] as const
  ) {
    const source = pathSource(await local.write("a.bin", bytes(before)));
    await local.write("a.bin", bytes(after));
    assert(source.size !== null);
    const room = new Uint8Array(source.size + 1).fill(7);
    const change = after > before ? "grew" : after < before ? "changed" : undefined;
    assertEquals(source.read(room), change);
    const expected = new Uint8Array(before);
    expected.set(bytes(after).subarray(0, before));
    assertEquals(room.subarray(0, before), expected);
  }
});

integration("pathSource() streams a pipe without a size", async () => {
  await using local = await tempDir();
  const pipe = `${local.path}/pipe`;
  assertEquals((await run("mkfifo", [pipe])).code, 0);
  const source = pathSource(pipe);
  assertEquals([source.name, source.size], ["pipe", null]);
  const writing = run("sh", ["-c", `printf 'through the pipe' > "$0"`, pipe]);
  using body = await source.open(() => {});
  assertEquals(new TextDecoder().decode(await collect(body.stream)), "through the pipe");
  await writing;
}, { programs: ["mkfifo"] });

integration("pathSource() refuses what cannot be sent, before anything is", async () => {
  await using local = await tempDir();
  await local.write("a.txt", "a");
  Deno.symlinkSync("nowhere", `${local.path}/link`);
  using _ = Deno.listen({ transport: "unix", path: `${local.path}/socket` });
  for (
    const [path, reason] of [
      [`${local.path}/missing.txt`, "it does not exist"],
      [`${local.path}/a.txt/b`, "a part of the path is not a folder"],
      [`${local.path}/a.txt/`, "it is a file, and no folder"],
      [`${local.path}/link`, "it is a symbolic link that leads to nothing"],
      [`${local.path}/socket`, "it is a socket"],
      [`${local.path}/b\ufffd`, "its name is not valid UTF-8, which Deno cannot open"],
      [local.path, "it is a folder, give files"],
    ] as const
  ) {
    const error = assertThrows(() => pathSource(path), InletError, `Cannot send "${path}"`);
    assertEquals(error.code, "usage");
    assert(error.message.endsWith(`: ${reason}`), error.message);
  }
});

integration("pathSource() refuses a file that is gone when its turn comes", async () => {
  await using local = await tempDir();
  const source = pathSource(await local.write("a.txt", "a"));
  await Deno.remove(`${local.path}/a.txt`);
  const error = await assertRejects(async () => await source.open(() => {}), InletError);
  assertEquals(error.code, "usage");
  assert(error.message.endsWith("it does not exist"));
});

pure("streamSource() gives the next body what a closed one was waiting for", async () => {
  const reads: ((text: string | null) => void)[] = [];
  let closed = 0;
  const source = streamSource("a pipe", "a.txt", () => ({
    read: (buffer) =>
      new Promise((resolve) =>
        reads.push((text) =>
          resolve(text === null ? null : new TextEncoder().encodeInto(text, buffer).written)
        )
      ),
    close: () => closed++,
  }));
  const counts = [0, 0, 0];
  const openNext = (index: number) => source.open((bytes) => counts[index]! += bytes);
  for (const index of [0, 1]) {
    const body = await openNext(index);
    const reader = body.stream.getReader();
    reader.read();
    await Promise.resolve();
    reader.cancel();
    body[Symbol.dispose]();
  }
  assertEquals([reads.length, closed], [1, 0]);
  const body = await openNext(2);
  const content = collect(body.stream);
  for (const text of ["first, ", "second", null]) {
    while (reads.length === 0) await new Promise((resolve) => setTimeout(resolve));
    reads.shift()!(text);
  }
  assertEquals(new TextDecoder().decode(await content), "first, second");
  assertEquals(counts, [0, 0, 13]);
  body[Symbol.dispose]();
  assertEquals(closed, 1);
});

integration("stdinSource() streams the standard input under a name", async () => {
  const script = `
    import { stdinSource } from "${new URL("lib/body/path_source.ts", ROOT).href}";
    const source = stdinSource("notes.txt");
    let moved = 0;
    using body = await source.open((count) => moved += count);
    for await (const chunk of body.stream) Deno.stdout.writeSync(chunk);
    console.error(source.label, source.name, source.size, moved);`;
  const { stdoutBytes, stderr } = await runSource(script, { stdin: bytes(3_000_000) });
  assertEquals(stdoutBytes.length, 3_000_000);
  assert(bytes(3_000_000).every((byte, index) => byte === stdoutBytes[index]));
  assertEquals(stderr, "standard input notes.txt null 3000000\n");
});

for (const path of ["/proc/version", "/sys/devices/system/cpu/online"]) {
  integration(`${path}, which does not tell its size, is sent to its end`, async () => {
    await using inbox = await tempDir();
    await using server = await serveHere({ dir: inbox.path });
    const address = { hostname: "127.0.0.1", port: server.port };
    const [result] = await send(address, [path]);
    const content = Deno.readTextFileSync(path);
    assertEquals([result?.error, result?.stored?.size], [undefined, content.length]);
    assertEquals(Deno.readTextFileSync(`${inbox.path}/${basename(path)}`), content);
  }, PROC);
}

integration("a file that Deno does not open names the command that does", async () => {
  const args = ["client.ts", "127.0.0.1", "5000", "/proc/version"];
  const whole = ["--allow-net", "--allow-read"];
  const scoped = ["--allow-net", "--allow-read=/proc/version"];
  for (const permissions of [whole, scoped]) {
    const ended = await run(Deno.execPath(), ["run", ...permissions, ...args]);
    assertEquals([ended.code, ended.stderr], [
      2,
      'inlet: Cannot read "/proc/version": Deno opens files of /proc, /sys and /dev only with ' +
      `--allow-all; run: deno run --allow-all ${args.join(" ")}\n`,
    ]);
  }
}, PROC);

integration("/dev/stdin is standard input, and needs no permission", async () => {
  await using inbox = await tempDir();
  await using server = await serveHere({ dir: inbox.path });
  const script = ["client.ts", "127.0.0.1", `${server.port}`, "/dev/stdin", "--as", "a.txt"];
  const ended = await run(Deno.execPath(), ["run", "--allow-net", ...script], { stdin: "hello" });
  assertEquals(ended.code, 0, ended.stderr);
  assertEquals(Deno.readTextFileSync(`${inbox.path}/a.txt`), "hello");
});
