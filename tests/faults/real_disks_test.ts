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
    const refused = await runClient(small, [large, "--mode", mode]);
    assertEquals(refused.code, 3);
    assertMatch(refused.stderr, /^inlet: Cannot store .*: the disk is full\n$/);
    assertEquals(names(seen), []);
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
