/**
 * Charts as SVG, in colours for a light and for a dark page: bars beside each other, and lines over
 * numbers that grow by factors. Sizes are pixels. Texts are our own: nothing in them is XML's.
 *
 * @module
 */

/** One bar. */
export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Its value with its unit. */
  readonly label: string;
  /** Whether it is the one that is compared with the others. */
  readonly ours: boolean;
}

/** One point of a line. */
export interface Point {
  readonly x: number;
  readonly y: number;
  /** Its y in words. */
  readonly label: string;
}

/** Part of a picture, drawn from its own upper left corner. */
export interface Panel {
  readonly height: number;
  readonly svg: string;
}

/** Width of a whole picture. */
const WIDTH = 760;

const HEADING_HEIGHT = 50;
const BAR = { height: 22, pitch: 29, left: 212, longest: 420 };
const PLOT = { left: 64, height: 130, bottom: 52, inset: 40 };

/** Space between a dot and its value. */
const LABEL_GAP = 12;

/** From so far down on, a line would run through a value that stands in the middle. */
const STEEP = 30;

const STYLE = `
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.faint { font-size: 12px; fill: #59636e }
.ours { fill: #0969da }
.peer { fill: #afb8c1 }
.line { fill: none; stroke: #0969da; stroke-width: 2 }
.grid { stroke: #d1d9e0 }
.value { font-weight: 600 }
.halo { fill: none; stroke: #ffffff; stroke-width: 4 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .faint { fill: #9198a1 }
  .ours { fill: #4493f8 }
  .peer { fill: #656c76 }
  .line { stroke: #4493f8 }
  .grid { stroke: #3d444d }
  .halo { stroke: #0d1117 }
}`;

/** Panels one below the other. */
export function picture(description: string, panels: readonly Panel[]): string {
  let y = 0;
  const parts = panels.map(({ height, svg }) => {
    const part = `<g transform="translate(0 ${y})">\n${svg}\n</g>`;
    y += height;
    return part;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}"
  width="${WIDTH}" height="${y}" role="img" aria-label="${description}">
<style>${STYLE}
</style>
${parts.join("\n")}
</svg>
`;
}

/** Bars from zero, each with its name before it and its value behind it. */
export function bars(title: string, subtitle: string, data: readonly Bar[]): Panel {
  const most = Math.max(...data.map(({ value }) => value));
  const drawn = data.map(({ name, value, label, ours }, index) => {
    const top = HEADING_HEIGHT + index * BAR.pitch;
    const middle = top + BAR.height / 2;
    const length = round(BAR.longest * value / most);
    return [
      text(BAR.left - 10, middle, name, "end", ours ? "value" : ""),
      `<rect x="${BAR.left}" y="${top}" width="${length}" height="${BAR.height}" rx="3" ` +
      `class="${ours ? "ours" : "peer"}"/>`,
      text(BAR.left + length + 8, middle, label, "start", ours ? "value" : ""),
    ].join("\n");
  });
  return {
    height: HEADING_HEIGHT + data.length * BAR.pitch + 16,
    svg: [...heading(title, subtitle), ...drawn].join("\n"),
  };
}

/** A line, both of whose axes are logarithmic. */
export function line(
  title: string,
  subtitle: string,
  xLabel: string,
  points: readonly Point[],
): Panel {
  const steps = powersAround(points.map(({ y }) => y));
  const top = HEADING_HEIGHT + 16;
  const bottom = top + PLOT.height;
  const right = WIDTH - 20;
  const [first, last] = [PLOT.left + PLOT.inset, right - PLOT.inset];
  const orders = Math.log10(points.at(-1)!.x) || 1;
  const xOf = (x: number): number => round(first + (last - first) * Math.log10(x) / orders);
  const yOf = (y: number): number =>
    round(bottom - PLOT.height * Math.log10(y / steps[0]!) / (steps.length - 1));
  const grid = steps.flatMap((step) => [
    `<path d="M${PLOT.left} ${yOf(step)}H${right}" class="grid"/>`,
    text(PLOT.left - 6, yOf(step), step.toLocaleString("en"), "end", "faint"),
  ]);
  const path = points.map(({ x, y }) => `${xOf(x)} ${yOf(y)}`).join("L");
  const values = points.map(({ x, y, label }, index) => {
    const before = points[index - 1];
    const isSteep = before !== undefined && yOf(y) - yOf(before.y) > STEEP;
    const above = yOf(y) - LABEL_GAP;
    return (style: string): string =>
      isSteep
        ? text(xOf(x) - 4, above, label, "start", style)
        : text(xOf(x), above, label, "middle", style);
  });
  const marks = points.flatMap(({ x, y }) => [
    `<circle cx="${xOf(x)}" cy="${yOf(y)}" r="4" class="ours"/>`,
    text(xOf(x), bottom + 14, x.toLocaleString("en"), "middle", "faint"),
  ]);
  return {
    height: bottom + PLOT.bottom,
    svg: [
      ...heading(title, subtitle),
      ...grid,
      `<path d="M${path}" class="line"/>`,
      // Behind the values, so that no line runs through them.
      ...values.map((draw) => draw("value halo")),
      ...marks,
      ...values.map((draw) => draw("value")),
      text((PLOT.left + right) / 2, bottom + 32, xLabel, "middle", "faint"),
    ].join("\n"),
  };
}

function heading(title: string, subtitle: string): string[] {
  return [text(6, 16, title, "start", "title"), text(6, 36, subtitle, "start", "faint")];
}

/** A text whose middle is at a height. */
function text(x: number, y: number, words: string, anchor: string, style: string): string {
  const attributes = style && ` class="${style}"`;
  return `<text x="${x}" y="${y}" dy="0.35em" text-anchor="${anchor}"${attributes}>${words}</text>`;
}

/** Powers of ten, at least two, from under the least value to over the greatest. */
function powersAround(values: readonly number[]): number[] {
  const from = Math.floor(Math.log10(Math.min(...values)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...values))));
  return Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
}

function round(value: number): number {
  return Number(value.toFixed(2));
}
