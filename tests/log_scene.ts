/**
 * A program that runs servers of every mode, and has clients do everything that the log has an event
 * for. Its stderr is the log of them all.
 *
 * @module
 */

import { RateLimit, send } from "../client.ts";
import { Log } from "../lib/server/log.ts";
import { runningFor } from "../lib/server/stored_program.ts";
import { serve, type ServeOptions } from "../server.ts";
import { bytes, tempDir } from "./helpers.ts";
import { meet } from "./meeting_ends.ts";
import { makeUsers } from "./user_files.ts";
import { Wire } from "./wire.ts";

const HELLO = "hello\nend 363a3020\n";

await using local = await tempDir();
const directory = `${local.path}/in`;
const common: ServeOptions = { directory, log: { format: "json" } };

await files();
await disks();
await talk();
await raw();
await messages();
await reversed();
await keys();
await proxied();
await hooks();
await meetings();

/** Two clients that meet. */
async function meetings(): Promise<void> {
  await using server = await serve(common);
  using pair = await meet(server.address);
  await pair.acceptor.says("hello");
  await pair.offerer.text(5);
  pair.acceptor[Symbol.dispose]();
  await pair.offerer.rest();
}

/** The native conversation, uploads on its port, and a fallback. */
async function files(): Promise<void> {
  let onLeft = (): void => {};
  await using server = await serve({
    ...{ ...common, maxBytes: 3_000_000, maxClients: 2, fallback: "reverse" },
    onStored: () => Promise.reject(new Error("it has no room")),
    onClient: ({ type }) => type === "left" && onLeft(),
  });
  /** Has a client come, and waits until the server knows that it has gone: it has its place no more. */
  const visited = async (visit: () => Promise<unknown>): Promise<void> => {
    const { promise: left, resolve } = Promise.withResolvers<void>();
    onLeft = resolve;
    await visit();
    await left;
  };
  const { address } = server;
  using ben = await greet(address, "ben");
  await answers(ben, "put 6 a.txt\n", /^go 0/);
  await answers(ben, HELLO, /^ok 6/);
  await answers(ben, `push 6 b.txt\n${HELLO}`, /^ok 6/);
  await answers(ben, `push 6 inlet~1\n${HELLO}`, /^error bad-name/);
  await answers(ben, "put 4000000 large\n", /^error too-large/);
  await answers(ben, "get nothing\n", /^error not-found/);
  await answers(ben, "get a.txt\n", /^end/);
  await answers(ben, "mkdir photos\n", /^ok/);
  await answers(ben, "symlink;to=a.txt latest\n", /^ok latest/);
  for (const list of ["list", "tree photos", "status"]) await answers(ben, `${list}\n`, /^end/);
  await answers(ben, "Hello\n", /ACK$/);
  await answers(ben, "say 6\n", /^go 0/);
  await answers(ben, HELLO, /^ok 6/);
  await Deno.writeFile(`${directory}/big`, bytes(2_000_000));
  await answers(ben, "get big\nstop\n", /abort stopped$/);
  await resume(address, visited);
  const cut = "hello 1 eve\nput 6 cut.txt\n";
  await visited(() => gone(address, (wire) => answers(wire, cut, /^go 0/)));
  await gone(address, async (wire) => {
    await wire.says("hello 2 eve\n");
    await wire.rest();
  });
  await gone(address, async (wire) => {
    await wire.says(Uint8Array.of(0xff, 0x0a));
    await wire.closeWrite();
    await wire.rest();
  });
  await gone(address, async (wire) => {
    await wire.says(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1));
    await wire.says("some/where.txt");
    await wire.bytes(8);
    await wire.says("x");
    await wire.rest();
  });
  using second = await greet(address, "second");
  await answers(second, "attend\n", /^ok/);
  await answers(second, "tell 1 Hello\n", /^ok/);
  await answers(ben, "", /^note second: Hello$/);
  await gone(address, async (wire) => {
    await wire.says("hello 1 third\n");
    await wire.rest();
  });
  await Deno.remove(directory, { recursive: true });
  await answers(ben, `push 6 again.txt\n${HELLO}`, /^ok 6/);
  await ben.says("Hello\n".repeat(200));
  for (let count = 0; count < 200; count++) await ben.line();
  await answers(second, "put 6 late.txt\n", /^go 0/);
  await server.shutdown(1);
}

