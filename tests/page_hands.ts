/**
 * What a person does with the page of a server, and what the tests wait for on it.
 *
 * @module
 */

import type { Page } from "puppeteer-core";
import { names } from "./helpers.ts";

/** The address of a server's page. */
export function pageOf({ port }: { port: number }, scheme = "http"): string {
  return `${scheme}://127.0.0.1:${port}/`;
}

/** The names of what is stored in a directory. */
export function storedIn(directory: string): string[] {
  return names(directory).filter((name) => !name.startsWith(".inlet/"));
}

/** The line of something that is sent, in a state: `moving`, `done`, … */
export function line(state: string): string {
  return `#uploads li[data-state="${state}"]`;
}

/** How often it is looked whether something is so, in milliseconds. */
export interface Looks {
  /** @default 100 */
  everyMs?: number;
}

/** Waits until an element is shown that matches a selector and has this text in it. */
export async function shows(
  page: Page,
  selector: string,
  text = "",
  looks: Looks = {},
): Promise<void> {
  const [which, what] = [JSON.stringify(selector), JSON.stringify(text)];
  await until(
    page,
    `[...document.querySelectorAll(${which})].some((it) =>
      it.checkVisibility() && it.textContent.includes(${what}))`,
    looks,
  );
}

/** Waits until no element is shown that matches a selector. */
export async function hides(page: Page, selector: string): Promise<void> {
  const which = JSON.stringify(selector);
  await until(
    page,
    `[...document.querySelectorAll(${which})].every((it) => !it.checkVisibility())`,
  );
}

/** Waits until an expression is true in the page. */
export async function until(
  page: Page,
  expression: string,
  { everyMs = 100 }: Looks = {},
): Promise<void> {
  try {
    await page.waitForFunction(expression, { polling: everyMs });
  } catch (cause) {
    const shown = await page.evaluate("document.body.innerText").catch(() => "nothing");
    throw new Error(`never so: ${expression}\nThe page shows: ${shown}`, { cause });
  }
}

/** The texts of all elements that match a selector. */
export async function textsOf(page: Page, selector: string): Promise<string[]> {
  return await page.$$eval(selector, (all) => all.map(({ textContent }) => textContent ?? ""));
}

/** The part of a handle that only inputs have. Types of elements are those of a browser. */
interface InputHandle {
  uploadFile(...paths: string[]): Promise<void>;
}

/** Chooses files in an input, as in the browser's own window. */
export async function choose(page: Page, ...paths: string[]): Promise<void> {
  await chooseIn(page, "#files", ...paths);
}

/** Chooses files in an input that a selector finds. */
export async function chooseIn(page: Page, selector: string, ...paths: string[]): Promise<void> {
  const input = await page.waitForSelector(selector);
  await (input as InputHandle).uploadFile(...paths);
}

/** The processes of all pages of a browser. */
export async function renderersOf(page: Page): Promise<{ pid: number }[]> {
  const session = await page.browser().target().createCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => ({ pid: id }));
}

/** Drops files and folders onto the page, as from a window of files. Only Chromium can be told to. */
export async function drop(page: Page, ...paths: string[]): Promise<void> {
  const session = await page.createCDPSession();
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    await session.send("Input.dispatchDragEvent", { type, x: 100, y: 100, data });
  }
  await session.detach();
}
