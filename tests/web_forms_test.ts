/**
 * Forms (multipart/form-data): what curl -F and browsers without script send, whole and cut.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { FormParser, MAX_FIELDS, MAX_FILES } from "../web/form_parser.ts";
import {
  anHourPasses,
  bytes,
  type Ended,
  integration,
  names,
  pure,
  run,
  startServer,
  tempDir,
  uploadGrows,
  watchUntil,
} from "./helpers.ts";
import { HttpWire, problemIn, type Response } from "./http_wire.ts";

const CURL = { programs: ["curl"] };

async function curl(...args: readonly string[]): Promise<Ended> {
  return await run("curl", ["-sS", "--noproxy", "*", ...args]);
}

/** A part of a form, with a file. */
function part(name: string, content: string): string {
  return `--x\r\nContent-Disposition: form-data; name="f"; filename="${name}"\r\n` +
    `Content-Type: text/plain\r\n\r\n${content}\r\n`;
}

/** A request with a form. */
function formRequest(
  body: string,
  { path = "/files/", type = "multipart/form-data; boundary=x", fields = "" } = {},
): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n${fields}` +
    `Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** Waits until a store has so many uploads. */
async function filesAreOpen(directory: string, count: number): Promise<void> {
  const open = (): string[] => names(directory).filter((name) => name === "(in flight)");
  await watchUntil(directory, () => open().length >= count);
}

function jsonIn({ body }: Response): unknown {
  return JSON.parse(new TextDecoder().decode(body));
}

integration("curl -F stores the files of a form, and the answer has their names", async () => {
  await using local = await tempDir();
  const content = bytes(3_000_000);
  const large = await local.write("large.bin", content);
  const small = await local.write("naïve café ☕.txt", "hello\n");
  const dir = `${local.path}/received`;
  const permissions = ["--allow-net", `--allow-read=${dir}`, `--allow-write=${dir}`];
  await using server = await startServer({ dir, permissions: ["--no-prompt", ...permissions] });
  const url = `http://127.0.0.1:${server.port}/files/`;
  const args = [
    "-F",
    `a=@${large}`,
    "-F",
    "text=no file",
    "-F",
    `b=@${small}`,
    "-F",
    `a=@${large}`,
  ];
  const first = await curl(...args, `${url}in/photos/`);
  assertEquals(JSON.parse(first.stdout), {
    files: [
      { name: "in/photos/large.bin", size: content.length },
      { name: "in/photos/naïve café ☕.txt", size: 6 },
      { name: "in/photos/large (2).bin", size: content.length },
    ],
  });
  for (const name of ["large.bin", "large (2).bin"]) {
    assertEquals(await Deno.readFile(`${server.dir}/in/photos/${name}`), content, name);
  }
  // Nothing is replaced, and one file has an address of its own.
  await curl("-F", `a=@${small}`, url);
  const again = await curl("-i", "-F", `a=@${small}`, url);
  assertMatch(
    again.stdout,
    /201 Created[^]*Location: \/files\/na%C3%AFve%20caf%C3%A9%20%E2%98%95%20%282%29\.txt\r/,
  );
  // Of unknown length, in chunks.
  const chunked = await curl("-H", "Transfer-Encoding: chunked", "-F", `a=@${large}`, url);
  assertEquals(JSON.parse(chunked.stdout).files[0].name, "large.bin");
  await server.running.stop();
  assertMatch(server.running.log, /stored "in\/photos\/naïve café ☕\.txt", 6 B, CRC-32 363a3020/);
}, CURL);

