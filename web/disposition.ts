/**
 * The field that has a file saved under its name, and never shown.
 *
 * @module
 */

import { encodePart } from "./target.ts";

/**
 * Encodes `Content-Disposition`: the name in both forms of RFC 6266, section 4.3, the second one
 * encoded as in RFC 8187.
 *
 * @param name The name of the file; folders are left out.
 */
export function attachment(name: string): string {
  const base = name.slice(name.lastIndexOf("/") + 1);
  const plain = base.replace(/[^ !#$&-[\]^-~]/g, "_");
  return `attachment; filename="${plain}"; filename*=UTF-8''${encodePart(base)}`;
}
