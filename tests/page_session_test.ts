/**
 * The session in the page, beside one of the native client: names, what is said, who is connected and
 * was, and what moves. And a folder, which is got as one archive.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { crc32 } from "node:zlib";
import { browserTest } from "./browser.ts";
import { fileGrows, freePort, run, startServer } from "./helpers.ts";
import { hides, pageOf, shows, textsOf, until } from "./page_hands.ts";
import { Wire } from "./wire.ts";

/** What an element holds that a person fills in. */
const valueOf = (element: unknown): string => (element as { value: string }).value;

browserTest(
  "a page has a name in the session, and shows each client with its start, its end and what it sends",
  "chromium",
  async (visitor) => {
    await using server = await startServer();
    const page = await visitor.open(pageOf(server));
    await shows(page, "#connected", "1 connected");
    await page.type("#name", "ben\n");
    await shows(page, "#clients tbody tr", "ben");
    const wire = await Wire.dial(server);
    await wire.says("hello 1 ann\n");
    await wire.line();
    // Until it has greeted, it is counted without a name.
    await shows(page, "#clients tbody tr", "ann");
    await shows(page, "#connected", "2 connected");
    /** What the row of a client shows: who, since when, until when. */
    const row = async (name: string): Promise<string[]> =>
      await page.$$eval("#clients tbody tr", (rows, name) => {
        const cells = rows.map((row) => [...row.children].map((it) => it.textContent ?? ""));
        return cells.find(([who]) => who!.startsWith(name)) ?? [];
      }, name);
    const [who, start, end] = await row("ann");
    assertMatch(who!, /^ann 127\.0\.0\.1:\d+ · native/);
    assertMatch(start!, /^\d\d:\d\d$|^\d{4}-/);
    assertEquals(end, "connected");
    const content = "x".repeat(3000);
    await wire.says("put 3000 a.txt\n");
    await wire.line();
    await wire.says(content.slice(0, 1000));
    await shows(page, "#clients tbody tr", "a.txt 1");
    // What the server answers to the request is counted with it.
    assertMatch((await row("ann"))[0]!, /a\.txt 10\d\d B of 2\.9 KiB$/);
    await wire.says(content.slice(1000));
    await wire.says(`end ${crc32(content).toString(16).padStart(8, "0")}\n`);
    await wire.line();
    await shows(page, "#entries tbody tr", "a.txt");
    // The native session knows the page by the name that it gave.
    await wire.says("status\n");
    let listed = "";
    for (let next = ""; !next.startsWith("end "); listed += `${next}\n`) next = await wire.line();
    assertMatch(listed, /^client \d+ \| ben \|/m);
    await page.type("#text", "hello there\n");
    await shows(page, "#said-here li", "ben hello there");
    await shows(page, "#said-here li", "→ hello there ACK");
    const [, ben] = await server.running.says(/client (\d+): is "ben"/);
    await server.running.says(new RegExp(`client ${ben}: says "hello there"`));
    wire.close();
    await shows(page, "#connected", "1 connected");
    assertMatch((await row("ann"))[2]!, /^\d\d:\d\d$|^\d{4}-/);
    // A name that another one has gets a number, and the page says so; it is kept for the next time.
    const second = await visitor.open(pageOf(server));
    await shows(second, "#name-note", "You are “\u2068ben-2\u2069” here.");
    await hides(second, "#visitor");
  },
);

browserTest(
  "a page tells one person something that nobody else sees, and hears what one tells it",
  "chromium",
  async (visitor) => {
    await using server = await startServer();
    const page = await visitor.open(pageOf(server));
    const other = await visitor.open(pageOf(server));
    await hides(page, "#whom");
    await page.type("#name", "ben\n");
    await shows(page, "#clients tbody tr", "ben");
    const wire = await Wire.attend(server, "ann");
    await shows(page, "#whom", "ann");
    await shows(other, "#whom", "ben");
    const [number] = await page.select("#to", await page.$eval("#to option:last-child", valueOf));
    await page.type("#text", "for you\n");
    await shows(page, "#said-here li", "→ only ann sees this");
    const told = await wire.line();
    assertMatch(told, /^told \d+ for you$/);
    await wire.says(`tell ${told.split(" ")[1]} thanks\n`);
    assertEquals(await wire.line(), "ok");
    await shows(page, "#said-here li", "ann thanks");
    await shows(page, "#said-here li", "→ only you see this");
    wire.close();
    await shows(page, "#connected", "2 connected");
    // What was meant for one is not said to all.
    assertEquals(await page.$eval("#to", valueOf), number);
    await page.type("#text", "still there?\n");
    await shows(page, "#talk-trouble", "“\u2068ann\u2069” is not here.");
    await page.select("#to", "");
    await page.type("#text", " to all\n");
    await shows(other, "#said-here li", "ben still there? to all");
    assertEquals((await textsOf(other, "#said-here li")).length, 1);
  },
);

browserTest(
  "what is meant for one person reaches nobody else once the server has begun again",
  "chromium",
  async (visitor) => {
    const port = freePort();
    await using first = await startServer({ port });
    using ann = await Wire.attend(first, "ann");
    const page = await visitor.open(pageOf(first));
    await shows(page, "#whom", "ann");
    await page.select("#to", await page.$eval("#to option:last-child", valueOf));
    // It is the same person for another stream of this page.
    await page.type("#name", "ben\n");
    await shows(page, "#clients tbody tr", "ben");
    await page.type("#text", "for ann\n");
    await shows(page, "#said-here li", "→ only ann sees this");
    assertMatch(await ann.line(), /^came \d+ ben$/);
    assertMatch(await ann.line(), /^told \d+ for ann$/);
    await first.running.stop();
    await using second = await startServer({ port });
    // With the number that ann had.
    using carl = await Wire.attend(second, "carl");
    await until(page, `document.querySelector("#to").innerHTML.includes("carl")`);
    await page.type("#text", "for ann\n");
    await shows(page, "#talk-trouble", "“\u2068ann\u2069” is not here.");
    let line;
    await carl.says("good day\n");
    while ((line = await carl.line()) !== "good day ACK") assertMatch(line, /^came /);
  },
);

browserTest("a folder is got from the page as a zip and a tar", "chromium", async (visitor) => {
  await using server = await startServer();
  await Deno.mkdir(`${server.dir}/photos/in`, { recursive: true });
  await Deno.writeTextFile(`${server.dir}/photos/in/naïve.txt`, "hello\n");
  const page = await visitor.open(pageOf(server));
  await page.waitForSelector("#entries tbody a");
  await page.click("#entries tbody a");
  await shows(page, "#path", "What is here / photos");
  await until(page, `document.querySelector("#entries tbody a").textContent === "in/"`);
  for (const format of ["zip", "tar"]) {
    await page.click(`::-p-aria([name="${format}"][role="link"])`);
    const file = `${visitor.downloads}/photos.${format}`;
    await fileGrows(file, 1);
    const tool = format === "zip" ? ["unzip", "-p", file] : ["tar", "-xOf", file];
    const { stdout } = await run(tool[0]!, [...tool.slice(1), "photos/in/naïve.txt"]);
    assertEquals(stdout, "hello\n");
  }
}, { programs: ["unzip"] });
