/**
 * The client's own limit on its rate, held against the minimum rate of the server: one that is below
 * it would be dropped after a minute, in the middle of a file.
 *
 * 1. C: `hello;limit=600 1 ben`. S: `welcome;min-rate=1024 client 1 of 100`. C leaves.
 *
 * @module
 */

import { InletError } from "../../lib/errors.ts";
import type { RateLimit } from "../../lib/net/rate_limit.ts";
import { formatBytes } from "../../lib/text.ts";
import { decodeNumber, type Fields, type Reply, type Request, VERSION } from "../../protocol.ts";

/** What has the limit, if there is one. */
interface Limited {
  readonly rate?: RateLimit | undefined;
}

/** What the greeting tells. */
interface Greeting extends Limited {
  readonly greeting?: (() => Fields) | undefined;
}

/** A limit is kept by waiting, so what is measured at the other end can be a little less. */
const MARGIN = 1.1;

/** The greeting. It tells the client's limit, so that the server tells its minimum. */
export function helloOf(name: string, { rate, greeting }: Greeting): Request {
  const limit = rate && { limit: String(Math.floor(rate.share)) };
  const fields = (limit ?? greeting) && { fields: { ...limit, ...greeting?.() } };
  return { type: "hello", version: VERSION, name, ...fields };
}

/**
 * Checks that the client's limit is not below the minimum rate of the server.
 *
 * @throws {InletError} `usage`; `bad-request` if the server tells no number
 */
export function checkMinRate({ fields }: Reply, { rate }: Limited): void {
  const floor = decodeNumber(fields?.["min-rate"] ?? "0", "minimum rate");
  if (!rate || !(rate.share < floor * MARGIN)) return;
  const kept = rate.users > 1 ? ` on each of ${rate.users} connections` : "";
  throw new InletError(
    "usage",
    `Cannot keep to ${formatBytes(rate.share)}/s${kept}: the server drops transfers slower than ` +
      `${formatBytes(floor)}/s; give at least --limit ${Math.ceil(floor * MARGIN * rate.users)}`,
  );
}
