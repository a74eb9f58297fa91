/**
 * A link to a server that holds large uploads up: so many bytes of them pass, and then no more until
 * the link is opened. Nothing is lost, the sender has to wait. Requests without a large body pass.
 *
 * @module
 */

import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Bytes of a connection that are not counted, for requests. */
const FREE_BYTES = 64 * 1024;

/** The link. It stops when it goes out of scope. */
export interface HeldLink extends Disposable {
  readonly port: number;
  /** Lets further bytes pass; without a number, all. */
  open(bytes?: number): void;
  /** Ends all connections: of what they have sent nothing more passes. */
  cut(): void;
}

/** Listens in the place of a server. */
export async function heldLinkTo(server: { port: number }, bytes: number): Promise<HeldLink> {
  let left = bytes;
  const sockets = new Set<Socket>();
  const held = new Set<() => void>();
  const listener = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: "127.0.0.1", port: server.port, noDelay: true });
    let free = FREE_BYTES;
    let isHeld = false;
    const pass = (chunk: Uint8Array): void => {
      const most = Math.max(free, 0) + left;
      const passed = chunk.subarray(0, most);
      free -= passed.length;
      left -= Math.max(0, Math.min(passed.length, -free));
      const mayGoOn = upstream.write(passed);
      isHeld = passed.length < chunk.length;
      if (isHeld) held.add(() => pass(chunk.subarray(passed.length)));
      if (isHeld || !mayGoOn) client.pause();
      else client.resume();
    };
    client.on("data", pass);
    upstream.on("drain", () => isHeld || client.resume());
    upstream.on("data", (chunk) => client.write(chunk));
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from);
      from.on("end", () => to.end());
      from.on("error", () => {});
      from.on("close", () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    held.clear();
    sockets.forEach((socket) => socket.destroy());
    sockets.clear();
  };
  return {
    port: (listener.address() as AddressInfo).port,
    open(bytes = Infinity): void {
      left = bytes;
      const waiting = [...held];
      held.clear();
      for (const goOn of waiting) goOn();
    },
    cut,
    [Symbol.dispose](): void {
      listener.close();
      cut();
    },
  };
}
