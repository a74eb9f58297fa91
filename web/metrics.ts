/**
 * GET /metrics: what the server has done since it started, for Prometheus and its like.
 *
 * @module
 */

import type { IncomingHttpHeaders } from "node:http";
import denoJson from "../deno.json" with { type: "json" };
import { isNear } from "../lib/address.ts";
import { checkAccess } from "../lib/auth/access.ts";
import { InletError } from "../lib/errors.ts";
import { rightsOf, type ServerContext } from "../lib/server/context.ts";
import type { Exchange } from "./exchange.ts";
import { STATUSES } from "./problem.ts";

/** The exposition format that Prometheus and every collector beside it read. */
const TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** One metric: its name, what it means, its type, and its values by label. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly values: readonly (readonly [labels: string, value: number])[];
}

/**
 * Sends the metrics: on a server with a key to clients that may list its files, and without one to this
 * machine alone.
 */
export function getMetrics(exchange: Exchange): void {
  const { context, request: { headers } } = exchange;
  const what = "tell the metrics";
  if (context.authenticator) checkAccess(rightsOf(context), "list", what);
  else if (!isNear(context.client.address) || isForwarded(headers)) {
    throw new InletError("denied", `Cannot ${what}: this server has no key, ask on its machine`);
  }
  exchange.send(200, { "Content-Type": TYPE }, metricsOf(context).map(format).join(""));
}

/** Whether a proxy on this machine sends the request, believed or not, for somebody else. */
function isForwarded(headers: IncomingHttpHeaders): boolean {
  return ["x-forwarded-for", "forwarded"].some((name) => headers[name] !== undefined);
}

function metricsOf(context: ServerContext): Metric[] {
  const { log: { counters }, clients, freeBytes, meetings } = context;
  const { stored, got, relayed, failures, traffic } = counters;
  const counter = metricOf("counter");
  const gauge = metricOf("gauge");
  const free = freeBytes?.();
  return [
    {
      ...gauge("build_info", "The version of the server; the value is always 1.", 1),
      values: [[`{version="${denoJson.version}"}`, 1]],
    },
    gauge(
      "uptime_seconds",
      "Time since the start of the server.",
      (performance.now() - counters.since) / 1000,
    ),
    counter("connections_total", "Connections that were accepted.", counters.connections),
    gauge("connections", "Connections that are open.", counters.open),
    gauge("clients", "Clients that hold a place.", clients.connected),
    gauge("clients_limit", "Most clients that can hold a place.", clients.limit),
    counter("received_bytes_total", "Bytes read from connections.", traffic.in),
    counter("sent_bytes_total", "Bytes written to connections.", traffic.out),
    counter("stored_files_total", "Files that were stored.", stored.files),
    counter("stored_bytes_total", "Bytes of the files that were stored.", stored.bytes),
    counter("downloads_total", "Files, parts of files and archives that were sent.", got.files),
    counter("downloaded_bytes_total", "Bytes of the files that were sent.", got.bytes),
    gauge("offers", "Offers that other clients can accept.", meetings?.offers ?? 0),
    counter("relays_total", "Pipes between two clients that have ended.", relayed.files),
    counter("relayed_bytes_total", "Bytes of these, both directions together.", relayed.bytes),
    {
      ...counter("failures_total", "Refusals, broken transfers and faults, by code.", 0),
      values: Object.keys(STATUSES).map((code) => [
        `{code="${code}"}`,
        failures.get(code as keyof typeof STATUSES) ?? 0,
      ]),
    },
    ...free === undefined ? [] : [gauge("free_bytes", "Bytes that are free on the disk.", free)],
  ];
}

function metricOf(type: Metric["type"]) {
  return (name: string, help: string, value: number): Metric => {
    return { name: `inlet_${name}`, help, type, values: [["", value]] };
  };
}

function format({ name, help, type, values }: Metric): string {
  const samples = values.map(([labels, value]) => `${name}${labels} ${value}\n`).join("");
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples}`;
}
