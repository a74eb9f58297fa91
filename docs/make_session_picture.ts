/**
 * Draws docs/session.svg: a real session with a real server, in a real terminal.
 *
 * ```sh
 * deno run --allow-all docs/make_session_picture.ts
 * ```
 *
 * It needs tmux, and port 5000 of this machine.
 *
 * @module
 */

import { send } from "../client.ts";
import { textWidth } from "../lib/cli/width.ts";
import { serve } from "../server.ts";
import { bytes, ROOT, tempDir } from "../tests/helpers.ts";
import { openTerminal, type Terminal } from "../tests/tmux.ts";

const COLUMNS = 92;
const PORT = 5000;

/** What the client consists of. */
const PROGRAM = [
  "client.ts",
  "protocol.ts",
  "deno.json",
  "deno.lock",
  "std.d.ts",
  "client",
  "lib",
  "modes",
  "protocol",
];

/** Size of a character cell and of the space around all of them, in pixels. */
const CELL = { width: 8.4, height: 19 };
const MARGIN = 18;

/** Colours of the eight that a terminal has, on a dark ground. */
const PALETTE = [
  "#484f58",
  "#ff7b72",
  "#56d364",
  "#e3b341",
  "#79c0ff",
  "#d2a8ff",
  "#56d4dd",
  "#e6edf3",
];

async function main(): Promise<void> {
  await using received = await tempDir();
  await using here = await tempDir();
  await using elsewhere = await tempDir();
  for (const path of PROGRAM) await copy(new URL(path, ROOT).pathname, `${here.path}/${path}`);
  await here.write("holiday.jpg", bytes(2_400_000));
  await using server = await serve({
    port: PORT,
    directory: received.path,
    log: { quiet: true },
  });
  const minutes = await elsewhere.write("minutes.pdf", bytes(810_000));
  await send(server.address, [minutes], { name: "ada" });
  await using terminal = await openTerminal(["env", "PS1=$ ", "sh"], {
    cwd: here.path,
    columns: COLUMNS,
  });
  await terminal.shows(/^\$$/m);
  await act(terminal);
  const picture = draw(await terminal.colours());
  await Deno.writeTextFile(new URL("docs/session.svg", ROOT), picture);
}

/** What a person would type, each line once the one before is answered. */
async function act(terminal: Terminal): Promise<void> {
  const lines: [string, RegExp][] = [
    [`deno run --allow-net --allow-read --allow-write client.ts 127.0.0.1 ${PORT}`, /Your name/],
    ["ben", /Tab completes\nben>$/],
    ["Hello", /Hello ACK\nben>$/],
    ["list", /minutes\.pdf\nben>$/],
    ["get minutes.pdf", /minutes\.pdf: saved.*\nben>$/],
    ["put holiday.jpg", /holiday\.jpg: stored.*\nben>$/],
    ["get cake.png", /does not exist\nben>$/],
    ["status", /Still Connected\nben>$/],
    ["exit", /exit\n\$$/],
  ];
  for (const [line, answer] of lines) {
    await terminal.type(line);
    await terminal.press("Enter");
    await terminal.shows(answer);
  }
}

/** Draws a screen as tmux gives it: text with escape sequences for its colours. */
function draw(screen: string): string {
  const lines = screen.split("\n");
  const width = Math.ceil(COLUMNS * CELL.width + 2 * MARGIN);
  const height = Math.ceil(lines.length * CELL.height + 2 * MARGIN);
  const rows = lines.map((line, row) => {
    const y = MARGIN + (row + 0.75) * CELL.height;
    return `<text y="${y}">${drawLine(line)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}"
  width="${width}" height="${height}" role="img" aria-label="A session in a terminal">
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="9"
  fill="#0d1117" stroke="#6e7681"/>
<g fill="#e6edf3" font-size="14" xml:space="preserve" style="white-space: pre"
  font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace">
${rows.join("\n")}
</g>
</svg>
`;
}

/** Each run of one style stands at its own column, whatever the font's width. */
function drawLine(line: string): string {
  let column = 0;
  let style: Style = {};
  let drawn = "";
  // deno-lint-ignore no-control-regex -- the escape sequences are what is looked for
  for (const [, codes, text] of line.matchAll(/\x1b\[([\d;]*)m|([^\x1b]+)/g)) {
    if (text === undefined) {
      style = styled(codes!, style);
      continue;
    }
    const cells = textWidth(text);
    const x = (MARGIN + column * CELL.width).toFixed(1);
    const length = (cells * CELL.width).toFixed(1);
    const attributes = { x, textLength: length, ...style };
    const words = Object.entries(attributes).map(([name, value]) => `${name}="${value}"`);
    drawn += `<tspan ${words.join(" ")}>${escaped(text)}</tspan>`;
    column += cells;
  }
  return drawn;
}

/** Attributes of SVG. */
type Style = Record<string, string>;

/** The style after an escape sequence changed it. */
function styled(codes: string, before: Style): Style {
  let style = before;
  for (const code of codes.split(";").map(Number)) {
    if (code === 0) style = {};
    else if (code === 1) style = { ...style, "font-weight": "bold" };
    else if (code === 2) style = { ...style, opacity: "0.7" };
    else if (code >= 30 && code <= 37) style = { ...style, fill: PALETTE[code - 30]! };
  }
  return style;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copy(`${from}/${name}`, `${to}/${name}`);
}

if (import.meta.main) await main();
