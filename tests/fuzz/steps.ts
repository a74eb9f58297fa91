/**
 * Arbitrary conversations: right requests, wrong ones, and requests that break off.
 *
 * @module
 */

import fc from "fast-check";
import { hostileLine } from "../hostile_names.ts";
import { anyLine } from "./messages.ts";

/** Most bytes of a file on the server that is fuzzed. */
export const MAX_BYTES = 40_000;

/** How a body goes wrong. */
export type Fault = "none" | "checksum" | "abort" | "no trailer";

/** Something that a client does, and after some of which it is gone. */
export type Step =
  | { type: "push" | "put"; name: string; content: Content; fault: Fault }
  | { type: "chunks" | "say"; name: string; content: Content; chunkBytes: number; fault: Fault }
  | { type: "reput"; name: string; content: Content; fault: Fault; lies: boolean }
  | { type: "break"; name: string; content: Content; request: "push" | "reput"; at: number }
  | { type: "get"; name: string; stop: boolean }
  | { type: "mkdir" | "tree"; name: string }
  | { type: "reget"; name: string; offset: number; lies: boolean }
  | { type: "list" | "whoami" }
  | { type: "line"; line: string }
  | { type: "leave"; how: "exit" | "close" | "closeWrite" };

/** A step, and where its bytes are split, as parts of the whole. */
export interface Turn {
  step: Step;
  splits: readonly number[];
}

/** Few names, so that they meet; some of them the same in another form. */
const name: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      ..."a a a/b a/b/c c.txt c.txt/d é e\u0301 A x.tar.gz list".split(" "),
      "a b",
      "c (2).txt",
      `${"x".repeat(250)}/`.repeat(12) + "y".repeat(59),
    ),
  },
  {
    weight: 1,
    arbitrary: hostileLine.map((it) => it.replace(/\r+$/, "")).filter((it) => it !== ""),
  },
);

/** Bytes as a text and how often it comes: a counterexample is to be read. */
export interface Content {
  text: string;
  times: number;
}

const content: fc.Arbitrary<Content> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ text: fc.string({ maxLength: 20 }), times: fc.nat(3) }) },
  // Bodies that read like a conversation, and such as are longer than what is buffered.
  fc.constantFrom(
    { text: "end 00000000\npush 3 evil\nabcend 352441c2\nexit\n", times: 1 },
    { text: "\n", times: 20_000 },
    { text: "a", times: MAX_BYTES },
    { text: "b", times: MAX_BYTES + 1 },
  ),
);

const fault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 6, arbitrary: fc.constant("none" as const) },
  fc.constantFrom("checksum" as const, "abort" as const),
  fc.constant("no trailer" as const),
);
const chunkBytes = fc.oneof(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 50_000 }));

function type<T extends string>(...types: T[]): { type: fc.Arbitrary<T> } {
  return { type: fc.constantFrom(...types) };
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ ...type("push", "put"), name, content, fault }) },
  {
    weight: 2,
    arbitrary: fc.record({ ...type("chunks", "say"), name, content, chunkBytes, fault })
      // A byte a chunk takes its time where there are many.
      .map((it) => ({ ...it, chunkBytes: Math.max(it.chunkBytes, it.content.times >> 6) })),
  },
  {
    weight: 3,
    arbitrary: fc.record({ ...type("reput"), name, content, fault, lies: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...type("break"),
      name,
      content,
      request: fc.constantFrom("push" as const, "reput" as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ ...type("get"), name, stop: fc.boolean() }) },
  fc.record({ ...type("mkdir", "tree"), name }),
  fc.record({ ...type("tree"), name: fc.constant("/") }),
  fc.record({ ...type("reget"), name, offset: fc.nat(50), lies: fc.boolean() }),
  fc.record(type("list", "whoami")),
  { weight: 2, arbitrary: fc.record({ ...type("line"), line: anyLine }) },
  fc.record({
    ...type("leave"),
    how: fc.constantFrom("exit" as const, "close" as const, "closeWrite" as const),
  }),
);

/** So many steps at most, over as many connections as they need. */
export const anyTurns: fc.Arbitrary<Turn[]> = fc.array(
  fc.record({
    step,
    splits: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 25, size: "max" },
);
