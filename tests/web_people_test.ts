/**
 * What a person sees of a failure, in a browser, and a program in its place.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Code, InletError } from "../lib/errors.ts";
import { errorPage } from "../web/error_page.ts";
import { STATUSES } from "../web/problem.ts";
import { integration, KEY, pure, startServer } from "./helpers.ts";
import { HttpWire, problemIn, type Response } from "./http_wire.ts";

/** What browsers accept, when a person follows a link or sends a form. */
const PERSON = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";

function request(line: string, fields: string, body = ""): string {
  const length = body === "" ? "" : `Content-Length: ${body.length}\r\n`;
  return `${line} HTTP/1.1\r\nHost: localhost\r\n${fields}${length}\r\n${body}`;
}

function textOf({ body }: Response): string {
  return new TextDecoder().decode(body);
}

/** Requests that fail, with the status and the code of each, and what a person reads. */
const FAILURES: readonly [line: string, status: number, code: string, words: RegExp][] = [
  ["GET /files/none", 404, "not-found", /<h1>Not found<\/h1>\n<p>Cannot get &#34;none&#34;: /],
  ["GET /files/%3Cscript%3E", 404, "not-found", /&#34;&#60;script&#62;&#34;/],
  ["GET /none", 404, "not-found", /files are below \/files\//],
  ["GET /files/../a", 400, "bad-name", /<h1>This name does not work<\/h1>/],
  ["PUT /files/large", 413, "too-large", /<h1>Too large<\/h1>[^]*limit is[^]*Nothing was stored/],
  ["DELETE /files/a", 405, "bad-request", /Cannot DELETE here/],
];

integration(
  "a person gets a page for a failure, and a program a problem, both the same",
  async () => {
    await using server = await startServer({ args: ["--max-size", "3"] });
    for (const [line, status, code, words] of FAILURES) {
      using wire = await HttpWire.dial(server);
      const body = line.startsWith("PUT") ? "hello" : "";
      const page = await wire.asks(request(line, PERSON, body));
      assertEquals([page.status, page.headers["content-type"]], [
        status,
        "text/html; charset=utf-8",
      ]);
      assertMatch(textOf(page), words, line);
      assertStringIncludes(textOf(page), `<small>${status} ${code}</small>`);
      assertStringIncludes(textOf(page), '<a href="/">');
      assertStringIncludes(textOf(page), '<meta name="color-scheme" content="light dark">');
      assertEquals(textOf(page).match(/<(?!\/?(?:html|meta|title|h1|p|a|small)\b|!DOCTYPE)/), null);
      for (const accept of ["", "Accept: */*\r\n", "Accept: application/json\r\n"]) {
        using program = await HttpWire.dial(server);
        const problem = await program.asks(request(line, accept, body));
        assertEquals(
          [problem.status, problemIn(problem).code],
          [status, code],
          `${line} ${accept}`,
        );
      }
    }
  },
);

integration("a person without the key gets a form to sign in, and no dialogue", async () => {
  await using server = await startServer({ key: KEY, args: ["--base-path", "/inlet"] });
  using wire = await HttpWire.dial({ port: server.port, key: KEY });
  const page = await wire.asks(request("GET /inlet/files/", PERSON));
  assertEquals([page.status, page.headers["www-authenticate"]], [401, 'Bearer realm="inlet"']);
  assertMatch(
    textOf(page),
    /<form method="post" action="\/inlet\/sign-in">\n<label>Key <input type="password" name="key" /,
  );
  assert(!/Bearer|password as/.test(textOf(page)), textOf(page));
});

pure("every code has a page with words that say what to do, and none is markup", () => {
  for (const code of Object.keys(STATUSES) as Code[]) {
    const message = "Cannot store \"<img src=x onerror=alert(1)>\u202e\": '&'";
    const page = errorPage(STATUSES[code], new InletError(code, message), "");
    assertStringIncludes(
      page,
      "<p>Cannot store &#34;&#60;img src=x onerror=alert(1)&#62;\\u{202e}&#34;: &#39;&#38;&#39;.\n",
    );
    assertMatch(page, /<h1>[A-Z][^<]+<\/h1>\n<p>[^]+\n<p>[A-Z][^<]+\.\n/, code);
  }
});
