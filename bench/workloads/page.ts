/**
 * The page in Chromium: with many entries, on the wire, sending one big file, and many of them listening.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { launchBrowser, type LaunchedBrowser } from "../../tests/browser_process.ts";
import { choose, line, pageOf, shows, until } from "../../tests/page_hands.ts";
import { Wire } from "../../tests/wire.ts";
import { compare, type Entrant } from "../compare.ts";
import { type Candidate, summarise } from "../measure.ts";
import { inletReceiver, type Receiver, serverCommand, transfer } from "../peers.ts";
import { peakBytes } from "../proc.ts";
import { findProgram, startServer } from "../processes.ts";
import type { Figure, Row, Section, Unit } from "../report.ts";
import { TUS_PROGRAMS, TusClient } from "../tus.ts";
import type { SourceFile } from "../workspace.ts";
import type { Bench } from "./workload.ts";

type Browser = LaunchedBrowser["browser"];
type Page = Awaited<ReturnType<Browser["newPage"]>>;

const CHROMIUM = "chromium";
const PAGE = "Chromium";
const TUS = "tus-js-client in node";

const STREAMS = 500;

const GOAL_READY_MS = 1000;
const GOAL_PAGE_KB = 60;
const GOAL_STREAMS_MB = 150;

/** Milliseconds between two looks at the page. */
const POLL_MS = 10;

/** One big file by the page, from its choice until the page says that it is stored. */
export async function pagePut({ workspace, runs, size }: Bench): Promise<Section> {
  const file = workspace.source(size);
  return await compare({
    name: "page-put",
    title: `page-put: one file of ${
      formatBytes(size)
    } by the page, and by the same library in node`,
    runs,
    bytes: size,
    entrants: [{
      name: PAGE,
      needs: [CHROMIUM],
      async enter(stack) {
        const receiver = await inletReceiver(workspace, stack);
        const { browser } = stack.use(await launchBrowser(CHROMIUM));
        return sentByPage(receiver, browser, file);
      },
    }, {
      name: TUS,
      needs: TUS_PROGRAMS,
      async enter(stack) {
        const sender = (await TusClient.install(workspace)).sender(Infinity);
        return transfer(await inletReceiver(workspace, stack), sender, file);
      },
    }] satisfies Entrant[],
    goals: [{ of: PAGE, against: TUS, atLeast: 0.6 }],
  });
}

/** A page of its own for each run, open already. The processor time of a browser is unknown. */
function sentByPage(
  receiver: Receiver,
  browser: Browser,
  file: SourceFile,
): Omit<Candidate, "name"> {
  let page: Page | undefined;
  const stores = transfer(receiver, () => sendIn(page!, file.path), file);
  return {
    ...stores,
    async ready() {
      page = await openPage(browser, await receiver.listen());
      return await stores.ready();
    },
    async clear() {
      await page?.close();
      page = undefined;
      await stores.clear();
    },
  };
}

async function openPage(browser: Browser, port: number): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(pageOf({ port }));
  await shows(page, "#list-note", "Nothing", { everyMs: POLL_MS });
  return page;
}

async function sendIn(page: Page, path: string): Promise<void> {
  await choose(page, path);
  await shows(page, line("done"), "stored", { everyMs: POLL_MS });
}

