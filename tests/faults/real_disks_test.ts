import { assertEquals, assertMatch } from "@std/assert";
import {
  bytes,
  fixture,
  integration,
  names,
  onTmpfs,
  run,
  runClient,
  startServer,
  tempDir,
} from "../helpers.ts";
import { Wire } from "../wire.ts";

for (const mode of ["files", "upload", "raw"]) {
  integration(`server.ts --mode ${mode} goes on after its disk was full`, async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    await Deno.mkdir(dir);
    await using small = await startServer({
      dir,
      args: ["--mode", mode],
      under: onTmpfs(dir, "size=1m"),
    });
    const seen = `/proc/${small.running.process.pid}/root${dir}`;
    const large = await local.write("large.bin", bytes(2 * 2 ** 20));
    // A body of unknown size is refused once it fills the disk, any other before its first byte.
    const full = mode === "upload" ? [] : [mode === "files" ? ["--as", "a", "-"] : ["-"]];
    for (const args of [[large], ...full]) {
      const refused = await runClient(small, [...args, "--mode", mode], { stdin: bytes(2 ** 21) });
      assertEquals(refused.code, 3);
      const isKnown = args[0] === large && mode !== "raw";
      const why = isKnown
        ? "it needs 2 MiB, and the disk has (1 MiB|\\d+ KiB) free"
        : "the disk is full";
      assertMatch(refused.stderr, new RegExp(`^inlet: Cannot store .*: ${why}\n$`));
      assertEquals(names(seen), []);
    }
    const file = fixture("every_byte.bin");
    assertEquals((await runClient(small, [file, "--mode", mode])).code, 0);
    const [stored, ...others] = names(seen);
    assertEquals(others, []);
    assertEquals(Deno.readFileSync(`${seen}/${stored}`), Deno.readFileSync(file));
  }, { mounts: true });

  integration(`server.ts --mode ${mode} goes on after its disk was read-only`, async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    await Deno.mkdir(dir);
    await using server = await startServer({
      dir,
      args: ["--mode", mode],
      under: onTmpfs(dir, "size=1m"),
    });
    const { pid } = server.running.process;
    const remount = async (option: string): Promise<void> => {
      const within = ["-t", String(pid), "-U", "-m", "--preserve-credentials"];
      const { code, stderr } = await run("nsenter", [
        ...within,
        ...["mount", "-o", `remount,${option},size=1m`, dir],
      ]);
      assertEquals([code, stderr], [0, ""]);
    };
    const seen = `/proc/${pid}/root${dir}`;
    await remount("ro");
    const refused = await runClient(server, [fixture("hello.txt"), "--mode", mode]);
    assertEquals(refused.code, 3);
    assertMatch(refused.stderr, /^inlet: Cannot store .*: the disk is read-only\n$/);
    assertEquals(names(seen), []);
    await remount("rw");
    assertEquals((await runClient(server, [fixture("hello.txt"), "--mode", mode])).code, 0);
    assertEquals(names(seen).length, 1);
  }, { mounts: true, programs: ["nsenter"] });
}

integration("server.ts holds announced sizes against the disk before the first byte", async () => {
  await using local = await tempDir();
  await using server = await startServer({
    dir: local.path,
    under: onTmpfs(local.path, "size=20m"),
  });
  using first = await Wire.greet(server);
  using second = await Wire.greet(server);
  await first.says("put 15000000 a.bin\n");
  assertEquals(await first.line(), "go 0");
  // What the first one has announced is no longer free, though none of it has arrived.
  await second.says("put 15000000 b.bin\n");
  assertMatch(
    await second.line(),
    /^error no-space Cannot store "b\.bin": it needs 14\.3 MiB besides 14\.5 MiB for others, and the disk has 20 MiB free$/,
  );
  await second.says("put 29360128 b.bin\n");
  assertMatch(await second.line(), /^error no-space .*: it needs 28 MiB, and the disk has 20 MiB/);
  await second.says(`reput ${"0".repeat(64)} 15000000 b.bin\n`);
  assertMatch(await second.line(), /^error no-space /);
  // A sum is warned of, and no more: not all of it need be sent.
  await second.says("push;total=15000000 6 c.txt\nhello\nend 363a3020\n");
  assertMatch(
    await second.line(),
    /^note;kind=warning Not all of the files may fit: it needs 14\.3 MiB /,
  );
  assertEquals(await second.line(), "ok 6 363a3020 c.txt");
  first[Symbol.dispose]();
  await server.running.says(/"test" .* left|left/);
  await second.says("put 15000000 b.bin\n");
  assertEquals(await second.line(), "go 0");
}, { mounts: true });

integration("client.ts with several files is warned if they do not fit together", async () => {
  await using local = await tempDir();
  await using files = await tempDir();
  await using server = await startServer({
    dir: local.path,
    under: onTmpfs(local.path, "size=1m"),
  });
  const paths = [
    await files.write("a.bin", bytes(600_000)),
    await files.write("b.bin", bytes(600_000)),
  ];
  const { code, stderr } = await runClient(server, paths);
  assertEquals(code, 3);
  const [warning, first, second] = stderr.split("\n");
  assertEquals(
    warning,
    "Not all of the files may fit: it needs 1.14 MiB, and the disk has 1 MiB free",
  );
  assertMatch(first!, /a\.bin: stored as "a\.bin"/);
  assertMatch(second!, /^inlet: Cannot store "b\.bin": it needs 586 KiB, and the disk has /);
}, { mounts: true });
