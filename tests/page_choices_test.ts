/**
 * What the page is given in other ways than by a drop, and how it sends that: from a phone, over a slow
 * line, by files that the browser can read again, to servers that keep nothing or refuse it.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { CDPSession } from "puppeteer-core";
import { browserTest } from "./browser.ts";
import {
  bytes,
  freePort,
  KEY,
  names,
  ownFiles,
  startServer,
  type TempDir,
  tempDir,
  uploadGrows,
} from "./helpers.ts";
import { heldLinkTo } from "./held_link.ts";
import { choose, chooseIn, drop, line, pageOf, shows, storedIn, until } from "./page_hands.ts";

const MIB = 1024 * 1024;

/** A phone of the least width that the page is made for. */
const PHONE = { width: 320, height: 640, isMobile: true, hasTouch: true };

/** Lets so many bytes a second leave a page; without a number, all. */
async function slowDown(session: CDPSession, uploadThroughput = -1): Promise<void> {
  const others = { offline: false, latency: 0, downloadThroughput: -1 };
  await session.send("Network.emulateNetworkConditions", { ...others, uploadThroughput });
}

/** Makes a folder with a small file and a large one, and returns its path. */
async function folderIn(local: TempDir, large: Uint8Array): Promise<string> {
  await Deno.mkdir(`${local.path}/photos/in`, { recursive: true });
  await local.write("photos/a.txt", "small\n");
  await local.write("photos/in/large.bin", large);
  return `${local.path}/photos`;
}

browserTest(
  "a phone chooses files and a folder, and takes a photo",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const photo = await local.write("image.jpg", "photo\n");
    const folder = await folderIn(local, bytes(MIB));
    await using server = await startServer();
    const page = await visitor.open(pageOf(server), async (page) => {
      await page.setViewport(PHONE);
      // Chromium has it on phones alone.
      await page.evaluateOnNewDocument('HTMLInputElement.prototype.capture = ""');
    });
    await shows(page, "#call", "Send files");
    for (const id of ["files", "folder", "camera"]) await shows(page, `input[type=file]#${id}`);
    assertEquals(
      await page.$eval("#camera", (it) => [it.getAttribute("capture"), it.getAttribute("accept")]),
      ["environment", "image/*"],
    );
    await chooseIn(page, "#camera", photo);
    await shows(page, line("done"), "image.jpg");
    await chooseIn(page, "#folder", folder);
    await shows(page, line("done"), "2 files");
    assertEquals(storedIn(server.dir), ["image.jpg", "photos"]);
    assertEquals(names(`${server.dir}/photos`), ["a.txt", "in"]);
    assertEquals(await Deno.readFile(`${server.dir}/photos/in/large.bin`), bytes(MIB));
  },
);

browserTest(
  "several files are sent at once over a slow line, each with its speed and the time that is left",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const content = bytes(MIB);
    const files: string[] = [];
    for (let count = 1; count <= 4; count++) {
      files.push(await local.write(`${count}.bin`, content));
    }
    await using server = await startServer();
    const page = await visitor.open(pageOf(server));
    await shows(page, "#list-note", "Nothing");
    const session = await page.createCDPSession();
    await slowDown(session, 300_000);
    await choose(page, ...files);
    await until(
      page,
      `(() => {
        const moving = [...document.querySelectorAll('${line("moving")}')];
        const facts = / of 1\\.0 MiB · \\d[\\d.]* [kM]B\\/s · \\d+:\\d\\d left/;
        return moving.length === 3 && moving.every((it) => facts.test(it.textContent) &&
          it.querySelector("progress").value > 0);
      })()`,
    );
    await shows(page, line("waiting"), "waits for its turn");
    await shows(page, "#sum", "0 of 4 stored · ");
    await shows(page, "#sum", " left");
    await page.click("#all");
    await until(page, `document.querySelectorAll('${line("paused")}').length === 4`);
    await slowDown(session);
    await page.click("#all");
    await shows(page, "#sum", "4 of 4 stored");
    for (const name of storedIn(server.dir)) {
      assertEquals(await Deno.readFile(`${server.dir}/${name}`), content, name);
    }
    await shows(page, "#clear");
    await page.click("#clear");
    await until(page, `document.querySelectorAll("#uploads li").length === 0`);
  },
);

browserTest(
  "of a folder that is chosen again after a reload only what is missing is sent",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const content = bytes(32 * MIB);
    const folder = await folderIn(local, content);
    await using server = await startServer();
    using link = await heldLinkTo(server, 3 * MIB);
    const page = await visitor.open(pageOf(link));
    await shows(page, "#list-note", "Nothing");
    await chooseIn(page, "#folder", folder);
    await shows(page, line("moving"), "1 of 2 files");
    await uploadGrows(server.dir, 2 * MIB);
    link.open(2 * MIB);
    await page.reload();
    await shows(page, line("asking"), "1 of 2 files");
    link.open();
    await chooseIn(page, `${line("asking")} input`, folder);
    await shows(page, line("done"), "2 files");
    await server.running.says(/resumes "photos\/in\/large\.bin" at [1-9]/);
    assertEquals(await Deno.readFile(`${server.dir}/photos/in/large.bin`), content);
    assertEquals(names(`${server.dir}/photos`), ["a.txt", "in"]);
  },
);

