/**
 * Environment variables, as far as Deno permits to read them.
 *
 * @module
 */

/** The variable that may hold the server's directory of received files. */
export const STORE_VARIABLE = "INLET_STORE";

/** Returns the value of a variable, if permission was granted. It never asks for it. */
export function variable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}
