/**
 * tus 1.0.0 as the protocol has it: every MUST, at a server of ours and at npm's reference server.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  fileGrows,
  integration,
  names,
  OWN,
  ROOT,
  Running,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { HttpWire } from "./http_wire.ts";
import { CASES, MAX_SIZE, resultsOf, type Tried } from "./tus_cases.ts";

/** A server of ours, which all cases share. */
let ours: Promise<Tried & TestServer> | undefined;

Deno.test.afterAll(async () => await (await ours)?.[Symbol.asyncDispose]());

async function startOurs(): Promise<Tried & TestServer> {
  const server = await startServer({ args: ["--max-size", String(MAX_SIZE)] });
  const content: Tried["content"] = ({ headers }) =>
    Deno.readTextFileSync(`${server.dir}/${decodeURIComponent(headers["inlet-name"]!)}`);
  return Object.assign(server, { content });
}

for (const one of CASES) {
  integration(`tus ${one.of}: ${one.says}`, async () => {
    await one.try(await (ours ??= startOurs()));
  });
}

integration(
  "an upload by tus begins after another program removed the folder for uploads",
  async () => {
    await using server = await startServer();
    using wire = await HttpWire.dial(server);
    const create = "POST /uploads/ HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n" +
      "Upload-Length: 5\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 5\r\n\r\nhello";
    for (const what of [`${server.dir}/${OWN}`, server.dir]) {
      Deno.removeSync(what, { recursive: true });
      assertEquals((await wire.asks(create)).status, 201);
      assertEquals(names(server.dir).filter((name) => !name.startsWith(OWN)).length, 1);
      Deno.removeSync(`${server.dir}/upload`);
    }
  },
);

integration("docs/tus.md tells what npm's reference server does, and what ours does", async () => {
  await using temp = await tempDir();
  await using running = new Running(
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "tests/tus_reference.ts", `${temp.path}/uploads`, String(MAX_SIZE)],
      cwd: ROOT,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn(),
  );
  const [, port] = await running.says(/listening on \S+:(\d+)/);
  const fileOf = (path: string): string => `${temp.path}/${path.slice(1)}`;
  const reference = await resultsOf({
    port: Number(port),
    content: (_, path) => Deno.readTextFileSync(fileOf(path)),
    // It forgets what it is just about to write.
    arrival: (path, size) => fileGrows(fileOf(path), size),
  });
  const rows = CASES.map(({ of, says }, index) => `${of} | ${says} | yes | ${reference[index]}`);
  const text = await Deno.readTextFile(new URL("docs/tus.md", ROOT));
  const table = [...text.matchAll(/^\| (.* \| (?:yes|no) +\| .*) \|$/gm)]
    .map(([, row]) => row!.replace(/ +\| +/g, " | ").trim());
  assertEquals(table, rows);
});
