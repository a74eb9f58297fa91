/**
 * The content of an object, as a stream. Where the store breaks it off, the rest is asked for.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { type Answer, NoAnswer } from "./answer.ts";
import { mayPass } from "./refusal.ts";

/** How often in a row the rest is asked for without that anything of it comes. */
const MOST_BREAKS = 5;

/** Size of the memory that is used again. Measured: half as many reads as with a quarter of it. */
const LENT_BYTES = 256 * 1024;

/**
 * Makes a stream of an answer.
 *
 * @param length How many bytes it has.
 * @param lent Whether a chunk is only there until the next one is asked for.
 * @param askForRest Asks for what is behind so many bytes of it, of the same object.
 * @param explain Makes an error for the reader.
 */
export function objectBody(
  first: Answer,
  { length, lent, askForRest, explain }: {
    length: number;
    lent: boolean | undefined;
    askForRest: (offset: number) => Promise<Answer>;
    explain: (error: unknown) => unknown;
  },
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let answer = first;
  let offset = 0;
  let breaks = 0;
  /** Of the last chunk. */
  let memory: ArrayBuffer | undefined;
  /** The next chunk. An end that comes too early is a break. */
  const next = async (): Promise<Uint8Array<ArrayBuffer> | undefined> => {
    const into = lent ? new Uint8Array(memory ?? new ArrayBuffer(LENT_BYTES)) : undefined;
    // A read uses it up, and an answer that breaks off does not give it back.
    memory = undefined;
    const chunk = await answer.read(into);
    memory = chunk?.buffer;
    if (!chunk && offset < length) throw new NoAnswer("it broke off an object");
    // Readers keep what comes in memory, and so it has an end.
    if (!chunk || offset + chunk.length <= length) return chunk;
    await answer.cancel();
    throw new InletError("internal", "The object store sent more than was asked for");
  };
  return new ReadableStream({
    async pull(controller) {
      while (true) {
        try {
          const chunk = await next();
          if (!chunk) return controller.close();
          offset += chunk.length;
          breaks = 0;
          return controller.enqueue(chunk);
        } catch (error) {
          if (!mayPass(error) || ++breaks > MOST_BREAKS) throw explain(error);
        }
        answer = await askForRest(offset).catch((error) => {
          throw explain(error);
        });
      }
    },
    cancel: () => answer.cancel(),
  }, { highWaterMark: 0 });
}
