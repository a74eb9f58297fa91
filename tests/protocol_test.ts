import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type BodyLine,
  decodeBodyLine,
  decodeReply,
  decodeRequest,
  decodeUploadSize,
  decodeUtf8,
  decodeWaiting,
  encodeBodyLine,
  encodeLine,
  encodeLines,
  encodeReply,
  encodeRequest,
  encodeUploadHeader,
  encodeWaiting,
  ERROR_CODES,
  type ErrorCode,
  featuresOf,
  folderFactsOf,
  folderFields,
  formatAccepted,
  formatCrc,
  formatListEntry,
  formatOffered,
  formatStored,
  formatTime,
  isFolderEntry,
  linkFactsOf,
  linkFields,
  MAX_CHUNK_BYTES,
  MAX_LINE_BYTES,
  parseAccepted,
  parseListEntry,
  parseOffered,
  parseStored,
  ProtocolError,
  type Reply,
  type Request,
  type WaitingLine,
} from "../protocol.ts";
import { pure } from "./helpers.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** A line as text, its line break taken off. */
function text(line: Uint8Array): string {
  const whole = new TextDecoder().decode(line);
  assert(whole.endsWith("\n"));
  return whole.slice(0, -1);
}

function refused(action: () => unknown, words = ""): void {
  const error = assertThrows(action, ProtocolError);
  assertStringIncludes(error.message, words);
}

const SALT = "0123456789abcdef".repeat(2);

const REQUESTS: readonly [Request, string][] = [
  [{ type: "hello", version: 1, name: "ben" }, "hello 1 ben"],
  [{ type: "hello", version: 1, name: "" }, "hello 1 "],
  [{ type: "hello", version: 2, name: "Ben of the hill" }, "hello 2 Ben of the hill"],
  [{ type: "put", size: 1048576, name: "report.pdf" }, "put 1048576 report.pdf"],
  [{ type: "put", size: 0, name: "a b  c" }, "put 0 a b  c"],
  [{ type: "put", size: MAX, name: "naïve ☕.txt" }, "put 9007199254740991 naïve ☕.txt"],
  [{ type: "put", size: null, name: "from stdin" }, "put - from stdin"],
  [{ type: "push", size: 6, name: "photos/a.jpg" }, "push 6 photos/a.jpg"],
  [{ type: "push", size: 6, name: " leading" }, "push 6  leading"],
  [{ type: "say", size: 5 }, "say 5"],
  [{ type: "say", size: null }, "say -"],
  [{ type: "get", name: "report (2).pdf" }, "get report (2).pdf"],
  [{ type: "list" }, "list"],
  [{ type: "status" }, "status"],
  [{ type: "exit" }, "exit"],
  [{ type: "chat", text: "Hello" }, "Hello"],
  [{ type: "chat", text: "" }, ""],
  [{ type: "chat", text: "list the reasons" }, "list the reasons"],
  [{ type: "chat", text: "PUT 5 a.txt" }, "PUT 5 a.txt"],
  [{ type: "chat", text: "putty" }, "putty"],
  [
    { type: "offer", plate: { word: "maple" }, salt: "0f".repeat(16), seconds: 600 },
    `offer ?-maple ${"0f".repeat(16)} 600`,
  ],
  [
    { type: "offer", plate: { number: "0713", word: "t-shirt" }, salt: SALT, seconds: 3600 },
    `offer 0713-t-shirt ${SALT} 3600`,
  ],
  [{ type: "accept", plate: { number: "0713", word: "maple" } }, "accept 0713-maple"],
  [{ type: "chat", text: "offer me a cup of tea" }, "offer me a cup of tea"],
  [{ type: "chat", text: "accept" }, "accept"],
  [{ type: "chat", text: "accept ?-maple" }, "accept ?-maple"],
  [{ type: "chat", text: "accept 713-maple" }, "accept 713-maple"],
  [{ type: "chat", text: "accept 0713-Maple" }, "accept 0713-Maple"],
  [{ type: "chat", text: "accept 0713-maple walnut" }, "accept 0713-maple walnut"],
  [{ type: "chat", text: `offer 0713-maple ${SALT}` }, `offer 0713-maple ${SALT}`],
  [{ type: "chat", text: `offer 0713-maple ${SALT} soon` }, `offer 0713-maple ${SALT} soon`],
];

