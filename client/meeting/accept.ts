/**
 * `--accept`: receives what is offered under a code, into a directory.
 *
 * @module
 */

import { encodeRequest, parseAccepted, type Reply, type Request } from "../../protocol.ts";
import { type CodeSecret, codeSecret } from "../../lib/auth/code_secret.ts";
import { writeStdout } from "../../lib/body/stdio.ts";
import { exitCode, explain, InletError, refusalIn } from "../../lib/errors.ts";
import { localError, toLocal } from "../../lib/local_errors.ts";
import { ConnectionStream } from "../../lib/net/connection_stream.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { escaping, StdoutQueue } from "../../lib/server/stdout_queue.ts";
import { DirectoryStore } from "../../lib/store/directory.ts";
import { DiskSpace } from "../../lib/store/disk_space.ts";
import type { OngoingUpload } from "../../lib/store/ongoing.ts";
import { quoted } from "../../lib/text.ts";
import type { FilesClient } from "../../modes/files/client.ts";
import type { Dialer } from "../dialer.ts";
import { openReport } from "../open_report.ts";
import type { AcceptAction } from "../meeting_plan.ts";
import type { Plan } from "../plan.ts";
import type { Report } from "../report_forms.ts";
import { Retries } from "../retry.ts";
import { checkFolder, pathIn } from "../save_path.ts";
import type { SendFilesOptions } from "../send.ts";
import { unfinished } from "../unfinished.ts";
import { Questions } from "./ask.ts";
import { type Code, WordList } from "./code.ts";
import { Taking } from "./take.ts";
import { TakenStore } from "./taken_store.ts";
import { describeTerms, isWithin, type Terms, termsOf } from "./terms.ts";
import { standingOf } from "./reach.ts";
import { makeReceiverId, WRONG_WORDS } from "./tunnel.ts";
import { acceptWay } from "./ways.ts";

/** Milliseconds after which an answer is given that tells somebody who guesses as little as any other. */
const WRONG_MS = 1000;

/** What is said where no words can be wrong. */
const SOMEBODY_BETWEEN =
  "Cannot trust who answers: somebody stands in between; nothing was received";

/** How often a tunnel is tried in a row that brings nothing. */
const MOST_TRIES = 1000;

/** Receives what is offered. Returns the exit code. */
export async function runAccept(
  dialer: Dialer,
  { output = ".", yes, isDirect }: AcceptAction,
  plan: Plan,
  options: SendFilesOptions,
): Promise<number> {
  checkFolder(output);
  const { signal = new AbortController().signal, onNotice } = options;
  const questions = new Questions(signal);
  const code = await questions.code(await WordList.load());
  const agrees = async (terms: Terms): Promise<boolean> => {
    const what = describeTerms(terms);
    if (!yes) return await questions.agrees(`Receive ${what}?`);
    onNotice?.(`Receiving ${what}`);
    return true;
  };
  const failure = await receiveOffer(dialer, { code, output, agrees, isDirect }, plan, options);
  return failure ? exitCode(failure) : 0;
}

/** Receives the offer of a code, and reports it. Returns why not all of it was received. */
export async function receiveOffer(
  dialer: Dialer,
  how: Pick<AcceptanceOptions, "code" | "output" | "agrees" | "isDirect" | "isForOnce">,
  plan: Plan,
  options: SendFilesOptions,
): Promise<InletError | undefined> {
  const { output } = how;
  const { signal = new AbortController().signal } = options;
  const { progress } = dialer.context;
  const report = await openReport(progress, { type: "get", names: [], output }, plan);
  const space = await DiskSpace.ifPermitted();
  const directory = await DirectoryStore.open(output, {
    downloads: true,
    keepPartialsMs: plan.keepPartialsMs,
    links: options.links,
    ...{ space, warn: (text: string) => options.onNotice?.(text) },
  }).catch((error) => {
    throw localError(error, `Cannot save into ${quoted(output)}`);
  });
  unfinished.add(directory);
  try {
    const acceptance = new Acceptance(dialer, {
      ...{ ...how, directory, report, signal, plan },
      shortage: (bytes) => space?.shortage(output, bytes),
    });
    await acceptance.run();
  } catch (error) {
    const failure = explain(error);
    const isUntrusted = how.isForOnce && failure.message === WRONG_WORDS;
    report.fail(isUntrusted ? new InletError("denied", SOMEBODY_BETWEEN) : failure);
  } finally {
    unfinished.delete(directory);
    await directory.sweep().catch(() => {});
    directory.close();
  }
  return await report.end();
}

