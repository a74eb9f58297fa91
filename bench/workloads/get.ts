/**
 * One big file, got: inlet verifies it, socat does not.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { compare } from "../compare.ts";
import type { Candidate } from "../measure.ts";
import { clientCommand, inletReceiver, inletSender, serverCommand, transfer } from "../peers.ts";
import { run, type ServerProcess, startServer } from "../processes.ts";
import type { Section } from "../report.ts";
import { socat } from "../socat.ts";
import { empty, type SourceFile, verify, type Workspace } from "../workspace.ts";
import type { Bench } from "./workload.ts";

const GET = "inlet get, verified";
const PUT = "inlet put, verified";
const SOCAT = "socat, 1 MiB blocks";

/** The name under which the server has the file. */
const NAME = "big";

/** Time of one big file by native get, beside the same file the other way. */
export async function get({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  return await compare({
    name: "get",
    title: `get: one file of ${formatBytes(size)}`,
    runs,
    bytes: size,
    entrants: [{
      name: GET,
      needs: [],
      enter: (stack) => inletGet(workspace, stack, file),
    }, {
      name: PUT,
      needs: [],
      enter: async (stack) => transfer(await inletReceiver(workspace, stack), inletSender(), file),
    }, {
      name: SOCAT,
      needs: ["socat"],
      enter: () => Promise.resolve(socatGet(workspace, file)),
    }],
    goals: [
      { of: GET, against: PUT, atLeast: 0.9 },
      { of: GET, against: SOCAT, atLeast: 0.9 },
    ],
  });
}

/** server.ts with the file in its directory, and client.ts. */
async function inletGet(
  workspace: Workspace,
  stack: AsyncDisposableStack,
  file: SourceFile,
): Promise<Omit<Candidate, "name">> {
  const directory = workspace.directory();
  // A second name of the same file takes no memory.
  Deno.linkSync(file.path, `${directory}/${NAME}`);
  const { port, pid } = stack.use(await startServer(serverCommand(directory)));
  const into = workspace.directory();
  const output = `${into}/out`;
  const command = clientCommand(port, ["--get", NAME, "--output", output, "--quiet"]);
  return {
    pids: [pid],
    ready: () => Promise.resolve(() => run(command)),
    clear: async () => await Promise.resolve(empty(into)),
    check: async () => await Promise.resolve(verify(output, file)),
  };
}

/** A socat that sends the file to whoever connects, once, and another that stores what comes. */
function socatGet(workspace: Workspace, file: SourceFile): Omit<Candidate, "name"> {
  const into = workspace.directory();
  const output = `${into}/out`;
  const source = [`OPEN:${file.path},rdonly`, "TCP-LISTEN:0,bind=127.0.0.1"];
  let server: ServerProcess | undefined;
  return {
    pids: [],
    async ready() {
      const { port, ended } = server = await startServer([...socat("-d", "-d", "-u"), ...source]);
      return async () => {
        await run([...socat("-u"), `TCP:127.0.0.1:${port}`, `CREATE:${output}`]);
        await ended;
      };
    },
    async clear() {
      await server?.[Symbol.asyncDispose]();
      empty(into);
    },
    check: async () => await Promise.resolve(verify(output, file)),
  };
}
