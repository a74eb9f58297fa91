/**
 * One request to a store and its answer, each within a time limit.
 *
 * @module
 */

import { Semaphore } from "../semaphore.ts";
import { type Answer, NoAnswer, noAnswerFor } from "./answer.ts";
import { uploadPlainly } from "./plain_upload.ts";
import type { SignedRequest } from "./signing.ts";
import { Watch } from "./watch.ts";

/** How long a store is waited for. */
export interface Limits {
  /** Milliseconds within which an answer has to begin. A store that lost a disk needs some. */
  readonly answerMs: number;
  /** Milliseconds within which more of an answer has to come. */
  readonly stallMs: number;
}

/** The usual limits. */
export const LIMITS: Limits = { answerMs: 30_000, stallMs: 30_000 };

/** The slowest upload that is waited for, in bytes a second. */
const SLOWEST_UPLOAD = 128 * 1024;

/**
 * Sends a request.
 *
 * @throws {NoAnswer} if it cannot be sent, or no answer comes
 * @throws {Deno.errors.NotCapable} if Deno does not permit it
 * @throws the reason of the signal
 */
export async function send(
  request: SignedRequest,
  { answerMs, stallMs }: Limits,
  signal?: AbortSignal,
): Promise<Answer> {
  signal?.throwIfAborted();
  const isPlain = request.url.startsWith("http:");
  const isCopied = !isPlain && isLarge(request);
  using _ = isCopied ? await copied.acquire(signal) : undefined;
  const watch = new Watch(signal);
  watch.limit(
    answerMs + (request.body?.length ?? 0) / SLOWEST_UPLOAD * 1000,
    "it does not answer within",
  );
  const stalls = (): void => watch.limit(stallMs, "it sends nothing more for");
  try {
    const sending = request.body && isPlain ? uploadPlainly : fetched;
    return await sending(request, watch, stalls);
  } catch (error) {
    watch.end();
    throw failure(error, signal);
  }
}

/** From so many bytes on a body is sent with few others at once. */
const LARGE_BYTES = 1024 * 1024;

/**
 * Most large bodies that fetch sends at once: it copies each of them twice, and a connection that has
 * carried one holds as much memory until it is closed.
 */
const MOST_COPIED = 4;

const copied = new Semaphore(MOST_COPIED);

let forLarge: Deno.HttpClient | undefined;

/** The connections for large bodies. */
function clientForLarge(): Deno.HttpClient {
  return forLarge ??= Deno.createHttpClient({ poolMaxIdlePerHost: MOST_COPIED });
}

function isLarge({ body }: SignedRequest): boolean {
  return body !== undefined && body.length >= LARGE_BYTES;
}

/** Most bytes that are read at once, unless the reader has memory of its own. */
const CHUNK_BYTES = 64 * 1024;

/** Sends a request by fetch. */
async function fetched(
  request: SignedRequest,
  watch: Watch,
  stalls: () => void,
): Promise<Answer> {
  const { method, url, headers, body } = request;
  const { signal } = watch;
  const client = isLarge(request) ? clientForLarge() : undefined;
  const answer = await fetch(url, {
    ...{ method, headers, signal },
    body: body ?? null,
    redirect: "manual",
    ...client && { client },
  });
  const reader = answer.body?.getReader({ mode: "byob" });
  if (reader) watch.pause();
  else watch.end();
  return {
    status: answer.status,
    headers: answer.headers,
    async read(memory = new Uint8Array(CHUNK_BYTES)) {
      stalls();
      try {
        const { value, done = true } = await reader?.read(memory) ?? {};
        if (done) return void watch.end();
        watch.pause();
        return value;
      } catch (error) {
        watch.end();
        throw failure(error, watch.outer);
      }
    },
    async cancel() {
      watch.end();
      await reader?.cancel();
    },
  };
}

/** What was thrown, as the caller is told it. */
function failure(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  const isClear = error instanceof NoAnswer || error instanceof Deno.errors.NotCapable;
  return isClear ? error : noAnswerFor(error);
}
