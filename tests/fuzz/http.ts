/**
 * Requests of HTTP into a real server, a process of its own. Every answer is taken apart, and what was
 * stored is compared with the bodies that a parser of the strictest kind finds in what was sent.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { walk } from "@std/fs/walk";
import fc from "fast-check";
import { nextTurn } from "../../lib/turns.ts";
import { STATUSES } from "../../web/problem.ts";
import { startServer, type TestServer } from "../helpers.ts";
import { HttpWire } from "../http_wire.ts";
import { Wire } from "../wire.ts";
import { anySent, ID, REQUESTS_A_RUN, ROOM, type Sent } from "./requests.ts";

/** Connections after which everything that was stored is looked at, and taken away. */
const CONNECTIONS_A_LOOK = 300;

/** Milliseconds after which an answer is taken to hang. */
const HANGS_MS = 30_000;

/** A proper request, whose answer has no body. */
const OPENING = "OPTIONS /files/ HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** Text, a character a byte. The decoder of that name takes 0x80 for "€". */
const latin1 = {
  decode: (bytes: Uint8Array): string =>
    Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""),
};

/** A response. */
interface Answer {
  status: number;
  /** By name, in lower case. */
  fields: Readonly<Record<string, string>>;
  body: string;
}

/**
 * Sends about so many requests.
 *
 * @throws {Error} with the seed and the counterexample
 */
export async function fuzzHttp(cases: number, seed: number): Promise<void> {
  await using server = await startServer({ args: ["--quiet"] });
  let left = CONNECTIONS_A_LOOK;
  await fc.assert(
    fc.asyncProperty(anySent, async (sent) => {
      await converse(server, sent);
      if (--left > 0) return;
      await lookAround(server);
      left = CONNECTIONS_A_LOOK;
    }),
    { seed, numRuns: Math.ceil(cases / REQUESTS_A_RUN) },
  );
  await lookAround(server);
}

/** One connection. */
async function converse(server: TestServer, sent: Sent): Promise<void> {
  const { opens, cut, splits } = sent;
  const joined = sent.requests.join("");
  const whole = joined.includes(ID) ? joined.replaceAll(ID, await begun(server)) : joined;
  const text = (opens ? OPENING : "") +
    whole.slice(0, cut === null ? undefined : cut * whole.length);
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  using wire = await Wire.dial(server);
  const reading = all(wire);
  const cuts = splits.map((part) => Math.floor(part * bytes.length)).sort((a, b) => a - b);
  for (const [index, end] of [...cuts, bytes.length].entries()) {
    if (index > 0) await nextTurn();
    // A server that refuses may have closed before it has all.
    await wire.says(bytes.subarray(cuts[index - 1] ?? 0, end)).catch(() => {});
  }
  await wire.closeWrite().catch(() => {});
  const said = await within(reading);
  // What begins as no wire of ours is told so by the line.
  if (!opens && !said.startsWith("HTTP/")) {
    return assert(/^(error [a-z-]+ .*\n)?$/.test(said), said);
  }
  const answers = answersIn(said, text.includes("HEAD"));
  assert(!opens || answers.length > 0, "the first request has no answer");
  for (const answer of answers) assertProper(answer);
  const bodies = bodiesIn(text);
  for (const answer of answers) await checkStored(server, answer, bodies);
}

/** Begins an upload by tus, and gives its id. */
async function begun(server: TestServer): Promise<string> {
  using wire = await HttpWire.dial(server);
  const { status, headers } = await wire.asks(
    `POST /uploads/ HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Length: ${ROOM}\r\n\r\n`,
  );
  assertEquals(status, 201);
  return headers.location!.slice("/uploads/".length);
}

/** All that comes to the end, a character a byte. */
async function all(wire: Wire): Promise<string> {
  let text = "";
  for (let some; (some = await wire.some()).length > 0;) text += latin1.decode(some);
  return text;
}

async function within<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("the server does not answer")), HANGS_MS);
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Takes responses apart.
 *
 * @param mayBeBare Whether a response to HEAD may be among them, which has a length and no body.
 * @throws {AssertionError} if anything else is among them
 */
function answersIn(said: string, mayBeBare: boolean): Answer[] {
  const answers: Answer[] = [];
  for (let rest = said; rest !== "";) {
    const end = rest.indexOf("\r\n\r\n");
    const [first = "", ...lines] = rest.slice(0, end).split("\r\n");
    const [, status = ""] = /^HTTP\/1\.1 (\d{3}) [ -~]+$/.exec(first) ?? [];
    assert(end > 0 && status !== "", `no response: ${JSON.stringify(rest.slice(0, 500))}`);
    const fields = Object.fromEntries(lines.map((line) => {
      const [, name, value] = /^([\w-]+): ([ -~]*)$/.exec(line) ?? [];
      assert(name !== undefined && value !== undefined, `no field: ${JSON.stringify(line)}`);
      return [name.toLowerCase(), value];
    }));
    rest = rest.slice(end + 4);
    const answer: Answer = { status: Number(status), fields, body: "" };
    answers.push(answer);
    const isBare = /^(1..|204|304)$/.test(status) || (mayBeBare && /^(HTTP\/1\.1 |$)/.test(rest));
    if (isBare) continue;
    const length = fields["content-length"];
    // To a client of HTTP/1.0 an archive ends with the connection: RFC 9112, section 6.3.
    const isToTheEnd = length === undefined && fields["transfer-encoding"] === undefined;
    assert(!isToTheEnd || fields.connection === "close", `no length: ${first}`);
    const taken = length === undefined && !isToTheEnd ? unchunked(rest) : {
      body: rest.slice(0, Number(length ?? rest.length)),
      end: Number(length ?? rest.length),
    };
    assert(taken && taken.end <= rest.length, `a response was cut: ${first}`);
    answer.body = taken.body;
    rest = rest.slice(taken.end);
  }
  return answers;
}

