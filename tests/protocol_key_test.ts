/**
 * The worked example of PROTOCOL.md for keys, held against what our code derives, what Python derives,
 * and what its own commands print.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { makeCertificate } from "../lib/auth/certificate.ts";
import { credentialOf } from "../lib/auth/credential.ts";
import { identityOf, isSignedBy } from "../lib/auth/identity.ts";
import { secretOf } from "../lib/auth/secret.ts";
import { SharedKey } from "../lib/auth/shared_key.ts";
import { parseUsers } from "../lib/auth/users_file.ts";
import { proofText } from "../protocol.ts";
import { integration, PYTHON_KEYS, ROOT, run, tempDir } from "./helpers.ts";

/** The values of one block of the example, by their names. */
type Values = Record<string, string>;

/** What the example says. */
interface Example {
  /** Of the key of 64 digits, of the key that a person made up, and of the user. */
  values: readonly [Values, Values, Values];
  /** The commands. */
  shell: string;
  /** The lines of the conversation. */
  conversation: readonly string[];
}

async function readExample(): Promise<Example> {
  const text = await Deno.readTextFile(new URL("PROTOCOL.md", ROOT));
  const section = text.slice(text.indexOf("\n### Key\n"), text.indexOf("\n### Lines without"));
  const blocks = (language: string): string[] =>
    [...section.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, "gm"))]
      .map(([, block]) => block!);
  const [digits, weak, user, ...more] = blocks("text").map(valuesOf);
  const [shell] = blocks("sh");
  const [conversation] = blocks("");
  assertEquals(more, []);
  return {
    values: [digits!, weak!, user!],
    shell: shell!,
    conversation: conversation!.trim().split("\n"),
  };
}

function valuesOf(block: string): Values {
  const values = new Map<string, string>();
  let name = "";
  for (const line of block.trimEnd().split("\n")) {
    const [, label, value] = /^(.{9}) {2}(.*)$/.exec(line)!;
    name = label!.trim() || name;
    const before = values.get(name);
    // Digits go on where they were broken, and words have a space between them.
    const between = /^(token|line)$/.test(name) ? " " : "";
    values.set(name, before === undefined ? value! : `${before}${between}${value}`);
  }
  return Object.fromEntries(values);
}

integration("PROTOCOL.md: its worked example is what our code derives", async () => {
  const { values: [digits, weak, user], conversation } = await readExample();
  assertEquals((await secretOf(digits.key!)).toHex(), digits.secret);
  assertEquals((await secretOf(weak.key!)).toHex(), weak.secret);
  const { spki, pin, privateKey } = await identityOf(Uint8Array.fromHex(digits.secret!));
  const pkcs8 = Uint8Array.fromBase64(privateKey.replace(/-----.*-----|\n/g, ""));
  assertEquals(
    [spki.toHex(), pin.toHex(), pin.toBase64(), pkcs8.subarray(36, 68).toHex()],
    [digits.SPKI, digits.pin, digits.base64, digits.scalar],
  );
  let body = new Uint8Array(0);
  await makeCertificate(spki, (bytes) => {
    body = bytes;
    return Promise.resolve(new Uint8Array(64).fill(1));
  });
  assertEquals(body.toHex(), digits.body);
  const nonce = digits.nonce!;
  const credential = await credentialOf(digits.key!);
  assertEquals(await credential.prove(nonce), digits.proof);
  const server = new SharedKey(() => digits.key!, () => {});
  assert(await server.verify({ nonce, name: "ben", proof: digits.proof! }));
  assertEquals(conversation.slice(1, 3), [`S: challenge ${nonce}`, `C: answer ${digits.proof}`]);
  const ben = await credentialOf(user.token!);
  assertEquals([ben.userName, ben.server.pin.toHex()], ["ben", digits.pin]);
  const [line] = parseUsers(user.line!, "PROTOCOL.md");
  assertEquals([line!.name, line!.access], ["ben", "drop-only"]);
  const text = proofText(pin, nonce, "ben");
  for (const proof of [user.proof!, await ben.prove(nonce)]) {
    assert(await isSignedBy(line!.spki, Uint8Array.fromHex(proof), text));
  }
});

/** Derives everything from what it is given on stdin, and prints it. */
const DERIVE = `
import base64, hashlib, hmac, json, sys
from cryptography.hazmat.primitives import hashes, serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
DER = form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo
digits, weak, user = json.load(sys.stdin)
secret = bytes.fromhex(digits["key"])
def derive(info, size):
    return HKDF(hashes.SHA256(), size, None, info).derive(secret)
wide, proof_key = derive(b"inlet 2 server", 48), derive(b"inlet 2 client proof", 32)
scalar = int.from_bytes(wide, "big") % (ORDER - 1) + 1
spki = ec.derive_private_key(scalar, ec.SECP256R1()).public_key().public_bytes(*DER)
pin = hashlib.sha256(spki)
text = "inlet 2 client %s %s " % (pin.hexdigest(), digits["nonce"])
private = ec.derive_private_key(int(user["scalar"], 16), ec.SECP256R1())
public = private.public_key()
pair = [int(user["proof"][at:at + 64], 16) for at in (0, 64)]
public.verify(utils.encode_dss_signature(*pair), (text + "ben").encode(), ec.ECDSA(hashes.SHA256()))
def written(key):
    return base64.b64encode(key).decode()
json.dump([
    {"key": digits["key"], "secret": secret.hex(), "48 bytes": wide.hex(), "scalar": "%064x" % scalar,
     "SPKI": spki.hex(), "body": digits["body"] if spki.hex() in digits["body"] else "", "pin": pin.hexdigest(), "base64": written(pin.digest()),
     "proof key": proof_key.hex(), "nonce": digits["nonce"],
     "proof": hmac.new(proof_key, text.encode(), "sha256").hexdigest()},
    {"key": weak["key"], "secret": hashlib.scrypt(weak["key"].encode(), salt=b"inlet 2 key", n=2**17,
     r=8, p=1, maxmem=2**28, dklen=32).hex()},
    {"scalar": user["scalar"], "token": "inlet-user ben %s %s" % (written(spki), user["scalar"]),
     "line": "ben %s drop" % written(public.public_bytes(*DER)), "proof": user["proof"]},
], sys.stdout)
`;

integration("PROTOCOL.md: its worked example is what Python derives", async () => {
  const { values } = await readExample();
  const { code, stdout, stderr } = await run("python3", ["-c", DERIVE], {
    stdin: JSON.stringify(values),
  });
  assertEquals([code, stderr], [0, ""]);
  assertEquals(JSON.parse(stdout), values);
}, PYTHON_KEYS);

integration("PROTOCOL.md: the commands of its worked example print what stands there", async () => {
  const { shell } = await readExample();
  await using temp = await tempDir();
  const { code, stdout, stderr } = await run("sh", ["-euc", shell], { cwd: temp.path });
  assertEquals(code, 0, stderr);
  const expected = [...shell.matchAll(/^# ([\w+/=]{40,})$/gm)].map(([, line]) => line!);
  assertEquals(expected.length, 4);
  assertEquals(stdout.trim().split("\n"), expected);
}, { programs: ["python3", "openssl kdf"] });
