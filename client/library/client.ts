/**
 * A client for programs that stays connected: {@linkcode Client} says what it can do.
 *
 * A module of its own, because the command line and `send()` need none of it.
 *
 * @module
 */

import {
  type ClientFacts,
  clientFactsOf,
  isFolderEntry,
  type ListEntry,
  modeOf,
  type Stored,
  WITH_FACTS,
} from "../../protocol.ts";
import { quoted } from "../../lib/text.ts";
import type { ServerAddress } from "../../lib/address.ts";
import { GivenStream } from "../../lib/body/given_body.ts";
import type { Source } from "../../lib/body/sources.ts";
import { InletError } from "../../lib/errors.ts";
import type { ItemResult } from "../../modes/files/answers.ts";
import type { FilesClient } from "../../modes/files/client.ts";
import { Comparison } from "../../modes/files/compare.ts";
import type { ConnectOptions } from "../send_options.ts";
import {
  checkServerName,
  comparedOf,
  type GivenSource,
  isRepeatable,
  isSmall,
  sourceOf,
} from "./bodies.ts";
import { checkCall, checkClient } from "./checks.ts";
import { download } from "./download.ts";
import { failureOf, Flow, stopOnAbort } from "./flow.ts";
import { Watcher } from "./meter.ts";
import { Outbox } from "./outbox.ts";
import { type RequestOptions, Session } from "./session.ts";
import type {
  CallOptions,
  Client,
  Download,
  Entry,
  GetOptions,
  PutOptions,
  SayOptions,
  SentBody,
} from "./types.ts";

/** Pages of a list that are received before the program reads them. A page has up to 500 entries. */
const PAGES_AHEAD = 8;

