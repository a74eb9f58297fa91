/**
 * A program that swaps two entries of a disk as fast as it can, until its stdin ends, and prints a line
 * when it begins. In the end it puts them back, and prints how often it swapped them.
 *
 * ```sh
 * deno run -A tests/faults/swapper.ts received/photos parked
 * ```
 *
 * @module
 */

/** Swaps between two looks at stdin. */
const ROUND = 500;

const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;

/**
 * Returns a function that swaps two paths, in one call where the system has such a call. It tells
 * whether both were there.
 */
function swapperOf(one: string, other: string): () => boolean {
  if (Deno.build.os !== "linux") return () => inThreeSteps(one, other);
  const libc = Deno.dlopen("libc.so.6", {
    renameat2: { parameters: ["i32", "buffer", "i32", "buffer", "u32"], result: "i32" },
  });
  const [first, second] = [one, other].map((path) => new TextEncoder().encode(`${path}\0`));
  return () => {
    const { renameat2 } = libc.symbols;
    const failed = renameat2(AT_FDCWD, first!, AT_FDCWD, second!, RENAME_EXCHANGE);
    return failed === 0 || inThreeSteps(one, other);
  };
}

function inThreeSteps(one: string, other: string): boolean {
  const between = `${other}.between`;
  try {
    Deno.renameSync(one, between);
  } catch (error) {
    // A client makes its own folder, and removes it.
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  try {
    Deno.renameSync(other, one);
  } catch (error) {
    Deno.renameSync(between, one);
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  Deno.renameSync(between, other);
  return true;
}

if (import.meta.main) {
  const [one, other] = Deno.args as [string, string];
  const swap = swapperOf(one, other);
  let isOver = false;
  Deno.stdin.read(new Uint8Array(1)).then(() => isOver = true);
  let swaps = 0;
  console.log("swapping");
  while (!isOver) {
    for (let nth = 0; nth < ROUND; nth++) {
      if (swap()) swaps++;
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  if (swaps % 2 === 1) swap();
  console.log(swaps);
}
