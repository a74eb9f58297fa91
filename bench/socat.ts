/**
 * socat, which only moves bytes, plain or by TLS.
 *
 * @module
 */

import { makeCertificate } from "./keys.ts";
import { type Receiver, type Sender, stored } from "./peers.ts";
import { run, type ServerProcess, startServer } from "./processes.ts";
import { empty, type Workspace } from "./workspace.ts";

/** What one `read` and one `write` of socat move. */
const SOCAT_BLOCK_BYTES = 1024 * 1024;

/** How two socats meet. */
export interface SocatWire {
  readonly listen: string;
  connect(port: number): string;
}

/** TCP alone. */
export const PLAIN: SocatWire = {
  listen: "TCP-LISTEN:0,bind=127.0.0.1",
  connect: (port) => `TCP:127.0.0.1:${port}`,
};

/** TLS with a certificate that nobody verifies. */
export async function encrypted(workspace: Workspace): Promise<SocatWire> {
  const { certificate, privateKey } = await makeCertificate(workspace);
  const files = `cert=${certificate},key=${privateKey}`;
  return {
    listen: `OPENSSL-LISTEN:0,bind=127.0.0.1,verify=0,${files}`,
    connect: (port) => `OPENSSL:127.0.0.1:${port},verify=0`,
  };
}

/**
 * socat, which serves one connection and ends.
 *
 * @param target `stdout` for its stdout in a file, `file` for a file that it opens itself.
 */
export function socatReceiver(
  workspace: Workspace,
  target: "file" | "stdout",
  wire = PLAIN,
): Receiver {
  const directory = workspace.directory();
  const out = `${directory}/out`;
  let server: ServerProcess | undefined;
  return {
    pids: [],
    directory,
    async listen() {
      const into = target === "file" ? `CREATE:${out}` : "STDOUT";
      const command = [...socat("-d", "-d", "-u"), wire.listen, into];
      server = await startServer(command, target === "file" ? {} : { stdout: out });
      return server.port;
    },
    async received(bytes) {
      await server!.ended;
      return await stored(directory, bytes);
    },
    async clear() {
      await server?.[Symbol.asyncDispose]();
      empty(directory);
    },
  };
}

/** socat with large blocks. */
export function socat(...options: string[]): string[] {
  return ["socat", ...options, "-b", String(SOCAT_BLOCK_BYTES)];
}

/** socat with a file that it opens itself. */
export function socatSender(wire = PLAIN): Sender {
  return (port, path) => run([...socat("-u"), `OPEN:${path},rdonly`, wire.connect(port)]);
}

/** socat with a file as its stdin. */
export const socatMessageSender: Sender = (port, path) =>
  run([...socat("-u"), "STDIN", PLAIN.connect(port)], { stdin: path });
