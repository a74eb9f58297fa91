/**
 * `--accept`: receives what is offered under a code, into a directory.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import {
  type Accepted,
  encodeRequest,
  parseAccepted,
  parsePlate,
  type Reply,
  type Request,
} from "../../protocol.ts";
import { type CodeSecret, codeSecret } from "../../lib/auth/code_secret.ts";
import { exitCode, explain, InletError } from "../../lib/errors.ts";
import { toLocal } from "../../lib/local_errors.ts";
import { ConnectionStream } from "../../lib/net/connection_stream.ts";
import { DirectoryStore } from "../../lib/store/directory.ts";
import { DiskSpace } from "../../lib/store/disk_space.ts";
import type { OngoingUpload } from "../../lib/store/ongoing.ts";
import { formatCount } from "../../lib/text.ts";
import type { FilesClient } from "../../modes/files/client.ts";
import { unexpected } from "../../modes/files/requester.ts";
import type { Dialer } from "../dialer.ts";
import type { Received } from "../exchange.ts";
import type { AcceptAction } from "../meeting_plan.ts";
import { openReport } from "../open_report.ts";
import type { Plan } from "../plan.ts";
import type { Report } from "../report_forms.ts";
import { checkFolder } from "../save_path.ts";
import type { SendFilesOptions } from "../send.ts";
import { unfinished } from "../unfinished.ts";
import { Questions } from "./ask.ts";
import { isPassing } from "./waiting_offer.ts";
import { type Code, WordList } from "./code.ts";
import { messageQueue } from "./message.ts";
import { standingOf } from "./reach.ts";
import { Taking } from "./take.ts";
import { TakenStore } from "./taken_store.ts";
import { describeTerms, isWithin, type Terms, termsOf } from "./terms.ts";
import { Told } from "./told.ts";
import { makeReceiverId, tunnelsClosed, WRONG_WORDS } from "./tunnel.ts";
import { acceptWay } from "./ways.ts";

/** Milliseconds after which an answer is given that tells somebody who guesses as little as any other. */
const WRONG_MS = 1000;

/** What is said where no words can be wrong. */
const SOMEBODY_BETWEEN =
  "Cannot trust who answers: somebody stands in between; nothing was received";

/** What the one who offers is told of somebody who says no, and what that one is. */
const DECLINED = new InletError("denied", "The receiver has declined");
const OWN_DECLINED = "Declined: nothing was received";

/** Milliseconds between two attempts, and for how long they go on: no offer lasts longer. */
const RETRY_MS = 1000;
const LONGEST_MS = 3_600_000;

/** What the server says no more of an offer that it has known: the code was right. */
const GONE = new InletError("not-found", "The offer is over, or the one who offers has stopped");

/** How often an offer that was there before may be unknown to the server: it may have restarted. */
const MOST_UNKNOWN = 3;

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
  const how = { code, output, agrees, isDirect };
  const { failure } = await receiveOffer(dialer, how, plan, options);
  return failure ? exitCode(failure) : 0;
}

