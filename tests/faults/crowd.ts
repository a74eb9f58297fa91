/**
 * A mixed crowd of honest clients, and of some that break off: what a server has to bear all day.
 *
 * @module
 */

import { allOf, type Reachable } from "../helpers.ts";
import { assert, assertEquals } from "@std/assert";
import { connect } from "../../lib/net/connect.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { InletError } from "../../lib/errors.ts";
import { clientWire } from "../../client/wire_options.ts";
import type { WireContext } from "../../lib/cli/client_context.ts";
import { Progress } from "../../lib/cli/progress.ts";
import { FileSource } from "../../lib/body/sources.ts";
import { type OnBytes, Tally } from "../../lib/body/streams.ts";
import { FilesClient } from "../../modes/files/client.ts";
import { sendUpload } from "../../modes/upload.ts";
import { fieldsFor, HttpWire, type Response } from "../http_wire.ts";
import { contentOf, crcOf, type Dice, nameOf } from "./content.ts";
import { conversationsOf, lengthOf, NUMBERS, play } from "./conversations.ts";
import { Peer } from "./peer.ts";
import { bytesSource, credentialFor, type Trial } from "./trial.ts";

/** Bytes that a source hands over at once. */
const PIECE_BYTES = 64 * 1024;

/** Milliseconds that a client waits. */
const TIMEOUT_MS = 30_000;

/** What a crowd has done. */
export interface Deeds {
  /** Conversations that were begun. */
  clients: number;
  /** Files that were acknowledged. */
  files: number;
  /** Bytes of those, and of what was got. */
  bytes: number;
  gets: number;
  lists: number;
  /** Conversations that were cut on purpose. */
  cuts: number;
}

/** Options of a {@linkcode Crowd}. */
export interface CrowdOptions {
  server: Reachable;
  trial: Trial;
  dice: Dice;
  /** Told of every file as it is acknowledged. */
  onFile?: (name: string) => void;
  /** Told of every file that may be there now, or not. */
  onPossible?: (name: string) => void;
  /** Told of all bytes on their way. */
  onBytes?: OnBytes;
  /** Gives the name of a file that is there. */
  pick: () => string | undefined;
}

