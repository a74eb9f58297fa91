/**
 * Sending files by the page in a real browser: whole, and through everything that can happen meanwhile.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { browserTest } from "./browser.ts";
import {
  anHourPasses,
  bytes,
  fileGrows,
  freePort,
  names,
  onTmpfs,
  runClient,
  startServer,
  tempDir,
  uploadFiles,
  uploadGrows,
  watchUntil,
} from "./helpers.ts";
import {
  choose,
  chooseIn,
  drop,
  line,
  pageOf,
  shows,
  storedIn,
  textsOf,
  until,
} from "./page_hands.ts";
import { heldLinkTo } from "./held_link.ts";
import { killTabs } from "./killed_tab.ts";

const MIB = 1024 * 1024;

browserTest(
  "files and folders that are dropped are stored, listed, and got again",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const content = bytes(1_500_000);
    const file = await local.write("naïve café ☕.bin", content);
    const folder = `${local.path}/photos`;
    await Deno.mkdir(`${folder}/in/deep`, { recursive: true });
    const files = ["a.txt", "empty", "in/b.txt", "in/deep/مرحبا.txt", "in/100%.txt", "in/#?&.txt"];
    for (const name of files) {
      await Deno.writeTextFile(`${folder}/${name}`, name === "empty" ? "" : name);
    }
    await using server = await startServer();
    const page = await visitor.open(pageOf(server));
    await shows(page, "#list-note", "Nothing has come in yet.");
    await drop(page, file);
    await shows(page, line("done"), "1.4 MiB · stored");
    assertEquals(await Deno.readFile(`${server.dir}/naïve café ☕.bin`), content);
    // Nothing is replaced, and the name that it got is told.
    await drop(page, file);
    await shows(
      page,
      line("done"),
      "Stored as “\u2068naïve café ☕ (2).bin\u2069”, because its name was taken.",
    );
    assertEquals(await Deno.readFile(`${server.dir}/naïve café ☕ (2).bin`), content);
    await drop(page, folder);
    await shows(page, line("done"), "6 files");
    for (const name of files) {
      const stored = await Deno.readTextFile(`${server.dir}/photos/${name}`);
      assertEquals(stored, name === "empty" ? "" : name);
    }
    assertEquals(names(`${server.dir}/photos`), ["a.txt", "empty", "in"]);
    await page.reload();
    await shows(page, "#list-note", "3 entries");
    assertEquals(await textsOf(page, "#entries tbody a"), [
      "photos/",
      "naïve café ☕ (2).bin",
      "naïve café ☕.bin",
    ]);
    // What was copied elsewhere is pasted. A picture has no name there.
    await page.evaluate(`{
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File(["copied"], "copied.txt"));
      clipboardData.items.add(new File(["pixels"], "image.png", { type: "image/png" }));
      document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
    }`);
    await shows(page, "#list-note", "5 entries");
    assertEquals(await Deno.readTextFile(`${server.dir}/copied.txt`), "copied");
    const picture = names(server.dir).find((name) => /^pasted .*\.png$/.test(name));
    assertEquals(await Deno.readTextFile(`${server.dir}/${picture}`), "pixels");
    await page.click("#entries tbody tr:nth-child(4) a");
    await fileGrows(`${visitor.downloads}/naïve café ☕.bin`, content.length);
    assertEquals(await Deno.readFile(`${visitor.downloads}/naïve café ☕.bin`), content);
  },
);

browserTest(
  "what is sent shows how far it is, is paused, cancelled and taken back",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const content = bytes(32 * MIB);
    const file = await local.write("a.bin", content);
    await using server = await startServer();
    using link = await heldLinkTo(server, 3 * MIB);
    const page = await visitor.open(pageOf(link));
    await shows(page, "#list-note", "Nothing");
    await choose(page, file);
    await shows(page, line("moving"), " of 32.0 MiB");
    await until(page, `document.querySelector("#uploads progress").value > 0.01`);
    await until(page, `/^[1-9]\\d? % · inlet$/.test(document.title)`);
    // Who leaves is asked first.
    await page.click("h1");
    const { promise: asked, resolve: onAsked } = Promise.withResolvers<string>();
    visitor.onDialog = async (dialog) => {
      onAsked(dialog.type());
      await dialog.dismiss();
    };
    await page.close({ runBeforeUnload: true });
    assertEquals(await asked, "beforeunload");
    await page.click("::-p-aria(Pause a.bin)");
    await shows(page, line("paused"), "paused");
    await page.click("::-p-aria(Cancel a.bin)");
    await shows(page, line("cancelled"), "Cancelled.");
    await page.click("::-p-aria(Take back a.bin)");
    await shows(page, line("paused"), "paused");
    link.open();
    await page.click("::-p-aria(Go on a.bin)");
    await shows(page, line("done"), "stored");
    assertEquals(await Deno.readFile(`${server.dir}/a.bin`), content);
    await server.running.says(/resumes "a\.bin" at [1-9]/);
  },
);

browserTest(
  "a tab that is killed three times goes on with a large file, in little memory",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const received = `${local.path}/received`;
    await killTabs(visitor, 300, { received, local: local.path });
  },
);

browserTest(
  "a file goes on where it was after a reload and a killed server, by itself where it can",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    const content = bytes(32 * MIB);
    const file = await local.write("a.bin", content);
    const port = freePort();
    const killed = await startServer({ dir, port });
    using link = await heldLinkTo(killed, 3 * MIB);
    const page = await visitor.open(pageOf(link));
    await shows(page, "#list-note", "Nothing");
    await choose(page, file);
    await uploadGrows(dir, 2 * MIB);
    link.open(2 * MIB);
    await page.reload();
    await shows(page, line("asking"), "not finished");
    // Another file is none to go on with.
    await Deno.mkdir(`${local.path}/other`);
    const other = await local.write("other/a.bin", "hello\n");
    await chooseIn(page, `${line("asking")} input`, other);
    await shows(page, line("asking"), "That is another one. To go on, choose “\u2068a.bin\u2069”");
    await chooseIn(page, `${line("asking")} input`, file);
    await killed.running.says(/resumes "a\.bin" at [1-9]/);
    assertEquals(uploadFiles(dir).length, 1);
    await uploadGrows(dir, 4 * MIB);
    await killed.running.stop("SIGKILL");
    await shows(page, line("moving"), "No connection to the server. It goes on by itself.");
    // Another server could be writing what was written just now.
    anHourPasses(dir);
    link.open();
    await using server = await startServer({ dir, port });
    await shows(page, line("done"), "stored");
    await server.running.says(/resumes "a\.bin" at [1-9]/);
    assertEquals(await Deno.readFile(`${dir}/a.bin`), content);
    // Nothing is left to go on with.
    await page.reload();
    await shows(page, "#list-note", "1 entry");
    assertEquals(await textsOf(page, "#uploads li"), []);
  },
);

browserTest(
  "two tabs send at once, and neither offers what the other is sending",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const contents = [bytes(2 * MIB), bytes(3 * MIB)];
    await using server = await startServer();
    using link = await heldLinkTo(server, 1.5 * MIB);
    const pages = [await visitor.open(pageOf(link)), await visitor.open(pageOf(link))];
    for (const [index, page] of pages.entries()) {
      await page.bringToFront();
      await shows(page, "#list-note", "Nothing");
      await Deno.mkdir(`${local.path}/${index}`);
      await choose(page, await local.write(`${index}/a.bin`, contents[index]!));
      await shows(page, line("moving"), "a.bin");
    }
    const third = await visitor.open(pageOf(link));
    await shows(third, "#list-note");
    assertEquals(await textsOf(third, "#uploads li"), []);
    link.open();
    for (const page of pages) {
      await page.bringToFront();
      assertEquals((await textsOf(page, "#uploads li")).length, 1);
      await shows(page, line("done"), "stored");
    }
    const stored = storedIn(server.dir);
    assertEquals(stored, ["a (2).bin", "a.bin"]);
    const sizes = stored.map((name) => Deno.statSync(`${server.dir}/${name}`).size);
    assertEquals(sizes.toSorted(), contents.map(({ length }) => length));
    for (const [index, name] of stored.entries()) {
      const content = contents.find(({ length }) => length === sizes[index])!;
      assertEquals(await Deno.readFile(`${server.dir}/${name}`), content);
    }
  },
);

browserTest(
  "the native client finishes with --resume what a page began",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const content = bytes(32 * MIB);
    const file = await local.write("a.bin", content);
    await using server = await startServer();
    using link = await heldLinkTo(server, 2 * MIB);
    const page = await visitor.open(pageOf(link));
    await shows(page, "#list-note", "Nothing");
    await choose(page, file);
    await uploadGrows(server.dir, 1.5 * MIB);
    await page.click("::-p-aria(Pause a.bin)");
    await shows(page, line("paused"));
    // It sees the end of the connection only behind what is under way.
    link.open();
    await keepsPart(server.dir);
    const { code, stderr } = await runClient(server, [file, "--resume"]);
    assertEquals(code, 0, stderr);
    await server.running.says(/resumes "a\.bin" at [1-9]/);
    assertEquals(await Deno.readFile(`${server.dir}/a.bin`), content);
  },
);

browserTest(
  "a file that a full disk has no room for is sent once there is room",
  "chromium",
  async (visitor) => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    await Deno.mkdir(dir);
    const content = bytes(3 * MIB);
    const file = await local.write("a.bin", content);
    await using server = await startServer({ dir, under: onTmpfs(dir, "size=4m") });
    const disk = `/proc/${server.pid}/root${dir}`;
    await Deno.writeFile(`${disk}/other`, bytes(2 * MIB));
    const page = await visitor.open(pageOf(server));
    await shows(page, "#list-note", "1 entry");
    await choose(page, file);
    await shows(page, line("stopped"), "The server has no room left.");
    await Deno.remove(`${disk}/other`);
    await page.click("::-p-aria(Try again a.bin)");
    await shows(page, line("done"), "stored");
    assertEquals(await Deno.readFile(`${disk}/a.bin`), content);
  },
  { mounts: true },
);

/** Waits until a store keeps what has come of a file. */
async function keepsPart(directory: string): Promise<void> {
  await watchUntil(directory, () => names(directory).includes("(partial)"));
}