integration(
  "a form's names are the store's: of any characters, and none that lead out",
  async () => {
    await using local = await tempDir();
    const file = await local.write("a", "hello\n");
    await using server = await startServer();
    const url = `http://127.0.0.1:${server.port}/files/`;
    for (const name of [`we"ird`, "back\\slash", "semi;colon=", "in/a/folder", "x%2Fy", "…🎈"]) {
      const given = name.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
      const { stdout } = await curl("-F", `a=@${file};filename="${given}"`, url);
      assertEquals(JSON.parse(stdout).files, [{ name, size: 6 }]);
      assertEquals(Deno.readTextFileSync(`${server.dir}/${name}`), "hello\n");
      Deno.removeSync(`${server.dir}/${name.split("/")[0]}`, { recursive: true });
    }
    using wire = await HttpWire.dial(server);
    const refused = ["../a", "/etc/passwd", "a/../../b", ".", ".inlet/a", "a%0Ab", "a\0b", "a//b"];
    for (const name of refused) {
      const form = `${part("good", "hello")}${part(name, "hello")}--x--\r\n`;
      const response = await wire.asks(formRequest(form));
      assertEquals([response.status, problemIn(response).code], [400, "bad-name"], name);
      assertEquals(names(server.dir), [], name);
    }
    const file2 = await wire.asks(formRequest(`${part("a", "")}--x--`, { path: "/files/a" }));
    assertEquals(problemIn(file2).code, "bad-name");
  },
  CURL,
);

