/**
 * A server on a disk that fails: each line on its stdin is a fault as JSON, or `null` for none. It
 * answers on stderr with how often what had to fail until then was called.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import { serve } from "../../server.ts";
import { FaultyDisk } from "./disk.ts";

const [directory, mode, fsync] = Deno.args as [string, string, string];
const faulty = new FaultyDisk();
await serve({ directory, mode, fsync: fsync === "fsync", disk: faulty.disk, backlog: 1000 });
const lines = Deno.stdin.readable
  .pipeThrough(new TextDecoderStream())
  .pipeThrough(new TextLineStream());
for await (const line of lines) {
  console.error(`calls: ${faulty.calls}`);
  faulty.fault = JSON.parse(line) ?? undefined;
}
Deno.exit(0);