pure("encodeRequest() writes the lines of PROTOCOL.md, and decodeRequest() reads them", () => {
  for (const [request, line] of REQUESTS) {
    assertEquals(text(encodeRequest(request)), line);
    assertEquals(decodeRequest(line), request, line);
  }
});

const REPLIES: readonly [Reply, string][] = [
  [{ type: "welcome", client: 1, limit: 100 }, "welcome client 1 of 100"],
  [{ type: "busy", clients: 100, limit: 100 }, "busy 100 of 100"],
  [{ type: "challenge", nonce: "0f".repeat(32) }, `challenge ${"0f".repeat(32)}`],
  [{ type: "go", offset: 0 }, "go 0"],
  [{ type: "go", offset: MAX }, "go 9007199254740991"],
  [{ type: "ok", detail: "" }, "ok"],
  [{ type: "tick" }, "tick"],
  [{ type: "knock", id: 7, address: "[::1]:51234" }, "knock 7 [::1]:51234"],
  [{ type: "met", id: 7 }, "met 7"],
  [{ type: "ok", detail: "6 363a3020 a b.txt" }, "ok 6 363a3020 a b.txt"],
  ...Object.keys(ERROR_CODES).map((code): [Reply, string] => [
    { type: "error", code: code as ErrorCode, text: "what, then why" },
    `error ${code} what, then why`,
  ]),
];

pure("encodeReply() writes the lines of PROTOCOL.md, and decodeReply() reads them", () => {
  for (const [reply, line] of REPLIES) {
    assertEquals(text(encodeReply(reply)), line);
    assertEquals(decodeReply(line), reply);
  }
});

const WAITING: readonly [WaitingLine, string][] = [
  [{ type: "tick" }, "tick"],
  [{ type: "withdraw" }, "withdraw"],
  [{ type: "join", id: 7 }, "join 7"],
];

pure("encodeWaiting() writes what an offering client says, and decodeWaiting() reads it", () => {
  for (const [line, expected] of WAITING) {
    assertEquals(text(encodeWaiting(line)), expected);
    assertEquals(decodeWaiting(expected), line);
  }
  for (const line of ["", "join", "join me", "tick 7", "withdraw it", "exit"]) {
    refused(() => decodeWaiting(line));
  }
});

pure("an offer lasts a second to an hour", () => {
  for (const seconds of [0, 3601, 9999]) {
    refused(() => decodeRequest(`offer ?-maple ${SALT} ${seconds}`), "1 to 3600 seconds");
  }
});

pure(
  "parseOffered() and parseAccepted() read what their formatters write, and nothing else",
  () => {
    const plate = { number: "4713", word: "maple" };
    const offered = { plate, seconds: 600, address: "127.0.0.1:51234" };
    assertEquals(formatOffered(offered), "4713-maple 600 127.0.0.1:51234");
    assertEquals(parseOffered("4713-maple 600 127.0.0.1:51234"), offered);
    const accepted = { salt: SALT, address: "unix:3" };
    assertEquals(formatAccepted(accepted), `${SALT} unix:3`);
    assertEquals(parseAccepted(`${SALT} unix:3`), accepted);
    for (
      const detail of ["", "4713-maple", "4713-maple 600", "?-maple 600 a:1", "4713-maple x a:1"]
    ) {
      refused(() => parseOffered(detail));
    }
    for (const detail of ["", SALT, `${SALT} `, `${SALT}0 a:1`]) {
      refused(() => parseAccepted(detail));
    }
  },
);

