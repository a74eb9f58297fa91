/**
 * Small pages for people, which need no script: what they are made of.
 *
 * @module
 */

/** The media type of a page. */
export const HTML_TYPE = "text/html; charset=utf-8";

/** A form that stores files in the folder of its page. */
export const STORE_FORM = '<form method="post" enctype="multipart/form-data" action="./">\n' +
  '<input type="file" name="file" multiple required aria-label="Files">\n' +
  "<button>Store</button>\n</form>\n";

/** The beginning of a page. Its end is {@linkcode PAGE_END}. */
export function pageHead(title: string): string {
  const text = escaped(title);
  return `<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n` +
    `<meta name="viewport" content="width=device-width">\n` +
    `<meta name="color-scheme" content="light dark">\n<title>${text}</title>\n` +
    `<h1>${text}</h1>\n`;
}

export const PAGE_END = "</html>\n";

/** Escapes text for HTML. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
