/**
 * Signing in by a form, and the cookie that a browser gets for it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import type { Exchange } from "../web/exchange.ts";
import { idsIn, MOST_OF_USER, MOST_SESSIONS, Sessions } from "../web/sessions.ts";
import type { Authenticator, User } from "../lib/auth/authenticator.ts";
import { EventReader } from "./event_reader.ts";
import { integration, KEY, pure, startServer, tempDir, type TestServer } from "./helpers.ts";
import { HttpWire, problemIn, type Response } from "./http_wire.ts";
import { serveHere } from "./in_process.ts";
import { makeUsers } from "./user_files.ts";

/** A browser as far as it concerns the server: without a key, and with what cookies it was given. */
class Browser implements Disposable {
  readonly #wire: HttpWire;
  cookie: string | undefined;

  constructor(wire: HttpWire) {
    this.#wire = wire;
  }

  static async open(server: TestServer, token = KEY): Promise<Browser> {
    return new Browser(await HttpWire.dial({ port: server.port, key: token }));
  }

  async asks(line: string, body = "", fields = ""): Promise<Response> {
    const cookie = this.cookie === undefined ? "" : `Cookie: other=1; ${this.cookie}\r\n`;
    const length = /^(?:GET|HEAD)/.test(line) ? "" : `Content-Length: ${body.length}\r\n` +
      "Content-Type: application/x-www-form-urlencoded\r\n";
    return await this.#wire.asks(
      `${line} HTTP/1.1\r\nHost: localhost:5000\r\n${cookie}${length}${fields}\r\n${body}`,
    );
  }

  async about(): Promise<Record<string, unknown>> {
    return JSON.parse(new TextDecoder().decode((await this.asks("GET /about")).body));
  }

  /** Signs in, and keeps the cookie. */
  async signIn(key: string, fields = ""): Promise<Response> {
    const form = new URLSearchParams({ key, name: "ann" });
    const response = await this.asks("POST /sign-in", `${form}`, fields);
    this.cookie = response.headers["set-cookie"]?.split(";")[0] ?? this.cookie;
    return response;
  }

  [Symbol.dispose](): void {
    this.#wire[Symbol.dispose]();
  }
}

const FIELDS = /^__Host-inlet-5000=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure$/;

