/**
 * Makes sources of what a program gives to send, and checks the names that it gives.
 *
 * @module
 */

import { fromFileUrl } from "@std/path/from-file-url";
import { ContentSource, GivenStream } from "../../lib/body/given_body.ts";
import { pathSource } from "../../lib/body/path_source.ts";
import { FileSource, type Source } from "../../lib/body/sources.ts";
import { Tally } from "../../lib/body/streams.ts";
import { InletError } from "../../lib/errors.ts";
import { quoted } from "../../lib/text.ts";
import type { Compared } from "../../modes/files/compare.ts";
import { checkName } from "../../modes/files/batch.ts";
import { MAX_PUSHED_BYTES } from "../../modes/files/framing.ts";
import type { FileAtPath, PutOptions, SentBody } from "./types.ts";

/** What a body can be, for the message about another one. */
const BODIES = "give a ReadableStream, a Blob, a Uint8Array or { path }";

/** A source, or a promise of it for a small Blob, which is sent as bytes in memory are. */
export type GivenSource = Source | Promise<ContentSource>;

/**
 * The source of a body. It takes no wait, so that requests go out in the order of their calls.
 *
 * @throws {InletError} `usage` if the body cannot be read, or its options do not go with it
 */
export function sourceOf(
  name: string,
  body: SentBody,
  { signal, size, modified, mode }: PutOptions,
): GivenSource {
  const facts = { modified, mode };
  if (body instanceof ReadableStream) {
    if (body.locked) throw new InletError("usage", "Cannot send a stream that is locked");
    return new GivenStream(name, body, size ?? null, facts);
  }
  if (size !== undefined) {
    throw new InletError("usage", "Cannot use a size: only a stream needs one");
  }
  if (body instanceof Uint8Array) return new ContentSource(name, body, facts);
  if (body instanceof Blob) {
    if (body.size > MAX_PUSHED_BYTES) return new GivenStream(name, body, body.size, facts);
    const reading = bytesOf(name, body).then((content) => new ContentSource(name, content, facts));
    // A put that is given up does not wait for it.
    reading.catch(() => {});
    return reading;
  }
  if (modified !== undefined || mode !== undefined) {
    const why = "a file at a path has its own time and permissions";
    throw new InletError("usage", `Cannot set these: ${why}`);
  }
  return pathSource(pathOf(body), name, { signal });
}

/** The CRC-32 of a Blob, of which no more than a chunk is held. */
async function crcOf(name: string, blob: Blob): Promise<number> {
  const tally = new Tally();
  try {
    for await (const chunk of blob.stream()) tally.add(chunk);
    return tally.crc;
  } catch (cause) {
    throw new InletError("aborted", `Cannot compare ${quoted(name)}: it cannot be read`, { cause });
  }
}

/** Reads a Blob of a file of this machine, which may be gone. */
async function bytesOf(name: string, blob: Blob): Promise<Uint8Array> {
  try {
    return await blob.bytes();
  } catch (cause) {
    throw new InletError("aborted", `Cannot send ${quoted(name)}: it cannot be read`, { cause });
  }
}

function pathOf(body: FileAtPath | undefined): string {
  const path: unknown = (body as FileAtPath | null | undefined)?.path;
  if (typeof path === "string") return path;
  if (path instanceof URL && path.protocol === "file:") {
    try {
      return fromFileUrl(path.href);
    } catch (cause) {
      throw new InletError("usage", `Cannot send ${quoted(path.href)}: write % as %25`, { cause });
    }
  }
  throw new InletError("usage", `Cannot send this as a body: ${BODIES}`);
}

/** Whether a source is sent together with others. */
export function isSmall(source: GivenSource): boolean {
  if (source instanceof Promise) return true;
  const isFile = source instanceof FileSource || source instanceof ContentSource;
  return isFile && source.size <= MAX_PUSHED_BYTES;
}

/** Whether a source can be sent again after what has happened. */
export function isRepeatable(source: Source): boolean {
  if (source instanceof GivenStream) return !source.isSpent && !source.failure;
  return source.size !== null;
}

/**
 * What a body is compared by.
 *
 * @throws {InletError} `usage` if it is a stream, or cannot be read
 */
export function comparedOf(
  name: string,
  body: Exclude<SentBody, ReadableStream<Uint8Array>>,
): Compared {
  const label = name;
  const needsCrc = { modified: new Date(0), needsCrc: true };
  if (body instanceof Blob) {
    return { label, name, size: body.size, ...needsCrc, crc: () => crcOf(name, body) };
  }
  const source = sourceOf(name, body, {});
  if (source instanceof FileSource) return source;
  if (!(source instanceof ContentSource)) {
    throw new InletError("usage", "Cannot compare a stream: it can be read only once");
  }
  return { label, name, size: source.size, ...needsCrc, crc: () => source.crc() };
}

/**
 * Checks a name before it is sent.
 *
 * @param what The action, for the message: `get`.
 * @throws {InletError} `usage` for no text, `bad-name` for one that no line can hold
 */
export function checkServerName(what: string, name: unknown): asserts name is string {
  if (typeof name !== "string" || name === "") {
    throw new InletError("usage", `Cannot ${what} this: give a name that is not empty`);
  }
  if (!name.isWellFormed()) {
    throw new InletError("bad-name", `Cannot ${what} ${quoted(name)}: it is not valid Unicode`);
  }
  try {
    checkName({ label: name, name });
  } catch (error) {
    const { message } = error as InletError;
    throw new InletError("bad-name", message.replace(/^Cannot send/, `Cannot ${what}`));
  }
}
