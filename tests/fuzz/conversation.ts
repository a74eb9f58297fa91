/**
 * Whole conversations with a server over a real socket, beside a model of what it has to hold. Every
 * answer is checked, and in the end every file.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { walk } from "@std/fs/walk";
import { relative } from "@std/path/relative";
import fc from "fast-check";
import { crc32 } from "node:zlib";
import { nextTurn } from "../../lib/turns.ts";
import {
  decodeRequest,
  formatCrc,
  MAX_LINE_BYTES,
  MAX_TALK_BYTES,
  parseListEntry,
  type Request,
} from "../../protocol.ts";
import { ownFiles, tempDir } from "../helpers.ts";
import { type InProcessServer, serveHere } from "../in_process.ts";
import { askToResume, idOf } from "../resuming.ts";
import { Wire } from "../wire.ts";
import { inWireOrder, Model, type Partial } from "./model.ts";
import { anyTurns, type Content, type Fault, MAX_BYTES, type Step, type Turn } from "./steps.ts";

/** Steps of a run, about: what a case is, is a step. */
export const STEPS_A_RUN = 10;

/** Milliseconds after which a run is taken to hang. */
const HANGS_MS = 30_000;

const encoder = new TextEncoder();

/** What a body that arrives is refused with. */
const CODES = { checksum: "checksum", abort: "aborted" } as const;

/** Drives one server with one client at a time. */
class Run {
  readonly #server: InProcessServer;
  readonly #dir: string;
  readonly #model = new Model();
  #wire: Wire | undefined;
  #clients = 0;
  #splits: readonly number[] = [];

  constructor(server: InProcessServer, dir: string) {
    this.#server = server;
    this.#dir = dir;
  }

