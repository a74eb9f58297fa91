/**
 * A dialogue in front of a body: the greetings and confirmations that many programs exchange before
 * they send a file or lines. Each step is the action of one side; the other side has its counterpart.
 *
 * @module
 */

import { InletError, refusalInLine } from "../errors.ts";
import { formatSeconds } from "../text.ts";
import { AwakeTimer } from "./awake.ts";
import type { Connection } from "./connection.ts";
import { escaped, shownWords, type Step } from "./dialogue_steps.ts";

/**
 * Milliseconds between what one side sends twice in a row. Many programs read once for each step, so
 * what they read must not have arrived together.
 */
const APART_MS = 200;

/** Most bytes that `expect-any` and `skip-to` take. */
const MAX_SKIPPED_BYTES = 64 * 1024;

/** Most bytes that are awaited of an unexpected text: enough for a refusal. */
const MAX_AWAITED_BYTES = 200;

/** Options of {@linkcode performDialogue}. */
export interface DialogueOptions {
  /** Whether this side sends next, after the dialogue. */
  sendsNext: boolean;
  /** Milliseconds in which a step of the peer has to be complete, from its first byte. */
  limitMs: number;
  /** Called with what the peer has said in a step. */
  said(text: Uint8Array): void;
}

/**
 * Acts one side of a dialogue. Nothing of it reaches the body.
 *
 * @throws {InletError} `bad-request` if the peer says something else, or too much; its refusal, if it
 * is a server of ours; `lost` if the connection ends within the dialogue
 */
export async function performDialogue(
  connection: Connection,
  steps: readonly Step[],
  { sendsNext, limitMs, said }: DialogueOptions,
): Promise<void> {
  let hasSent = false;
  for (const step of steps) {
    if (step.type === "send") {
      if (hasSent) await apart();
      await connection.write(step.text);
    } else {
      said(await take(connection, step, limitMs));
    }
    hasSent = step.type === "send";
  }
  if (hasSent && sendsNext) await apart();
}

function apart(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, APART_MS));
}

/** Takes what a step expects, and returns it. */
async function take(
  connection: Connection,
  step: Exclude<Step, { type: "send" }>,
  limitMs: number,
): Promise<Uint8Array> {
  if (await connection.peek() === null) throw ended(step, []);
  const late = `${wanted(step)}: it was not complete within ${formatSeconds(limitMs)} s`;
  using _ = new AwakeTimer(limitMs, () => connection.abort(new InletError("timeout", late)));
  switch (step.type) {
    case "expect":
      return await takeText(connection, step);
    case "expect any":
      return await takeAny(connection, step);
    case "skip to":
      return await skipTo(connection, step);
  }
}

async function takeText(
  connection: Connection,
  step: Extract<Step, { type: "expect" }>,
): Promise<Uint8Array> {
  const taken: number[] = [];
  for (const expected of step.text) {
    const byte = await connection.peek();
    if (byte === null) throw ended(step, taken);
    if (byte !== expected) throw await differs(connection, step, taken);
    connection.skip(1);
    taken.push(byte);
  }
  return step.text;
}

/** Takes what arrives until a pause. */
async function takeAny(connection: Connection, step: Step): Promise<Uint8Array> {
  const taken: number[] = [];
  do {
    taken.push(...connection.takeBuffered());
    if (taken.length > MAX_SKIPPED_BYTES) throw tooMuch(step, taken);
  } while (await connection.moreWithin(APART_MS));
  return Uint8Array.from(taken);
}

async function skipTo(
  connection: Connection,
  step: Extract<Step, { type: "skip to" }>,
): Promise<Uint8Array> {
  const taken: number[] = [];
  const { text } = step;
  for (;;) {
    const byte = await connection.peek();
    if (byte === null) throw ended(step, taken);
    connection.skip(1);
    taken.push(byte);
    const start = taken.length - text.length;
    if (start >= 0 && text.every((expected, index) => taken[start + index] === expected)) {
      return Uint8Array.from(taken);
    }
    if (taken.length >= MAX_SKIPPED_BYTES) throw tooMuch(step, taken);
  }
}

function wanted(step: Step): string {
  const what = "text" in step ? `"${escaped(step.text)}"` : "a text";
  return `Cannot go on: expected ${what}`;
}

function ended(step: Step, taken: readonly number[]): InletError {
  const before = taken.length === 0 ? "" : ` after "${shownWords(Uint8Array.from(taken))}"`;
  return new InletError("lost", `${wanted(step)}, the other side closed${before}`);
}

function tooMuch(step: Step, taken: readonly number[]): InletError {
  return new InletError("bad-request", `${wanted(step)}, ${taken.length} bytes came instead`);
}

async function differs(
  connection: Connection,
  step: Step,
  taken: readonly number[],
): Promise<InletError> {
  // What belongs together has arrived by then, or does so soon.
  while (connection.buffered.length < MAX_AWAITED_BYTES && !connection.buffered.includes(0x0a)) {
    if (!await connection.moreWithin(APART_MS)) break;
  }
  const bytes = Uint8Array.from([...taken, ...connection.takeBuffered()]);
  const end = bytes.indexOf(0x0a, taken.length) + 1;
  const line = bytes.subarray(0, end || bytes.length);
  const refusal = refusalInLine(new TextDecoder().decode(line).trimEnd());
  return refusal ?? new InletError("bad-request", `${wanted(step)}, got "${shownWords(line)}"`);
}
