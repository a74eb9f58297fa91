/**
 * One request to a store and its answer, each within a time limit.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { SignedRequest } from "./signing.ts";

/** An answer, whatever it says. */
export interface Answer {
  /** The status of HTTP. */
  readonly status: number;
  /** Its headers. */
  readonly headers: Headers;
  /** What follows them. It fails if nothing comes for {@linkcode STALL_MS}. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** No answer, or not the whole of it: what the request has done is unknown. */
export class NoAnswer extends Error {
  /** The same for all of them. */
  override readonly name = "NoAnswer";
}

/** Milliseconds within which an answer has to begin. A store that lost a disk needs some. */
const ANSWER_MS = 30_000;
/** The slowest upload that is waited for, in bytes a second. */
const SLOWEST_UPLOAD = 128 * 1024;
/** Milliseconds within which more of an answer has to come. */
export const STALL_MS = 30_000;

/**
 * Sends a request.
 *
 * @throws {NoAnswer} if it cannot be sent, or no answer comes
 * @throws {InletError} `denied` if Deno does not permit it
 * @throws the reason of the signal
 */
export async function send(request: SignedRequest, signal?: AbortSignal): Promise<Answer> {
  signal?.throwIfAborted();
  const { method, url, headers, body } = request;
  const limitMs = ANSWER_MS + (body?.length ?? 0) / SLOWEST_UPLOAD * 1000;
  const giveUp = new AbortController();
  const late = new NoAnswer(`it does not answer within ${Math.round(limitMs / 1000)} s`);
  const timer = setTimeout(() => giveUp.abort(late), limitMs);
  const abort = (): void => giveUp.abort(signal!.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const settled = (): void => signal?.removeEventListener("abort", abort);
  try {
    const answer = await fetch(url, {
      method,
      headers,
      body: body ?? null,
      redirect: "manual",
      signal: giveUp.signal,
    });
    const content = answer.body
      ? guarded(answer.body, giveUp, settled)
      : new Blob().stream() as Answer["body"];
    if (!answer.body) settled();
    return { status: answer.status, headers: answer.headers, body: content };
  } catch (error) {
    settled();
    throw unanswered(error, signal);
  } finally {
    clearTimeout(timer);
  }
}

/** A body that fails when nothing more of it comes, and tells when it has ended. */
function guarded(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  giveUp: AbortController,
  settled: () => void,
): Answer["body"] {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      const stalled = new NoAnswer(`it sends nothing more for ${STALL_MS / 1000} s`);
      const timer = setTimeout(() => giveUp.abort(stalled), STALL_MS);
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        settled();
        controller.close();
      } catch (error) {
        settled();
        throw unanswered(error);
      } finally {
        clearTimeout(timer);
      }
    },
    async cancel(reason) {
      settled();
      await reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}

/** What a failure of fetch means. */
function unanswered(error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted || error instanceof NoAnswer || error instanceof InletError) return error;
  if (error instanceof Deno.errors.NotCapable) return error;
  return new NoAnswer(reasonOf(String((error as Error)?.message)), { cause: error });
}

/** The reasons that its texts have, and what they mean. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/os error (?:111|61|10061)\b/, "it refuses connections"],
  [/dns error|failed to lookup/, "its name is not known"],
  [/os error (?:101|113|110|65|51|60|100\d\d)\b/, "it cannot be reached"],
  [/certificate|UnknownIssuer/i, "its certificate is not valid for this machine"],
  [/tls|handshake|InvalidContentType|corrupt message/i, "it does not speak TLS as expected"],
  [/invalid HTTP|parse/i, "its answer is not HTTP"],
];

function reasonOf(message: string): string {
  return REASONS.find(([pattern]) => pattern.test(message))?.[1] ?? "the connection broke off";
}
