import { assertEquals, assertThrows } from "@std/assert";
import { send } from "../client.ts";
import { getFolder } from "../client/get_folder.ts";
import { Dialer } from "../client/dialer.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import { decodeBodyLine, decodeRequest, parseListEntry, ProtocolError } from "../protocol.ts";
import {
  bytes,
  integration,
  ownFiles,
  ownUmask,
  pure,
  run,
  scriptPath,
  startServer,
  tempDir,
} from "./helpers.ts";
import { type InProcessServer, serveHere } from "./in_process.ts";

/** The permission bits of what is at a path, and any bit beyond them. */
function modeAt(path: string): string {
  return (Deno.lstatSync(path).mode! & 0o7777).toString(8);
}

function addressOf({ port }: Pick<InProcessServer, "port">): { hostname: string; port: number } {
  return { hostname: "127.0.0.1", port };
}

/** The start of a command with another umask: that of this process belongs to all tests. */
const UNDER_027 = ["sh", "-c", 'umask 027 && exec "$@"', "sh"];

/** Makes a tree of every kind of permission bits. Once it goes out of scope it can be removed. */
function makeModes(directory: string): Disposable {
  const modes: [string, number, number?][] = [
    ["top", 0o710],
    ["top/in", 0o2755],
    ["top/in/secret.txt", 0o600, 10],
    ["top/in/public.txt", 0o666, 10],
    ["top/in/run", 0o4755, 10],
    ["top/large", 0o740, 3_000_000],
    ["top/read only", 0o555],
    ["top/read only/a.txt", 0o444, 10],
    ["top/empty", 0o1700],
  ];
  for (const [name, , size] of modes) {
    if (size === undefined) Deno.mkdirSync(`${directory}/${name}`);
    else Deno.writeFileSync(`${directory}/${name}`, bytes(size));
  }
  for (const [name, mode] of modes.reverse()) Deno.chmodSync(`${directory}/${name}`, mode);
  return { [Symbol.dispose]: () => Deno.chmodSync(`${directory}/top/read only`, 0o755) };
}

function modesIn(directory: string): Record<string, string> {
  const names = [
    ...["", "/in", "/in/secret.txt", "/in/public.txt", "/in/run", "/large"],
    ...["/read only", "/read only/a.txt", "/empty"],
  ];
  return Object.fromEntries(names.map((name) => [name, modeAt(`${directory}/top${name}`)]));
}

/** What arrives of them under a umask. */
function arrived(umask = ownUmask()): Record<string, string> {
  const sent = {
    ...{ "": 0o710, "/in": 0o755, "/in/secret.txt": 0o600, "/in/public.txt": 0o666 },
    ...{ "/in/run": 0o755, "/large": 0o740, "/read only": 0o555, "/read only/a.txt": 0o444 },
    ...{ "/empty": 0o700 },
  };
  return Object.fromEntries(
    Object.entries(sent).map(([name, mode]) => [name, (mode & ~umask).toString(8)]),
  );
}

for (const fsync of [false, true]) {
  const how = fsync ? ", and are flushed to disk" : "";
  integration(`files and folders arrive with their permission bits${how}`, async () => {
    await using local = await tempDir();
    await using inbox = await tempDir();
    using _tree = makeModes(local.path);
    await using server = await serveHere({ dir: inbox.path, fsync });
    const results = await send(addressOf(server), [`${local.path}/top`], { resume: fsync });
    assertEquals(results.filter(({ error }) => error), []);
    // A folder that only holds others is no item of its own.
    assertEquals(results.length, 6);
    assertEquals(modesIn(inbox.path), arrived());
  });
}

