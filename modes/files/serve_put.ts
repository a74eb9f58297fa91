/**
 * Serves the requests that store a file: `put`, `push` and `reput`.
 *
 * @module
 */

import { decodeRequest, encodeReply, type Request } from "../../protocol.ts";
import { InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import type { Upload } from "../../lib/store/store.ts";
import { formatBytes, quoted } from "../../lib/text.ts";
import { acknowledge, admit } from "./admission.ts";
import { type Beginning, BodyReceiver } from "./receive.ts";
import { patiently, restOf } from "./wait.ts";

/** Serves `put` and `push`: stores a file. */
export async function servePut(
  connection: Connection,
  context: ServerContext,
  { type, size, name }: Extract<Request, { type: "put" | "push" }>,
): Promise<void> {
  const what = `store ${quoted(name)}`;
  await new BodyReceiver(connection, context, what).receive({
    open: () => {
      admit(context, type, what, size);
      return context.store.receive(name, size);
    },
    size,
    ...(type === "put" && { negotiate: () => agreeOnStart(connection) }),
    acknowledge: (stored) => acknowledge(context, stored, name),
  });
}

/** Serves `reput`: continues a partial file, and keeps it if the transfer is interrupted again. */
export async function serveReput(
  connection: Connection,
  context: ServerContext,
  { size, name }: Extract<Request, { type: "reput" }>,
): Promise<void> {
  const what = `store ${quoted(name)}`;
  await new BodyReceiver(connection, context, what).receive({
    open: () => {
      admit(context, "reput", what, size);
      // A drop-only server must not reveal the partial files of other clients.
      if (context.access === "drop-only") return context.store.receive(name, size);
      return patiently(connection, what, () => context.store.resume(name, size));
    },
    size,
    negotiate: (upload) => agreeOnOffset(connection, context, name, upload),
    acknowledge: (stored) => acknowledge(context, stored, name),
  });
}

/** Asks for the whole body. */
export async function agreeOnStart(connection: Connection): Promise<Beginning> {
  await connection.write(encodeReply({ type: "go", offset: 0 }));
  return { bytes: 0, crc: 0 };
}

/** Offers the partial file. The client decides whether its own file begins with the same bytes. */
async function agreeOnOffset(
  connection: Connection,
  context: ServerContext,
  name: string,
  upload: Upload,
): Promise<Beginning> {
  const { kept } = upload;
  await connection.write(encodeReply({ type: "go", offset: kept.bytes, crc: kept.crc }));
  // The client may have to read as many bytes of its own file first.
  await connection.rest(restOf(context.sessionTimeoutMs));
  const line = await connection.readLine();
  const from = line === null ? null : decodeRequest(line);
  if (from?.type !== "from" || (from.offset !== 0 && from.offset !== kept.bytes)) {
    throw new InletError("bad-request", `Cannot resume: send "from ${kept.bytes}" or "from 0"`);
  }
  if (kept.bytes === 0) return kept;
  if (from.offset === 0) {
    await upload.startOver();
    context.log.info(
      "restarted",
      `starts over with ${quoted(name)}: the partial file does not match`,
    );
    return upload.kept;
  }
  context.log.info("resumed", `resumes ${quoted(name)} at ${formatBytes(kept.bytes)}`, {
    name,
    offset: kept.bytes,
  });
  return kept;
}
