/// <reference lib="dom" />
/**
 * Draws docs/page.webp: the page of a real server in Chromium, while files come in.
 *
 * ```sh
 * deno run --allow-all docs/make_page_picture.ts
 * ```
 *
 * It needs Debian's chromium.
 *
 * @module
 */

import puppeteer, { type Page } from "puppeteer-core";
import { send } from "../client.ts";
import { serve } from "../server.ts";
import { bytes, tempDir } from "../tests/helpers.ts";

/** Pixels of the page, and how many of the picture each of them has. */
const VIEW = { width: 1120, height: 940, deviceScaleFactor: 1.5 };

/** What is on its way, with the part of it that has arrived. */
const MOVING: readonly (readonly [name: string, bytes: number, part: number])[] = [
  ["holiday.mov", 6_400_000, 0.7],
  ["report.pdf", 482_100, 1],
  ["disk.img", 14_000_000, 0.3],
];

/** Bytes a second of the line. */
const SPEED = 1_500_000;

async function main(): Promise<void> {
  await using received = await tempDir();
  await using elsewhere = await tempDir();
  await Deno.mkdir(`${received.path}/photos`);
  await received.write("photos/beach.jpg", bytes(10));
  await received.write("report.pdf", bytes(390_000));
  await using server = await serve({
    port: 0,
    directory: received.path,
    log: { quiet: true },
  });
  const names: [string, number][] = [["minutes.pdf", 810_000], ["שלום.txt", 640], [
    "scan.png",
    2e6,
  ]];
  const paths: string[] = [];
  for (const [name, size] of names) paths.push(await elsewhere.write(name, bytes(size)));
  await send(server.address, paths, { name: "ada" });
  const browser = await puppeteer.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  try {
    const page = await browser.newPage();
    await page.setViewport(VIEW);
    await page.goto(`http://127.0.0.1:${server.address.port}/`);
    await page.type("#name", "ben\n");
    await page.waitForSelector("#entries tbody tr");
    await page.type("#text", "The scans follow\n");
    await sendSlowly(page, elsewhere);
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    await page.screenshot({ path: new URL("page.webp", import.meta.url).pathname as "page.webp" });
    // It asks before it is left.
    await page.close({ runBeforeUnload: false });
  } finally {
    await browser.close();
  }
}

/** Chooses the files, and waits until enough of each has arrived. */
async function sendSlowly(
  page: Page,
  folder: { write(name: string, content: Uint8Array): Promise<string> },
): Promise<void> {
  const chosen: string[] = [];
  for (const [name, size] of MOVING) chosen.push(await folder.write(name, bytes(size)));
  const line = await page.createCDPSession();
  await line.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: SPEED,
  });
  const input = await page.$("input#files");
  await input!.uploadFile(...chosen);
  await page.waitForFunction(
    (parts: number[]) => {
      const bars = [...document.querySelectorAll<HTMLProgressElement>("#uploads progress")];
      return parts.every((part, index) => bars[index]?.hidden || bars[index]!.value >= part);
    },
    {},
    MOVING.map(([, , part]) => part),
  );
}

await main();
