/**
 * The page of a server whose store is a bucket, in a real browser.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { balance } from "./balancer.ts";
import { browserTest } from "./browser.ts";
import { BucketScene } from "./bucket_scene.ts";
import { bytes, CEPH, tempDir } from "./helpers.ts";
import { drop, line, pageOf, shows, textsOf } from "./page_hands.ts";
import { slowLinkTo } from "./slow_link.ts";

browserTest(
  "the page sends to a bucket, and goes on at another server when the first is killed",
  "chromium",
  async (visitor) => {
    await using scene = await BucketScene.make();
    await using local = await tempDir();
    const content = bytes(30_000_000);
    const large = await local.write("large.bin", content);
    const small = await local.write("small.txt", "hello\n");
    await using first = await scene.serve();
    await using second = await scene.serve();
    using link = await slowLinkTo(first, 20_000_000);
    using balancer = await balance(link);
    const page = await visitor.open(pageOf(balancer));
    await shows(page, "#list-note", "Nothing has come in yet.");
    await drop(page, small);
    await shows(page, line("done"), "6 B · stored");
    await drop(page, large);
    await scene.partsAreNoted(2);
    balancer.ports.clear();
    balancer.ports.add(second.port);
    await first.running.stop("SIGKILL");
    await second.running.says(/resumes "large\.bin" at [1-9]/);
    await shows(page, line("done"), "28.6 MiB · stored");
    assertEquals(await scene.content("large.bin"), content);
    await page.reload();
    await shows(page, "#list-note", "2 entries");
    assertEquals(await textsOf(page, "#entries tbody a"), ["large.bin", "small.txt"]);
    // The browser tells of requests that were cut off.
    visitor.faults.splice(0, Infinity, ...visitor.faults.filter((fault) => !/ERR_/.test(fault)));
  },
  CEPH,
);
