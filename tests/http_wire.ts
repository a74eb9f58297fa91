/**
 * HTTP by hand: requests as text, byte by byte where a test wants that, and responses taken apart.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import type { Reachable } from "./helpers.ts";
import { dialWithKey } from "./secure.ts";
import { Wire } from "./wire.ts";

/** A response. */
export interface Response {
  readonly status: number;
  /** By name, in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** The lines of the fields that each request to a server has to have. */
export function fieldsFor({ key }: Reachable): string {
  return `Host: localhost\r\n${key === undefined ? "" : `Authorization: Bearer ${key}\r\n`}`;
}

/** The two ends of a stream that a test uses, plain or encrypted. */
interface Stream extends Disposable {
  write(bytes: Uint8Array): Promise<void>;
  /** At most so many bytes; none at the end, in whatever way it ends. */
  read(): Promise<Uint8Array | null>;
  closeWrite(): Promise<void>;
}

/** One connection to a server. It closes when it goes out of scope. */
export class HttpWire implements Disposable {
  /** The fields that each request has to have. */
  readonly fields: string;
  readonly #stream: Stream;
  #buffered: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  constructor(stream: Stream, key?: string) {
    this.#stream = stream;
    const proof = key === undefined ? "" : `Authorization: Bearer ${key}\r\n`;
    this.fields = `Host: localhost\r\n${proof}`;
  }

  /** Connects, by TLS if the server has a key. */
  static async dial(server: Reachable): Promise<HttpWire> {
    const { key } = server;
    return new HttpWire(await (key === undefined ? plain(server) : secure(server)), key);
  }

  /** Sends text, a character a byte, or bytes. */
  async says(content: string | Uint8Array): Promise<void> {
    const bytes = typeof content === "string"
      ? Uint8Array.from(content, (character) => character.charCodeAt(0))
      : content;
    // A server that refuses may have closed before it has all.
    await this.#stream.write(bytes).catch(() => {});
  }

  async closeWrite(): Promise<void> {
    await this.#stream.closeWrite();
  }

  /** The next response; `undefined` at the end. Interim ones (1xx) are responses too. */
  async response({ isHead = false } = {}): Promise<Response | undefined> {
    const head = await this.#upTo("\r\n\r\n");
    if (head === undefined) return undefined;
    const [first, ...lines] = head.split("\r\n") as [string, ...string[]];
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
    const headers = Object.fromEntries(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    const isBare = isHead || status < 200 || status === 204 || status === 304;
    return { status, headers, body: isBare ? new Uint8Array(0) : await this.#body(headers) };
  }

  /** Sends a request, and reads its response. */
  async asks(request: string): Promise<Response> {
    await this.says(request);
    const response = await this.response({ isHead: request.startsWith("HEAD ") });
    if (!response) throw new Error(`no response to ${JSON.stringify(request.slice(0, 200))}`);
    return response;
  }

  /** The next line of a response that is under way, without its LF, a byte a character. */
  async line(): Promise<string | undefined> {
    return await this.#upTo("\n");
  }

  /** The status of the next response; 0 at the end. */
  async status(): Promise<number> {
    return (await this.response())?.status ?? 0;
  }

  /** Whether the other side has ended its direction, with nothing before that. */
  async ends(): Promise<boolean> {
    return this.#buffered.length === 0 && !await this.more();
  }

  [Symbol.dispose](): void {
    this.#stream[Symbol.dispose]();
  }

  async #body(headers: Response["headers"]): Promise<Uint8Array> {
    const length = headers["content-length"];
    if (length !== undefined) return await this.#exactly(Number(length));
    if (headers["transfer-encoding"] !== "chunked") {
      while (await this.more());
      return await this.#exactly(this.#buffered.length);
    }
    const chunks: Uint8Array[] = [];
    for (;;) {
      const size = parseInt(await this.#upTo("\r\n") ?? "", 16);
      if (Number.isNaN(size)) throw new Error("the response was cut");
      chunks.push(await this.#exactly(size));
      await this.#upTo("\r\n");
      if (size === 0) return concat(chunks);
    }
  }

  /**
   * The text before an ending, which ends a line; both are taken. `undefined` if the stream ends with
   * nothing before that.
   */
  async #upTo(ending: string): Promise<string | undefined> {
    for (;;) {
      const bytes = this.#buffered;
      let at = bytes.indexOf(LF);
      while (at >= 0 && !characters(bytes.subarray(0, at + 1)).endsWith(ending)) {
        at = bytes.indexOf(LF, at + 1);
      }
      if (at >= 0) {
        this.#buffered = bytes.slice(at + 1);
        return characters(bytes.subarray(0, at + 1 - ending.length));
      }
      if (await this.more()) continue;
      if (bytes.length === 0) return undefined;
      throw new Error(`the stream ended within ${JSON.stringify(characters(bytes))}`);
    }
  }

  async #exactly(size: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [this.#buffered];
    for (let bytes = this.#buffered.length; bytes < size; bytes += pieces.at(-1)!.length) {
      const read = await this.#stream.read();
      if (read === null) throw new Error(`the body ended before ${size} bytes`);
      pieces.push(read);
    }
    const read = concat(pieces);
    this.#buffered = read.slice(size);
    return read.subarray(0, size);
  }

  /** Reads what has arrived, once. Returns `false` at the end. */
  async more(): Promise<boolean> {
    const read = await this.#stream.read();
    if (read === null) return false;
    this.#buffered = concat([this.#buffered, read]);
    return true;
  }
}

const LF = 0x0a;

/** A character for each byte, of the same number: "latin1" of TextDecoder is windows-1252. */
function characters(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

async function plain(server: Reachable): Promise<Stream> {
  const wire = await Wire.dial(server);
  return {
    write: (bytes) => wire.says(bytes),
    read: async () => {
      const bytes = await wire.some();
      return bytes.length === 0 ? null : bytes;
    },
    closeWrite: () => wire.closeWrite(),
    [Symbol.dispose]: () => wire.close(),
  };
}

async function secure(server: Reachable): Promise<Stream> {
  const conn = await dialWithKey(server, server.key!);
  const { stream } = conn;
  const room = new Uint8Array(64 * 1024);
  return {
    write: async (bytes) => void await stream.write(bytes),
    read: async () => {
      const read = await stream.read(room).catch(() => null);
      return read === null ? null : room.slice(0, read);
    },
    closeWrite: () => stream.closeWrite(),
    [Symbol.dispose]: () => conn[Symbol.dispose](),
  };
}

/** What the body of a problem says. */
export function problemIn({ headers, body }: Response): { status: number; code: string } {
  if (headers["content-type"] !== "application/problem+json") {
    throw new Error(`no problem: ${new TextDecoder().decode(body)}`);
  }
  return JSON.parse(new TextDecoder().decode(body));
}
