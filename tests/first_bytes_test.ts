import { assert, assertEquals } from "@std/assert";
import {
  type Look,
  lookOf,
  type Opening,
  openingOf,
  unknownOpening,
} from "../modes/first_bytes.ts";
import { pure } from "./helpers.ts";

/** The bytes of a text, a character a byte. */
function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Feeds one byte at a time, and gives the first answer with the number of bytes that it took. */
function firstAnswer<T>(text: string, answer: (head: Uint8Array) => T | undefined): [T, number] {
  const bytes = bytesOf(text);
  for (let length = 0; length <= bytes.length; length++) {
    const found = answer(bytes.subarray(0, length));
    if (found === undefined) continue;
    assertEquals(answer(bytes), found, "all at once it is something else");
    return [found, length];
  }
  throw new Error(`${JSON.stringify(text)} does not decide`);
}

/** Each beginning, what it is, and at which of its bytes that is known. */
const OPENINGS: [string, Opening, number][] = [
  ["hello 1 ben\n", "native", 7],
  ["hello 12345678901234567890 ben\n", "native", 7],
  ["hello;can=links 1 ben\n", "native", 6],
  ["hello\n", "other", 6],
  ["hello\r\n", "other", 6],
  ["hello world\n", "other", 7],
  ["hello  1 ben\n", "other", 7],
  ["help\n", "other", 4],
  ["Hello 1 ben\n", "other", 2],
  ["list\n", "other", 1],
  ["\n", "other", 1],
  ["\0\0\0\0\0\0\0\x06a.txt", "upload", 1],
  ["\x16\x03\x01\x02\0", "tls", 2],
  ["\x16\x16", "other", 2],
  ["GET / HTTP/1.1\r\n", "http", 11],
  ["PATCH /files/1 HTTP/1.0\r\n", "http", 20],
  ["OPTIONS * HTTP/1.1\r\n", "http", 15],
  ["CONNECT example.org:443 HTTP/1.1\r\n", "http", 29],
  ["PRI * HTTP/2.0\r\n", "http", 11],
  ["GET a.txt\n", "other", 10],
  ["GET a file.txt", "other", 7],
  ["GET  / HTTP/1.1\r\n", "other", 5],
  ["GETTING / HTTP/1.1\r\n", "other", 4],
  ["get / HTTP/1.1\r\n", "other", 1],
  ["PUT 6 HTML\n", "other", 9],
  ["\x89PNG\r\n", "other", 1],
  ["PROPFIND / HTTP/1.1\r\n", "http", 16],
  [`GET /${"x".repeat(5000)}`, "http", 4096],
  [`GET ${"x".repeat(5000)}\n`, "http", 4096],
];

for (const [text, opening, length] of OPENINGS) {
  pure(`openingOf() takes ${JSON.stringify(text.slice(0, 40))} for ${opening}`, () => {
    assertEquals(firstAnswer(text, openingOf), [opening, length]);
  });
}

/** Each beginning of no known wire, what it looks like, and at which of its bytes that is known. */
const LOOKS: [string, Look, number][] = [
  ["list\n", "line", 5],
  ["\n", "line", 1],
  ["caf\xc3\xa9\r\n", "line", 7],
  ["\ta \x1b[1mbold\x1b[0m word\x07\n", "line", 22],
  ["caf\xe9\n", "bytes", 5],
  ["\xff\xd8\xff", "bytes", 1],
  ["PK\x03\x04", "bytes", 3],
  ["a\0b\n", "bytes", 2],
  ["x".repeat(300), "bytes", 256],
  ["x".repeat(300) + "\n", "bytes", 256],
  ["x".repeat(255) + "\n", "line", 256],
];

for (const [text, look, length] of LOOKS) {
  pure(`lookOf() takes ${JSON.stringify(text.slice(0, 40))} for ${look}`, () => {
    assertEquals(firstAnswer(text, lookOf), [look, length]);
  });
}

pure("lookOf() takes a text that a silence follows for text, and one that ends for bytes", () => {
  for (const text of ["Roger", "caf\xc3\xa9", "a"]) {
    assertEquals(lookOf(bytesOf(text)), undefined);
    assertEquals(lookOf(bytesOf(text), "silence"), "text");
    assertEquals(lookOf(bytesOf(text), "end"), "bytes");
  }
  assertEquals(lookOf(bytesOf("caf\xc3")), undefined);
  assertEquals(lookOf(bytesOf("caf\xc3"), "silence"), "bytes");
});

pure("unknownOpening() is one line that names the modes, and --fallback where there is one", () => {
  const modes: Record<Look, RegExp> = {
    line: /raw, --mode message or --mode reverse/,
    text: /talk or --mode reverse/,
    bytes: /raw or --mode message/,
  };
  for (const [look, named] of Object.entries(modes) as [Look, RegExp][]) {
    for (const canFallBack of [true, false]) {
      const { code, message } = unknownOpening(look, "a client begins so", canFallBack);
      assertEquals(code, "bad-request");
      assert(named.test(message), message);
      assertEquals(message.includes("--fallback"), canFallBack);
      assert(!/[\r\n]|\.$/.test(message) && message.length < 300, message);
    }
  }
});
