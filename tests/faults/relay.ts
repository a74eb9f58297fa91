/**
 * A server that breaks off: a real one behind a relay that passes on so many bytes of its answers.
 *
 * On sockets of node:net, because Deno's own cannot be reset at will.
 *
 * @module
 */

import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Way } from "./peer.ts";

/** A relay for one connection. It stops when it goes out of scope. */
export interface Relay extends Disposable {
  readonly hostname: string;
  readonly port: number;
  /** The answers that it has passed on, a character a byte. */
  readonly passed: string;
  /** Whether it has cut the connection. */
  readonly cut: boolean;
}

/** Listens in the place of a server, and cuts the connection in the place of byte `bytes`. */
export async function relayTo(
  server: { port: number },
  way: Way,
  bytes: number,
): Promise<Relay> {
  let passed = "";
  let cut = false;
  const sockets: Socket[] = [];
  const listener = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: "127.0.0.1", port: server.port, noDelay: true });
    sockets.push(client, upstream);
    // Whatever happens to one of the two ends the other.
    for (const [socket, other] of [[client, upstream], [upstream, client]] as const) {
      socket.on("error", () => {});
      socket.on("close", () => other.destroy());
    }
    client.on("data", (chunk) => upstream.write(chunk));
    client.on("end", () => upstream.end());
    upstream.on("end", () => cut || client.end());
    const pass = (chunk: Uint8Array): void => {
      if (cut) return;
      const allowed = chunk.subarray(0, bytes - passed.length);
      passed += latin1.decode(allowed);
      // What follows is not sent before this has left.
      client.write(allowed, () => passed.length === bytes && cutOff());
    };
    const cutOff = (): void => {
      cut = true;
      if (way === "end") client.end();
      if (way === "reset") client.resetAndDestroy();
    };
    upstream.on("data", pass);
    if (bytes === 0) cutOff();
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    hostname: "127.0.0.1",
    port: (listener.address() as AddressInfo).port,
    get passed() {
      return passed;
    },
    get cut() {
      return cut;
    },
    [Symbol.dispose](): void {
      listener.close();
      sockets.forEach((socket) => socket.destroy());
    },
  };
}

const latin1 = new TextDecoder("latin1");
