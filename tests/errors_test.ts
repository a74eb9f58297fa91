import { assert, assertEquals, assertInstanceOf, assertNotMatch } from "@std/assert";
import { constants } from "node:os";
import { decodeReply, ERROR_CODES, type ErrorCode, ProtocolError } from "../protocol.ts";
import { type Code, encodeError, exitCode, explain, InletError } from "../lib/errors.ts";
import { DISK_ERRORS, NETWORK_ERRORS, systemCode } from "../lib/system_errors.ts";
import { pure } from "./helpers.ts";

/** The answer that the other side reads. */
function answer(error: InletError): { code: string; text: string } {
  const reply = decodeReply(new TextDecoder().decode(encodeError(error)).trimEnd());
  assert(reply.type === "error");
  return { code: reply.code, text: reply.text };
}

pure("encodeError() tells the other side the code and the message", () => {
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    const error = new InletError(code, 'Cannot store "a.txt": the limit is 10 bytes');
    assertEquals(answer(error), { code, text: 'Cannot store "a.txt": the limit is 10 bytes' });
  }
});

pure("encodeError() sends a code of the wire for those that are this side's own", () => {
  for (const code of ["usage", "busy", "lost", "listen", "interrupted"] as const) {
    const line = new TextDecoder().decode(encodeError(new InletError(code, "Interrupted")));
    const [, sent] = line.split(" ");
    assert(Object.hasOwn(ERROR_CODES, sent!), `${code} was sent as ${sent}`);
  }
});

pure(
  "exitCode() is 3 for a no, 4 for a loss, 5 for other bytes, 6 for its own disk, 2 for wrong use",
  () => {
    const table: [number, Code[]][] = [
      [2, ["usage"]],
      [3, ["busy", "denied", "not-found", "too-large", "no-space", "bad-name", "bad-request"]],
      [3, ["aborted", "internal", "version", "disk", "overloaded"]],
      [4, ["lost", "listen", "timeout", "shutdown"]],
      [5, ["checksum", "changed"]],
      [6, ["local-disk"]],
      [130, ["interrupted"]],
    ];
    for (const [exit, codes] of table) {
      for (const code of codes) assertEquals(exitCode(new InletError(code, "…")), exit, code);
    }
    assertEquals(exitCode(new Error("a defect")), 3);
  },
);

/** Errors for which Deno has no code, only the number of the system at the end of the message. */
const UNCODED = [
  ...["EDEADLK", "EDQUOT", "EFBIG", "EILSEQ", "EINTR", "EMLINK", "ENFILE", "ENODEV", "ENOLCK"],
  ...["ENOSYS", "ENOTTY", "ENXIO", "EOVERFLOW", "EPROTO", "ESTALE", "ETXTBSY", "EBADMSG"],
];

/** An error as Deno throws it for a system call that failed. */
function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the system says it`), { code });
}

pure("explain() says in words what the system means by its codes", () => {
  const table: [string, Code, string][] = [
    ["ENOSPC", "no-space", "the disk is full"],
    ["EDQUOT", "no-space", "the disk quota is used up"],
    ["EACCES", "denied", "the system does not permit it"],
    ["EROFS", "denied", "the disk is read-only"],
    ["ENOENT", "not-found", "it does not exist"],
    ["EISDIR", "bad-name", "it is a folder"],
    ["ECONNRESET", "disk", "its file server closed the connection"],
  ];
  for (const [code, expected, why] of table) {
    const cause = systemError(code);
    const error = explain(cause, 'Cannot store "a.txt"');
    assertEquals(error.code, expected);
    assertEquals(error.message, `Cannot store "a.txt": ${why}`);
    assertEquals(error.cause, cause);
  }
});

pure("explain() takes an error without an action for one of the connection", () => {
  const table: [string, Code, string][] = [
    ["ECONNRESET", "lost", "the peer reset the connection"],
    ["EPIPE", "lost", "the peer closed the connection"],
    ["ENOTCONN", "lost", "the connection is closed"],
    ["EMFILE", "overloaded", "too many files are open"],
  ];
  for (const [code, expected, why] of table) {
    const error = explain(systemError(code));
    assertEquals([error.code, error.message], [expected, `Cannot go on: ${why}`]);
  }
});

pure("every error of the system has a code of the wire and words of its own side", () => {
  for (const [code, [ours, why]] of DISK_ERRORS) {
    const error = explain(systemError(code), 'Cannot store "a.txt"');
    assertEquals([error.code, error.message], [ours, `Cannot store "a.txt": ${why}`]);
    assert(Object.hasOwn(ERROR_CODES, error.code) && error.code !== "internal", code);
    assertNotMatch(why, /peer|connection is/);
  }
  for (const [code, [ours, why]] of NETWORK_ERRORS) {
    assertEquals(ours, "lost", code);
    assertNotMatch(why, /disk|file/);
    assert(DISK_ERRORS.has(code), `a file server can report ${code} too`);
  }
});

pure("explain() knows an error by its number where Deno gives no code", () => {
  const numbers = constants.errno as Readonly<Record<string, number>>;
  for (const code of UNCODED) {
    const number = numbers[code];
    if (number === undefined) continue;
    const error = new Error(`Whatever it says (os error ${number}): open '/srv/secret'`);
    assertEquals(systemCode(error), code);
    assertEquals(explain(error, "Cannot store").code, DISK_ERRORS.get(code)![0], code);
  }
  const full = new Error("Disk quota exceeded");
  assertEquals(systemCode(full), undefined);
  assertEquals(systemCode(new Error("It (os error 9999) is not known")), undefined);
});

pure("explain() tells a stranger nothing of an error that nobody foresaw", () => {
  const strange = [
    new Error("secret /srv/private"),
    systemError("EWHATEVER"),
    new TypeError("secret"),
    "secret",
    undefined,
    null,
    42,
  ];
  for (const thrown of strange) {
    const error = explain(thrown);
    assertInstanceOf(error, InletError);
    assertEquals(error.code, "internal");
    assertNotMatch(answer(error).text, /secret|private|as the system/);
    assertEquals(error.cause, thrown);
  }
});

pure("explain() leaves its own errors alone, and calls a broken grammar a bad request", () => {
  const own = new InletError("denied", "No");
  assertEquals(explain(own, "Cannot whatever"), own);
  const error = explain(new ProtocolError("the name is missing"));
  assertEquals(error.code, "bad-request");
  assertEquals(error.message, "Cannot parse the input: the name is missing");
});
