/**
 * Asks the server which files it has already.
 *
 * 1. C: `compare 6 - 2026-11-21T08:38:00Z a.txt`, for every file. S: `ok a.txt` if it has that file,
 *    `ok` if it has none, `ok;crc=needed` if only the CRC-32 can tell.
 * 2. C: `compare 6 363a3020 2026-11-21T08:38:00Z a.txt`, for each of the last kind. S: `ok a.txt` or
 *    `ok`.
 *
 * So only what may be there already is read. A module of its own, because most transfers compare
 * nothing.
 *
 * @module
 */

import { encodeRequest, type Reply } from "../../protocol.ts";
import { Reading } from "../../lib/body/reading.ts";
import type { OnBytes } from "../../lib/body/streams.ts";
import type { ClientContext } from "../../lib/cli/client_context.ts";
import { fileFigures } from "../../lib/cli/progress.ts";
import { explain, InletError } from "../../lib/errors.ts";
import { localError } from "../../lib/local_errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { quoted } from "../../lib/text.ts";
import { decodeOk } from "./answers.ts";
import { checkName } from "./batch.ts";
import { MAX_PUSHED_BYTES } from "./framing.ts";
import { Pipeline } from "./pipeline.ts";
import type { Requester } from "./requester.ts";

/** A file to compare with the server's. */
export interface Compared {
  /** Name for messages. */
  readonly label: string;
  /** Name on the server. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /** Modification time. */
  readonly modified: Date;
  /** Whether size and time are known to leave it open, so that only the CRC-32 can tell. */
  readonly needsCrc?: boolean;
  /** Reads the whole file for its CRC-32. */
  crc(onBytes?: OnBytes): Promise<number>;
}

/** Called with the name of the server's file that is the same; empty if there is none. */
export type OnCompared<T> = (file: T, name: string | InletError) => void;

/** Compares files on one connection. Nothing else may be in flight on it. */
export class Comparison {
  readonly #connection: Connection;
  readonly #context: ClientContext;
  readonly #requester: Requester;
  readonly #pipeline: Pipeline;

  constructor(connection: Connection, context: ClientContext, requester: Requester) {
    this.#connection = connection;
    this.#context = context;
    this.#requester = requester;
    this.#pipeline = new Pipeline(requester);
  }

  /**
   * Asks for every file.
   *
   * @throws {InletError} what ended the session
   */
  async run<T extends Compared>(files: readonly T[], onAnswer: OnCompared<T>): Promise<void> {
    const { progress } = this.#context;
    const unsure = files.filter(({ needsCrc }) => needsCrc);
    let compared = 0;
    const word = files.length === 1
      ? "comparing"
      : () => `comparing ${fileFigures(compared, files.length)}`;
    const tell: OnCompared<T> = (file, name) => {
      compared++;
      progress.doing(word);
      onAnswer(file, name);
    };
    progress.doing(word);
    let refusal: InletError | undefined;
    let isFirst = true;
    for (const file of files) {
      if (file.needsCrc) continue;
      if (refusal) {
        tell(file, refusal);
        continue;
      }
      await this.#ask(file, null, (name, needsCrc) => {
        if (name instanceof InletError && refusesAll(name)) refusal = name;
        if (needsCrc) unsure.push(file);
        else tell(file, name);
      });
      // A server that only takes files refuses them all, and is asked for one.
      if (isFirst) await this.#pipeline.settle();
      isFirst = false;
    }
    await this.#settle();
    const reading = new Reading(unsure.reduce((sum, { size }) => sum + size, 0));
    for (const file of unsure) {
      progress.doing(() => `checking ${file.label}: ${reading}`);
      const crc = await this.#crcOf(file, reading);
      if (crc instanceof InletError) tell(file, crc);
      else await this.#ask(file, crc, (name) => tell(file, name));
    }
    await this.#settle();
    progress.doing(undefined);
  }

  async #crcOf(file: Compared, reading: Reading): Promise<number | InletError> {
    this.#context.progress.name(file.label);
    try {
      return await this.#connection.unwatched(file.crc((bytes) => reading.add(bytes)));
    } catch (error) {
      return failureOf(file, error);
    }
  }

  async #ask(
    file: Compared,
    crc: number | null,
    take: (name: string | InletError, needsCrc: boolean) => void,
  ): Promise<void> {
    let request: Uint8Array;
    try {
      checkName(file);
      const { name, size, modified } = file;
      request = encodeRequest({ type: "compare", size, crc, modified, name });
    } catch (error) {
      return take(failureOf(file, error), false);
    }
    const readBytes = crc === null ? 0 : file.size;
    (await this.#pipeline.room(request.length)).set(request);
    this.#pipeline.add(request.length, (reply) => {
      take(nameIn(reply), "fields" in reply && reply.fields?.crc === "needed");
    }, readBytes);
    // The server reads a large file while the client reads the next one.
    if (readBytes > MAX_PUSHED_BYTES) await this.#pipeline.send();
  }

  async #settle(): Promise<void> {
    await this.#pipeline.settle();
    if (this.#requester.end) throw this.#requester.end;
  }
}

/** The name in a reply, or why there is none. */
function nameIn(reply: Reply | InletError): string | InletError {
  if (reply instanceof InletError) return reply;
  try {
    return decodeOk(reply);
  } catch (error) {
    return explain(error);
  }
}

/** Whether the server compares no files at all. A file behind a link is denied in other words. */
function refusesAll({ code, message }: InletError): boolean {
  return code === "denied" && message.startsWith("Cannot compare ");
}

function failureOf({ label }: Compared, error: unknown): InletError {
  return localError(error, `Cannot send ${quoted(label)}`);
}
