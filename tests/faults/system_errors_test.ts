/**
 * Every error that a disk or its file server can report, at every call that storing takes.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { crc32 } from "node:zlib";
import { DISK_ERRORS } from "../../lib/system_errors.ts";
import type { Disk } from "../../lib/store/disk.ts";
import { encodeBodyLine, encodeLine } from "../../protocol.ts";
import { bytes, integration, names, run, runClient, startServer, tempDir } from "../helpers.ts";
import { serveHere } from "../in_process.ts";
import { askToResume } from "../resuming.ts";
import { Wire } from "../wire.ts";
import { FaultyDisk } from "./disk.ts";
import { lookAt } from "./disk_faults.ts";

/** The classes that Deno gives some of them. */
const CLASSES: Readonly<Record<string, new (message: string) => Error>> = {
  EACCES: Deno.errors.PermissionDenied,
  EAGAIN: Deno.errors.WouldBlock,
  EEXIST: Deno.errors.AlreadyExists,
  EINTR: Deno.errors.Interrupted,
  EISDIR: Deno.errors.IsADirectory,
  ELOOP: Deno.errors.FilesystemLoop,
  ENOENT: Deno.errors.NotFound,
  ENOTDIR: Deno.errors.NotADirectory,
  EPERM: Deno.errors.PermissionDenied,
  ETIMEDOUT: Deno.errors.TimedOut,
};

/** A disk on which one call fails once, and the calls that it has seen. */
class FailingOnce {
  readonly seen = new Map<string, number>();
  #fault: { call: string; nth: number; code: string } | undefined;

  /** Forgets the calls so far, and fails as told from now on. */
  fail(fault?: { call: string; nth: number; code: string }): void {
    this.seen.clear();
    this.#fault = fault;
  }

  /** All that the store may call, whatever that will be. */
  readonly disk: Disk = this.#watched(
    Object.fromEntries(
      Object.keys(new FaultyDisk().disk).map((key) => [key, Reflect.get(Deno, key)]),
    ) as unknown as Disk,
  );

  #watched<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, key) => {
        const value = Reflect.get(target, key);
        // Closing releases what it has, whatever it reports.
        if (typeof value !== "function" || typeof key === "symbol" || key === "close") {
          return typeof value === "function" ? value.bind(target) : value;
        }
        return (...args: unknown[]) => {
          this.#call(key);
          const result = value.apply(target, args);
          if (result instanceof Deno.FsFile) return this.#watched(result);
          return key === "open" ? result.then((file: Deno.FsFile) => this.#watched(file)) : result;
        };
      },
    });
  }

  #call(call: string): void {
    const nth = (this.seen.get(call) ?? 0) + 1;
    this.seen.set(call, nth);
    const fault = this.#fault;
    if (fault?.call !== call || fault.nth !== nth) return;
    const message = `the system's own words about ${call}`;
    throw Object.assign(new (CLASSES[fault.code] ?? Error)(message), { code: fault.code });
  }
}

const CONTENT = bytes(100);
const BODY = concat([
  CONTENT,
  encodeBodyLine({ type: "end", crc: crc32(CONTENT), modified: new Date(0) }),
]);

/** The requests that change the disk, each up to its last answer. */
const REQUESTS: Readonly<Record<string, (wire: Wire, name: string) => Promise<string>>> = {
  push: (wire, name) => ask(wire, concat([encodeLine(`push ${CONTENT.length} ${name}`), BODY])),
  async put(wire, name) {
    const go = await ask(wire, encodeLine(`put ${CONTENT.length} ${name}`));
    return go.startsWith("go ") ? await ask(wire, BODY) : go;
  },
  async reput(wire, name) {
    const offer = await askToResume(wire, CONTENT, { size: CONTENT.length, name });
    return typeof offer === "string" ? offer : await ask(wire, BODY.subarray(offer.offset));
  },
  mkdir: (wire, name) => ask(wire, encodeLine(`mkdir ${name}`)),
};

/** Says it in one write, so that no part waits for the acknowledgement of another. */
async function ask(wire: Wire, content: Uint8Array): Promise<string> {
  await wire.says(content);
  return await wire.line();
}

for (const request of Object.keys(REQUESTS)) {
  for (const fsync of [false, true]) {
    const how = fsync ? `${request} with --fsync` : request;
    integration(`a ${how} tells every error of the disk by a stable code`, async () => {
      await using local = await tempDir();
      const dir = `${local.path}/received`;
      const failing = new FailingOnce();
      await using server = await serveHere({ dir, disk: failing.disk, fsync });
      using wire = await Wire.greet(server);
      let number = 0;
      const attempt = async (): Promise<string> => {
        const answer = await REQUESTS[request]!(wire, `folder-${++number}/file`);
        await wire.says("chat Hello\n");
        assertEquals(await wire.line(), "Hello ACK", answer);
        return answer;
      };
      failing.fail();
      assertMatch(await attempt(), /^ok /);
      const calls = [...failing.seen];
      assert(calls.length > 0);
      for (const [call, times] of calls) {
        for (let nth = 1; nth <= times; nth++) {
          for (const code of DISK_ERRORS.keys()) {
            const about = `${call} ${nth}: ${code}`;
            failing.fail({ call, nth, code });
            const answer = await attempt();
            assertMatch(answer, /^(ok|error [a-z-]+) /, about);
            assertNotMatch(answer, /^error internal|the system's own words/, about);
          }
        }
      }
      failing.fail();
      assertMatch(await attempt(), /^ok /);
      // An error with a stack in the log would be one of these.
      assertEquals(server.failures.filter(({ code }) => code === "internal"), []);
      const { temporary } = await lookAt(dir);
      const removals = DISK_ERRORS.size * (calls.find(([call]) => call === "removeSync")?.[1] ?? 0);
      // What could not be removed is left to the next start. A reput keeps what it has, to resume.
      assert(
        request === "reput" || temporary.length <= removals,
        `${temporary.length} files are left over`,
      );
    });
  }
}

/** More bytes than fit under the limit, and the caches of Deno do not reach it. */
const LIMIT = "ulimit -f 65536";
const LARGE_BYTES = 80 * 2 ** 20;

integration("a file beyond ulimit -f is refused, and the server goes on", async () => {
  await using local = await tempDir();
  const large = await local.write("large.bin", "");
  await Deno.truncate(large, LARGE_BYTES);
  const under = ["sh", "-c", `${LIMIT}; exec "$@"`, "sh"];
  await using server = await startServer({ under });
  const refused = await runClient(server, [large]);
  assertEquals(refused.code, 3);
  assertMatch(refused.stderr, /: the disk or a limit of the system does not permit a file of that/);
  const small = await local.write("small.bin", CONTENT);
  assertEquals((await runClient(server, [small])).code, 0);
  assertNotMatch(server.running.log, /internal error|\bat .*\.ts:/);
});

integration("--get of a file beyond ulimit -f keeps nothing, and says why", async () => {
  await using local = await tempDir();
  await using server = await startServer();
  await Deno.writeFile(`${server.dir}/large.bin`, new Uint8Array(0));
  await Deno.truncate(`${server.dir}/large.bin`, LARGE_BYTES);
  const get = ["client.ts", "127.0.0.1", String(server.port), "--get", "large.bin"];
  const program = [Deno.execPath(), "run", "-A", ...get, "--output", `${local.path}/here.bin`];
  const { code, stderr } = await run("sh", ["-c", `${LIMIT}; exec "$@"`, "sh", ...program]);
  assertMatch(stderr, /: the disk or a limit of the system does not permit a file of that/);
  assert(code < 128, `it ended with ${code}`);
  assertEquals(names(local.path), []);
});
