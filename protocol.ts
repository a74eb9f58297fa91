/**
 * Every byte that both sides agree on: the native wire, version 1, and the header of the upload wire.
 *
 * Pure encoders and decoders, each pair side by side. Nothing here opens a socket or a file, so
 * every line can be tested without a permission. PROTOCOL.md tells the same in prose.
 *
 * @module
 */

/** Version of the native wire that this file speaks. */
export const VERSION = 1;

/** Longest control line in bytes, its line ending included. A longer one ends the conversation. */
export const MAX_LINE_BYTES = 4096;

/** What the answer to talk has behind the text. */
export const ACK = " ACK";

/** Longest talk in bytes of UTF-8: its answer has to be a line too. */
export const MAX_TALK_BYTES: number = MAX_LINE_BYTES - `${ACK}\n`.length;

/** Longest client name in bytes of UTF-8. */
export const MAX_CLIENT_NAME_BYTES = 64;

/** Largest chunk of a body of unknown length, in bytes. */
export const MAX_CHUNK_BYTES = 16 * 1024 * 1024;

/** What a client says within the body of a get, so that no more of it comes. */
export const STOP = "stop";

/** How the body of a get that was stopped ends: `abort stopped`. */
export const STOPPED = "stopped";

/** The answer of an upload server that is ready for the body. */
export const GO_AHEAD = "go ahead";

/** Bytes of the size that opens an upload header. */
export const UPLOAD_SIZE_BYTES = 8;

/**
 * What `error CODE …` may say, and the exit code it gives the client: 3 the server said no,
 * 4 too slow or gone, 5 the bytes were not the ones that were sent.
 */
export const ERROR_CODES = {
  "aborted": 3,
  "bad-name": 3,
  "bad-request": 3,
  "changed": 5,
  "checksum": 5,
  "denied": 3,
  "internal": 3,
  "no-space": 3,
  "not-found": 3,
  "shutdown": 4,
  "timeout": 4,
  "too-large": 3,
  "version": 3,
  "wait": 3,
} as const;

/** A stable code from {@linkcode ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** A line that does not follow the grammar. The message says which part, for a person. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/**
 * What a client asks. A `size` of `null` is a body of unknown length, sent in chunks. `from` asks
 * nothing: it tells where the body of a `reput` begins.
 */
export type Request =
  | { type: "hello"; version: number; name: string }
  | { type: "answer"; digest: string }
  | { type: "put"; size: number | null; name: string }
  | { type: "push"; size: number; name: string }
  | { type: "reput"; size: number; name: string }
  | { type: "from"; offset: number }
  | { type: "mkdir"; name: string }
  | { type: "say"; size: number | null }
  | { type: "get"; name: string }
  | { type: "reget"; offset: number; crc: number; name: string }
  | { type: "compare"; size: number; crc: number; modified: Date; name: string }
  | { type: "tree"; name: string }
  | { type: "list" }
  | { type: "status" }
  | { type: "whoami" }
  | { type: "exit" }
  | { type: "chat"; text: string };

/**
 * What a server answers. `detail` of an `ok` depends on what was asked. The `crc` of a `go` is that of
 * the bytes before its offset, which the server has kept. A `note` answers nothing: it is for a
 * person, and may stand before any other reply.
 */
export type Reply =
  | { type: "welcome"; client: number; limit: number }
  | { type: "busy"; clients: number; limit: number }
  | { type: "challenge"; nonce: string }
  | { type: "go"; offset: number; crc?: number }
  | { type: "ok"; detail: string }
  | { type: "note"; text: string }
  | { type: "error"; code: ErrorCode; text: string };

/**
 * The lines that frame a body: chunk headers, and how it ended. `modified` is the time of the file's
 * last change, where it has one.
 */
export type BodyLine =
  | { type: "data"; size: number }
  | { type: "end"; crc: number; modified?: Date }
  | { type: "abort"; text: string };

/** What was stored: its size in bytes, its CRC-32, and the name that it got. */
export interface Stored {
  size: number;
  crc: number;
  name: string;
}

/**
 * One file in a list: size in bytes, and the time of its last change, to the second. In a tree there
 * are folders too, which have no size: `null`.
 */
export interface ListEntry {
  size: number | null;
  modified: Date;
  name: string;
}

