/// <reference types="./std.d.ts" />
/**
 * The sending side: {@linkcode send} and {@linkcode connect} as a library, and its command line.
 *
 * ```sh
 * deno run client.ts 127.0.0.1 5000 file.txt
 * ```
 *
 * ```ts ignore
 * import { send } from "@inlet/inlet/client";
 *
 * await send({ hostname: "127.0.0.1", port: 5000 }, ["file.txt"]); // throws unless it is stored
 * ```
 *
 * @module
 */

import denoJson from "./deno.json" with { type: "json" };
import { hasKeyVariable, KEY_VARIABLE, readKey } from "./lib/auth/key.ts";
import { errorLine, HURRIED_MS, stderr } from "./lib/body/stderr.ts";
import { printAbout, runMain } from "./lib/cli/command_line.ts";
import { ensurePermissions } from "./lib/cli/permissions.ts";
import { openProgress, type Progress } from "./lib/cli/progress.ts";
import { onStopSignals } from "./lib/cli/signals.ts";
import { exitCode, explain, InletError } from "./lib/errors.ts";
import { RateLimit } from "./lib/net/rate_limit.ts";
import { printable } from "./lib/text.ts";
import type { Client, ConnectOptions, SendResult, ServerAddress } from "./client/library/api.ts";
import { Dialer } from "./client/dialer.ts";
import { PROGRAM } from "./client/options.ts";
import { makePlan, needsOf, type Plan, type Transfer } from "./client/plan.ts";
import { readCommandLine } from "./client/typed_server.ts";
import { openReport } from "./client/open_report.ts";
import { openScreen, takesTerminal, writeOutput, writesToScreen } from "./client/output.ts";
import { send, SendError, sendFiles, type SendFilesOptions } from "./client/send.ts";
import { unfinished } from "./client/unfinished.ts";

export { InletError, RateLimit, send, SendError };
export type * from "./client/library/api.ts";

/**
 * Connects to a server, for many requests of all kinds. Dispose of the client to disconnect.
 *
 * @throws {InletError} `lost`, `busy`, `untrusted` or another refusal; `usage` for a wrong option
 * @throws the reason of the signal
 */
export async function connect(
  address: ServerAddress,
  options: ConnectOptions = {},
): Promise<Client> {
  return await (await import("./client/library/client.ts")).connectClient(address, options);
}

async function main(args: readonly string[]): Promise<number> {
  const line = await readCommandLine(args);
  if (await printAbout(PROGRAM, line, denoJson, () => import("./client/complete.ts"))) return 0;
  const typed = makePlan(line);
  await ensurePermissions(needsOf(typed));
  const { address, mode, quiet, filesFrom } = typed;
  using progress = await openProgress(quiet ? "none" : typed.progress, takesTerminal(typed));
  const screen = writesToScreen(typed) && !typed.raw ? await openScreen() : undefined;
  const stopping = stopOnSignals(progress);
  const onNotice = (text: string): void => void (!quiet && progress.say(printable(text)));
  const onWarning = (text: string): void => onNotice(`warning: ${text}`);
  const waiting = { signal: stopping.signal, onNotice };
  const files = filesFrom && await import("./client/files_from.ts");
  const plan = files ? await files.withList(typed, filesFrom!, waiting) : typed;
  if (!plan) return 0;
  const { action } = plan;
  const options: SendFilesOptions = {
    ...plan.options,
    mode,
    progress,
    key: mode.name === "files"
      ? await readKey(plan.tokenFile, { ...waiting, onWarning })
      : undefined,
    output: screen ? (chunk) => screen.write(chunk) : writeOutput,
    ...waiting,
  };
  if (mode.name !== "files" && hasKeyVariable()) {
    onWarning(`mode ${mode.name} does not encrypt: the key in ${KEY_VARIABLE} is not used`);
  }
  if (action.type === "get" || action.type === "session" || mode.asks) {
    (await import("./lib/store/current_folder.ts")).allowFolderChanges();
  }
  const dialer = new Dialer(address, options);
  if (mode.asks) {
    const { talk } = await import("./client/talk.ts");
    return await talk(dialer, plan, { stopping, screen });
  }
  switch (action.type) {
    case "session": {
      const exchange = () => import("./client/meeting/exchange.ts");
      return await (await import("./client/session.ts")).runSession(dialer, {
        ...{ stopping, acceptFrom: action.acceptFrom },
        exchange: async () => (await exchange()).exchangeFor(dialer, action, plan, options),
      });
    }
    case "offer":
    case "accept":
      return await (await import("./client/meeting/meet.ts")).meet(dialer, action, plan, options);
    case "send":
    case "get": {
      if (plan.dryRun) {
        return await (await import("./client/dry_run.ts")).runDry(dialer, action, plan, options);
      }
      const code = await runTransfer(dialer, action, plan, options);
      await screen?.end();
      return code;
    }
    default:
      return await (await import("./client/request.ts")).runRequest(dialer, action, plan);
  }
}

async function runTransfer(
  dialer: Dialer,
  action: Transfer,
  plan: Plan,
  options: SendFilesOptions,
): Promise<number> {
  const { quiet, raw, keepPartialsMs } = plan;
  const { progress, resume = false } = dialer.context;
  const report = await openReport(progress, action, plan, options.signal);
  try {
    if (action.type === "send") {
      const onResult = (result: SendResult): void => report.add(result);
      const onLeftOut = report.leftOut.bind(report);
      await sendFiles(dialer, action.files, { ...options, onResult }, { ...action, onLeftOut });
    } else {
      const { download } = await import("./client/download.ts");
      const all = { ...options, raw, keepPartialsMs, warn: options.onNotice };
      await download(dialer, action, all, report);
    }
  } catch (error) {
    report.fail(explain(error));
  }
  const failure = await report.end();
  if (!failure) return 0;
  const wasCut = failure.code === "interrupted" || exitCode(failure) === 4;
  if (wasCut && progress.moved > 0 && !quiet) {
    const { adviceFor } = await import("./client/advice.ts");
    const advice = adviceFor(plan, action, { resume, failure });
    if (advice !== undefined) progress.say(`inlet: ${printable(advice)}`);
  }
  return exitCode(failure);
}

/**
 * Returns a controller that the first signal aborts, so that transfers end and tidy up. A later
 * signal tidies what is in flight, and ends the program at once.
 */
function stopOnSignals(progress: Progress): AbortController {
  const controller = new AbortController();
  const reason = new InletError("interrupted", "Interrupted");
  onStopSignals({
    stop: () => controller.abort(reason),
    force: async () => {
      unfinished.forEach((store) => store.discardAll());
      progress.say(errorLine(reason.message));
      await stderr.flush(HURRIED_MS);
      return exitCode(reason);
    },
  });
  return controller;
}

if (import.meta.main) {
  await runMain(() => main(Deno.args), { table: PROGRAM.options, patient: true });
}