const BODY_LINES: readonly [BodyLine, string][] = [
  [{ type: "data", size: 1 }, "data 1"],
  [{ type: "data", size: MAX_CHUNK_BYTES }, "data 16777216"],
  [{ type: "end", crc: 0x5f3a9c01 }, "end 5f3a9c01"],
  [{ type: "end", crc: 0 }, "end 00000000"],
  [{ type: "end", crc: 0xffffffff }, "end ffffffff"],
  [{ type: "abort", text: "it changed" }, "abort it changed"],
];

pure("encodeBodyLine() writes the lines of PROTOCOL.md, and decodeBodyLine() reads them", () => {
  for (const [line, expected] of BODY_LINES) {
    assertEquals(text(encodeBodyLine(line)), expected);
    assertEquals(decodeBodyLine(expected), line);
  }
});

const NO_NUMBERS = [
  "",
  "-1",
  "+1",
  "1.0",
  "1e3",
  "0x10",
  "1_000",
  " 1",
  "١",
  "NaN",
  "Infinity",
  "9007199254740992",
  "9223372036854775808",
  "18446744073709551616",
  "00000000000000001",
  "9".repeat(1_000_000),
];

pure("decoders refuse what is not a whole number from 0 to 2^53 - 1", () => {
  for (const number of NO_NUMBERS) {
    refused(() => decodeRequest(`hello ${number} ben`), "version");
    refused(() => decodeRequest(`put ${number} a.txt`), "size");
    refused(() => decodeRequest(`push ${number} a.txt`), "size");
    refused(() => decodeRequest(`say ${number}`), "size");
    refused(() => decodeReply(`go ${number}`), "offset");
    refused(() => decodeReply(`welcome client ${number} of 100`));
    refused(() => decodeReply(`welcome client 1 of ${number}`));
    refused(() => decodeReply(`busy ${number} of 100`));
    refused(() => decodeReply(`busy 100 of ${number}`));
    refused(() => decodeBodyLine(`data ${number}`), "chunk size");
    refused(() => parseStored(`${number} 00000000 a.txt`), "size");
    refused(() => parseListEntry(`${number} 2024-05-06T07:08:09Z a.txt`), "size");
  }
});

pure("decodeRequest() takes the unknown size of put and say, and not of push", () => {
  refused(() => decodeRequest("push - a.txt"), "size");
  refused(() => decodeRequest("put -- a.txt"), "size");
});

pure("decodeRequest() refuses a known verb without its name", () => {
  for (const line of ["put", "put 5", "put 5 ", "push 5", "get", "get "]) {
    refused(() => decodeRequest(line));
  }
});

pure("decodeReply() refuses what no inlet server says", () => {
  const strange = [
    "",
    "OK",
    "220 ftp.example.org",
    "HTTP/1.1 400 Bad Request",
    "welcome",
    "welcome client 1 of 100 ",
    "welcome client 1",
    "busy",
    "challenge",
    `challenge ${"0f".repeat(31)}`,
    `challenge ${"0F".repeat(32)}`,
    "go",
    "go 0 0",
    "tick tock",
    "knock 7",
    "knock on wood",
    "met",
  ];
  for (const line of strange) refused(() => decodeReply(line));
});

pure("decodeReply() takes an error code of a newer server for internal", () => {
  assertEquals(decodeReply("error tired come back tomorrow"), {
    type: "error",
    code: "internal",
    text: "come back tomorrow",
  });
  // Names of what every object has are no codes either.
  const reply = decodeReply("error constructor");
  assertEquals(reply, { type: "error", code: "internal", text: "constructor" });
});

pure("decodeBodyLine() refuses empty and oversized chunks, and what frames no body", () => {
  const strange = [
    "data 0",
    "data 16777217",
    "data",
    "end",
    "end 5f3a9c0",
    "end 5f3a9c011",
    "end 5f3a9c0g",
    "end 0x5f3a9c",
    "",
    "list",
    "END 5f3a9c01",
  ];
  for (const line of strange) refused(() => decodeBodyLine(line));
});

pure("decodeBodyLine() takes a checksum in capitals", () => {
  assertEquals(decodeBodyLine("end 5F3A9C01"), { type: "end", crc: 0x5f3a9c01 });
});

