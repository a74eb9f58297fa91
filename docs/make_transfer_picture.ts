/**
 * Draws docs/transfer.svg: the lines that cross the wire while one file is sent.
 *
 * ```sh
 * deno run --allow-read --allow-write docs/make_transfer_picture.ts
 * ```
 *
 * The lines come from protocol.ts, and the file is the one that `deno task demo` sends.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import {
  encodeBodyLine,
  encodeReply,
  encodeRequest,
  formatStored,
  type Stored,
  VERSION,
} from "../protocol.ts";

/** Places in pixels. Each party has a vertical line; arrows go between them, notes stand outside. */
const WIDTH = 980;
const CLIENT = 268;
const SERVER = 712;
const FIRST_ROW = 108;
const ROW = 56;

const COLOUR = {
  ground: "#0d1117",
  frame: "#6e7681",
  text: "#e6edf3",
  note: "#9da7b3",
  client: "#79c0ff",
  server: "#56d364",
};

/** One arrow, with what each party does at that point. */
interface Step {
  from: "client" | "server";
  line: string;
  isBody?: boolean;
  client?: readonly string[];
  server?: readonly string[];
}

/** What is said about one file, in order. */
function stepsOf(file: Stored, modified: Date): Step[] {
  const { name, size, crc } = file;
  return [
    {
      from: "client",
      line: text(encodeRequest({ type: "hello", version: VERSION, name: "inlet" })),
      client: ["connects"],
    },
    { from: "server", line: text(encodeReply({ type: "welcome", client: 1, limit: 100 })) },
    {
      from: "client",
      line: text(encodeRequest({ type: "put", size, name })),
      server: [`creates ${name}.temp`],
    },
    { from: "server", line: text(encodeReply({ type: "go", offset: 0 })) },
    {
      from: "client",
      line: `${size.toLocaleString("en")} bytes`,
      isBody: true,
      client: ["reads the file and", "computes its CRC-32"],
      server: ["writes the bytes and", "computes their CRC-32"],
    },
    {
      from: "client",
      line: text(encodeBodyLine({ type: "end", crc, modified })),
      server: ["compares the two CRC-32", "--fsync: flushes to disk", `publishes ${name}`],
    },
    {
      from: "server",
      line: text(encodeReply({ type: "ok", detail: formatStored(file) })),
      client: ["reports the file as stored", "and exits with 0"],
    },
  ];
}

function text(line: Uint8Array): string {
  return new TextDecoder().decode(line).trimEnd();
}

/** The whole picture. */
export function transferPicture(): string {
  const content = Deno.readFileSync(new URL("../fixtures/1MiB.txt", import.meta.url));
  const file = { name: "1MiB.txt", size: content.length, crc: crc32(content) };
  const steps = stepsOf(file, new Date("2026-11-21T08:38:00Z"));
  const bottom = FIRST_ROW + steps.length * ROW - 8;
  const height = bottom + 30;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}"
  width="${WIDTH}" height="${height}" role="img"
  aria-label="One file sent: the lines between client and server, in order">
<defs>
${arrowHead("client", COLOUR.client, 11, 10)}
${arrowHead("server", COLOUR.server, 11, 10)}
${arrowHead("body", COLOUR.client, 16, 1)}
</defs>
<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="9"
  fill="${COLOUR.ground}" stroke="${COLOUR.frame}"/>
${party("client", CLIENT, bottom)}
${party("server", SERVER, bottom)}
${steps.map((step, index) => drawStep(step, FIRST_ROW + index * ROW)).join("\n")}
</svg>
`;
}

/** @param point Where on the head the line ends, from 0 at its back to 10 at its tip. */
function arrowHead(id: string, fill: string, size: number, point: number): string {
  return `<marker id="${id}" viewBox="0 0 10 10" refX="${point}" refY="5"
  markerUnits="userSpaceOnUse" markerWidth="${size}" markerHeight="${size}" orient="auto"><path
  d="M0 0 10 5 0 10z" fill="${fill}"/></marker>`;
}

function party(who: "client" | "server", x: number, bottom: number): string {
  return `<line x1="${x}" y1="56" x2="${x}" y2="${bottom}" stroke="${COLOUR.frame}"/>
<rect x="${x - 70}" y="22" width="140" height="34" rx="6" fill="${COLOUR.ground}" stroke="${
    COLOUR[who]
  }"/>
${words(`${who}.ts`, x, 44, "middle", COLOUR[who], true)}`;
}

function drawStep({ from, line, isBody, client = [], server = [] }: Step, y: number): string {
  const [start, end] = from === "client" ? [CLIENT, SERVER] : [SERVER, CLIENT];
  const gap = isBody ? 15 : 1;
  return [
    `<line x1="${start}" y1="${y}" x2="${end - gap * Math.sign(end - start)}" y2="${y}"
  stroke="${COLOUR[from]}" stroke-width="${isBody ? 5 : 1.5}"
  marker-end="url(#${isBody ? "body" : from})"/>`,
    words(line, (CLIENT + SERVER) / 2, y - (isBody ? 12 : 9), "middle", COLOUR.text, !isBody),
    ...notes(client, CLIENT - 16, y, "end"),
    ...notes(server, SERVER + 16, y, "start"),
  ].join("\n");
}

function notes(lines: readonly string[], x: number, y: number, anchor: string): string[] {
  const top = y + 5 - (lines.length - 1) * 9;
  return lines.map((line, index) => words(line, x, top + index * 18, anchor, COLOUR.note, false));
}

function words(
  line: string,
  x: number,
  y: number,
  anchor: string,
  fill: string,
  isWire: boolean,
): string {
  const family = isWire
    ? "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    : "system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif";
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${fill}" font-size="14"
  font-family="${family}">${line}</text>`;
}

if (import.meta.main) {
  Deno.writeTextFileSync(new URL("transfer.svg", import.meta.url), transferPicture());
}
