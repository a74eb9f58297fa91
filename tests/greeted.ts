/**
 * A client in this process, greeted by a server of a test's own.
 *
 * @module
 */

import { Progress } from "../lib/cli/progress.ts";
import { connect } from "../lib/net/connect.ts";
import { FilesClient } from "../modes/files/client.ts";
import { impostor, type Wire } from "./wire.ts";

/** Both ends of one connection. */
export async function greetedBy(): Promise<{ client: FilesClient; wire: Wire } & Disposable> {
  using stack = new DisposableStack();
  const server = stack.use(impostor());
  const { signal } = new AbortController();
  const address = { hostname: "127.0.0.1", port: server.port };
  const connecting = connect(address, { timeoutMs: 60_000, signal });
  const wire = stack.use(await server.accept());
  await wire.says("welcome client 1 of 100\n");
  const connection = stack.use(await connecting);
  const context = { progress: new Progress(), output: () => Promise.resolve() };
  const client = await FilesClient.greet(connection, "test", context);
  await wire.line();
  const rest = stack.move();
  return { client, wire, [Symbol.dispose]: () => rest.dispose() };
}