/** Encodes a request as one line. */
export function encodeRequest(request: Request): Uint8Array<ArrayBuffer> {
  switch (request.type) {
    case "hello":
      return encodeLine(`hello ${request.version} ${request.name}`);
    case "answer":
      return encodeLine(`answer ${request.digest}`);
    case "put":
      return encodeLine(`put ${request.size ?? "-"} ${request.name}`);
    case "push":
    case "reput":
      return encodeLine(`${request.type} ${request.size} ${request.name}`);
    case "from":
      return encodeLine(`from ${request.offset}`);
    case "say":
      return encodeLine(`say ${request.size ?? "-"}`);
    case "get":
    case "tree":
    case "mkdir":
      return encodeLine(`${request.type} ${request.name}`);
    case "reget":
      return encodeLine(`reget ${request.offset} ${formatCrc(request.crc)} ${request.name}`);
    case "compare": {
      const { size, crc, modified, name } = request;
      return encodeLine(`compare ${size} ${formatCrc(crc)} ${formatTime(modified)} ${name}`);
    }
    case "list":
    case "status":
    case "whoami":
    case "exit":
      return encodeLine(request.type);
    case "chat":
      return encodeLine(isTalk(request.text) ? request.text : `chat ${request.text}`);
  }
}

/** Whether a line can only be meant as talk. */
function isTalk(line: string): boolean {
  try {
    const request = decodeRequest(line);
    return request.type === "chat" && request.text === line;
  } catch {
    return false;
  }
}

/**
 * Decodes a client's line. A line that begins with no known verb is talk, `chat`, and so is a
 * lone `list` with more words behind it. `chat TEXT` is talk whatever the text begins with.
 *
 * @throws {ProtocolError} if a known verb is followed by something that is not its grammar
 */
export function decodeRequest(line: string): Request {
  const [verb, rest] = cut(line);
  switch (verb) {
    case "hello": {
      const [version, name] = cut(rest);
      return { type: "hello", version: decodeNumber(version, "version"), name };
    }
    case "put": {
      const [size, name] = cut(rest);
      return { type: "put", size: decodeSize(size), name: decodeName(name) };
    }
    case "push":
    case "reput": {
      const [size, name] = cut(rest);
      return { type: verb, size: decodeNumber(size, "size"), name: decodeName(name) };
    }
    case "from":
      return { type: "from", offset: decodeNumber(rest, "offset") };
    case "say":
      return { type: "say", size: decodeSize(rest) };
    case "get":
    case "tree":
    case "mkdir":
      return { type: verb, name: decodeName(rest) };
    case "reget": {
      const [offset, more] = cut(rest);
      const [crc, name] = cut(more);
      return {
        type: "reget",
        offset: decodeNumber(offset, "offset"),
        crc: decodeCrc(crc),
        name: decodeName(name),
      };
    }
    case "compare": {
      const [size, more] = cut(rest);
      const [crc, evenMore] = cut(more);
      const [time, name] = cut(evenMore);
      return {
        type: "compare",
        size: decodeNumber(size, "size"),
        crc: decodeCrc(crc),
        modified: decodeTime(time),
        name: decodeName(name),
      };
    }
    case "answer":
      return isDigest(rest) ? { type: "answer", digest: rest } : { type: "chat", text: line };
    case "chat":
      return { type: "chat", text: rest || line };
    case "list":
    case "status":
    case "whoami":
    case "exit":
      return rest === "" ? { type: verb } : { type: "chat", text: line };
    default:
      return { type: "chat", text: line };
  }
}

/** Encodes a reply as one line. */
export function encodeReply(reply: Reply): Uint8Array<ArrayBuffer> {
  switch (reply.type) {
    case "welcome":
      return encodeLine(`welcome client ${reply.client} of ${reply.limit}`);
    case "busy":
      return encodeLine(`busy ${reply.clients} of ${reply.limit}`);
    case "challenge":
      return encodeLine(`challenge ${reply.nonce}`);
    case "go":
      return encodeLine(
        reply.crc === undefined
          ? `go ${reply.offset}`
          : `go ${reply.offset} ${formatCrc(reply.crc)}`,
      );
    case "ok":
      return encodeLine(reply.detail === "" ? "ok" : `ok ${reply.detail}`);
    case "note":
      return encodeLine(`note ${oneLine(reply.text)}`);
    case "error":
      return encodeLine(`error ${reply.code} ${oneLine(reply.text)}`);
  }
}