integration("a browser signs in with the key, and out again", async () => {
  await using server = await startServer({ key: KEY });
  using browser = await Browser.open(server);
  const stranger = await browser.about();
  assertMatch(String(stranger.fingerprint), /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  assertEquals(stranger, {
    version: null,
    signIn: "needed",
    user: null,
    may: { list: false, get: false, put: false, talk: false },
    maxFileBytes: null,
    secure: true,
    fingerprint: stranger.fingerprint,
  });
  const answer = await browser.signIn(` ${KEY}\n`);
  assertEquals(answer.status, 204);
  assertMatch(answer.headers["set-cookie"]!, FIELDS);
  assertEquals((await browser.asks("GET /files/")).status, 200);
  const { version, ...known } = await browser.about();
  assertMatch(String(version), /^\d/);
  assertEquals(known, {
    signIn: "done",
    user: "ann",
    may: { list: true, get: true, put: true, talk: true },
    maxFileBytes: null,
    secure: true,
    fingerprint: stranger.fingerprint,
  });
  // Another connection of the browser, and another browser.
  using second = await Browser.open(server);
  assertEquals((await second.asks("GET /files/")).status, 401);
  second.cookie = browser.cookie;
  assertEquals((await second.asks("GET /files/")).status, 200);
  const out = await browser.asks("POST /sign-out");
  assertEquals([out.status, out.headers["set-cookie"]], [
    204,
    "__Host-inlet-5000=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0",
  ]);
  for (const one of [browser, second]) assertEquals((await one.asks("GET /files/")).status, 401);
  assertNotMatch(server.running.log, new RegExp(KEY));
});

integration(
  "a form without script leads to the page, and the cookie to the base path",
  async () => {
    await using server = await startServer({ key: KEY, args: ["--base-path", "/inlet"] });
    using browser = await Browser.open(server);
    const html = "Accept: text/html,*/*;q=0.8\r\n";
    const form = `key=${KEY}`;
    const answer = await browser.asks("POST /inlet/sign-in", form, html);
    assertEquals([answer.status, answer.headers.location], [303, "./"]);
    assertMatch(answer.headers["set-cookie"]!, /^__Secure-inlet-5000=[\w-]{43}; Path=\/inlet\/;/);
    const { status, headers } = await browser.asks("POST /inlet/sign-out", "", html);
    assertEquals([status, headers.location], [303, "./"]);
  },
);

integration(
  "a wrong key waits for a second, and gets no cookie and no browser's dialogue",
  async () => {
    await using server = await startServer({ key: KEY });
    const wrong = ["", KEY.slice(1), `${KEY}0`, "ben.x", "inlet-user ben x y"];
    await Promise.all(wrong.map(async (key) => {
      using browser = await Browser.open(server);
      const began = performance.now();
      const response = await browser.signIn(key, "Accept: text/html\r\n");
      const isToken = key.startsWith("inlet-user");
      assertEquals([response.status, response.headers["set-cookie"]], [
        isToken ? 400 : 401,
        undefined,
      ]);
      assertEquals(
        response.headers["www-authenticate"],
        isToken ? undefined : 'Bearer realm="inlet"',
      );
      assert(isToken || performance.now() - began >= 1000, key);
    }));
    using browser = await Browser.open(server);
    const large = await browser.asks("POST /sign-in", `key=${"x".repeat(17_000)}`);
    assertEquals([large.status, problemIn(large).code], [413, "too-large"]);
    using other = await Browser.open(server);
    const type = await other.asks("POST /sign-in", `{"key":"${KEY}"}`, "");
    assertEquals(type.status, 401);
    // What a page asks by a script is answered without a dialogue, too; what a program asks is not.
    const challenges = await Promise.all(["Sec-Fetch-Mode: cors\r\n", ""].map(async (fields) => {
      using wire = await Browser.open(server);
      return (await wire.asks("GET /files/", "", fields)).headers["www-authenticate"];
    }));
    assertEquals(challenges.map((challenge) => challenge!.startsWith("Basic")), [false, true]);
  },
);

integration("a stranger that is slow to sign in holds no place, and needs one then", async () => {
  await using temp = await tempDir();
  await using server = await serveHere({ dir: temp.path, key: KEY, maxClients: 1 });
  const form = `key=${KEY}`;
  const head = "POST /sign-in HTTP/1.1\r\nHost: localhost:5000\r\nExpect: 100-continue\r\n" +
    `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n`;
  using slow = await HttpWire.dial(server);
  assertEquals((await slow.asks(head)).status, 100);
  using other = await HttpWire.dial(server);
  const list = `GET /files/ HTTP/1.1\r\n${other.fields}\r\n`;
  assertEquals((await other.asks(list)).status, 200);
  await slow.says(form);
  assertEquals(await slow.status(), 204);
  // The place is taken by a PUT that does not go on.
  const put = `PUT /files/a HTTP/1.1\r\n${other.fields}Content-Length: 2\r\n` +
    "Expect: 100-continue\r\n\r\n";
  assertEquals((await slow.asks(head)).status, 100);
  assertEquals((await other.asks(put)).status, 100);
  const busy = await slow.asks(form);
  assertEquals([busy.status, problemIn(busy).code], [503, "busy"]);
});

integration("a page of another origin can neither sign in nor out", async () => {
  await using server = await startServer({ key: KEY });
  using browser = await Browser.open(server);
  await browser.signIn(KEY);
  const elsewhere = [
    "Origin: https://evil.example\r\n",
    "Origin: https://localhost:6000\r\nSec-Fetch-Site: same-site\r\n",
    "Origin: null\r\n",
    "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
  ];
  for (const fields of elsewhere) {
    for (const path of ["/sign-in", "/sign-out"]) {
      const { status, headers } = await browser.asks(`POST ${path}`, `key=${KEY}`, fields);
      assertEquals([status, headers["set-cookie"]], [403, undefined], `${path} ${fields}`);
    }
  }
  assertEquals((await browser.asks("GET /files/")).status, 200);
});

integration("a user signs in with the token's file, the token or the password", async () => {
  await using users = await makeUsers({ ben: "read", eve: "drop" });
  await using server = await startServer({ args: ["--users", users.file] });
  const file = Deno.readTextFileSync(users.tokenFile("ben"));
  for (const key of [file, users.token("ben"), `ben.${users.password("ben")}`]) {
    using browser = await Browser.open(server, users.token("ben"));
    assertEquals((await browser.signIn(key)).status, 204, key);
    const { user, may } = await browser.about();
    assertEquals([user, may], ["ben", { list: true, get: true, put: false, talk: false }]);
    assertEquals((await browser.asks("GET /files/")).status, 200);
  }
  using browser = await Browser.open(server, users.token("eve"));
  await browser.signIn(users.token("eve"));
  const { may } = await browser.about();
  assertEquals(may, { list: false, get: false, put: true, talk: false });
  // What a user may do, and whether there still is one, holds for the cookie too.
  const lines = Deno.readTextFileSync(users.file);
  Deno.writeTextFileSync(users.file, lines.replace(/^(eve .*)drop(.*)$/m, "$1read$2"));
  assertEquals((await browser.about()).may, { list: true, get: true, put: false, talk: false });
  users.remove("eve");
  assertEquals((await browser.about()).signIn, "needed");
  assertEquals((await browser.asks("GET /files/")).status, 401);
});

integration("a form costs the server no more for its line ends", async () => {
  await using server = await startServer({ key: KEY });
  using browser = await Browser.open(server);
  const least: Record<string, number> = { "\n": Infinity, " ": Infinity };
  const isMore = (): boolean => least["\n"]! >= 10 * least[" "]!;
  // Whatever else the machine does makes it longer: the more often, the nearer the least is to the cost.
  for (let time = 0; time < 5 || time < 30 && isMore(); time++) {
    for (const filler of Object.keys(least)) {
      const began = performance.now();
      const form = `key=${filler.repeat(16_000)}${KEY}`;
      assertEquals((await browser.asks("POST /sign-in", form)).status, 204);
      least[filler] = Math.min(least[filler]!, performance.now() - began);
    }
  }
  assert(!isMore(), JSON.stringify(least));
});

integration("a user with several connections has one name all the same", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using server = await startServer({ args: ["--users", users.file] });
  const token = users.token("ben");
  using browser = await Browser.open(server, token);
  await browser.signIn(token);
  const fields = `Host: localhost:5000\r\nCookie: ${browser.cookie}\r\n`;
  using stream = await EventReader.open({ port: server.port, key: token }, "", fields);
  assertEquals((await stream.until("welcome")).name, "ben");
  assertEquals((await browser.about()).user, "ben");
});

