/**
 * The credentials that requests are signed with. They come from the environment, or from the file that
 * Amazon's tools share, and are never printed.
 *
 * @module
 */

import { variable } from "../environment.ts";
import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";

/** What a request is signed with. */
export interface Credentials {
  /** Names the key. No secret, but not shown either. */
  readonly accessKeyId: string;
  /** The key. */
  readonly secretAccessKey: string;
  /** Belongs to keys that expire. */
  readonly sessionToken?: string | undefined;
}

/** Where credentials come from. */
export interface CredentialSource {
  /**
   * Reads them.
   *
   * @throws {InletError} `usage` if there are none
   */
  read(): Promise<Credentials>;
  /** Whether they may be others when they are read again. */
  readonly changes: boolean;
}

/** Credentials that are what they are. */
export function fixedCredentials(credentials: Credentials): CredentialSource {
  return { read: () => Promise.resolve(credentials), changes: false };
}

/**
 * Finds credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or else the profile
 * AWS_PROFILE of AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials, if Deno may read that file already.
 *
 * @throws {InletError} `usage` if there are none, with what to do
 */
export function findCredentials(): CredentialSource {
  const accessKeyId = variable("AWS_ACCESS_KEY_ID");
  const secretAccessKey = variable("AWS_SECRET_ACCESS_KEY");
  if (accessKeyId && secretAccessKey) {
    const sessionToken = variable("AWS_SESSION_TOKEN") || undefined;
    const where = "Cannot use the credentials in the environment";
    return fixedCredentials(checked({ accessKeyId, secretAccessKey, sessionToken }, where));
  }
  if (accessKeyId || secretAccessKey) {
    const [has, lacks] = accessKeyId
      ? ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
      : ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"];
    throw new InletError("usage", `Cannot sign requests: ${has} is set, and ${lacks} is not`);
  }
  const path = sharedFile();
  if (path === undefined) throw missing();
  return credentialsIn(path, variable("AWS_PROFILE") || "default");
}

/**
 * The credentials of a profile in a file as Amazon's tools share it. It is read again when they have
 * expired.
 */
export function credentialsIn(path: string, profile: string): CredentialSource {
  return { read: () => readProfile(path, profile), changes: true };
}

/** The shared file, if Deno may read it without asking. */
function sharedFile(): string | undefined {
  const named = variable("AWS_SHARED_CREDENTIALS_FILE");
  const home = variable(Deno.build.os === "windows" ? "USERPROFILE" : "HOME");
  const path = named || (home ? `${home}/.aws/credentials` : undefined);
  if (path === undefined) return undefined;
  const { state } = Deno.permissions.querySync({ name: "read", path });
  return state === "granted" ? path : undefined;
}

async function readProfile(path: string, profile: string): Promise<Credentials> {
  const file = `Cannot read credentials from ${quoted(path)}`;
  let text;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw missing();
    throw new InletError("usage", explain(error, file).message, { cause: error });
  }
  const values = profileOf(text, profile);
  if (!values) throw new InletError("usage", `${file}: it has no profile ${quoted(profile)}`);
  const accessKeyId = values.get("aws_access_key_id");
  const secretAccessKey = values.get("aws_secret_access_key");
  if (!accessKeyId || !secretAccessKey) {
    const why = `its profile ${quoted(profile)} lacks aws_access_key_id or aws_secret_access_key`;
    throw new InletError("usage", `${file}: ${why}`);
  }
  const sessionToken = values.get("aws_session_token");
  return checked({ accessKeyId, secretAccessKey, sessionToken }, file);
}

/** Refuses what no header can hold: an error of the header would show it. */
function checked(credentials: Credentials, where: string): Credentials {
  const texts = Object.values(credentials).filter((text) => text !== undefined);
  if (texts.every((text) => /^[!-~]+$/.test(text))) return credentials;
  throw new InletError("usage", `${where}: they contain a space, or what is not ASCII`);
}

/** The values of a profile: lines `name = value` below `[profile]`; `undefined` if there is none. */
export function profileOf(text: string, profile: string): Map<string, string> | undefined {
  let values: Map<string, string> | undefined;
  let isWanted = false;
  for (const line of text.split(/\r?\n/)) {
    const [, name] = /^\s*\[\s*(.*?)\s*\]/.exec(line) ?? [];
    if (name !== undefined) isWanted = name === profile;
    if (isWanted) values ??= new Map();
    const [, key, value] = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (isWanted && key !== undefined) values!.set(key.toLowerCase(), value!);
  }
  return values;
}

function missing(): InletError {
  const why = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the server's environment";
  return new InletError("usage", `Cannot sign requests to the bucket: ${why}`);
}