/** No answer says that anything went wrong in the server, and every failure is a problem. */
function assertProper({ status, fields, body }: Answer): void {
  assert(status < 500 || status > 500, body);
  assert(!/\n {4}at /.test(body), body);
  if (status < 400 || body === "") return;
  assertEquals(fields["content-type"], "application/problem+json");
  const problem = JSON.parse(body);
  assertEquals(problem.status, status);
  assert(Object.hasOwn(STATUSES, problem.code) && problem.code !== "internal", body);
}

/** What an answer says is stored is there, and is a whole body that was sent. It is taken away. */
async function checkStored(
  { dir }: TestServer,
  { status, fields, body }: Answer,
  bodies: readonly string[],
): Promise<void> {
  const uploaded = fields["inlet-name"];
  if (status !== 201 || body === "" || uploaded !== undefined) return;
  const { name, files } = JSON.parse(body);
  const isForm = files !== undefined;
  for (const file of isForm ? files : [{ name, size: JSON.parse(body).size }]) {
    const path = `${dir}/${file.name}`;
    const content = latin1.decode(await Deno.readFile(path));
    assertEquals(content.length, file.size);
    const isWhole = bodies.some((sent) =>
      isForm ? sent.includes(`\r\n\r\n${content}\r\n--`) : sent === content
    );
    assert(isWhole, `stored, and not sent: ${JSON.stringify(content)}`);
    await Deno.remove(path);
  }
}

/** The bodies of the requests in what was sent, up to the first request that is not beyond doubt. */
function bodiesIn(text: string): string[] {
  const bodies: string[] = [];
  for (let rest = text;;) {
    rest = rest.replace(/^[\r\n]+/, "");
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return bodies;
    const lines = rest.slice(0, end).split("\r\n").slice(1);
    rest = rest.slice(end + 4);
    const valuesOf = (name: string): string[] =>
      lines.filter((line) => line.toLowerCase().startsWith(`${name}:`))
        .map((line) => line.slice(name.length + 1).trim().toLowerCase());
    const [lengths, codings] = [valuesOf("content-length"), valuesOf("transfer-encoding")];
    const [coding] = codings;
    if (lengths.length + codings.length > 1) return bodies;
    const length = /^\d{1,15}$/.test(lengths[0] ?? "0") ? Number(lengths[0] ?? 0) : NaN;
    const taken = coding?.endsWith("chunked")
      ? unchunked(rest)
      : { body: rest.slice(0, length), end: coding === undefined ? length : NaN };
    if (!taken || !(taken.end <= rest.length)) return bodies;
    // Another coding before that leaves no doubt where it ends, and makes it no body of a file.
    if (coding === undefined || coding === "chunked") bodies.push(taken.body);
    rest = rest.slice(taken.end);
  }
}

/** Joins chunks, and gives where they end; `undefined` if that is not there, or they are wrong. */
function unchunked(text: string): { body: string; end: number } | undefined {
  let body = "";
  for (let at = 0;;) {
    const [line, size] = /^([0-9a-f]{1,8})(?:;[^\r\n]*)?\r\n/i.exec(text.slice(at, at + 20_000)) ??
      [];
    if (line === undefined) return undefined;
    at += line.length;
    const length = parseInt(size!, 16);
    if (length === 0) {
      const [trailer] = /^(?:[^\r\n]+\r\n)*\r\n/.exec(text.slice(at)) ?? [];
      return trailer === undefined ? undefined : { body, end: at + trailer.length };
    }
    body += text.slice(at, at + length);
    at += length;
    if (text.slice(at, at + 2) !== "\r\n") return undefined;
    at += 2;
  }
}

/**
 * Nothing is stored that no answer told of, but what came by tus; nothing is in flight; and an honest
 * client is served. Then everything is taken away.
 */
async function lookAround(server: TestServer): Promise<void> {
  using wire = await Wire.greet(server);
  // Those who left are gone for the server, too, when it counts them as such.
  for (let others = Infinity; others > 1;) {
    await wire.says("status\n");
    let line = await wire.line();
    assertEquals(line, "ok");
    for (others = 0; !/^end /.test(line = await wire.line());) {
      if (line.endsWith("Still Connected")) others++;
    }
  }
  await wire.says("push 5 honest\nhelloend 3610a686\n");
  assertEquals(await wire.line(), "ok 5 3610a686 honest");
  const log = server.running.log;
  assert(!/\n {4}at |internal/.test(log), log);
  for await (const { path, isFile } of walk(server.dir)) {
    const name = path.slice(server.dir.length + 1);
    if (!isFile || name === "honest" || isByTus(name)) continue;
    throw new Error(`nobody was told of ${JSON.stringify(name)}`);
  }
  for (const { name } of Deno.readDirSync(server.dir)) {
    await Deno.remove(`${server.dir}/${name}`, { recursive: true });
  }
}

/** Whether a file was stored by tus, or may go on. */
function isByTus(name: string): boolean {
  return /^(upload( \(\d+\))?|a|a \(\d+\)|b\/a.*)$/.test(name) ||
    /^\.inlet\/(upload-.*\.note|kept-[0-9a-f-]+\.temp|sums-.*)$/.test(name);
}