integration("a folder that is got has the permission bits that it has on the server", async () => {
  await using local = await tempDir();
  await using inbox = await tempDir();
  using _tree = makeModes(inbox.path);
  await using server = await serveHere({ dir: inbox.path });
  const dialer = new Dialer(addressOf(server), {});
  const failed: string[] = [];
  await dialer.withSession((client) =>
    getFolder(client, "top", {
      directory: local.path,
      skipSame: false,
      progress: dialer.context.progress,
      done: new Set(),
      onResult: (label, result) => "error" in result && failed.push(label),
    })
  );
  assertEquals(failed, []);
  assertEquals(modesIn(local.path), arrived());
});

integration("the umask of the receiver applies to files and folders, both ways", async () => {
  await using local = await tempDir();
  await using inbox = await tempDir();
  using _tree = makeModes(local.path);
  await using server = await startServer({ dir: inbox.path, under: UNDER_027 });
  await send(addressOf(server), [`${local.path}/top`]);
  assertEquals(modesIn(inbox.path), arrived(0o027));
  Deno.chmodSync(`${inbox.path}/top/large`, 0o777);
  const names = ["top/in/run", "top/large"];
  const client = [Deno.execPath(), "run", "-A", scriptPath("client.ts"), "127.0.0.1"];
  const command = [...UNDER_027, ...client, String(server.port), "--get", ...names, "--resume"];
  const { code, stderr } = await run(command[0]!, command.slice(1), { cwd: local.path });
  assertEquals(code, 0, stderr);
  assertEquals([modeAt(`${local.path}/run`), modeAt(`${local.path}/large`)], ["750", "750"]);
});

integration("a folder that is there keeps its permission bits", async () => {
  await using local = await tempDir();
  await using inbox = await tempDir();
  using _tree = makeModes(local.path);
  Deno.mkdirSync(`${inbox.path}/top`, { mode: 0o700 });
  await using server = await serveHere({ dir: inbox.path });
  await send(addressOf(server), [`${local.path}/top`]);
  assertEquals(modeAt(`${inbox.path}/top`), "700");
  assertEquals(modeAt(`${inbox.path}/top/large`), "740");
});

integration("a drop-only server stores nothing that can be executed", async () => {
  await using local = await tempDir();
  await using inbox = await tempDir();
  using _tree = makeModes(local.path);
  await using server = await serveHere({ dir: inbox.path, access: "drop-only" });
  await send(addressOf(server), [`${local.path}/top`]);
  const { "/in/run": run, "/large": large, "/in": folder } = modesIn(inbox.path);
  const modes = [0o644, 0o640, 0o755].map((mode) => (mode & ~ownUmask()).toString(8));
  assertEquals([run, large, folder], modes);
});

integration("an upload in flight, and its partial file, are the owner's alone", async () => {
  await using directory = await tempDir();
  const store = await DirectoryStore.open(directory.path);
  const how = { fingerprint: "a" };
  const modesInFlight = (): string[] => ownFiles(directory.path).map(modeAt);
  const upload = await store.receiveResumable("a.txt", null, how);
  await upload.write(bytes(10));
  assertEquals(modesInFlight(), ["600"]);
  upload.close();
  assertEquals(modesInFlight(), ["600"]);
  for await (const partial of store.findPartials("a.txt", how)) {
    await using again = await partial.take(how);
    await again!.publish({ mode: 0o440 });
  }
  assertEquals(modeAt(`${directory.path}/a.txt`), "440");
  // What a wire of another program stores has no mode.
  await using other = store.receive("b.txt");
  await other.publish();
  assertEquals(modeAt(`${directory.path}/b.txt`), (0o666 & ~ownUmask()).toString(8));
});

for (const mode of ["", "1777", "4755", "888", "0x1", "-1"]) {
  pure(`the mode ${JSON.stringify(mode)} violates the grammar`, () => {
    assertThrows(() => decodeRequest(`mkdir;mode=${mode} photos`), ProtocolError);
    assertThrows(() => decodeBodyLine(`end;mode=${mode} 00000000`), ProtocolError);
    assertThrows(
      () => parseListEntry(`-;mode=${mode} 2026-11-21T08:38:00Z photos`),
      ProtocolError,
    );
  });
}
