import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type ClientFacts,
  clientFactsOf,
  encodeLine,
  MAX_LINE_BYTES,
  ProtocolError,
  withFacts,
} from "../protocol.ts";
import { pure } from "./helpers.ts";

const LINE = "client 1 | ben | 127.0.0.1:5 | Start: 2026-11-21 09:38:00 | End: Still Connected";
const FACTS: ClientFacts = {
  id: 1,
  name: "ben",
  address: "127.0.0.1:5",
  since: new Date("2026-11-21T08:38:00Z"),
};

pure("withFacts() and clientFactsOf() keep what is known of a client", () => {
  const moving = { file: "photos/a;b=%é.jpg", bytes: 5, size: 10 };
  const until = new Date("2026-11-21T08:39:00.123Z");
  for (
    const facts of [
      FACTS,
      { ...FACTS, name: "", until, wire: "http" },
      { ...FACTS, name: "a|b;c=☕ \u202e", moving },
      { ...FACTS, moving: { ...moving, size: null } },
    ]
  ) {
    const line = withFacts(LINE, facts);
    assertEquals(clientFactsOf(line), facts);
    assert(line.endsWith(LINE.slice("client".length)));
    encodeLine(line);
  }
});

pure("withFacts() leaves out what a client moves where the line would be too long", () => {
  const file = (characters: number) => ({ file: "é".repeat(characters), bytes: 1, size: 2 });
  let kept = 0;
  for (let characters = 500; characters < 800; characters++) {
    const line = withFacts(LINE, { ...FACTS, moving: file(characters) });
    assert(encodeLine(line).length <= MAX_LINE_BYTES);
    if (clientFactsOf(line)!.moving) kept = characters;
  }
  assert(kept > 550 && kept < 700, String(kept));
});

pure("clientFactsOf() takes a line for people, and refuses malformed facts", () => {
  assertEquals(clientFactsOf(LINE), undefined);
  const fields = "id=1;name=ben;address=a;since=2026-11-21T08:38:00Z";
  for (
    const wrong of [
      fields.replace("id=1", "id=x"),
      fields.replace("address=a;", ""),
      fields.replace("since=2026", "since=26"),
      `${fields};until=now`,
      `${fields};file=a;bytes=-1;size=1`,
      `${fields};file=a;bytes=1`,
    ]
  ) {
    assertThrows(() => clientFactsOf(`client;${wrong} 1 | ben`), ProtocolError);
  }
});