  async take({ step, splits }: Turn): Promise<void> {
    this.#wire ??= await this.#greet();
    this.#splits = splits;
    switch (step.type) {
      case "push":
      case "put":
        return await this.#put(this.#wire, step);
      case "chunks":
      case "say":
        return await this.#chunks(this.#wire, step);
      case "reput":
        return await this.#reput(this.#wire, step);
      case "break":
        return await this.#break(this.#wire, step);
      case "get":
        return await this.#get(this.#wire, step);
      case "reget":
        return await this.#reget(this.#wire, step);
      case "mkdir":
        return await this.#mkdir(this.#wire, step.name);
      case "tree":
        return await this.#tree(this.#wire, step.name);
      case "list":
        return await this.#list(this.#wire);
      case "whoami":
        await this.#says("whoami\n");
        return assertEquals(await this.#wire.line(), "ok fuzz");
      case "line":
        return await this.#line(this.#wire, step.line);
      case "leave":
        return await this.#leave(this.#wire, step.how);
    }
  }

  /** The next honest client is served, and what is on the disk is what the model has. */
  async end(): Promise<void> {
    if (this.#wire) await this.#gone(this.#wire);
    this.#wire = await this.#greet();
    await this.#put(this.#wire, {
      name: "honest.txt",
      content: { text: "honest", times: 1 },
      fault: "none",
      type: "push",
    });
    await this.#list(this.#wire);
    await this.#gone(this.#wire);
    const found = new Map<string, Uint8Array>();
    const partials = ownFiles(this.#dir).map((path) => Deno.statSync(path).size);
    for await (const { path, isFile } of walk(this.#dir)) {
      const name = relative(this.#dir, path);
      if (/^\.inlet(\/|$)/.test(name)) continue;
      if (isFile) found.set(name, await Deno.readFile(path));
      else assert(name === "" || this.#model.folders.has(name), `a folder of its own: ${name}`);
    }
    assertEquals(partials.sort(), this.#model.partialSizes.sort());
    const sorted = (files: Map<string, Uint8Array>): unknown => [...files].sort();
    assertEquals(sorted(found), sorted(this.#model.files));
    for (const failure of this.#server.failures) {
      assert(failure.code !== "internal", `internal: ${failure.message} ${failure.cause}`);
    }
  }

  close(): void {
    this.#wire?.close();
  }

  async #greet(): Promise<Wire> {
    const wire = await Wire.dial(this.#server);
    this.#clients++;
    await wire.says("hello 1 fuzz\n");
    assertEquals(await wire.line(), `welcome client ${this.#clients} of 100`);
    return wire;
  }

  /** Closes, and waits until the server has noticed. */
  async #gone(wire: Wire): Promise<void> {
    this.#wire = undefined;
    wire.close();
    await this.#server.left(this.#clients);
  }

  /** Writes in pieces, each of which the server gets a turn to read. */
  async #says(...parts: readonly (string | Uint8Array)[]): Promise<void> {
    const bytes = concat(parts.map((it) => typeof it === "string" ? encoder.encode(it) : it));
    const cuts = this.#splits.map((part) => Math.floor(part * bytes.length)).sort((a, b) => a - b);
    for (const [index, end] of [...cuts, bytes.length].entries()) {
      if (index > 0) await nextTurn();
      await this.#wire!.says(bytes.subarray(cuts[index - 1] ?? 0, end));
    }
  }

  async #put(
    wire: Wire,
    { type, name, fault, ...step }: Extract<Step, { type: "push" | "put" }>,
  ): Promise<void> {
    const content = bytesOf(step.content);
    const body = concat([content, trailerOf(content, fault)]);
    const request = `${type} ${content.length} ${name}\n`;
    if (type === "push" && fault in CODES && content.length <= MAX_BYTES) {
      return await this.#faultyPush(wire, name, fault as keyof typeof CODES, [request, body]);
    }
    const refusal = this.#refusal(content.length, name);
    if (type === "push") await this.#says(request, body);
    else await this.#says(request);
    if (refusal) {
      // What is pushed is read past, and so is its trailer.
      await this.#isRefused(wire, refusal);
      return type === "push" && fault === "no trailer" ? await this.#isOver(wire) : undefined;
    }
    if (type === "put") {
      assertEquals(await wire.line(), "go 0");
      await this.#says(body);
    }
    await this.#concludes(wire, name, content, fault);
  }

  /** What is refused for two reasons is so for the one that is seen first: that depends on the splits. */
  async #faultyPush(
    wire: Wire,
    name: string,
    fault: keyof typeof CODES,
    parts: readonly (string | Uint8Array)[],
  ): Promise<void> {
    await this.#says(...parts);
    const [, code] = /^error (\S+) /.exec(await wire.line()) ?? [];
    assert(code !== undefined && [CODES[fault], this.#model.refusal(name)].includes(code), code);
    this.#model.look(name, (folder) => isFolder(`${this.#dir}/${folder}`));
  }

  async #chunks(
    wire: Wire,
    { type, name, chunkBytes, fault, ...step }: Extract<Step, { type: "chunks" | "say" }>,
  ): Promise<void> {
    const content = bytesOf(step.content);
    const parts: (string | Uint8Array)[] = [];
    for (let start = 0; start < content.length; start += chunkBytes) {
      const chunk = content.subarray(start, start + chunkBytes);
      parts.push(`data ${chunk.length}\n`, chunk);
    }
    const refusal = type === "say" ? undefined : this.#refusal(0, name);
    await this.#says(type === "say" ? "say -\n" : `put - ${name}\n`);
    if (refusal) return await this.#isRefused(wire, refusal);
    assertEquals(await wire.line(), "go 0");
    await this.#says(...parts, trailerOf(content, fault));
    if (content.length > MAX_BYTES) {
      await this.#isRefused(wire, "too-large");
      return fault === "no trailer" ? await this.#isOver(wire) : undefined;
    }
    if (type === "chunks") return await this.#concludes(wire, name, content, fault);
    if (fault !== "none") return await this.#fails(wire, fault);
    assertEquals(await wire.line(), `ok ${content.length} ${formatCrc(crc32(content))}`);
  }

  async #reput(
    wire: Wire,
    { name, fault, lies, ...step }: Extract<Step, { type: "reput" }>,
  ): Promise<void> {
    const content = bytesOf(step.content);
    const start = await this.#offered(wire, name, content, lies);
    if (!start) return;
    const { id, resumed } = start;
    const offset = resumed?.content.length ?? 0;
    await this.#says(content.subarray(offset), trailerOf(content, fault));
    // A conversation that ends within a body leaves what it has; a body that is wrong, what was kept.
    if (fault === "no trailer") this.#model.keep(id, { content, failures: resumed?.failures ?? 0 });
    else if (fault !== "none" && resumed) {
      this.#model.keep(id, { ...resumed, failures: resumed.failures + 1 });
    }
    await this.#concludes(wire, name, content, fault);
  }

  /** A request of which only a part comes. */
  async #break(
    wire: Wire,
    { name, request, at, ...step }: Extract<Step, { type: "break" }>,
  ): Promise<void> {
    const content = bytesOf(step.content);
    if (request === "push") {
      const whole = concat([
        encoder.encode(`push ${content.length} ${name}\n`),
        content,
        trailerOf(content, "none"),
      ]);
      const head = whole.indexOf(0x0a) + 1;
      const sent = Math.floor(at * (whole.length - 1));
      if (sent >= head && content.length <= MAX_BYTES) this.#model.enter(name);
      await this.#says(whole.subarray(0, sent));
      return await this.#gone(wire);
    }
    const start = await this.#offered(wire, name, content, false);
    if (!start) return;
    const { id, resumed } = start;
    const offset = resumed?.content.length ?? 0;
    const left = content.subarray(offset);
    const sent = left.subarray(0, Math.floor(at * left.length));
    await this.#says(sent);
    const kept = content.slice(0, offset + sent.length);
    this.#model.keep(id, { content: kept, failures: resumed?.failures ?? 0 });
    await this.#gone(wire);
  }

  /** Asks to go on with a file, and gives what it goes on with, or nothing when it is refused. */
  async #offered(
    wire: Wire,
    name: string,
    content: Uint8Array,
    lies: boolean,
  ): Promise<{ id: string; resumed: Partial | undefined } | undefined> {
    const id = idOf(content);
    // Which of five partial files is the oldest, their times may not tell.
    if (this.#model.partials(id).length >= 4) return;
    const refusal = this.#refusal(content.length, name);
    const asked = { size: content.length, name, ...lies && { prove: () => "0".repeat(64) } };
    const offer = await askToResume(wire, content, asked);
    if (typeof offer === "string") return void assertMatch(offer, new RegExp(`^error ${refusal} `));
    assertEquals(refusal, undefined);
    assert("safe" in this.#model.enter(name));
    const partial = this.#model.offered(id);
    assertEquals(offer.asked !== undefined, partial !== undefined);
    const resumed = lies ? undefined : partial;
    assertEquals(offer.offset, resumed?.content.length ?? 0);
    if (resumed) this.#model.take(id, resumed);
    return { id, resumed };
  }

  async #get(wire: Wire, { name, stop }: Extract<Step, { type: "get" }>): Promise<void> {
    const found = this.#model.find(name);
    await this.#says(`get ${name}\n`, stop ? "stop\n" : "");
    let stopped = false;
    if ("code" in found) await this.#isRefused(wire, found.code);
    else {
      assertEquals(await wire.line(), `ok ${found.content.length}`);
      stopped = await this.#body(wire, found.content, found.content, stop);
    }
    if (stop && !stopped) assertEquals(await wire.line(), "stop ACK");
  }

  async #reget(
    wire: Wire,
    { name, offset, lies }: Extract<Step, { type: "reget" }>,
  ): Promise<void> {
    const found = this.#model.find(name);
    const content = "content" in found ? found.content : new Uint8Array(0);
    const crc = crc32(content.subarray(0, offset)) ^ (lies ? 1 : 0);
    await this.#says(`reget ${offset} ${formatCrc(crc)} ${name}\n`);
    if ("code" in found) return await this.#isRefused(wire, found.code);
    const from = lies || offset > content.length ? 0 : offset;
    assertEquals(await wire.line(), `ok ${content.length} ${from}`);
    await this.#body(wire, content, content.subarray(from), false);
  }

  /** Reads a body in chunks. Whether it was stopped. */
  async #body(
    wire: Wire,
    whole: Uint8Array,
    expected: Uint8Array,
    mayStop: boolean,
  ): Promise<boolean> {
    const parts: Uint8Array[] = [];
    for (;;) {
      const line = await wire.line();
      const [, size] = /^data (\d+)$/.exec(line) ?? [];
      if (size !== undefined) {
        parts.push((await wire.bytes(Number(size))).slice());
        continue;
      }
      if (mayStop && line === "abort stopped") return true;
      assertMatch(line, new RegExp(`^end\\S* ${formatCrc(crc32(whole))} \\d{4}-\\S+Z$`));
      assert(same(concat(parts), expected), "other bytes than were put");
      return false;
    }
  }

