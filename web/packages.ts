/**
 * Packages that a few requests need. Deno fetches what an `import()` names when the program starts,
 * if it can read the name there: so here it cannot, and who sends no form and asks for no archive
 * fetches none of them.
 *
 * @module
 */

import { InletError } from "../lib/errors.ts";

/** The packages, by their names in deno.json. */
interface Packages {
  "@fastify/busboy": typeof import("@fastify/busboy");
  "client-zip": typeof import("client-zip");
  "modern-tar": typeof import("modern-tar");
}

/**
 * Loads a package.
 *
 * @throws {InletError} `internal` if it is not there, and cannot be fetched
 */
export async function load<Name extends keyof Packages>(name: Name): Promise<Packages[Name]> {
  try {
    return await import(name);
  } catch (cause) {
    const why = "it is not on this machine, and could not be fetched";
    throw new InletError("internal", `Cannot load the package ${name}: ${why}`, { cause });
  }
}