pure("encoders refuse a line break in whatever they are given", () => {
  for (const lineBreak of ["\n", "\r", "\r\n", "a\nexit", "\n\n"]) {
    refused(() => encodeRequest({ type: "hello", version: 1, name: lineBreak }), "line break");
    refused(() => encodeRequest({ type: "put", size: 1, name: lineBreak }), "line break");
    refused(() => encodeRequest({ type: "push", size: 1, name: lineBreak }), "line break");
    refused(() => encodeRequest({ type: "get", name: lineBreak }), "line break");
    refused(() => encodeRequest({ type: "chat", text: lineBreak }), "line break");
    refused(() => encodeReply({ type: "ok", detail: lineBreak }), "line break");
    refused(() => encodeReply({ type: "challenge", nonce: lineBreak }), "line break");
    refused(() => encodeLine(lineBreak), "line break");
    refused(() => encodeLines(["a", lineBreak, "b"]), "line break");
  }
});

pure("encodeReply() and encodeBodyLine() make one bounded line of whatever an error says", () => {
  const hostile = "no\r\nok 6 363a3020 a.txt\n" + "☕".repeat(5000);
  for (
    const line of [
      encodeReply({ type: "error", code: "denied", text: hostile }),
      encodeBodyLine({ type: "abort", text: hostile }),
    ]
  ) {
    assert(line.length <= MAX_LINE_BYTES);
    assertStringIncludes(text(line), " no ok 6 363a3020 a.txt ☕☕☕");
    assert(!/[\r\n]/.test(text(line)));
  }
});

pure("encodeLine() takes a line of MAX_LINE_BYTES with its line break, and no longer one", () => {
  assertEquals(encodeLine("x".repeat(MAX_LINE_BYTES - 1)).length, MAX_LINE_BYTES);
  refused(() => encodeLine("x".repeat(MAX_LINE_BYTES)), "4097 bytes, the limit is 4096");
  // Bytes count, not characters.
  refused(() => encodeLine("☕".repeat(1366)), "4099 bytes");
});

/** Text that fits into a line: no line break, no half of a surrogate pair. */
const words = fc.string({ unit: "grapheme", maxLength: 100 }).filter((it) => !/[\r\n]/.test(it));
const size = fc.oneof(fc.maxSafeNat(), fc.nat(70_000));
const name = words.filter((it) => it !== "");
const crc = fc.nat(0xffffffff);
const time = fc.nat(253_402_300_799).map((seconds) => new Date(seconds * 1000));
const digest = fc.string({
  unit: fc.constantFrom(..."0123456789abcdef"),
  minLength: 64,
  maxLength: 64,
});
const RUNS = { numRuns: 2000, seed: 20250101 };

pure("every request comes back as it was after encoding and decoding", () => {
  const request: fc.Arbitrary<Request> = fc.oneof(
    fc.record({ type: fc.constant("hello" as const), version: fc.nat(), name: words }),
    fc.record({ type: fc.constant("put" as const), size: fc.option(size), name }),
    fc.record({ type: fc.constant("push" as const), size, name }),
    fc.record({ type: fc.constant("say" as const), size: fc.option(size) }),
    fc.record({ type: fc.constantFrom("get" as const, "tree" as const, "mkdir" as const), name }),
    fc.record({ type: fc.constant("reput" as const), fingerprint: digest, size, name }),
    fc.record({ type: fc.constant("proof" as const), digest }),
    fc.record({
      type: fc.constant("reget" as const),
      offset: size,
      digest: crc.map(formatCrc),
      name,
    }),
    fc.record({
      type: fc.constant("compare" as const),
      size,
      crc: fc.option(crc),
      modified: time,
      name,
    }),
  );
  fc.assert(
    fc.property(request, (given) => {
      assertEquals(decodeRequest(text(encodeRequest(given))), given);
    }),
    RUNS,
  );
});

