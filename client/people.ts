/**
 * The other people of a session: who is there, and what they are told.
 *
 * @module
 */

import { dim } from "@std/fmt/colors";
import { firstWord } from "../lib/cli/shell_words.ts";
import { explain, InletError } from "../lib/errors.ts";
import { printable, quoted } from "../lib/text.ts";
import type { FilesClient } from "../modes/files/client.ts";
import { PeopleClient } from "../modes/files/people.ts";
import { decodeUnasked, type Person, type Unasked } from "../protocol/people_lines.ts";

/** Most people whose names are known: a server could tell of more and more. */
const MOST_KNOWN = 10_000;

/** Most names that a message lists. */
const MOST_LISTED = 10;

/** Somebody, and what stands behind the name. */
interface Addressed extends Person {
  readonly rest: string;
}

/** Those who can be reached from one session. */
export class People {
  readonly #say: (line: string) => void;
  readonly #onOther: (line: Unasked) => void;
  /** The names of those who are there, by their numbers. */
  readonly #names = new Map<number, string>();
  #reached: PeopleClient | undefined;
  /** Why nobody can be reached. */
  #refusal: InletError | undefined;

  /**
   * @param say Prints a line on stderr.
   * @param onOther Called with each line that comes unasked, before it is known here.
   */
  constructor(say: (line: string) => void, onOther: (line: Unasked) => void) {
    this.#say = say;
    this.#onOther = onOther;
  }

  /** The names of those who are there, as far as they can be typed. */
  get names(): string[] {
    return [...this.#names.values()].filter((name) => name === printable(name));
  }

  /**
   * Takes a line that the server sends unasked. Returns whether it is one.
   *
   * @throws {ProtocolError} if it is malformed
   */
  take(line: string): boolean {
    if (!this.#reached) return false;
    const unasked = decodeUnasked(line);
    if (unasked) {
      this.#onOther(unasked);
      this.#taken(unasked);
    }
    return unasked !== undefined;
  }

  /**
   * Learns who is there, and is told of others from now on. A server that does not offer it is asked
   * once.
   */
  async attend(client: FilesClient): Promise<void> {
    await this.#attended(client).then((people) => this.#learn(people), (error) => {
      if (client.ended) throw error;
    });
  }

