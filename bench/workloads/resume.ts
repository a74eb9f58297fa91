/**
 * One big file whose connection broke at half: the time of the rest, beside that of all of it.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { compare } from "../compare.ts";
import { clientCommand, inletReceiver, inletSender, transfer } from "../peers.ts";
import { start } from "../processes.ts";
import type { Section } from "../report.ts";
import type { Bench } from "./workload.ts";

const WHOLE = "all of it";
const REST = "the rest, resumed";

/** What the break passes on at once, in bytes. */
const CHUNK_BYTES = 64 * 1024;

/** Exit code of a client whose connection was lost. */
const LOST = 4;

/** Time of a resumed put, as a person waits for it: the whole client process. */
export async function resume({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  return await compare({
    name: "resume",
    title: `resume: one file of ${formatBytes(size)}, broken off at half`,
    runs,
    entrants: [{
      name: WHOLE,
      needs: [],
      enter: async (stack) => transfer(await inletReceiver(workspace, stack), inletSender(), file),
    }, {
      name: REST,
      needs: [],
      async enter(stack) {
        const receiver = await inletReceiver(workspace, stack);
        const candidate = transfer(receiver, inletSender(["--resume"]), file);
        return {
          ...candidate,
          async ready() {
            await breakOff(await receiver.listen(), file.path, Math.floor(size / 2));
            return await candidate.ready();
          },
        };
      },
    }],
    goals: [{ of: REST, against: WHOLE, atMostOfTime: 0.6 }],
  });
}

/**
 * Sends a file through a line that breaks.
 *
 * @param bytes How many reach the server.
 * @throws {Error} if the client ends otherwise than one that lost its connection
 */
async function breakOff(port: number, path: string, bytes: number): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const passed = passOn(listener, port, bytes);
  const proxied = (listener.addr as Deno.NetAddr).port;
  const { code, stderr } = await start(clientCommand(proxied, [path, "--resume"])).output();
  if (code !== LOST) {
    const said = new TextDecoder().decode(stderr).trim();
    throw new Error(`a client whose connection broke ended with ${code}: ${said}`);
  }
  await passed;
}

/** Takes one connection on to a server, for so many bytes, and closes both its ends. */
async function passOn(listener: Deno.TcpListener, port: number, bytes: number): Promise<void> {
  const accepted = await listener.accept().catch(() => undefined);
  // Without a connection the client says why.
  if (!accepted) return;
  using near = accepted;
  using far = await Deno.connect({ hostname: "127.0.0.1", port });
  copy(far, near).catch(() => {
    // Closed, below.
  });
  await copy(near, far, bytes);
}

/** Copies until so many bytes have passed, or no more come. */
async function copy(from: Deno.Conn, to: Deno.Conn, bytes = Infinity): Promise<void> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let left = bytes; left > 0;) {
    const read = await from.read(buffer.subarray(0, Math.min(CHUNK_BYTES, left)));
    if (read === null) return;
    for (let sent = 0; sent < read;) sent += await to.write(buffer.subarray(sent, read));
    left -= read;
  }
}
