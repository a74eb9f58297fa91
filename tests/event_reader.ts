/**
 * A page's event stream by hand.
 *
 * @module
 */

import type { Reachable } from "./helpers.ts";
import { HttpWire } from "./http_wire.ts";

/** An event: its name, and its data taken apart. */
export interface Event {
  readonly name: string;
  // deno-lint-ignore no-explicit-any -- each event has data of its own
  readonly data: any;
}

/** An event stream that is open. It closes when it goes out of scope. */
export class EventReader implements Disposable {
  readonly #wire: HttpWire;
  /** The head of the response. */
  readonly head: string;

  private constructor(wire: HttpWire, head: string) {
    this.#wire = wire;
    this.head = head;
  }

  /**
   * Opens a stream.
   *
   * @param query Such as `?name=ann`.
   * @param fields Those of the request, if it does not have those that the server's key needs.
   */
  static async open(
    server: Reachable,
    query = "",
    fields?: string,
    path = "/events",
  ): Promise<EventReader> {
    const wire = await HttpWire.dial(server);
    await wire.says(`GET ${path}${query} HTTP/1.1\r\n${fields ?? wire.fields}\r\n`);
    const lines: string[] = [];
    for (let line; (line = await wire.line());) {
      if (line === "\r") break;
      lines.push(line.trimEnd());
    }
    return new EventReader(wire, lines.join("\n"));
  }

  /** The next event; `undefined` once the response has ended as HTTP wants it. */
  async next(): Promise<Event | undefined> {
    let name = "";
    for (;;) {
      const line = await this.#wire.line();
      if (line === undefined) throw new Error("the stream was cut");
      if (line === "0\r") return undefined;
      if (line.startsWith("event: ")) name = line.slice(7);
      if (line.startsWith("data: ")) return { name, data: JSON.parse(utf8(line.slice(6))) };
    }
  }

  /** The data of the next event of this name that is as it should be. Others are skipped. */
  async until(name: string, isIt: (data: Event["data"]) => boolean = () => true) {
    for (;;) {
      const event = await this.next();
      if (!event) throw new Error(`the stream ended without ${name}`);
      if (event.name === name && isIt(event.data)) return event.data;
    }
  }

  [Symbol.dispose](): void {
    this.#wire[Symbol.dispose]();
  }
}

/** Text of which each character is a byte. */
function utf8(text: string): string {
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  return new TextDecoder().decode(bytes);
}