/** Clients that come and go. */
export class Crowd {
  readonly deeds: Deeds = { clients: 0, files: 0, bytes: 0, gets: 0, lists: 0, cuts: 0 };
  readonly #options: CrowdOptions;
  readonly #context: WireContext = {
    compares: () => false,
    progress: new Progress(),
    output: () => Promise.resolve(),
    wire: clientWire({}),
    onNotice: () => {},
  };

  constructor(options: CrowdOptions) {
    this.#options = options;
  }

  /**
   * Lets so many clients at once do what the dice say.
   *
   * @param isOver Asked before each conversation.
   * @throws what the first client was refused, or lost
   */
  async run(clients: number, isOver: () => boolean): Promise<void> {
    const acts = [
      () => this.#pushMany(),
      () => this.#putLarge(),
      () => this.#putUnsized(),
      () => this.#upload(),
      () => this.#get(),
      () => this.#list(),
      () => this.#talk(),
      () => this.#breakOff(),
      () => this.#putByHttp(),
      () => this.#getByHttp(),
      () => this.#breakOffHttp(),
    ];
    await Promise.all(Array.from({ length: clients }, async () => {
      while (!isOver()) {
        this.deeds.clients++;
        await this.#options.dice.of(acts)();
      }
    }));
  }

  #pushMany(): Promise<void> {
    const count = 1 + this.#options.dice.below(20);
    const sources = Array.from({ length: count }, () => this.#source(4096));
    return this.#converse(async (client) => {
      let failure: InletError | undefined;
      await client.send(sources, (source, result) => {
        if ("error" in result) failure ??= result.error;
        else this.#acknowledged(source.name, result.stored.size!);
      });
      if (failure) throw failure;
    });
  }

  #putLarge(): Promise<void> {
    const source = this.#source(2 ** 20);
    return this.#converse(async (client) => {
      const stored = await client.put(source);
      this.#acknowledged(source.name, stored.size);
    });
  }

  #putUnsized(): Promise<void> {
    const { name, content } = this.#file(200_000);
    return this.#converse(async (client) => {
      const stored = await client.put(bytesSource(name, content));
      this.#acknowledged(name, stored.size);
    });
  }

  async #upload(): Promise<void> {
    // It has no keys.
    if (this.#options.server.key !== undefined) return;
    // The wire has no folders.
    const source = this.#source(100_000, [""]);
    using connection = await this.#open();
    const stored = await sendUpload(connection, source, this.#context);
    // A server that is killed closes too: on this wire that is no proof.
    assertEquals(stored.size, source.size);
    this.#options.onPossible?.(source.name);
  }

  async #get(): Promise<void> {
    const name = this.#options.pick();
    if (name === undefined) return;
    await this.#converse(async (client) => {
      const got = await client.get(name, { write: () => {} });
      const [, number, size] = /f(\d{8})-(\d{8})/.exec(name)!;
      assertEquals(got.crc, crcOf(this.#options.trial.seed, Number(number), Number(size)));
      this.deeds.gets++;
      this.deeds.bytes += got.size;
    });
  }

  async #list(): Promise<void> {
    await this.#converse(async (client) => {
      const entries = await allOf(client.list());
      assert(entries.every(({ name }) => !name.endsWith(".temp")));
      this.deeds.lists++;
    });
  }

  async #talk(): Promise<void> {
    await this.#converse(async (client) => {
      assertEquals(await client.chat("Hello"), "Hello ACK");
      assert((await allOf(client.status())).length > 0);
      await client.whoami();
      await allOf(client.list());
      this.deeds.lists++;
    });
  }

  /** Leaves in the midst of things, with an end or with a reset. */
  async #breakOff(): Promise<void> {
    const { dice, trial, server } = this.#options;
    const { put, upload, session } = conversationsOf(server);
    const script = dice.of(upload ? [put!, upload, session!] : [put!, session!]);
    const conversation = script(trial.seed, trial.take(NUMBERS));
    conversation.stores.forEach(({ name }) => trial.possible.add(name));
    const peer = await Peer.dial(server).catch((cause) => {
      throw new InletError("lost", "Cannot connect", { cause });
    });
    await play(peer, conversation, dice.below(lengthOf(conversation))).catch(() => {});
    await peer.cut(dice.of(["end", "reset"]));
    this.deeds.cuts++;
    for (const { name } of conversation.stores) this.#options.onPossible?.(name);
  }

  async #putByHttp(): Promise<void> {
    const { name, content } = this.#file(200_000);
    await this.#request(async (wire, fields) => {
      // With a length, or in one chunk.
      const isChunked = this.#options.dice.below(2) === 0;
      const length = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${content.length}`;
      await wire.says(`PUT /files/${name} HTTP/1.1\r\n${fields}${length}\r\n\r\n`);
      if (isChunked && content.length > 0) await wire.says(`${content.length.toString(16)}\r\n`);
      await wire.says(content);
      if (isChunked) await wire.says(content.length > 0 ? "\r\n0\r\n\r\n" : "0\r\n\r\n");
      this.#options.onBytes?.(content.length);
      assertEquals((await answered(wire)).status, 201);
      this.#acknowledged(name, content.length);
    });
  }

  async #getByHttp(): Promise<void> {
    const name = this.#options.pick();
    if (name === undefined) return;
    await this.#request(async (wire, fields) => {
      await wire.says(
        `GET /files/${name} HTTP/1.1\r\n${fields}\r\nGET /files/ HTTP/1.1\r\n${fields}\r\n`,
      );
      const { status, body } = await answered(wire);
      assertEquals(status, 200);
      const [, number] = /f(\d{8})-\d{8}/.exec(name)!;
      assertEquals(body, contentOf(this.#options.trial.seed, Number(number), body.length));
      this.deeds.gets++;
      this.deeds.bytes += body.length;
      assertEquals((await answered(wire)).status, 200);
      this.deeds.lists++;
    });
  }

  /** Leaves somewhere within a file that is stored. */
  async #breakOffHttp(): Promise<void> {
    const { name, content } = this.#file(200_000);
    await this.#request(async (wire, fields) => {
      const head =
        `PUT /files/${name} HTTP/1.1\r\n${fields}Content-Length: ${content.length}\r\n\r\n`;
      await wire.says(head);
      await wire.says(content.subarray(0, this.#options.dice.below(content.length + 1)));
    });
    this.deeds.cuts++;
    this.#options.onPossible?.(name);
  }

  /** @param action Gets the fields that each request has to have. */
  async #request(action: (wire: HttpWire, fields: string) => Promise<void>): Promise<void> {
    const { server } = this.#options;
    using wire = await HttpWire.dial(server).catch((cause) => {
      throw new InletError("lost", "Cannot connect", { cause });
    });
    await action(wire, fieldsFor(server));
  }

  async #open(): Promise<Connection> {
    const { signal } = new AbortController();
    const address = { hostname: "127.0.0.1", port: this.#options.server.port };
    const credential = await credentialFor(this.#options.server);
    return await connect(address, { timeoutMs: TIMEOUT_MS, signal, server: credential?.server });
  }

  async #converse(action: (client: FilesClient) => Promise<void>): Promise<void> {
    using connection = await this.#open();
    const { prove } = await credentialFor(this.#options.server) ?? {};
    const client = await FilesClient.greet(connection, "crowd", { ...this.#context, prove });
    await action(client);
    await client.exit();
  }

  /** A new file of at most so many bytes. */
  #file(
    mostBytes: number,
    folders = ["", "", "folder/", "folder/within/"],
  ): { name: string; content: Uint8Array<ArrayBuffer> } {
    const { trial, dice } = this.#options;
    const [number, size] = [trial.take(1), dice.below(mostBytes + 1)];
    const folder = dice.of(folders);
    const name = folder + nameOf(number, size);
    trial.possible.add(name);
    return { name, content: contentOf(trial.seed, number, size) };
  }

  #source(mostBytes: number, folders?: string[]): FileSource {
    const { name, content } = this.#file(mostBytes, folders);
    const own = this.#options.onBytes;
    const source = new FileSource(name, name, { size: content.length, mtime: null, mode: null });
    // Its content is made up: there is no such file.
    return Object.assign(source, {
      measure: () => content.length,
      open(onBytes: OnBytes) {
        const tally = new Tally();
        let at = 0;
        const stream = new ReadableStream<Uint8Array>({
          pull(controller): void {
            const piece = content.subarray(at, at += PIECE_BYTES);
            if (piece.length === 0) return controller.close();
            tally.add(piece);
            onBytes(piece.length);
            own?.(piece.length);
            controller.enqueue(piece);
          },
        }, { highWaterMark: 0 });
        return { stream, tally, change: () => undefined, [Symbol.dispose]: () => {} };
      },
      read(room: Uint8Array) {
        room.set(content);
        own?.(content.length);
        return undefined;
      },
    });
  }

  #acknowledged(name: string, size: number): void {
    const { trial, onFile } = this.#options;
    trial.possible.delete(name);
    trial.acknowledged.add(name);
    this.deeds.files++;
    this.deeds.bytes += size;
    onFile?.(name);
  }
}

/** The next response; `lost` if it does not come, or not whole. */
async function answered(wire: HttpWire): Promise<Response> {
  const response = await wire.response().catch((cause) => {
    throw new InletError("lost", "The response was cut", { cause });
  });
  if (!response) throw new InletError("lost", "The server closed without a response");
  return response;
}

/** Whether an error says that the connection was lost, as it is when the server is killed. */
export function isLost(error: unknown): boolean {
  return error instanceof InletError && error.code === "lost";
}
