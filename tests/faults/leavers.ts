/**
 * Clients that leave at random moments of work that takes the server long.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { delay } from "@std/async/delay";
import { startServer } from "../helpers.ts";
import { idOf } from "../resuming.ts";
import { contentOf, type Dice } from "./content.ts";
import { CHALLENGE, proofOf } from "./conversations.ts";
import { Peer } from "./peer.ts";
import { givesBack, holdingsOf, type Trial, withClient } from "./trial.ts";

/** Clients at once: as many as the server has places. */
const PLACES = 16;

/** Most milliseconds for which a client stays after its request. */
const MOST_STAY_MS = 60;

/** Bytes of a file that takes time to read, and takes no space. */
const LARGE_BYTES = 256 * 1024 ** 2;

/** Entries of a folder. */
const ENTRIES = 3000;

const TIME = "2026-01-01T00:00:00Z";
const LARGE = "large";

/** The requests for which a server has to do much, by their names. */
const REQUESTS: Readonly<Record<string, (dice: Dice) => Uint8Array>> = {
  compare: (dice) => line(`compare ${LARGE_BYTES} ${crcOf(dice)} ${TIME} ${LARGE}`),
  reget: (dice) => line(`reget ${1 + dice.below(LARGE_BYTES)} ${crcOf(dice)} ${LARGE}`),
  reput: (dice) =>
    concat([line(`reput ${idOf(String(dice.below(5)))} 1000000 r`), body(dice, 900_000)]),
  list: () => line("list"),
  tree: () => line("tree folder"),
  say: (dice) => concat([line("say 1000000"), body(dice, 900_000)]),
  get: () => line(`get ${LARGE}`),
};

/**
 * Lets clients leave for so long, and until some have left each kind of work.
 *
 * @returns How many left, by what they had asked for.
 */
export async function leave(
  durationMs: number,
  { dir, trial, dice, key }: { dir: string; trial: Trial; dice: Dice; key?: string | undefined },
): Promise<Record<string, number>> {
  await makeWork(dir);
  const args = ["--max-clients", String(PLACES), "--backlog", "1000", "--keep-partials", "0"];
  await using server = await startServer({ dir, args, key });
  const before = holdingsOf(server);
  const left: Record<string, number> = {};
  const started = performance.now();
  do {
    await Promise.all(Array.from({ length: PLACES - 1 }, async () => {
      const request = dice.of(Object.keys(REQUESTS));
      const peer = await Peer.dial(server);
      await peer.write(line("hello 1 leaver"));
      if (key !== undefined && await peer.answered(CHALLENGE)) {
        await peer.write(await proofOf(peer));
      }
      await peer.write(REQUESTS[request]!(dice));
      await delay(dice.below(MOST_STAY_MS));
      await peer.cut("reset");
      left[request] = (left[request] ?? 0) + 1;
    }));
    // Their places and all that they held are free again; it was not its end for the server.
    await givesBack(server, before);
    await withClient(server, async (client) => void await client.chat("Hello"));
  } while (
    performance.now() - started < durationMs ||
    Object.keys(left).length < Object.keys(REQUESTS).length
  );
  Deno.removeSync(`${dir}/${LARGE}`);
  Deno.removeSync(`${dir}/folder`, { recursive: true });
  await trial.assertSound(server);
  return left;
}

async function makeWork(dir: string): Promise<void> {
  Deno.mkdirSync(`${dir}/folder`, { recursive: true });
  for (let entry = 0; entry < ENTRIES; entry++) {
    Deno.writeTextFileSync(`${dir}/folder/${entry}`, "");
  }
  Deno.writeTextFileSync(`${dir}/${LARGE}`, "");
  await Deno.truncate(`${dir}/${LARGE}`, LARGE_BYTES);
  await Deno.utime(`${dir}/${LARGE}`, new Date(TIME), new Date(TIME));
}

function line(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\n`);
}

/** A checksum that nothing has: each has to be computed anew. */
function crcOf(dice: Dice): string {
  return dice.below(2 ** 32).toString(16).padStart(8, "0");
}

function body(dice: Dice, mostBytes: number): Uint8Array {
  return contentOf(0, 0, dice.below(mostBytes));
}
