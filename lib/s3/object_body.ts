/**
 * The content of an object, as a stream. Where the store breaks it off, the rest is asked for.
 *
 * @module
 */

import { type Answer, NoAnswer } from "./answer.ts";
import { mayPass } from "./refusal.ts";

/** How often in a row the rest is asked for without that anything of it comes. */
const MOST_BREAKS = 5;

/**
 * Makes a stream of an answer.
 *
 * @param length How many bytes it has.
 * @param askForRest Asks for what is behind so many bytes of it, of the same object.
 * @param explain Makes an error for the reader.
 */
export function objectBody(
  first: Answer,
  { length, askForRest, explain }: {
    length: number;
    askForRest: (offset: number) => Promise<Answer>;
    explain: (error: unknown) => unknown;
  },
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let answer = first;
  let offset = 0;
  let breaks = 0;
  /** The next chunk. An end that comes too early is a break. */
  const next = async (): Promise<Uint8Array<ArrayBuffer> | undefined> => {
    const chunk = await answer.read();
    if (chunk || offset === length) return chunk;
    throw new NoAnswer("it broke off an object");
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
