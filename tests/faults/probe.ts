/**
 * Asks a server for its list, again and again until its own stdin ends, and then prints how many
 * milliseconds each answer took, as JSON. A process of its own: whoever makes the load answers late.
 *
 * @module
 */

import { allOf } from "../helpers.ts";
import { withClient } from "./trial.ts";

/** Milliseconds between an answer and the next question. */
const PAUSE_MS = 50;

let isOver = false;
const ended = Deno.stdin.read(new Uint8Array(1)).then(() => isOver = true);
const latenciesMs: number[] = [];
const [port, key] = Deno.args;
await withClient({ port: Number(port), key: key || undefined }, async (client) => {
  while (!isOver) {
    const started = performance.now();
    await allOf(client.list());
    latenciesMs.push(performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
});
await ended;
console.log(JSON.stringify(latenciesMs));
