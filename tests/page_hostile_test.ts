/**
 * The page of a server, in Chromium, and what others do to it: other pages, links, and another user of
 * the same browser.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Page } from "puppeteer-core";
import { browserTest } from "./browser.ts";
import { startServer } from "./helpers.ts";
import { pageOf, shows, textsOf, until } from "./page_hands.ts";
import { makeUsers } from "./user_files.ts";

browserTest(
  "a page elsewhere has no hold on the page that it opens",
  "chromium",
  async (visitor) => {
    await using server = await startServer();
    await using elsewhere = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      () => new Response("<!DOCTYPE html>", { headers: { "Content-Type": "text/html" } }),
    );
    const evil = await visitor.open(`http://localhost:${elsewhere.addr.port}/`);
    const opened = new Promise<Page | null>((resolve) => evil.once("popup", resolve));
    await evil.evaluate(`globalThis.held = open("${pageOf(server)}")`);
    const page = (await opened)!;
    await shows(page, "#list", "Nothing has come in yet.");
    assertEquals(await page.evaluate("opener"), null);
    await until(evil, "held.closed");
  },
);

browserTest(
  "a text that is too long to be said stays, and the page says why",
  "chromium",
  async (visitor) => {
    await using server = await startServer();
    const page = await visitor.open(pageOf(server));
    await shows(page, "#list", "Nothing has come in yet.");
    const text = "x".repeat(5000);
    await page.evaluate(`document.getElementById("session").open = true;
      document.getElementById("text").value = "${text}";
      document.getElementById("talking").requestSubmit();`);
    await shows(page, "#talk-trouble", "Too large: this server takes no more at once.");
    assertEquals(await page.$eval("#text", (input) => Reflect.get(input, "value")), text);
  },
);

browserTest(
  "a tab becomes that of another user who signs in in a second tab, and sends nothing of the first",
  "chromium",
  async (visitor) => {
    // The page of one who lists nothing has its stream all the same.
    await using users = await makeUsers({ ann: "drop", ben: "read" });
    await using server = await startServer({ args: ["--users", users.file] });
    const [first, second] = [
      await visitor.open(pageOf(server, "https")),
      await visitor.open(pageOf(server, "https")),
    ];
    const signIn = (name: string): string =>
      `fetch("sign-in", { method: "POST", body: new URLSearchParams({ key: "${
        users.token(name)
      }" }) })
        .then(({ ok }) => ok)`;
    assertEquals(await first.evaluate(signIn("ann")), true);
    await first.reload();
    await shows(first, "#user", "ann");
    await shows(first, "#mouth");
    assertEquals(await second.evaluate(signIn("ben")), true);
    // Its stream ends with the session of the first user, and begins again as that of the second.
    await shows(first, "#user", "ben");
    assertEquals(await textsOf(first, "#mouth:not([hidden])"), []);
  },
);
