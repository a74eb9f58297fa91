/**
 * A message that was offered, on the standard output of the accepting client.
 *
 * @module
 */

import { writeStdout } from "../../lib/body/stdio.ts";
import { jsonOutput } from "../../lib/cli/json_output.ts";
import { InletError } from "../../lib/errors.ts";
import { asItIs, escaping, type Output, StdoutQueue } from "../../lib/server/stdout_queue.ts";
import { formatBytes } from "../../lib/text.ts";
import type { Plan } from "../plan.ts";

/** What a message is checked against. */
export interface Agreed {
  /** Bytes of the message that a person has agreed to; `undefined` if that was none. */
  agreedBytes(): number | undefined;
  /** Whether it was written before: it is written once, however often it is sent. */
  isTold(): boolean;
}

/** Where messages go. */
export function messageQueue({ raw, json }: Plan, agreed: Agreed): StdoutQueue {
  const open = json ? asJson : Deno.stdout.isTerminal() && !raw ? escaping : asItIs;
  return new StdoutQueue({
    write: writeStdout,
    output: (write) => {
      const within = open(write);
      let bytes = 0;
      return {
        write: async (chunk) => {
          bytes += chunk.length;
          check(bytes, agreed.agreedBytes());
          if (!agreed.isTold()) await within.write(chunk);
        },
        end: async () => {
          check(bytes, agreed.agreedBytes());
          if (!agreed.isTold()) await within.end();
        },
      };
    },
  });
}

/** @throws {InletError} if so much was not agreed to */
function check(bytes: number, most: number | undefined): void {
  if (most === undefined) {
    throw new InletError("denied", "Cannot take a message: that was not offered");
  }
  if (bytes <= most) return;
  const why = `it is more than the ${formatBytes(most)} that were offered`;
  throw new InletError("too-large", `Cannot take the message: ${why}`);
}

function asJson(): Output {
  let text = "";
  let bytes = 0;
  const decoder = new TextDecoder();
  return {
    write: (chunk) => {
      bytes += chunk.length;
      text += decoder.decode(chunk, { stream: true });
      return Promise.resolve();
    },
    end: () => {
      jsonOutput.add({ event: "message", bytes, text });
      return jsonOutput.printer.printed;
    },
  };
}
