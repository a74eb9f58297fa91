/**
 * Writes docs/options.md and the manual pages from what the two programs declare.
 *
 * ```sh
 * deno run --allow-read --allow-write docs/make_options.ts
 * ```
 *
 * @module
 */

import { PROGRAM as CLIENT } from "../client/options.ts";
import { markdownTable, optionsMarkdown } from "../lib/cli/help.ts";
import type { Program } from "../lib/cli/options.ts";
import { serverProgram } from "../lib/server/options.ts";
import { MODE_OPTION } from "../modes/table.ts";
import { manualPages } from "./manual_pages.ts";

/** The whole page. */
export function optionsPage(): string {
  return `# Options

<!-- Written by docs/make_options.ts from what the programs declare: change it there. -->

Options stand before, between or behind the other words of a command. \`--option VALUE\` and
\`--option=VALUE\` mean the same; behind \`--\` nothing is an option. Sizes are in bytes, or in kB, MB,
GB, TB (powers of 1,000), and KiB, MiB, GiB, TiB or K, M, G, T (powers of 1,024). Times are in
seconds, or in s, m, h and d. Units may be in any case. What the modes are is in
[modes.md](modes.md), and how a shell completes all of it in [install.md](install.md#completions).

## client.ts

${section(CLIENT)}

Where several files fail, the exit code is the highest of theirs.

## server.ts

${section(serverProgram(MODE_OPTION))}
`;
}

function section(program: Program): string {
  const codes = Object.entries(program.exitCodes ?? {}).map(([code, meaning]) => [code, meaning]);
  return `\`${program.usage}\`

${optionsMarkdown(program)}

${markdownTable(["exit code", "meaning"], codes)}`;
}

if (import.meta.main) {
  const pages = { "options.md": optionsPage(), ...manualPages() };
  for (const [name, page] of Object.entries(pages)) {
    Deno.writeTextFileSync(new URL(name, import.meta.url), page);
  }
}
