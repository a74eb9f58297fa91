/**
 * Connections to a server with a key, for the tests: as a client with the key opens them, and as a
 * stranger does, who takes whatever certificate is shown.
 *
 * @module
 */

import { Duplex } from "node:stream";
import { connect, type TLSSocket } from "node:tls";
import { type Credential, credentialOf } from "../lib/auth/credential.ts";
import { type ByteStream, TcpStream } from "../lib/net/byte_stream.ts";
import { SharedKey } from "../lib/auth/shared_key.ts";
import { acceptTls } from "../lib/net/tls_accept.ts";
import { connectTls } from "../lib/net/tls_connect.ts";

/** An encrypted connection. */
export class SecureConn implements Disposable {
  readonly stream: ByteStream;
  readonly credential: Credential;

  constructor(stream: ByteStream, credential: Credential) {
    this.stream = stream;
    this.credential = credential;
  }

  async send(text: string): Promise<void> {
    await this.stream.write(new TextEncoder().encode(text));
  }

  /** Reads a line, byte by byte so as to take nothing of what follows; without its ending. */
  async line(): Promise<string> {
    const byte = new Uint8Array(1);
    let line = "";
    while (!line.endsWith("\n")) {
      if (await this.stream.read(byte) === null) throw new Error(`it ended in ${line}`);
      line += String.fromCharCode(byte[0]!);
    }
    return line.trimEnd();
  }

  /** Reads to the end. */
  async rest(): Promise<string> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65_536);
    let text = "";
    for (let read; (read = await this.stream.read(buffer)) !== null;) {
      text += decoder.decode(buffer.subarray(0, read), { stream: true });
    }
    return text;
  }

  /** Reads a challenge, and returns its nonce. */
  async challenge(): Promise<string> {
    const [, nonce] = /^challenge ([0-9a-f]{64})$/.exec(await this.line())!;
    return nonce!;
  }

  /** Greets with a name, and proves the key. What follows is the welcome. */
  async prove(name: string): Promise<void> {
    await this.send(`hello 1 ${name}\n`);
    await this.send(`answer ${await this.credential.prove(await this.challenge())}\n`);
  }

  [Symbol.dispose](): void {
    this.stream.close();
  }
}

/** Connects with a key, or with the token of a user. */
export async function dialWithKey(server: { port: number }, key: string): Promise<SecureConn> {
  const credential = await credentialOf(key);
  const tcp = new TcpStream(await Deno.connect({ port: server.port }));
  try {
    return new SecureConn(await connectTls(tcp, credential.server), credential);
  } catch (error) {
    tcp.close();
    throw error;
  }
}

/** Accepts a client in the place of a server, with the server's key. */
export async function acceptWithKey(
  server: { acceptConn(): Promise<Deno.TcpConn> },
  key: string,
): Promise<SecureConn> {
  const shared = new SharedKey(() => key, () => {});
  const how = { identity: () => shared.identity(), handshakeMs: 60_000 };
  const stream = acceptTls(new TcpStream(await server.acceptConn()), how);
  return new SecureConn(stream, await credentialOf(key));
}

/** Connects without a key, and believes whatever certificate is shown. */
export async function dialAsStranger(server: { port: number }): Promise<TLSSocket> {
  const conn = await Deno.connect({ port: server.port });
  const socket = connect({
    socket: Duplex.from({ readable: conn.readable, writable: conn.writable }),
    rejectUnauthorized: false,
    servername: "",
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("secureConnect", resolve);
  socket.once("error", reject);
  await promise;
  return socket;
}