/** Receives the offer of a code, and reports it. */
export async function receiveOffer(
  dialer: Dialer,
  how: Pick<AcceptanceOptions, "code" | "output" | "agrees" | "isDirect" | "isForOnce">,
  plan: Plan,
  options: SendFilesOptions,
): Promise<Received> {
  const { output } = how;
  const { signal = new AbortController().signal, links, onNotice } = options;
  const { progress } = dialer.context;
  const report = await openReport(progress, { type: "get", names: [], output }, plan, signal);
  const space = await DiskSpace.ifPermitted();
  const directory = await DirectoryStore.open(output, {
    downloads: true,
    keepPartialsMs: plan.keepPartialsMs,
    ...{ links, space, warn: (text: string) => onNotice?.(text) },
  });
  unfinished.add(directory);
  const shortage = (bytes: number): string | undefined => space?.shortage(output, bytes);
  let isKnown = false;
  try {
    const given = { ...how, directory, report, signal, plan, shortage };
    await new Acceptance(dialer, given).run();
    isKnown = true;
  } catch (error) {
    const failure = explain(error);
    const isUntrusted = how.isForOnce && failure.message === WRONG_WORDS;
    const own = isUntrusted ? SOMEBODY_BETWEEN : failure === DECLINED ? OWN_DECLINED : undefined;
    report.fail(own === undefined ? failure : new InletError("denied", own));
  } finally {
    unfinished.delete(directory);
    // What cannot be swept now is left to the next time.
    await directory.sweep().catch(() => {});
    directory.close();
  }
  return { failure: await report.end(), isKnown };
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
  readonly #options: AcceptanceOptions;
  readonly #dialer: Dialer;
  /** Reaches the server until this is aborted: the tunnel within has its last words before. */
  readonly #stop = new AbortController();
  readonly #store: TakenStore;
  readonly #taking: Taking;
  /** What this directory remembers of the offer: who this receiver is, and whether all is there. */
  #note: OngoingUpload | undefined;
  #secret: { readonly salt: string; readonly derived: Promise<CodeSecret> } | undefined;
  #agreed: Terms | undefined;
  #isTold = false;
  #hasCome = false;
  /** Whether something was not stored. */
  #hasFailed = false;
  #isInTunnel = false;
  /** Whether the server has known the offer. */
  #isKnown = false;
  readonly #told: Told;

  constructor(dialer: Dialer, options: AcceptanceOptions) {
    const { directory, code, plan, report } = options;
    this.#options = options;
    const { progress } = dialer.context;
    this.#dialer = dialer.beside({ progress, signal: this.#stop.signal, retries: 0 });
    this.#store = new TakenStore(directory, {
      onBegin: (name) => progress.name(name),
      onBytes: (bytes, isKept) => isKept ? progress.skip(bytes) : progress.add(bytes),
      onWhole: () => this.#conclude(code),
      onKept: (kept) => {
        progress.addFiles(1);
        this.#told.kept(kept);
      },
    });
    const told = new Told(report, options.output);
    this.#told = told;
    this.#taking = new Taking({
      store: this.#store,
      stdout: messageQueue(plan, {
        agreedBytes: () => this.#agreed?.isMessage ? this.#agreed.bytes ?? 0 : undefined,
        isTold: () => this.#isTold,
      }),
      tellsStop: !options.isForOnce,
      shortage: options.shortage,
      signal: new AbortController().signal,
      timeoutMs: plan.options.timeoutMs,
      consent: (hello) => this.#consent(hello),
      onStored: (stored) => {
        progress.addFiles(1);
        told.stored(stored);
      },
      onLink: (name) => told.link(name),
      onMessage: () => {
        this.#isTold = true;
        this.#conclude(code).catch(() => {});
      },
      onFailure: (error) => {
        this.#hasFailed = true;
        report.fail(toLocal(error));
      },
    });
  }

  /** Receives, over as many pipes as it takes. */
  async run(): Promise<void> {
    const { directory, code, signal } = this.#options;
    // Only the plate, which is no secret, is kept here.
    const id = `accept ${code.plate}`;
    const known = await directory.ongoing.find(id);
    this.#hasCome = known !== undefined;
    const details = makeReceiverId();
    this.#note = known ??
      await directory.ongoing.begin(id, { name: code.plate, size: null, details });
    const onAbort = (): void => void (this.#isInTunnel || this.#stop.abort(signal.reason));
    signal.addEventListener("abort", onAbort);
    try {
      await this.#untilDone();
      await this.#note.remove();
    } catch (error) {
      const failure = explain(error);
      const comesAgain = isPassing(failure) || known && failure.message === WRONG_WORDS;
      // What cannot be removed expires, and is not what went wrong.
      if (!comesAgain || this.#options.isForOnce) await this.#note.remove().catch(() => {});
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      await tunnelsClosed();
      this.#stop.abort();
    }
  }

  async #untilDone(): Promise<void> {
    const { signal, isForOnce = false } = this.#options;
    const { onNotice } = this.#dialer.context;
    const until = performance.now() + LONGEST_MS;
    let told = "";
    let unknown = 0;
    for (;;) {
      signal.throwIfAborted();
      try {
        return await this.#once();
      } catch (error) {
        const said = explain(error);
        const failure = this.#isKnown && said.code === "not-found" ? GONE : said;
        // It is told by then, and the other side may have stopped for it.
        if (isForOnce && (this.#isWhole || this.#hasFailed)) return;
        signal.throwIfAborted();
        unknown = failure.code === "not-found" ? unknown + 1 : 0;
        const isOver = unknown > 0 && (!this.#isKnown || unknown >= MOST_UNKNOWN);
        // All was acknowledged, and only the last word of the other side was lost.
        if (isOver && (this.#isWhole || this.#note?.outcome)) return;
        const mayPass = this.#isKnown && performance.now() < until && isPassing(failure);
        if (isOver || !(mayPass || unknown > 0)) throw failure;
        if (told !== failure.message) onNotice(`${failure.message}; trying again`);
        told = failure.message;
        await delay(RETRY_MS, { signal });
      }
    }
  }

  get #isWhole(): boolean {
    return this.#agreed !== undefined &&
      (this.#agreed.isMessage ? this.#isTold : this.#store.isWhole);
  }

  async #conclude({ plate }: Code): Promise<void> {
    await this.#note?.conclude({ name: plate, size: 0 });
  }

  /** Meets the offering client once, and receives what it sends. */
  async #once(): Promise<void> {
    const { signal, isDirect, plan: { options: { timeoutMs: idleTimeoutMs, rate } } } =
      this.#options;
    const { progress } = this.#dialer.context;
    using pipe = await this.#dialer.open();
    const client = await this.#dialer.approach(pipe);
    const { salt, address } = await this.#ask(client);
    const secret = await this.#secretOf(salt);
    const stream = new ConnectionStream(pipe, met(client));
    const receiver = { id: this.#note!.details, isAgain: this.#hasCome };
    const standing = standingOf(pipe, address);
    const tunnel = { idleTimeoutMs, signal, rate };
    progress.doing("waiting for the one who offers");
    const way = await acceptWay(stream, receiver, {
      ...{ secret, standing, isDirect, tunnel, carrier: this.#stop.signal },
    })
      .catch((error) => late(error, signal));
    using connection = way.connection;
    this.#told.way = way.isDirect ? "direct" : "relayed";
    this.#isInTunnel = true;
    try {
      progress.follow(connection);
      await this.#taking.take(connection);
    } finally {
      this.#isInTunnel = false;
    }
    const { files = 0 } = this.#agreed ?? {};
    if (this.#isWhole || this.#hasFailed) return;
    const what = `${formatCount(this.#store.count)} of ${formatCount(files)} files are here`;
    this.#options.report.fail(new InletError("aborted", `Not all was received: ${what}`));
  }

  /** Asks the server for the offer. */
  async #ask(client: FilesClient): Promise<Accepted> {
    const [, , requester] = client.parts;
    const plate = parsePlate(this.#options.code.plate)!;
    await requester.writeAhead(encodeRequest({ type: "accept", plate }));
    await client.welcomed;
    const reply = await requester.reply();
    if (reply.type !== "ok") throw refused(reply);
    this.#isKnown = true;
    return parseAccepted(reply.detail);
  }

  #secretOf(salt: string): Promise<CodeSecret> {
    if (this.#secret?.salt !== salt) {
      const derived = codeSecret(this.#options.code.secret, Uint8Array.fromHex(salt));
      this.#secret = { salt, derived };
    }
    return this.#secret!.derived;
  }

  /** Asks whether to receive an offer, unless that was answered before. */
  async #consent(hello: Request): Promise<void> {
    const { progress } = this.#dialer.context;
    const terms = termsOf(hello);
    if (!this.#agreed || !isWithin(terms, this.#agreed)) {
      progress.doing(undefined);
      if (!await this.#options.agrees(terms)) {
        throw DECLINED;
      }
      this.#agreed = terms;
      this.#store.agree(terms);
      this.#hasCome = true;
    }
    progress.begin(terms.bytes, terms.files);
    progress.skip(this.#store.bytes);
    progress.addFiles(this.#store.count);
  }
}

/** Waits until the offering client is there. */
async function met(client: FilesClient): Promise<void> {
  const [, , requester] = client.parts;
  const reply = await requester.reply();
  if (reply.type !== "met") throw refused(reply);
}

/** The server knows no such offer, or what else it has said. */
function refused(reply: Reply): InletError {
  const refusal = unexpected(reply);
  return refusal.code === "denied" ? new InletError("not-found", refusal.message) : refusal;
}

/** Whoever guesses words waits as long as for a wrong plate. */
async function late(error: unknown, signal: AbortSignal): Promise<never> {
  if (explain(error).code === "denied") await delay(WRONG_MS, { signal });
  throw error;
}
