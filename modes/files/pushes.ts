/**
 * The server half of requests that store something small, one after another: files, folders and links.
 *
 * 1. C: `mkdir;files=2 a`, `push 6 a/b`, the bytes, `end 363a3020`, `push 6 a/c`, the bytes,
 *    `end 363a3020`.
 * 2. S: `ok a`, `ok 6 363a3020 a/b`, `ok 6 363a3020 a/c`, once the two announced files are there and
 *    the folder with them has its name.
 *
 * A request that is complete in the connection's buffer needs no stream: the server verifies it in
 * place, stores it, and takes the next. It sends the answers together before it waits for more
 * bytes. Anything else stays in the buffer for the code that reads every request.
 *
 * Answers wait until what they acknowledge is published: until all announced files are there, or
 * another request comes, or ten seconds have passed, or nothing more comes for
 * {@linkcode HELD_MS}, or the client leaves.
 *
 * @module
 */

import { encodeLines, folderFactsOf, formatReply, linkFactsOf } from "../../protocol.ts";
import { checkAccess, isDropOnly } from "../../lib/auth/access.ts";
import { Tally } from "../../lib/body/streams.ts";
import { explain, formatError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { admit, admittedFacts, shownName } from "../../lib/server/admission.ts";
import { rightsOf, type ServerContext } from "../../lib/server/context.ts";
import type { UploadId } from "../../lib/server/acknowledged.ts";
import type { Maybe } from "../../lib/store/store.ts";
import type { BatchedFolder, StoreBatch } from "../../lib/store/store_batch.ts";
import { quoted } from "../../lib/text.ts";
import { isTurnDue, takeTurns } from "../../lib/turns.ts";
import { acknowledge } from "./admission.ts";
import { type ArrivedPush, findArrived, isLinePending, type Making } from "./arrived.ts";
import { checkEnd } from "./verification.ts";
import { patiently } from "./wait.ts";

/** Milliseconds that answers wait for announced files, while nothing arrives. */
const HELD_MS = 250;

/** Milliseconds in which answers are sent once while more files arrive: a write takes longer than a file. */
const GATHERED_MS = 20;

/** Most answers that wait, and the most milliseconds that they do. */
const MAX_HELD = 16_384;
const MAX_HELD_MS = 10_000;

/** Tells that a folder has its time already. */
const FINISHED = { fields: { time: "set" } };

/** A request whose answer waits. */
interface Pending {
  /** What it stores: it is answered once that has a name or a failure. */
  readonly file: BatchedFolder;
  /** The requested name. */
  readonly name: string;
  /** When it arrived. */
  readonly since: number;
  /** What it makes, if that is no file. */
  readonly making?: "folder" | "link";
  /** What a file holds, once that is verified. */
  readonly upload?: UploadId | undefined;
  /** Whether it was stored before. */
  isKnown?: boolean;
  /** Takes the published name, or none if it was not published. */
  readonly end?: ((name?: string) => void) | undefined;
}

/**
 * Stores small files, folders and links, for as long as they arrive without a pause.
 *
 * @returns Whether there was at least one.
 */
export async function servePushes(
  connection: Connection,
  context: ServerContext,
): Promise<boolean> {
  using _ = connection.enforceMinRate();
  using batch = context.store.batch();
  return await new Pushes(connection, context, batch).serve();
}

/** Makes a folder or a link, whose request needed another look before. */
export async function serveMaking(
  connection: Connection,
  context: ServerContext,
  request: Making,
): Promise<void> {
  using batch = context.store.batch();
  await new Pushes(connection, context, batch).serveMaking(request);
}

class Pushes {
  readonly #connection: Connection;
  readonly #context: ServerContext;
  readonly #batch: StoreBatch;
  /** Requests without an answer, in order. */
  #pending: Pending[] = [];
  #answers: string[] = [];
  #flushedAt = -Infinity;

  constructor(connection: Connection, context: ServerContext, batch: StoreBatch) {
    this.#connection = connection;
    this.#context = context;
    this.#batch = batch;
  }

  async serve(): Promise<boolean> {
    const connection = this.#connection;
    let served = false;
    try {
      while (!this.#context.signal.aborted) {
        const arrived = findArrived(connection.buffered);
        if (typeof arrived === "object") {
          const storing = "content" in arrived ? this.#push(arrived) : this.#make(arrived.request);
          if (storing) await this.#present(storing);
          connection.skip(arrived.bytes);
          served = true;
          if (this.#isHeldLong()) await this.#commit();
          if (connection.buffered.length > 0 && isTurnDue()) await takeTurns();
          continue;
        }
        if (arrived === undefined && !isLinePending(connection.buffered)) break;
        if (await this.#isMoreSoon()) continue;
        // The client may wait for these answers before it sends the rest.
        await this.#commit();
        if (arrived === undefined || !await connection.gather(arrived)) break;
      }
    } finally {
      // What has arrived whole is stored, whether its client is still there or not.
      await this.#commit();
    }
    return served;
  }

  async serveMaking(request: Making): Promise<void> {
    const making = this.#make(request);
    if (making) await this.#present(making);
    await this.#commit();
  }

  /**
   * Waits briefly for announced files, and for more to come while others are being stored: a store that is
   * far away is kept busy.
   */
  async #isMoreSoon(): Promise<boolean> {
    const { owed, settling } = this.#batch;
    if (owed === 0 && !settling || this.#pending.length === 0 || this.#isHeldLong()) return false;
    const isFlushDue = performance.now() - this.#flushedAt >= GATHERED_MS;
    if (isFlushDue) await this.#flush();
    // What is stored meanwhile is acknowledged soon, whatever the others take.
    const waitMs = !settling ? HELD_MS : isFlushDue ? MAX_HELD_MS : GATHERED_MS;
    // A client that waits for its answers is not silent.
    if (settling) this.#connection.unwatched(settling).catch(() => {});
    const arrival = await this.#connection.arrivalWithin(waitMs, { ahead: true, until: settling });
    return arrival === "bytes" || arrival === "pause" && settling !== undefined;
  }

  /** Whether answers have waited for so long, or are so many, that they wait for nothing more. */
  #isHeldLong(): boolean {
    const [first] = this.#pending;
    return first !== undefined &&
      (this.#pending.length >= MAX_HELD || performance.now() - first.since >= MAX_HELD_MS);
  }

  /** Publishes what arrived, and answers. */
  async #commit(): Promise<void> {
    const committing = this.#batch.commit();
    if (committing) await this.#present(committing);
    await this.#flush();
  }

  /** Waits for the store, as the client does. What has arrived is stored even if that one leaves. */
  async #present(storing: Promise<void>): Promise<void> {
    const what = "store what has arrived";
    await patiently(this.#connection, what, () => storing, { usesChunk: true }).catch(() => {});
    await storing;
  }

  /** Sends the answers that there are. */
  async #flush(): Promise<void> {
    this.#settle();
    this.#flushedAt = performance.now();
    if (this.#answers.length === 0) return;
    const answers = this.#answers;
    this.#answers = [];
    await this.#connection.write(encodeLines(answers));
  }

  /** Formats the answers to the first requests, as far as what they store is published. */
  #settle(): void {
    let settled = 0;
    for (const pending of this.#pending) {
      if (pending.file.name === undefined && pending.file.failure === undefined) break;
      settled++;
      this.#answers.push(this.#answer(pending));
    }
    if (settled === this.#pending.length) this.#pending = [];
    else if (settled > 0) this.#pending.splice(0, settled);
  }

  #answer(pending: Pending): string {
    const { file, name, since, end } = pending;
    const { log } = this.#context;
    log.begin(name, since);
    end?.(file.name);
    try {
      if (file.failure) throw file.failure;
      return pending.upload
        ? this.#acknowledgeFile(pending, pending.upload, file.name!)
        : this.#acknowledgeMade(pending, file.name!);
    } catch (error) {
      const failure = explain(error, `Cannot ${whatOf(pending)}`);
      log.failure(failure);
      return formatError(failure);
    }
  }

  #acknowledgeFile(pending: Pending, { size, crc }: UploadId, stored: string): string {
    const whole = { size, crc, name: stored };
    if (!pending.isKnown) this.#context.log.stored(whole);
    return acknowledge(this.#context, whole, pending.name);
  }

  #acknowledgeMade({ file, name, making }: Pending, stored: string): string {
    const { isNew, isFinished } = file;
    const context = this.#context;
    if (isNew) context.log.info(making!, `made the ${making} ${quoted(stored)}`, { file: stored });
    // With a number it would tell that a file has the name, and without a time that a folder does.
    const detail = shownName(context, stored, name);
    const isTold = isFinished && !isDropOnly(rightsOf(context));
    return formatReply({ type: "ok", detail, ...isTold && FINISHED });
  }

  /** Adds a request to a file, folder or link that may still be on its way into the store. */
  #add(file: Maybe<BatchedFolder>, pending: Omit<Pending, "file">): Maybe<void> {
    if (!(file instanceof Promise)) return void this.#pending.push({ ...pending, file });
    const failed = (error: unknown): BatchedFolder => ({
      failure: explain(error, `Cannot ${whatOf(pending)}`),
    });
    return file.catch(failed).then((file) => void this.#pending.push({ ...pending, file }));
  }

  /** Stores a file. */
  #push({ request: { size, name, fields }, content, trailer }: ArrivedPush): Maybe<void> {
    const context = this.#context;
    const since = performance.now();
    const what = whatOf({ name });
    let upload: UploadId | undefined;
    let end: Pending["end"];
    try {
      admit(context, "push", what, size);
      const tally = new Tally();
      tally.add(content);
      const { id } = fields ?? {};
      const told = admittedFacts(context, checkEnd(what, tally, trailer));
      const facts = id === undefined ? told : { ...told, id };
      upload = { id, size, crc: tally.crc };
      end = context.acknowledged.begin(upload);
      if (!end) {
        const publish = async (): Promise<string> => await context.store.put(name, content, facts);
        return this.#again(publish, { name, since, upload });
      }
      // Most stores return at once. Awaiting a promise for each of thousands of files is measurable.
      return this.#add(this.#batch.put(name, content, facts), { name, since, upload, end });
    } catch (error) {
      const failure = explain(error, `Cannot ${what}`);
      return this.#add({ failure }, { name, since, upload, end });
    }
  }

  /** Finds out what became of a file that was sent before, and stores it if that was nothing. */
  async #again(
    publish: () => Promise<string>,
    pending: Omit<Pending, "file"> & { upload: UploadId },
  ): Promise<void> {
    // It may be in this batch.
    await this.#batch.commit();
    this.#settle();
    const onThere = (): void => void (pending.isKnown = true);
    const name = this.#context.acknowledged.publishOnce(pending.upload, publish, onThere);
    await this.#add(name.then((name) => ({ name })), pending);
  }

  /** Makes a folder or a link. */
  #make(request: Making): Maybe<void> {
    const { type, name } = request;
    const making = type === "mkdir" ? "folder" : "link";
    const pending = { name, since: performance.now(), making } as const;
    const what = whatOf(pending);
    try {
      checkAccess(rightsOf(this.#context), type, what);
      const made = type === "mkdir"
        ? this.#batch.makeFolder(name, folderFactsOf(request))
        : this.#batch.makeLink(name, linkFactsOf(request));
      return this.#add(made, pending);
    } catch (error) {
      return this.#add({ failure: explain(error, `Cannot ${what}`) }, pending);
    }
  }
}

/** What a request does, for a message. */
function whatOf({ making, name }: Pick<Pending, "making" | "name">): string {
  return making ? `make the ${making} ${quoted(name)}` : `store ${quoted(name)}`;
}
