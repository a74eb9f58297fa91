/**
 * The page in real browsers for everybody: what it shows of hostile names, to whom, by keyboard, on
 * phones, in both themes, to screen readers, with very many files, in two browsers at once, and without
 * script.
 *
 * @module
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import axe from "axe-core/axe.min.js" with { type: "text" };
import type { MediaFeature, Page } from "puppeteer-core";
import { browserTest, Visitor } from "./browser.ts";
import { bytes, fileGrows, KEY, startServer, tempDir } from "./helpers.ts";
import { heldLinkTo } from "./held_link.ts";
import { choose, hides, line, pageOf, shows, storedIn, textsOf, until } from "./page_hands.ts";
import { Wire } from "./wire.ts";

const MIB = 1024 * 1024;

/** The themes, in which nothing moves: a colour halfway between the two is none of either. */
const [LIGHT, DARK] = ["light", "dark"].map((theme): MediaFeature[] => [
  { name: "prefers-color-scheme", value: theme },
  { name: "prefers-reduced-motion", value: "reduce" },
]) as [MediaFeature[], MediaFeature[]];

/** Text that does something wherever it is taken for markup. */
const MARKUP = `<img src=x onerror=alert(1)><script>alert(2)<\u2215script>"'&amp;`;

/**
 * Fails if a page does what makes it hard to use for many people: WCAG 2.2 AA, and good practice.
 *
 * @param rule The only rule that counts, where all of them have been asked of the same page already.
 */
async function assertAccessible(page: Page, state: string, rule?: string): Promise<void> {
  if (!await page.evaluate(`"axe" in globalThis`)) await page.evaluate(axe);
  const options = rule === undefined ? {} : { runOnly: [rule] };
  const violations = await page.evaluate(`axe.run(${JSON.stringify(options)}).then((found) =>
    found.violations.map(({ id, nodes }) => [id, ...nodes.map(({ failureSummary, html }) =>
      failureSummary + html)].join(" ")))`);
  assertEquals(violations, [], state);
}

/** Whether anything of the page is wider than its window. */
async function assertFits(page: Page, state: string): Promise<void> {
  // Text can stick out of an element that is not too wide itself.
  const wide = await page.evaluate(`document.documentElement.scrollWidth > innerWidth
    ? [...document.querySelectorAll("body *")].filter((it) => it.scrollWidth > innerWidth ||
      it.getBoundingClientRect().right > innerWidth + 1).map((it) => it.outerHTML.slice(0, 100))
    : []`);
  assertEquals(wide, [], state);
}

browserTest(
  "names and words from outside are text, and never markup",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    await using server = await startServer();
    await Deno.writeTextFile(`${server.dir}/first ${MARKUP}`, "hello\n");
    const file = await local.write(`own ${MARKUP}`, "hello\n");
    const page = await visitor.open(pageOf(server));
    await shows(page, "#entries tbody tr", `first ${MARKUP}`);
    using wire = await Wire.dial(server);
    await wire.says(`hello 1 ${MARKUP.slice(0, 60)}\n`);
    await wire.line();
    await shows(page, "#clients tbody tr", MARKUP.slice(0, 60));
    await wire.says(`put 6 event ${MARKUP}\n`);
    await wire.line();
    await wire.says("hello\nend 363a3020\n");
    await shows(page, "#entries tbody tr", `event ${MARKUP}`);
    await wire.says(`hear ${MARKUP}\n`);
    await shows(page, "#said-here li", `hear ${MARKUP}`);
    await page.type("#text", `talk ${MARKUP}`);
    await page.keyboard.press("Enter");
    await shows(page, "#said-here li", `talk ${MARKUP} ACK`);
    await choose(page, file);
    await shows(page, line("done"), `own ${MARKUP}`);
    await shows(page, "#entries tbody tr", `own ${MARKUP}`);
    assertEquals(await textsOf(page, "body img, body script"), []);
  },
);

