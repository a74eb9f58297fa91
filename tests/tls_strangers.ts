/**
 * Strangers at the port of a server with a key: what each sends, and how it stays or leaves.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { connect as connectTcp } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { Peer } from "./faults/peer.ts";

/** The port of a server. */
type Port = { readonly port: number };

/**
 * One stranger's visit. It settles when the stranger has done all that it means to: its connection is
 * over then, or the result is to be waited for.
 */
export type Visit = (server: Port) => Promise<void>;

/** A first flight of TLS as `node:tls` sends it, of the versions that are given. */
async function helloOf(maxVersion: "TLSv1.2" | "TLSv1.3"): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  const encrypted = new Duplex({
    read: () => {},
    write: (chunk: Uint8Array, _encoding, done) => (resolve(chunk), done()),
  });
  const socket = connectTls({
    socket: encrypted,
    servername: "",
    maxVersion,
    minVersion: "TLSv1.2",
  });
  socket.on("error", () => {});
  const hello = await promise;
  socket.destroy();
  return hello;
}

const HELLO = await helloOf("TLSv1.3");
const OLD_HELLO = await helloOf("TLSv1.2");