/** A page with many entries until it is usable, and what it takes on the wire and of the server. */
export async function page({ workspace, runs, files }: Bench): Promise<Section> {
  const figures: Figure[] = [];
  if (await findProgram(CHROMIUM) === undefined) {
    const skipped = [`${PAGE}: ${CHROMIUM} is not installed`];
    return { name: "page", title: "page", rows: [], figures, skipped, failed: [] };
  }
  await using stack = new AsyncDisposableStack();
  const directory = workspace.directory();
  for (let index = 0; index < files; index++) {
    Deno.createSync(`${directory}/file ${index}`).close();
  }
  const server = stack.use(await startServer(serverCommand(directory)));
  const { browser } = stack.use(await launchBrowser(CHROMIUM));
  const loads: Load[] = [];
  for (let run = 0; run <= runs; run++) {
    const load = await loadPage(browser, server.port, files);
    if (run > 0) loads.push(load);
  }
  const ready = rowOf(`${files} entries, usable`, "ms", loads.map(({ ms }) => ms));
  const size = rowOf("its files, compressed", "kB", loads.map(({ bytes }) => bytes / 1e3));
  const heads = rowOf("their headers", "kB", loads.map(({ headBytes }) => headBytes / 1e3));
  const streams: number[] = [];
  for (let run = 0; run < runs; run++) streams.push(await streamBytes(workspace.directory()));
  const memory = rowOf(`server, ${STREAMS} event streams`, "MB", streams.map((it) => it / 1e6));
  figures.push(
    { what: ready.name, value: ready.median, unit: "ms", goal: { under: GOAL_READY_MS } },
    { what: size.name, value: size.max, unit: "kB", goal: { under: GOAL_PAGE_KB } },
    {
      what: `most of the ${memory.name}`,
      value: memory.max,
      unit: "MB",
      goal: { under: GOAL_STREAMS_MB },
    },
  );
  const title = `page: Chromium shows ${files} entries, and ${STREAMS} pages listen`;
  return {
    name: "page",
    title,
    rows: [ready, size, heads, memory],
    figures,
    skipped: [],
    failed: [],
  };
}

/** Where a page keeps when it was usable, in milliseconds since its request. */
const USABLE_MS = "usableMs";

/** A script that searches a page for something as soon as it has a list, and takes the time. */
function searchesAtOnce(sought: number): string {
  return `new MutationObserver((_, observer) => {
    const search = document.getElementById("search");
    const words = document.getElementById("list-note")?.textContent ?? "";
    if (/^1 entry of /.test(words)) {
      observer.disconnect();
      requestAnimationFrame(() => globalThis.${USABLE_MS} = performance.now());
    } else if (words !== "" && search.value === "") {
      search.value = "file ${sought}";
      search.dispatchEvent(new Event("input"));
    }
  }).observe(document, { subtree: true, childList: true });`;
}

interface Load {
  /** From the request until the list is there and answers to a search. */
  ms: number;
  /** Bytes of the page's own files, as they came. */
  bytes: number;
  headBytes: number;
}

/** A visitor of its own, whose cache is empty. */
async function loadPage(browser: Browser, port: number, files: number): Promise<Load> {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const session = await page.createCDPSession();
  await session.send("Network.enable");
  const own = new Map<string, number>();
  let [bytes, headBytes] = [0, 0];
  session.on("Network.responseReceived", ({ requestId, response }) => {
    const { pathname } = new URL(response.url);
    if (pathname === "/" || pathname.startsWith("/page/")) {
      own.set(requestId, response.encodedDataLength);
    }
  });
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const head = own.get(requestId);
    if (head === undefined) return;
    headBytes += head;
    bytes += encodedDataLength - head;
  });
  await page.evaluateOnNewDocument(searchesAtOnce(files - 1));
  await page.goto(pageOf({ port }));
  await until(page, `globalThis.${USABLE_MS} !== undefined`, { everyMs: POLL_MS });
  const ms = await page.evaluate(`globalThis.${USABLE_MS}`) as number;
  // The client of tus comes last, when all else is there.
  await until(page, `"tus" in globalThis`, { everyMs: POLL_MS });
  await context.close();
  return { ms, bytes, headBytes };
}

/** Most memory of a server of its own while so many pages listen. */
async function streamBytes(directory: string): Promise<number> {
  await using server = await startServer(serverCommand(directory));
  using stack = new DisposableStack();
  for (let count = 0; count < STREAMS; count++) {
    const wire = stack.use(await Wire.dial(server));
    await wire.says(`GET /events?name=bench HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const status = await wire.line();
    if (!status.startsWith("HTTP/1.1 200 ")) throw new Error(status);
  }
  return peakBytes(server.pid) ?? NaN;
}

function rowOf(name: string, unit: Unit, values: readonly number[]): Row {
  return { name, unit, ...summarise(values) };
}
