/**
 * Lets the clock of a program run at a third of its speed: `deno run --preload`. What it gives two
 * seconds, such as a direct way between clients that meet, a busy machine has six for.
 *
 * @module
 */

const begun = performance.now();
const now = performance.now.bind(performance);

performance.now = () => begun + (now() - begun) / 3;
