/**
 * The bounds of event streams, by readers that take what they like.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { User } from "../lib/auth/authenticator.ts";
import { InletError } from "../lib/errors.ts";
import { Clients } from "../lib/server/clients.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { Log } from "../lib/server/log.ts";
import { EventStream, EventStreams, MOST_FILES, MOST_STREAMS } from "../web/event_streams.ts";
import { pure } from "./helpers.ts";

/** What a server of this test has in common for all clients. */
function serverContext(): ServerContext {
  const clients = new Clients(10);
  const modified = new Date(0);
  return {
    clients,
    client: clients.admit("192.0.2.9:1")!,
    log: new Log({ quiet: true }),
    access: "all",
    web: { proxies: { has: (host: string) => host === "192.0.2.1" } },
    store: {
      tree: async function* (name: string) {
        await Promise.resolve();
        yield [{ name, size: 1, modified }];
      },
    },
  } as unknown as ServerContext;
}

/** A page. It takes what is written unless it is slow. */
class Page {
  readonly context: ServerContext;
  readonly written: string[] = [];
  readonly ended = Promise.withResolvers<"drop">();
  isSlow = false;
  isKnown = true;

  constructor(context: ServerContext, address = "127.0.0.1:1", user?: Partial<User>) {
    const client = { number: 1, address, start: new Date(0), name: "ann", ...user && { user } };
    this.context = { ...context, client: client as ServerContext["client"] };
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.written.push(new TextDecoder().decode(bytes));
    if (!this.isSlow) done();
  }

  drop(): void {
    this.ended.resolve("drop");
  }

  isAdmitted(): Promise<boolean> {
    return Promise.resolve(this.isKnown);
  }

  /** The names of the events that it has got. */
  get events(): string[] {
    return this.written.flatMap((text) => text.match(/(?<=^event: )\w+/gm) ?? []);
  }
}

pure("EventStreams are bounded in number, and each address in its own", () => {
  const context = serverContext();
  const streams = new EventStreams(context);
  using added = new DisposableStack();
  const add = (address: string): void => {
    const page = new Page(context, address);
    streams.checkRoom(page.context);
    added.use(streams.add(new EventStream(page)));
  };
  for (let count = 0; count < 250; count++) add(`192.0.2.7:${count}`);
  const error = assertThrows(() => add("192.0.2.7:1"), InletError);
  assertEquals(error.code, "busy");
  // Neither this machine nor a proxy stands for one client.
  for (let count = 0; count < 300; count++) add("127.0.0.1:1");
  for (let count = 0; count < MOST_STREAMS - 550; count++) add("192.0.2.1:1");
  assertThrows(() => add("127.0.0.1:1"), InletError);
});

pure("a page that reads slowly is dropped, and costs the others nothing", async () => {
  const context = serverContext();
  const streams = new EventStreams(context);
  const [quick, slow] = [new Page(context), new Page(context)];
  using _quick = streams.add(new EventStream(quick));
  slow.isSlow = true;
  using _slow = streams.add(new EventStream(slow));
  for (let time = 0; time < 200 && slow.written.length < 50; time++) {
    streams.said("ann", "x".repeat(60_000));
    // Between two looks only so much is told.
    if (!streams.takesMessages) await new Promise((resolve) => setTimeout(resolve, 100));
    if (await Promise.race([slow.ended.promise, undefined]) !== undefined) break;
  }
  assertEquals(await slow.ended.promise, "drop");
  assert(slow.written.join("").length <= 256 * 1024);
  const before = slow.written.length;
  streams.said("ann", "hello");
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(slow.written.length, before, "nothing is written behind the end");
  assert(quick.events.filter((name) => name === "message").length > 4);
});

pure("a page that is told much by one client keeps room for what all are told", async () => {
  const context = serverContext();
  const streams = new EventStreams(context);
  const page = new Page(context);
  const stream = new EventStream(page);
  using _ = streams.add(stream);
  page.isSlow = true;
  const tell = (): boolean => stream.tell({ from: "ben", number: 2, text: "x".repeat(4000) });
  let told = 0;
  while (told < 1000 && tell()) told++;
  assert(told > 10 && told < 17, `${told}`);
  streams.said("ben", "x".repeat(60_000));
  while (!page.events.includes("message")) await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(await Promise.race([page.ended.promise, undefined]), undefined);
});

