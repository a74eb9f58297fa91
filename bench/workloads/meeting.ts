/**
 * One big file from client to client, through a server and directly, beside the same file put over TLS.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import { formatBytes } from "../../lib/text.ts";
import { compare } from "../compare.ts";
import { makeKey } from "../keys.ts";
import type { Candidate } from "../measure.ts";
import {
  clientCommand,
  inletReceiver,
  inletSender,
  serverCommand,
  stored,
  transfer,
} from "../peers.ts";
import { finish, spawn, startServer } from "../processes.ts";
import type { Section } from "../report.ts";
import { empty, type SourceFile, verify, type Workspace } from "../workspace.ts";
import type { Bench } from "./workload.ts";

const PUT = "inlet put over TLS";
const RELAYED_TLS = "inlet to inlet, relayed by a server with TLS";
const RELAYED = "inlet to inlet, relayed by a plain server";
const DIRECT = "inlet to inlet, directly";

/** Time of one big file between two clients, from the start of the one that accepts. */
export async function meeting({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  const { args } = await makeKey(workspace);
  return await compare({
    name: "meeting",
    title: `meeting: one file of ${formatBytes(size)} from client to client`,
    runs,
    bytes: size,
    entrants: [{
      name: PUT,
      needs: [],
      enter: async (stack) =>
        transfer(await inletReceiver(workspace, stack, args), inletSender(args), file),
    }, {
      name: RELAYED_TLS,
      needs: [],
      enter: (stack) => between(workspace, stack, file, args, ["--no-direct"]),
    }, {
      name: RELAYED,
      needs: [],
      enter: (stack) => between(workspace, stack, file, [], ["--no-direct"]),
    }, {
      name: DIRECT,
      needs: [],
      enter: (stack) => between(workspace, stack, file, [], []),
    }],
    goals: [
      { of: RELAYED_TLS, against: PUT, atLeast: 0.35 },
      { of: RELAYED, against: PUT, atLeast: 0.9 },
      { of: DIRECT, against: PUT, atLeast: 0.9 },
    ],
  });
}

/** Two clients at a server. The one that offers is there before the time begins. */
async function between(
  workspace: Workspace,
  stack: AsyncDisposableStack,
  file: SourceFile,
  keyed: readonly string[],
  how: readonly string[],
): Promise<Omit<Candidate, "name">> {
  const into = workspace.directory();
  const { port, pid } = stack.use(await startServer(serverCommand(workspace.directory(), keyed)));
  let path: string;
  return {
    pids: [pid],
    clear: async () => await Promise.resolve(empty(into)),
    async ready() {
      const offer = clientCommand(port, ["--offer", file.path, ...keyed, ...how]);
      const offering = spawn(offer, { stdin: "null", stdout: "piped", stderr: "null" });
      const lines = offering.stdout.pipeThrough(new TextDecoderStream())
        .pipeThrough(new TextLineStream()).getReader();
      const { value: code = "" } = await lines.read();
      return async () => {
        const args = ["--accept", "--yes", "--output", into, ...keyed, ...how];
        const accept = clientCommand(port, args);
        const env = { NO_COLOR: "1", INLET_CODE: code };
        const streams = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
        await finish(accept, spawn(accept, { env, ...streams }));
        path = await stored(into, file.size);
        await offering.status;
        await lines.cancel();
      };
    },
    check: async () => await Promise.resolve(verify(path, file)),
  };
}