/** What {@linkcode Acceptance} needs. */
interface AcceptanceOptions {
  readonly code: Code;
  readonly directory: DirectoryStore;
  readonly output: string;
  readonly isDirect: boolean;
  /** Whether nobody comes again with the code after a failure. */
  readonly isForOnce?: boolean | undefined;
  readonly report: Report;
  readonly signal: AbortSignal;
  readonly plan: Plan;
  shortage(bytes: number): string | undefined;
  /**
   * Whether to receive what is offered.
   *
   * @throws {InletError} why it is not received
   */
  agrees(terms: Terms): Promise<boolean>;
}

class Acceptance {
  readonly #dialer: Dialer;
  readonly #options: AcceptanceOptions;
  readonly #store: TakenStore;
  readonly #taking: Taking;
  /** What this directory remembers of the offer: who this receiver is, and whether all is there. */
  #note: OngoingUpload | undefined;
  #secret: { salt: string; derived: Promise<CodeSecret> } | undefined;
  #agreed: Terms | undefined;
  #isMessageTold = false;
  #hasCome = false;
  #hasFailed = false;
  #isReached = false;
  #way: "direct" | "relayed" = "relayed";

  constructor(dialer: Dialer, options: AcceptanceOptions) {
    const { directory, output, report, plan } = options;
    const { progress } = dialer.context;
    this.#dialer = dialer;
    this.#options = options;
    this.#store = new TakenStore(directory, {
      onBytes: (bytes, isKept) => isKept ? progress.skip(bytes) : progress.add(bytes),
      onWhole: async () => await this.#note?.conclude({ name: options.code.plate, size: 0 }),
    });
    const folders = new Set<string>();
    const folderOf = (name: string): { folder?: string } => {
      const folder = name.split("/", 1)[0]!;
      if (folder === name) return {};
      if (!folders.has(folder)) report.begin(folder, pathIn(output, folder));
      folders.add(folder);
      return { folder };
    };
    this.#taking = new Taking({
      store: this.#store,
      stdout: this.#messages(plan),
      shortage: options.shortage,
      signal: new AbortController().signal,
      timeoutMs: plan.options.timeoutMs,
      consent: (hello) => this.#consent(hello),
      onStored: (stored) => {
        const { name } = stored;
        progress.addFiles(1);
        const path = pathIn(output, name);
        report.add({ label: name, name, stored, path, way: this.#way, ...folderOf(name) });
      },
      onLink: (name) => {
        const path = pathIn(output, name);
        const link = { label: name, name, stored: { name }, isLink: true as const, path };
        report.add({ ...link, way: this.#way, ...folderOf(name) });
      },
      onMessage: () => this.#isMessageTold = true,
      onFailure: (error) => {
        this.#hasFailed = true;
        report.fail(toLocal(error));
      },
    });
  }

  async run(): Promise<void> {
    const { directory, code, signal } = this.#options;
    // Only the plate, which is no secret, is kept here.
    const id = `accept ${code.plate}`;
    const known = await directory.ongoing.find(id);
    this.#hasCome = known !== undefined;
    this.#note = known ?? await directory.ongoing.begin(id, {
      name: code.plate,
      size: null,
      details: makeReceiverId(),
    });
    const retries = new Retries({
      limit: MOST_TRIES,
      signal,
      onNotice: (text) => this.#dialer.context.onNotice(text),
    });
    try {
      for (;;) {
        try {
          await this.#once();
          break;
        } catch (error) {
          const failure = explain(error);
          if (this.#isWhole || (this.#options.isForOnce && this.#hasFailed)) break;
          // It was killed between the last byte and the end of the conversation.
          if (failure.code === "denied" && this.#note.outcome) break;
          if (!this.#isReached || !retries.allows(failure)) throw failure;
          await retries.wait(failure);
        }
      }
    } catch (error) {
      if (!this.#hasCome || this.#options.isForOnce) await this.#note.remove();
      throw error;
    }
    await this.#note.remove();
  }

  get #isWhole(): boolean {
    if (!this.#agreed) return false;
    return this.#agreed.isMessage ? this.#isMessageTold : this.#store.isWhole;
  }

  /** Meets the offering client once, and receives what it sends. */
  async #once(): Promise<void> {
    const { signal, code, plan, isDirect } = this.#options;
    using pipe = await this.#dialer.open();
    const client = await this.#dialer.approach(pipe);
    const [, , requester] = client.parts;
    const [number = "", word = ""] = code.plate.split("-");
    await requester.writeAhead(encodeRequest({ type: "accept", plate: { number, word } }));
    await client.welcomed;
    const reply = await requester.reply();
    if (reply.type !== "ok") throw refused(reply);
    this.#isReached = true;
    const { salt, address } = parseAccepted(reply.detail);
    const secret = await this.#secretOf(salt);
    const stream = new ConnectionStream(pipe, met(client));
    const { id, isAgain } = { id: this.#note!.details, isAgain: this.#hasCome };
    const tunnel = { idleTimeoutMs: plan.options.timeoutMs, signal, rate: plan.options.rate };
    const standing = standingOf(pipe, address);
    const way = await acceptWay(stream, { id, isAgain }, { secret, standing, isDirect, tunnel })
      .catch((error) => late(error, signal));
    using connection = way.connection;
    this.#way = way.isDirect ? "direct" : "relayed";
    this.#hasCome = true;
    this.#dialer.context.progress.follow(connection);
    await this.#receive(connection);
  }

  async #receive(connection: Connection): Promise<void> {
    await this.#taking.take(connection);
    if (!this.#isWhole) throw new InletError("lost", "The other side closed the connection");
  }

  #secretOf(salt: string): Promise<CodeSecret> {
    if (this.#secret?.salt !== salt) {
      const derived = codeSecret(this.#options.code.secret, Uint8Array.fromHex(salt));
      this.#secret = { salt, derived };
    }
    return this.#secret!.derived;
  }

  async #consent(hello: Request): Promise<void> {
    const { progress } = this.#dialer.context;
    const terms = termsOf(hello);
    if (!this.#agreed || !isWithin(terms, this.#agreed)) {
      if (!await this.#options.agrees(terms)) {
        throw new InletError("denied", "The receiver has declined");
      }
      this.#agreed = terms;
      this.#store.agree(terms);
    }
    progress.begin(terms.bytes, terms.files);
  }

  /** Where a message goes: once, however often it is sent. */
  #messages({ raw }: Plan): StdoutQueue {
    const write = async (chunk: Uint8Array): Promise<void> => {
      if (!this.#isMessageTold) await writeStdout(chunk);
    };
    return new StdoutQueue({
      write,
      ...Deno.stdout.isTerminal() && !raw && { output: escaping },
    });
  }
}

/** Waits until the offering client is there. */
async function met(client: FilesClient): Promise<void> {
  const [, , requester] = client.parts;
  const reply = await requester.reply();
  if (reply.type !== "met") throw refused(reply);
}

function refused(reply: Reply): InletError {
  return refusalIn(reply) ??
    new InletError("bad-request", `The server sent an unexpected reply: ${reply.type}`);
}

/** Whoever guesses waits as long as for a wrong number. */
async function late(error: unknown, signal: AbortSignal): Promise<never> {
  if (explain(error).code === "denied") {
    const { delay } = await import("@std/async/delay");
    await delay(WRONG_MS, { signal });
  }
  throw error;
}