  async #mkdir(wire: Wire, name: string): Promise<void> {
    const made = this.#model.enter(name, true);
    await this.#says(`mkdir ${name}\n`);
    if ("code" in made) return await this.#isRefused(wire, made.code);
    assertEquals(await wire.line(), `ok ${made.safe}`);
  }

  async #list(wire: Wire): Promise<void> {
    await this.#says("list\n");
    const names = await listed(wire, await wire.line());
    assertEquals(names, inWireOrder([...this.#model.files.keys()]));
  }

  async #tree(wire: Wire, name: string): Promise<void> {
    await this.#says(`tree ${name}\n`);
    const answer = await wire.line();
    const expected = this.#model.below(name);
    if ("code" in expected) assert(answer.startsWith(`error ${expected.code} `), answer);
    else assertEquals(await listed(wire, answer), expected.names);
  }

  /** Whatever line: it is talk, or it ends the conversation, or it is left out here. */
  async #line(wire: Wire, text: string): Promise<void> {
    const line = text.replace(/\r$/, "");
    const bytes = encoder.encode(`${text}\n`).length;
    const request = bytes > MAX_LINE_BYTES ? "wrong" : requestIn(line);
    const ends = request === "wrong" || ["hello", "answer", "proof"].includes(request.type);
    if (!ends && request.type !== "chat") return;
    await this.#says(`${text}\n`);
    if (request === "wrong" || request.type !== "chat") {
      assertMatch(await wire.line(), /^error bad-request /);
      return await this.#isOver(wire);
    }
    const answer = await wire.line();
    // A line break that is none cannot be sent back.
    if (request.text.includes("\r")) {
      assertMatch(answer, /^error bad-request /);
      if (encoder.encode(request.text).length <= MAX_TALK_BYTES) await this.#isOver(wire);
    } else if (encoder.encode(request.text).length > MAX_TALK_BYTES) {
      assertMatch(answer, /^error bad-request /);
    } else assertEquals(answer, `${request.text} ACK`);
  }

  async #leave(wire: Wire, how: "exit" | "close" | "closeWrite"): Promise<void> {
    if (how === "exit") {
      await this.#says("exit\n");
      assertEquals(await wire.line(), "ok bye");
    }
    if (how === "closeWrite") await wire.closeWrite();
    if (how !== "close") assertEquals(await wire.rest(), "");
    await this.#gone(wire);
  }

  /** The code with which a body of that name is refused before it comes, in the server's order. */
  #refusal(size: number, name: string): string | undefined {
    if (size > MAX_BYTES) return "too-large";
    const entered = this.#model.enter(name);
    return "code" in entered ? entered.code : undefined;
  }

  /** How a body ends that was taken. */
  async #concludes(wire: Wire, name: string, content: Uint8Array, fault: Fault): Promise<void> {
    if (fault !== "none") return await this.#fails(wire, fault);
    const entered = this.#model.enter(name);
    assert("safe" in entered);
    const stored = this.#model.publish(entered.safe, content);
    if ("code" in stored) return await this.#isRefused(wire, stored.code);
    const expected = `ok ${content.length} ${formatCrc(crc32(content))} ${stored.name}`;
    assertEquals(await wire.line(), expected);
  }

  async #fails(wire: Wire, fault: Exclude<Fault, "none">): Promise<void> {
    await this.#isRefused(wire, fault === "no trailer" ? "bad-request" : CODES[fault]);
    if (fault === "no trailer") await this.#isOver(wire);
  }

  async #isRefused(wire: Wire, code: string): Promise<void> {
    const answer = await wire.line();
    assert(answer.startsWith(`error ${code} `), `expected ${code}, it answered ${answer}`);
  }

  async #isOver(wire: Wire): Promise<void> {
    // Of a refused body the reason was said already, of others it comes now.
    assertMatch(await wire.rest(), /^(error bad-request .*\n)?$/);
    await this.#gone(wire);
  }
}