pure("whatever a line says, the decoders answer or throw ProtocolError", () => {
  const verb = fc.constantFrom(
    ..."hello put push reput proof mkdir say get reget compare tree list status exit offer accept"
      .split(" "),
    ..."welcome busy challenge prove go ok error data end abort tick knock met".split(" "),
  );
  const word = fc.oneof(words, fc.constantFrom("-", "of", "client"), size.map(String));
  const line = fc.tuple(verb, fc.array(word, { maxLength: 4 }))
    .map(([first, rest]) => [first, ...rest].join(" "));
  const decoders = [
    ...[decodeRequest, decodeReply, decodeBodyLine, parseStored, parseListEntry],
    ...[decodeWaiting, parseOffered, parseAccepted],
  ];
  fc.assert(
    fc.property(fc.oneof(line, words), (given) => {
      for (const decode of decoders) {
        try {
          decode(given);
        } catch (error) {
          assert(error instanceof ProtocolError, `${decode.name}("${given}"): ${error}`);
        }
      }
    }),
    RUNS,
  );
});

pure("formatStored() writes size, checksum and name, and parseStored() reads them", () => {
  const stored = { size: 6, crc: 0x363a3020, name: "report (2).pdf" };
  assertEquals(formatStored(stored), "6 363a3020 report (2).pdf");
  assertEquals(parseStored("6 363a3020 report (2).pdf"), stored);
  assertEquals(formatStored({ size: 5, crc: 1, name: "" }), "5 00000001");
  assertEquals(parseStored("5 00000001"), { size: 5, crc: 1, name: "" });
  refused(() => parseStored("6"), "CRC-32");
  refused(() => parseStored("6 report.pdf"), "CRC-32");
});

pure("formatStored() keeps a wide or unbreakable space at the end of a name", () => {
  for (const ending of ["\u3000", "\u00a0"]) {
    const stored = { size: 6, crc: 0x363a3020, name: `minutes${ending}` };
    assertEquals(parseStored(formatStored(stored)), stored);
  }
});

pure("formatListEntry() writes size, time and name, and parseListEntry() reads them", () => {
  const modified = new Date("2024-05-06T07:08:09.987Z");
  const line = formatListEntry({ size: 6, modified, name: "a b.txt" });
  assertEquals(line, "6 2024-05-06T07:08:09.987Z a b.txt");
  assertEquals(parseListEntry(line), { size: 6, modified, name: "a b.txt" });
  refused(() => parseListEntry("6 yesterday a.txt"), "yesterday");
  refused(() => parseListEntry("6 2024-05-06T07:08:09Z"), "name");
});

pure("a folder in a list has no size", () => {
  const entry = { size: null, modified: new Date("2024-05-06T07:08:09Z"), name: "photos" };
  assertEquals(formatListEntry(entry), "- 2024-05-06T07:08:09Z photos");
  assertEquals(parseListEntry("- 2024-05-06T07:08:09Z photos"), entry);
});

pure("a prove asks for ranges, and a proof answers", () => {
  const [nonce, digest] = ["0f".repeat(32), "ab".repeat(32)];
  const prove = { type: "prove", nonce, length: 65_536, offsets: [0, 70_000] } as const;
  assertEquals(text(encodeReply(prove)), `prove ${nonce} 65536 0 70000`);
  assertEquals(decodeReply(`prove ${nonce} 65536 0 70000`), prove);
  for (
    const wrong of [nonce, `${nonce} 1`, `${nonce} 1 `, `${nonce} 1 -`, "0f 1 0", `${nonce} 1 0 x`]
  ) {
    assertThrows(() => decodeReply(`prove ${wrong}`), ProtocolError);
  }
  const many = Array.from({ length: 17 }, (_, index) => index).join(" ");
  assertThrows(() => decodeReply(`prove ${nonce} 1 ${many}`), ProtocolError);
  assertEquals(decodeRequest(`proof ${digest}`), { type: "proof", digest });
  // Anything else is talk, as with the answer to a challenge.
  assertEquals(decodeRequest("proof of life").type, "chat");
});

