/**
 * The client half of the requests by which clients reach each other. serve_people.ts describes them,
 * and has the server half.
 *
 * @module
 */

import { encodeRequest } from "../../protocol.ts";
import {
  encodePeopleRequest,
  isForPeople,
  parsePerson,
  type PeopleRequest,
  type Person,
} from "../../protocol/people_lines.ts";
import { InletError } from "../../lib/errors.ts";
import type { FilesClient } from "./client.ts";
import { type Requester, unexpected } from "./requester.ts";

/** Reaches other clients, in the session of one. */
export class PeopleClient {
  readonly #requester: Requester;

  private constructor(requester: Requester) {
    this.#requester = requester;
  }

  /**
   * Asks to be told of others.
   *
   * @throws {InletError} `denied` if nobody reaches anybody there; `version` if the server is older
   */
  static async attend({ parts: [, , requester] }: FilesClient): Promise<PeopleClient> {
    await requester.write(encodeRequest({ type: "attend" }));
    const reply = await requester.replyOrTalk("attend");
    if (reply === "talk") {
      const why = "it is older, and does not let clients reach each other";
      throw new InletError("version", `Cannot do that at this server: ${why}`);
    }
    if (reply.type !== "ok") throw unexpected(reply);
    return new PeopleClient(requester);
  }

  /** The others who are there, in the order in which they came. */
  async who(): Promise<Person[]> {
    const people: Person[] = [];
    for await (const lines of this.#requester.lines(encodePeopleRequest({ type: "who" }))) {
      try {
        people.push(...lines.map(parsePerson));
      } catch (error) {
        throw this.#requester.giveUp(error);
      }
    }
    return people;
  }

  /**
   * Tells another client something, or offers it a file, or takes or declines one.
   *
   * @returns Whether it is told at once, or once its request in progress is over.
   * @throws {InletError} `not-found` if it has left; `wait` if too much waits for it
   */
  async reach(request: Exclude<PeopleRequest, { type: "who" }>): Promise<"now" | "later"> {
    const detail = await this.#requester.request(encodePeopleRequest(request));
    return detail === "later" ? "later" : "now";
  }

  /** Sends a line of chat that may begin like a request of this kind. Returns the server's answer. */
  async chat(text: string): Promise<string> {
    const fields = isForPeople(text) ? { fields: {} } : {};
    await this.#requester.write(encodeRequest({ type: "chat", text, ...fields }));
    return await this.#requester.acknowledgement(text);
  }
}
