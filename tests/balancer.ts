/**
 * What stands before several servers: each connection goes to one of them, picked at random, and to
 * another if that one is gone. Bytes pass as they are, encrypted or not.
 *
 * @module
 */

import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A balancer on loopback. It stops when it goes out of scope. */
export interface Balancer extends Disposable {
  readonly port: number;
  /** The servers, by their ports. Those that are added are used from then on. */
  readonly ports: Set<number>;
}

/** Listens before servers. */
export async function balance(...servers: readonly { port: number }[]): Promise<Balancer> {
  const ports = new Set(servers.map(({ port }) => port));
  const sockets = new Set<Socket>();
  const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    sockets.add(client.on("error", () => {}));
    lead(client, shuffled(ports), sockets);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    port: (listener.address() as AddressInfo).port,
    ports,
    [Symbol.dispose](): void {
      listener.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Leads a client to the first of some servers that takes it. */
function lead(client: Socket, [port, ...others]: readonly number[], sockets: Set<Socket>): void {
  if (port === undefined) return void client.destroy();
  const server = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  sockets.add(server);
  server.once("error", () => lead(client, others, sockets));
  server.once("connect", () => {
    server.removeAllListeners("error");
    for (const [from, to] of [[client, server], [server, client]] as const) {
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroySoon());
      from.pipe(to);
    }
    client.resume();
  });
}

function shuffled(ports: Iterable<number>): number[] {
  return [...ports].map((port) => ({ port, order: Math.random() }))
    .toSorted((one, other) => one.order - other.order).map(({ port }) => port);
}