pure("a go tells how much is kept, and an end the time of the file", () => {
  const go = { type: "go", offset: 2 } as const;
  assertEquals(text(encodeReply(go)), "go 2");
  assertEquals(decodeReply("go 2"), go);
  refused(() => decodeReply("go 2 d1256687"), "offset");
  const end = { type: "end", crc: 0x363a3020, modified: new Date("2026-11-21T08:38:00Z") } as const;
  assertEquals(text(encodeBodyLine(end)), "end 363a3020 2026-11-21T08:38:00Z");
  assertEquals(decodeBodyLine("end 363a3020 2026-11-21T08:38:00Z"), end);
  assertEquals(decodeBodyLine("end 363a3020"), { type: "end", crc: 0x363a3020 });
});

pure(
  "a time is within the years 1 and 9999, to the millisecond, and of a day that there is",
  () => {
    assertEquals(formatTime(new Date(-1)), "1969-12-31T23:59:59.999Z");
    assertEquals(formatTime(new Date(-1000)), "1969-12-31T23:59:59Z");
    assertEquals(formatTime(new Date(250)), "1970-01-01T00:00:00.250Z");
    assertEquals(formatTime(new Date(8.64e15)), "9999-12-31T23:59:59.999Z");
    assertEquals(formatTime(new Date(-8.64e15)), "0001-01-01T00:00:00Z");
    // One after another, on the same day and on others.
    for (const ms of [0, 1, 86_399_999, 86_400_000, -86_400_000, -86_400_001, 1e12, 1e12 + 36e5]) {
      assertEquals(formatTime(new Date(ms)), new Date(ms).toISOString().replace(".000Z", "Z"));
    }
    for (
      const time of ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.001Z", "2026-11-21T08:38:00Z"]
    ) {
      assertEquals(decodeBodyLine(`end 363a3020 ${time}`), {
        type: "end",
        crc: 0x363a3020,
        modified: new Date(time),
      });
    }
    // A sender leaves zeros out, and a receiver takes them all the same.
    const { modified } = decodeBodyLine("end 363a3020 2026-11-21T08:38:00.000Z") as {
      modified: Date;
    };
    assertEquals(formatTime(modified), "2026-11-21T08:38:00Z");
    for (
      const wrong of [
        "2026-11-21 08:38:00Z",
        "2026-11-21T08:38:00+01:00",
        "2026-11-21T08:38:00.5Z",
        "2026-11-21T08:38:00.5000Z",
        "2026-02-30T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "0000-12-31T23:59:59Z",
        "-00001-12-31T23:59:59Z",
        "+10000-01-01T00:00:00Z",
        "yesterday",
      ]
    ) {
      refused(() => decodeBodyLine(`end 363a3020 ${wrong}`), "not a time like");
      refused(() => decodeRequest(`compare 6 363a3020 ${wrong} a.txt`), "not a time like");
      refused(
        () => decodeRequest(`mkdir;time=${wrong.replaceAll(" ", "%20")} a`),
        "not a time like",
      );
      refused(
        () => decodeRequest(`symlink;to=b;time=${wrong.replaceAll(" ", "%20")} a`),
        "not a time like",
      );
    }
  },
);

pure("mkdir and symlink have their facts in fields", () => {
  const modified = new Date("1966-01-02T03:04:05.006Z");
  const folder = { type: "mkdir", name: "a b" } as const;
  const facts = { mode: 0o555, modified, id: "5f0c", files: 13 };
  const line = "mkdir;id=5f0c;mode=555;time=1966-01-02T03:04:05.006Z;files=13 a b";
  assertEquals(text(encodeRequest({ ...folder, fields: folderFields(facts) })), line);
  assertEquals(folderFactsOf(decodeRequest(line)), facts);
  assertEquals(Object.values(folderFactsOf(decodeRequest("mkdir a"))), Array(4).fill(undefined));
  for (const wrong of ["mode=1777", "files=-1", "files=x", "id=", `id=${"x".repeat(65)}`]) {
    refused(() => decodeRequest(`mkdir;${wrong} a`));
  }

  const link = { type: "symlink", name: "a b" } as const;
  const to = "../ä;b%\n";
  const linkLine = "symlink;to=../%C3%A4%3Bb%25%0A;time=1966-01-02T03:04:05.006Z a b";
  assertEquals(text(encodeRequest({ ...link, fields: linkFields({ to, modified }) })), linkLine);
  assertEquals(linkFactsOf(decodeRequest(linkLine)), { to, modified });
  assertEquals(linkFactsOf(decodeRequest("symlink;to=x y")), { to: "x" });
  for (const wrong of ["symlink a", "symlink;to= a", "symlink;to=%00 a", "symlink;to=b"]) {
    refused(() => decodeRequest(wrong));
  }
});

