/**
 * /metrics: the text format of Prometheus, taken apart strictly, and what is counted on every wire.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import denoJson from "../deno.json" with { type: "json" };
import { InletError } from "../lib/errors.ts";
import type { Exchange } from "../web/exchange.ts";
import { getMetrics } from "../web/metrics.ts";
import { integration, pure, ROOT, startServer, tempDir } from "./helpers.ts";
import { HttpWire, problemIn, type Response } from "./http_wire.ts";
import { makeUsers } from "./user_files.ts";
import { Wire } from "./wire.ts";

/** The values of metrics, by name and labels. */
type Values = Readonly<Record<string, number>>;

/**
 * Takes the exposition format 0.0.4 apart: each metric has its HELP, then its TYPE, then its samples,
 * all of them together and once, and every line ends.
 */
function parse(text: string): Values {
  const values: Record<string, number> = {};
  const seen = new Set<string>();
  const lines = text.split("\n");
  assertEquals(lines.pop(), "", "the last line has no end");
  let [helped, metric, type] = ["", "", ""];
  for (const line of lines) {
    const [, help] = /^# HELP ([a-z_:][a-z0-9_:]*) \S.*$/.exec(line) ?? [];
    if (help !== undefined) {
      assert(!seen.has(help), `${help} comes twice`);
      seen.add(help);
      helped = help;
      continue;
    }
    const [, typed, kind] = /^# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge)$/.exec(line) ?? [];
    if (typed !== undefined) {
      assertEquals(typed, helped, line);
      assertEquals(kind === "counter", typed.endsWith("_total"), line);
      [metric, type] = [typed, kind!];
      continue;
    }
    const sample =
      /^([a-z_:][a-z0-9_:]*)(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="[^"\\\n]*")*\})? (\d+(?:\.\d+)?)$/
        .exec(line);
    assert(sample, `no line of the format: ${JSON.stringify(line)}`);
    const [, name, labels = "", value] = sample;
    assertEquals([name, type !== ""], [metric, true], line);
    assert(!(name + labels in values), `${line} comes twice`);
    values[name + labels] = Number(value);
  }
  return values;
}

const ASK = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n";

async function metrics(wire: HttpWire): Promise<Values> {
  const { status, headers, body } = await wire.asks(`${ASK}\r\n`);
  assertEquals([status, headers["content-type"]], [
    200,
    "text/plain; version=0.0.4; charset=utf-8",
  ]);
  return parse(new TextDecoder().decode(body));
}

/** What has changed from one time to the next, of what does not change by itself. */
function changes(before: Values, after: Values): Values {
  const entries = Object.entries(after).filter(([name, value]) =>
    value !== before[name] && !/uptime|free|clients/.test(name)
  );
  return Object.fromEntries(entries.map(([name, value]) => [name, value - before[name]!]));
}

integration("/metrics tells what was moved on every wire, and what failed", async () => {
  await using server = await startServer({ args: ["--quiet", "--max-clients", "7"] });
  using watching = await HttpWire.dial(server);
  const before = await metrics(watching);
  assertEquals(before[`inlet_build_info{version="${denoJson.version}"}`], 1);
  assertEquals([before.inlet_connections, before.inlet_clients, before.inlet_clients_limit], [
    1,
    1,
    7,
  ]);
  assert(before.inlet_free_bytes! > 0 && before.inlet_uptime_seconds! > 0);
  const told = new Set(Object.keys(before).map((name) => name.replace(/\{.*/, "")));
  const text = await Deno.readTextFile(new URL("docs/http.md", ROOT));
  const described = [...text.matchAll(/^\| `(inlet_\w+)`/gm)].map(([, name]) => name!);
  assertEquals([...told], described, "docs/http.md describes others");
  using native = await Wire.greet(server);
  await native.says("put 6 a.txt\nhello\nend 363a3020\nget a.txt\nget none\n");
  assertEquals(await native.line(), "go 0");
  for (let lines = 0; lines < 6; lines++) await native.line();
  using wire = await HttpWire.dial(server);
  const put = "PUT /files/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
  assertEquals((await wire.asks(put + "x".repeat(1000))).status, 201);
  const got = await wire.asks("GET /files/b HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assertEquals(got.body.length, 1000);
  await wire.asks("GET /files/../b HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const after = await metrics(watching);
  const { inlet_received_bytes_total, inlet_sent_bytes_total, ...others } = changes(before, after);
  assertEquals(others, {
    inlet_connections: 2,
    inlet_connections_total: 2,
    inlet_stored_files_total: 2,
    inlet_stored_bytes_total: 1006,
    inlet_downloads_total: 2,
    inlet_downloaded_bytes_total: 1006,
    'inlet_failures_total{code="not-found"}': 1,
    'inlet_failures_total{code="bad-name"}': 1,
  });
  assert(inlet_received_bytes_total! > 1006 && inlet_received_bytes_total! < 3000);
  assert(inlet_sent_bytes_total! > 1006);
});

integration("/metrics of a server with a key is for who may list its files", async () => {
  await using users = await makeUsers({ ben: "read", eve: "drop" });
  await using server = await startServer({ args: ["--users", users.file] });
  const ask = async (name: string | undefined): Promise<Response> => {
    using wire = await HttpWire.dial({ port: server.port, key: users.token("ben") });
    const credentials = new TextEncoder().encode(`${name}:${name && users.password(name)}`);
    const field = name === undefined ? "" : `Authorization: Basic ${credentials.toBase64()}\r\n`;
    return await wire.asks(`${ASK}${field}\r\n`);
  };
  const told = await ask("ben");
  assertEquals(parse(new TextDecoder().decode(told.body)).inlet_connections, 1);
  const refused = await Promise.all([ask("eve"), ask(undefined)]);
  assertEquals(refused.map(problemIn).map(({ status, code }) => [status, code]), [
    [403, "denied"],
    [401, "denied"],
  ]);
});

integration(
  "/metrics needs no permission more, and leaves out what it is not permitted",
  async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    const permissions = ["--allow-net", `--allow-read=${dir}`, `--allow-write=${dir}`];
    await using server = await startServer({ dir, permissions: ["--no-prompt", ...permissions] });
    using wire = await HttpWire.dial(server);
    const told = await metrics(wire);
    assertEquals([told.inlet_connections, told.inlet_free_bytes], [1, undefined]);
  },
);

pure("/metrics of a server without a key is for this machine alone", () => {
  const from = (address: string, headers: Record<string, string> = {}): Exchange =>
    ({
      context: { authenticator: undefined, client: { address } },
      request: { headers },
    }) as unknown as Exchange;
  const strangers = [
    ...["192.0.2.7:4711", "[2001:db8::1]:4711", "[::ffff:192.0.2.7]:4711"].map((it) => from(it)),
    // By a proxy on this machine, which nobody has named.
    from("127.0.0.1:4711", { "x-forwarded-for": "127.0.0.1" }),
    from("127.0.0.1:4711", { forwarded: "for=192.0.2.7" }),
  ];
  for (const stranger of strangers) {
    const error = assertThrows(() => getMetrics(stranger), InletError);
    assertEquals(error.code, "denied");
  }
});
