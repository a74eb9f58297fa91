/**
 * Reads what was typed into bash so far, for its completions, and writes what it inserts. bash hands over
 * words with their quotes, and split at `:`, `=` and `@` too. Quotes of its own leave out some characters,
 * such as `$`.
 *
 * @module
 */

/** A line of bash, up to the cursor. */
export interface BashLine {
  /** The words before the one at the cursor, without their quotes. The first is the command. */
  readonly before: readonly string[];
  /** The word at the cursor, without its quotes. */
  readonly word: string;
  /** Number of characters of that word that bash leaves as they are: it replaces the others. */
  readonly kept: number;
  /** The quote that is open at the cursor. */
  readonly quote: string | undefined;
}

/**
 * Splits a line. What bash would replace by something else, such as `$HOME`, stays as it is.
 *
 * @param breaks What ends a word for bash's completions: `COMP_WORDBREAKS`.
 */
export function splitBashLine(line: string, breaks: string): BashLine {
  const before: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  let kept = 0;
  for (let index = 0; index < line.length; index++) {
    const character = line[index]!;
    const next = line[index + 1];
    if (character === quote) quote = undefined;
    else if (quote === undefined && /\s/.test(character)) {
      if (word !== undefined) before.push(word);
      word = undefined;
      kept = 0;
    } else if (quote === undefined && /["']/.test(character)) {
      quote = character;
      word ??= "";
      kept = word.length;
    } else if (isEscape(character, next, quote)) {
      index++;
      word = (word ?? "") + next;
    } else {
      word = (word ?? "") + character;
      if (quote !== undefined || !breaks.includes(character)) continue;
      // bash takes an @ for the beginning of a word, and the others for its end.
      kept = character === "@" ? word.length - 1 : word.length;
    }
  }
  return { before, word: word ?? "", kept, quote };
}

/** What bash inserts for a word that has become another one. */
export function inBash(word: string, { kept, quote }: BashLine): string {
  const text = word.slice(kept);
  if (quote === undefined) {
    return text.replaceAll(/[\x20-\x7e]/g, (character) => {
      return /[\w./,+%@:=^-]/.test(character) ? character : `\\${character}`;
    });
  }
  // No backslash takes the meaning of ! within these quotes.
  const inside = quote === "'"
    ? text.replaceAll("'", "'\\''")
    : text.replaceAll(/["$`\\]/g, "\\$&").replaceAll("!", '"\\!"');
  // bash leaves out a quote that would follow the same one.
  return inside.startsWith(quote) ? quote + inside : inside;
}

/** Whether a backslash takes the meaning of the character behind it. */
function isEscape(character: string, next: string | undefined, quote: string | undefined): boolean {
  if (character !== "\\" || next === undefined) return false;
  return quote === undefined || (quote === '"' && /["$`\\]/.test(next));
}
