/**
 * tus by tus-js-client in node, and npm's reference server.
 *
 * @module
 */

import { scriptPath } from "../tests/helpers.ts";
import { Unavailable } from "./compare.ts";
import { type Receiver, type Sender, storing } from "./peers.ts";
import { run, startServer } from "./processes.ts";
import type { Workspace } from "./workspace.ts";

/** Programs that {@linkcode TusClient} needs. */
export const TUS_PROGRAMS: readonly string[] = ["node", "npm"];

/** The same version that the tests have. */
const PACKAGE = "tus-js-client@4.3.1";

/** Above what a run sends, in bytes. The reference server has to be told. */
const MAX_SIZE = 2 ** 40;

/** Sends FILE to PORT in pieces of SIZE: `send.mjs PORT FILE SIZE`. */
const PROGRAM = `
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { Upload } from "tus-js-client";

const [port, path, chunkSize] = process.argv.slice(2);
new Upload(createReadStream(path), {
  endpoint: \`http://127.0.0.1:\${port}/uploads/\`,
  chunkSize: Number(chunkSize),
  metadata: { filename: basename(path) },
  retryDelays: null,
  onError(error) {
    console.error(error.message.replaceAll("\\n", " "));
    process.exit(1);
  },
}).start();
`;

/** tus-js-client, installed below a workspace. */
export class TusClient {
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  /**
   * Fetches it.
   *
   * @throws {Unavailable} if the npm registry cannot be reached
   */
  static async install(workspace: Workspace): Promise<TusClient> {
    const directory = workspace.directory();
    const options = ["--prefix", directory, "--no-save", "--no-audit", "--no-fund"];
    try {
      await run(["npm", "install", ...options, PACKAGE]);
    } catch (error) {
      throw new Unavailable(`${PACKAGE} cannot be fetched: ${(error as Error).message}`);
    }
    const program = `${directory}/send.mjs`;
    await Deno.writeTextFile(program, PROGRAM);
    return new TusClient(program);
  }

  /** @param chunkBytes Most bytes of a request; `Infinity` for one request. */
  sender(chunkBytes: number): Sender {
    return (port, path) => run(["node", this.#program, String(port), path, String(chunkBytes)]);
  }
}

/** npm's reference server, as the tests have it. */
export async function tusReferenceReceiver(
  workspace: Workspace,
  stack: AsyncDisposableStack,
): Promise<Receiver> {
  const directory = workspace.directory();
  const script = scriptPath("tests/tus_reference.ts");
  const command = [Deno.execPath(), "run", "--allow-all", script, directory, String(MAX_SIZE)];
  return storing(directory, stack.use(await startServer(command)));
}