pure("a link in a tree has its target in a field", () => {
  const entry = { size: null, to: "../a b", modified: new Date(0), name: "c d" };
  assertEquals(formatListEntry(entry), "@;to=../a%20b 1970-01-01T00:00:00Z c d");
  assertEquals(parseListEntry("@;to=../a%20b 1970-01-01T00:00:00Z c d"), entry);
  for (const wrong of ["@", "@;to=", "@;to=a%00", "@;x=y"]) {
    refused(() => parseListEntry(`${wrong} 1970-01-01T00:00:00Z c`));
  }
  assertEquals(isFolderEntry(entry), false);
  assert(isFolderEntry(parseListEntry("- 1970-01-01T00:00:00Z c")));
});

pure("formatCrc() gives eight lower-case digits for signed and unsigned numbers", () => {
  assertEquals([0, 1, 0xabcdef01, -1, 0xffffffff].map(formatCrc), [
    "00000000",
    "00000001",
    "abcdef01",
    "ffffffff",
    "ffffffff",
  ]);
});

pure("encodeUploadHeader() writes the size as 8 bytes, big-endian, then the name", () => {
  assertEquals(
    encodeUploadHeader(0x0102030405, "aé"),
    new Uint8Array([0, 0, 0, 1, 2, 3, 4, 5, 0x61, 0xc3, 0xa9]),
  );
});

pure("an upload header carries every size from 0 to 2^53 - 1", () => {
  for (const given of [0, 1, 255, 256, 2 ** 31, 2 ** 32, 2 ** 32 + 1, MAX]) {
    assertEquals(decodeUploadSize(encodeUploadHeader(given, "a.txt")), given);
  }
  for (const given of [2 ** 53, -1, 0.5, NaN, Infinity]) {
    assertThrows(() => encodeUploadHeader(given, "a.txt"), RangeError, "0 to 2^53 - 1");
  }
});

pure("decodeUploadSize() refuses 2^53 and more, and reads a view within a buffer", () => {
  const bytes = new Uint8Array([9, 9, 0, 0x20, 0, 0, 0, 0, 0, 0, 9]);
  refused(() => decodeUploadSize(bytes.subarray(2, 10)), "9007199254740992");
  refused(() => decodeUploadSize(new Uint8Array(8).fill(0xff)), "18446744073709551615");
  bytes.set([0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 2);
  assertEquals(decodeUploadSize(bytes.subarray(2, 10)), MAX);
});

pure("decodeUtf8() takes UTF-8, and refuses what two programs could read differently", () => {
  assertEquals(decodeUtf8(new TextEncoder().encode("naïve ☕ 👩‍🚀")), "naïve ☕ 👩‍🚀");
  assertEquals(decodeUtf8(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])), "\ufeffa");
  const wrong = [
    [0xff],
    [0x80],
    [0xc3],
    [0xc3, 0x28],
    [0xc0, 0xaf], // "/" in two bytes
    [0xe0, 0x80, 0xaf], // and in three
    [0xed, 0xa0, 0x80], // half of a surrogate pair
    [0xf4, 0x90, 0x80, 0x80], // beyond the last character
  ];
  for (const bytes of wrong) refused(() => decodeUtf8(new Uint8Array(bytes)), "UTF-8");
});