pure("a stream that was dropped is told nothing", () => {
  const context = serverContext();
  const stream = new EventStream(new Page(context));
  const tell = (): boolean => stream.tell({ from: "ben", number: 2, text: "hello" });
  assertEquals(tell(), true);
  stream.drop();
  assertEquals(tell(), false);
});

pure(
  "a client that talks much is heard by many pages in few writes, and not without end",
  async () => {
    const context = serverContext();
    const streams = new EventStreams(context);
    const pages = Array.from({ length: 400 }, () => new Page(context));
    using added = new DisposableStack();
    for (const page of pages) added.use(streams.add(new EventStream(page)));
    const said = Array.from({ length: 1000 }, (_, index) => `${index}`);
    let told = 0;
    for (const text of said) {
      if (streams.takesMessages) told++;
      streams.said("ann", text);
    }
    assert(told > 100 && told < 1000, `${told}`);
    for (const page of pages) {
      const messages = () => page.events.filter((name) => name === "message").length;
      while (messages() < told) await new Promise((resolve) => setTimeout(resolve, 10));
      assertEquals(page.written.filter((text) => text.includes("event: message")).length, 1);
    }
  },
);

pure("names that are all escapes make no page that reads a slow one", async () => {
  const context = serverContext();
  const streams = new EventStreams(context);
  const page = new Page(context);
  page.isSlow = true;
  using _ = streams.add(new EventStream(page));
  for (let count = 0; count < MOST_FILES; count++) {
    streams.stored({ name: `${count}${"\u202e".repeat(1300)}`, size: 1 });
  }
  page.ended.promise.then((how) => page.written.push(`event: ${how}\n`));
  const isOver = () => page.events.some((name) => name === "many" || name === "drop");
  while (!isOver()) await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(page.events.at(-1), "many");
});

pure("many files between two looks become one event", async () => {
  const context = serverContext();
  const streams = new EventStreams(context);
  const page = new Page(context);
  using _ = streams.add(new EventStream(page));
  assertEquals(context.log.feed.watcher, streams);
  for (let count = 0; count < 10 * MOST_FILES; count++) {
    context.log.stored({ name: `${count}`, size: 1, crc: 0 });
  }
  while (!page.events.includes("many")) await new Promise((resolve) => setTimeout(resolve, 10));
  const told = page.events.filter((name) => name === "stored").length;
  assert(told === MOST_FILES, `${told}`);
});

pure("while files come without end, many pages list them again one after another", async () => {
  const context = serverContext();
  const streams = new EventStreams(context);
  using added = new DisposableStack();
  const begun = performance.now();
  const pages = Array.from({ length: 500 }, () => new Page(context));
  for (const page of pages) added.use(streams.add(new EventStream(page)));
  const [page] = pages as [Page];
  const come = setInterval(() => {
    for (let count = 0; count < 99; count++) context.log.stored({ name: "a", size: 1, crc: 0 });
  }, 50);
  added.defer(() => clearInterval(come));
  const times = (event: string): number =>
    page.written.join("").split(`event: ${event}\n`).length - 1;
  while (times("many") === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  // Two further looks.
  const most = times("stored") + 2 * MOST_FILES;
  while (times("stored") < most) await new Promise((resolve) => setTimeout(resolve, 20));
  // Each has 20 ms of its own: these looks are over long before that, but on a stalled machine.
  assert(times("many") <= 1 + (performance.now() - begun) / (20 * pages.length));
});

pure("a stream ends with its user, its key, and a reader that is dead", async () => {
  const context = serverContext();
  const streams = new EventStreams(context, { heartbeatMs: 20 });
  const user = { name: "ben", access: "all", isRevoked: false };
  const pages = {
    revoked: new Page(context, "127.0.0.1:1", user as User),
    replaced: new Page(context),
    dead: new Page(context),
    well: new Page(context),
  };
  using added = new DisposableStack();
  for (const page of Object.values(pages)) added.use(streams.add(new EventStream(page)));
  user.isRevoked = true;
  streams.said("ann", "secret");
  assertEquals(await pages.revoked.ended.promise, "drop");
  assert(!pages.revoked.written.join("").includes("secret"));
  pages.replaced.isKnown = false;
  pages.dead.isSlow = true;
  assertEquals(await pages.replaced.ended.promise, "drop");
  assertEquals(await pages.dead.ended.promise, "drop");
  assert(pages.well.written.includes(":\n\n"));
  added.dispose();
  assertEquals(context.log.feed.watcher, undefined);
});
