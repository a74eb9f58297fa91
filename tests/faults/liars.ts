/**
 * Hostile servers for every request of the client: right answers with wrong numbers, answers to
 * something else, and garbage, some of it without an end.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { encodeReply } from "../../protocol.ts";
import { anyLine, anyReply } from "../fuzz/messages.ts";
import { fixture, names, residentBytes, startClient, tempDir } from "../helpers.ts";
import { impostor, type Wire } from "../wire.ts";
import type { Dice } from "./content.ts";

/** Clients at once. */
const CLIENTS = 4;

/** Most lines of an answer. */
const MOST_LINES = 6;

/** How long an answer without an end may become before the client has had enough. */
const MOST_BYTES = 256 * 2 ** 20;

/** Most memory of a client. */
const MOST_MEMORY_BYTES = 700 * 2 ** 20;

/** Milliseconds between two looks at the memory of a client. */
const LOOK_MS = 50;

/** How a client may end: as the table of its --help has it, without the codes of its own side. */
const EXIT_CODES = [0, 3, 4, 5];

const HELLO = fixture("hello.txt");

/** Every kind of request, as it is typed, and what is on the standard input. */
const REQUESTS: readonly { args: readonly string[]; stdin?: string }[] = [
  { args: ["--list"] },
  { args: ["--status"] },
  { args: ["--get", "a.txt"] },
  { args: ["--get", "a.txt", "--resume"] },
  { args: ["--get", "a/"] },
  { args: ["--get", "a.txt", "--output", "-"] },
  { args: [HELLO] },
  { args: [fixture("1MiB.txt"), "--resume"] },
  { args: [HELLO, "--skip-same"] },
  { args: [fixture("peers")] },
  { args: ["-", "--as", "a.txt"], stdin: "hello\n" },
  { args: [], stdin: "hello\n" },
  { args: ["--session"], stdin: "Hello\nlist\nwhoami\nstatus\nget a.txt\n" },
  { args: [HELLO, "--mode", "upload"] },
];

/** Lets each request meet so many such servers. Gives how many there were. */
export async function lie(rounds: number, dice: Dice): Promise<number> {
  const cases = Array.from({ length: rounds }, () => REQUESTS).flat();
  const all = cases.length;
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    for (let next; (next = cases.pop());) await lieTo(next, dice);
  }));
  return all;
}

async function lieTo(
  { args, stdin = "" }: { args: readonly string[]; stdin?: string },
  dice: Dice,
): Promise<void> {
  using server = impostor();
  await using local = await tempDir();
  const answers = answersOf(dice);
  const about = `${args.join(" ")}: ${JSON.stringify(answers).slice(0, 2000)}`;
  await using client = startClient(server, [...args, "--timeout", "1"], { cwd: local.path });
  const input = client.process.stdin.getWriter();
  input.write(new TextEncoder().encode(stdin)).then(() => input.close()).catch(() => {});
  let most = 0;
  const looking = setInterval(() => most = Math.max(most, memoryOf(client.process)), LOOK_MS);
  const answering = answer(await server.accept(), answers);
  const { code } = await client.ended().finally(() => clearInterval(looking));
  await answering;
  assert(EXIT_CODES.includes(code), `${about}: it ended with ${code}: ${client.log}`);
  assert(!/^\s+at .*:\d+:\d+|internal/m.test(client.log), `${about}: ${client.log}`);
  assert(most < MOST_MEMORY_BYTES, `${about}: it took ${most} bytes`);
  // What came whole is kept; a part of it only by who asked to go on with it.
  const expected = args.includes("--resume")
    ? /^(a( \(\d+\))?\.txt|\(partial\)|\(in flight\))$/
    : /^a(( \(\d+\))?\.txt)?$/;
  assertEquals(names(local.path).filter((name) => !expected.test(name)), [], about);
}

/** What a server says: a line for each of the client's, and whether the last goes on for ever. */
function answersOf(dice: Dice): { lines: string[]; endless: boolean } {
  const numRuns = 1 + dice.below(MOST_LINES);
  const reply = anyReply.map((it) => new TextDecoder().decode(encodeReply(it)));
  const right = fc.constantFrom("ok 5\n", "ok\n", "go 0\n", "data 5\nhello\n", "end 3610a686\n");
  const any = fc.oneof(reply, right, anyLine.map((it) => `${it}\n`));
  const lines = fc.sample(any, { numRuns, seed: dice.below(2 ** 31) });
  // Most clients go no further than a server that does not let them in.
  if (dice.below(5) > 0) lines.unshift("welcome client 1 of 9\n");
  return { lines, endless: dice.below(4) === 0 };
}

async function answer(
  wire: Wire,
  { lines, endless }: { lines: readonly string[]; endless: boolean },
): Promise<void> {
  using _ = wire;
  try {
    for (const line of lines) {
      await wire.says(line);
    }
    // Notes may go on for a hundred times the timeout, so those are not what it says for ever.
    const piece = new TextEncoder().encode(
      lines.filter((line) => !line.startsWith("note")).join("").repeat(100),
    );
    for (let said = 0; endless && piece.length > 0 && said < MOST_BYTES; said += piece.length) {
      await wire.says(piece);
    }
    await wire.closeWrite();
    await wire.rest();
  } catch {
    // The client has had enough.
  }
}

/** Memory of a client; 0 once it has ended, and where the system does not tell. */
function memoryOf(process: Deno.ChildProcess): number {
  try {
    return residentBytes(process);
  } catch {
    return 0;
  }
}