browserTest(
  "a file that the browser can read again goes on after a reload without a click",
  "chromium",
  async (visitor) => {
    const size = 32 * MIB;
    await using server = await startServer();
    using link = await heldLinkTo(server, 3 * MIB);
    // No program can answer the browser's own window for files, so this one gives a file of the
    // page's own storage: with a handle that is kept, and may be read again, as one from there.
    const page = await visitor.open(pageOf(link), async (page) => {
      await page.evaluateOnNewDocument(`globalThis.showOpenFilePicker = async () => {
        const folder = await navigator.storage.getDirectory();
        const handle = await folder.getFileHandle("own.bin", { create: true });
        const writable = await handle.createWritable();
        await writable.write(new Uint8Array(${size}).fill(7));
        await writable.close();
        return [handle];
      }`);
    });
    await shows(page, "#list-note", "Nothing");
    await page.click("#files");
    await uploadGrows(server.dir, 2 * MIB);
    await page.reload();
    link.open();
    await shows(page, line("done"), "stored");
    await server.running.says(/resumes "own\.bin" at [1-9]/);
    assertEquals(
      await Deno.readFile(`${server.dir}/own.bin`),
      new Uint8Array(size).fill(7),
    );
  },
);

browserTest(
  "what was cancelled is gone from the server once it is cleared away",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const file = await local.write("a.bin", bytes(32 * MIB));
    await using server = await startServer();
    using link = await heldLinkTo(server, 2 * MIB);
    const page = await visitor.open(pageOf(link));
    await shows(page, "#list-note", "Nothing");
    await choose(page, file);
    await uploadGrows(server.dir, MIB);
    await page.click("::-p-aria(Cancel a.bin)");
    await shows(page, line("cancelled"));
    link.open();
    const removed = page.waitForResponse((it) => it.request().method() === "DELETE");
    await shows(page, "#clear");
    await page.click("#clear");
    assertEquals((await removed).status(), 204);
    assertEquals(ownFiles(server.dir).filter((path) => path.endsWith(".temp")), []);
    await page.reload();
    await shows(page, "#list-note", "Nothing");
    assertEquals(await page.$$eval("#uploads li", (all) => all.length), 0);
  },
);

browserTest(
  "a server that keeps nothing unfinished is sent whole files",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const content = bytes(2 * MIB);
    await using server = await startServer({ args: ["--keep-partials", "0"] });
    const page = await visitor.open(pageOf(server));
    await shows(page, "#list-note", "Nothing");
    for (const name of ["a.bin", "a (2).bin"]) {
      await choose(page, await local.write("a.bin", content));
      await shows(page, line("done"), name);
      assertEquals(await Deno.readFile(`${server.dir}/${name}`), content);
    }
  },
);

browserTest(
  "a file that is refused says why and what to do, beside its name",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const port = freePort();
    await using first = await startServer({ port });
    const page = await visitor.open(pageOf(first));
    await shows(page, "#list-note", "Nothing");
    await drop(page, await local.write("two\nlines", "hello\n"));
    await shows(page, line("stopped"), "two\\u{a}lines");
    await shows(page, line("stopped"), "does not take this name. Rename the file, and send it");
    await shows(page, line("stopped"), "it holds control characters");
    // It is read-only now, and the page does not know yet.
    await page.evaluate("stop()");
    await first.running.stop();
    await using second = await startServer({ port, args: ["--read-only"] });
    await choose(page, await local.write("a.txt", "hello\n"));
    await shows(page, line("stopped"), "This server does not allow it.");
    assertEquals(storedIn(second.dir), []);
  },
);

browserTest(
  "a key is given as the file of it, and the page says what to compare before",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    await using server = await startServer({ key: KEY });
    const page = await visitor.open(pageOf(server, "https"));
    await shows(page, "#warned summary");
    await page.click("#warned summary");
    await shows(page, "#warned p", "SHA-256");
    const words = await page.$eval("#warned p", (it) => it.textContent!.replaceAll(/\s+/g, " "));
    assertStringIncludes(words, "look for its SHA-256 fingerprint. It has to be the one that the");
    assertStringIncludes(words, "Do not make the browser or the system trust the certificate");
    await chooseIn(page, "#key-file", await local.write("wrong", "wrong\n"));
    await shows(page, "#sign-in-note", "That is not the key of this server");
    await chooseIn(page, "#key-file", await local.write("inlet.token", `${KEY}\n`));
    await shows(page, "#list-note", "Nothing has come in yet.");
    await shows(page, "#sign-out");
  },
);
