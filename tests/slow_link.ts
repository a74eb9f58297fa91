/**
 * A link to a server that falls silent: what clients send passes up to a number of bytes, all
 * connections counted, and nothing after that until the link is opened.
 *
 * @module
 */

import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** The link. It stops when it goes out of scope. */
export interface SlowLink extends Disposable {
  readonly port: number;
  /** Lets everything pass that comes from now on. Connections of which anything was lost end. */
  open(): void;
}

/** Listens in the place of a server. */
export async function slowLinkTo(server: { port: number }, bytes: number): Promise<SlowLink> {
  let left = bytes;
  const sockets = new Set<Socket>();
  const silent = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: "127.0.0.1", port: server.port, noDelay: true });
    let isSilent = false;
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from);
      from.on("data", (chunk) => {
        if (from === upstream) return void to.write(chunk);
        const passed = isSilent ? chunk.subarray(0, 0) : chunk.subarray(0, left);
        left -= passed.length;
        isSilent ||= passed.length < chunk.length;
        if (isSilent) silent.add(client);
        to.write(passed);
      });
      from.on("end", () => isSilent || to.end());
      from.on("error", () => {});
      from.on("close", () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    port: (listener.address() as AddressInfo).port,
    open(): void {
      left = Infinity;
      silent.forEach((socket) => socket.destroy());
    },
    [Symbol.dispose](): void {
      listener.close();
      sockets.forEach((socket) => socket.destroy());
    },
  };
}