function isFolder(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** The names in an answer of several lines. */
async function listed(wire: Wire, answer: string): Promise<string[]> {
  assertEquals(answer, "ok");
  const names: string[] = [];
  for (let line; !/^end /.test(line = await wire.line());) names.push(parseListEntry(line).name);
  return names;
}

function bytesOf({ text, times }: Content): Uint8Array<ArrayBuffer> {
  return encoder.encode(text.repeat(times));
}

function requestIn(line: string): Request | "wrong" {
  try {
    return decodeRequest(line);
  } catch {
    return "wrong";
  }
}

function trailerOf(content: Uint8Array, fault: Fault): Uint8Array {
  const crc = crc32(content);
  const trailers = {
    "none": `end ${formatCrc(crc)}\n`,
    "checksum": `end ${formatCrc(crc ^ 1)}\n`,
    "abort": "abort it changed\n",
    "no trailer": "list\n",
  };
  return encoder.encode(trailers[fault]);
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

/** Holds conversations of about so many steps in all. */
export async function fuzzConversations(cases: number, seed: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(anyTurns, async (turns) => {
      await using dir = await tempDir();
      await using server = await serveHere({ dir: dir.path, maxBytes: MAX_BYTES });
      const run = new Run(server, dir.path);
      try {
        for (const turn of turns) await run.take(turn);
        await run.end();
      } finally {
        run.close();
      }
    }),
    { numRuns: Math.ceil(cases / STEPS_A_RUN), seed, timeout: HANGS_MS },
  );
}