/** Connects to a server, as `connect()` of client.ts does. */
export async function connectClient(
  address: ServerAddress,
  options: ConnectOptions,
): Promise<Client> {
  checkClient(address, options);
  const { signal, ...others } = options;
  const session = new Session(address, others);
  try {
    await session.run(() => Promise.resolve(), { signal });
    return new SessionClient(session);
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

class SessionClient implements Client {
  readonly #session: Session;
  /** What small puts are added to, until another request is made or its turn has come. */
  #outbox: Outbox | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  async put(name: string, body: SentBody, options: PutOptions = {}): Promise<Stored> {
    checkServerName("put", name);
    if (name.endsWith("/")) {
      throw new InletError("bad-name", `Cannot put ${quoted(name)}: it is the name of a folder`);
    }
    checkCall(options);
    const { signal } = options;
    const source = sourceOf(name, body, options);
    const small = source instanceof Promise || isSmall(source);
    const watcher = new Watcher(options);
    try {
      signal?.throwIfAborted();
      const result = small
        ? await (this.#outbox ?? this.#openOutbox()).add(source, signal)
        : await this.#putAlone(source, watcher, signal);
      if ("error" in result) throw result.error;
      const stored = result.stored as Stored;
      if (small) watcher.tellWhole(stored.size);
      await watcher.check();
      return stored;
    } catch (error) {
      throw this.#failureOf(source, error, signal);
    }
  }

  async get(name: string, options: GetOptions = {}): Promise<Download> {
    checkServerName("get", name);
    checkCall(options);
    this.#outbox = undefined;
    return await download(this.#session, name, options);
  }

  async *list(options: CallOptions = {}): AsyncGenerator<Entry, void> {
    checkCall(options);
    yield* this.#entries((client) => client.list(), options);
  }

  async *tree(name = "/", options: CallOptions = {}): AsyncGenerator<Entry, void> {
    checkServerName("list", name);
    checkCall(options);
    yield* this.#entries((client) => client.tree(name), options);
  }

  async status(options: CallOptions = {}): Promise<ClientFacts[]> {
    checkCall(options);
    const read = (client: FilesClient) => Array.fromAsync(client.status(WITH_FACTS));
    return (await this.#run(read, options)).flat().map((line) => {
      const facts = clientFactsOf(line);
      if (facts) return facts;
      throw new InletError("version", "Cannot read the status: the server is of an early version");
    });
  }

  async say(message: string | SentBody, options: SayOptions = {}): Promise<void> {
    checkCall(options);
    const { signal } = options;
    const body = typeof message === "string" ? new TextEncoder().encode(message) : message;
    const source = sourceOf("", body, options);
    const watcher = new Watcher(options);
    const say = async (client: FilesClient): Promise<void> => {
      const opened = await source;
      this.#session.meter.watch(watcher, opened.size);
      await client.say(opened);
    };
    // What was said once would be said twice.
    const isUnsaid = (): boolean => watcher.bytes === 0;
    try {
      await this.#run(say, { signal, cuts: true, isRepeatable: isUnsaid });
      await watcher.check();
    } catch (error) {
      throw this.#failureOf(source, error, signal);
    }
  }

  async chat(text: string, options: CallOptions = {}): Promise<void> {
    checkCall(options);
    if (typeof text !== "string" || /[\r\n]/.test(text) || !text.isWellFormed()) {
      throw new InletError("usage", "Cannot say this: give a text without line breaks, in Unicode");
    }
    await this.#run((client) => client.chat(text), options);
  }

  async mkdir(name: string, options: CallOptions = {}): Promise<string> {
    checkServerName("make", name);
    checkCall(options);
    return await this.#run((client) => {
      const [, , requester] = client.parts;
      return requester.request({ type: "mkdir", name });
    }, options);
  }

  async compare(
    name: string,
    body: Exclude<SentBody, ReadableStream<Uint8Array>>,
    options: CallOptions = {},
  ): Promise<string | undefined> {
    checkServerName("compare", name);
    checkCall(options);
    const file = comparedOf(name, body);
    return await this.#run(async (client) => {
      const answers: (string | InletError)[] = [];
      await new Comparison(...client.parts).run([file], (_, answer) => answers.push(answer));
      const [found] = answers;
      if (found instanceof InletError) throw found;
      return found === "" ? undefined : found;
    }, options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#session[Symbol.asyncDispose]();
  }

  async #run<T>(
    action: (client: FilesClient) => Promise<T>,
    { signal, cuts = false, isRepeatable = () => true }: RequestOptions,
  ): Promise<T> {
    this.#outbox = undefined;
    return await this.#session.run(action, { signal, cuts, isRepeatable });
  }

  async #putAlone(
    source: Source,
    watcher: Watcher,
    signal: AbortSignal | undefined,
  ): Promise<ItemResult> {
    return await this.#run(async (client) => {
      this.#session.meter.watch(watcher, source.size);
      const results: ItemResult[] = [];
      await client.send([source], (_, told) => results.push(told));
      const [result = { error: lost() }] = results;
      if ("error" in result && this.#session.allows(result.error)) throw result.error;
      return result;
    }, { signal, cuts: true, isRepeatable: () => isRepeatable(source) });
  }

  #openOutbox(): Outbox {
    const outbox = new Outbox();
    const close = (): void => {
      if (this.#outbox === outbox) this.#outbox = undefined;
    };
    const send = async (client: FilesClient): Promise<void> => {
      close();
      await outbox.send(client, (error) => this.#session.allows(error));
    };
    this.#run(send, {}).catch((error) => {
      // Its turn may never have come: nothing is added to it any more.
      close();
      outbox.fail(error);
    });
    return this.#outbox = outbox;
  }

  async *#entries(
    ask: (client: FilesClient) => AsyncIterable<ListEntry[]>,
    { signal }: CallOptions,
  ): AsyncGenerator<Entry, void> {
    signal?.throwIfAborted();
    const flow = new Flow<ListEntry[]>(this.#session, { highWaterMark: PAGES_AHEAD });
    using _ = stopOnAbort(flow, signal);
    let hasBegun = false;
    const list = async (client: FilesClient): Promise<void> => {
      for await (const page of ask(client)) {
        hasBegun = true;
        await client.pause(flow.write(page));
      }
    };
    // A list that is stopped is received to its end all the same: the wire has no way to stop it.
    this.#run(list, { isRepeatable: () => !hasBegun && !flow.stopped.aborted })
      .then(() => flow.end(), (error) => flow.fail(failureOf(error, signal)));
    for await (const page of flow.stream) yield* page.map(entryOf);
  }

  /** What a call has failed with. A stream that is not sent is cancelled. */
  #failureOf(source: GivenSource, error: unknown, signal: AbortSignal | undefined): unknown {
    if (!(source instanceof GivenStream)) return error;
    source.release(error);
    return signal?.aborted ? error : source.failure ?? error;
  }
}

function lost(): InletError {
  return new InletError("lost", "The connection ended before the transfer");
}

function entryOf(entry: ListEntry): Entry {
  const { name, size, modified, to } = entry;
  return {
    name,
    kind: to !== undefined ? "link" : isFolderEntry(entry) ? "folder" : "file",
    size: size ?? undefined,
    modified,
    mode: modeOf(entry),
    target: to,
  };
}