integration("the cookie ends with the key that it was for", async () => {
  await using local = await tempDir();
  const file = await local.write("key", `${KEY}\n`);
  Deno.chmodSync(file, 0o600);
  await using server = await startServer({ args: ["--token-file", file] });
  using browser = await Browser.open(server);
  await browser.signIn(KEY);
  assertEquals((await browser.about()).signIn, "done");
  Deno.writeTextFileSync(file, `${KEY.slice(1)}f\n`);
  assertEquals((await browser.about()).signIn, "needed");
  assertEquals((await browser.asks("GET /files/")).status, 401);
});

integration("whoever brings an id gets another one, and the old one ends", async () => {
  await using server = await startServer({ key: KEY });
  using browser = await Browser.open(server);
  // Nobody can choose the id of somebody else.
  browser.cookie = `__Host-inlet-5000=${"A".repeat(43)}`;
  const planted = browser.cookie;
  await browser.signIn(KEY);
  assert(browser.cookie !== planted);
  const first = browser.cookie;
  await browser.signIn(KEY);
  assert(browser.cookie !== first);
  using other = await Browser.open(server);
  for (const cookie of [planted, first, "__Host-inlet-5000=", "inlet-5000=x", "__Host-inlet-1=x"]) {
    other.cookie = cookie;
    assertEquals((await other.asks("GET /files/")).status, 401, cookie);
  }
  // A wrong key is not made up for by a cookie, and other cookies do no harm.
  other.cookie = `${browser.cookie}; a="; =;;`;
  assertEquals((await other.asks("GET /files/")).status, 200);
  const basic = `Authorization: Basic ${btoa(":wrong")}\r\n`;
  assertEquals((await other.asks("GET /files/", "", basic)).status, 401);
});

