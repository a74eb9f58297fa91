/**
 * Arbitrary lines of the native wire: right ones of every kind, and what is almost right.
 *
 * @module
 */

import fc from "fast-check";
import {
  type BodyLine,
  type DiffEntry,
  encodeBodyLine,
  encodeReply,
  encodeRequest,
  ERROR_CODES,
  type ErrorCode,
  type Fields,
  type FolderFacts,
  folderFields,
  formatCrc,
  formatDiffEntry,
  formatListEntry,
  formatStored,
  type LinkFacts,
  linkFields,
  type ListEntry,
  MAX_CHUNK_BYTES,
  MAX_DIFF_ENTRIES,
  MAX_OFFER_SECONDS,
  type Reply,
  type Request,
  type Stored,
} from "../../protocol.ts";
import {
  encodePeopleRequest,
  encodeUnasked,
  type PeopleRequest,
  type Unasked,
} from "../../protocol/people_lines.ts";
import { hostileLine } from "../hostile_names.ts";

const text: fc.Arbitrary<string> = fc
  .oneof(fc.string({ unit: "grapheme", maxLength: 60 }), hostileLine)
  .map((it) => it.replaceAll(/[\r\n]/g, "").toWellFormed().slice(0, 300).toWellFormed());
const name = text.filter((it) => it !== "");
const number = fc.oneof(fc.nat(70_000), fc.maxSafeNat(), fc.constantFrom(0, 2 ** 32, 2 ** 53 - 1));
const size = fc.option(number);
const crc = fc.nat(0xffff_ffff);
const digest = fc.string({
  unit: fc.constantFrom(..."0123456789abcdef"),
  minLength: 64,
  maxLength: 64,
});
const fourDigits = fc.stringMatching(/^[0-9]{4}$/);
const plateWord = fc.stringMatching(/^[a-z][a-z-]{0,31}$/);
const milliseconds = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 });
const modified = fc.oneof(milliseconds, milliseconds.map((it) => it - it % 1000))
  .map((it) => new Date(it));

function type<T extends string>(it: T): { type: fc.Arbitrary<T> } {
  return { type: fc.constant(it) };
}

const key = fc.stringMatching(/^[a-z][a-z0-9-]{0,31}$/);
const fields = fc.dictionary(
  key.filter((it) => it !== "to"),
  text.map((it) => it.slice(0, 20).toWellFormed()),
  {
    minKeys: 1,
    maxKeys: 3,
  },
);

/** The same messages, some of them with more fields. */
function withFields<T extends { fields?: Fields }>(messages: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 3, arbitrary: messages },
    {
      weight: 1,
      arbitrary: fc.tuple(messages, fields).map(([it, fields]) => ({
        ...it,
        fields: { ...fields, ...it.fields },
      })),
    },
  );
}

const folderFacts: fc.Arbitrary<FolderFacts> = fc.record({
  mode: fc.nat(0o777),
  modified,
  id: fc.uuid(),
  files: number,
}, { requiredKeys: ["id"] });
const linkFacts: fc.Arbitrary<LinkFacts> = fc.record({
  to: name.filter((it) => !it.includes("\0")),
  modified,
}, { requiredKeys: ["to"] });

/** Every request there is. */
export const anyRequest: fc.Arbitrary<Request> = withFields<Request>(fc.oneof(
  fc.record({ ...type("hello"), version: number, name: text }),
  fc.record({ ...type("answer"), proof: digest }),
  fc.record({ ...type("put"), size, name }),
  fc.record({ ...type("push"), size: number, name }),
  fc.record({ ...type("reput"), fingerprint: digest, size: number, name }),
  fc.record({ ...type("proof"), digest }),
  fc.record({ ...type("mkdir"), name }),
  fc.record({ ...type("mkdir"), name, fields: folderFacts.map(folderFields) }),
  fc.record({ ...type("symlink"), name, fields: linkFacts.map(linkFields) }),
  fc.record({ ...type("say"), size }),
  fc.record({ ...type("get"), name }),
  fc.record({
    ...type("reget"),
    offset: number,
    digest: fc.oneof(digest, crc.map(formatCrc)),
    name,
  }),
  fc.record({ ...type("compare"), size: number, crc: fc.option(crc), modified, name }),
  fc.record({ ...type("diff"), count: fc.integer({ min: 1, max: MAX_DIFF_ENTRIES }), name }),
  fc.record({ ...type("tree"), name }),
  fc.constantFrom(...["list", "status", "whoami", "attend", "exit"] as const)
    .map((type) => ({ type })),
  // Nothing behind `chat` is talk that says `chat`.
  fc.record({ ...type("chat"), text }),
  fc.record({
    ...type("offer"),
    plate: fc.record({ number: fourDigits, word: plateWord }, { requiredKeys: ["word"] }),
    salt: digest.map((it) => it.slice(32)),
    seconds: fc.integer({ min: 1, max: MAX_OFFER_SECONDS }),
  }),
  fc.record({
    ...type("accept"),
    plate: fc.record({ number: fourDigits, word: plateWord }),
  }),
));

const plate = fc.tuple(fourDigits, plateWord).map((parts) => parts.join("-"));
const point = fc.tuple(digest, digest).map((parts) => `04${parts.join("")}`);
const spki = fc.uint8Array({ minLength: 91, maxLength: 91 })
  .map((bytes) => Uint8Array.from(bytes).toBase64());
