/**
 * Requests with content over plain HTTP. They go by node:http, which hands the bytes to the socket as they
 * are: fetch copies them first, which for parts of 8 MiB takes four times the time of the processor and
 * three times the memory. TLS stays with fetch: node:https does not trust what `deno run --cert` names.
 *
 * @module
 */

import { Agent, type ClientRequest, type IncomingMessage, request as open } from "node:http";
import type { Answer } from "./answer.ts";
import type { SignedRequest } from "./signing.ts";
import type { Watch } from "./watch.ts";

/** Milliseconds after which a connection is closed that nothing uses. Stores close theirs later. */
const IDLE_MS = 15_000;

/** More of an answer to an upload is not read, in bytes. */
const MAX_ANSWER_BYTES = 1024 * 1024;

const agent = new Agent({ keepAlive: true, timeout: IDLE_MS });

/**
 * Sends a request with content, and gives its answer once it is there as a whole.
 *
 * @param watch Ends it.
 * @param stalls Is called when more of the answer has come, and still more is waited for.
 */
export async function uploadPlainly(
  { method, url, headers, body }: SignedRequest,
  watch: Watch,
  stalls: () => void,
): Promise<Answer> {
  const length = String(body!.length);
  const sent = open(url, {
    method,
    agent,
    headers: { ...Object.fromEntries(headers), "content-length": length },
  });
  const { signal } = watch;
  // Deno sends a request again, and tells nobody, when a connection ends that was used before: also one
  // that was given up.
  sent.on("socket", () => sent.reusedSocket = false);
  const abort = (): void => void sent.destroy(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const answered = answerTo(sent, stalls);
  sent.end(body);
  try {
    return await answered;
  } finally {
    signal.removeEventListener("abort", abort);
    watch.end();
  }
}

/** The answer to a request, once it is there as a whole. */
function answerTo(sent: ClientRequest, stalls: () => void): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const content: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  sent.on("error", reject);
  sent.on("response", (answer) => {
    stalls();
    answer.on("data", (chunk: Uint8Array<ArrayBuffer>) => {
      stalls();
      content.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) sent.destroy(new Error("its answer is too long"));
    });
    answer.on("error", reject);
    answer.on("end", () =>
      resolve({
        status: answer.statusCode!,
        headers: headersOf(answer),
        read: () => Promise.resolve(content.shift()),
        cancel: () => Promise.resolve(),
      }));
    answer.on("close", () => reject(new Error("the answer broke off")));
  });
  return promise;
}

function headersOf({ headersDistinct }: IncomingMessage): Headers {
  const pairs = Object.entries(headersDistinct)
    .flatMap(([name, values]) => values!.map((value): [string, string] => [name, value]));
  return new Headers(pairs);
}
