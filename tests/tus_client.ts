/**
 * The real tus-js-client as a program: `tus_client.ts ENDPOINT FILE OPTIONS`. It tells on stderr what
 * happens: `url URL`, `at BYTES`, and at last `done NAME`, `stopped` or `failed MESSAGE`.
 *
 * @module
 */

import { createReadStream } from "node:fs";
import { PassThrough } from "node:stream";
import { Upload, type UploadOptions } from "tus-js-client";

/** What a test may ask for, as JSON. */
export type ClientOptions = UploadOptions & {
  /** Stops behind the request after which so many bytes are there. */
  stopAt?: number;
  /** Whether it reads the file as a pipe, of which nobody knows how long it is. */
  isPipe?: boolean;
};

const [endpoint = "", path = "", json = "{}"] = Deno.args;
const { stopAt = Infinity, isPipe, ...options }: ClientOptions = JSON.parse(json);
let name: string | undefined;
const file = createReadStream(path);
const upload = new Upload(isPipe ? file.pipe(new PassThrough()) : file, {
  endpoint,
  retryDelays: [],
  ...options,
  onUploadUrlAvailable: () => console.error(`url ${upload.url}`),
  onChunkComplete: (_, accepted) => {
    console.error(`at ${accepted}`);
    if (accepted < stopAt) return;
    upload.abort();
    console.error("stopped");
    Deno.exit();
  },
  onAfterResponse: (_, response) => {
    name = response.getHeader("Inlet-Name") ?? name;
  },
  onShouldRetry: () => true,
  onError: ({ message }) => {
    console.error(`failed ${message}`);
    Deno.exit(1);
  },
  onSuccess: () => {
    console.error(`done ${name && decodeURIComponent(name)}`);
    Deno.exit();
  },
});
upload.start();