/** An upload that breaks off, and goes on. */
async function resume(
  address: Deno.NetAddr,
  visited: (visit: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const file = await local.write("resumed", bytes(2_500_000));
  const stop = new AbortController();
  let pieces = 0;
  const sleep = (): Promise<void> => Promise.resolve(++pieces === 20 ? stop.abort() : undefined);
  const rate = new RateLimit(1_000_000, { now: () => 0, sleep });
  const options = { name: "carol", resume: true };
  const broken = { ...options, rate, signal: stop.signal };
  await visited(() => send(address, [file], broken).catch(() => {}));
  await visited(() => send(address, [file], options));
}

/** Programs for files that were stored. */
async function hooks(): Promise<void> {
  const log = new Log({ format: "json" });
  const client = { number: 1, name: "", address: "127.0.0.1:1", user: undefined, wire: "raw" };
  const file = { name: "1.file", size: 1, crc: 1, client };
  for (const script of ["echo out; exit 3", "kill $$"]) {
    const onStored = runningFor(["sh", "-c", script], { log, timeoutMs: 60_000 });
    await onStored(file, new AbortController().signal);
    await onStored(file, AbortSignal.abort());
  }
}

/** A disk that is full, and a defect. */
async function disks(): Promise<void> {
  let fault: Error | undefined;
  const failing = <Args extends unknown[], Result>(call: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      if (fault) throw fault;
      return call(...args);
    };
  };
  const disk = {
    ...Deno,
    open: failing(Deno.open),
    openSync: failing(Deno.openSync),
    writeFileSync: failing(Deno.writeFileSync),
  };
  await using server = await serve({ ...common, disk });
  using dora = await greet(server.address, "dora");
  fault = Object.assign(new Error("full"), { code: "ENOSPC" });
  await answers(dora, `push 6 full.txt\n${HELLO}`, /^error no-space/);
  fault = new Error("a defect\nof two lines");
  await answers(dora, `push 6 defect.txt\n${HELLO}`, /^error internal/);
  fault = undefined;
}

async function talk(): Promise<void> {
  await Deno.writeTextFile(`${directory}/a.txt`, "hello\n");
  await using server = await serve({ ...common, mode: "talk" });
  using roger = await Wire.dial(server.address);
  await answers(roger, "Roger\n", /^Connected/);
  await answers(roger, "Hello\n", /ACK$/);
  await answers(roger, "list\n", /again.txt/);
  await answers(roger, "status\n", /^Client 1: Roger/);
  await answers(roger, "get a.txt\n", /^EOF/);
  await answers(roger, "get nothing\n", /^error not-found/);
}

async function raw(): Promise<void> {
  await using server = await serve({ ...common, mode: "raw", dialogue: ["expect-any"] });
  await gone(server.address, async (wire) => {
    await wire.says("anything");
    await wire.closeWrite();
    await wire.rest();
  });
}

async function messages(): Promise<void> {
  await using server = await serve({ ...common, mode: "message" });
  await gone(server.address, async (wire) => {
    await wire.says("hello\n");
    await wire.closeWrite();
    await wire.rest();
  });
}

/** A client of the native conversation, at a server of another mode. */
async function reversed(): Promise<void> {
  await using server = await serve({ ...common, mode: "reverse" });
  await gone(server.address, async (wire) => {
    await wire.says("hello 1 frank\n");
    await wire.closeWrite();
    await wire.rest();
  });
}

/** A key that can be guessed, and users whose file is read again, and then gone. */
async function keys(): Promise<void> {
  await using _ = await serve({ ...common, key: "correct horse battery staple" });
  await using users = await makeUsers({ ben: "all" });
  await using server = await serve({ ...common, users: users.file });
  server.rereadUsers();
  await Deno.remove(users.file);
  server.rereadUsers();
}

async function greet(address: Deno.NetAddr, name: string): Promise<Wire> {
  const wire = await Wire.dial(address);
  await answers(wire, `hello 1 ${name}\n`, /^welcome/);
  return wire;
}

/** Sends, and reads to the line that ends the answer. */
async function answers(wire: Wire, text: string, end: RegExp): Promise<void> {
  await wire.says(text);
  for (let line; !end.test(line = await wire.line());) {
    if (line === "") throw new Error(`no ${end}`);
  }
}

/** A client that comes and goes. */
async function gone(address: Deno.NetAddr, act: (wire: Wire) => Promise<void>): Promise<void> {
  using wire = await Wire.dial(address);
  await act(wire);
}

/** A request that comes by a reverse proxy. */
async function proxied(): Promise<void> {
  await using server = await serve({ ...common, proxyFrom: ["127.0.0.1"] });
  using wire = await Wire.dial(server.address);
  await wire.says("GET / HTTP/1.0\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");
  await wire.rest();
}
