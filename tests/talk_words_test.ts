/**
 * What the client of mode talk makes of a server's words.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { turnedAway } from "../modes/talk/words.ts";
import { pure } from "./helpers.ts";

pure("turnedAway() takes short single lines for a refusal", () => {
  const lines = ["Server full", "The server is busy.", "full\r\n", "Server full, try again later"];
  for (const line of lines) {
    const said = JSON.stringify(line.trim());
    assertEquals(turnedAway(line)?.message, `The server turned this client away: ${said}`);
  }
  assertEquals(turnedAway("busy 3 of 3\n")?.message, "The server is full: 3 of 3 clients");
  assertEquals(turnedAway("error denied Not you")?.message, "Not you");
});

pure("turnedAway() lets greetings be in which such a word occurs", () => {
  const greetings = [
    "Welcome! Full list: a.txt",
    "Welcome, nobody is busy",
    "Hello! Type help for the full list",
    "Hello\nThe server is never busy",
    `Hello. This server is busy${" and friendly".repeat(10)}`,
    "Client01",
  ];
  for (const words of greetings) assertEquals(turnedAway(words), undefined, words);
});

pure("turnedAway() does not take a client's own name for a refusal", () => {
  for (const name of ["busy", "full", "error denied"]) {
    assertEquals(turnedAway(`${name} ACK\n`, name), undefined);
    assertEquals(turnedAway(`Hello ${name}`, name), undefined);
  }
  assertEquals(turnedAway("ann is busy, ben", "ann")?.code, "busy");
});