  /** The names of those who are there, a line each. */
  async *who(client: FilesClient): AsyncGenerator<string[]> {
    await this.#learn(await this.#attended(client));
    if (this.#names.size === 0) this.#say("Nobody else is here");
    else yield [...this.#names.values()].map(printable);
  }

  /** Tells somebody something: `NAME TEXT`. */
  async tell(client: FilesClient, typed: string): Promise<void> {
    const { number: to, name, rest } = await this.find(client, "tell", typed);
    if (rest === "") throw new InletError("usage", `Cannot tell nothing; try: tell ${name} hello`);
    const request = { type: "tell", to, text: rest } as const;
    await this.reach(client, request, { what: `tell ${quoted(name)}`, name });
  }

  /** Sends somebody a line, and says so if it has to wait: unless nobody has asked for it. */
  async reach(
    client: FilesClient,
    request: Parameters<PeopleClient["reach"]>[0],
    { what, name, isUnasked }: {
      readonly what: string;
      readonly name: string;
      readonly isUnasked?: boolean;
    },
  ): Promise<void> {
    const when = await (await this.#attended(client)).reach(request)
      .catch((error) => this.#failed(error, what, request.to));
    if (when === "later" && !isUnasked) {
      this.#say(dim(`${printable(name)} is busy, and is told afterwards`));
    }
  }

  /** What somebody is called. */
  nameOf(number: number): string {
    return this.#names.get(number) ?? `client ${number}`;
  }

  /** Sends a line of chat. Returns the server's answer. */
  async chat(client: FilesClient, text: string): Promise<string> {
    return await (this.#reached ?? client).chat(text);
  }

  async #attended(client: FilesClient): Promise<PeopleClient> {
    if (this.#refusal) throw this.#refusal;
    try {
      return this.#reached ??= await PeopleClient.attend(client);
    } catch (error) {
      throw this.#refusal = explain(error);
    }
  }

  async #learn(people: PeopleClient): Promise<void> {
    const here = await people.who();
    this.#names.clear();
    for (const { number, name } of here) this.#names.set(number, name);
  }

  /** Finds who is meant. Those who do not attend are known only to a server that is asked. */
  async find(client: FilesClient, verb: string, typed: string): Promise<Addressed> {
    const people = await this.#attended(client);
    if (typed === "") throw new InletError("usage", `Cannot ${verb} nobody; try: who`);
    let found = addressed(this.#names, typed);
    if (found.length === 0) {
      await this.#learn(people);
      found = addressed(this.#names, typed);
    }
    const [one] = found;
    if (found.length === 1) return one!;
    const what = `Cannot ${verb} ${quoted(one?.name ?? firstWord(typed).word)}`;
    if (one) {
      const numbers = found.map(({ number }) => number).join(", ");
      throw new InletError("usage", `${what}: several have that name; give a number: ${numbers}`);
    }
    throw new InletError("not-found", `${what}: nobody here has that name; ${this.#whoIsHere()}`);
  }

  #whoIsHere(): string {
    const names = [...this.#names.values()].map(printable);
    if (names.length === 0) return "nobody else is here";
    const more = names.length - MOST_LISTED;
    const listed = names.slice(0, MOST_LISTED).join(", ");
    return more > 0 ? `here are ${listed} and ${more} more` : `here: ${listed}`;
  }

  /** What the server refuses is told with the name, which it was not given. */
  #failed(error: unknown, what: string, number: number): never {
    const { code, message } = explain(error);
    if (code === "not-found") {
      this.#names.delete(number);
      throw new InletError(code, `Cannot ${what}: they have left; ${this.#whoIsHere()}`);
    }
    if (code === "wait") {
      throw new InletError(
        code,
        `Cannot ${what}: they are busy, and too much waits for them already`,
      );
    }
    // The server has a number for the name.
    throw new InletError(code, message.replace(/^Cannot reach client \d+(?=: )/, `Cannot ${what}`));
  }

  #taken(line: Unasked): void {
    const name = (number: number): string => printable(this.nameOf(number));
    switch (line.type) {
      case "told":
        return this.#say(`${name(line.from)}: ${printable(line.text)}`);
      case "came":
        if (this.#names.size >= MOST_KNOWN) return;
        this.#names.set(line.client, line.name);
        return this.#say(dim(`${name(line.client)} is here`));
      case "gone":
        if (!this.#names.has(line.client)) return;
        this.#say(dim(`${name(line.client)} has left`));
        this.#names.delete(line.client);
    }
  }
}

/**
 * Whom a line begins with: a name as it is printed, or quoted as in a shell, or else the number of a
 * client. The longest name counts.
 */
function addressed(names: ReadonlyMap<number, string>, typed: string): Addressed[] {
  const { word, end } = firstWord(typed);
  const isWord = end > 0 && /^(\s|$)/.test(typed.slice(end));
  const after = (bytes: number): string => typed.slice(bytes).trimStart();
  let longest = 0;
  let found: Addressed[] = [];
  for (const [number, name] of names) {
    const shown = printable(name);
    const isShown = typed === shown || typed.startsWith(`${shown} `);
    const length = Math.max(isShown ? shown.length : 0, isWord && word === shown ? end : 0);
    if (length === 0 || length < longest) continue;
    if (length > longest) found = [];
    longest = length;
    found.push({ number, name, rest: after(length) });
  }
  if (found.length > 0 || !isWord || !/^\d+$/.test(word)) return found;
  const name = names.get(Number(word));
  return name === undefined ? [] : [{ number: Number(word), name, rest: after(end) }];
}