/**
 * Decodes a server's line. An error code that this version does not know counts as `internal`,
 * so that a newer server can still say no.
 *
 * @throws {ProtocolError} if it is none of the replies
 */
export function decodeReply(line: string): Reply {
  const [verb, rest] = cut(line);
  switch (verb) {
    case "welcome": {
      const match = /^client (\d+) of (\d+)$/.exec(rest);
      if (!match) break;
      return {
        type: "welcome",
        client: decodeNumber(match[1]!, "client"),
        limit: decodeNumber(match[2]!, "limit"),
      };
    }
    case "busy": {
      const match = /^(\d+) of (\d+)$/.exec(rest);
      if (!match) break;
      return {
        type: "busy",
        clients: decodeNumber(match[1]!, "clients"),
        limit: decodeNumber(match[2]!, "limit"),
      };
    }
    case "challenge":
      if (!isDigest(rest)) break;
      return { type: "challenge", nonce: rest };
    case "go": {
      const [offset, crc] = cut(rest);
      return {
        type: "go",
        offset: decodeNumber(offset, "offset"),
        ...(crc !== "" && { crc: decodeCrc(crc) }),
      };
    }
    case "ok":
      return { type: "ok", detail: rest };
    case "note":
      return { type: "note", text: rest };
    case "error": {
      const [code, text] = cut(rest);
      return { type: "error", code: isErrorCode(code) ? code : "internal", text: text || code };
    }
  }
  throw new ProtocolError(`"${line}" is no answer of an inlet server`);
}

/**
 * What a key is proved over: a label that belongs to this wire, version and side, and the nonce as it
 * stood in the challenge. The answer is the HMAC-SHA-256 of these bytes.
 */
export function challengeText(nonce: string): Uint8Array<ArrayBuffer> {
  return utf8.encode(`inlet ${VERSION} client ${nonce}`);
}

/** Encodes a line that frames a body. */
export function encodeBodyLine(line: BodyLine): Uint8Array<ArrayBuffer> {
  switch (line.type) {
    case "data":
      return encodeLine(`data ${line.size}`);
    case "end": {
      const time = line.modified ? ` ${formatTime(line.modified)}` : "";
      return encodeLine(`end ${formatCrc(line.crc)}${time}`);
    }
    case "abort":
      return encodeLine(`abort ${oneLine(line.text)}`);
  }
}

/**
 * Decodes a line that frames a body.
 *
 * @throws {ProtocolError} if it is none, or announces an empty or oversized chunk
 */
export function decodeBodyLine(text: string): BodyLine {
  const [verb, rest] = cut(text);
  switch (verb) {
    case "data": {
      const size = decodeNumber(rest, "chunk size");
      if (size < 1 || size > MAX_CHUNK_BYTES) {
        throw new ProtocolError(`a chunk has 1 to ${MAX_CHUNK_BYTES} bytes, not ${size}`);
      }
      return { type: "data", size };
    }
    case "end": {
      const [crc, time] = cut(rest);
      return {
        type: "end",
        crc: decodeCrc(crc),
        ...(time !== "" && { modified: decodeTime(time) }),
      };
    }
    case "abort":
      return { type: "abort", text: rest };
  }
  throw new ProtocolError(`expected "data", "end" or "abort"`);
}

/** The detail of the `ok` that follows a put: `SIZE CRC NAME`; after a `say` there is no name. */
export function formatStored({ size, crc, name }: Stored): string {
  const facts = `${size} ${formatCrc(crc)}`;
  return name === "" ? facts : `${facts} ${name}`;
}

/**
 * Reads the detail that {@linkcode formatStored} wrote. The name is empty after a `say`.
 *
 * @throws {ProtocolError} if it has another form
 */
export function parseStored(detail: string): Stored {
  const [size, rest] = cut(detail);
  const [crc, name] = cut(rest);
  return { size: decodeNumber(size, "size"), crc: decodeCrc(crc), name };
}

/** One line of a list: `SIZE TIME NAME`, where the size of a folder is `-`. */
export function formatListEntry({ size, modified, name }: ListEntry): string {
  return `${size ?? "-"} ${formatTime(modified)} ${name}`;
}

