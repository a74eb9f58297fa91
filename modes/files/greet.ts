/**
 * Admits a client: its greeting, and the proof of its key, if the server requires one.
 *
 * @module
 */

import {
  decodeRequest,
  encodeReply,
  featuresOf,
  type Fields,
  MAX_CLIENT_NAME_BYTES,
  VERSION,
} from "../../protocol.ts";
import { hostOf } from "../../lib/address.ts";
import type { KeyVerifier } from "../../lib/auth/brute_force.ts";
import { makeNonce } from "../../lib/auth/key.ts";
import { InletError } from "../../lib/errors.ts";
import { awakeNow } from "../../lib/net/awake.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { quoted } from "../../lib/text.ts";

/**
 * Reads the greeting, and welcomes the client.
 *
 * @returns Whether requests follow; false if the client closed instead.
 * @throws {InletError} `bad-request`, `version`, `bad-name`, `denied` or `wait`
 */
export async function greet(connection: Connection, context: ServerContext): Promise<boolean> {
  const line = await connection.readLine();
  if (line === null) return false;
  connection.patient = false;
  const request = decodeRequest(line);
  if (request.type !== "hello") {
    throw new InletError("bad-request", `Cannot begin: send "hello ${VERSION} NAME" first`);
  }
  if (request.version !== VERSION) {
    throw new InletError(
      "version",
      `Cannot speak version ${request.version}: this server speaks version ${VERSION}`,
    );
  }
  if (new TextEncoder().encode(request.name).length > MAX_CLIENT_NAME_BYTES) {
    throw new InletError(
      "bad-name",
      `Cannot take the client's name: the limit is ${MAX_CLIENT_NAME_BYTES} bytes`,
    );
  }
  const { client, clients } = context;
  if (context.keyVerifier) {
    if (!await passes(connection, context.keyVerifier)) return false;
    client.unauthenticated = false;
  }
  client.features = featuresOf(request);
  clients.introduce(client, request.name.trim());
  context.log.info("welcome", `is ${quoted(client.name)}`);
  await connection.write(
    encodeReply({
      ...{ type: "welcome", client: client.number, limit: clients.limit },
      ...request.fields?.limit !== undefined && minRateField(connection),
    }),
  );
  connection.begun();
  return true;
}

/** Tells a client that limits its own rate what is too slow here. */
function minRateField({ minRate }: Connection): { fields?: Fields } {
  return minRate ? { fields: { "min-rate": String(minRate.bytesPerSecond) } } : {};
}

/** Challenges a client to prove its key. Returns false if the client closed instead. */
async function passes(connection: Connection, keyVerifier: KeyVerifier): Promise<boolean> {
  const host = hostOf(connection.remote);
  keyVerifier.checkWait(host);
  const nonce = makeNonce();
  await connection.write(encodeReply({ type: "challenge", nonce }));
  connection.challengedAt = awakeNow();
  const line = await connection.readLine();
  if (line === null) return false;
  const request = decodeRequest(line);
  if (request.type !== "answer") {
    throw new InletError("denied", `Cannot authenticate: send "answer DIGEST" first`);
  }
  await keyVerifier.check(host, nonce, request.digest);
  return true;
}
