/**
 * A client's part of `reput` on a plain connection: it asks to go on with a file, and proves that it
 * has it.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { decodeReply, type Reply } from "../protocol.ts";
import type { Wire } from "./wire.ts";

/** A reput, and how the client behaves. */
export interface Asked {
  size: number;
  name: string;
  /** 64 hexadecimal digits; by default those of the content. */
  id?: string;
  ticket?: string | undefined;
  /** Answers what the server asks; by default with the truth. */
  prove?: (asked: Prove) => string;
}

/** The question of a server that has a partial file. */
export type Prove = Extract<Reply, { type: "prove" }>;

/** What the server lets the client do. */
export interface Offer {
  offset: number;
  ticket: string | undefined;
  /** What the server asked first. */
  asked: Prove | undefined;
}

/** An id for a file: any that stays the same will do. */
export function idOf(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}

/** The digest of a nonce and of ranges of a file. */
export function proofOf(content: Uint8Array, { nonce, length, offsets }: Prove): string {
  const hash = createHash("sha256").update(Uint8Array.fromHex(nonce));
  for (const offset of offsets) hash.update(content.subarray(offset, offset + length));
  return hash.digest("hex");
}

/** The line that asks to go on with a file. */
export function reputLine(content: Uint8Array, asked: Asked): Uint8Array {
  const { id = idOf(content), size, name, ticket } = asked;
  const fields = ticket === undefined ? "" : `;ticket=${ticket}`;
  return new TextEncoder().encode(`reput${fields} ${id} ${size} ${name}\n`);
}

/** Asks to go on with a file, and gives the offer, or the line of a refusal. */
export async function askToResume(
  wire: Wire,
  content: Uint8Array,
  asked: Asked,
): Promise<Offer | string> {
  await wire.says(reputLine(content, asked));
  const { prove = (question: Prove) => proofOf(content, question) } = asked;
  let question: Prove | undefined;
  for (;;) {
    const reply = await answer(wire);
    if (typeof reply === "string") return reply;
    if (reply.type === "go") {
      return { offset: reply.offset, ticket: reply.fields?.ticket, asked: question };
    }
    if (reply.type !== "prove") throw new Error(`the server said ${JSON.stringify(reply)}`);
    question ??= reply;
    await wire.says(`proof ${prove(reply)}\n`);
  }
}

/** Like {@linkcode askToResume}, where no refusal is expected. */
export async function offered(wire: Wire, content: Uint8Array, asked: Asked): Promise<Offer> {
  const offer = await askToResume(wire, content, asked);
  if (typeof offer === "string") throw new Error(`refused: ${offer}`);
  return offer;
}

async function answer(wire: Wire): Promise<Reply | string> {
  for (;;) {
    const line = await wire.line();
    const reply = decodeReply(line);
    if (reply.type === "error") return line;
    if (reply.type !== "note") return reply;
  }
}