browserTest(
  "the page passes an audit for accessibility in each state, and fits a phone",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const large = await local.write(
      `${"longNameWithoutABreak".repeat(8)}.bin`,
      bytes(32 * MIB),
    );
    await using server = await startServer({ args: ["--max-size", "64MiB"] });
    using link = await heldLinkTo(server, 2 * MIB);
    const page = await visitor.open(pageOf(link));
    await shows(page, "#list-note", "Nothing");
    await page.emulateMediaFeatures(LIGHT);
    const check = async (state: string): Promise<void> => {
      await assertAccessible(page, state);
      await page.emulateMediaFeatures(DARK);
      await assertAccessible(page, `${state}, dark`, "color-contrast");
      await page.emulateMediaFeatures(LIGHT);
      await page.setViewport({ width: 320, height: 640 });
      await assertFits(page, state);
      await page.setViewport({ width: 1280, height: 800 });
    };
    await check("empty");
    using somebody = await Wire.greet(server);
    await somebody.says("attend\n");
    await shows(page, "#whom", "test");
    await check("somebody to tell something");
    const background = async (features: MediaFeature[]): Promise<unknown> => {
      await page.emulateMediaFeatures(features);
      return await page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
    };
    assertNotEquals(await background(DARK), await background(LIGHT));
    await choose(page, large);
    await until(page, `document.querySelector("#uploads progress").value > 0.01`);
    await check("moving");
    await page.click("#uploads li button");
    await shows(page, line("paused"));
    await check("paused");
    await page.reload();
    await shows(page, line("asking"));
    await check("asking");
    link.open();
    await choose(page, large);
    await shows(page, line("done"));
    await choose(page, large);
    await shows(page, line("done"), "because its name was taken");
    await Deno.mkdir(`${server.dir}/folder ${"ofALongName".repeat(13)}`);
    await choose(page, await local.write("too large", bytes(64 * MIB + 1)));
    await shows(page, line("stopped"), "Too large: this server takes files of up to 64.0 MiB.");
    await page.type("#text", "hello");
    await page.keyboard.press("Enter");
    await shows(page, "#said-here li", "→ hello ACK");
    await check("stored and refused");
    await page.setViewport({ width: 320, height: 640 });
    await assertAccessible(page, "on a phone");
  },
);

browserTest(
  "a page with 10,000 entries shows, sorts and finds all of them",
  "chromium",
  async (visitor) => {
    await using server = await startServer();
    for (let index = 0; index < 10_000; index++) {
      Deno.createSync(`${server.dir}/file ${index}`).close();
    }
    Deno.writeTextFileSync(`${server.dir}/file 9999`, "hello\n");
    const page = await visitor.open(pageOf(server));
    await shows(page, "#list-note", "10,000 entries");
    // Numbers count as numbers.
    assertEquals((await textsOf(page, "#entries tbody a")).slice(0, 3), [
      "file 0",
      "file 1",
      "file 2",
    ]);
    await page.click("::-p-aria(Size)");
    await until(page, `document.querySelector("#entries tbody a").textContent === "file 9999"`);
    await page.type("#search", "777");
    await shows(page, "#list-note", "19 entries of 10000");
    assertEquals((await textsOf(page, "#entries tbody a")).length, 19);
    await page.click("#search", { count: 3 });
    await page.keyboard.press("Backspace");
    await shows(page, "#list-note", "10,000 entries");
    await page.click("::-p-aria(Name)");
    // All of them come into the page as it is scrolled.
    for (let shown = 0; shown < 600;) {
      await page.evaluate("scrollTo(0, document.body.scrollHeight)");
      await until(page, `document.querySelectorAll("#entries tbody tr").length > ${shown}`);
      shown = (await textsOf(page, "#entries tbody tr")).length;
    }
  },
);

browserTest("all of the page is used by keyboard alone", "chromium", async (visitor) => {
  await using local = await tempDir();
  const large = await local.write("a.bin", bytes(32 * MIB));
  await using server = await startServer();
  await Deno.mkdir(`${server.dir}/folder`);
  await Deno.writeTextFile(`${server.dir}/folder/b.txt`, "hello\n");
  using link = await heldLinkTo(server, 2 * MIB);
  const page = await visitor.open(pageOf(link));
  await shows(page, "#list-note", "1 entry");
  /** Goes on with the tabulator to what has a name. */
  const goTo = async (name: string): Promise<void> => {
    const seen: string[] = [];
    for (let steps = 0; steps < 40; steps++) {
      await page.keyboard.press("Tab");
      const focus = await page.evaluate(`(() => { const it = document.activeElement;
        return (it.ariaLabel ?? it.labels?.[0]?.textContent ?? it.textContent).slice(0, 40); })()`) as string;
      if (focus.trim().startsWith(name)) {
        const outline = await page.evaluate(
          `getComputedStyle(document.activeElement).outlineStyle`,
        );
        assertNotEquals(outline, "none", `${name} does not show that it has the focus`);
        return;
      }
      seen.push(focus.trim());
    }
    throw new Error(`${name} cannot be reached: ${seen.join(", ")}`);
  };
  await goTo("A folder");
  await choose(page, large);
  await until(page, `document.querySelector("#uploads progress").value > 0.01`);
  await goTo("Pause a.bin");
  await page.keyboard.press("Enter");
  await shows(page, line("paused"));
  await goTo("Cancel a.bin");
  await page.keyboard.press("Space");
  await shows(page, line("cancelled"));
  // The focus is where it can be taken back.
  await page.keyboard.press("Enter");
  await shows(page, line("paused"));
  link.open();
  await page.keyboard.press("Enter");
  await shows(page, line("done"));
  await goTo("Say something");
  await page.keyboard.type("hello");
  await page.keyboard.press("Enter");
  await shows(page, "#said-here li", "hello ACK");
  await goTo("Search");
  await page.keyboard.type("fold");
  await shows(page, "#list-note", "1 entry of 2");
  await goTo("folder/");
  await page.keyboard.press("Enter");
  await shows(page, "#entries tbody tr", "b.txt");
  await goTo("b.txt");
  await page.keyboard.press("Enter");
  await fileGrows(`${visitor.downloads}/b.txt`, 6);
  await page.goBack();
  await shows(page, "#entries tbody tr", "a.bin");
});

