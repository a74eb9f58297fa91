/**
 * The pages that need no script, in a real browser: a list with its form, used by hand.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { browserTest } from "./browser.ts";
import { bytes, fileGrows, startServer, tempDir } from "./helpers.ts";

browserTest(
  "a browser without script stores files by the form of a list, and gets them",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const content = bytes(300_000);
    const file = await local.write("naïve <b>café ☕.bin", content);
    await using server = await startServer();
    const url = `http://127.0.0.1:${server.port}/files/`;
    const page = await visitor.open(url, (page) => page.setJavaScriptEnabled(false));
    const shown = (): Promise<string[]> =>
      page.$$eval("table a", (links) => links.map(({ textContent }) => textContent ?? ""));
    const stored = ["naïve <b>café ☕ (2).bin", "naïve <b>café ☕.bin"];
    for (const name of stored.toReversed()) {
      const input = await page.waitForSelector("input[type=file]");
      await input!.uploadFile(file);
      await Promise.all([page.waitForNavigation(), page.click("form[method=post] button")]);
      assertEquals(await shown(), [name]);
      await Promise.all([page.waitForNavigation(), page.click('a[href="./"]')]);
      assertEquals((await shown()).includes(name), true, name);
      assertEquals(await Deno.readFile(`${server.dir}/${name}`), content, name);
    }
    assertEquals([page.url(), await shown()], [url, stored]);
    for (const [index, name] of stored.entries()) {
      const links = await page.$$("table a");
      await links[index]!.click();
      await fileGrows(`${visitor.downloads}/${saved(name)}`, content.length);
      assertEquals(await Deno.readFile(`${visitor.downloads}/${saved(name)}`), content, name);
    }
  },
);

/** The name under which browsers save a file: with nothing that some system forbids. */
function saved(name: string): string {
  return name.replaceAll(/[<>]/g, "_");
}
