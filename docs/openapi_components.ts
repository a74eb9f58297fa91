/**
 * What the description of HTTP refers to by name: the parameters of requests, and the schemas of what is
 * in bodies.
 *
 * @module
 */

import { ARCHIVES } from "../web/archive_formats.ts";
import { STATUSES } from "../web/problem.ts";

export type Json = Readonly<Record<string, unknown>>;

export const TEXT = { type: "string" };
const COUNT = { type: "integer", minimum: 0 };
export const BYTES = { type: "string", format: "binary" };

export const PARAMETERS = {
  Visitor: query("visitor", "The secret of an event stream, whose visitor says it.", TEXT),
  To: query("to", "The number of the one client that is told it, by a visitor.", TEXT),
  VisitorName: query("name", "The name of the visitor. A user has its own.", TEXT),
  Archive: query("archive", "Gets everything below the folder as one archive.", {
    type: "string",
    enum: Object.keys(ARCHIVES),
  }),
  Range: header("Range", "Gets one part of the file: `bytes=START-END`."),
  IfMatch: header("If-Match"),
  IfNoneMatch: header("If-None-Match", "With `*`, a PUT stores nothing if the name is taken."),
  IfModifiedSince: header("If-Modified-Since"),
  IfUnmodifiedSince: header("If-Unmodified-Since"),
  IfRange: header("If-Range"),
  WantReprDigest: header("Want-Repr-Digest", "Asks for a digest of the whole file: RFC 9530."),
  ContentDigest: header("Content-Digest", "The digest of the body, which is verified: RFC 9530."),
  ReprDigest: header("Repr-Digest", "The same, as the digest of the file."),
  LastModified: header("Last-Modified", "Becomes the time of the file."),
  TusResumable: header("Tus-Resumable", "The version of tus: `1.0.0`.", true),
  UploadLength: header("Upload-Length", "Size of the file in bytes.", false, COUNT),
  UploadDeferLength: header("Upload-Defer-Length", "`1` if the size is told later."),
  UploadMetadata: header("Upload-Metadata", "Keys and values in Base64, `filename` among them."),
  UploadConcat: header("Upload-Concat", "`partial`, or `final;` and the addresses of the parts."),
  UploadOffset: header("Upload-Offset", "Where the body begins.", true, COUNT),
  UploadChecksum: header("Upload-Checksum", "An algorithm and the checksum of the body in Base64."),
  MethodOverride: header("X-HTTP-Method-Override", "The method that is meant.", true),
} as const;

/** The parameter in a path. */
export const NAME = {
  name: "name",
  in: "path",
  required: true,
  description: "A name, or the id of an upload. The slashes of a name are not encoded.",
  schema: TEXT,
};

const FLAG = { type: "boolean" };

export const SCHEMAS = {
  About: {
    type: "object",
    required: ["version", "signIn", "user", "may", "maxFileBytes", "secure", "fingerprint"],
    properties: {
      version: { type: ["string", "null"], description: "Of the server; null for strangers." },
      signIn: { type: "string", enum: ["none", "needed", "done"] },
      user: { type: ["string", "null"], description: "The name of the visitor, if it has one." },
      may: {
        type: "object",
        required: ["list", "get", "put", "talk"],
        properties: { list: FLAG, get: FLAG, put: FLAG, talk: FLAG },
      },
      maxFileBytes: { type: ["integer", "null"], description: "null without a limit." },
      secure: { ...FLAG, description: "Whether the client uses https." },
      fingerprint: {
        type: ["string", "null"],
        description: "The SHA-256 of the certificate, in pairs of digits; null without a key.",
      },
    },
  },
  Status: {
    type: "object",
    required: ["clients"],
    properties: { clients: { type: "array", items: schemaOf("Client") } },
  },
  Client: {
    type: "object",
    required: ["number", "name", "address", "start"],
    properties: {
      number: { ...COUNT, description: "From 1, in order of admission." },
      name: { ...TEXT, description: "Empty for one without a name." },
      address: TEXT,
      wire: { ...TEXT, description: "What it speaks; `page` for somebody with the page open." },
      start: { type: "string", format: "date-time" },
      end: { type: "string", format: "date-time", description: "Missing while it is connected." },
      reachable: { const: true, description: "It can be told something alone." },
    },
  },
  SignIn: {
    type: "object",
    required: ["key"],
    properties: {
      key: { ...TEXT, description: "The key, or the token of a user." },
      name: { ...TEXT, description: "What the log calls the visitor, with a key for all." },
    },
  },
  List: {
    type: "object",
    required: ["files"],
    properties: { files: { type: "array", items: schemaOf("Entry") } },
  },
  Entry: {
    type: "object",
    required: ["name", "size", "modified"],
    properties: {
      name: { ...TEXT, description: "The whole name, from the directory on." },
      size: { type: ["integer", "null"], description: "In bytes; null for folders and links." },
      modified: { type: "string", format: "date-time" },
      href: { ...TEXT, description: "The address relative to that of the list; links have none." },
      to: { ...TEXT, description: "The target of a symbolic link." },
    },
  },
  Stored: {
    type: "object",
    required: ["name", "size"],
    properties: { name: TEXT, size: { ...COUNT, description: "In bytes." } },
  },
  StoredFiles: {
    type: "object",
    required: ["files"],
    properties: { files: { type: "array", items: schemaOf("Stored") } },
  },
  Problem: {
    type: "object",
    description: "RFC 9457",
    required: ["title", "status", "detail", "code"],
    properties: {
      title: TEXT,
      status: { type: "integer" },
      detail: { ...TEXT, description: "What could not be done, and why." },
      code: { type: "string", enum: Object.keys(STATUSES).sort() },
    },
  },
};

/** Refers to one of {@linkcode SCHEMAS}. */
export function schemaOf(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function header(name: string, description?: string, required = false, schema: Json = TEXT): Json {
  return { name, in: "header", required, ...description !== undefined && { description }, schema };
}

function query(name: string, description: string, schema: Json): Json {
  return { name, in: "query", description, schema };
}