browserTest(
  "a page asks for the key, keeps a cookie that no script sees, and forgets it",
  "chromium",
  async (visitor) => {
    await using server = await startServer({ key: KEY });
    await Deno.writeTextFile(`${server.dir}/secret.txt`, "hello\n");
    const page = await visitor.open(pageOf(server, "https"));
    await shows(page, "#sign-in", "This server asks for a key");
    await assertAccessible(page, "asks for the key");
    await hides(page, "#list, #mouth, #session");
    assert(!(await page.content()).includes("secret.txt"));
    await page.type("#key", "wrong");
    await page.keyboard.press("Enter");
    await until(page, `document.querySelector("#sign-in-note").textContent !== ""`);
    await assertAccessible(page, "a wrong key");
    await page.click("#key", { count: 3 });
    await page.type("#key", KEY);
    await page.keyboard.press("Enter");
    await shows(page, "#entries tbody tr", "secret.txt");
    const [cookie, ...others] = await visitor.cookies();
    assertEquals(others, []);
    const { httpOnly, secure, sameSite, session } = cookie!;
    assertEquals({ httpOnly, secure, sameSite, session }, {
      ...{ httpOnly: true, secure: true, sameSite: "Strict", session: true },
    });
    assert(!cookie!.value.includes(KEY.slice(0, 8)));
    assertEquals(await page.evaluate("document.cookie"), "");
    await page.reload();
    await shows(page, "#entries tbody tr", "secret.txt");
    await shows(page, "#sign-out");
    await page.click("#sign-out");
    await shows(page, "#sign-in", "This server asks for a key");
    await hides(page, "#list, #mouth, #session");
    assertEquals(await visitor.cookies(), []);
  },
);

for (
  const [option, shown, hidden] of [
    ["--read-only", "#list", "#mouth, #talk, input[type=file]"],
    ["--drop-only", "#mouth", "#list, #talk"],
  ] as const
) {
  browserTest(
    `a page of a server with ${option} shows what is possible and nothing else`,
    "chromium",
    async (visitor) => {
      await using local = await tempDir();
      await using server = await startServer({ args: [option] });
      await Deno.writeTextFile(`${server.dir}/there.txt`, "hello\n");
      const page = await visitor.open(pageOf(server));
      await shows(page, shown);
      await hides(page, hidden);
      await assertAccessible(page, option);
      if (option === "--read-only") return await shows(page, "#entries tbody tr", "there.txt");
      await choose(page, await local.write("there.txt", "hello\n"));
      await shows(page, line("done"), "stored");
      assertEquals(storedIn(server.dir), ["there (2).txt", "there.txt"]);
      // Who may only send is not told what there is.
      assert(!(await page.content()).includes("(2)"));
    },
  );
}

browserTest(
  "what one browser sends and says, another shows at once",
  "firefox-esr",
  async (visitor) => {
    await using other = await Visitor.arrive("chromium");
    await using local = await tempDir();
    const content = bytes(1_500_000);
    const file = await local.write("naïve café ☕.bin", content);
    await using server = await startServer();
    const [firefox, chromium] = [
      await visitor.open(pageOf(server)),
      await other.open(pageOf(server)),
    ];
    for (const page of [firefox, chromium]) await shows(page, "#list-note", "Nothing");
    for (
      const [sender, watcher, name] of [
        [firefox, chromium, "naïve café ☕.bin"],
        [chromium, firefox, "naïve café ☕ (2).bin"],
      ] as const
    ) {
      await sender.bringToFront();
      await choose(sender, file);
      await shows(sender, line("done"), "stored");
      await shows(watcher, "#entries tbody tr", name);
      assertEquals(await Deno.readFile(`${server.dir}/${name}`), content);
      await sender.type("#text", `hello from ${name}`);
      await sender.keyboard.press("Enter");
      await shows(sender, "#said-here li", `hello from ${name} ACK`);
      await shows(watcher, "#said-here li", `hello from ${name}`);
    }
    // A link to what can be no folder leads to all of them.
    for (const address of ["#/../", "#//a/", "#/a/.."]) {
      await chromium.goto("about:blank");
      await chromium.goto(`${pageOf(server)}${address}`);
      await shows(chromium, "#entries tbody tr", "naïve café ☕.bin");
    }
    const links = await firefox.$$("#entries tbody a");
    await links[1]!.click();
    await fileGrows(`${visitor.downloads}/naïve café ☕.bin`, content.length);
    assertEquals(await Deno.readFile(`${visitor.downloads}/naïve café ☕.bin`), content);
    assertEquals(other.faults, []);
  },
  { programs: ["chromium"] },
);

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
