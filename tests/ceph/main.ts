/**
 * What `deno task ceph` runs: a throwaway Ceph on loopback with a bucket in it, until it is stopped.
 *
 * ```sh
 * deno task ceph
 * ```
 *
 * @module
 */

import { parseCommandLine, runMain } from "../../lib/cli/command_line.ts";
import { helpText } from "../../lib/cli/help.ts";
import { parseCount, parseSize } from "../../lib/cli/option_values.ts";
import { flag, option } from "../../lib/cli/options.ts";
import { listenToStops } from "../../lib/cli/signals.ts";
import { stderr } from "../../lib/body/stderr.ts";
import { InletError } from "../../lib/errors.ts";
import { quoted } from "../../lib/text.ts";
import { linesOf } from "./ceph.ts";
import { OwnCeph } from "./own_ceph.ts";

const PROGRAM = {
  title: "inlet ceph: a throwaway Ceph on this machine, an object store to try things with",
  usage: "deno task ceph [OPTIONS]",
  command: "ceph",
  arguments: [],
  options: {
    "disk-size": option({
      value: "SIZE",
      parse: parseSize,
      default: "16GiB",
      help: "size of each of its two disks, which are sparse files",
    }),
    "while": option({
      value: "PID",
      parse: (text, what) => parseCount(text, what, { min: 1, max: 2 ** 22 }),
      help: "end when this process has ended",
    }),
    "help": flag({ help: "print this help", standsAlone: true }),
  },
  notes: [
    "Prints what a server needs to find it as KEY=VALUE lines, then ready. Ctrl-C, SIGTERM and " +
    "SIGHUP end it and remove all that it has stored; so does kill -9. A daemon that is killed, by its " +
    "number in DAEMON.pid beside CEPH_CONF, is started again after two seconds. Debian's packages " +
    "are installed if they are missing and the user is root.",
  ],
  exitCodes: { 0: "stopped", 1: "a daemon failed", 2: "wrong use, or Ceph is missing" },
};

/** Milliseconds between two looks whether it is still of use. */
const LOOK_MS = 1000;

async function main(args: readonly string[]): Promise<number> {
  const { positional, options } = parseCommandLine(args, PROGRAM.options);
  if (options.help) return console.log(helpText(PROGRAM)), 0;
  if (positional[0] !== undefined) {
    throw new InletError("usage", `Cannot use ${quoted(positional[0])}; try --help`);
  }
  const stopped = untilStopped(options.while);
  const say = (line: string): void => stderr.add(line);
  const starting = OwnCeph.start({ diskBytes: options["disk-size"], say });
  // If it is stopped while it starts, all goes with this process.
  if (await Promise.race([starting, stopped]) === undefined) return 0;
  await using ceph = await starting;
  const { store } = await ceph.makeBucket("received");
  console.log(`INLET_STORE=${store}\n${linesOf(ceph.variables)}ready`);
  await stopped;
  return 0;
}

/** Waits for a signal, and for the end of whoever this is run for. */
function untilStopped(user: number | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  listenToStops(() => resolve());
  // A task that is killed tells its command nothing.
  const task = Deno.env.has("INIT_CWD") ? Deno.ppid : undefined;
  setInterval(() => {
    if (task !== undefined && Deno.ppid !== task) resolve();
    if (user !== undefined && !runs(user)) resolve();
  }, LOOK_MS);
  return promise;
}

function runs(pid: number): boolean {
  try {
    return Deno.statSync(`/proc/${pid}`).isDirectory;
  } catch {
    return false;
  }
}

if (import.meta.main) await runMain(() => main(Deno.args));
