/**
 * The width of a text in terminal columns. Wide characters, such as `語` and most emoji, take
 * two; combining marks and joiners take none.
 *
 * @module
 */

/** Characters of two columns other than emoji, from Unicode's EastAsianWidth.txt. */
const WIDE =
  /^[\u1100-\u115f\u2329\u232a\u2630-\u2637\u268a-\u268f\u2e80-\u303e\u3041-\u3247\u3250-\ua4c6\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{1b2fb}\u{1d300}-\u{1d376}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]/u;

/** An emoji in colour: one character, or a sequence such as a flag. */
const EMOJI =
  /^(?:(?!\p{Regional_Indicator})\p{Emoji_Presentation}|\p{Regional_Indicator}{2}|\p{Emoji}[\ufe0f\p{Emoji_Modifier}])/u;

/** Characters without width at the beginning of a cluster. */
const INVISIBLE = /^[\p{Default_Ignorable_Code_Point}\p{Control}\p{Format}\p{Mark}\p{Surrogate}]+/u;

/** Marks of halfwidth katakana, which follow another character but take a column. */
const HALFWIDTH_MARKS = /(?<!^)[\uff9e\uff9f]/g;

/** Text that needs no Unicode tables, which take long to load. */
const ASCII = /^[ -~]*$/;

let segmenter: Intl.Segmenter | undefined;

/** Returns the width of a text in columns. */
export function textWidth(text: string): number {
  return clusters(text).reduce((width, cluster) => width + clusterWidth(cluster), 0);
}

/** Returns the longest prefix of a text that fits, without splitting a character. */
export function cutToWidth(text: string, columns: number): string {
  let left = columns;
  let beginning = "";
  for (const cluster of clusters(text)) {
    left -= clusterWidth(cluster);
    if (left < 0) break;
    beginning += cluster;
  }
  return beginning;
}

/** Splits a text into user-perceived characters (grapheme clusters). */
function clusters(text: string): string[] {
  if (ASCII.test(text)) return [...text];
  segmenter ??= new Intl.Segmenter();
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

function clusterWidth(cluster: string): number {
  if (ASCII.test(cluster)) return cluster.length;
  const visible = cluster.replace(INVISIBLE, "");
  if (visible === "") return 0;
  if (EMOJI.test(cluster) || WIDE.test(visible)) return 2;
  return 1 + (visible.match(HALFWIDTH_MARKS)?.length ?? 0);
}
