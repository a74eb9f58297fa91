/**
 * Puts files into a bucket with nothing in between: what a server is measured against. Requests are
 * signed by the same package, each with the SHA-256 of its body.
 *
 * - `put FILE KEY`: one object, in parts, four at a time.
 * - `files FOLDER KEY`: each file of a folder as `KEY/NAME`, sixteen at a time.
 * - `fill COUNT KEY`: so many objects of one byte, `KEY/NUMBER`, sixteen at a time.
 *
 * A KEY has its bucket in front. The environment says where the store is.
 *
 * @module
 */

import { AwsV4Signer } from "aws4fetch";

const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 4;
const FILES_AT_ONCE = 16;

const cache = new Map<string, ArrayBuffer>();

/** Sends a signed request, and gives the answer when all of it is there. */
async function ask(
  method: string,
  path: string,
  body: Uint8Array<ArrayBuffer> = new Uint8Array(0),
): Promise<{ etag: string; text: string }> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", body)).toHex();
  const signer = new AwsV4Signer({
    method,
    url: `${variable("AWS_ENDPOINT_URL_S3")}/${path}`,
    headers: { "x-amz-content-sha256": hash },
    accessKeyId: variable("AWS_ACCESS_KEY_ID"),
    secretAccessKey: variable("AWS_SECRET_ACCESS_KEY"),
    region: variable("AWS_REGION"),
    service: "s3",
    cache,
  });
  const { url, headers } = await signer.sign();
  const response = await fetch(url, { method, headers, body: method === "GET" ? null : body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return { etag: response.headers.get("etag") ?? "", text };
}

function variable(name: string): string {
  const value = Deno.env.get(name);
  if (value === undefined) throw new Error(`${name} is missing`);
  return value;
}

async function put(path: string, key: string): Promise<void> {
  const { size } = await Deno.stat(path);
  const { text } = await ask("POST", `${key}?uploads`);
  const [, uploadId] = /<UploadId>(.*)<\/UploadId>/.exec(text)!;
  const etags: string[] = [];
  await atOnce(PARTS_AT_ONCE, Math.ceil(size / PART_BYTES), async (index) => {
    const part = new Uint8Array(Math.min(PART_BYTES, size - index * PART_BYTES));
    using file = await Deno.open(path);
    await file.seek(index * PART_BYTES, Deno.SeekMode.Start);
    for (let read = 0; read < part.length;) read += (await file.read(part.subarray(read)))!;
    const query = `partNumber=${index + 1}&uploadId=${uploadId}`;
    etags[index] = (await ask("PUT", `${key}?${query}`, part)).etag;
  });
  const parts = etags.map((etag, index) =>
    `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`
  );
  const xml = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
  await ask("POST", `${key}?uploadId=${uploadId}`, new TextEncoder().encode(xml));
}

async function putFiles(folder: string, key: string): Promise<void> {
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  await atOnce(FILES_AT_ONCE, names.length, async (index) => {
    const name = names[index]!;
    await ask("PUT", `${key}/${name}`, await Deno.readFile(`${folder}/${name}`));
  });
}

async function fill(count: number, key: string): Promise<void> {
  const body = new Uint8Array(1);
  await atOnce(FILES_AT_ONCE, count, async (index) => {
    await ask("PUT", `${key}/${String(index).padStart(9, "0")}`, body);
  });
}

/** Does something for each number below `count`, so many of them at once. */
async function atOnce(
  most: number,
  count: number,
  action: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await action(next++);
  };
  await Promise.all(Array.from({ length: most }, worker));
}

const [what, source, key] = Deno.args as [string, string, string];
if (what === "put") await put(source, key);
if (what === "files") await putFiles(source, key);
if (what === "fill") await fill(Number(source), key);
