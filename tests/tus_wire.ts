/**
 * tus by hand, at a server of ours or at another one.
 *
 * @module
 */

import type { Reachable } from "./helpers.ts";
import { HttpWire, type Response } from "./http_wire.ts";

/** Header fields, by name. */
export type Fields = Readonly<Record<string, string | number>>;

/** What the bytes of an upload are sent as. */
export const BYTES: Fields = { "Content-Type": "application/offset+octet-stream" };

const VERSION: Fields = { "Tus-Resumable": "1.0.0" };

/** The head of a request. A field that is an empty string is left out. */
export function requestOf(method: string, path: string, fields: Fields = {}): string {
  const all = { Host: "127.0.0.1", ...VERSION, ...fields };
  const lines = Object.entries(all).filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** Sends one request over a connection of its own. */
export async function ask(
  server: Reachable,
  method: string,
  path: string,
  fields: Fields = {},
  body = "",
): Promise<Response> {
  using wire = await HttpWire.dial(server);
  const length = body === "" && method !== "POST" ? {} : { "Content-Length": body.length };
  return await wire.asks(requestOf(method, path, { ...length, ...fields }) + body);
}

/** Begins an upload, and gives its path. */
export async function begin(server: Reachable, fields: Fields = {}): Promise<string> {
  return pathIn(await ask(server, "POST", "/uploads/", fields));
}

/** The path of the upload that was created. */
export function pathIn({ status, headers, body }: Response): string {
  const { location } = headers;
  if (status === 201 && location !== undefined) return location.replace(/^http:\/\/[^/]*/, "");
  throw new Error(`no upload: ${status} ${new TextDecoder().decode(body)}`);
}

/** Sends bytes of an upload. */
export async function patch(
  server: Reachable,
  path: string,
  offset: number | string,
  body: string,
  fields: Fields = {},
): Promise<Response> {
  const all = { ...BYTES, "Upload-Offset": offset, "Content-Length": body.length, ...fields };
  return await ask(server, "PATCH", path, all, body);
}

/** What `HEAD` tells of an upload. */
export async function head(server: Reachable, path: string): Promise<Response> {
  return await ask(server, "HEAD", path);
}

/** How much of an upload is there. */
export async function offsetOf(server: Reachable, path: string): Promise<number> {
  return Number((await head(server, path)).headers["upload-offset"]);
}

/** `Upload-Metadata` of some values. */
export function metadata(values: Readonly<Record<string, string>>): Fields {
  const pairs = Object.entries(values).map(([key, value]) => `${key} ${base64(value)}`);
  return { "Upload-Metadata": pairs.join(",") };
}

/** Text in Base64. */
export function base64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}
