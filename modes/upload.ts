/**
 * Mode upload: one file with its size and name, in a protocol that other programs speak too.
 *
 * 1. C: 8 bytes, the size, big-endian; then the file's name in UTF-8, without an end mark.
 * 2. S: `go ahead`. The client waits for it, so the name ends when nothing more comes for a while.
 * 3. C: exactly that many bytes.
 * 4. S: closes, once the file is stored under its name.
 *
 * A server that refuses sends `busy …` or `error CODE …`, instead of `go ahead` or during or after
 * the body, and closes. The protocol has no checksum: only the size is verified. Of a name that is a
 * path, the last component is the name.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import {
  decodeUploadSize,
  decodeUtf8,
  encodeUploadHeader,
  GO_AHEAD,
  type Stored,
  UPLOAD_SIZE_BYTES,
} from "../protocol.ts";
import { checkAccess } from "../lib/auth/access.ts";
import { checkSize } from "../lib/server/size_limit.ts";
import type { Connection } from "../lib/net/connection.ts";
import { encodeError, InletError } from "../lib/errors.ts";
import { hintAtSilence, openOnClient, openOnServer } from "./opening.ts";
import { likelyServer } from "./files/first_answer.ts";
import { hear } from "./refusal.ts";
import { sendListening } from "./send_only.ts";
import { notAnUpload } from "./strangers.ts";
import { storeBody } from "../lib/server/store_body.ts";
import type { Source } from "../lib/body/sources.ts";
import { quoted } from "../lib/text.ts";
import type { WireContext } from "../lib/cli/client_context.ts";
import { rightsOf, type ServerContext } from "../lib/server/context.ts";

/** Wait for more of a name that arrived together with its size, in milliseconds. */
const WHOLE_HEADER_MS = 15;

/** Wait for more of a name once a header has arrived in pieces, in milliseconds. */
const PIECED_HEADER_MS = 150;

const goAhead = new TextEncoder().encode(GO_AHEAD);

/** Server half: stores one file. */
export async function serveUpload(connection: Connection, context: ServerContext): Promise<void> {
  connection.farewell = encodeError;
  connection.resting = true;
  if (!await openOnServer(connection, context)) return;
  // No size up to 2^53 - 1 begins with another byte.
  if (await connection.peek() !== 0) throw await notAnUpload(connection);
  const size = decodeUploadSize(await connection.readExactly(UPLOAD_SIZE_BYTES));
  const sent = await readName(connection);
  const name = lastComponent(sent);
  if (name !== sent) context.log.info("path", `sent the path ${quoted(sent)}`, { path: sent });
  context.log.begin(name);
  connection.begun();
  connection.resting = false;
  const what = `store ${quoted(name)}`;
  checkAccess(rightsOf(context), "put", what);
  checkSize(what, size, context.maxBytes);
  await using upload = await context.store.receive(name, size);
  using _ = connection.enforceMinRate();
  await connection.write(goAhead);
  await storeBody(connection, connection.body(size), upload, what, context);
}

/** Client half: sends one file to any server of this protocol. */
export async function sendUpload(
  connection: Connection,
  source: Source,
  context: WireContext,
): Promise<Partial<Stored>> {
  if (source.size === null) {
    throw new InletError(
      "usage",
      `Cannot upload ${quoted(source.label)}: this mode needs a size before the first byte`,
    );
  }
  connection.unfinished = true;
  await openOnClient(connection, context);
  using body = await source.open((bytes) => context.progress.add(bytes));
  await connection.write(encodeUploadHeader(source.size, source.name));
  await expectGoAhead(connection, context);
  // Do not close the sending direction: a server may take that for a lost client.
  const { size } = source;
  await sendListening(connection, source, body, context, { halfClose: false, sent: () => size });
  return { size, crc: body.tally.crc };
}

/** Most bytes of what stands for a name on this wire: some programs send a path. */
const MAX_PATH_BYTES = 1024;

/** Reads the name, which ends with a pause because it has no end mark. */
async function readName(connection: Connection): Promise<string> {
  let name = connection.takeBuffered().slice();
  let patienceMs = name.length > 0 ? WHOLE_HEADER_MS : PIECED_HEADER_MS;
  // Before the first byte of the name, only the idle timeout applies.
  if (name.length === 0) await connection.peek();
  for (;;) {
    const more = connection.takeBuffered();
    if (name.length + more.length > MAX_PATH_BYTES) {
      throw new InletError(
        "bad-name",
        `Cannot take the name: the limit is ${MAX_PATH_BYTES} bytes`,
      );
    }
    name = concat([name, more]);
    if (!await connection.moreWithin(patienceMs)) return decodeUtf8(name);
    patienceMs = PIECED_HEADER_MS;
  }
}

async function expectGoAhead(connection: Connection, context: WireContext): Promise<void> {
  using _ = hintAtSilence(context);
  for (const [taken, expected] of goAhead.entries()) {
    if (await connection.peek() !== expected) {
      const words = await hear(connection, context.timeoutMs);
      if (!words) throw new InletError("lost", "The server closed without an answer");
      const said = GO_AHEAD.slice(0, taken) + words.text;
      const likely = likelyServer(said);
      const hint = likely === undefined ? "; for a greeting, see --dialogue" : `, ${likely}`;
      throw words.refusal ??
        new InletError("denied", `The server said ${quoted(said)} and not "go ahead"${hint}`);
    }
    connection.skip(1);
  }
}

/** The last component of a path of any system: some programs send the path that they were given. */
function lastComponent(path: string): string {
  return path.replace(/^.*[/\\]/s, "");
}
