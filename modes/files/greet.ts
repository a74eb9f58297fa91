/**
 * Admits a client: its greeting, and the proof of its key, if the server requires one.
 *
 * @module
 */

import { decodeRequest, encodeReply, featuresOf, type Fields, VERSION } from "../../protocol.ts";
import type { Authenticator } from "../../lib/auth/authenticator.ts";
import { makeNonce } from "../../lib/auth/key.ts";
import { InletError } from "../../lib/errors.ts";
import { awakeNow } from "../../lib/net/awake.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { checkClientName } from "../../lib/server/clients.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { letsReach } from "../../lib/server/people.ts";
import { refuseLate } from "../../lib/server/refusals.ts";

/**
 * Reads the greeting, and welcomes the client.
 *
 * @returns Whether requests follow; false if the client closed instead.
 * @throws {InletError} `bad-request`, `version`, `bad-name` or `denied`
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
  checkClientName(request.name);
  const { client, clients } = context;
  const name = request.name.trim();
  if (context.authenticator) {
    if (!await passes(connection, context, context.authenticator, name)) return false;
    client.unauthenticated = false;
  }
  await context.consent?.(request);
  client.features = featuresOf(request);
  clients.introduce(client, name);
  if (letsReach(context)) client.mailbox = clients.attendance.enter(client);
  context.log.welcomed(client.name);
  // Who reads the welcome has a place, and that for good: no client goes before it from here on.
  connection.begun();
  await connection.write(
    encodeReply({
      ...{ type: "welcome", client: client.number, limit: clients.limit },
      ...request.fields?.limit !== undefined && minRateField(connection),
    }),
  );
  return true;
}

/** Tells a client that limits its own rate what is too slow here. */
function minRateField({ minRate }: Connection): { fields?: Fields } {
  return minRate ? { fields: { "min-rate": String(minRate.bytesPerSecond) } } : {};
}

/** Challenges a client to prove itself. Returns false if the client closed instead. */
async function passes(
  connection: Connection,
  context: ServerContext,
  authenticator: Authenticator,
  name: string,
): Promise<boolean> {
  const nonce = makeNonce();
  // Before and behind it: a busy server is long in coming back from a write.
  connection.challengedAt = awakeNow();
  await connection.write(encodeReply({ type: "challenge", nonce }));
  connection.challengedAt = awakeNow();
  const line = await connection.readLine();
  if (line === null) return false;
  const request = decodeRequest(line);
  if (request.type !== "answer") {
    throw new InletError("denied", `Cannot authenticate: send "answer PROOF" first`);
  }
  const user = await authenticator.verify({ nonce, name, proof: request.proof });
  // Another client may have got its place meanwhile.
  if (connection.failure) throw connection.failure;
  if (user === false || (user !== true && user.isRevoked)) {
    throw await refuseLate(connection, context);
  }
  if (user !== true) context.client.user = user;
  return true;
}
