/**
 * Servers whose files in flight another program takes away, replaces, truncates, links, renames and
 * swaps while clients upload, go on and get.
 *
 * @module
 */

import { startServer, type TestServer } from "../helpers.ts";
import type { Dice } from "./content.ts";
import { Gremlin } from "./gremlin.ts";
import { type Uploaded, uploadSlowly } from "./slow_uploads.ts";
import { givesBack, holdingsOf, type Trial } from "./trial.ts";

/** Clients at once. */
const CLIENTS = 8;

/** What there was to see. */
export interface Meddled extends Uploaded {
  /** What the other program did, by the kind of deed. */
  deeds: Record<string, number>;
}

/** Where it happens. */
interface Around {
  dir: string;
  servers: number;
  trial: Trial;
  dice: Dice;
  /** Kinds of deeds that have to be done before it ends, however long that takes. */
  wanted?: readonly string[];
}

/** Uploads to one or two servers on one directory for so long, and looks at all of it then. */
export async function meddle(
  durationMs: number,
  { dir, servers: count, trial, dice, wanted = [] }: Around,
): Promise<Meddled> {
  await using stack = new AsyncDisposableStack();
  const servers: TestServer[] = [];
  const args = ["--max-clients", "1000", "--backlog", "1000"];
  for (let nth = 0; nth < count; nth++) {
    servers.push(stack.use(await startServer({ dir, args })));
  }
  const before = servers.map(holdingsOf);
  const started = performance.now();
  let failed = false;
  const gremlin = new Gremlin(dir, dice);
  const isDone = (): boolean => wanted.every((deed) => gremlin.deeds[deed]! > 0);
  const isOver = (): boolean => failed || performance.now() - started > durationMs && isDone();
  const fail = (error: unknown): never => {
    failed = true;
    throw error;
  };
  const [uploaded] = await Promise.all([
    uploadSlowly(CLIENTS, isOver, { servers, trial, dice }).catch(fail),
    gremlin.run(isOver).catch(fail),
  ]);
  for (const [nth, server] of servers.entries()) await givesBack(server, before[nth]!);
  gremlin.end();
  for (const server of servers) await trial.assertSound(server);
  return { ...uploaded, deeds: gremlin.deeds };
}
