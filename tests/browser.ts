/**
 * Tests in real browsers. A file of tests launches each browser once, and closes it after its last test.
 * Each test is a visitor of its own, who shares no cookies and no storage with the others. A visitor
 * takes note of everything that a page must never do; the test fails if a page did.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { BrowserContext, Cookie, Dialog, Page } from "puppeteer-core";
import { type BrowserName, launchBrowser, type LaunchedBrowser } from "./browser_process.ts";
import { integration, type Requirements, tempDir } from "./helpers.ts";

/** Milliseconds after which what a test waits for in a page does not come. */
const WAIT_MS = 60_000;

/** The browsers that this file of tests has launched. */
const launched = new Map<BrowserName, Promise<LaunchedBrowser>>();

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
  const launching = launched.get(name) ?? launchBrowser(name);
  launched.set(name, launching);
  return launching;
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
