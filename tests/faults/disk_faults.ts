/**
 * Every operation of the disk that storing a file takes, failing once and for good.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import { send } from "../../client.ts";
import { exitCode, type InletError } from "../../lib/errors.ts";
import { pathSource } from "../../lib/body/path_source.ts";
import { resultsOf, ROOT, Running } from "../helpers.ts";
import { contentOf, type Dice, storedIn } from "./content.ts";
import { type DiskFault, OPERATIONS } from "./disk.ts";
import { givesBack, holdingsOf, type ServerOnTrial, withClient } from "./trial.ts";

/** Codes of a system whose disk does not work. */
const CODES = ["ENOSPC", "EIO", "EACCES", "EROFS", "EDQUOT"] as const;

/** Ways to store a file: how the server is set up for it, and how the file gets there. */
export const WAYS_IN: Readonly<Record<string, WayIn>> = {
  put: { mode: "files", size: 100_000, store: (server, path, name) => put(server, path, name) },
  push: { mode: "files", size: 1000, store: (server, path, name) => put(server, path, name) },
  upload: {
    mode: "upload",
    size: 100_000,
    store: (server, path) => sendOne(server, path, "upload"),
  },
  raw: { mode: "raw", size: 100_000, store: (server, path) => sendOne(server, path, "raw") },
};

interface WayIn {
  mode: string;
  /** Of a file, in bytes. */
  size: number;
  /** @returns Why it was not stored. */
  store(server: ServerOnTrial, path: string, name: string): Promise<InletError | undefined>;
}

/** A server on a disk that fails when it is told to. */
interface FaultyServer extends ServerOnTrial, AsyncDisposable {
  /**
   * Has a fault from now on, or none.
   *
   * @returns How often what had to fail until now was called.
   */
  has(fault: DiskFault | null): Promise<number>;
}

/** Starts tests/faults/faulty_server.ts. */
async function startFaultyServer(
  dir: string,
  mode: string,
  fsync: boolean,
): Promise<FaultyServer> {
  const script = new URL("tests/faults/faulty_server.ts", ROOT).href;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, dir, mode, fsync ? "fsync" : "cached"],
    cwd: ROOT,
    stdin: "piped",
    stderr: "piped",
  }).spawn();
  const running = new Running(process);
  const [, port] = await running.says(/listening on \S+:(\d+)/);
  const control = process.stdin.getWriter();
  let told = 0;
  return {
    port: Number(port),
    dir,
    pid: process.pid,
    running,
    async has(fault): Promise<number> {
      await control.write(new TextEncoder().encode(`${JSON.stringify(fault)}\n`));
      const [, calls] = await running.says(/^calls: (\d+)/, ++told);
      return Number(calls);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await control.close();
      await process.status;
      await running[Symbol.asyncDispose]();
    },
  };
}

/**
 * Stores files on a disk that fails, until every operation has failed once and for good. Whoever is
 * told that a file is stored can rely on it, everybody else is told why not, and the server goes on
 * when the disk works again.
 *
 * @param local A directory for the files to send.
 * @returns How many faults there were, and what has to be in the directory of the server.
 */
export async function failEverywhere(
  way: string,
  { dir, local, fsync, dice }: { dir: string; local: string; fsync: boolean; dice: Dice },
): Promise<{ faults: number; acknowledged: Set<string> }> {
  const { mode, size, store } = WAYS_IN[way]!;
  await using server = await startFaultyServer(dir, mode, fsync);
  const acknowledged = new Set<string>();
  const sent = new Set<string>();
  const seed = dice.below(2 ** 31);
  const attempt = async (): Promise<InletError | undefined> => {
    const number = sent.size;
    const content = contentOf(seed, number, size);
    const path = `${local}/${way}-${number}`;
    await Deno.writeFile(path, content);
    sent.add(fingerprint(content));
    const failure = await store(server, path, `folder-${number}/file`);
    await Deno.remove(path);
    if (!failure) acknowledged.add(fingerprint(content));
    return failure;
  };
  assertEquals(await attempt(), undefined);
  const before = holdingsOf(server);
  let faults = 0;
  for (const operation of OPERATIONS) {
    for (const forGood of [false, true]) {
      for (let nth = 1;; nth++) {
        const fault = { operation, nth, forGood, code: dice.of(CODES) };
        await server.has(fault);
        const failure = await attempt();
        const about = `${way}: ${JSON.stringify(fault)}: ${failure?.message}`;
        const reached = await server.has(null) >= nth;
        assert(reached || !failure, about);
        if (failure) assertEquals(exitCode(failure), 3, about);
        // A file in flight that cannot be compared and removed is left to a later sweep.
        const found = await lookAt(dir);
        const mayStay = operation === "remove" || operation === "stat";
        assert(mayStay || found.temporary.length === 0, about);
        for (const path of found.temporary) await Deno.remove(path, { recursive: true });
        assert(found.stored.isSubsetOf(sent), `${about}: partial`);
        assert(acknowledged.isSubsetOf(found.stored), `${about}: lost`);
        if (!reached) break;
        faults++;
        assertEquals(await attempt(), undefined, `${about}: it does not go on`);
      }
    }
  }
  await givesBack(server, before);
  return { faults, acknowledged };
}

/** What is in a directory of received files: whole files by their content, and what is in flight. */
export async function lookAt(
  directory: string,
): Promise<{ stored: Set<string>; temporary: string[] }> {
  const stored = new Set<string>();
  const temporary: string[] = [];
  for await (const { path, isInFlight } of storedIn(directory)) {
    if (isInFlight) temporary.push(path);
    else stored.add(fingerprint(await Deno.readFile(path)));
  }
  return { stored, temporary };
}

function fingerprint(content: Uint8Array): string {
  return `${content.length} bytes, CRC-32 ${crc32(content)}`;
}

async function put(
  server: ServerOnTrial,
  path: string,
  name: string,
): Promise<InletError | undefined> {
  let failure: InletError | undefined;
  await withClient(server, async (client) => {
    const source = await pathSource(path, name);
    await client.send([source], (_, result) => {
      if ("error" in result) failure = result.error;
    });
    // It goes on, unless the no came before the client had sent the whole body.
    if (!failure || !client.ended) assertEquals(await client.chat("Hello"), "Hello ACK");
  });
  return failure;
}

async function sendOne(
  server: ServerOnTrial,
  path: string,
  mode: string,
): Promise<InletError | undefined> {
  const address = { hostname: "127.0.0.1", port: server.port };
  const [result] = await resultsOf(send(address, [path], { mode }));
  return result!.error;
}
