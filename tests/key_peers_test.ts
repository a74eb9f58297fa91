/**
 * Clients in another language at a server of ours that requires a key, and at one that has another.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { identityOf } from "../lib/auth/identity.ts";
import { addUser, removeUser } from "../lib/auth/user_admin.ts";
import { TcpStream } from "../lib/net/byte_stream.ts";
import { acceptTls } from "../lib/net/tls_accept.ts";
import {
  type Ended,
  fixture,
  integration,
  names,
  PYTHON_KEYS,
  runPeer,
  startServer,
  tempDir,
} from "./helpers.ts";

const KEYS: Record<string, string> = {
  "that inlet made": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
  "that a person made up": "\ufeffcorrect horse battery café\r\n",
};

/** The files that hold the clients' programs, and the longest that they may be. */
const CLIENTS = ["key_client.py", "user_client.py"];
const MAX_LINES = 40;

/** Puts a file. */
async function put(server: { port: number }, client: string, key: string): Promise<Ended> {
  return await runPeer(client, ["127.0.0.1", String(server.port), key, fixture("hello.txt")]);
}

for (const [whose, text] of Object.entries(KEYS)) {
  integration(`key_client.py puts a file to a server with a key ${whose}`, async () => {
    await using local = await tempDir();
    const key = await local.write("key", text);
    await using server = await startServer({ args: ["--token-file", key] });
    const { code, stdout, stderr } = await put(server, "key_client.py", key);
    assertEquals([code, stdout, stderr], [0, "ok 6 363a3020 hello.txt\n", ""]);
    assertEquals(Deno.readTextFileSync(`${server.dir}/hello.txt`), "hello\n");
  }, PYTHON_KEYS);
}

/** Makes a user, and returns the paths of the users file and of the token. */
async function makeUser(directory: string, name: string): Promise<[users: string, token: string]> {
  const [users, token] = [`${directory}/inlet.users`, `${directory}/${name}.token`];
  await addUser(users, token, { name, rights: "all" });
  return [users, token];
}

integration("user_client.py puts a file as its user, until the user is removed", async () => {
  await using local = await tempDir();
  const [users, token] = await makeUser(local.path, "ben");
  await using server = await startServer({ args: ["--users", users] });
  const { code, stdout, stderr } = await put(server, "user_client.py", token);
  assertEquals([code, stdout, stderr], [0, "ok 6 363a3020 hello.txt\n", ""]);
  await server.running.says(/is "ben"/);
  removeUser(users, "ben");
  const removed = await put(server, "user_client.py", token);
  assertEquals(removed.code, 1);
  assertMatch(removed.stderr, /^user_client: error denied [^\n]*\n$/);
  assertEquals(names(server.dir), ["hello.txt"]);
}, PYTHON_KEYS);

for (const client of CLIENTS) {
  integration(`${client} says nothing to a server with another key`, async () => {
    await using local = await tempDir();
    const [, token] = await makeUser(local.path, "ben");
    const key = await local.write("key", KEYS["that inlet made"]!);
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const other = await identityOf(new Uint8Array(32).fill(7));
    const heard = (async () => {
      const stream = new TcpStream(await listener.accept());
      const identity = () => Promise.resolve(other);
      const secured = acceptTls(stream, { identity, handshakeMs: 60_000 });
      using _ = { [Symbol.dispose]: () => secured.close() };
      return await secured.read(new Uint8Array(1000)).catch((error) => {
        // It leaves with something unread.
        if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
        return null;
      });
    })();
    const ended = await put(listener.addr, client, client === "key_client.py" ? key : token);
    const problem = `${client.replace(".py", "")}: the server has another key\n`;
    assertEquals([ended.code, ended.stdout, ended.stderr], [1, "", problem]);
    assertEquals(await heard, null);
  }, PYTHON_KEYS);

  integration(`${client} has at most ${MAX_LINES} lines`, async () => {
    const lines = (await Deno.readTextFile(fixture(`peers/${client}`))).trimEnd().split("\n");
    assertEquals(lines.length <= MAX_LINES, true, `${lines.length} lines`);
  });
}