integration("a browser sends the form of the list, and is told what was stored", async () => {
  await using server = await startServer();
  using wire = await HttpWire.dial(server);
  const fields = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";
  const page = async (path: string): Promise<string> => {
    const got = await wire.asks(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`);
    return new TextDecoder().decode(got.body);
  };
  assertMatch(
    await page("/files/"),
    /<form method="post" enctype="multipart\/form-data" action="\.\/">\s*<input type="file" name="file" multiple required /,
  );
  // An input that was left empty is sent, too.
  const form = `${part("a.txt", "hello")}${part("", "")}--x--\r\n`;
  for (const name of ["a.txt", "a%20%282%29.txt"]) {
    const answer = await wire.asks(formRequest(form, { path: "/files/photos/", fields }));
    assertEquals([answer.status, answer.headers.location], [201, `/files/photos/${name}`]);
    assertEquals(answer.headers["content-type"], "text/html; charset=utf-8");
    const told = new TextDecoder().decode(answer.body);
    const shown = decodeURIComponent(name);
    assertStringIncludes(told, `<a href="/files/photos/${name}">photos/${shown}</a><td>5 B`);
    assertStringIncludes(told, '<a href="./">');
    assertStringIncludes(told, '<a href="/">');
  }
  assertStringIncludes(await page("/files/photos/"), '<a href="./a.txt">');
  const markup = `${part("<b>'&amp;.txt", "hello")}--x--\r\n`;
  const { body } = await wire.asks(formRequest(markup, { path: "/files/photos/", fields }));
  assertStringIncludes(new TextDecoder().decode(body), ">photos/&#60;b&#62;&#39;&#38;amp;.txt</a>");
  const empty = await wire.asks(formRequest(`${part("", "")}--x--\r\n`, { fields }));
  const nameless = await wire.asks(formRequest(`${part("", "hello")}--x--\r\n`, { fields }));
  for (const [response, code] of [[empty, "bad-request"], [nameless, "bad-name"]] as const) {
    assertEquals(response.status, 400);
    assertStringIncludes(new TextDecoder().decode(response.body), `<small>400 ${code}</small>`);
  }
  assertEquals(names(server.dir), ["photos"]);
});

integration(
  "who may only upload is told nothing by a form, and who may only read has none",
  async () => {
    await using drop = await startServer({ args: ["--drop-only"] });
    using wire = await HttpWire.dial(drop);
    const form = `${part("a.txt", "hello")}--x--\r\n`;
    for (let time = 0; time < 2; time++) {
      const answer = await wire.asks(formRequest(form));
      assertEquals(answer.status, 201);
      assertEquals(jsonIn(answer), { files: [{ name: "a.txt", size: 5 }] });
    }
    const fields = "Accept: text/html\r\n";
    const told = await wire.asks(formRequest(form, { fields }));
    assertStringIncludes(new TextDecoder().decode(told.body), "<tr><td>a.txt<td>5 B");
    // By hand it sees a form, and a program that it gets no list.
    for (const path of ["/files/", "/files/in%20here/"]) {
      const shown = await wire.asks(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`);
      assertEquals(shown.status, 200);
      const html = new TextDecoder().decode(shown.body);
      assertMatch(html, /<form method="post" enctype="multipart\/form-data" action="\.\/">/);
      assert(!html.includes("a.txt") && !html.includes("archive"), html);
      const list = await wire.asks(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      assertEquals([list.status, problemIn(list).code], [403, "denied"]);
    }
    assertEquals(names(drop.dir), ["a (2).txt", "a (3).txt", "a.txt"]);
    await using reader = await startServer({ args: ["--read-only"] });
    using reading = await HttpWire.dial(reader);
    const refused = await reading.asks(formRequest(form));
    assertEquals([refused.status, problemIn(refused).code], [403, "denied"]);
    const list = await reading.asks("GET /files/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert(!new TextDecoder().decode(list.body).includes('method="post"'));
  },
);

integration("of a form that is cut at any byte nothing is stored", async () => {
  await using server = await startServer();
  const body = `${part("a", "hello\r\n--")}${part("b", "\r\n--y")}--x--`;
  const request = formRequest(body);
  for (let cut = request.length - body.length - 2; cut < request.length; cut++) {
    using wire = await HttpWire.dial(server);
    await wire.says(request.slice(0, cut));
    await wire.closeWrite();
    const response = await wire.response();
    assert(response === undefined || response.status >= 400, `${cut}: ${response?.status}`);
  }
  assertEquals(names(server.dir), []);
  // The same where the length says that this is all.
  using wire = await HttpWire.dial(server);
  for (let cut = 0; cut < body.length; cut++) {
    const response = await wire.asks(formRequest(body.slice(0, cut)));
    assertEquals([response.status, problemIn(response).code], [400, "bad-request"], `${cut}`);
  }
  assertEquals(names(server.dir), []);
  assertEquals((await wire.asks(request)).status, 201);
  assertEquals(Deno.readTextFileSync(`${server.dir}/a`), "hello\r\n--");
  assertEquals(Deno.readTextFileSync(`${server.dir}/b`), "\r\n--y");
});

integration("a server that is killed within a form leaves none of its files", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  await using first = await startServer({ dir });
  using wire = await HttpWire.dial(first);
  const body = `${part("a", "hello")}${part("b", "x".repeat(500_000))}${part("c", "")}--x--`;
  const request = formRequest(body);
  await wire.says(request.slice(0, -20));
  await uploadGrows(dir, 400_000);
  await first.running.stop("SIGKILL");
  assertEquals(names(dir), ["(in flight)", "(in flight)"]);
  anHourPasses(dir);
  await using second = await startServer({ dir });
  assertEquals(names(dir), []);
  using again = await HttpWire.dial(second);
  assertEquals((await again.asks(request)).status, 201);
  assertEquals(names(dir), ["a", "b", "c"]);
});

integration(
  "what is no form, and what exceeds a limit, is refused with nothing stored",
  async () => {
    await using server = await startServer({ args: ["--max-size", "1KiB"] });
    using wire = await HttpWire.dial(server);
    const end = "--x--\r\n";
    const file = part("a", "hello");
    const field = '--x\r\nContent-Disposition: form-data; name="f"\r\n\r\nhello\r\n';
    const refused: Record<string, [number, string, string, string?]> = {
      "another type": [415, "bad-request", file + end, "application/x-www-form-urlencoded"],
      "another multipart": [415, "bad-request", file + end, "multipart/mixed; boundary=x"],
      "no boundary": [400, "bad-request", file + end, "multipart/form-data"],
      "an empty boundary": [400, "bad-request", file + end, 'multipart/form-data; boundary=""'],
      "a long boundary": [
        400,
        "bad-request",
        end,
        `multipart/form-data; boundary=${"x".repeat(71)}`,
      ],
      "another boundary": [400, "bad-request", file + end, "multipart/form-data; boundary=y"],
      "a large file": [413, "too-large", file + part("b", "x".repeat(1025)) + end],
      "many files": [413, "too-large", file.repeat(MAX_FILES + 1) + end],
      "many fields": [413, "too-large", file + field.repeat(MAX_FIELDS + 1) + end],
      "many headers": [
        400,
        "bad-request",
        file + part("b", "").replace("Type", "Type: a\r\nB".repeat(999)),
      ],
      "nothing": [400, "bad-request", ""],
    };
    for (const [what, [status, code, body, type]] of Object.entries(refused)) {
      using wire = await HttpWire.dial(server);
      const response = await wire.asks(formRequest(body, type === undefined ? {} : { type }));
      assertEquals([response.status, problemIn(response).code], [status, code], what);
      assertEquals(names(server.dir), [], what);
    }
    const most = file.repeat(MAX_FILES) + field.repeat(MAX_FIELDS) + end;
    const quoted = { type: 'multipart/form-data; charset=utf-8; boundary="x"' };
    assertEquals((await wire.asks(formRequest(most, quoted))).status, 201);
    assertEquals(names(server.dir).length, MAX_FILES);
  },
);

integration("forms cannot take the descriptors that others need", async () => {
  await using server = await startServer();
  const many = part("many", "").repeat(MAX_FILES);
  /** A form whose end is missing. */
  const begins = async (): Promise<HttpWire> => {
    const wire = await HttpWire.dial(server);
    await wire.says(formRequest(`${many}--x--\r\n`).slice(0, -4));
    return wire;
  };
  using _first = await begins();
  await filesAreOpen(server.dir, MAX_FILES);
  using second = await begins();
  await filesAreOpen(server.dir, 2 * MAX_FILES);
  // Of 500 files beyond two for each form, four are left.
  const ask = async (files: number): Promise<Response> => {
    using wire = await HttpWire.dial(server);
    return await wire.asks(formRequest(`${part("a", "hello").repeat(files)}--x--\r\n`));
  };
  assertEquals((await ask(6)).status, 201);
  const refused = await ask(7);
  assertEquals([refused.status, problemIn(refused).code], [503, "overloaded"]);
  await second.says("--\r\n");
  assertEquals(await second.status(), 201);
  assertEquals((await ask(7)).status, 201);
});

pure("a form is read no faster than its files are written", async () => {
  const parser = await FormParser.of("multipart/form-data; boundary=x");
  const piece = bytes(64 * 1024);
  const { promise: written, resolve: write } = Promise.withResolvers<void>();
  let [sent, stored] = [0, 0];
  parser.onFile = async (_name, content) => {
    for await (const { length } of content) {
      await written;
      stored += length;
    }
  };
  const head = new TextEncoder().encode(part("a", "").slice(0, -2));
  const whole = parser.whole(async (receive) => {
    await receive(head);
    const pieces = (async () => {
      for (; sent < 64 * 1024 * 1024; sent += piece.length) await receive(piece);
    })();
    // Nothing here waits for anything outside: what does not go on within these turns does not.
    for (let turns = 0, before = -1; turns < 20; turns++) {
      if (sent !== before) turns = 0;
      before = sent;
      await new Promise((resolve) => setTimeout(resolve));
    }
    assert(sent <= 8 * piece.length, `${sent} bytes are held in memory`);
    write();
    await pieces;
    await receive(new TextEncoder().encode("\r\n--x--"));
  });
  await whole;
  assertEquals(stored, sent);
});

pure("a form's file that cannot be written ends the form, with what is wrong", async () => {
  const parser = await FormParser.of("multipart/form-data; boundary=x");
  parser.onFile = () => Promise.reject(new Error("the disk is full"));
  const form = new TextEncoder().encode(part("a", "x".repeat(1_000_000)));
  await assertRejects(() =>
    parser.whole(async (receive) => {
      for (;;) await receive(form);
    })
  );
});