/**
 * Reads a line that {@linkcode formatListEntry} wrote.
 *
 * @throws {ProtocolError} if it has another form
 */
export function parseListEntry(line: string): ListEntry {
  const [size, rest] = cut(line);
  const [time, name] = cut(rest);
  return { size: decodeSize(size), modified: decodeTime(time), name: decodeName(name) };
}

/** A time in UTC to the second, as RFC 3339 writes it. One beyond what the wire has becomes its end. */
export function formatTime(time: Date): string {
  const milliseconds = Math.min(Math.max(time.getTime(), 0), LATEST_MS);
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

/** 9999-12-31T23:59:59Z: years have four digits. */
const LATEST_MS = 253_402_300_799_000;

/** A CRC-32 as eight lower-case hexadecimal digits. */
export function formatCrc(crc: number): string {
  return (crc >>> 0).toString(16).padStart(8, "0");
}

/**
 * The header of an upload: the size as 8 bytes, big-endian, then the name in UTF-8.
 *
 * @throws {RangeError} if the size is not a whole number from 0 to 2^53 - 1
 */
export function encodeUploadHeader(size: number, name: string): Uint8Array<ArrayBuffer> {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new RangeError(`an upload has 0 to 2^53 - 1 bytes, not ${size}`);
  }
  const encoded = new TextEncoder().encode(name);
  const header = new Uint8Array(UPLOAD_SIZE_BYTES + encoded.length);
  new DataView(header.buffer).setBigUint64(0, BigInt(size));
  header.set(encoded, UPLOAD_SIZE_BYTES);
  return header;
}

/**
 * The size that opens an upload header.
 *
 * @throws {ProtocolError} if it is over 2^53 - 1
 */
export function decodeUploadSize(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, UPLOAD_SIZE_BYTES);
  const size = view.getBigUint64(0);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new ProtocolError(`a size is at most 2^53 - 1, not ${size}`);
  }
  return Number(size);
}

/** Decodes UTF-8 strictly: text that two programs could read differently is refused. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new ProtocolError("the text is not UTF-8", { cause });
  }
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();

/**
 * One line of text: an entry of a list, an answer to talk.
 *
 * @throws {ProtocolError} if it holds a line break or is too long
 */
export function encodeLine(text: string): Uint8Array<ArrayBuffer> {
  if (/[\r\n]/.test(text)) throw new ProtocolError("a line break cannot be part of a line");
  const line = utf8.encode(text + "\n");
  if (line.length > MAX_LINE_BYTES) {
    throw new ProtocolError(`the line has ${line.length} bytes, the limit is ${MAX_LINE_BYTES}`);
  }
  return line;
}

/** Splits at the first space. What follows may hold spaces of its own. */
function cut(text: string): [string, string] {
  const space = text.indexOf(" ");
  return space < 0 ? [text, ""] : [text.slice(0, space), text.slice(space + 1)];
}

/** The length is checked first, so that a billion digits cost nothing. */
function decodeNumber(text: string, what: string): number {
  const number = text.length <= 16 && /^\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(number)) {
    throw new ProtocolError(`the ${what} is not a whole number from 0 to 2^53 - 1`);
  }
  return number;
}

function decodeSize(text: string): number | null {
  return text === "-" ? null : decodeNumber(text, "size");
}

/** From 1970 on: what came before, not every file system can keep. */
function decodeTime(text: string): Date {
  const time = new Date(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? text : NaN);
  // A day that a month does not have is taken for one of the next month.
  if (!(time.getTime() >= 0) || formatTime(time) !== text) {
    throw new ProtocolError(`"${text}" is no time like 2026-11-21T08:38:00Z, from 1970 on`);
  }
  return time;
}

function decodeCrc(text: string): number {
  if (!/^[0-9a-f]{8}$/i.test(text)) {
    throw new ProtocolError("a CRC-32 is eight hexadecimal digits");
  }
  return parseInt(text, 16);
}

function decodeName(text: string): string {
  if (text === "") throw new ProtocolError("the name is missing");
  return text;
}

/** 32 bytes in hexadecimal: a nonce, or a SHA-256. */
function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

/** Error texts quote names: whatever a name holds, the answer stays one line of bounded length. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, " ").slice(0, 1000);
}
