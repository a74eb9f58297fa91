/**
 * A large file that is sent by a page whose tab is killed three times.
 *
 * @module
 */

import { assertEquals, assertLess } from "@std/assert";
import type { Page } from "puppeteer-core";
import type { Visitor } from "./browser.ts";
import { heldLinkTo } from "./held_link.ts";
import { bytes, residentBytes, run, startServer, uploadGrows } from "./helpers.ts";
import { choose, line, pageOf, renderersOf, shows } from "./page_hands.ts";

const MIB = 1024 * 1024;

/** What the page of a tab may hold in memory, in bytes. */
const MOST_TAB_BYTES = 150_000_000;

/** Tabs that are killed. */
const KILLS = 3;

/**
 * Sends the file, and fails unless it comes whole, and each tab holds little memory.
 *
 * @param mib Size of the file in MiB, at least 60.
 * @param directories Where the server stores, and where the file is made.
 */
export async function killTabs(
  visitor: Visitor,
  mib: number,
  { received, local }: { received: string; local: string },
): Promise<void> {
  const file = await largeFile(local, mib);
  // As much goes through for each tab, and it is killed when most of that has come.
  const share = Math.ceil(mib / (KILLS + 1)) + 5;
  await using server = await startServer({ dir: received });
  using link = await heldLinkTo(server, share * MIB);
  for (let kill = 1; kill <= KILLS; kill++) {
    const page = await visitor.open(pageOf(link));
    await shows(page, "#call");
    await choose(page, file);
    await uploadGrows(received, kill * (share - 10) * MIB);
    await assertLittle(page);
    const killed = new Promise((resolve) => page.once("error", resolve));
    for (const { pid } of await renderersOf(page)) Deno.kill(pid, "SIGKILL");
    await killed;
    await page.close();
    // What it has sent would take the place of what the next one sends.
    link.cut();
    link.open(kill === KILLS ? Infinity : share * MIB);
  }
  const page = await visitor.open(pageOf(link));
  await shows(page, line("asking"), "not finished");
  await choose(page, file);
  await shows(page, line("done"), "stored");
  await assertLittle(page);
  assertEquals((await run("cmp", [file, `${received}/large.bin`])).code, 0);
  await server.running.says(/resumes "large.bin" at /, KILLS);
}

/** Fails if a page has held more memory than it may, without the program's own file. */
async function assertLittle(page: Page): Promise<void> {
  for (const renderer of await renderersOf(page)) {
    const status = Deno.readTextFileSync(`/proc/${renderer.pid}/status`);
    const program = Number(/^RssFile:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
    assertLess(residentBytes(renderer) - program, MOST_TAB_BYTES);
  }
}

/** A file without two equal pieces, of so many MiB. */
async function largeFile(directory: string, size: number): Promise<string> {
  const path = `${directory}/large.bin`;
  using file = await Deno.create(path);
  const piece = bytes(MIB);
  for (let index = 0; index < size; index++) {
    new DataView(piece.buffer).setUint32(0, index);
    await file.write(piece);
  }
  return path;
}
