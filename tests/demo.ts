/**
 * What `deno task demo` runs: a real server, a real client, one file, and everything tidied up.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import { crc32 } from "node:zlib";
import { formatCrc } from "../protocol.ts";

const FILE = "fixtures/1MiB.txt";

async function main(): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "inlet-demo-" });
  try {
    await demonstrate(`${directory}/received`);
  } finally {
    await Deno.remove(directory, { recursive: true });
    console.log(`Stopped the server and removed ${directory}`);
  }
}

async function demonstrate(received: string): Promise<void> {
  const server = deno(["server.ts", "0", "--dir", received], "piped");
  try {
    const lines = server.stderr
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    const port = await shownUntilListening(lines);
    const started = performance.now();
    const client = deno(["client.ts", "127.0.0.1", port, FILE], "inherit");
    if (!(await client.status).success) throw new Error("the client did not succeed");
    const elapsedMs = Math.round(performance.now() - started);
    const path = `${received}/1MiB.txt`;
    const stored = await Deno.readFile(path);
    const sent = await Deno.readFile(FILE);
    const same = sent.length === stored.length && sent.every((byte, at) => byte === stored[at]);
    console.log(
      `\nThere it is: ${path}, ${stored.length} bytes, CRC-32 ${formatCrc(crc32(stored))}, ` +
        `${same ? "the same, byte for byte" : "NOT THE SAME"}, ` +
        `${elapsedMs} ms from the client's start to its end`,
    );
    if (!same) Deno.exitCode = 1;
  } finally {
    server.kill("SIGTERM");
    await server.status;
  }
}

/** Runs a script of this project with the permissions that its task gives it, and says so. */
function deno(args: string[], stderr: "piped" | "inherit"): Deno.ChildProcess {
  console.log(`$ deno run --allow-net --allow-read --allow-write ${args.join(" ")}`);
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net", "--allow-read", "--allow-write", ...args],
    stdin: "null",
    stderr,
  });
  return command.spawn();
}

/** Shows what the server says, for as long as it runs, and gives the port once it names it. */
async function shownUntilListening(lines: ReadableStream<string>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const showing = (async (): Promise<void> => {
    for await (const line of lines) {
      console.log(line);
      const port = /listening on \S+:(\d+)/.exec(line)?.[1];
      if (port) resolve(port);
    }
  })();
  showing.then(() => reject(new Error("the server ended before it listened")), reject);
  return await promise;
}

if (import.meta.main) await main();