integration("a server without a key has nothing to sign in to", async () => {
  await using server = await startServer({ args: ["--max-size", "5MiB", "--read-only"] });
  const url = `http://127.0.0.1:${server.port}`;
  const { version: _, ...about } = await (await fetch(`${url}/about`)).json();
  assertEquals(about, {
    signIn: "none",
    user: null,
    may: { list: true, get: true, put: false, talk: false },
    maxFileBytes: 5 * 1024 * 1024,
    secure: false,
    fingerprint: null,
  });
  for (const path of ["sign-in", "sign-out"]) {
    const body = new URLSearchParams({ key: "x" });
    const { status, headers } = await fetch(`${url}/${path}`, { method: "POST", body });
    assertEquals([status, headers.get("set-cookie")], [204, null]);
  }
  const other = await fetch(`${url}/sign-in`, { method: "POST", body: "{}" });
  assertEquals([other.status, (await other.json()).code], [415, "bad-request"]);
});

pure("idsIn() finds the ids of this server's cookie, and of very many the first", () => {
  const own = "__Host-inlet-5000=";
  const idsOf = (cookie: string): string[] =>
    idsIn({
      header: () => cookie,
      ...{ request: { headers: { host: "h:5000" } }, socket: { scheme: "https" } },
      context: { web: { base: "" } },
    } as unknown as Exchange);
  const ids = Array.from({ length: 300 }, (_, number) => `${number}`.padStart(43, "x"));
  assertEquals(idsOf(`a=b; ${own}${ids[0]};${own}${ids[1]}; x${own}${ids[2]}`), ids.slice(0, 2));
  assertEquals(idsOf(`${own}; ${own}x; ${own}${ids[0]}x; inlet-5000=${ids[0]}`), []);
  const found = idsOf(ids.map((id) => own + id).join("; "));
  assert(found.length > 1 && found.length < 10);
  assertEquals(found, ids.slice(0, found.length));
});

/** Sessions of a server with a key, which is replaced if that is asked for. */
function sessionsOfServer() {
  let identity = {};
  const authenticator = { identity: () => Promise.resolve(identity) };
  const sessions = new Sessions(authenticator as unknown as Authenticator);
  return {
    sessions,
    begin: (caller: User | true) => sessions.begin({ caller, name: "" }, identity),
    replaceKey: () => void (identity = {}),
  };
}

pure("Sessions hold no more when many begin at once, and none of the key before", async () => {
  const { sessions, begin, replaceKey } = sessionsOfServer();
  const ben: User = { name: "ben", access: "all", isRevoked: false };
  const ids = await Promise.all(Array.from({ length: 2 * MOST_OF_USER }, () => begin(ben)));
  const found = await Promise.all(ids.map((id) => sessions.find(id)));
  assertEquals(found.filter((session) => session !== undefined).length, MOST_OF_USER);
  // It is verified by the key before, and the key replaced meanwhile.
  const late = begin(true);
  replaceKey();
  assertEquals(await sessions.find(await late), undefined);
});

pure("Sessions end after seven days without a request, and not before", async () => {
  const { sessions, begin } = sessionsOfServer();
  const { now } = Date;
  using _ = { [Symbol.dispose]: () => void (Date.now = now) };
  const id = await begin(true);
  const day = 24 * 3_600_000;
  for (const [days, isThere] of [[6, true], [12, true], [20, false], [20, false]] as const) {
    Date.now = () => now() + days * day;
    assertEquals(await sessions.find(id) !== undefined, isThere, `on day ${days}`);
  }
});

pure(
  "Sessions are bounded, each user's too, and the one that was not used for longest ends",
  async () => {
    const { sessions, begin } = sessionsOfServer();
    const user = (name: string): User => ({ name, access: "all", isRevoked: false });
    const ben = user("ben");
    const shared = await begin(true);
    const first = await begin(ben);
    const second = await begin(ben);
    for (let count = 2; count < MOST_OF_USER; count++) {
      await begin(ben);
    }
    assertEquals((await sessions.find(first))?.caller, ben);
    await begin(ben);
    assertEquals([await sessions.find(second), (await sessions.find(first))?.caller], [
      undefined,
      ben,
    ]);
    for (let count = MOST_OF_USER + 1; count <= MOST_SESSIONS; count++) {
      await begin(true);
    }
    assertEquals([await sessions.find(shared), (await sessions.find(first))?.caller], [
      undefined,
      ben,
    ]);
  },
);