const offerKey = fc.oneof(
  point,
  fc.tuple(point, spki, digest).map(([point, spki, it]) => `${point}:${spki}:${it}${it}`),
);

/** Every request of a client that attends. */
export const anyPeopleRequest: fc.Arbitrary<PeopleRequest> = fc.oneof(
  fc.record(type("who")),
  fc.record({ ...type("tell"), to: number, text: name }),
  fc.record({ ...type("send"), to: number, plate, key: offerKey, size, name }),
  fc.record({ ...type("take"), to: number, plate, key: offerKey }),
  fc.record({ ...type("decline"), to: number, plate }),
);

/** Every line that comes unasked. */
export const anyUnasked: fc.Arbitrary<Unasked> = fc.oneof(
  fc.record({ ...type("told"), from: number, text }),
  fc.record({ ...type("came"), client: number, name: text }),
  fc.record({ ...type("gone"), client: number }),
  fc.record({ ...type("offered"), from: number, plate, key: offerKey, size, name }),
  fc.record({ ...type("taken"), from: number, plate, key: offerKey }),
  fc.record({ ...type("declined"), from: number, plate }),
);

const address = text.filter((it) => it !== "");

/** Every reply there is. */
export const anyReply: fc.Arbitrary<Reply> = withFields<Reply>(fc.oneof(
  fc.record({ ...type("welcome"), client: number, limit: number }),
  fc.record({ ...type("busy"), clients: number, limit: number }),
  fc.record({ ...type("challenge"), nonce: digest }),
  fc.record({
    ...type("prove"),
    nonce: digest,
    length: number,
    offsets: fc.array(number, { minLength: 1, maxLength: 16 }),
  }),
  fc.record({ ...type("go"), offset: number }),
  fc.record({ ...type("ok"), detail: text }),
  fc.record({ ...type("end"), count: number }),
  fc.record({ ...type("note"), text }),
  fc.record(type("tick")),
  fc.record({ ...type("knock"), id: number, address }),
  fc.record({ ...type("met"), id: number }),
  fc.record({
    ...type("error"),
    code: fc.constantFrom(...Object.keys(ERROR_CODES) as ErrorCode[]),
    text: name,
  }),
));

/** Every line that frames a body. */
export const anyBodyLine: fc.Arbitrary<BodyLine> = withFields<BodyLine>(fc.oneof(
  fc.record({ ...type("data"), size: fc.integer({ min: 1, max: MAX_CHUNK_BYTES }) }),
  fc.record({ ...type("end"), crc, modified }, { requiredKeys: ["type", "crc"] }),
  fc.record({ ...type("abort"), text }),
));

/** What an `ok` says was stored. */
export const anyStored: fc.Arbitrary<Stored> = fc.record({ size: number, crc, name: text });

/** A line of a list. */
export const anyListEntry: fc.Arbitrary<ListEntry> = withFields<ListEntry>(fc.oneof(
  fc.record({ size, modified, name }),
  linkFacts.chain(({ to }) =>
    fc.record({ size: fc.constant(null), to: fc.constant(to), modified, name })
  ),
));

const part = name.map((it) => it.replaceAll("/", "") || "a");
const mode = fc.nat(0o777);

/** A line behind a `diff`. */
export const anyDiffEntry: fc.Arbitrary<DiffEntry> = fc.oneof(
  fc.record({ size: number, mode, crc, modified, name: part }, {
    requiredKeys: ["size", "modified", "name"],
  }),
  fc.record({ size: fc.constant(null), mode, modified, name: part }, {
    requiredKeys: ["size", "modified", "name"],
  }),
  linkFacts.chain(({ to }) =>
    fc.record({ size: fc.constant(null), to: fc.constant(to), modified, name: part })
  ),
);

const decoder = new TextDecoder();

/** A line as text, its line break taken off. */
export function lineOf(encoded: Uint8Array): string {
  return decoder.decode(encoded).slice(0, -1);
}

const rightLine = fc.oneof(
  anyRequest.map((it) => lineOf(encodeRequest(it))),
  anyReply.map((it) => lineOf(encodeReply(it))),
  anyBodyLine.map((it) => lineOf(encodeBodyLine(it))),
  anyStored.map(formatStored),
  anyListEntry.map(formatListEntry),
  anyDiffEntry.map(formatDiffEntry),
  anyPeopleRequest.map((it) => lineOf(encodePeopleRequest(it))),
  anyUnasked.map((it) => lineOf(encodeUnasked(it))),
);

/** What takes the place of a part of a line. */
const graft = fc.constantFrom(
  ..."| |  |-|--|+1|1e3|0x1f|00|9007199254740992|of|ok|end|data|chat|;|;a=|;a=%|;a=1|;A=1|\0|\r|\x1b|\ufeff|\u0661"
    .split(
      "|",
    ),
  "9".repeat(4000),
  " ".repeat(4000),
);

/** A right line of which one part is gone, or something else. */
const wrongLine = fc.tuple(rightLine, graft, fc.nat(), fc.nat(8)).map(
  ([line, graft, at, length]) => {
    const start = at % (line.length + 1);
    return (line.slice(0, start) + graft + line.slice(start + length)).toWellFormed();
  },
);

/** Whatever a peer may say within one line. */
export const anyLine: fc.Arbitrary<string> = fc.oneof(rightLine, wrongLine, wrongLine, text);
