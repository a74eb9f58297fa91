/**
 * Real browsers as programs: Debian's chromium and firefox-esr, launched with a fresh profile and
 * driven by puppeteer-core, one by the DevTools protocol and the other by WebDriver BiDi.
 *
 * @module
 */

import type { Browser, LaunchOptions } from "puppeteer-core";
import { tempDir } from "./helpers.ts";

/** The browsers, by the names of their programs. */
export type BrowserName = "chromium" | "firefox-esr";

/** A browser, and what is left to do for it. */
export type LaunchedBrowser = { browser: Browser } & AsyncDisposable;

/** Switches of Chromium. The sandbox does not work for root, and the pages are our own. */
const CHROMIUM_ARGS = ["--no-sandbox", "--disable-features=SpareRendererForSitePerProcess"];

/** Milliseconds in which a browser has launched, also on a machine that is very busy. */
const LAUNCH_MS = 100_000;

/** Preferences of Firefox: fewer processes, which launch in three quarters of the time. */
const FIREFOX_PREFS = {
  "dom.ipc.processCount": 1,
  "dom.ipc.processPrelaunch.enabled": false,
  "fission.autostart": false,
};

/** What a launch of each is told. */
const LAUNCHES: Record<BrowserName, LaunchOptions> = {
  "chromium": { browser: "chrome", args: CHROMIUM_ARGS },
  "firefox-esr": { browser: "firefox", extraPrefsFirefox: FIREFOX_PREFS },
};

/** Runs a browser, and kills it when the process that launched it has gone without closing it. */
const ENDS_WITH_US = (name: BrowserName): string =>
  `#!/bin/sh
exec 9<&0
{ cat <&9; kill -s KILL $$; } >/dev/null 2>&1 &
exec ${name} "$@" 9<&-
`;

/** Launches a browser. It ends with this process, however that ends. */
export async function launchBrowser(name: BrowserName): Promise<LaunchedBrowser> {
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
    timeout: LAUNCH_MS,
    defaultViewport: { width: 1280, height: 800 },
    // Servers with a key have a certificate that no authority has signed.
    acceptInsecureCerts: true,
  });
  stack.defer(() => browser.close());
  const kept = stack.move();
  return { browser, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
