/**
 * Real browsers for the tests: Debian's chromium and firefox-esr, driven by puppeteer-core, one by
 * the DevTools protocol and the other by WebDriver BiDi.
 *
 * A file of tests launches each browser once, with a fresh profile, and closes it after its last test.
 * Each test is a visitor of its own, who shares no cookies and no storage with the others. A visitor
 * takes note of everything that a page must never do; the test fails if a page did.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Browser, BrowserContext, Cookie, Dialog, LaunchOptions, Page } from "puppeteer-core";
import { integration, type Requirements, tempDir } from "./helpers.ts";

/** The browsers, by the names of their programs. */
export type BrowserName = "chromium" | "firefox-esr";

/** Milliseconds after which what a test waits for in a page does not come. */
const WAIT_MS = 60_000;

/** Switches of Chromium. The sandbox does not work for root, and the pages are our own. */
const CHROMIUM_ARGS = ["--no-sandbox", "--disable-features=SpareRendererForSitePerProcess"];

/** What a launch of each is told. */
const LAUNCHES: Record<BrowserName, LaunchOptions> = {
  "chromium": { browser: "chrome", args: CHROMIUM_ARGS },
  "firefox-esr": { browser: "firefox" },
};

/** Runs a browser, and kills it when the process that launched it has gone without closing it. */
const ENDS_WITH_US = (name: BrowserName): string =>
  `#!/bin/sh
exec 9<&0
{ cat <&9; kill -s KILL $$; } >/dev/null 2>&1 &
exec ${name} "$@" 9<&-
`;

/** The browsers that this file of tests has launched. */
const launched = new Map<BrowserName, Promise<LaunchedBrowser>>();

/** A browser, and what is left to do for it. */
type LaunchedBrowser = { browser: Browser } & AsyncDisposable;

// Also after a test that failed. What the last test left open does not count any more.
Deno.test.afterAll(async () => {
  for (const launching of launched.values()) await (await launching)[Symbol.asyncDispose]();
});

/** Registers a test in a browser. Where that is not installed it is shown as ignored. */
export function browserTest(
  name: string,
  browser: BrowserName,
  action: (visitor: Visitor) => Promise<void>,
  requirements: Requirements = {},
): void {
  const programs = [browser, ...requirements.programs ?? []];
  integration(name, async () => {
    await using visitor = await Visitor.arrive(browser);
    await action(visitor);
    assertEquals(visitor.faults, []);
  }, { ...requirements, programs });
}

/** Launches a browser once. */
function launch(name: BrowserName): Promise<LaunchedBrowser> {
  const launching = launched.get(name) ?? launchAnew(name);
  launched.set(name, launching);
  return launching;
}

async function launchAnew(name: BrowserName): Promise<LaunchedBrowser> {
  await using stack = new AsyncDisposableStack();
  const profile = stack.use(await tempDir());
  const executablePath = await profile.write("launch", ENDS_WITH_US(name));
  await Deno.chmod(executablePath, 0o700);
  const { default: puppeteer } = await import("puppeteer-core");
  const browser = await puppeteer.launch({
    ...LAUNCHES[name],
    executablePath,
    userDataDir: `${profile.path}/profile`,
    // The signals of the tests are their own.
    handleSIGHUP: false,
    handleSIGINT: false,
    handleSIGTERM: false,
    waitForInitialPage: false,
    defaultViewport: { width: 1280, height: 800 },
    // Servers with a key have a certificate that no authority has signed.
    acceptInsecureCerts: true,
  });
  stack.defer(() => browser.close());
  const kept = stack.move();
  return { browser, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Tells the console, which a test listens to, what a page did against its policy. */
const TELLS_VIOLATIONS = `addEventListener("securitypolicyviolation", (event) => {
  console.error("policy violated: " + event.violatedDirective + " " + event.blockedURI);
});`;

/** A person with a browser: pages of theirs share cookies and storage with no other visitor. */
export class Visitor implements AsyncDisposable {
  /** What no page may do: errors, violations of its policy, requests to others, and dialogs. */
  readonly faults: string[] = [];
  /** What this visitor does about a dialog: one who is asked whether to leave does. */
  onDialog = async (dialog: Dialog): Promise<void> => {
    if (dialog.type() !== "beforeunload") this.faults.push(`dialog: ${dialog.message()}`);
    await dialog.accept();
  };
  /** Where downloads of this visitor are stored. */
  readonly downloads: string;
  readonly #context: BrowserContext;
  readonly #stack: AsyncDisposableStack;

  private constructor(context: BrowserContext, downloads: string, stack: AsyncDisposableStack) {
    this.#context = context;
    this.downloads = downloads;
    this.#stack = stack;
  }

  /** Launches the browser if no test of this file has done so yet. */
  static async arrive(name: BrowserName): Promise<Visitor> {
    await using stack = new AsyncDisposableStack();
    const { path: downloadPath } = stack.use(await tempDir());
    const { browser } = await launch(name);
    const downloadBehavior = { policy: "allow" as const, downloadPath };
    const context = await browser.createBrowserContext({ downloadBehavior });
    stack.defer(() => context.close());
    return new Visitor(context, downloadPath, stack.move());
  }

  /**
   * Opens an address in a tab of its own.
   *
   * @param prepare What is done with the empty tab, before anything is loaded.
   */
  async open(address: string, prepare?: (page: Page) => Promise<void>): Promise<Page> {
    const page = await this.#context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    const { origin } = new URL(address);
    page.on("pageerror", (error) => this.faults.push(`error: ${error}`));
    page.on("console", (message) => {
      // That a request failed is told to the page, too, which has to tell its visitor.
      const isFault = message.type() === "error" && !/^Failed to load/.test(message.text());
      if (isFault) this.faults.push(message.text());
    });
    page.on("dialog", (dialog) => this.onDialog(dialog));
    page.on("request", (request) => {
      const url = new URL(request.url());
      const isOurs = url.origin === origin || ["about:", "blob:", "data:"].includes(url.protocol);
      if (!isOurs) this.faults.push(`request to ${url}`);
    });
    await page.evaluateOnNewDocument(TELLS_VIOLATIONS);
    await prepare?.(page);
    await page.goto(address);
    return page;
  }

  /** The cookies that this visitor has. */
  async cookies(): Promise<Cookie[]> {
    return await this.#context.cookies();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
