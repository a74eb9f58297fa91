/**
 * Keys that are thrown away: inlet's own, and a certificate for those who want one.
 *
 * @module
 */

import { ROOT } from "../tests/helpers.ts";
import { run } from "./processes.ts";
import type { Workspace } from "./workspace.ts";

/** A key of inlet. */
export interface Key {
  /** For `send()`. */
  readonly text: string;
  /** For both command lines. */
  readonly args: readonly string[];
}

/** Has server.ts make a key. */
export async function makeKey(workspace: Workspace): Promise<Key> {
  const path = `${workspace.directory()}/key`;
  const server = new URL("server.ts", ROOT).pathname;
  const args = ["--token-file", path];
  await run([Deno.execPath(), "run", "--allow-all", server, "--generate-token", ...args]);
  return { text: (await Deno.readTextFile(path)).trim(), args };
}

/** What {@linkcode makeCertificate} needs. */
export const OPENSSL = "openssl";

/** A certificate of the kind that inlet has, P-256, and its private key: the paths of both. */
export async function makeCertificate(
  workspace: Workspace,
): Promise<{ certificate: string; privateKey: string }> {
  const directory = workspace.directory();
  const [certificate, privateKey] = [`${directory}/certificate.pem`, `${directory}/key.pem`];
  await run([
    ...[OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-nodes", "-days", "2", "-subj", "/CN=bench", "-out", certificate, "-keyout", privateKey],
  ]);
  return { certificate, privateKey };
}