/** A line of each kind with fields behind its first word, and the same without. */
const WITH_FIELDS: readonly [(line: string) => unknown, string, string][] = [
  [decodeRequest, "put;mode=755;ms=12 6 a;b=c.txt", "put 6 a;b=c.txt"],
  [decodeRequest, "list;mode=755;ms=12", "list"],
  [decodeRequest, "chat;mode=755;ms=12 Hello", "chat Hello"],
  [decodeReply, "welcome;mode=755;ms=12 client 1 of 100", "welcome client 1 of 100"],
  [decodeReply, "ok;mode=755;ms=12", "ok"],
  [decodeBodyLine, "end;mode=755;ms=12 363a3020", "end 363a3020"],
  [parseListEntry, "6;mode=755;ms=12 2026-11-21T08:38:00Z a.txt", "6 2026-11-21T08:38:00Z a.txt"],
  [parseListEntry, "-;mode=755;ms=12 2026-11-21T08:38:00Z a", "- 2026-11-21T08:38:00Z a"],
];

pure("a line of any kind takes fields behind its first word, and is the same beside them", () => {
  for (const [decode, line, bare] of WITH_FIELDS) {
    const { fields, ...rest } = decode(line) as { fields?: Record<string, string> };
    assertEquals({ ...fields }, { mode: "755", ms: "12" }, line);
    assertEquals(rest, decode(bare), line);
  }
});

pure("the fields of a line are its own, whichever lines were decoded before", () => {
  const fieldsOf = (value: string): Record<string, string> => {
    const { fields } = decodeRequest(`push;id=${value} 1 a`) as { fields: Record<string, string> };
    return fields;
  };
  const first = fieldsOf("x");
  assertThrows(() => first.id = "changed", TypeError);
  assertEquals(decodeRequest("push;id=%ff 1 a").type, "chat");
  assertEquals(["x", "y", "x", "x"].map((id) => fieldsOf(id).id), ["x", "y", "x", "x"]);
  // Those of another line with the same fields.
  assertEquals(decodeRequest("mkdir;id=x a").fields?.id, "x");
  assertEquals(decodeRequest("push 1 a").fields, undefined);
});

pure("fields hold any text, percent-encoded, and never end a word or a line", () => {
  const value = "a b;c=d\r\n%é☕";
  const line = text(encodeReply({ type: "ok", detail: "x", fields: { note: value } }));
  assertMatch(line, /^ok;note=[!-~]+ x$/);
  assertEquals(decodeReply(line).fields?.note, value);
});

/** What may stand behind a first word and is no field. */
const NO_FIELDS = [
  ";",
  ";=",
  ";a",
  ";=b",
  ";A=1",
  ";9=1",
  ";a=1;",
  ";a=1;a=2",
  ";a=%",
  ";a=%zz",
  ";a=%ff",
];

pure("a request with something else behind its verb is talk, a reply with it is refused", () => {
  for (const wrong of [...NO_FIELDS, ";a=é", `;${"a".repeat(33)}=1`]) {
    assertEquals(decodeRequest(`put${wrong} 6 a.txt`).type, "chat", wrong);
    assertThrows(() => decodeReply(`ok${wrong} 6`), ProtocolError);
    assertThrows(() => decodeBodyLine(`end${wrong} 363a3020`), ProtocolError);
    assertThrows(() => parseListEntry(`6${wrong} 2026-11-21T08:38:00Z a.txt`), ProtocolError);
  }
});

pure("formatting refuses a field that no line can carry", () => {
  for (const fields of [{ "A": "1" }, { "": "1" }, { "a b": "1" }, { a: "\ud800" }]) {
    assertThrows(() => encodeReply({ type: "ok", detail: "", fields }), ProtocolError);
  }
});

pure("featuresOf() names what a greeting says that its side can, and nothing without it", () => {
  assertEquals([...featuresOf(decodeRequest("hello;can=links,holes 1 ben"))], ["links", "holes"]);
  assertEquals([...featuresOf(decodeReply("welcome client 1 of 100"))], []);
});
