/**
 * A connection that breaks off: a relay in front of a real server, which passes on so many bytes.
 *
 * On sockets of node:net, because Deno's own cannot be reset at will.
 *
 * @module
 */

import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Way } from "./faults/peer.ts";
import type { Reachable } from "./helpers.ts";

/** Where and how a relay cuts the first connection. */
export interface Cut {
  /** Whose bytes are counted: the client's go up, the server's come down. */
  direction: "up" | "down";
  /** How many of them are passed on. */
  bytes: number;
  /** What both sides see in the place of the next one. */
  way: Way;
  /** Whether the server hears nothing of it, as where the way to it breaks off. */
  isUntold?: boolean;
  /** Called when it cuts. */
  onCut?: () => void;
}

/** A listening socket in front of a server. It stops when it goes out of scope. */
export interface Relay extends Disposable {
  readonly hostname: string;
  readonly port: number;
  /** The key of the server. */
  readonly key: string | undefined;
  /** The counted bytes that it has passed on, a character a byte. */
  readonly passed: string;
  /** Whether it has cut the first connection. */
  readonly cut: boolean;
}

/** Listens in the place of a server, and cuts the first connection. Later ones pass whole. */
export async function relayTo(
  server: Reachable,
  { direction, bytes, way, isUntold = false, onCut }: Cut,
): Promise<Relay> {
  let passed = "";
  let cut = false;
  const sockets: Socket[] = [];
  const listener = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: "127.0.0.1", port: server.port, noDelay: true });
    const isFirst = sockets.length === 0;
    sockets.push(client, upstream);
    const isCut = (): boolean => isFirst && cut;
    const cutOff = (): void => {
      cut = true;
      for (const socket of isUntold ? [client] : [client, upstream]) {
        if (way === "end") socket.end();
        if (way === "reset") socket.resetAndDestroy();
      }
      onCut?.();
    };
    const passCounted = (chunk: Uint8Array, to: Socket): void => {
      if (passed.length === bytes) return;
      const allowed = chunk.subarray(0, bytes - passed.length);
      passed += latin1.decode(allowed);
      const isLast = passed.length === bytes;
      // What follows is not sent before this has left, and what comes before it has left by then.
      to.write(allowed, () => isLast && cutOff());
    };
    const counted = direction === "up" ? client : upstream;
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      from.on("data", (chunk) => {
        if (isFirst && from === counted) passCounted(chunk, to);
        else if (!isCut()) to.write(chunk);
      });
      from.on("end", () => isCut() || to.end());
      from.on("error", () => {});
      // Whatever happens to one of the two ends the other.
      from.on("close", () => isCut() && isUntold || to.destroy());
    }
    if (isFirst && bytes === 0) cutOff();
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    hostname: "127.0.0.1",
    port: (listener.address() as AddressInfo).port,
    key: server.key,
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
