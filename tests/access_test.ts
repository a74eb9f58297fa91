import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  dial,
  fixture,
  integration,
  names,
  readAll,
  run,
  runClient,
  runPeer,
  sendTo,
  startServer,
} from "./helpers.ts";

integration("--read-only lists and gives files, and takes none", async () => {
  await using server = await startServer({ args: ["--read-only"] });
  await Deno.writeTextFile(`${server.dir}/a.txt`, "hello\n");
  const put = await runClient(server, [fixture("1MiB.txt")]);
  assertEquals(put.code, 3);
  assertStringIncludes(put.stderr, 'Cannot store "1MiB.txt": this server is read-only');
  assertEquals((await runClient(server, [fixture("hello.txt")])).code, 3);
  assertEquals((await runClient(server, [], { stdin: "a message" })).code, 3);
  const got = await runClient(server, ["--get", "a.txt", "--output", "-"]);
  assertEquals(got.code, 0);
  assertEquals(got.stdout, "hello\n");
  assertStringIncludes((await runClient(server, ["--list"])).stdout, "a.txt");
  assertEquals(names(server.dir), ["a.txt"]);
  await server.running.stop();
  assertEquals(await server.stdout, "");
});

integration("--read-only takes nothing from upload clients", async () => {
  await using server = await startServer({ args: ["--read-only"] });
  await runPeer("upload_client.py", ["127.0.0.1", String(server.port), fixture("hello.txt")]);
  await server.running.stop();
  assertStringIncludes(server.running.log, 'Cannot store "hello.txt": this server is read-only');
  assertEquals(names(server.dir), []);
});

integration("--drop-only takes files, and tells nothing", async () => {
  await using server = await startServer({ args: ["--drop-only"] });
  await Deno.writeTextFile(`${server.dir}/hello.txt`, "of somebody else\n");
  const put = await runClient(server, [fixture("hello.txt"), fixture("1MiB.txt")]);
  assertEquals(put.code, 0);
  assertStringIncludes(put.stderr, 'hello.txt: stored as "hello.txt"');
  assertEquals(names(server.dir), ["1MiB.txt", "hello (2).txt", "hello.txt"]);
  for (const asked of [["--list"], ["--status"], ["--get", "hello.txt", "--output", "-"]]) {
    const { code, stdout, stderr } = await runClient(server, asked);
    assertEquals(code, 3);
    assertEquals(stdout, "");
    assertStringIncludes(stderr, "this server only accepts uploads");
  }
});

integration("--drop-only acknowledges a name that was too long to be said again", async () => {
  await using server = await startServer({ args: ["--drop-only"] });
  using conn = await dial(server);
  const name = "x".repeat(4085);
  await sendTo(conn, `hello 1 ben\npush 0 ${name}\nend 00000000\nput 0 ${name}\n`);
  await sendTo(conn, "end 00000000\nexit\n");
  const stored = `ok 0 00000000 ${"x".repeat(250)}\n`;
  assertEquals(await readAll(conn), `welcome client 1 of 100\n${stored}go 0\n${stored}ok bye\n`);
});

integration("denied leaves the conversation in step", async () => {
  await using server = await startServer({ args: ["--read-only"] });
  using conn = await dial(server);
  await sendTo(conn, "hello 1 ben\npush 6 a.txt\nhello\nend 363a3020\nput 6 a.txt\nHello\nexit\n");
  assertEquals(
    await readAll(conn),
    "welcome client 1 of 100\n" +
      'error denied Cannot store "a.txt": this server is read-only\n'.repeat(2) +
      "Hello ACK\nok bye\n",
  );
});

integration("--read-only and --drop-only exclude each other", async () => {
  const args = ["run", "-A", "server.ts", "0", "--read-only"];
  const both = await run(Deno.execPath(), [...args, "--drop-only"]);
  assertEquals(both.code, 2);
  assertStringIncludes(both.stderr, "Cannot use --read-only together with --drop-only; try --help");
  const upload = await run(Deno.execPath(), [...args, "--mode", "upload"]);
  assertEquals(upload.code, 2);
  assertStringIncludes(upload.stderr, "Cannot be read-only in mode upload");
});
