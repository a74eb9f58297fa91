import { assertEquals, assertThrows } from "@std/assert";
import { meaningOf, nameIn, writtenName } from "../client/session_words.ts";
import { InletError } from "../lib/errors.ts";
import { pure } from "./helpers.ts";

pure("meaningOf() takes a script at its word: commands, text after say, comments", () => {
  const lines: [string, ReturnType<typeof meaningOf>][] = [
    ["  PUT  my file.txt ", { verb: "put", rest: "my file.txt" }],
    ["Status", { verb: "status", rest: "" }],
    ["say putt a.txt", { verb: "say", rest: "putt a.txt" }],
    ["get", { verb: "get", rest: "" }],
    ["# a comment", { verb: "nothing", rest: "" }],
    ["#comment", { verb: "nothing", rest: "" }],
    ["", { verb: "nothing", rest: "" }],
    [" Hello  world ", { verb: "text", rest: " Hello  world " }],
  ];
  for (const [line, meaning] of lines) assertEquals(meaningOf(line, true), meaning);
});

pure("meaningOf() refuses what is nearly a command in a script, and not at a terminal", () => {
  const refused = {
    "putt a.txt": 'Cannot use "putt": it is no command; did you mean put? ' +
      "To send it as text: say putt a.txt",
    "status now": 'Cannot use "status now": status stands alone; ' +
      "to send it as text: say status now",
    "quit": 'Cannot use "quit": it is no command; did you mean exit? To send it as text: say quit',
    "upload a.txt": 'Cannot use "upload": it is no command; did you mean put? ' +
      "To send it as text: say upload a.txt",
    "exit, please": 'Cannot use "exit,": it is no command; did you mean exit? ' +
      "To send it as text: say exit, please",
  };
  for (const [line, message] of Object.entries(refused)) {
    assertThrows(() => meaningOf(line, true), InletError, message);
    const { verb, rest, meant } = meaningOf(line, false);
    assertEquals([verb, rest], ["text", line]);
    const words = { "quit": "exit", "upload a.txt": "put" } as Record<string, string | undefined>;
    assertEquals(meant, words[line]);
  }
  assertEquals(meaningOf("send me a file", false).meant, undefined);
  assertEquals(meaningOf("# hi", false), { verb: "text", rest: "# hi" });
});

/** What is typed, and the name that it means. */
const NAMES: Record<string, string> = {
  "my file.txt": "my file.txt",
  '"my file.txt"': "my file.txt",
  "'a b'": "a b",
  "a\\ b\\(1\\).txt": "a b(1).txt",
  "'it'\\''s.txt'": "it's.txt",
  '"say \\"hi\\""/': 'say "hi"/',
  "it's.txt": "it's.txt",
  "it's mine, isn't it": "it's mine, isn't it",
  '"a" b': '"a" b',
  "a\\b": "a\\b",
  "C:\\dir\\": "C:\\dir\\",
  "": "",
};

pure("nameIn() reads names as they are, and as a shell quotes them", () => {
  for (const [typed, name] of Object.entries(NAMES)) assertEquals(nameIn(typed), name, typed);
});

pure("writtenName() writes what nameIn() reads, however it is begun", () => {
  const names = [...Object.values(NAMES), "'quoted'", '"x"', "a\\ b", "$HOME `x`", "\\"];
  for (const name of names) {
    for (const begun of ["", "'", '"', name.slice(0, 1)]) {
      assertEquals(nameIn(writtenName(name, begun)), name, begun);
    }
  }
  assertEquals(writtenName("my file.txt", "my"), "my file.txt");
  assertEquals(writtenName("my file.txt", '"my'), '"my file.txt"');
  assertEquals(writtenName("my file.txt", "my\\ "), "my\\ file.txt");
});
