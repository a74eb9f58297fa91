/**
 * How a conversation of another program's wire opens: with the steps of `--dialogue`, if there are
 * any, and with a hint for the user if nothing comes for a while.
 *
 * @module
 */

import type { WireContext } from "../lib/cli/client_context.ts";
import { AwakeTimer } from "../lib/net/awake.ts";
import type { Connection } from "../lib/net/connection.ts";
import { performDialogue } from "../lib/net/dialogue.ts";
import { shownWords } from "../lib/net/dialogue_steps.ts";
import { DEFAULT_TIMEOUT_MS, silenceHintMs } from "../lib/net/whole_line.ts";
import type { ServerContext } from "../lib/server/context.ts";

/** The hint for a peer that may wait for a greeting. */
const HINT = "the other side says nothing: if it waits for a greeting, see --dialogue";

/** What the silence of a server means that owes an answer. */
const TAKES_BYTES = "; if it only takes bytes, use --mode raw or --mode message; " +
  "if it waits for a line, --mode reverse";

/**
 * Opens a conversation on the server, and waits for the first byte of the body.
 *
 * @returns Whether there is one; false if the client ended its bytes without any.
 * @throws {InletError} as {@linkcode performDialogue}
 */
export async function openOnServer(
  connection: Connection,
  context: ServerContext,
): Promise<boolean> {
  const { wire, log } = context;
  const wasResting = connection.resting;
  connection.resting = true;
  await actOnServer(connection, context, { sendsNext: false });
  using _ = wire.dialogue.length === 0
    ? new AwakeTimer(silenceHintMs(), () => log.info("silent", HINT))
    : undefined;
  const isBegun = await connection.peek() !== null;
  log.begin();
  connection.resting = wasResting;
  return isBegun;
}

/**
 * Acts the dialogue on the server, if there is one.
 *
 * @param options.sendsNext Whether the server speaks first after it.
 * @throws {InletError} as {@linkcode performDialogue}
 */
export async function actOnServer(
  connection: Connection,
  { wire, log, sessionTimeoutMs }: ServerContext,
  { sendsNext }: { sendsNext: boolean },
): Promise<void> {
  await performDialogue(connection, wire.dialogue, {
    sendsNext,
    limitMs: sessionTimeoutMs,
    said: (words) => {
      const text = shownWords(words);
      log.info("dialogue", `said "${text}"`, { text });
    },
  });
}

/**
 * Opens a conversation on the client.
 *
 * @throws {InletError} as {@linkcode performDialogue}
 */
export async function openOnClient(
  connection: Connection,
  { wire, onNotice, timeoutMs = DEFAULT_TIMEOUT_MS }: WireContext,
): Promise<void> {
  await performDialogue(connection, wire.dialogue, {
    sendsNext: true,
    limitMs: timeoutMs,
    said: (text) => onNotice(`The server said: ${shownWords(text)}`),
  });
}

/**
 * Hints at `--dialogue` if a server says nothing for a while. Dispose of it when it does.
 *
 * @param more What else the silence can mean.
 */
export function hintAtSilence(
  { wire, onNotice, timeoutMs }: WireContext,
  more = TAKES_BYTES,
): Disposable | undefined {
  if (wire.dialogue.length > 0 && more === TAKES_BYTES) return undefined;
  return new AwakeTimer(silenceHintMs(timeoutMs), () => onNotice(HINT + more));
}
